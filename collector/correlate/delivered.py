"""Compares what a cache reports as delivered with what its f-stream counted.

A proxy or cache (pss, pfc) with ``xrootd.async`` at its default does not count plain reads of `UNCOUNTED` bytes or more
(format reference, section 6.7). Its own events (g-stream ``C``) have exactly what was delivered: per file, from the
first attach to the last detach, all readers together. So only where one access alone overlaps an event can they be
compared, and only a surplus of the event is significant: servers charge what was asked for, never less.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collector.correlate.incarnation import BEGIN_AT, PATH_AT, Access, Incarnation

UNCOUNTED = 98_304
"""Plain reads of at least this many bytes are not counted (measured on 5.5.3 and 6.1.0)."""
MAX_FILES = 5_000
"""Files remembered per cache; beyond it those read longest ago are forgotten."""
MAX_EACH = 16
"""Events and accesses remembered for a file; beyond it no statement is made about it for as long as it is
remembered."""


_EVENT = ("attach_time", "detach_time", "bytes_hit_cache", "bytes_miss_cache", "bytes_bypass_cache")


class Delivered(NamedTuple):
    """The content of an event: bytes delivered to clients between two times (whole seconds, both included)."""

    begin: int
    end: int
    size: int


class Reads:
    """The events and accesses of one file."""

    __slots__ = ("accesses", "events")

    def __init__(self) -> None:
        self.events: list[Delivered] = []
        self.accesses: dict[int, tuple[int, int]] = {}
        """File id → the certain bounds of its time."""


class Cache:
    """What one cache process reported recently, by path. All accesses that ended after `since` are known here."""

    __slots__ = ("files", "since")

    def __init__(self, since: int) -> None:
        self.since = since
        self.files: dict[str, Reads] = {}

    def event(self, path: str, event: Delivered) -> None:
        """A file was closed by its last reader."""
        if event.begin <= self.since:
            return  # it may have been read by an access that is not known here
        reads = self._of(path)
        if len(reads.events) < MAX_EACH:
            reads.events.append(event)

    def access(self, path: str, file_id: int, begin: int, end: int) -> None:
        """An access ended that was open at some time from `begin` to `end`."""
        reads = self._of(path)
        if len(reads.accesses) <= MAX_EACH:
            reads.accesses[file_id] = (begin, end)

    def _of(self, path: str) -> Reads:
        reads = self.files.pop(path, None) or Reads()
        self.files[path] = reads
        if len(self.files) > MAX_FILES:
            del self.files[next(iter(self.files))]
        return reads

    def surplus(self, path: str, file_id: int, counted: int, others: Iterable[int]) -> bool:
        """Whether more was delivered to an access (known to `access`) than was `counted`. `others`: the earliest open
        times of files of this path that are still open.
        """
        reads = self.files.get(path)
        bounds = reads.accesses.get(file_id) if reads is not None else None
        if reads is None or bounds is None or len(reads.accesses) > MAX_EACH:
            return False
        opened = min(others, default=None)
        for event in reads.events:
            alone = all(
                number == file_id or not (begin <= event.end and event.begin <= end)
                for number, (begin, end) in reads.accesses.items()
            )
            inside = bounds[0] <= event.begin and event.end <= bounds[1]
            if event.size > counted and alone and inside and (opened is None or opened > event.end):
                return True
        return False


def may_lack(access: Access) -> bool:
    """Whether reads may be missing from an access's counters: it was closed normally, has fewer bytes than its file,
    and no plain read that was large enough not to be counted.
    """
    if access.operations is None or not access.closed or access.forced or access.start is None:
        return False
    read, size = (access.read or 0) + (access.readv or 0), access.size or 0
    reads, low, high = access.operations[0], access.operations[6], access.operations[7]
    if access.write or size < UNCOUNTED or read >= size:
        return False
    return not reads or (low <= high < UNCOUNTED)


def note_event(inc: Incarnation, path: str, fields: dict[str, Any]) -> None:
    """A cache process has reported what it delivered of a file; nothing is noted if the event is incomplete."""
    if inc.cache is None:
        inc.cache = Cache(inc.clock if inc.closes else 0)
        inc.not_ready()
    begin, end, *sizes = (fields.get(name) for name in _EVENT)
    parts = [size for size in sizes if isinstance(size, int) and size >= 0]
    if isinstance(begin, int) and isinstance(end, int) and len(parts) == len(sizes):
        inc.cache.event(path, Delivered(begin, end, sum(parts)))


def note_access(inc: Incarnation, access: Access, path: str) -> None:
    """An access of a cache process has ended, whatever its kind."""
    if inc.cache is not None and access.t_max is not None:
        begin = access.begin if access.start is not None and access.begin is not None else inc.stod
        inc.cache.access(path, access.file_id, begin, access.t_max)


def lacks_reads(inc: Incarnation, access: Access, path: str) -> bool:
    """Whether the events of a cache prove that an access read more than was counted.

    Not if datagrams are missing: a lost one may have been another reader's.
    """
    if inc.cache is None or not may_lack(access) or inc.unsettled or inc.gaps or inc.wait_file:
        return False
    others = [entry[BEGIN_AT] or 0 for entry in inc.files.values() if entry[PATH_AT] in (access.path, None)]
    counted = (access.read or 0) + (access.readv or 0)
    return inc.cache.surplus(path, access.file_id, counted, others)
