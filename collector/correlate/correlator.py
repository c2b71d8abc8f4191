"""The correlator: the public face of this package. Sorts datagrams to incarnations, and lets time pass."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any

from collector.correlate import rows
from collector.correlate.accesses import Accesses, userid_key
from collector.correlate.events import (
    event_fields,
    head,
    purge_fields,
    redirect_fields,
    summary_fields,
    transfer_fields,
)
from collector.correlate.eviction import Eviction
from collector.correlate.fields import server_fields, session_fields, user_fields
from collector.correlate.incarnation import Incarnation, Path, Session
from collector.correlate.issues import no_closes
from collector.correlate.options import Options, Record
from collector.correlate.outbox import Outbox
from collector.correlate.senders import Sender, Senders, Totals
from collector.correlate.sequence import DUPLICATE, LATE, REORDER, Tracker
from collector.records.ids import event_id
from collector.wire import fstream, gstream, maps, redirect, summary, trace
from collector.wire.header import Header, Kind, Rejected, classify, parse_header
from collector.wire.userid import UserId

TICK = 1.0
"""Seconds between two looks at what is due…"""
TICK_FEEDS = 2048
"""…or datagrams, whichever comes first."""
SWEEP = 60.0
"""Seconds between two looks at what has grown old."""
MAX_EARLY = 1000
"""Infos, tokens and flows that may come before their session, per incarnation."""
MAX_COPIES = 10_000
"""Third-party copies remembered."""
MAX_INCARNATION_GAPS = 200
"""Gaps remembered per incarnation, to mark the records that they may concern."""
START_MARGIN = 2
"""Seconds by which a server must have started after us to be sure that we have heard it from its start."""


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
        self._totals = Totals()
        self._senders = Senders(self._totals)
        self._outbox = Outbox(self.options, self._totals)
        self._accesses = Accesses(self.options, self._outbox, self._senders, self._totals)
        self._eviction = Eviction(self.options, self._accesses, self._totals)
        self._now = 0.0
        self._away = 0.0
        """Time during which the source was not connected: it does not count."""
        self._listening = 0.0
        """Since when we have heard everything; 0: no datagram yet."""
        self._next_tick = 0.0
        self._next_sweep = 0.0
        self._feeds = 0
        self._serial = 0
        self._routes: dict[tuple[str, int, int], Incarnation] = {}
        """(sender, stod, sid) → the process that it is a socket of."""
        self._bound: dict[tuple[str, int], int] = {}
        """(sender, stod) → sid, for datagrams that do not name their server."""
        self._processes: dict[tuple[int, int], list[Incarnation]] = {}
        """(sid, stod) → processes; more than one are clones."""
        self._servers: dict[int, list[Incarnation]] = {}
        """sid → all its incarnations."""
        self._addresses: dict[str, Incarnation] = {}
        """IP → the incarnation named last from there, for events without any header."""
        self._incarnations: dict[int, Incarnation] = {}
        self._touched: list[Incarnation] = []
        self._gone: list[bytes] = []
        self._handlers = {
            Kind.MAP: self._map,
            Kind.FSTREAM: self._fstream,
            Kind.TRACE: self._trace,
            Kind.REDIRECT: self._redirect,
            Kind.GSTREAM: self._gstream,
            Kind.TEXT: self._text,
            Kind.SUMMARY_XML: self._summary_xml,
            Kind.SUMMARY_JSON: self._summary_json,
        }
        self._maps = {
            "=": self._map_ident,
            "u": self._map_session,
            "d": self._map_path,
            "i": self._map_info,
            "U": self._map_flow,
            "T": self._map_token,
            "p": self._map_purge,
            "x": self._map_transfer,
        }

    # -------------------------------------------------------------- in

    def feed(
        self, datagram: bytes, remote: str, t: float, shoveler: str | None = None, identified: bool = True
    ) -> None:
        """Take one datagram from sender `remote` (``IP:PORT``, IPv6 in brackets) that arrived at `t`.

        `shoveler` is the spool id when known. `identified`: the datagram came with an id by which the caller has
        dropped replays already. The duplicate rule of the format reference (section 3) is applied to both kinds: what
        a network doubled, or a server sent to two destinations, has two ids. Whatever the bytes are, this never
        raises; what cannot be used is counted by reason.
        """
        del identified
        self._pass(t)
        self._feeds += 1
        if self._now >= self._next_tick or self._feeds >= TICK_FEEDS:
            self._tick()
        sender = self._senders.get(remote)
        sender.seen += 1
        sender.heard = self._now
        self._totals.seen += 1
        try:
            self._handlers[classify(datagram)](datagram, remote, sender, shoveler)
        except Rejected as rejected:
            self._reject(sender, rejected.reason)
        else:
            sender.decoded += 1
            self._totals.decoded += 1

    def _pass(self, t: float) -> None:
        """The clock: never runs backwards, and stands while the source is away."""
        if t - self._away > self._now:
            self._now = self._accesses.now = t - self._away
        if not self._listening:
            self._listening = t

    def _reject(self, sender: Sender, reason: str) -> None:
        sender.rejected[reason] += 1
        self._totals.rejected[reason] += 1

    # -------------------------------------------------------------- which process

    def _incarnation(self, remote: str, stod: int, sid: int, sender: Sender) -> Incarnation:
        """The process that a socket belongs to, known or new (format reference, section 4.3)."""
        inc = self._routes.get((remote, stod, sid))
        if inc is None:
            same = self._processes.get((sid, stod), ())
            inc = next((i for i in reversed(same) if sender.address in i.addresses), None)
            if inc is None:
                inc = self._new_incarnation(remote, stod, sid, sender.address)
            self._route(inc, remote)
        self._heard(inc)
        return inc

    def _new_incarnation(self, remote: str, stod: int, sid: int, address: str) -> Incarnation:
        self._serial += 1
        inc = Incarnation(self._serial, sid, stod, address, self._now)
        inc.remote = remote
        inc.from_start = stod > self._listening + START_MARGIN
        for other in self._servers.get(sid, ()):
            if other.addresses & inc.addresses:
                older, younger = (other, inc) if other.stod < inc.stod else (inc, other)
                if older.stod < younger.stod and older.dead_since is None:
                    self._dead(older, younger.stod)
        self._incarnations[inc.serial] = inc
        self._processes.setdefault((sid, stod), []).append(inc)
        self._servers.setdefault(sid, []).append(inc)
        self._addresses[address] = inc
        if len(self._incarnations) > self.options.max_servers:
            self._crowded()
        return inc

    def _route(self, inc: Incarnation, remote: str) -> None:
        route = (remote, inc.stod, inc.sid)
        self._routes[route] = inc
        self._bound[route[:2]] = inc.sid
        inc.routes.add(route)

    def _heard(self, inc: Incarnation) -> None:
        inc.alive = self._now
        inc.heard += 1
        self._touch(inc)
        if inc.dead_since is not None and self._now - inc.dead_since > 2 * self.options.grace:
            inc.dead_since = inc.dead_by = None  # not dead: a clone of its successor behind the same address

    def _touch(self, inc: Incarnation) -> None:
        if inc.touched != self._accesses.cycle:
            inc.touched = self._accesses.cycle
            self._touched.append(inc)

    def _dead(self, inc: Incarnation, by: int) -> None:
        inc.dead_since, inc.dead_by = self._now, by
        self._touch(inc)

    # -------------------------------------------------------------- sequences

    def _sequence(
        self, inc: Incarnation, class_: str, remote: str, number: int, data: bytes, modulus: int = 256
    ) -> int:
        """Follow a counter other than the f-stream's. The verdict; DUPLICATE is counted here."""
        tracker = inc.sequences.get((remote, class_))
        if tracker is None:
            tracker = inc.sequences[remote, class_] = Tracker(modulus)
            first = 0 if class_ == "M" else 1
            if class_ == "M" and number == 0 and inc.heard <= REORDER:
                inc.from_start = True
            tracker.begin(number, self._now, first if inc.from_start else None)
        # what is missing was sent after the last time told by the server, and before this arrived
        verdict = tracker.observe(number, zlib.crc32(data), inc.clock, self._now + self._away, self._now)
        if tracker.holes:
            inc.unsettled = True
        return self._judge(inc, verdict, remote)

    def _judge(self, inc: Incarnation, verdict: int, remote: str) -> int:
        if verdict == DUPLICATE:
            self._senders.get(remote).duplicate += 1
            self._totals.duplicate += 1
        elif verdict == LATE:
            self._senders.get(remote).late += 1
            self._totals.late += 1
            if inc.unsettled:
                self._settle_sequences(inc, self.options.grace)
        return verdict

    def _settle_sequences(self, inc: Incarnation, patience: float) -> None:
        """Declare gaps where nothing will come any more; when nothing is open, what waited for that goes on."""
        holes = 0
        for remote, class_, tracker in inc.trackers():
            for gap in tracker.settle(self._now, patience):
                self._senders.get(remote).gap(class_, inc.stod, gap)
                self._totals.missing[class_[0]] += gap.missing
                if class_ in ("F", "M"):
                    inc.gaps.append((class_, gap))
                    del inc.gaps[:-MAX_INCARNATION_GAPS]
                    inc.gap_until = max(inc.gap_until, gap.t_max)
                    self._touch(inc)
            if class_ in ("F", "M"):
                holes += len(tracker.holes)
        was, inc.unsettled = inc.unsettled, holes > 0
        if was and not inc.unsettled:
            self._touch(inc)

    # -------------------------------------------------------------- f-stream

    def _fstream(self, data: bytes, remote: str, sender: Sender, shoveler: str | None) -> None:
        header = parse_header(data)
        items, problems = fstream.parse_fstream(data, header.end)
        if not items or not isinstance(items[0][1], fstream.Window):
            raise Rejected(problems[0] if problems and not items else "no_window")
        window = items[0][1]
        sid = window.sid if window.sid is not None else self._bound.get((remote, header.stod))
        if sid is None:
            raise Rejected("no_server")
        inc = self._incarnation(remote, header.stod, sid, sender)
        verdict = self._observe_f(inc, header.pseq, data, window.begin, window.end, remote, shoveler)
        if verdict == DUPLICATE:
            return
        for problem in problems if header.problem is None else [header.problem, *problems]:
            self._reject(sender, problem)
        self._apply(inc, items, verdict)

    def _observe_f(
        self, inc: Incarnation, number: int, data: bytes, begin: int, end: int, remote: str, shoveler: str | None
    ) -> int:
        """Follow the f-stream's counter, which is one for the whole process whatever the destinations."""
        tracker = inc.fseq
        if tracker.newest is None:
            tracker.begin(number, self._now, 0 if inc.from_start else None)
        verdict = tracker.observe(number, zlib.crc32(data), inc.clock, begin, self._now)
        if tracker.holes:
            inc.unsettled = True
        if self._judge(inc, verdict, remote) == DUPLICATE:
            return verdict
        inc.fstreams += 1
        if inc.remote != remote or inc.shoveler != shoveler:
            inc.remote, inc.shoveler = remote, shoveler
            inc.forget_fragments()
        if inc.unsettled:
            for other in inc.sequences.values():
                other.bound_holes(end)
            if verdict != LATE:
                self._settle_sequences(inc, self.options.grace)
        if end > inc.clock:
            inc.clock = end
        return verdict

    def _apply(self, inc: Incarnation, items: list[tuple[int, fstream.Item]], verdict: int) -> None:
        """The records of an f-stream datagram, one after the other."""
        accesses = self._accesses
        window = items[0][1]
        assert isinstance(window, fstream.Window)
        place = 0
        for _, item in items:
            if isinstance(item, fstream.Window):
                window, place = item, 0
                continue
            time = interpolate(window.begin, window.end, place, window.records)
            place += 1
            if isinstance(item, fstream.Open):
                accesses.open(inc, item, time, window, verdict)
            elif isinstance(item, fstream.Close):
                accesses.close(inc, item, time, window)
            elif isinstance(item, fstream.Progress):
                accesses.progress(inc, item, window)
            else:
                accesses.disconnect(inc, item.user, window)

    # -------------------------------------------------------------- maps

    def _map(self, data: bytes, remote: str, sender: Sender, shoveler: str | None) -> None:
        header = parse_header(data)
        message = maps.parse_map(data)
        if header.problem:
            self._reject(sender, header.problem)
        inc = self._incarnation(remote, header.stod, message.userid.sid, sender)
        if message.code == "=":
            inc = self._same_process(inc, message.userid, remote, sender)
        if self._sequence(inc, "M", remote, header.pseq, data[: header.end]) == DUPLICATE:
            return
        if shoveler is not None and inc.shoveler is None:
            inc.shoveler = shoveler
        self._maps[message.code](inc, message, header, sender)

    def _same_process(self, inc: Incarnation, userid: UserId, remote: str, sender: Sender) -> Incarnation:
        """What a pid tells: a process seen over two ways is one; another pid behind the same socket is a restart."""
        if inc.pid is None:
            inc.pid, inc.host = userid.pid, userid.host or None
            for other in list(self._processes[inc.sid, inc.stod]):
                if other is not inc and (other.pid, other.host) == (inc.pid, inc.host) and agree(other, inc):
                    self._merge(other, inc)
                    return other
            return inc
        if (inc.pid, inc.host) == (userid.pid, userid.host or None):
            return inc
        for other in self._processes[inc.sid, inc.stod]:
            if (other.pid, other.host) == (userid.pid, userid.host or None) and sender.address in other.addresses:
                self._route(other, remote)  # two clones behind one address: each keeps its sockets
                self._heard(other)
                return other
        # started again within the same second (format reference, section 12)
        self._dead(inc, inc.stod)
        inc.routes.discard((remote, inc.stod, inc.sid))
        young = self._new_incarnation(remote, inc.stod, inc.sid, sender.address)
        young.pid, young.host = userid.pid, userid.host or None
        self._route(young, remote)
        self._heard(young)
        return young

    def _merge(self, kept: Incarnation, other: Incarnation) -> None:
        """Two addresses turned out to be one process: `other` becomes part of `kept`."""
        self._gone += rows.all_keys(other)
        kept.addresses |= other.addresses
        for route in other.routes:
            self._routes[route] = kept
        kept.routes |= other.routes
        for name in ("sessions", "by_userid", "early_info", "early_token", "early_flow", "paths", "sequences"):
            mine, theirs = getattr(kept, name), getattr(other, name)
            for key, value in theirs.items():
                mine.setdefault(key, value)
        kept.dirty_sessions |= other.sessions.keys()
        kept.paths = {k: path._replace(cycle=self._accesses.cycle) for k, path in kept.paths.items()}
        kept.paths_used |= other.paths_used
        for number, checksum in other.fseq.sums.items():
            kept.fseq.sums.setdefault(number, checksum)
        for file_id, entry in other.files.items():
            if file_id not in kept.files and file_id not in kept.closed:
                kept.files[file_id] = entry._replace(cycle=self._accesses.cycle)
                if file_id in other.moved:
                    kept.moved[file_id] = other.moved[file_id]
        for file_id in [f for f in kept.files if f in other.closed]:
            del kept.files[file_id]
            kept.moved.pop(file_id, None)
            self._gone.append(rows.key(b"f", kept, file_id))
        kept.given_up |= other.given_up
        kept.dirty_given |= other.given_up.keys()
        kept.closed.merge(other.closed)
        kept.left.extend(other.left)
        kept.leaving.extend(other.leaving)
        kept.clock = max(kept.clock, other.clock)
        kept.heard += other.heard
        for name in ("opens", "closes", "disconnects", "sessions_seen", "fstreams"):
            setattr(kept, name, getattr(kept, name) + getattr(other, name))
        kept.ident = kept.ident or other.ident
        kept.alive = max(kept.alive, other.alive)
        waiting = [*other.wait_file.values(), *other.wait_server]
        waiting += [a for group in other.wait_session.values() for a in group]
        self._unlist(other)
        kept.forget_fragments()
        self._touch(kept)
        for access in waiting:
            access.cycle = -1  # its row was the other's
            if access.file_id not in kept.wait_file:
                self._accesses.settle(kept, access)

    def _map_ident(self, inc: Incarnation, message: maps.Map, header: Header, sender: Sender) -> None:
        del header
        ident = maps.parse_ident(message.detail)
        last, longest = inc.idents
        inc.idents = (self._now, max(longest, self._now - last) if last else 0.0)
        self._addresses[sender.address] = inc
        if ident != inc.ident:
            inc.ident = ident
            inc.forget_fragments()
        if inc.wait_server and not inc.unsettled:
            self._accesses.again_server(inc)

    def _map_session(self, inc: Incarnation, message: maps.Map, header: Header, sender: Sender) -> None:
        del header, sender
        if message.dictid == 0:
            return
        login = maps.parse_login(message.detail)
        known = inc.sessions.get(message.dictid)
        if known is not None and known.userid == message.userid and known.login == login:
            return
        session = Session(message.dictid, message.userid, login, self._now, inc.heard)
        inc.sessions_seen += 1
        inc.sessions[message.dictid] = session
        inc.by_userid[message.userid.text] = message.dictid
        session.appinfo, _ = inc.early_info.pop(message.userid.text, (None, 0.0))
        session.token, _ = inc.early_token.pop(message.dictid, (None, 0.0))
        session.flow, _ = inc.early_flow.pop(message.dictid, (None, 0.0))
        self._session_changed(inc, session)

    def _session_changed(self, inc: Incarnation, session: Session) -> None:
        session.fragment = None
        inc.dirty_sessions.add(session.dictid)
        if inc.wait_session:
            self._accesses.again_session(inc, session.dictid)
            self._accesses.again_session(inc, userid_key(session.userid))

    def _map_info(self, inc: Incarnation, message: maps.Map, header: Header, sender: Sender) -> None:
        del header, sender
        if message.detail is None:
            return
        session = inc.sessions.get(inc.by_userid.get(message.userid.text, 0))
        if session is None:
            early(inc.early_info, message.userid.text, (message.detail, self._now))
        else:
            session.appinfo = message.detail
            self._session_changed(inc, session)

    def _map_token(self, inc: Incarnation, message: maps.Map, header: Header, sender: Sender) -> None:
        del header, sender
        token = maps.parse_token(message.detail)
        session = inc.sessions.get(token.session)
        if session is None:
            early(inc.early_token, token.session, (token, self._now))
        else:
            session.token = token
            self._session_changed(inc, session)

    def _map_flow(self, inc: Incarnation, message: maps.Map, header: Header, sender: Sender) -> None:
        del header, sender
        flow = maps.parse_flow(message.detail)
        session = inc.sessions.get(flow.session)
        if session is None:
            early(inc.early_flow, flow.session, (flow, self._now))
        else:
            session.flow = flow
            self._session_changed(inc, session)

    def _map_path(self, inc: Incarnation, message: maps.Map, header: Header, sender: Sender) -> None:
        del header, sender
        if message.dictid == 0 or not message.detail:
            return
        inc.paths_used = True
        inc.paths.pop(message.dictid, None)  # to the end: only the last are looked at for rows
        inc.paths[message.dictid] = Path(message.detail, message.userid, self._now, self._accesses.cycle)
        self._accesses.again_file(inc, message.dictid)

    def _map_purge(self, inc: Incarnation, message: maps.Map, header: Header, sender: Sender) -> None:
        del sender
        self._map_event("purge", purge_fields(maps.parse_purged(message.detail)), inc, message, header)

    def _map_transfer(self, inc: Incarnation, message: maps.Map, header: Header, sender: Sender) -> None:
        del sender
        self._map_event("transfer", transfer_fields(maps.parse_transferred(message.detail)), inc, message, header)

    def _map_event(
        self, kind: str, fields: dict[str, Any], inc: Incarnation, message: maps.Map, header: Header
    ) -> None:
        content = f"{message.userid.text}\n{message.detail}".encode("utf-8", "surrogateescape")
        identity = event_id(kind, inc.sid, inc.stod, header.pseq, content)
        names = self.options.names
        user = {} if message.userid.protocol == "=" else user_fields(message.userid, None, names)
        record = head(kind, identity) | server_fields(inc, names) | user | fields
        self._outbox.put_event(kind, record, (fields.get("filename", ""),), self._now)

    # -------------------------------------------------------------- other streams

    def _trace(self, data: bytes, remote: str, sender: Sender, shoveler: str | None) -> None:
        del shoveler
        header = parse_header(data)
        sid = trace.sid_of(data, header.end) or self._bound.get((remote, header.stod))
        if sid is None:
            raise Rejected("no_server")
        inc = self._incarnation(remote, header.stod, sid, sender)
        if self._sequence(inc, "M", remote, header.pseq, data) == DUPLICATE:
            return
        _, problems = trace.parse_trace(data, header.end)
        for problem in problems if header.problem is None else [header.problem, *problems]:
            self._reject(sender, problem)

    def _redirect(self, data: bytes, remote: str, sender: Sender, shoveler: str | None) -> None:
        del shoveler
        header = parse_header(data)
        parsed = redirect.parse_redirects(data, header.end)
        inc = self._incarnation(remote, header.stod, parsed.sid, sender)
        if self._sequence(inc, "M", remote, header.pseq, data) == DUPLICATE:
            return
        for problem in parsed.problems if header.problem is None else [header.problem, *parsed.problems]:
            self._reject(sender, problem)
        names = self.options.names
        server = server_fields(inc, names)
        for ordinal, item in enumerate(parsed.redirects):
            session = inc.sessions.get(item.user)
            fields = redirect_fields(item, session_fields(session, names) if session is not None else {})
            content = repr(item).encode("utf-8", "surrogateescape")
            identity = event_id("redirect", inc.sid, inc.stod, header.pseq << 16 | ordinal, content)
            record = head("redirect", identity) | server | fields
            self._outbox.put_event("redirect", record, (fields.get("filename", ""),), self._now)

    def _gstream(self, data: bytes, remote: str, sender: Sender, shoveler: str | None) -> None:
        del shoveler
        stream = gstream.parse_gstream(data)
        if stream.problem:
            self._reject(sender, stream.problem)
        assert stream.stod is not None
        assert stream.sid is not None
        assert stream.pseq is not None
        inc = self._incarnation(remote, stream.stod, stream.sid, sender)
        if self._sequence(inc, f"G{stream.provider}", remote, stream.pseq, data) == DUPLICATE:
            return
        self._events(stream, server_fields(inc, self.options.names), sender, inc)

    def _text(self, data: bytes, remote: str, sender: Sender, shoveler: str | None) -> None:
        del shoveler
        stream = gstream.parse_text(data)
        if stream.stod is None or stream.sid is None or stream.pseq is None:
            known = self._addresses.get(sender.address)
            server = server_fields(known, self.options.names) if known is not None else {"server_ip": sender.address}
            self._events(stream, server, sender, known)
            return
        inc = self._incarnation(remote, stream.stod, stream.sid, sender)
        class_ = f"G{stream.provider}" if stream.code == "g" else "G=" if stream.code == "=" else "Gd"
        if self._sequence(inc, f"{class_} text", remote, stream.pseq, data, 1000) == DUPLICATE:
            return
        source = stream.source
        if inc.host is None and source.host:
            inc.host = source.host
            inc.forget_fragments()
        if inc.ident is None and stream.code == "=":
            inc.ident = maps.Ident(source.site, source.port, source.instance, source.program, source.version)
            inc.forget_fragments()
        self._addresses[sender.address] = inc
        if stream.code == "g":
            self._events(stream, server_fields(inc, self.options.names), sender, inc)

    def _events(self, stream: gstream.GStream, server: dict[str, Any], sender: Sender, inc: Incarnation | None) -> None:
        good = 0
        for ordinal, line in enumerate(stream.lines):
            try:
                kind, fields, paths = event_fields(stream, line, ordinal, server, sender.address)
                self._outbox.put_event(kind, fields, paths, self._now)
            except Rejected as rejected:
                self._reject(sender, rejected.reason)
                continue
            good += 1
            if kind == "tpc" and inc is not None and paths:
                self._accesses.copies[inc.sid, paths[0]] = self._now
                if len(self._accesses.copies) > MAX_COPIES:
                    del self._accesses.copies[next(iter(self._accesses.copies))]
        if stream.stod is None and not good:
            raise Rejected("no_server", "text without a header, and nothing in it is known")

    def _summary_xml(self, data: bytes, remote: str, sender: Sender, shoveler: str | None) -> None:
        del remote, shoveler
        self._summary(summary.parse_summary_xml(data), data, sender)

    def _summary_json(self, data: bytes, remote: str, sender: Sender, shoveler: str | None) -> None:
        del remote, shoveler
        self._summary(summary.parse_summary_json(data), data, sender)

    def _summary(self, report: summary.Summary, data: bytes, sender: Sender) -> None:
        fields = summary_fields(report, sender.address)
        record = head("summary", event_id("summary", None, None, 0, data)) | fields
        self._outbox.put_event("summary", record, (), self._now)

    # -------------------------------------------------------------- time

    def advance(self, now: float) -> None:
        """Let time pass: ends graces, gives up what has expired. Call it once a cycle, also when nothing arrives,
        but only while the source is connected: silence tells something only to somebody who listens.
        """
        self._pass(now)
        self._tick()

    def resume(self, now: float) -> None:
        """The source was away until `now` (call it after `restore`, and after a reconnect): time does not count from
        the last `feed` or `advance` on, so that nobody expires for a silence that nobody listened to.
        """
        if self._now and now - self._away > self._now:
            self._away = now - self._now
        self._listening = now

    def _tick(self) -> None:
        self._feeds = 0
        self._next_tick = self._now + TICK
        for inc in list(self._incarnations.values()):
            self._tick_incarnation(inc)
        if self._now >= self._next_sweep:
            self._next_sweep = self._now + SWEEP
            self._sweep()
        self._eviction.relieve(self._incarnations.values(), self._touch)

    def _tick_incarnation(self, inc: Incarnation) -> None:
        options, accesses, now = self.options, self._accesses, self._now
        if any(tracker.holes for _, _, tracker in inc.trackers()):
            self._settle_sequences(inc, options.grace)
        if inc.wait_file or inc.wait_session or inc.wait_server:
            self._touch(inc)
            accesses.again_due(inc)
        if inc.left and now - inc.left[0].seen >= options.grace:
            self._touch(inc)
            self._end_sessions(inc)
        while inc.leaving and now - inc.leaving[0][0] >= 3 * options.grace:
            self._touch(inc)
            self._forget_session(inc, inc.leaving.popleft()[1])
        quiet = now - max(inc.alive, inc.dead_since or 0.0)
        if inc.dead_since is not None and quiet >= options.grace and (inc.files or inc.waits):
            self._touch(inc)
            accesses.finish_all(inc)
            for file_id in list(inc.files):
                accesses.give_up(inc, file_id, "server_restarted", inc.dead_by)
        elif inc.files and now - inc.alive >= options.ttl:
            self._touch(inc)
            self._totals.expired += len(inc.files)
            for file_id in list(inc.files):
                accesses.give_up(inc, file_id, "expired", None)

    def _end_sessions(self, inc: Incarnation) -> None:
        """Sessions whose disconnect is a grace ago: what they have open was closed and the close is lost."""
        ended: dict[int, int] = {}
        while inc.left and self._now - inc.left[0].seen >= self.options.grace:
            left = inc.left.popleft()
            inc.leaving.append((left.seen, left.user))
            ended[left.user] = left.t_end
        for file_id, entry in list(inc.files.items()):
            user = self._owner(inc, file_id, entry[0])
            # opened in a later window than the disconnect: another session that has the id now
            if user in ended and (entry[5] is None or entry[5] <= ended[user]):
                self._accesses.give_up(inc, file_id, "no_close", ended[user])

    def _owner(self, inc: Incarnation, file_id: int, user: int | None) -> int | None:
        if user is not None:
            return user
        path = inc.paths.get(file_id)
        return inc.by_userid.get(path.userid.text) if path is not None else None

    def _forget_session(self, inc: Incarnation, dictid: int) -> None:
        session = inc.sessions.get(dictid)
        if session is None or not session.gone:
            return
        del inc.sessions[dictid]
        inc.dirty_sessions.discard(dictid)
        if inc.by_userid.get(session.userid.text) == dictid:
            del inc.by_userid[session.userid.text]
        if session.saved:
            self._gone.append(rows.key(b"u", inc, dictid))

    def _sweep(self) -> None:
        """Once a minute: what has grown old."""
        accesses, now = self._accesses, self._now
        old = now - 10 * self.options.grace
        for path in [p for p, seen in accesses.copies.items() if seen < old]:
            del accesses.copies[path]
        for inc in list(self._incarnations.values()):
            self._gone += self._eviction.sweep(inc, now, self._touch)
            if self._eviction.is_over(inc, now):
                self._forget(inc)

    def _crowded(self) -> None:
        """Too many incarnations: those silent for longest go, empty ones first."""
        ordered = sorted(self._incarnations.values(), key=lambda i: (bool(i.files or i.ident), i.alive, i.serial))
        for inc in ordered[: max(1, len(ordered) // 20)]:
            self._accesses.finish_all(inc)
            self._totals.evicted += len(inc.files)
            for file_id in list(inc.files):
                self._accesses.give_up(inc, file_id, "evicted", None)
            self._forget(inc)

    def _forget(self, inc: Incarnation) -> None:
        self._gone += rows.all_keys(inc)
        self._unlist(inc)
        for route in inc.routes:
            if self._routes.get(route) is inc:
                del self._routes[route]
                self._bound.pop(route[:2], None)

    def _unlist(self, inc: Incarnation) -> None:
        del self._incarnations[inc.serial]
        same = self._processes[inc.sid, inc.stod]
        same.remove(inc)
        if not same:
            del self._processes[inc.sid, inc.stod]
        same = self._servers[inc.sid]
        same.remove(inc)
        if not same:
            del self._servers[inc.sid]
        for address in inc.addresses:
            if self._addresses.get(address) is inc:
                del self._addresses[address]

    # -------------------------------------------------------------- out

    def drain(self, now: float) -> None:
        """The source has ended for good: write out all that is held, open files as provisional records.

        Files stay known, so that a later close still gives a complete final record.
        """
        self._pass(now)
        for inc in list(self._incarnations.values()):
            self._touch(inc)
            self._settle_sequences(inc, 0.0)
            self._accesses.finish_all(inc)
            reason, t_max = ("server_restarted", inc.dead_by) if inc.dead_since is not None else ("", None)
            for file_id in list(inc.files):
                self._accesses.give_up(inc, file_id, reason, t_max)

    def take(self) -> list[Record]:
        """The records caused since the last call, in order; the caller owns them now."""
        return self._outbox.take()

    def changes(self) -> tuple[list[tuple[bytes, bytes]], list[bytes]]:
        """State rows ``(key, value)`` to put and keys to delete since the last call (puts and deletes are disjoint).

        A file opened and closed in between costs no row.
        """
        accesses = self._accesses
        put: dict[bytes, bytes] = {}
        deleted = accesses.deleted
        deleted.update(self._gone)
        for inc in self._touched:
            if inc.serial in self._incarnations:
                put.update(rows.incarnation_rows(inc, accesses.cycle, deleted))
        accesses.cycle += 1
        meta = rows.meta_row(self._meta())
        put[meta[0]] = meta[1]
        delete = [key for key in deleted if key not in put]
        accesses.deleted = set()
        self._gone = []
        self._touched = []
        return list(put.items()), delete

    def _meta(self) -> dict[str, Any]:
        return {
            "now": self._now,
            "away": self._away,
            "listening": self._listening,
            "next_tick": self._next_tick,
            "next_sweep": self._next_sweep,
            "feeds": self._feeds,
            "serial": self._serial,
            "numbered": self._accesses.numbered,
            "cycle": self._accesses.cycle,
            "copies": [
                [sid, path.encode("utf-8", "surrogateescape"), t] for (sid, path), t in self._accesses.copies.items()
            ],
        }

    def restore(self, rows_: Iterable[tuple[bytes, bytes]]) -> None:
        """Become the correlator whose rows these are (all of them, in any order). Call it before the first `feed`.

        Raises ValueError when a row is not one of ours or of a newer version; the text says which.
        """
        restored = rows.Restored(rows_)
        meta = restored.meta
        if not meta:
            return
        accesses = self._accesses
        self._now = accesses.now = meta["now"]
        self._away, self._listening = meta["away"], meta["listening"]
        self._next_tick, self._next_sweep, self._feeds = meta["next_tick"], meta["next_sweep"], meta["feeds"]
        self._serial, accesses.numbered, accesses.cycle = meta["serial"], meta["numbered"], meta["cycle"]
        accesses.copies = {(sid, path.decode("utf-8", "surrogateescape")): t for sid, path, t in meta["copies"]}
        for serial in sorted(restored.incarnations):
            inc = restored.incarnations[serial]
            self._incarnations[serial] = inc
            self._processes.setdefault((inc.sid, inc.stod), []).append(inc)
            self._servers.setdefault(inc.sid, []).append(inc)
            for address in inc.addresses:
                self._addresses[address] = inc
            for route in inc.routes:
                self._routes[route] = inc
                self._bound[route[:2]] = inc.sid
        for inc, access in restored.waiting:
            accesses.put_back(inc, access)

    # -------------------------------------------------------------- looking in

    def status(self) -> dict[str, dict[str, Any]]:
        """Per sender (``IP:PORT``) the counters of the status message, cumulative since this object was made:
        ``seen duplicate late gaps decoded rejected records provisional incomplete held open warnings``.

        ``gaps`` is a list of ``{class, stod, after, missing, t_min, t_max}``, ``rejected`` and ``incomplete`` map a
        reason to a count, ``held`` counts ended accesses that still wait for a datagram, ``open`` files open now.
        ``warnings`` is a list of names: ``no_closes`` (opens and disconnects, but never a close: ``fstat`` without
        ``xfr``), ``no_fstat`` (sessions, but never an f-stream), ``silent`` (nothing heard for far longer than it
        names itself, and no other process has taken its place).
        """
        found = {remote: sender.status() for remote, sender in self._senders.known.items()}
        for state in found.values():
            state |= {"held": 0, "open": 0, "warnings": []}
        for inc in self._incarnations.values():
            if inc.remote in found:
                state = found[inc.remote]
                state["held"] += inc.waits
                state["open"] += len(inc.files)
                state["warnings"] = sorted({*state["warnings"], *self._warnings(inc)})
        return found

    def _warnings(self, inc: Incarnation) -> list[str]:
        names: list[str] = []
        if inc.dead_since is not None:
            return names
        if no_closes(inc):
            names.append("no_closes")
        if not inc.fstreams and inc.sessions_seen >= 4 and self._now - inc.first >= 300:
            names.append("no_fstat")
        period = inc.idents[1] or 3600.0
        if self._now - inc.alive > max(2.5 * period, 3 * self.options.grace):
            names.append("silent")
        return names

    @property
    def counters(self) -> dict[str, int]:
        """Totals for metrics; a name with a label is ``name{label}``, for example ``rejected{short}``.

        Counters: ``datagrams decoded duplicates late stale provisional expired evicted senders_forgotten
        records{kind} rejected{reason} incomplete{reason} missing{class} dropped{filter}``; gauges: ``state_bytes
        state_servers state_sessions state_files state_held``.
        """
        everyone = self._incarnations.values()
        return self._totals.flat() | {
            "state_bytes": self._eviction.size(everyone),
            "state_servers": len(self._incarnations),
            "state_sessions": sum(len(inc.sessions) for inc in everyone),
            "state_files": sum(len(inc.files) for inc in everyone),
            "state_held": sum(inc.waits for inc in everyone),
        }

    def dump(self) -> dict[str, Any]:
        """All state as plain values, for a person to read (and ``json.dumps``). Of long lists the first 100."""
        from collector.correlate.dump import dump_incarnation  # only for people

        return {
            "now": self._now,
            "counters": self.counters,
            "incarnations": [dump_incarnation(inc) for inc in self._incarnations.values()],
        }


def interpolate(begin: int, end: int, place: int, records: int) -> int:
    """The time of record number `place` (from 0) of `records` in a window [begin, end]: spread evenly by order."""
    if place >= records:
        return end
    return begin + (end - begin) * place // records


def agree(one: Incarnation, other: Incarnation) -> bool:
    """Whether two incarnations may be one process: no number of the f-stream has come with different bytes."""
    sums = other.fseq.sums
    return all(sums.get(number, checksum) == checksum for number, checksum in one.fseq.sums.items())


def early(table: dict[Any, Any], key: object, value: object) -> None:
    """Remember what came before its session, but not more than `MAX_EARLY`."""
    table.pop(key, None)
    table[key] = value
    if len(table) > MAX_EARLY:
        del table[next(iter(table))]
