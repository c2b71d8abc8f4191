"""What arrives after the settling of a repeat, records or a client's report, is scored again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence

from gui.reconcile import rescore_late, score
from gui.runner import ownership
from gui.runner.host import Blocking, Problems
from gui.store import Store, StoreError

log = logging.getLogger("tally.runner")

LATE_SECONDS = 2.0


class LateScoring:
    """Scores repeats again, in the background."""

    def __init__(self, store: Store, blocking: Blocking, problem: Problems) -> None:
        self._store = store
        self._blocking = blocking
        self._problem = problem
        self.records = 0
        """Records that arrived late since the workspace was opened."""
        self._wanted = asyncio.Event()
        self._jobs: set[str] = set()
        """Jobs for which journal lines arrived after their repeat was over."""

    def records_came(self) -> None:
        """Records of a repeat that is over were loaded."""
        self._wanted.set()

    def reports_came(self, jobs: Iterable[str]) -> None:
        """Journal lines of these jobs, which are over, were stored."""
        self._jobs |= set(jobs)
        self._wanted.set()

    async def run(self, left_open: Sequence[int]) -> None:
        """Score until cancelled. First close the runs that the workspace's last owner left open."""
        await self._clear_up(left_open)
        while True:
            try:
                jobs, self._jobs = self._jobs, set()
                await self._blocking(self.score_jobs, jobs)
                entries = await self._blocking(rescore_late, self._store, time.time())
                self.records += sum(entry.late for entry in entries)
            except StoreError as error:
                log.exception("! late records could not be scored")
                self._jobs |= jobs
                self._problem("warning", "late records", f"Late records could not be scored: {error}")
            else:
                self._problem("warning", "late records", "")
            await self._wanted.wait()
            self._wanted.clear()
            await asyncio.sleep(LATE_SECONDS)  # several usually arrive together

    async def _clear_up(self, left_open: Sequence[int]) -> None:
        for run in left_open:
            try:
                await self._blocking(ownership.close_run, self._store, run, time.time())
            except StoreError as error:
                self._problem("warning", f"run {run}", f"This run was left open and could not be closed: {error}")
        try:
            await self._blocking(self._store.remove_left_runs, time.time())
        except StoreError as error:
            self._problem("warning", "imports", f"Leftovers of an interrupted import could not be removed: {error}")

    def score_jobs(self, jobs: set[str]) -> None:
        """Score repeats again whose clients reported after settling. Blocking."""
        for job in jobs:
            run, test, number = map(int, job.split("."))
            if max(run, test, number) >= 2**63:
                continue  # agents send untrusted data; no database has a row of this number
            for repeat in self._store.repeats(run):
                if (repeat.test_number, repeat.number) == (test, number) and self._store.scorings(repeat.id):
                    score(self._store, repeat.id, "late", time.time())
