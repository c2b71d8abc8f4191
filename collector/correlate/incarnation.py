"""What we know of one process of a server: its name, its sessions, its open files, and what we still wait for."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any, Final, Generic, NamedTuple, TypeVar

import msgspec

from collector.correlate.closed import ClosedIds
from collector.correlate.delivered import Cache
from collector.correlate.ids import OPEN, Ids, Seen
from collector.correlate.sequence import MAX_PAST, Gap, Tracker
from collector.records.ids import access_base
from collector.wire.maps import Flow, Ident, Login, Token
from collector.wire.userid import UserId

USE_COUNTS = 3600.0
"""Seconds: the use of a session is noted at most this often."""
MAX_TOLD = 128
"""Datagrams of events remembered, to recognise copies that come by other paths."""
MAX_WAYS = 8
"""Number of such paths that are distinguished."""
LOOK_BACK = 16
"""Maximum number of sessions with the same user id to search for one that is open, and of values of one for one that
came in time."""
KEPT_TOLD = 16
"""Number of successive values of a session that are kept, besides those in force for files that are still open, and
those after which an open may have been made that is still in the server's buffer…"""
MAX_UNREPORTED = 4096
"""…of which at most this many are kept."""
OVERTAKEN = 5.0
"""Seconds by which something that a session was told may come later than the report of an open after it."""

FLOW_AFTER = 4
"""A ``U`` is numbered right after the open that caused it, or at most this many later, as others open at the same
time."""

_IDS = 1 << 32


class OpenFile(NamedTuple):
    """An open file. The hot loop packs and unpacks tuples of this shape; keep the order."""

    user: int | None
    """Dictid of the session; None when the open did not name it (then the ``d`` map does), 0 when there is none."""
    size: int | None
    path: bytes | None
    writable: bool
    start: int | None
    """Time of the open, interpolated in its window; None: no open was seen, only progress (a *stub*)."""
    begin: int | None
    """tBeg that identifies the access: of the open's window, or (stub given up) of the last progress."""
    cycle: int
    """Checkpoint cycle in which it was added: rows of files that come and go within one are never written."""
    seen: float
    given: bool
    """A provisional record exists already."""
    tail: bytes | None = None
    """The part of a record after the name, made by the fast path for a file of which nothing else is None."""


FileTuple = tuple[int | None, int | None, bytes | None, bool, int | None, int | None, int, float, bool, bytes | None]
"""An `OpenFile` without field names: what the hot loop creates. (With names it made 3 to 6 % fewer records a
second.)"""
USER_AT: Final = 0
PATH_AT: Final = 2
START_AT: Final = 4
BEGIN_AT: Final = 5
CYCLE_AT: Final = 6
SEEN_AT: Final = 7
GIVEN_AT: Final = 8
"""Places in it, by the names of `OpenFile`."""

Opened = tuple[int | None, int | None, bytes | None, bool, int | None, int | None]
NOT_OPENED: Opened = (None, None, None, False, None, None)


def opened_part(entry: FileTuple) -> Opened:
    """What an access keeps of its file: user, size, path, writable, start, begin."""
    return entry[:6]


def written_part(entry: FileTuple) -> tuple[Any, ...]:
    """What is written of an open file: all but the tail."""
    return entry[:9]


class Moved(NamedTuple):
    """The last progress of an open file, and when it came."""

    read: int
    readv: int
    write: int
    begin: int
    seen: float


