"""Which process a datagram is from: routes from sockets to incarnations (format reference, section 4.3)."""

from __future__ import annotations

import ipaddress
import zlib
from functools import lru_cache
from itertools import islice

from collector.correlate.incarnation import Access, Event, Incarnation, OpenFile, Session
from collector.correlate.keys import file_key
from collector.correlate.options import Options
from collector.correlate.present import Present
from collector.correlate.rows import all_keys
from collector.correlate.senders import Sender
from collector.correlate.sequence import REORDER, Tracker
from collector.correlate.waiting import Waiting
from collector.wire.maps import Login, Map, parse_login
from collector.wire.userid import UserId, split_remote

MAX_ROUTES = 512
"""Sockets known per process; beyond it those without a sequence counter are forgotten."""
MAX_PLACES = 64
"""Places where a process is known to be; beyond it the oldest besides its home is forgotten. A few are real; any number
can be forged, because a sid and a start second are not secret."""
MAX_GUESTS = 10_000
"""Sessions remembered by where they were reported, per process and place."""
JUMP = 64
"""A process that sends by a new path continues its numbers; losing more than this many in its move is unlikely."""
REORDERED = 2.0
"""Seconds for which datagrams of a process may still come after the first of its successor at another address."""
START_MARGIN = 2
"""Seconds by which a server must have started after us to be sure that we have heard it from its start."""


