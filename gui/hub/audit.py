"""The audit log of who connected and left: kept in the workspace, shown by `tally key log`.

    started, stopped   the hub
    joined             an agent or operator, by its key and name
    refused            a connection or registration, by its address
    revoked            a key or an invitation: by whom, and when the hub took notice
    drained, resumed   an agent, by whom
    disconnected, allowed   an agent, by whom and until when

Nobody waits for it: entries lie in memory and are written together, at most every ten seconds. Equal entries of that
time become one that says how often; of each kind a bounded number is kept in memory and the rest counted, so that a
flood of refused connections costs a few rows. What the hub is too broken to write is in its log.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable

from gui.hub.commits import RunBlocking
from gui.hub.persistence import AuditEntry, AuditStore, Deed

log = logging.getLogger("tally.hub")

PAUSE_SECONDS = 10.0
MAX_REFUSED = 20
MAX_OTHERS = 1000
MAX_TEXT = 1000


class WaitingEntries:
    """Entries that wait to be written. A value without I/O; the time is an argument."""

    def __init__(self) -> None:
        self._first: dict[Deed, dict[tuple[str, str], tuple[float, int]]] = {}
        self._left_out: Counter[Deed] = Counter()

    def add(self, what: Deed, who: str, text: str, now: float) -> None:
        """Keep an entry, or count it with an equal one, or, when there are too many, with all others of its kind."""
        kind = self._first.setdefault(what, {})
        key = (who[:256], text[:MAX_TEXT])
        if key not in kind and len(kind) >= (MAX_REFUSED if what == "refused" else MAX_OTHERS):
            self._left_out[what] += 1
            return
        first, times = kind.get(key, (now, 0))
        kind[key] = (first, times + 1)

    def take(self, now: float) -> list[AuditEntry]:
        """Remove and return all entries, in the order of their first occurrence."""
        entries = [
            AuditEntry(first, what, who, text if times == 1 else f"{text} ({times} times)")
            for what, kind in self._first.items()
            for (who, text), (first, times) in kind.items()
        ]
        entries += [AuditEntry(now, what, "", f"and {count} more") for what, count in self._left_out.items()]
        self._first, self._left_out = {}, Counter()
        return sorted(entries, key=lambda entry: entry.t)


class AuditLog:
    """Writes entries in a thread, after everything else."""

    def __init__(self, store: AuditStore, run_blocking: RunBlocking, clock: Callable[[], float]) -> None:
        self._store = store
        self._run_blocking = run_blocking
        self._clock = clock
        self._waiting = WaitingEntries()
        self._unwritten: list[AuditEntry] = []
        self._arrived = asyncio.Event()

    def add(self, what: Deed, who: str, text: str) -> None:
        """Something happened now; returns at once."""
        self._waiting.add(what, who, text, self._clock())
        self._arrived.set()

    async def run(self) -> None:
        """The task that writes; cancel it to stop, then `flush`."""
        failing = False
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            entries = self._waiting.take(self._clock())
            while entries:
                try:
                    await self._run_blocking(self._store.add_audit, entries)
                    entries, failing = [], False
                except Exception:
                    if not failing:
                        log.exception("! the audit log cannot be written; trying again")
                    failing = True
                self._unwritten = entries
                await asyncio.sleep(PAUSE_SECONDS)

    async def flush(self) -> None:
        """Write what is in memory now. A store that fails costs these entries, which the log then has."""
        entries = self._unwritten + self._waiting.take(self._clock())
        try:
            await self._run_blocking(self._store.add_audit, entries)
        except Exception:
            log.exception("! the audit log lacks %s", [(entry.what, entry.who, entry.text) for entry in entries])