class Access(msgspec.Struct, array_like=True, gc=False):
    """An access that ended, or is given up, on its way to become a record."""

    file_id: int
    user: int | None
    size: int | None
    path: bytes | None
    writable: bool
    start: int | None
    begin: int | None
    given: bool
    closed: bool
    """False: given up without a close."""
    forced: bool
    close_begin: int
    end: int
    t_max: int | None
    read: int | None
    readv: int | None
    write: int | None
    operations: tuple[int, int, int, int, int, int, int, int, int, int, int, int] | None
    squares: tuple[float, float, float, float] | None
    moved: bool
    """Progress was reported while it was open."""
    reasons: list[str]
    since: float
    """When it arrived here: the start of all graces."""
    heard: int
    number: int = 0
    """Number of this access among all that had to wait: the key of its row."""
    cycle: int = -1
    waiting: bool = False
    place: str = ""
    """Where it waits: file, session or server."""
    session_key: int | bytes | None = None
    """The key that it waits for in ``wait_session``."""
    reported: float | None = None
    """When its open came; None: not seen."""

    def opened_as(self, entry: FileTuple) -> None:
        """Its open has come late."""
        self.user, self.size, self.path, self.writable, self.start, self.begin = opened_part(entry)
        self.reported = entry[SEEN_AT] if self.start is not None else None


class Event(msgspec.Struct, array_like=True, gc=False):
    """A record of another kind than ``file`` that waits for its server, or for its session, to become known."""

    kind: str
    record_id: str
    fields: dict[str, Any]
    """The fields of the event itself."""
    paths: list[str]
    """Paths that filters check."""
    user: int
    """Dictid of the session; 0: none."""
    since: float
    number: int = 0
    cycle: int = -1
    waiting: bool = False
    place: str = ""
    session_key: int | bytes | None = None


Waiter = Access | Event


class Series(msgspec.Struct, array_like=True, gc=False):
    """One kind of storage statistics of a process: what was written last, and what the server has reported since."""

    told: float
    """Time up to which differences have been written."""
    base: dict[str, int | float]
    """The counters at that time."""
    newest: float
    latest: dict[str, int | float]
    address: str
    """Source of the newest."""

    @property
    def due(self) -> bool:
        """Something was reported since."""
        return self.newest > self.told


class Ready(NamedTuple):
    """A session's part of complete records, made once."""

    since: int
    """It is valid for files with a number above this…"""
    told: float
    """…whose open was reported no earlier."""
    text: bytes
    """Fields of server and session as JSON text, without the braces, up to the file's name."""
    vo: str
    """Its word of the routing key."""
    access_types: tuple[bytes, ...]
    """By shape (`collector.records.template`), without squares."""


T = TypeVar("T")


class Telling(NamedTuple, Generic[T]):
    """Something that a session was told."""

    distance: int
    """How long after the session it was numbered."""
    seen: float
    value: T


