"""What a report says, before it is written in any format: gathered from the store once, then plain values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from gui.campaign.presets import Published, find_preset
from gui.reconcile import (
    Conclusion,
    Loss,
    ServerFigures,
    TestFigures,
    by_server,
    figures,
    losses,
    standing,
)
from gui.report.redact import Redaction
from gui.store import (
    MarkerRow,
    NoteRow,
    RepeatEntry,
    RequestEntry,
    RunEntry,
    SampleRow,
    ScoringEntry,
    Store,
    TestEntry,
    VerdictKind,
)

_SUMMED = ("requested", "read", "recorded", "failed", "bytes_read", "bytes_recorded")
MAX_ODD = 1000
"""Requests that a report lists one by one; a bundle has them all."""


@dataclass(frozen=True, slots=True)
class RepeatReport:
    """One repeat: its scorings, oldest first, and its samples summed over all servers."""

    repeat: RepeatEntry
    scorings: tuple[ScoringEntry, ...]
    samples: tuple[SampleRow, ...]

    @property
    def newest(self) -> ScoringEntry | None:
        """The scoring that counts."""
        return self.scorings[-1] if self.scorings else None

    @property
    def at_settle(self) -> ScoringEntry | None:
        """The scoring when waiting was over."""
        return next((entry for entry in self.scorings if entry.kind == "settle"), None)


@dataclass(frozen=True, slots=True)
class TestReport:
    """One test: a row of the table. `at_settle` differs from `now` when late records changed it."""

    entry: TestEntry
    now: TestFigures
    at_settle: TestFigures
    published: Published | None
    repeats: tuple[RepeatReport, ...]
    losses: tuple[Loss, ...] = ()
    """Why records are missing, the commonest cause first."""

    __test__ = False

    @property
    def rescored(self) -> bool:
        """Late records changed the figures."""
        return (self.now.good, self.now.counted) != (self.at_settle.good, self.at_settle.counted)


@dataclass(frozen=True, slots=True)
class RunReport:
    """A whole run. `odd`: requests that are not matched, at most `MAX_ODD` of `odd_total`.

    State and message of `run` are those that the newest figures give it, and `conclusion` says the same."""

    run: RunEntry
    conclusion: Conclusion
    tests: tuple[TestReport, ...]
    servers: tuple[ServerFigures, ...]
    odd: tuple[RequestEntry, ...]
    odd_total: int
    markers: tuple[MarkerRow, ...]
    notes: tuple[NoteRow, ...]


def build(store: Store, run_id: int, *, redact: bool = False, max_odd: int = MAX_ODD) -> RunReport:
    """Gather a run. `redact`: names and addresses of hosts and people are replaced by numbers everywhere.

    Raises NoSuchRow."""
    run = store.run(run_id)
    scorings = store.scorings_of_run(run_id)
    repeats = store.repeats(run_id)
    published = _published(run.name)
    tests = []
    for test in store.tests(run_id):
        mine = [
            RepeatReport(
                repeat,
                tuple(entry for entry in scorings if entry.repeat_id == repeat.id),
                _summed(store.samples(repeat.id)),
            )
            for repeat in repeats
            if repeat.test_id == test.id
        ]
        tests.append(
            TestReport(
                test,
                figures(test.spec, [r.newest for r in mine if r.newest]),
                figures(test.spec, [r.at_settle for r in mine if r.at_settle]),
                published.get((test.spec.name, test.spec.servers, test.spec.files_per_server, test.spec.per_round)),
                tuple(mine),
                tuple(losses(store, [r.newest.id for r in mine if r.newest])),
            )
        )
    newest = [r.newest for test in tests for r in test.repeats if r.newest]
    now = standing(run, [test.now for test in tests])
    report = RunReport(
        run=now.run,
        conclusion=now.conclusion,
        tests=tuple(tests),
        servers=tuple(by_server(store, [entry.id for entry in newest])),
        odd=tuple(_odd(store, newest, max_odd)),
        odd_total=sum(entry.total - entry.matched for entry in newest),
        markers=tuple(store.markers(run_id)),
        notes=tuple(store.notes(run_id)),
    )
    return _redacted(report, store) if redact else report


def _published(plan: str) -> dict[tuple[str, int, int, int], Published]:
    """Published figures of a preset by what they were measured with; a test that asks for something else has none."""
    preset = find_preset(plan)
    if preset is None:
        return {}
    rows = {row.test: row for row in preset.published}
    return {
        (test.name, test.servers, test.files_per_server, test.per_round): rows[test.name]
        for test in preset.plan.tests
        if test.name in rows and isinstance(test.servers, int)
    }


def _odd(store: Store, scorings: Sequence[ScoringEntry], limit: int) -> Iterable[RequestEntry]:
    """Requests that are not matched: the worst kinds first."""
    found: list[RequestEntry] = []
    for kind in (
        VerdictKind.MISSING,
        VerdictKind.WRONG_BYTES,
        VerdictKind.DUPLICATE,
        VerdictKind.LATE,
        VerdictKind.CLIENT_FAILED,
        VerdictKind.NOT_WAITED,
    ):
        for entry in scorings:
            if len(found) >= limit:
                return found
            found += store.requests(entry.repeat_id, verdict=kind, limit=limit - len(found))
    return found


def _summed(samples: Sequence[SampleRow]) -> tuple[SampleRow, ...]:
    """Samples summed over all servers; a server without a figure in a second counts as in its last one. A figure that
    no server has in a second stays unknown."""
    last: dict[str, dict[int, int]] = {name: {} for name in _SUMMED}
    sums: list[SampleRow] = []
    for second, group in groupby(samples, key=lambda sample: sample.t):
        here = list(group)
        row: dict[str, int | None] = {}
        for name, known in last.items():
            fresh = {s.server_id: value for s in here if (value := getattr(s, name)) is not None}
            known |= fresh
            row[name] = sum(known.values()) if fresh else None
        sums.append(SampleRow(second, 0, **row))
    return tuple(sums)


def _redacted(report: RunReport, store: Store) -> RunReport:
    redaction = Redaction.of(store)
    text = redaction.text
    return replace(
        report,
        run=replace(
            report.run,
            plan_text=text(report.run.plan_text),
            message=text(report.run.message),
            environment=redaction.value(report.run.environment),
            versions=redaction.value(report.run.versions),
        ),
        servers=tuple(replace(s, name=text(s.name), url=text(s.url), cause=text(s.cause)) for s in report.servers),
        odd=tuple(
            replace(
                r,
                server=text(r.server),
                server_url=text(r.server_url),
                agent=text(r.agent),
                reached=text(r.reached),
                error=text(r.error),
                cause=text(r.cause),
            )
            for r in report.odd
        ),
        markers=tuple(replace(m, text=text(m.text)) for m in report.markers),
        notes=tuple(replace(n, text=text(n.text), author=text(n.author)) for n in report.notes),
        tests=tuple(
            replace(
                test,
                losses=tuple(replace(loss, cause=text(loss.cause)) for loss in test.losses),
                repeats=tuple(
                    replace(r, repeat=replace(r.repeat, settle_reason=text(r.repeat.settle_reason)))
                    for r in test.repeats
                ),
            )
            for test in report.tests
        ),
    )