class Processes:
    """All incarnations that are known, and the sockets that they send from."""

    def __init__(self, options: Options, present: Present, waiting: Waiting) -> None:
        self._options = options
        self._present = present
        self._waiting = waiting
        self.listening = 0.0
        """Time since which we have heard everything; 0: nothing heard yet."""
        self.serial = 0
        """The last serial number assigned."""
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
        """(sid, stod, place) → the process there, of several in the same second the last. See `place_of`."""
        self._youngest: dict[tuple[int, str], Incarnation] = {}
        """(sid, place) → the incarnation with the highest stod."""
        self._met: Incarnation | None = None
        """The process that the last datagram came from, if it was the first by its path."""
        self._addresses: dict[str, Incarnation] = {}
        """IP → the incarnation named last from there, for events without any header."""

    @property
    def crowded(self) -> bool:
        """There are more than allowed."""
        return len(self.all) > self._options.max_servers

    def find(self, remote: str, stod: int, sid: int, sender: Sender) -> Incarnation:
        """The process that a socket belongs to, known or new. Notes that it was heard. `sid` 0: the datagram does not
        name its server.

        A process heard from a new address is the same one, moved (NAT, DNS, another of its addresses): only containers
        that were copied and started together share a sid and a start second. Those show in what they send; see
        `one_of`, `session_of_one` and `identify`.
        """
        way = self._way(remote, stod, sid)
        inc = self._routes.get((way, stod, sid))
        if inc is None:
            place = self._place(remote, stod, sid, sender)
            inc = self._homes.get((sid, stod, place)) or self._moved(stod, sid, place)
            if inc is None:
                inc = self._new(remote, stod, sid, place)
            else:
                inc.shared = inc.shared or len(inc.addresses) > 1 or inc.one_counter
                self._met = inc
            nameless = self._routes.get((remote, stod, 0))
            self._route(inc, way)
            if sid and nameless is not None and nameless is not inc:
                self._merge(inc, nameless)
        self.heard(inc)
        return inc

    def _way(self, remote: str, stod: int, sid: int) -> str:
        """A socket, distinguished from one of the same name at another site."""
        return remote if sid != stod or not is_private(remote) else f"{remote} {self._present.shoveler}"

    def _place(self, remote: str, stod: int, sid: int, sender: Sender) -> str:
        """The home of a process: an address; where that is ambiguous, also a shoveler; for one without a name of its
        own, a socket.
        """
        if not sid:
            return remote
        return sender.address if sid != stod or not is_private(remote) else f"{sender.address} {self._present.shoveler}"

    def _moved(self, stod: int, sid: int, place: str) -> Incarnation | None:
        """The only process with this name elsewhere, which now sends from a new place."""
        if not sid or sid == stod:
            return None  # only the second of its start
        same = self._same.get((sid, stod), ())
        if len(same) != 1:
            return None
        inc = same[0]
        inc.addresses[place] = set()
        self._settle_in(inc, place)
        self._forget_places(inc)
        return inc

    def _forget_places(self, inc: Incarnation) -> None:
        surplus = len(inc.addresses) - MAX_PLACES
        for place in list(islice(inc.addresses, 1, 1 + surplus)) if surplus > 0 else ():
            del inc.addresses[place]
            self._leave(inc, place)

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
        """Something in it changed: its rows are checked in this cycle."""
        if inc.touched != self._present.number:
            inc.touched = self._present.number
            self.touched.append(inc)

    def _new(self, remote: str, stod: int, sid: int, address: str) -> Incarnation:
        self.serial += 1
        inc = Incarnation(self.serial, sid, stod, remote, address, self._present.now)
        # unknown for a server whose clock is ahead
        if self.listening + START_MARGIN < stod <= self._present.arrived + START_MARGIN:
            inc.hear_from_start()
        other = self._youngest.get((sid, address))
        if other is not None and other.stod != stod:
            older, younger = (other, inc) if other.stod < stod else (inc, other)
            if older.dead_since is None:
                self._dead(older, younger.stod)
        self.add(inc)
        return inc

    def add(self, inc: Incarnation) -> None:
        """Add a process: a new one, or a restored one with its routes."""
        self.all[inc.serial] = inc
        self._same.setdefault((inc.sid, inc.stod), []).append(inc)
        inc.shared = len(inc.addresses) > 1 or (inc.one_counter and len(inc.routes) > 1)
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

    def heard(self, inc: Incarnation) -> None:
        """A datagram of a process has come."""
        inc.alive = self._present.now
        inc.last = self._present.arrived
        inc.heard += 1
        self.touch(inc)
        if inc.dead_since is not None:
            late = 2 * self._options.grace if inc.ended else REORDERED
            if self._present.now - inc.dead_since > late:  # not dead: a clone of its successor
                inc.dead_since, inc.dead_by, inc.ended = None, None, 0.0

    def _dead(self, inc: Incarnation, by: int) -> None:
        inc.dead_since, inc.dead_by, inc.ended = self._present.now, by, self._present.arrived
        self.touch(inc)

    def _succeed(self, inc: Incarnation) -> None:
        """A process has named itself. Those of its name (and on a host of the same name) that started earlier and sent
        from elsewhere were most likely it before a restart, at which its address changed. They may also be its clones:
        then they will be heard again.
        """
        for other in self.all.values():
            if other.sid == inc.sid and other.stod < inc.stod and other.host == inc.host and other.dead_since is None:
                other.dead_since, other.dead_by = self._present.now, inc.stod
                self.touch(other)

    # -------------------------------------------------------------- identification by pid

    def identify(self, inc: Incarnation, userid: UserId, remote: str, sender: Sender) -> Incarnation:
        """A ``=`` has reported pid and host. A process seen by two paths is merged into one here; another pid behind
        the same socket is a restart within a second, or a clone. Returns the process.
        """
        if not userid.sid:
            return inc  # it reports neither
        process = (userid.pid, userid.host or None)
        if inc.pid is None:
            inc.pid, inc.host = process
            inc.not_ready()
            for other in self._same[inc.sid, inc.stod]:
                if other is not inc and (other.pid, other.host) == process and agree(other, inc):
                    self._merge(other, inc)
                    return other
            if inc.host:
                self._succeed(inc)
            return inc
        if (inc.pid, inc.host) == process:
            return inc
        for other in self._same[inc.sid, inc.stod]:
            if (other.pid, other.host) == process and sender.address in other.addresses:
                self._route(other, remote)  # clones behind one address: each keeps its sockets
                self.heard(other)
                return other
        if inc.shared:
            mine, other = self._part(inc, remote, sender)
            other.pid, other.host, other.ident = inc.pid, inc.host, inc.ident
            mine.pid, mine.host, mine.ident = *process, None
            mine.not_ready()
            return mine
        self._dead(inc, inc.stod)
        young = self._new(remote, inc.stod, inc.sid, sender.address)
        young.pid, young.host = process
        self._route(young, remote)
        self.heard(young)
        return young

    def one_of(self, inc: Incarnation, remote: str, sender: Sender, number: int, data: bytes) -> Incarnation:
        """The process that an f-stream datagram is from, which may be a clone of the assumed one: the number of the
        datagram shows it.
        """
        met, self._met = self._met is inc, None
        if contradicts(inc.fseq, number, data, met=met):
            return self._part(inc, remote, sender)[0]
        return inc

    def session_of_one(self, inc: Incarnation, message: Map, remote: str, sender: Sender) -> Incarnation:
        """The process that a ``u`` is from: a clone of the assumed one, if that has reported something else under this
        number.
        """
        self._met = None
        known = inc.sessions.get(message.dictid)
        if (
            known is not None
            and (known.userid, known.login) != (message.userid, parse_login(message.detail))
            and (known.userid, known.login) != (message.userid, Login())
        ):
            return self._part(inc, remote, sender)[0]
        told = inc.addresses.get(self._place(remote, inc.stod, inc.sid, sender))
        if told is not None and len(told) < MAX_GUESTS:
            told.add(message.dictid)
        return inc

    def _part(self, inc: Incarnation, remote: str, sender: Sender) -> tuple[Incarnation, Incarnation]:
        """An assumed single process is two: the one that sends from here, and the other. The one that came later gets
        its own state, with the sessions reported from its place. Everything else it has reported until now stays with
        the other.
        """
        place, way = self._place(remote, inc.stod, inc.sid, sender), self._way(remote, inc.stod, inc.sid)
        here = place != inc.home or len(inc.addresses) == 1
        leaves = place if here else next(reversed(inc.addresses))
        if len(inc.addresses) == 1:
            ways = [route for route in inc.routes if route[0] == way]
        else:
            ways = [route for route in inc.routes if self._homes_at(route[0], leaves)]
        told = inc.addresses.pop(leaves, set()) if len(inc.addresses) > 1 else set()
        inc.shared = len(inc.addresses) > 1 or inc.one_counter
        inc.not_ready()
        young = self._new(remote if here else ways[0][0] if ways else leaves, inc.stod, inc.sid, leaves)
        for dictid in told:
            session = inc.sessions.get(dictid)
            if session is not None:
                young.know_session(copy_of(session))
                young.dirty_sessions.add(dictid)
        for route in ways:
            self._route(young, route[0])
        self.heard(young)
        self.touch(inc)
        return (young, inc) if here else (inc, young)

    @staticmethod
    def _homes_at(way: str, place: str) -> bool:
        """Whether a socket is at a place."""
        remote, _, shoveler = way.partition(" ")
        address = split_remote(remote)[0]
        return place == (f"{address} {shoveler}" if shoveler else address)

    def _merge(self, kept: Incarnation, other: Incarnation) -> None:
        """Two addresses turned out to be one process: `other` becomes part of `kept`."""
        self._present.deleted.update(all_keys(other))
        self._unlist(other)
        kept.addresses = {**kept.addresses, **(other.addresses if other.sid else {})}
        kept.shared = len(kept.addresses) > 1
        for address in kept.addresses:
            self._settle_in(kept, address)
        self._forget_places(kept)
        for route in other.routes:
            self._routes[route] = kept
            self._bound[route[:2]] = kept.sid
        kept.routes |= other.routes
        kept.sequences = {**other.sequences, **kept.sequences}
        if kept.fseq.newest is None:
            kept.fseq = other.fseq
        kept.fseq.sums = {**other.fseq.sums, **kept.fseq.sums}
        kept.ids.merge(other.ids)
        if kept.one_counter:
            kept.file_ids.merge(other.file_ids)
        kept.unsettled = kept.unsettled or other.unsettled
        kept.heard += other.heard
        kept.clock = max(kept.clock, other.clock)
        kept.alive, kept.last = max(kept.alive, other.alive), max(kept.last, other.last)
        kept.ident = kept.ident or other.ident
        kept.told = {**other.told, **kept.told}
        kept.statistics = {**other.statistics, **kept.statistics}
        kept.statistics_changed = bool(kept.statistics)
        for name in ("opens", "closes", "disconnects", "unclosed", "sessions_seen", "infos_seen", "fstreams"):
            setattr(kept, name, getattr(kept, name) + getattr(other, name))
        known = [inc.numbers for inc in (kept, other) if inc.numbered]
        if known:
            kept.numbers = (min(low for low, _ in known), max(high for _, high in known))
        kept.numbered += other.numbered
        self._merge_sessions(kept, other)
        self._merge_files(kept, other)
        self.touch(kept)

    def _merge_sessions(self, kept: Incarnation, other: Incarnation) -> None:
        for dictid, session in other.sessions.items():
            if dictid not in kept.sessions:
                kept.know_session(session)
                kept.by_userid[session.userid.text].sort(key=lambda d: (kept.sessions[d].seen, d))
        for name in ("early_info", "early_token", "early_flow"):
            mine, theirs = getattr(kept, name), getattr(other, name)
            for key, entry in theirs.items():
                known = mine.setdefault(key, entry)
                known.values = {**entry.values, **known.values}
        for dictid, session in kept.sessions.items():
            twin = other.sessions.get(dictid)
            if twin is not None:
                session.infos.join(twin.infos)
                session.tokens.join(twin.tokens)
                session.flows.join(twin.flows)
            kept.take_early(session)
            kept.note_told(session)
        kept.dirty_sessions |= kept.sessions.keys()
        kept.left.extend(other.left)
        kept.leaving.extend(other.leaving)
        for file_id, path in other.paths.items():
            if file_id not in kept.paths:
                kept.paths[file_id] = path._replace(cycle=self._present.number)
        kept.paths_used |= other.paths_used
        kept.not_ready()

    def _merge_files(self, kept: Incarnation, other: Incarnation) -> None:
        """Files open on one side and closed on the other are closed; what both have closed is reported once."""
        cycle = self._present.number
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
                kept.files[file_id] = OpenFile._make(entry)._replace(cycle=cycle)
                if file_id in other.moved:
                    kept.moved[file_id] = other.moved[file_id]
        kept.closed.merge(other.closed)
        for file_id in [f for f in kept.files if f in kept.closed]:
            del kept.files[file_id]
            kept.moved.pop(file_id, None)
            kept.dirty_files.discard(file_id)
            self._present.deleted.add(file_key(kept, file_id))
        kept.given_up = {**other.given_up, **kept.given_up}
        kept.dirty_given |= other.given_up.keys()
        for waiter in waiting:
            waiter.cycle = -1  # its row, if it has one, was the other's
            self._waiting.settle(kept, waiter)

    # -------------------------------------------------------------- the end

    def forget(self, inc: Incarnation) -> None:
        """Forget a process that is not needed any more."""
        self._present.deleted.update(all_keys(inc))
        self._unlist(inc)
        for route in inc.routes:
            self._drop_route(inc, route)

    def _unlist(self, inc: Incarnation) -> None:
        del self.all[inc.serial]
        same = self._same[inc.sid, inc.stod]
        same.remove(inc)
        if not same:
            del self._same[inc.sid, inc.stod]
        named = {split_remote(remote.partition(" ")[0])[0] for remote, _, _ in inc.routes}
        for address in named.union(inc.addresses):
            self._leave(inc, address)

    def _leave(self, inc: Incarnation, address: str) -> None:
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