class Told(Generic[T]):
    """Successive values that a session was told: each is in force for the files opened after it, until the next.

    Numbers come from one counter of the process, so an open that has a greater number came later. They are kept as
    distances from the session's own number, which are not affected when the counter wraps. Distance 0, the session's
    own number: the numbers do not show the order (Pelican's origins send it so, and count files by themselves).
    """

    __slots__ = ("_fresh", "_fstreams", "_room", "tellings", "varied")

    def __init__(self, tellings: Iterable[Telling[T]] = ()) -> None:
        self.tellings = sorted(tellings, key=_order)
        self.varied = any(telling.value != self.tellings[0].value for telling in self.tellings)
        """It was told different values."""
        self._room = 2 * max(KEPT_TOLD, len(self.tellings))
        self._fstreams = 0
        self._fresh = (len(self.tellings), 0)
        """How many came between the last two f-stream datagrams, and after the last."""

    def put(self, telling: Telling[T], fstreams: int = 0) -> bool:
        """Add one; `fstreams` counts the f-stream datagrams that came before it. Returns whether to call `keep` now."""
        if fstreams != self._fstreams:
            self._fstreams, self._fresh = fstreams, (self._fresh[1], 0)
        self._fresh = self._fresh[0], self._fresh[1] + 1
        self.varied = self.varied or bool(self.tellings and self.tellings[-1].value != telling.value)
        if telling.distance:
            index = bisect_left(self.tellings, telling.distance, key=_distance)
            same = index < len(self.tellings) and self.tellings[index].distance == telling.distance
            self.tellings[index : index + same] = [telling]
        else:
            index = bisect_right(self.tellings, _order(telling), key=_order)
            if not index or self.tellings[index - 1].value != telling.value:
                self.tellings.insert(index, telling)
        return len(self.tellings) > self._room

    def last(self) -> T | None:
        """What is in force now."""
        return self.tellings[-1].value if self.tellings else None

    def at(self, distance: int, time: float = math.inf) -> T | None:
        """What was in force for a file at a distance, of what had come by a time."""
        place = self._place(distance, time)
        return self.tellings[place].value if place >= 0 else None

    def since(self, distance: int) -> int:
        """The distance from which on what was in force for a file at a distance was in force."""
        place = self._place(distance)
        return self.tellings[place].distance if place >= 0 else 0

    def by(self, time: float) -> T | None:
        """The last one that had come by a time."""
        place = self._place_by(time)
        return self.tellings[place].value if place >= 0 else None

    def _place(self, distance: int, time: float = math.inf) -> int:
        last = bisect_left(self.tellings, max(distance, 1), key=_distance) - 1
        places = range(last, max(last - LOOK_BACK, -1), -1)
        return next((place for place in places if self.tellings[place].seen <= time), -1)

    def _place_by(self, time: float) -> int:
        places = [(telling.seen, place) for place, telling in enumerate(self.tellings) if telling.seen <= time]
        return max(places)[1] if places else -1

    def keep(self, files: Iterable[tuple[int, float]]) -> None:
        """Forget what is not in force for any of these files, given by distance and time, except for the last
        `KEPT_TOLD`, and those after which files may have been opened that the server has not reported yet.
        """
        arrivals = sorted((telling.seen, place) for place, telling in enumerate(self.tellings))
        places = set()
        for distance, time in files:
            places |= {self._place(distance), self._place(distance, time + OVERTAKEN)}
            before = bisect_right(arrivals, (time, math.inf))
            places.update(place for _, place in arrivals[max(before - 1, 0) : before])
        last = len(self.tellings) - min(max(KEPT_TOLD, sum(self._fresh)), MAX_UNREPORTED)
        self.tellings = [telling for place, telling in enumerate(self.tellings) if place >= last or place in places]
        self._room = 2 * max(KEPT_TOLD, len(self.tellings))

    def join(self, other: Told[T]) -> None:
        """Add what came by another path."""
        known = {telling.distance for telling in self.tellings if telling.distance}
        for telling in other.tellings:
            if telling.distance not in known:
                self.put(telling, self._fstreams)

    def __bool__(self) -> bool:
        return bool(self.tellings)


def _order(telling: Telling[Any]) -> tuple[int, float]:
    return telling.distance, telling.seen


def _distance(telling: Telling[Any]) -> int:
    return telling.distance


class Session:
    """A client connection, known by the dictid of its ``u``."""

    __slots__ = (
        *("dictid", "flows", "gone", "gone_end", "heard", "infos", "login"),
        *("saved", "seen", "tokens", "used", "userid"),
    )

    def __init__(self, dictid: int, userid: UserId, login: Login, seen: float, heard: int) -> None:
        self.dictid = dictid
        self.userid = userid
        self.login = login
        self.infos: Told[str] = Told()
        self.tokens: Told[Token] = Told()
        self.flows: Told[Flow] = Told()
        self.seen = seen
        self.heard = heard
        """Number of datagrams of the server that had come when this one came."""
        self.gone = 0.0
        """When it disconnected; 0: it has not."""
        self.gone_end = 0
        """…and tEnd of the window that reported it."""
        self.used = seen
        """When it was last used, to the hour."""
        self.saved = False

    @property
    def tellings(self) -> int:
        """How much of what it was told is kept."""
        return len(self.infos.tellings) + len(self.tokens.tellings) + len(self.flows.tellings)

    @property
    def is_told_anew(self) -> bool:
        """Whether its files may have been opened under different tokens or application infos: it was told several, or
        comes by HTTP, where a connection may be pooled.
        """
        by_http = self.userid.protocol in ("http", "https")
        return self.tokens.varied or self.infos.varied or (by_http and bool(self.tokens))

    def distance(self, number: int) -> int:
        """How long after the session something was numbered; 0 if it has no number of its own."""
        return (number - self.dictid) % _IDS if number else 0

    def use(self, now: float) -> None:
        """Note that it is in use."""
        if now - self.used > USE_COUNTS:
            self.used = now


