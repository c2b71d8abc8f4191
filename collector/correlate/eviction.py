"""What keeps the state bounded: ages, and one size for all.

Sizes are estimates by kind of thing (measured with tracemalloc on CPython 3.11, rounded up), plus the length of paths.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable

from collector.correlate import rows
from collector.correlate.accesses import Accesses
from collector.correlate.incarnation import Incarnation
from collector.correlate.options import Options
from collector.correlate.senders import Totals

INCARNATION = 6000
SESSION = 1500
FILE = 500
PATH = 700
ACCESS = 1500
PAGE = 300
EARLY = 1000

MAX_GIVEN_UP = 100_000
"""Files given up that are remembered per incarnation, in case a close comes after all."""

Touch = Callable[[Incarnation], None]


class Eviction:
    """Decides what is given up when time or memory is short."""

    def __init__(self, options: Options, accesses: Accesses, totals: Totals) -> None:
        self._options = options
        self._accesses = accesses
        self._totals = totals

    def size(self, everyone: Iterable[Incarnation]) -> int:
        """Bytes of all state, estimated."""
        return sum(map(incarnation_size, everyone))

    # -------------------------------------------------------------- age

    def sweep(self, inc: Incarnation, now: float, touch: Touch) -> list[bytes]:
        """Give up what is too old in one incarnation. Returns keys of rows to delete."""
        options, accesses = self._options, self._accesses
        gone: list[bytes] = []
        oldest = now - options.max_age
        expired = []
        for file_id, entry in inc.files.items():
            if entry[7] > oldest:
                break
            moved = inc.moved.get(file_id)
            if moved is None or entry[7] <= oldest:
                expired.append(file_id)
        for file_id in expired:
            self._totals.expired += 1
            accesses.give_up(inc, file_id, "expired", None)
        for file_id in [f for f, entry in inc.given_up.items() if now - entry.seen > options.max_age]:
            del inc.given_up[file_id]
            inc.dirty_given.add(file_id)
        while len(inc.given_up) > MAX_GIVEN_UP:
            file_id = next(iter(inc.given_up))
            del inc.given_up[file_id]
            inc.dirty_given.add(file_id)
        for file_id, path in list(inc.paths.items()):
            if now - path.seen <= options.ttl:
                break
            if file_id not in inc.files and file_id not in inc.wait_file:
                del inc.paths[file_id]
                gone.append(rows.key(b"d", inc, file_id))
        recent = now - 3 * options.grace
        inc.early_info = {k: v for k, v in inc.early_info.items() if v[1] >= recent}
        inc.early_token = {k: v for k, v in inc.early_token.items() if v[1] >= recent}
        inc.early_flow = {k: v for k, v in inc.early_flow.items() if v[1] >= recent}
        idle = [d for d, session in inc.sessions.items() if now - max(session.used, session.seen) > options.max_age]
        if idle:
            gone += self._drop_sessions(inc, idle)
        if expired or gone or inc.dirty_given:
            touch(inc)
        # a session that is used shows it when its fragment is made anew: once an hour is often enough
        for session in inc.sessions.values():
            if now - session.used > 3600:
                session.fragment = None
        return gone

    def _drop_sessions(self, inc: Incarnation, dictids: Iterable[int]) -> list[bytes]:
        """Forget sessions that no open file and no waiting access belongs to."""
        busy = {entry[0] for entry in inc.files.values()} | {a.user for a in inc.wait_file.values()}
        gone = []
        for dictid in dictids:
            if dictid in busy or dictid in inc.wait_session:
                continue
            session = inc.sessions.pop(dictid)
            inc.dirty_sessions.discard(dictid)
            if inc.by_userid.get(session.userid.text) == dictid:
                del inc.by_userid[session.userid.text]
            gone.append(rows.key(b"u", inc, dictid))
        return gone

    def is_over(self, inc: Incarnation, now: float) -> bool:
        """Whether nothing of an incarnation is needed any more."""
        if inc.files or inc.waits:
            return False
        silent = now - inc.alive
        if inc.dead_since is not None:
            return silent > min(3600.0, self._options.ttl)
        if inc.ident is None:
            return silent > self._options.ttl
        return silent > self._options.max_age  # it may have said its name only once

    # -------------------------------------------------------------- size

    def relieve(self, everyone: Iterable[Incarnation], touch: Touch) -> None:
        """If the state is larger than allowed, give up what is needed least until it is a tenth smaller."""
        incs = list(everyone)
        excess = self.size(incs) - self._options.max_bytes
        if excess <= 0:
            return
        excess += self._options.max_bytes // 10
        for step in (self._forget_given_up, self._forget_sessions, self._forget_files, self._forget_waits):
            excess -= step(incs, excess, touch)
            if excess <= 0:
                return

    def _forget_given_up(self, incs: list[Incarnation], excess: int, touch: Touch) -> int:
        freed = 0
        for inc in incs:
            if freed >= excess:
                break
            if not inc.given_up:
                continue
            touch(inc)
            freed += len(inc.given_up) * FILE
            inc.dirty_given |= inc.given_up.keys()
            inc.given_up.clear()
        return freed

    def _forget_sessions(self, incs: list[Incarnation], excess: int, touch: Touch) -> int:
        """Sessions that have ended, then those longest unused without an open file."""
        count = excess // SESSION + 1
        oldest: list[tuple[bool, float, int, int]] = heapq.nsmallest(
            count,
            ((not s.gone, s.used, inc.serial, s.dictid) for inc in incs for s in inc.sessions.values()),
        )
        freed = 0
        by_serial: dict[int, list[int]] = {}
        for _, _, serial, dictid in oldest:
            by_serial.setdefault(serial, []).append(dictid)
        for inc in incs:
            chosen = by_serial.get(inc.serial)
            if chosen:
                keys = self._drop_sessions(inc, chosen)
                self._accesses.deleted.update(keys)
                freed += len(keys) * SESSION
                touch(inc)
        return freed

    def _forget_files(self, incs: list[Incarnation], excess: int, touch: Touch) -> int:
        """Open files longest without activity. Nothing of them is kept: the memory is what is wanted."""
        count = excess // FILE + 1

        def activity() -> Iterable[tuple[float, int, int]]:
            for inc in incs:
                for file_id, entry in inc.files.items():
                    moved = inc.moved.get(file_id)
                    yield (moved.seen if moved is not None else entry[7]), inc.serial, file_id

        by_serial = {inc.serial: inc for inc in incs}
        freed = 0
        for _, serial, file_id in heapq.nsmallest(count, activity()):
            if freed >= excess:
                break
            inc = by_serial[serial]
            touch(inc)
            freed += FILE + len(inc.files[file_id][2] or b"")
            self._accesses.give_up(inc, file_id, "evicted", None)
            given = inc.given_up[file_id]
            # a close may still come: enough is kept for it to be known as the same access
            inc.given_up[file_id] = given._replace(path=None, size=None)
            self._totals.evicted += 1
        return freed

    def _forget_waits(self, incs: list[Incarnation], excess: int, touch: Touch) -> int:
        freed = 0
        for inc in incs:
            if freed >= excess:
                break
            if inc.waits:
                touch(inc)
                freed += inc.waits * ACCESS
                self._accesses.finish_all(inc)
        return freed


def incarnation_size(inc: Incarnation) -> int:
    """Bytes of one incarnation, estimated."""
    names = sum(len(entry[2] or b"") for entry in inc.files.values())
    return (
        INCARNATION
        + len(inc.sessions) * SESSION
        + (len(inc.files) + len(inc.given_up) + len(inc.moved)) * FILE
        + names
        + len(inc.paths) * PATH
        + inc.waits * ACCESS
        + len(inc.closed.pages()) * PAGE
        + (len(inc.early_info) + len(inc.early_token) + len(inc.early_flow)) * EARLY
        + len(inc.left) * 200
    )
