"""What a report says, before it is written in any format: gathered from the store once, then plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby

import msgspec

from gui.campaign.presets import Published, find_preset
from gui.reconcile import (
    ODD_KINDS,
    Breakdown,
    Conclusion,
    Latency,
    ServerFigures,
    ShareFigures,
    Speed,
    TestFigures,
    Timing,
    break_down,
    by_server,
    by_share,
    figures,
    injected_losses,
    places,
    read_speed,
    standing,
    time_test,
)
from gui.report.facts import Fact, facts_of
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
"""Requests that a report lists one by one; `tally results --requests` lists them all."""


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
    odd: Breakdown = field(default_factory=Breakdown)
    """What is not matched: counted, not listed."""
    timing: Timing | None = None
    """None when none of its requests has ended, or when it was not asked for."""
    speed: Speed | None = None
    """None when it was not asked for."""
    latency: Latency | None = None
    """How long its requests took; None when none has ended, or when neither timing nor speed was asked for."""
    shares: tuple[ShareFigures, ...] = ()
    """Its workloads, if timing was asked for."""

    __test__ = False

    @property
    def rescored(self) -> bool:
        """Another scoring changed the figures: after late records, on request, or on import."""
        return (self.now.good, self.now.counted) != (self.at_settle.good, self.at_settle.counted)


@dataclass(frozen=True, slots=True)
class RunReport:
    """A whole run. `odd`: requests that are not matched, some of `odd_total`, by repeat and then by verdict.

    State and message of `run` are those that the newest figures give it, and `conclusion` says the same."""

    run: RunEntry
    conclusion: Conclusion
    tests: tuple[TestReport, ...]
    servers: tuple[ServerFigures, ...]
    odd: tuple[RequestEntry, ...]
    odd_total: int
    markers: tuple[MarkerRow, ...]
    notes: tuple[NoteRow, ...]
    facts: tuple[Fact, ...] = ()

    def listed(self, limit: int = MAX_ODD) -> list[RequestEntry]:
        """Of `odd`, what a page or a document lists: of each repeat and each verdict its fair part."""
        groups = [list(alike) for _, alike in groupby(self.odd, key=lambda q: (q.repeat_id, q.verdict))]
        parts = fair([len(alike) for alike in groups], limit)
        return [request for alike, part in zip(groups, parts, strict=True) for request in alike[:part]]

    def test_of(self, request: RequestEntry) -> tuple[int, int]:
        """Numbers of the test and the repeat that asked this."""
        return next(
            (test.entry.number, one.repeat.number)
            for test in self.tests
            for one in test.repeats
            if one.repeat.id == request.repeat_id
        )


def build(
    store: Store,
    run_id: int,
    *,
    redact: bool = False,
    max_odd: int = MAX_ODD,
    timing: bool = True,
    speed: bool = False,
    samples: bool = True,
    without_injected: bool = False,
) -> RunReport:
    """Gather a run. `redact`: names and addresses of hosts and people are replaced by numbers everywhere.
    `timing`: with latencies and throughput over time, which takes a look at every request. `speed`: with the times of
    all requests, which two runs are compared by. `samples`: with those of each second. `without_injected`: what the
    plan injected itself does not count. `build_brief` is for many runs.

    Raises NoSuchRowError."""
    run = store.run(run_id)
    scorings = store.scorings_of_run(run_id)
    repeats = store.repeats(run_id)
    where = places(store, scorings, without_injected=without_injected)
    planned = injected_losses(store, scorings)
    published = _published(run.name)
    tests = []
    for test in store.tests(run_id):
        entries = [repeat for repeat in repeats if repeat.test_id == test.id]
        measured = [store.samples(repeat.id) if samples or timing else [] for repeat in entries]
        mine = tuple(
            RepeatReport(repeat, tuple(entry for entry in scorings if entry.repeat_id == repeat.id), summed(some))
            for repeat, some in zip(entries, measured, strict=True)
        )
        ids = [repeat.id for repeat in entries]
        judged = partial(figures, test.spec, places=where, injected=planned, without_injected=without_injected)
        timed = time_test(store, ids, measured) if timing else None
        times = read_speed(store, ids) if speed else None
        tests.append(
            TestReport(
                test,
                judged([r.newest for r in mine if r.newest]),
                judged([r.at_settle for r in mine if r.at_settle]),
                published.get((test.spec.name, test.spec.servers, test.spec.files_per_server, test.spec.per_round)),
                mine,
                break_down(store, [r.newest.id for r in mine if r.newest], without_injected=without_injected),
                timed,
                times,
                timed.latency if timed else times.latency if times and times.times else None,
                tuple(by_share(store, [r.newest.id for r in mine if r.newest])) if timing else (),
            )
        )
    newest = [r.newest for test in tests for r in test.repeats if r.newest]
    now = standing(run, [test.now for test in tests])
    report = RunReport(
        run=now.run,
        conclusion=now.conclusion,
        tests=tuple(tests),
        servers=tuple(by_server(store, [entry.id for entry in newest], without_injected=without_injected)),
        odd=tuple(_odd(store, newest, max_odd)),
        odd_total=sum(entry.total - entry.matched for entry in newest),
        markers=tuple(store.markers(run_id)),
        notes=tuple(store.notes(run_id)),
        facts=facts_of(store, now.run),
    )
    return _redacted(report, store) if redact else report


def build_brief(store: Store, run_id: int) -> RunReport:
    """A run with nothing but the figures of its tests and the percentiles of their times: what a trend of many runs
    needs. Raises NoSuchRowError."""
    run = store.run(run_id)
    scorings = store.scorings_of_run(run_id)
    repeats = store.repeats(run_id)
    where = places(store, scorings)
    tests = []
    for test in store.tests(run_id):
        mine = tuple(
            RepeatReport(repeat, tuple(entry for entry in scorings if entry.repeat_id == repeat.id), ())
            for repeat in repeats
            if repeat.test_id == test.id
        )
        times = read_speed(store, [one.repeat.id for one in mine])
        now = figures(test.spec, [r.newest for r in mine if r.newest], where)
        at_settle = figures(test.spec, [r.at_settle for r in mine if r.at_settle], where)
        latency = times.latency if times.times else None
        tests.append(TestReport(test, now, at_settle, None, mine, latency=latency))
    standing_now = standing(run, [test.now for test in tests])
    return RunReport(standing_now.run, standing_now.conclusion, tuple(tests), (), (), 0, (), ())


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


def _odd(store: Store, scorings: Sequence[ScoringEntry], limit: int) -> list[RequestEntry]:
    """Requests that are not matched, at most `limit`: of each repeat and each verdict its fair part."""
    wanted = [(entry, kind, count) for entry in scorings for kind in ODD_KINDS if (count := _counted(entry, kind))]
    parts = fair([count for _, _, count in wanted], limit)
    return [
        request
        for (entry, kind, _), part in zip(wanted, parts, strict=True)
        if part
        for request in store.requests(entry.repeat_id, verdict=kind, limit=part)
    ]


def _counted(entry: ScoringEntry, kind: VerdictKind) -> int:
    count: int = getattr(entry, kind.word)
    return count


def fair(counts: Sequence[int], limit: int) -> list[int]:
    """How many of each to take so that at most `limit` are taken: all of the small ones, the rest in equal parts."""
    parts = [0] * len(counts)
    left, some = limit, len(counts)
    for place in sorted(range(len(counts)), key=lambda place: counts[place]):
        parts[place] = min(counts[place], left // some)
        left, some = left - parts[place], some - 1
    return parts


def summed(samples: Sequence[SampleRow]) -> tuple[SampleRow, ...]:
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
            origin="a bundle" if report.run.origin else "",
            seal=report.run.seal and msgspec.structs.replace(report.run.seal, by=text(report.run.seal.by)),
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
        facts=tuple(replace(f, where=text(f.where), value=text(f.value)) for f in report.facts),
        tests=tuple(
            replace(
                test,
                odd=replace(
                    test.odd,
                    causes=tuple(replace(loss, cause=text(loss.cause)) for loss in test.odd.causes),
                    servers=tuple(replace(server, name=text(server.name)) for server in test.odd.servers),
                    errors=tuple(replace(error, error=text(error.error)) for error in test.odd.errors),
                ),
                timing=None
                if test.timing is None
                else replace(
                    test.timing, servers=tuple(replace(one, name=text(one.name)) for one in test.timing.servers)
                ),
                repeats=tuple(
                    replace(r, repeat=replace(r.repeat, settle_reason=text(r.repeat.settle_reason)))
                    for r in test.repeats
                ),
            )
            for test in report.tests
        ),
    )
