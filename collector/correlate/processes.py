"""Which process a datagram is from: routes from sockets to incarnations (format reference, section 4.3)."""

from __future__ import annotations

from collector.correlate.cycle import Cycle
from collector.correlate.incarnation import Access, Event, Incarnation
from collector.correlate.keys import file_key
from collector.correlate.options import Options
from collector.correlate.rows import all_keys
from collector.correlate.senders import Sender
from collector.correlate.waiting import Waiting
from collector.wire.userid import UserId

MAX_ROUTES = 512
"""Sockets known per process; beyond it those without a sequence counter are forgotten."""
START_MARGIN = 2
"""Seconds by which a server must have started after us to be sure that we have heard it from its start."""


class Processes:
    """All incarnations that are known, and the sockets that they send from."""

    def __init__(self, options: Options, cycle: Cycle, waiting: Waiting) -> None:
        self._options = options
        self._cycle = cycle
        self._waiting = waiting
        self.listening = 0.0
        """Since when we have heard everything; 0: nothing heard yet."""
        self.serial = 0
        """The serial number given last."""
        self.all: dict[int, Incarnation] = {}
        """By serial number."""
        self.touched: list[Incarnation] = []
        """Changed in this cycle."""
        self._routes: dict[tuple[str, int, int], Incarnation] = {}
        """(sender, stod, sid) → the process that it is a socket of."""
        self._bound: dict[tuple[str, int], int] = {}
        """(sender, stod) → sid, for datagrams that do not name their server."""
        self._same: dict[tuple[int, int], list[Incarnation]] = {}
        """(sid, stod) → processes; more than one are clones."""
        self._homes: dict[tuple[int, int, str], Incarnation] = {}
        """(sid, stod, IP) → the process there, of several in the same second the last."""
        self._youngest: dict[tuple[int, str], Incarnation] = {}
        """(sid, IP) → the incarnation with the highest stod."""
        self._addresses: dict[str, Incarnation] = {}
        """IP → the incarnation named last from there, for events without any header."""

    @property
    def crowded(self) -> bool:
        """There are more than allowed."""
        return len(self.all) > self._options.max_servers

    def find(self, remote: str, stod: int, sid: int, sender: Sender) -> Incarnation:
        """The process that a socket belongs to, known or new. Notes that it was heard."""
        inc = self._routes.get((remote, stod, sid))
        if inc is None:
            inc = self._homes.get((sid, stod, sender.address))
            if inc is None:
                inc = self._new(remote, stod, sid, sender.address)
            self._route(inc, remote)
        self._heard(inc)
        return inc

    def sid_of(self, remote: str, stod: int) -> int | None:
        """The sid that a socket has named before, for datagrams that do not."""
        return self._bound.get((remote, stod))

    def at(self, address: str) -> Incarnation | None:
        """The process named last at an IP address."""
        return self._addresses.get(address)

    def named(self, address: str, inc: Incarnation) -> None:
        """A process has just named itself at an IP address."""
        self._addresses[address] = inc

    def touch(self, inc: Incarnation) -> None:
        """Something in it changed: its rows are looked at in this cycle."""
        if inc.touched != self._cycle.number:
            inc.touched = self._cycle.number
            self.touched.append(inc)

    def _new(self, remote: str, stod: int, sid: int, address: str) -> Incarnation:
        self.serial += 1
        inc = Incarnation(self.serial, sid, stod, remote, address, self._cycle.now)
        # of a server whose clock is ahead this cannot be told
        if self.listening + START_MARGIN < stod <= self._cycle.arrived + START_MARGIN:
            inc.hear_from_start()
        other = self._youngest.get((sid, address))
        if other is not None and other.stod != stod:
            older, younger = (other, inc) if other.stod < stod else (inc, other)
            if older.dead_since is None:
                self._dead(older, younger.stod)
        self.add(inc)
        return inc

    def add(self, inc: Incarnation) -> None:
        """Know a process: a new one, or a restored one with its routes."""
        self.all[inc.serial] = inc
        self._same.setdefault((inc.sid, inc.stod), []).append(inc)
        for address in inc.addresses:
            self._settle_in(inc, address)
        for route in inc.routes:
            self._routes[route] = inc
            self._bound[route[:2]] = inc.sid

    def _settle_in(self, inc: Incarnation, address: str) -> None:
        self._addresses[address] = inc
        self._homes[inc.sid, inc.stod, address] = inc
        youngest = self._youngest.get((inc.sid, address))
        if youngest is None or youngest.stod <= inc.stod:
            self._youngest[inc.sid, address] = inc

    def _route(self, inc: Incarnation, remote: str) -> None:
        route = (remote, inc.stod, inc.sid)
        before = self._routes.get(route)
        if before is not None:
            before.routes.discard(route)
        self._routes[route] = inc
        self._bound[route[:2]] = inc.sid
        inc.routes.add(route)
        if len(inc.routes) > MAX_ROUTES:
            kept = {sender for sender, _ in inc.sequences} | {inc.remote, remote}
            for old in [r for r in inc.routes if r[0] not in kept]:
                inc.routes.discard(old)
                self._drop_route(inc, old)

    def _drop_route(self, inc: Incarnation, route: tuple[str, int, int]) -> None:
        if self._routes.get(route) is inc:
            del self._routes[route]
            self._bound.pop(route[:2], None)

    def _heard(self, inc: Incarnation) -> None:
        inc.alive = self._cycle.now
        inc.last = self._cycle.arrived
        inc.heard += 1
        self.touch(inc)
        if inc.dead_since is not None and self._cycle.now - inc.dead_since > 2 * self._options.grace:
            inc.dead_since, inc.dead_by, inc.ended = (
                None,
                None,
                0.0,
            )  # not dead: a clone of its successor behind the same address

    def _dead(self, inc: Incarnation, by: int) -> None:
        inc.dead_since, inc.dead_by, inc.ended = self._cycle.now, by, self._cycle.arrived
        self.touch(inc)

    # -------------------------------------------------------------- what a pid tells

    def identify(self, inc: Incarnation, userid: UserId, remote: str, sender: Sender) -> Incarnation:
        """A ``=`` has told pid and host. A process seen over two ways is one, and becomes one here; another pid behind
        the same socket is a restart within a second, or a clone. Returns the process that it is.
        """
        process = (userid.pid, userid.host or None)
        if inc.pid is None:
            inc.pid, inc.host = process
            inc.not_ready()
            for other in self._same[inc.sid, inc.stod]:
                if other is not inc and (other.pid, other.host) == process and agree(other, inc):
                    self._merge(other, inc)
                    return other
            return inc
        if (inc.pid, inc.host) == process:
            return inc
        for other in self._same[inc.sid, inc.stod]:
            if (other.pid, other.host) == process and sender.address in other.addresses:
                self._route(other, remote)  # clones behind one address: each keeps its sockets
                self._heard(other)
                return other
        self._dead(inc, inc.stod)
        young = self._new(remote, inc.stod, inc.sid, sender.address)
        young.pid, young.host = process
        self._route(young, remote)
        self._heard(young)
        return young

    def _merge(self, kept: Incarnation, other: Incarnation) -> None:
        """Two addresses turned out to be one process: `other` becomes part of `kept`."""
        self._cycle.deleted.update(all_keys(other))
        self._unlist(other)
        kept.addresses |= other.addresses
        for address in other.addresses:
            self._settle_in(kept, address)
        for route in other.routes:
            self._routes[route] = kept
            self._bound[route[:2]] = kept.sid
        kept.routes |= other.routes
        kept.sequences = {**other.sequences, **kept.sequences}
        kept.fseq.sums = {**other.fseq.sums, **kept.fseq.sums}
        kept.ids.merge(other.ids)
        if kept.one_counter:
            kept.file_ids.merge(other.file_ids)
        kept.heard += other.heard
        kept.clock = max(kept.clock, other.clock)
        kept.alive, kept.last = max(kept.alive, other.alive), max(kept.last, other.last)
        kept.ident = kept.ident or other.ident
        kept.told = {**other.told, **kept.told}
        kept.statistics = {**other.statistics, **kept.statistics}
        kept.statistics_changed = bool(kept.statistics)
        for name in ("opens", "closes", "disconnects", "unclosed", "sessions_seen", "infos_seen", "fstreams"):
            setattr(kept, name, getattr(kept, name) + getattr(other, name))
        self._merge_sessions(kept, other)
        self._merge_files(kept, other)
        self.touch(kept)

    def _merge_sessions(self, kept: Incarnation, other: Incarnation) -> None:
        for dictid, session in other.sessions.items():
            if dictid not in kept.sessions:
                kept.know_session(session)
                kept.by_userid[session.userid.text].sort(key=lambda d: (kept.sessions[d].seen, d))
        kept.early_info = {**other.early_info, **kept.early_info}
        kept.early_token = {**other.early_token, **kept.early_token}
        kept.early_flow = {**other.early_flow, **kept.early_flow}
        for dictid, session in kept.sessions.items():
            known = other.sessions.get(dictid, session)
            if kept.session_named(session.userid.text) is session:
                known.appinfo = known.appinfo or kept.early_info.pop(session.userid.text, (None, 0.0))[0]
            session.appinfo = session.appinfo or known.appinfo
            session.token = session.token or known.token or kept.early_token.pop(dictid, (None, 0.0))[0]
            session.flow = session.flow or known.flow or kept.early_flow.pop(dictid, (None, 0.0))[0]
        kept.dirty_sessions |= kept.sessions.keys()
        kept.left.extend(other.left)
        kept.leaving.extend(other.leaving)
        for file_id, path in other.paths.items():
            if file_id not in kept.paths:
                kept.paths[file_id] = path._replace(cycle=self._cycle.number)
        kept.paths_used |= other.paths_used
        kept.not_ready()

    def _merge_files(self, kept: Incarnation, other: Incarnation) -> None:
        """Files open on one side and closed on the other are closed; what both have closed is told once."""
        cycle = self._cycle.number
        waiting = other.all_waiting()
        told = {w.record_id for w in kept.all_waiting() if isinstance(w, Event)}
        waiting = [
            w for w in waiting if (w.file_id not in kept.closed if isinstance(w, Access) else w.record_id not in told)
        ]
        waiting += self._waiting.take_orphans(kept)
        orphans = [w for w in waiting if isinstance(w, Access) and w.start is None]
        for access in orphans:
            entry = kept.files.get(access.file_id) or other.files.get(access.file_id)
            if entry is not None:
                access.opened_as(entry)
        for file_id, entry in other.files.items():
            if file_id not in kept.files and file_id not in kept.closed:
                kept.files[file_id] = (*entry[:6], cycle, *entry[7:])
                if file_id in other.moved:
                    kept.moved[file_id] = other.moved[file_id]
        kept.closed.merge(other.closed)
        for file_id in [f for f in kept.files if f in kept.closed]:
            del kept.files[file_id]
            kept.moved.pop(file_id, None)
            kept.dirty_files.discard(file_id)
            self._cycle.deleted.add(file_key(kept, file_id))
        kept.given_up = {**other.given_up, **kept.given_up}
        kept.dirty_given |= other.given_up.keys()
        for waiter in waiting:
            waiter.cycle = -1  # its row, if it has one, was the other's
            self._waiting.settle(kept, waiter)

    # -------------------------------------------------------------- the end

    def forget(self, inc: Incarnation) -> None:
        """Nothing of it is needed any more."""
        self._cycle.deleted.update(all_keys(inc))
        self._unlist(inc)
        for route in inc.routes:
            self._drop_route(inc, route)

    def _unlist(self, inc: Incarnation) -> None:
        del self.all[inc.serial]
        same = self._same[inc.sid, inc.stod]
        same.remove(inc)
        if not same:
            del self._same[inc.sid, inc.stod]
        for address in inc.addresses:
            if self._addresses.get(address) is inc:
                del self._addresses[address]
            if self._homes.get((inc.sid, inc.stod, address)) is inc:
                del self._homes[inc.sid, inc.stod, address]
            if self._youngest.get((inc.sid, address)) is inc:
                del self._youngest[inc.sid, address]


def agree(one: Incarnation, other: Incarnation) -> bool:
    """Whether two incarnations may be one process: no number of the f-stream has come with different bytes."""
    sums = other.fseq.sums
    return all(sums.get(number, checksum) == checksum for number, checksum in one.fseq.sums.items())
