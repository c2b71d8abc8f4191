"""The correlator: the public face of this package."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from collector.correlate import rows
from collector.correlate.accesses import Accesses
from collector.correlate.evidence import dump_incarnation, evidence
from collector.correlate.fast import FastFiles
from collector.correlate.incarnation import Incarnation
from collector.correlate.issues import no_closes
from collector.correlate.maps import Maps
from collector.correlate.options import Options, Record
from collector.correlate.present import Present
from collector.correlate.processes import Processes
from collector.correlate.senders import Senders, Totals
from collector.correlate.sequences import Sequences
from collector.correlate.streams import Streams
from collector.correlate.timekeeper import DEFAULT_IDENT, TICK_FEEDS, Broken, Timekeeper
from collector.correlate.waiting import Waiting
from collector.correlate.writer import Writer
from collector.records.text import clean_text
from collector.wire.forwarded import parse_forwarded
from collector.wire.header import Kind, RejectedError, classify

NO_FSTAT_AFTER = 300.0
"""Seconds until a server with sessions and no f-stream is assumed to be configured without one."""


class Correlator:
    """Joins datagrams into records. Single-threaded; belongs to whoever calls it.

    One cycle of the shell::

        for each datagram: correlator.feed(…)
        correlator.advance(now)
        records = correlator.take()
        put, delete = correlator.changes()
        # commit records, rows and the ids seen, in one transaction
    """

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()
        self._begin()

    def _begin(self) -> None:
        """Know nothing."""
        options = self.options
        self._present = present = Present()
        self._totals = totals = Totals()
        self._senders = senders = Senders(totals)
        self._writer = Writer(options, present, senders, totals)
        self._waiting = waiting = Waiting(options, present, self._writer)
        self._processes = processes = Processes(options, present, waiting)
        sequences = Sequences(options, present, processes, senders, totals)
        self._sequences = sequences
        accesses = Accesses(present, waiting, totals)
        fast = FastFiles(options, present, accesses, waiting, totals)
        maps = Maps(options, present, processes, waiting)
        self._streams = Streams(options, present, processes, sequences, accesses, fast, waiting, maps, totals)
        self._timekeeper = Timekeeper(options, present, processes, sequences, accesses, waiting, totals)
        self._away = 0.0
        """Time during which the source was not connected, which does not count."""

    # -------------------------------------------------------------- in

    def feed(self, datagram: bytes, remote: str, t: float, shoveler: str | None = None) -> None:
        """Take one datagram from sender `remote` (``IP:PORT``, IPv6 in brackets) that arrived at `t`.

        `shoveler` is the spool id when known. The duplicate rule of the format reference (section 3) is also applied to
        datagrams with an id, by which the caller has already dropped replays: a datagram that a network duplicated, or
        a server sent to two destinations, has two ids. This never raises, whatever the bytes; what cannot be used is
        counted by reason.
        """
        self._pass(t)
        timekeeper = self._timekeeper
        timekeeper.feeds += 1
        if self._present.now >= timekeeper.next_tick or timekeeper.feeds >= TICK_FEEDS:
            timekeeper.tick()
        sender = self._senders.get(remote)
        sender.seen += 1
        sender.heard = self._present.now
        self._totals.seen += 1
        streams = self._streams
        self._present.arrived, self._present.shoveler = t, shoveler
        try:
            kind = classify(datagram)
            if kind is Kind.ENVELOPE:
                self._forwarded(datagram)
            else:
                streams.apply(kind, datagram, remote, sender)
        except RejectedError as rejected:
            sender.rejected[rejected.reason] += 1
            self._totals.rejected[rejected.reason] += 1
        else:
            sender.decoded += 1
            self._totals.decoded += 1

    def _forwarded(self, datagram: bytes) -> None:
        """A datagram forwarded by a shoveler in its envelope: unwraps the server's datagram in it. Raises
        RejectedError."""
        inner = parse_forwarded(datagram)
        sender = self._senders.get(inner.remote)
        sender.seen += 1
        sender.heard = self._present.now
        self._streams.apply(classify(inner.data), inner.data, inner.remote, sender)
        sender.decoded += 1

    def _pass(self, t: float) -> None:
        if t - self._away > self._present.now:
            self._present.now = t - self._away
        if not self._processes.listening:
            self._processes.listening = t

    def advance(self, now: float) -> None:
        """Let time pass: ends graces, gives up what has expired. Call it once a cycle, also when nothing arrives, but
        only while the source is connected: silence means nothing when nobody listens.
        """
        self._pass(now)
        self._timekeeper.tick()

    def resume(self, now: float) -> None:
        """The source was away until `now` (call it after `restore`, and after a reconnect): time does not count from
        the last `feed` or `advance` on, so that nothing expires because of a time in which we did not listen.
        """
        if self._present.now and now - self._away > self._present.now:
            self._away = now - self._present.now
        self._processes.listening = now

    def drain(self, now: float) -> None:
        """The source has ended for good: write everything still held, open files as provisional records.

        Files stay known, so that a later close still gives a complete final record.
        """
        self._pass(now)
        self._timekeeper.each(self._write_out)

    def _write_out(self, inc: Incarnation) -> None:
        self._processes.touch(inc)
        self._sequences.settle(inc, 0.0)
        for _ in range(2):  # ends the current round, and then one for what has come since
            self._sequences.look_at_ids(inc, 0.0)
        self._waiting.finish_all(inc)
        self._timekeeper.end_sessions(inc, 0.0)
        self._timekeeper.end_statistics(inc)
        if inc.dead_since is not None:
            self._timekeeper.give_up_all(inc, "server_restarted", inc.dead_by)
        else:
            self._timekeeper.give_up_all(inc, None, None)

    # -------------------------------------------------------------- out

    def take(self) -> list[Record]:
        """The records caused since the last call, in order; the caller owns them now."""
        return self._writer.outbox.take()

    def changes(self) -> tuple[list[tuple[bytes, bytes]], list[bytes]]:
        """State rows ``(key, value)`` to put and keys to delete since the last call (puts and deletes are disjoint).

        A file opened and closed in between costs no row.
        """
        present, processes = self._present, self._processes
        put: dict[bytes, bytes] = {}
        for inc in processes.touched:
            if inc.serial in processes.all:
                put.update(rows.incarnation_rows(inc, present.number, present.deleted))
        present.number += 1
        key, value = rows.meta_row(self._meta())
        put[key] = value
        delete = [key for key in present.deleted if key not in put]
        present.deleted.clear()
        processes.touched.clear()
        return list(put.items()), delete

    def _meta(self) -> dict[str, Any]:
        present, timekeeper, processes = self._present, self._timekeeper, self._processes
        copies = self._writer.copies.items()
        return {
            "now": present.now,
            "cycle": present.number,
            "numbered": present.numbered,
            "away": self._away,
            "listening": processes.listening,
            "serial": processes.serial,
            "next_tick": timekeeper.next_tick,
            "next_sweep": timekeeper.next_sweep,
            "feeds": timekeeper.feeds,
            "copies": [[sid, path.encode("utf-8", "surrogateescape"), t] for (sid, path), t in copies],
            "reports": list(self._streams.reports),
        }

    def restore(self, state: Iterable[tuple[bytes, bytes]]) -> None:
        """Restore the correlator from its rows (all of them, in any order). Call it before the first `feed`. Raises
        ValueError when a row is not one of ours or of a newer version; the text says which.
        """
        restored = rows.Restored(state)
        meta = restored.meta
        if not meta:
            return
        present, timekeeper, processes = self._present, self._timekeeper, self._processes
        present.now, present.number, present.numbered = meta["now"], meta["cycle"], meta["numbered"]
        self._away = meta["away"]
        processes.listening, processes.serial = meta["listening"], meta["serial"]
        timekeeper.next_tick, timekeeper.next_sweep = meta["next_tick"], meta["next_sweep"]
        timekeeper.feeds = meta["feeds"]
        self._writer.copies = {(sid, path.decode("utf-8", "surrogateescape")): t for sid, path, t in meta["copies"]}
        self._streams.reports = dict.fromkeys(meta["reports"])
        for _, inc in sorted(restored.incarnations.items()):
            processes.add(inc)
            if restored.version != rows.VERSION:
                processes.touch(inc)  # with the next changes all rows have one version, also those of silent servers
                inc.dirty_sessions.update(inc.sessions)
        for inc, waiter in restored.waiting:
            self._waiting.put_back(inc, waiter)

    # -------------------------------------------------------------- after an error in the core

    def broken(self) -> list[Broken]:
        """Servers that had to be forgotten since the last call, because a timed action on them failed."""
        broken, self._timekeeper.broken = self._timekeeper.broken, []
        return broken

    def revert(self, state: Iterable[tuple[bytes, bytes]]) -> None:
        """Restore the state from these rows, whatever was half done when something raised. Counters start from zero:
        see `counted`.
        """
        self._begin()
        self.restore(state)

    @property
    def counted(self) -> object:
        """All counters, for `count_on`."""
        return self._senders.known, self._totals

    def count_on(self, counted: Any) -> None:
        """Restore the counters that `counted` returned before a `revert`, and continue from them."""
        self._senders.known, totals = counted
        vars(self._totals).update(vars(totals))

    # -------------------------------------------------------------- looking in

    def status(self) -> dict[str, dict[str, Any]]:
        """Per sender (``IP:PORT``) the counters of the status message, cumulative since this object was made:
        ``seen duplicate late decoded rejected records provisional incomplete``, and the present ``held open
        warnings``.

        ``rejected`` and ``incomplete`` map a reason to a count, ``held`` counts accesses that have ended and still wait
        for a datagram, ``open`` files open now. ``warnings`` is a list of names: ``no_closes`` (opens and disconnects,
        but never a close: ``fstat`` without ``xfr``), ``no_fstat`` (sessions, but never an f-stream), ``silent``
        (nothing heard for far longer than its ``ident`` interval, and no other process has taken its place).
        """
        found = {remote: sender.status() for remote, sender in self._senders.known.items()}
        for state in found.values():
            state |= {"held": 0, "open": 0, "warnings": []}
        for inc in self._processes.all.values():
            if inc.remote in found:
                state = found[inc.remote]
                state["held"] += inc.waits
                state["open"] += len(inc.files)
                state["warnings"] = sorted({*state["warnings"], *self._warnings(inc)})
        return found

    def processes(self) -> list[dict[str, Any]]:
        """What is known of each server process, and what never came from it: plain values for the status message's
        ``processes``, of bounded number. Unlike counters they outlive this object: they are state.
        """
        return evidence(self._processes.all.values(), self._present.now)

    def warnings(self) -> dict[tuple[str, str], str]:
        """Servers that seem to be misconfigured, or to have stopped: (sender, name of the warning as in `status`) → the
        server's name for users.
        """
        return {
            (inc.remote, name): name_of(inc) for inc in self._processes.all.values() for name in self._warnings(inc)
        }

    def _warnings(self, inc: Incarnation) -> list[str]:
        names: list[str] = []
        if inc.dead_since is not None:
            return names
        now = self._present.now
        if no_closes(inc):
            names.append("no_closes")
        # a redirector has sessions, and no files of its own
        if not inc.fstreams and not inc.told and inc.sessions_seen >= 4 and now - inc.first >= NO_FSTAT_AFTER:
            names.append("no_fstat")
        period = inc.idents[1] or DEFAULT_IDENT
        # noise may look like a server's datagram, but hardly like its identity record or a session
        known = inc.ident is not None or inc.sessions_seen
        if known and now - inc.alive > max(2.5 * period, 3 * self.options.grace):
            names.append("silent")
        return names

    @property
    def counters(self) -> dict[str, int]:
        """Totals for metrics; a name with a label is ``name{label}``, for example ``rejected{short}``.

        Counters: ``datagrams decoded duplicates late stale provisional expired evicted senders_forgotten
        records{kind} rejected{reason} incomplete{reason} missing{class} dropped{filter}``; gauges: ``state_bytes
        state_servers state_sessions state_files state_held``.
        """
        everyone = self._processes.all.values()
        return self._totals.flat() | {
            "state_bytes": self._timekeeper.eviction.size(),
            "state_servers": len(everyone),
            "state_sessions": sum(len(inc.sessions) for inc in everyone),
            "state_files": sum(len(inc.files) for inc in everyone),
            "state_held": sum(inc.waits for inc in everyone),
        }

    def dump(self) -> dict[str, Any]:
        """All state as plain values, for people to read (and for ``json.dumps``); the first hundred of long lists."""
        return {
            "now": self._present.now,
            "counters": self.counters,
            "incarnations": [dump_incarnation(inc) for inc in self._processes.all.values()],
        }


def name_of(inc: Incarnation) -> str:
    """The name of a server process for users: ``INSTANCE@HOST:PORT``, as far as known, and where it sends from."""
    name = ""
    if inc.host:
        instance = inc.ident.instance if inc.ident is not None else None
        port = inc.ident.port if inc.ident is not None else None
        name = f"{instance}@{inc.host}" if instance else inc.host
        name += f":{port} " if port is not None else " "
    return clean_text(f"{name}({inc.remote})")