class Early(Generic[T]):
    """What came before its session: by its number, and when the first and the last of it came."""

    __slots__ = ("began", "seen", "userid", "values")

    def __init__(self, seen: float, values: dict[int, T] | None = None, userid: UserId | None = None) -> None:
        self.began = self.seen = seen
        self.values: dict[int, T] = values if values is not None else {}
        self.userid = userid
        """That of the session, if it names the session by its dictid."""


class Path(NamedTuple):
    """The content of a ``d`` map for a file id: its path, and the text of the user id."""

    path: str
    userid: UserId
    seen: float
    cycle: int


class Left(NamedTuple):
    """A disconnect, until its grace is over."""

    seen: float
    user: int
    t_end: int


class Incarnation:
    """One process of a server: (sid, stod, sender address), and everything known about it."""

    def __init__(self, serial: int, sid: int, stod: int, remote: str, address: str, now: float) -> None:
        self.serial = serial
        """Our own number, never reused: the prefix of the keys of its rows."""
        self.sid = sid
        self.stod = stod
        self.addresses: dict[str, set[int]] = {address: set()}
        """Places that it sends from, in order of appearance → sessions reported from there, if `shared`."""
        self.shared = False
        """It sends from several places, like one process whose address has moved; if it contradicts itself, it was two
        processes."""
        self.routes: set[tuple[str, int, int]] = set()
        self.remote = remote
        """The sender of its last f-stream datagram (or of its first of any kind)."""
        self.shoveler: str | None = None
        self.ident: Ident | None = None
        self.host: str | None = None
        self.pid: int | None = None
        self.idents: tuple[float, float] = (0.0, 0.0)
        """When ``=`` came last, and the longest time between two."""
        self.first = now
        self.alive = now
        self.last = 0.0
        """Arrival of its newest datagram (`alive` is the same on the clock that stands while the source is away)."""
        self.heard = 0
        self.from_start = False
        """We have listened since the process started."""
        self.dead_since: float | None = None
        """When a newer incarnation appeared in its place."""
        self.dead_by: int | None = None
        """…and when that one started (its stod)."""
        self.ended = 0.0
        """Arrival of the first datagram of that one; 0: none, or it sends from elsewhere, which does not prove that
        this one has ended."""
        self.clock = stod
        """The latest time that the server has reported (Unix seconds)."""

        self.fseq = Tracker()
        self.sequences: dict[tuple[str, str], Tracker] = {}
        """Other counters by (sender, class); the sender is "" if one counter is for all of them."""
        self.told: dict[bytes, dict[str, int]] = {}
        """Digest of a datagram of events → how often it came, by sender."""
        self.files_left: dict[str, float] = {}
        """Senders from which the f-stream came before, and when it began to come from another (the last few)."""
        self.twofold = False
        """It sends to two destinations at once, by two sockets that both reach us."""
        self.gaps: list[tuple[str, Gap]] = []
        """(class, gap), oldest first."""
        self.gap_until = 0.0
        """Nothing that began later can have lost anything in a gap that affects records."""
        self.endless = False
        """The time by which some gap had ended is not yet known."""
        self.unsettled = False
        """A datagram is missing that may only be late."""

        self.sessions: dict[int, Session] = {}
        self.ready: dict[int, Ready] = {}
        """By dictid, for sessions of which everything is known; made again when something changes."""
        self.by_userid: dict[str, list[int]] = {}
        """Text of a user id → dictids of its sessions, oldest first: several connections of a client may share it."""
        self.much_told: set[int] = set()
        """Dictids of sessions that have been told more than usual, for the size of the state."""
        self.early_info: dict[str, Early[str]] = {}
        """By the text of the user id."""
        self.early_token: dict[int, Early[Token]] = {}
        self.early_flow: dict[int, Early[Flow]] = {}
        self.paths: dict[int, Path] = {}
        self.paths_used = False
        """It sends ``d`` maps."""
        self.left: deque[Left] = deque()
        self.leaving: deque[tuple[float, int]] = deque()

        self.files: dict[int, FileTuple] = {}
        """Each entry has the shape of `OpenFile`."""
        self.moved: dict[int, Moved] = {}
        self.given_up: dict[int, OpenFile] = {}
        self.closed = ClosedIds()
        self.wait_file: dict[int, Access] = {}
        """By file id."""
        self.wait_session: dict[int | bytes, list[Waiter]] = {}
        """By dictid, or by the bytes of the user id's text."""
        self.wait_server: list[Waiter] = []

        self.one_counter = sid == stod
        """Pelican's own origins: one sequence counter for f-stream and maps, ids of users and of files each from 1, and
        only the second of the start as sid."""
        self.ids = Ids("u" if self.one_counter else None)
        self.file_ids = Ids(OPEN) if self.one_counter else self.ids
        """The ids of opens; elsewhere they are of the same counter as all others."""
        self.lost_files = 0
        self.lost_maps = 0
        """Datagrams that never came, by the sequence numbers."""

        self.opens = 0
        self.closes = 0
        self.disconnects = 0
        self.unclosed = 0
        """Files that were open, as far as we know, when their session had ended."""
        self.sessions_seen = 0
        self.infos_seen = 0
        self.fstreams = 0
        self.numbered = 0
        """Map messages with a number…"""
        self.numbers = (0, 0)
        """…and the lowest and highest of these."""

        self.cache: Cache | None = None
        """What it reports as delivered, once it has reported: then it is a cache. Not kept across our restart."""
        self.statistics: dict[str, Series] = {}
        """Storage statistics by the name of their event."""
        self.statistics_changed = False

        self.digest = access_base(sid, stod)
        """The prefix of all its access ids."""
        self.touched = -1
        """The last cycle in which anything here changed."""
        self.dirty_files: set[int] = set()
        self.dirty_sessions: set[int] = set()
        self.dirty_given: set[int] = set()
        self.new_waits: dict[int, Waiter] = {}

    def files_move(self, remote: str, now: float) -> None:
        """The f-stream comes from another sender than until now."""
        self.files_left.pop(remote, None)
        if self.fstreams > 1:  # else it has not come from anywhere before
            self.files_left.pop(self.remote, None)
            self.files_left[self.remote] = now
        if len(self.files_left) > MAX_PAST:
            del self.files_left[next(iter(self.files_left))]

    @property
    def waits(self) -> int:
        """How many accesses wait here."""
        return len(self.wait_file) + sum(map(len, self.wait_session.values())) + len(self.wait_server)

    def all_waiting(self) -> list[Waiter]:
        """Everything that waits here."""
        groups = self.wait_session.values()
        return [*self.wait_file.values(), *(waiter for group in groups for waiter in group), *self.wait_server]

    def not_ready(self) -> None:
        """Something about the server changed: prepared parts of records are no longer valid."""
        self.ready.clear()

    def know_session(self, session: Session) -> None:
        """A session has begun, with an id that no other has (now)."""
        self.sessions[session.dictid] = session
        self.note_told(session)
        self.by_userid.setdefault(session.userid.text, []).append(session.dictid)

    def note_told(self, session: Session) -> None:
        """A session was told something."""
        if session.tellings > KEPT_TOLD:
            self.much_told.add(session.dictid)

    def session_named(self, userid: str, number: int) -> Session | None:
        """Of the sessions with this text of a user id that began before `number` was assigned: the latest that is open,
        else the latest.
        """
        own = self.sessions.get(number)
        if own is not None and own.userid.text == userid:
            return own
        if self.one_counter:
            return None
        latest = None
        for dictid in self.by_userid.get(userid, ())[: -LOOK_BACK - 1 : -1]:
            if (number - dictid) % _IDS >= _IDS // 2:
                continue  # a younger one
            session = self.sessions[dictid]
            if not session.gone:
                return session
            latest = latest or session
        return latest

    def counts_all(self, file_id: int) -> bool:
        """Whether numbers up to that of a file show the order, because there is one counter for everything (format
        reference, 5.1): then nearly all numbers are seen. (Not so where a plug-in or a relay numbers by itself.)
        """
        if self.one_counter:
            return False
        low, high = self.numbers
        number = self._unwrapped(file_id)
        return 2 * (self.opens + self.numbered) > max(high, number) - min(low, number)

    def _unwrapped(self, number: int) -> int:
        """A number as its counter would have it without a limit, after or before those of map messages."""
        high = self.numbers[1]
        return high + (number - high + _IDS // 2) % _IDS - _IDS // 2

    def number_seen(self, number: int) -> None:
        """A map message had this number."""
        if not number:
            return
        low, high = self.numbers
        if self.numbered:  # the counter may have wrapped: then it continues after the highest
            number = self._unwrapped(number)
        self.numbered += 1
        self.numbers = (min(low, number), max(high, number)) if self.numbered > 1 else (number, number)

    def told_at(self, told: Told[T], session: Session, file_id: int, reported: float | None) -> T | None:
        """What a session had been told when it opened a file whose open was `reported` at this time: of what has a
        number below the file's, the last. Where the numbers may be of several counters, the times decide too: what
        came long after the report was told later.
        """
        if not told:
            return None
        if reported is None:
            return told.at(session.distance(file_id))
        if self.one_counter:  # it has the number of the session: what came first was in force from the beginning
            return told.tellings[0].value if (value := told.by(reported)) is None else value
        if self.counts_all(file_id):
            return told.at(session.distance(file_id))
        value = told.at(session.distance(file_id), reported + OVERTAKEN)
        if value is None and session.distance(self.ids.opened) < told.tellings[0].distance:
            return told.by(reported)  # as long as no file has a number above those that it was told
        return value

    def may_lack_told(self, session: Session, file_id: int) -> bool:
        """Whether a session may have been told something else before it opened a file: one of the numbers between has
        not come.
        """
        if not session.is_told_anew or self.one_counter or file_id < session.dictid:
            return False
        distance = session.distance(file_id)
        since = min(told.since(distance) for told in (session.tokens, session.infos) if told)
        return self.ids.lacks(session.dictid + since, file_id)

    def flow_at(self, session: Session, file_id: int, reported: float | None) -> Flow | None:
        """The flow of a session when it opened a file. A ``U`` is sent once, by the first open that has a flow, whose
        number is just below its own [C: scitags].
        """
        flow = self.told_at(session.flows, session, file_id, reported)
        if flow is None and self.counts_all(file_id):
            flow = session.flows.at(session.distance(file_id) + FLOW_AFTER)
        return flow

    def ready_from(self, session: Session) -> tuple[int, float]:
        """For files with a number above the one, reported no earlier than the other, all that a session has been told
        is in force; a number of 2³²: for none.
        """
        if session.is_told_anew:
            return _IDS, 0.0  # before each record it must be looked for what may be missing
        latest = [told.tellings[-1] for told in (session.infos, session.tokens, session.flows) if told]
        last = max((telling.distance for telling in latest), default=0)
        return min(session.dictid + last, _IDS) if last else 0, max((telling.seen for telling in latest), default=0.0)

    def take_early(self, session: Session) -> None:
        """Give a session what came before it."""
        for token in _taken(self.early_token, session.dictid):
            session.tokens.put(self.telling(session, *token))
        for flow in _taken(self.early_flow, session.dictid):
            session.flows.put(self.telling(session, *flow))
        text = session.userid.text
        infos = self.early_info.get(text)
        if infos is None:
            return
        for number in list(infos.values):
            if not number or self.session_named(text, number) is session:
                session.infos.put(self.telling(session, number, infos.seen, infos.values.pop(number)))
        if not infos.values:
            del self.early_info[text]

    def assume(self, dictid: int) -> Session | None:
        """A session whose ``u`` will not come any more: its tokens or flows also have its user id, and name it by its
        dictid. None if there are none.
        """
        entry = self.early_token.get(dictid) or self.early_flow.get(dictid)
        if entry is None or entry.userid is None:
            return None
        session = Session(dictid, entry.userid, Login(), entry.began, self.heard)
        ended = [(left.seen, left.t_end) for left in self.left if left.user == dictid]
        ended += [(seen, 0) for seen, user in self.leaving if user == dictid]
        if ended:
            session.gone, session.gone_end = ended[-1]
        self.ids.name(dictid, "u")
        self.know_session(session)
        self.take_early(session)
        self.dirty_sessions.add(dictid)
        return session

    def telling(self, session: Session, number: int, seen: float, value: T) -> Telling[T]:
        """A session was told something in the message with this number."""
        return Telling(0 if self.one_counter else session.distance(number), seen, value)

    def files_of(self, session: Session) -> list[tuple[int, float]]:
        """Its files, as far as known, that are open or waiting: by distance, and when each was reported."""
        of = (session.dictid, None)
        files = [(file_id, entry[SEEN_AT]) for file_id, entry in self.files.items() if entry[USER_AT] in of]
        files += [
            (w.file_id, w.reported or w.since) for w in self.all_waiting() if isinstance(w, Access) and w.user in of
        ]
        return [(session.distance(file_id), seen) for file_id, seen in files]

    def forget_session(self, session: Session) -> None:
        """A session is not needed any more."""
        del self.sessions[session.dictid]
        self.much_told.discard(session.dictid)
        self.dirty_sessions.discard(session.dictid)
        self.ready.pop(session.dictid, None)
        self._unlist(session)

    def _unlist(self, session: Session) -> None:
        dictids = self.by_userid[session.userid.text]
        dictids.remove(session.dictid)
        if not dictids:
            del self.by_userid[session.userid.text]

    def copy_number(self, sender: str, body: bytes) -> int:
        """The ordinal, from 1, of a datagram of redirections or similar among those with the same body (what follows
        the number); 0: a copy of one that came by another path. Every destination numbers these itself, so their
        numbers do not help; and a server may really send the same twice.
        """
        digest = blake2b(body, digest_size=8).digest()
        ways = self.told.pop(digest, {})
        before = max(ways.values(), default=0)
        count = ways.get(sender, 0) + 1
        if len(ways) >= MAX_WAYS and sender not in ways:
            ways = {"": before}
        ways[sender] = count
        self.told[digest] = ways
        if len(self.told) > MAX_TOLD:
            del self.told[next(iter(self.told))]
        return count if count > before else 0

    @property
    def home(self) -> str:
        """Where it was first heard."""
        return next(iter(self.addresses))

    def trackers(self) -> list[tuple[str, str, Tracker]]:
        """All sequence counters as (sender, class, tracker)."""
        others = ((sender or self.remote, c, t) for (sender, c), t in self.sequences.items())
        return [(self.remote, "FM" if self.one_counter else "F", self.fseq), *others]

    def hear_from_start(self) -> None:
        """We have listened since the process started."""
        self.from_start = True
        for ids in (self.ids, self.file_ids):
            ids.begin()

    def seen_now(self, now: float) -> Seen:
        """What has come from it, and what was lost."""
        fseq = self.fseq
        return Seen(now, self.last, fseq.arrived, self.heard, fseq.came, self.lost_files, self.lost_maps)


def _taken(table: dict[int, Early[T]], key: int) -> list[tuple[int, float, T]]:
    """Removes and returns what came early under a key: number, arrival, content."""
    entry = table.pop(key, None)
    return [(number, entry.seen, value) for number, value in entry.values.items()] if entry is not None else []
