"""Old runs are removed: by `tally vacuum`, and once a day in a workspace that is open, where its limits are kept.

Nothing is removed unless somebody has set a limit (``tally vacuum --older-than 90d --daily``). The baseline, runs under
way, tags, daily sums and keys stay. A day's turn removes at most `MOST_A_DAY` runs, in slices of a tenth of a second;
it does not begin while tests run and ends after its slice when one begins or the workspace is closed, and what was
being removed then is finished later.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec

from gui.runner.host import Blocking, Problems
from gui.runner.ownership import UNDER_WAY
from gui.store import RunEntry, Store, StoreError
from shoveler.values.quantities import about_size, format_duration

log = logging.getLogger("tally.runner")

LIMITS = "retention.limits"
TURN = "retention.turn"
DAY_SECONDS = 86_400.0
LOOK_SECONDS = 600.0
MOST_A_DAY = 20


class Limits(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is kept. None: no limit."""

    older_than: float | None = None
    """Runs that ended more than this many seconds ago are removed."""
    max_size: int | None = None
    """The oldest runs are removed until the database has no more bytes than this (SQLite only)."""

    @property
    def any(self) -> bool:
        return self.older_than is not None or self.max_size is not None

    def words(self) -> str:
        """What is removed, such as ``runs older than 90d and the oldest runs beyond 10.0 GiB``."""
        age = "" if self.older_than is None else f"runs older than {_in_days(self.older_than)}"
        size = "" if self.max_size is None else f"the oldest runs beyond {about_size(self.max_size)}"
        return " and ".join(filter(None, (age, size)))


class Turn(msgspec.Struct, frozen=True):
    """The last daily turn: when, and the numbers of the runs that it removed."""

    t: float = 0.0
    removed: tuple[int, ...] = ()


Kept = TypeVar("Kept", Limits, Turn)


class StoppedError(Exception):
    """A removal was stopped between two slices."""


def limits_of(store: Store) -> Limits:
    """The limits that are kept every day."""
    return _read(store, LIMITS, Limits())


def set_limits(store: Store, limits: Limits) -> None:
    """Keep these limits every day from now on; none: remove nothing any more."""
    store.put_setting(LIMITS, msgspec.json.encode(limits).decode() if limits.any else "")


def last_turn(store: Store) -> Turn:
    """What the last daily turn did."""
    return _read(store, TURN, Turn())


def removable(store: Store) -> list[RunEntry]:
    """Runs that may be removed, the oldest first."""
    return [run for run in reversed(store.runs()) if not run.baseline and run.state not in UNDER_WAY]


def too_old(store: Store, limits: Limits, now: float) -> list[RunEntry]:
    """The runs beyond the limit of age."""
    if limits.older_than is None:
        return []
    return [run for run in removable(store) if _since(run) < now - limits.older_than]


def remove_beyond(
    store: Store, limits: Limits, now: float, between: Callable[[], None] = lambda: None
) -> Iterator[RunEntry]:
    """Remove the runs beyond the limits, the oldest first, and give each that was removed. `between` is called between
    two slices; what it raises ends the removal. Blocking."""
    store.remove_left_runs(now, between)
    for run in too_old(store, limits, now):
        store.delete_run(run.id, between)
        yield run
    if limits.max_size is None or not store.database.is_sqlite:
        return
    for run in removable(store):
        if store.database.used_bytes() <= limits.max_size:
            return
        store.delete_run(run.id, between)
        yield run


class Retention:
    """The daily turn, in the background of an open workspace. `busy`: whether tests run now."""

    def __init__(self, store: Store, blocking: Blocking, problem: Problems, busy: Callable[[], bool]) -> None:
        self._store = store
        self._blocking = blocking
        self._problem = problem
        self._busy = busy
        self._ending = False

    async def run(self) -> None:
        """Look at the limits now and then, until cancelled."""
        try:
            while True:
                try:
                    await self._blocking(self.take_turn, time.time())
                except StoreError as error:
                    log.exception("! old runs could not be removed")
                    self._problem("warning", "old runs", f"Old runs could not be removed: {error}")
                else:
                    self._problem("warning", "old runs", "")
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            self._ending = True

    def take_turn(self, now: float) -> None:
        """Remove what is beyond the limits, unless that was done within the last day. Blocking."""
        limits = limits_of(self._store)
        if not limits.any or self._busy() or 0 <= now - last_turn(self._store).t < DAY_SECONDS:
            return
        removed: list[int] = []
        try:
            for run in remove_beyond(self._store, limits, now, self._go_on):
                removed.append(run.id)
                log.info("= run %d (%s) was removed, as are every day %s", run.id, run.name, limits.words())
                if len(removed) >= MOST_A_DAY:
                    log.info("= %d runs were removed today; if more are beyond the limits, tomorrow", len(removed))
                    break
        except StoppedError:
            log.info("= removing old runs goes on later")
            return
        self._store.put_setting(TURN, msgspec.json.encode(Turn(now, tuple(removed))).decode())

    def _go_on(self) -> None:
        if self._ending or self._busy():
            raise StoppedError


def _in_days(seconds: float) -> str:
    days = seconds / DAY_SECONDS
    return f"{days:g}d" if days >= 1 else format_duration(seconds)


def _since(run: RunEntry) -> float:
    return run.ended or run.started or run.created


def _read(store: Store, name: str, default: Kept) -> Kept:
    said = store.setting(name)
    try:
        return msgspec.json.decode(said, type=type(default)) if said else default
    except msgspec.DecodeError:
        return default  # written by a later version, which may mean something else by it: nothing is removed