def contradicts(tracker: Tracker, number: int, data: bytes, *, met: bool) -> bool:
    """Whether a datagram cannot be of this counter: its number has come with other bytes, or (`met`: it is the first by
    its path) the number does not continue those that have come.
    """
    if tracker.newest is None:
        return False
    ahead = (number - tracker.newest) % tracker.modulus
    behind = -ahead % tracker.modulus
    if 0 < ahead < tracker.history:
        return met and ahead > JUMP
    if tracker.seen >> behind & 1 and number in tracker.sums:
        return tracker.sums[number] != zlib.crc32(data)
    return met and behind > REORDER


@lru_cache(maxsize=4096)
def is_private(remote: str) -> bool:
    """Whether a sender's address is one that many sites have: a loopback or private one."""
    try:
        address = ipaddress.ip_address(split_remote(remote)[0])
    except ValueError:
        return False
    return address.is_private or address.is_link_local


def copy_of(session: Session) -> Session:
    """A separate session with the same content."""
    copy = Session(session.dictid, session.userid, session.login, session.seen, session.heard)
    copy.infos.join(session.infos)
    copy.tokens.join(session.tokens)
    copy.flows.join(session.flows)
    copy.gone, copy.gone_end, copy.used = session.gone, session.gone_end, session.used
    return copy
