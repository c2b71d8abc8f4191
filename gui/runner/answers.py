"""The answers to queries of remote windows and commands: what is too large, or too seldom wanted, for the feed."""

from __future__ import annotations

import time

import msgspec

from gui.hub import CommandRefusedError
from gui.hub.operate import Query
from gui.reconcile import run_figures, standing
from gui.report import build
from gui.report.document import json_report
from gui.runner.host import Blocking
from gui.runner.queues import workspace_id
from gui.store import NoSuchRowError, RunEntry, Store, StoreError
from gui.store.migrations import HEAD
from gui.store.replica import catalogue, rows

UNREADABLE = (ArithmeticError, LookupError, TypeError, ValueError, msgspec.MsgspecError)
"""What reading raises for rows that contradict each other."""


class RunRow(msgspec.Struct, frozen=True):
    """A run in the answer to "runs". Times are Unix seconds; the counts are those of `tally runs list --json`, None
    when its figures cannot be read."""

    run: int
    uid: str
    name: str
    state: str
    conclusion: str
    sentence: str
    created: float
    started: float | None
    ended: float | None
    requests: int | None
    matched: int | None
    counted: int | None
    baseline: bool
    origin: str


class Parts(msgspec.Struct, frozen=True):
    """The answer to "parts": the version of each part of the workspace with this id, whose database has this schema."""

    workspace: str
    schema: str
    versions: dict[str, str]


class Answers:
    """Carries out queries in the store's threads; see `gui.hub.operate.Answerer`."""

    def __init__(self, store: Store, blocking: Blocking) -> None:
        self._store = store
        self._blocking = blocking

    async def __call__(self, query: Query) -> bytes:
        """The JSON document that `query` asks for. Raises CommandRefusedError."""
        try:
            document: bytes = await self._blocking(self._answer, query)
        except NoSuchRowError as error:
            raise CommandRefusedError(str(error)) from error
        except StoreError as error:
            raise CommandRefusedError(f"The hub's database does not answer: {error}") from error
        except UNREADABLE as error:
            raise CommandRefusedError(f"Run {query.run} cannot be read: {error}") from error
        return document

    def _answer(self, query: Query) -> bytes:
        match query.what:
            case "runs":
                runs = [run for run in self._store.runs() if not query.before or run.id < query.before]
                return msgspec.json.encode([self._row(run) for run in runs[: query.limit]])
            case "plan":
                run = self._store.run(query.run)
                return msgspec.json.encode({"run": run.id, "name": run.name, "plan": run.plan_text})
            case "result":
                return json_report(build(self._store, query.run))
            case "parts":
                versions = catalogue(self._store.database, time.time())
                return msgspec.json.encode(Parts(workspace_id(self._store), HEAD, versions))
            case "rows":
                database, numbers = self._store.database, query.numbers
                return msgspec.json.encode(
                    rows(database, query.kind, numbers, query.table, query.after, query.limit), enc_hook=str
                )

    def _row(self, run: RunEntry) -> RunRow:
        conclusion, requests, matched, counted = "none", None, None, None
        try:
            tests = run_figures(self._store, run.id)
            now = standing(run, tests)
            run, conclusion = now.run, now.conclusion
            requests, matched, counted = (
                sum(test.total for test in tests),
                sum(test.good for test in tests),
                sum(test.counted for test in tests),
            )
        except UNREADABLE:
            pass  # its counts are None, which says so
        return RunRow(
            run=run.id,
            uid=run.uid,
            name=run.name,
            state=run.state,
            conclusion=conclusion,
            sentence=run.message,
            created=run.created,
            started=run.started,
            ended=run.ended,
            requests=requests,
            matched=matched,
            counted=counted,
            baseline=run.baseline,
            origin=run.origin,
        )
