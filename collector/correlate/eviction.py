"""Keeps the state bounded: by ages, and by one size for everything.

Sizes are estimates by kind of thing (measured with tracemalloc on CPython 3.11, rounded up), plus the length of paths.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator

from collector.correlate.accesses import Accesses
from collector.correlate.incarnation import PATH_AT, SEEN_AT, USE_COUNTS, USER_AT, Access, Incarnation
from collector.correlate.keys import path_key, session_key
from collector.correlate.options import Options
from collector.correlate.present import Present
from collector.correlate.processes import Processes
from collector.correlate.senders import Totals
from collector.correlate.waiting import Waiting

INCARNATION = 6000
SESSION = 1500
TELLING = 400
"""What a session was told, beyond the few for which `SESSION` has room."""
FILE = 500
GIVEN_UP = 200
"""A file given up without its name."""
PATH = 700
ACCESS = 1500
PAGE = 300
EARLY = 1000
HOLE = 200
"""Ids that were never reported, or the name of one."""

KEPT_PAGES = 64
"""Pages of closed ids (65,536 of them) that are kept when memory is short."""

MAX_GIVEN_UP = 100_000
"""Files given up that are remembered per incarnation, in case their close still comes."""


class Eviction:
    """Decides what to give up when it is too old or memory is short."""

    def __init__(
        self,
        options: Options,
        present: Present,
        processes: Processes,
        accesses: Accesses,
        waiting: Waiting,
        totals: Totals,
    ) -> None:
        self._options = options
        self._present = present
        self._processes = processes
        self._accesses = accesses
        self._waiting = waiting
        self._totals = totals

    def size(self) -> int:
        """Bytes of all state, estimated."""
        return sum(map(incarnation_size, self._processes.all.values()))

    # -------------------------------------------------------------- age

    def sweep(self, inc: Incarnation) -> None:
        """Give up what is too old in one incarnation."""
        options, now, deleted = self._options, self._present.now, self._present.deleted
        oldest = now - options.max_age
        changed = False
        for file_id in [f for f, entry in inc.files.items() if entry[SEEN_AT] <= oldest]:
            self._totals.expired += 1
            self._accesses.give_up(inc, file_id, "expired", None)
            changed = True
        for file_id in [f for f, entry in inc.given_up.items() if entry.seen <= oldest - options.ttl]:
            changed = True
            del inc.given_up[file_id]
            inc.dirty_given.add(file_id)
        while len(inc.given_up) > MAX_GIVEN_UP:
            changed = True
            file_id = next(iter(inc.given_up))
            del inc.given_up[file_id]
            inc.dirty_given.add(file_id)
        old_paths = [f for f, path in inc.paths.items() if now - path.seen > options.ttl]
        for file_id in old_paths:
            if file_id not in inc.files and file_id not in inc.wait_file:
                changed = True
                del inc.paths[file_id]
                deleted.add(path_key(inc, file_id))
        recent = now - 3 * options.grace
        inc.early_info = {k: v for k, v in inc.early_info.items() if v.seen >= recent}
        late = [k for table in (inc.early_token, inc.early_flow) for k, v in table.items() if v.seen < recent]
        for dictid in late:
            changed = inc.assume(dictid) is not None or changed
            inc.early_token.pop(dictid, None)
            inc.early_flow.pop(dictid, None)
        idle = [d for d, session in inc.sessions.items() if now - max(session.used, session.seen) > options.max_age]
        if idle:
            changed = self._drop_sessions(inc, idle) > 0 or changed
        if changed:
            self._processes.touch(inc)
        # that a session is in use shows when it is prepared again
        for session in inc.sessions.values():
            if now - session.used > USE_COUNTS:
                inc.ready.pop(session.dictid, None)

    def _drop_sessions(self, inc: Incarnation, dictids: Iterable[int]) -> int:
        """Forget sessions without open files or waiting accesses. Returns how many."""
        busy = {entry[USER_AT] for entry in inc.files.values()} | {a.user for a in inc.wait_file.values()}
        count = 0
        for dictid in dictids:
            if dictid in busy or dictid in inc.wait_session:
                continue
            session = inc.sessions[dictid]
            inc.forget_session(session)
            if session.saved:
                self._present.deleted.add(session_key(inc, dictid))
            count += 1
        return count

    def is_over(self, inc: Incarnation) -> bool:
        """Whether nothing of an incarnation is needed any more."""
        if inc.files or inc.waits:
            return False
        silent = self._present.now - inc.alive
        if inc.dead_since is not None:
            return silent > min(3600.0, self._options.ttl)
        if inc.ident is None:
            return silent > self._options.ttl
        return silent > self._options.max_age  # it may have sent its identity only once

    # -------------------------------------------------------------- size

    def relieve(self) -> None:
        """If the state is larger than allowed, give up the least needed until it is a tenth smaller."""
        if self._processes.crowded:
            self._forget_incarnations()
        # names are only counted when they can make a difference: they are at most 4096 bytes
        if sum(map(rough_size, self._processes.all.values())) * 10 < self._options.max_bytes:
            return
        excess = self.size() - self._options.max_bytes
        if excess <= 0:
            return
        spare = self._options.max_bytes // 10
        steps = (
            self._forget_given_up, self._forget_holes, self._forget_closed, self._forget_paths, self._forget_sessions,
        )  # fmt: skip
        for step in steps:
            excess -= step(excess + spare)
            if excess + spare <= 0:
                return
        if excess <= 0:
            return  # no record is degraded only to free the extra tenth
        for step in (self._forget_files, self._finish_waits):
            excess -= step(excess + spare)
            if excess + spare <= 0:
                return

    def _forget_incarnations(self) -> None:
        """Those silent for longest, first those of which nothing is known; a few at a time."""
        everyone = sorted(self._processes.all.values(), key=lambda i: (bool(i.files or i.ident), i.alive, i.serial))
        surplus = len(everyone) - self._options.max_servers
        for inc in everyone[: surplus + self._options.max_servers // 50]:
            self._waiting.finish_all(inc)
            self._totals.evicted += len(inc.files)
            for file_id in list(inc.files):
                self._accesses.give_up(inc, file_id, "evicted", None)
            self._processes.forget(inc)

    def _forget_given_up(self, excess: int) -> int:
        freed = 0
        for inc in self._processes.all.values():
            if freed >= excess:
                break
            if inc.given_up:
                self._processes.touch(inc)
                freed += given_up_size(inc)
                inc.dirty_given |= inc.given_up.keys()
                inc.given_up.clear()
        return freed

    def _forget_holes(self, excess: int) -> int:
        """What was never reported."""
        freed = 0
        for inc in self._processes.all.values():
            if freed >= excess:
                break
            size = holes_size(inc)
            if size:
                self._processes.touch(inc)
                freed += size
                inc.ids.forget()
                inc.file_ids.forget()
        return freed

    def _forget_closed(self, excess: int) -> int:
        """Ids closed long ago, whose close is unlikely to be reported again."""
        freed = 0
        for inc in self._processes.all.values():
            if freed >= excess:
                break
            surplus = len(inc.closed.pages()) - KEPT_PAGES
            if surplus > 0:
                self._processes.touch(inc)
                inc.closed.trim(KEPT_PAGES)
                freed += surplus * PAGE
        return freed

    def _forget_paths(self, excess: int) -> int:
        """Names of files that are not open, oldest first: a server without an f-stream sends nothing else about
        them."""
        everyone = (
            (path.seen, inc.serial, file_id)
            for inc in self._processes.all.values()
            if inc.paths
            for needed in [inc.files.keys() | {w.file_id for w in inc.all_waiting() if isinstance(w, Access)}]
            for file_id, path in inc.paths.items()
            if file_id not in needed
        )
        freed = 0
        for _, serial, file_id in heapq.nsmallest(excess // PATH + 1, everyone):
            inc = self._processes.all[serial]
            self._processes.touch(inc)
            path = inc.paths.pop(file_id)
            if path.cycle != self._present.number:
                self._present.deleted.add(path_key(inc, file_id))
            freed += PATH
        return freed

    def _forget_sessions(self, excess: int) -> int:
        """Sessions that have ended, then those longest unused without an open file."""
        everyone = (
            (not session.gone, session.used, inc.serial, session.dictid)
            for inc in self._processes.all.values()
            for session in inc.sessions.values()
        )
        chosen: dict[int, list[int]] = {}
        for _, _, serial, dictid in heapq.nsmallest(excess // SESSION + 1, everyone):
            chosen.setdefault(serial, []).append(dictid)
        freed = 0
        for serial, dictids in chosen.items():
            inc = self._processes.all[serial]
            self._processes.touch(inc)
            freed += self._drop_sessions(inc, dictids) * SESSION
        return freed

    def _forget_files(self, excess: int) -> int:
        """Open files longest without activity."""
        freed = 0
        for _, serial, file_id in heapq.nsmallest(excess // (FILE - GIVEN_UP) + 1, self._activity()):
            if freed >= excess:
                break
            inc = self._processes.all[serial]
            self._processes.touch(inc)
            freed += FILE - GIVEN_UP + len(inc.files[file_id][PATH_AT] or b"")
            self._accesses.give_up(inc, file_id, "evicted", None)
            # a close may still come: keep just enough to recognise the same access
            inc.given_up[file_id] = inc.given_up[file_id]._replace(path=None, size=None)
            self._totals.evicted += 1
        return freed

    def _activity(self) -> Iterator[tuple[float, int, int]]:
        for inc in self._processes.all.values():
            for file_id, entry in inc.files.items():
                moved = inc.moved.get(file_id)
                yield (moved.seen if moved is not None else entry[SEEN_AT]), inc.serial, file_id

    def _finish_waits(self, excess: int) -> int:
        freed = 0
        for inc in self._processes.all.values():
            if freed >= excess:
                break
            if inc.waits:
                self._processes.touch(inc)
                freed += inc.waits * ACCESS
                self._waiting.finish_all(inc)
        return freed


def given_up_size(inc: Incarnation) -> int:
    """Bytes of the files that were given up, estimated."""
    return sum(GIVEN_UP if entry.path is None else FILE + len(entry.path) for entry in inc.given_up.values())


def holes_size(inc: Incarnation) -> int:
    """Bytes of the ids that were never reported, estimated."""
    counters = {inc.ids, inc.file_ids}
    return sum(len(ids.holes) + len(ids.named) for ids in counters) * HOLE


def incarnation_size(inc: Incarnation) -> int:
    """Bytes of one incarnation, estimated."""
    names = sum(len(entry[PATH_AT] or b"") for entry in inc.files.values())
    return rough_size(inc) - len(inc.given_up) * GIVEN_UP + given_up_size(inc) + names


def rough_size(inc: Incarnation) -> int:
    """Bytes of one incarnation without names, estimated."""
    return (
        INCARNATION
        + len(inc.sessions) * SESSION
        + sum(inc.sessions[dictid].tellings for dictid in inc.much_told) * TELLING
        + (len(inc.files) + len(inc.moved)) * FILE
        + len(inc.given_up) * GIVEN_UP
        + len(inc.paths) * PATH
        + inc.waits * ACCESS
        + len(inc.closed.pages()) * PAGE
        + (len(inc.early_info) + len(inc.early_token) + len(inc.early_flow)) * EARLY
        + len(inc.left) * 200
        + holes_size(inc)
        + (len(inc.cache.files) * PATH if inc.cache is not None else 0)
    )
