"""What a page and a document show, in which order: the same sections, for `html` and `pdf` to write each in its way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gui.campaign.mix import workload_words
from gui.reconcile import Loss, ServerFigures, ServerTiming, ShareFigures, Timing, sentence
from gui.report import numbers
from gui.report.content import MAX_ODD, RunReport, TestReport
from gui.report.palette import STATUS
from gui.report.plot import Picture, converging, intervals, latencies, throughput
from gui.report.table import VERDICT, Column, columns_of, explanations, remarks_of, several_repeats
from gui.report.words import BOUND, bounded, printable
from gui.store import RequestEntry, VerdictKind

CAUSES = 50
"""Causes, errors and stretches of time of a test that are shown; the JSON report has more."""
SLOWEST = 12
"""Servers of a test whose latencies are drawn: those with the largest 95th percentile."""
MAX_PLAN = 2000
"""Lines of a plan."""
ZERO_IS_GOOD = ("missing", "wrong_bytes", "duplicate", "late", "client_failed", "not_waited", "unrequested")


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell. `role`: its colour; `kind`: ``key`` (stands out), ``text`` (may be long), ``code``, or none."""

    text: str
    role: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Head:
    """The title of a column; text is aligned left, numbers right."""

    title: str
    left: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """A table. `name`: what a page calls it, where it does something with it."""

    heads: tuple[Head, ...]
    rows: tuple[tuple[Cell, ...], ...]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A sentence or two, of less weight than what it speaks of."""

    text: str


@dataclass(frozen=True, slots=True)
class Code:
    """Lines as they are."""

    text: str


@dataclass(frozen=True, slots=True)
class Group:
    """Parts that are looked at when they are wanted."""

    title: str
    parts: tuple[Part, ...]


Part = Grid | Paragraph | Code | Group | Picture


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with what is below it."""

    title: str
    parts: tuple[Part, ...]


def sections(report: RunReport) -> list[Section]:
    """All sections that have something to show."""
    found = [
        Section("Result", tuple(_results(report))),
        Section("What is not matched", tuple(_odd(report))),
        Section("Over time", tuple(_over_time(report))),
        Section("Workloads", tuple(_workloads(report))),
        Section("Latency and throughput", tuple(_timings(report))),
        Section("Servers", tuple(_servers(report.servers))),
        Section(f"Requests that are not matched ({report.odd_total:,})", tuple(_requests(report))),
        Section("Events", tuple(_events(report))),
        Section("Notes", tuple(_notes(report))),
        Section("Environment", tuple(_environment(report))),
        Section("Plan", tuple(_plan(report))),
    ]
    return [section for section in found if section.parts]


def name_of(test: TestReport) -> str:
    """``Test 2 (8 servers)``."""
    spec = test.entry.spec
    return f"Test {test.entry.number} ({bounded(spec.name, 60) or f'{spec.servers} × {spec.files_per_server}'})"


# ---- the result


def _results(report: RunReport) -> Iterable[Part]:
    columns = columns_of(report)
    scoped = several_repeats(report)
    main = [column for column in columns if column.name in _MAIN]
    rest = [column for column in columns if column.name in _KEYS or column.name not in _MAIN]
    yield _figures(report, main, scoped=scoped)
    yield _figures(report, rest, scoped=scoped)
    for explanation in explanations(report):
        yield Paragraph(explanation)
    for remark in remarks_of(report):
        yield Paragraph(bounded(remark))


def _figures(report: RunReport, columns: Sequence[Column], *, scoped: bool) -> Grid:
    heads = tuple(
        Head(f"{column.title} {column.scope}".strip() if scoped else column.title, column.name in _LEFT)
        for column in columns
    )
    return Grid(heads, tuple(tuple(_figure(column, test) for column in columns) for test in report.tests))


def _figure(column: Column, test: TestReport) -> Cell:
    if column.name == "conclusion":
        return state(test.now.conclusion)
    text = column.shown(test)
    if column.name in ("recorded_avg", "success"):
        return Cell(text, kind="key")
    return faint(text) if column.name in ZERO_IS_GOOD else Cell(text)


_SECONDS = ("clock_offset", "rtt")
"""Facts of a client that are told in seconds, and are a few milliseconds."""
_KEYS = ("test", "test_name")
_LEFT = ("test", "test_name", "conclusion")
_MAIN = (
    *_KEYS, "num_servers", "files_per_server", "total_files", "req_rate", "recorded_avg", "success", "worst", "pass_at",
    "conclusion",
)  # fmt: skip
assert len(_MAIN) == VERDICT


def state(name: str) -> Cell:
    """A state: sign, word and colour."""
    role, words = STATUS[name]
    return Cell(words, role)


def faint(text: str) -> Cell:
    """A figure that is not worth a look where it is zero or not known."""
    return Cell(text, "text3" if text in ("0", numbers.UNKNOWN) else "")


# ---- what is not matched, counted


def _odd(report: RunReport) -> Iterable[Part]:
    causes = [
        (Cell(str(test.entry.number)), Cell(f"{loss.count:,}", kind="key"), Cell(_stage(loss.lost_at)),
         Cell(_proven(loss)), Cell(bounded(loss.answer), kind="text"))
        for test in report.tests for loss in test.odd.causes[:CAUSES]
    ]  # fmt: skip
    if causes:
        yield Paragraph("Missing records by stage and cause:")
        yield Grid((Head("Test"), Head("Missing"), Head("Lost", True), Head("Proven", True), Head("Cause", True)),
                   tuple(causes))  # fmt: skip
    errors = [
        (Cell(str(test.entry.number)), Cell(f"{one.count:,}", kind="key"), Cell(str(one.status)),
         Cell(bounded(one.error) or "no text: interrupted, or never reported", kind="text"))
        for test in report.tests for one in test.odd.errors[:CAUSES]
    ]  # fmt: skip
    if errors:
        yield Paragraph("Requests that failed at their client, by what it said (… is the path):")
        yield Grid((Head("Test"), Head("Failed"), Head("Code"), Head("Error", True)), tuple(errors))
    behaviours = [
        (Cell(str(test.entry.number)), state(one.verdict), Cell(f"{one.count:,}", kind="key"),
         Cell(bounded(" ".join(map(sentence, one.names))) or "No known behaviour explains it.", kind="text"))
        for test in report.tests for one in test.odd.behaviours[:CAUSES] if one.verdict
    ]  # fmt: skip
    if behaviours:
        yield Paragraph("Sums that differ, by what is known to make them differ:")
        yield Grid((Head("Test"), Head("Verdict", True), Head("Requests"), Head("Behaviour", True)), tuple(behaviours))
    kinds = [Head("Missing"), Head("Wrong"), Head("Dup."), Head("Late"), Head("Client failed"), Head("Not waited")]
    servers = [
        (Cell(str(test.entry.number)), Cell(bounded(one.name, 120)), *(faint(numbers.count(value)) for value in (
            one.missing, one.wrong_bytes, one.duplicate, one.late, one.client_failed, one.not_waited)))
        for test in report.tests for one in test.odd.servers
    ]  # fmt: skip
    if servers:
        yield Paragraph("By server:")
        yield Grid((Head("Test"), Head("Server", True), *kinds), tuple(servers))
    times = [
        (Cell(str(test.entry.number)), Cell(numbers.moment(one.t)), Cell(numbers.duration(one.seconds)),
         *(faint(numbers.count(value)) for value in (
             one.missing, one.wrong_bytes, one.duplicate, one.late, one.client_failed, one.not_waited)))
        for test in report.tests for one in test.odd.times
    ]  # fmt: skip
    if times:
        yield Paragraph("By the time of their open (UTC):")
        yield Grid((Head("Test"), Head("From", True), Head("For"), *kinds), tuple(times))


def _proven(loss: Loss) -> str:
    if not loss.lost_at or loss.lost_at == "unknown":
        return numbers.UNKNOWN
    return "yes" if loss.certain else "probably"


def _stage(lost_at: str) -> str:
    return lost_at or numbers.UNKNOWN


# ---- over time


def _over_time(report: RunReport) -> Iterable[Part]:
    success = intervals(report)
    if success is not None:
        yield success
    for test in report.tests:
        for repeat in test.repeats:
            picture = converging(f"{name_of(test)}, repeat {repeat.repeat.number}", repeat, report.markers)
            if picture is not None:
                yield picture


# ---- workloads


def _workloads(report: RunReport) -> Iterable[Part]:
    """Each workload of a mix by itself, and how long the phases of requests took, where they are known."""
    mixed = [test for test in report.tests if len(test.shares) > 1]
    if mixed:
        heads = (
            Head("Test"), Head("Workload", True), Head("Weight"), Head("Requested"), Head("Recorded"), Head("Success"),
            Head("Missing"), Head("Late"), Head("Wrong"), Head("Dup."), Head("Client failed"), Head("Asked"),
            Head("Recorded"),
        )  # fmt: skip
        yield Grid(heads, tuple(_share(test, one) for test in mixed for one in test.shares))
    phased = [(test, one) for test in report.tests for one in test.shares if one.phases.keys() - {"total"}]
    if phased:
        yield Paragraph(
            "Median and 95th percentile of the phases of requests without error. A name is looked up, and a connection "
            "made, only for the first request of a session tag; the first byte counts from the request's beginning."
        )
        phase_heads = (Head("Test"), Head("Workload", True), *(Head(title) for title in _PHASES.values()))
        yield Grid(phase_heads, tuple(_phases(test, one) for test, one in phased))


_PHASES = {
    "name": "Name", "connect": "Connect", "tls": "TLS", "open": "Open", "first": "First byte", "total": "Whole request",
}  # fmt: skip


def _share(test: TestReport, one: ShareFigures) -> tuple[Cell, ...]:
    workload = test.entry.spec.workloads[one.share] if one.share < len(test.entry.spec.workloads) else None
    return (
        Cell(str(test.entry.number)),
        Cell(workload_words(workload) if workload else numbers.UNKNOWN),
        Cell(str(workload.weight) if workload else numbers.UNKNOWN),
        *(Cell(numbers.count(value)) for value in (one.requested, one.recorded)),
        Cell(numbers.success(one.matched + one.late, one.counted), kind="key"),
        *(
            faint(numbers.count(value))
            for value in (one.missing, one.late, one.wrong_bytes, one.duplicate, one.client_failed)
        ),
        Cell(numbers.size(one.bytes_asked)),
        Cell(numbers.size(one.bytes_recorded)),
    )


def _phases(test: TestReport, one: ShareFigures) -> tuple[Cell, ...]:
    workloads = test.entry.spec.workloads
    times = (one.phases.get(name) for name in _PHASES)
    return (
        Cell(str(test.entry.number)),
        Cell(workload_words(workloads[one.share]) if one.share < len(workloads) else numbers.UNKNOWN),
        *(
            faint(numbers.UNKNOWN)
            if time is None
            else Cell(f"{numbers.latency(time.p50)} · {numbers.latency(time.p95)}")
            for time in times
        ),
    )


def _timings(report: RunReport) -> Iterable[Part]:
    timed = [(test, test.timing) for test in report.tests if test.timing is not None]
    if not timed:
        return
    yield Grid(
        (Head("Test", True), *_LATENCIES),
        tuple((Cell(name_of(test)), *_latency(timing)) for test, timing in timed),
    )
    yield Paragraph("The time of a request is from before its open to after its close, at its client.")
    for test, timing in timed:
        for picture in (
            latencies(f"{name_of(test)}: latency", timing.moments, report.markers),
            throughput(f"{name_of(test)}: throughput", timing.moments, report.markers),
        ):
            if picture is not None:
                yield picture
        if len(timing.servers) > 1:
            yield Group(f"{name_of(test)}: its servers", tuple(_timed_servers(report, timing)))


_LATENCIES = (Head("Requests"), Head("Median"), Head("95 %"), Head("99 %"), Head("Longest"), Head("Failed"),
              Head("Bytes read"))  # fmt: skip


def _latency(one: Timing | ServerTiming) -> tuple[Cell, ...]:
    times = (one.latency.p50, one.latency.p95, one.latency.p99, one.latency.max)
    return (
        Cell(numbers.count(one.latency.count)),
        *(Cell(numbers.latency(value)) for value in times),
        faint(numbers.count(one.failed)),
        Cell(numbers.size(one.bytes_read)),
    )


def _timed_servers(report: RunReport, timing: Timing) -> Iterable[Part]:
    slowest = sorted(timing.servers, key=lambda one: -(one.latency.p95 or 0))
    yield Grid(
        (Head("Server", True), *_LATENCIES),
        tuple((Cell(bounded(one.name, 120)), *_latency(one)) for one in slowest),
    )
    if len(slowest) > SLOWEST:
        yield Paragraph(f"Drawn: the {SLOWEST} with the largest 95th percentile; the JSON report has all.")
    for one in slowest[:SLOWEST]:
        name = bounded(one.name, 60)
        for picture in (
            latencies(f"{name}: latency", one.moments, report.markers),
            throughput(f"{name}: throughput", one.moments, report.markers),
        ):
            if picture is not None:
                yield picture


# ---- servers and requests


def _servers(servers: Sequence[ServerFigures]) -> Iterable[Part]:
    if not servers:
        return
    heads = (
        Head("Server", True), Head("Address", True), Head("Requested"), Head("Read"), Head("Recorded"), Head("Success"),
        Head("Missing"), Head("Late"), Head("Wrong"), Head("Dup."), Head("Client failed"), Head("Not waited"),
        Head("Asked"), Head("Recorded"), Head("Lost at", True), Head("Cause", True),
    )  # fmt: skip
    yield Grid(
        heads,
        tuple(
            (
                Cell(bounded(s.name, 120)),
                Cell(bounded(s.url, 120)),
                *(Cell(numbers.count(value)) for value in (s.requested, s.read, s.recorded)),
                Cell(numbers.success(s.matched + s.late, s.counted), kind="key"),
                *(
                    faint(numbers.count(value))
                    for value in (s.missing, s.late, s.wrong_bytes, s.duplicate, s.client_failed, s.not_waited)
                ),
                Cell(numbers.size(s.bytes_asked)),
                Cell(numbers.size(s.bytes_recorded)),
                faint(s.lost_at or numbers.UNKNOWN),
                Cell(bounded(s.answer) or numbers.UNKNOWN, kind="text"),
            )
            for s in servers
        ),
    )


REQUEST_HEADS = (
    Head("Verdict", True), Head("Test"), Head("Repeat"), Head("Server", True), Head("Path", True), Head("Tag", True),
    Head("Client", True), Head("Opened"), Head("Asked"), Head("Recorded"), Head("Difference"), Head("Accesses"),
    Head("Why", True),
)  # fmt: skip


def _requests(report: RunReport) -> Iterable[Part]:
    listed = report.listed(MAX_ODD)
    if not listed:
        return
    yield Grid(REQUEST_HEADS, tuple(request_row(report, request) for request in listed), "requests")
    rest = report.odd_total - len(listed)
    if rest > 0:
        yield Paragraph(
            f"{rest:,} more are not listed here, of each repeat and verdict its part; "
            f"`tally results {report.run.id} --requests` lists all of them."
        )


def request_row(report: RunReport, request: RequestEntry) -> tuple[Cell, ...]:
    """The cells of a request, as `REQUEST_HEADS` has them."""
    assert request.verdict is not None
    test, repeat = report.test_of(request)
    recorded = sum(part or 0 for part in (request.recorded_read, request.recorded_readv, request.recorded_write))
    seen = bool(request.accesses)
    return (
        state(request.verdict.word),
        Cell(str(test)),
        Cell(str(repeat)),
        Cell(bounded(request.server, 120)),
        Cell(bounded(request.path), kind="code"),
        Cell(bounded(request.tag, 20), kind="code"),
        Cell(bounded(request.agent, 120)),
        Cell(numbers.clock(request.t_open or None)),
        Cell(numbers.exact_size(request.asked)),
        faint(numbers.exact_size(recorded) if seen else numbers.UNKNOWN),
        faint(numbers.delta(recorded - request.asked) if seen else numbers.UNKNOWN),
        faint(numbers.count(request.accesses or 0)),
        Cell(bounded(why(request)), kind="text"),
    )


def why(request: RequestEntry) -> str:
    """What is known about the reason of a verdict, in words."""
    if request.verdict is VerdictKind.CLIENT_FAILED:
        return request.error or request.cause
    if request.verdict is VerdictKind.NOT_WAITED:
        return request.cause
    words = [sentence(name) for name in request.behaviours]
    if request.lost_at:
        words.insert(0, request.answer)
    return " ".join(words)


# ---- what belongs to the run


def _events(report: RunReport) -> Iterable[Part]:
    events = [marker for marker in report.markers if marker.kind != "round"]
    if events:
        yield Grid(
            (Head("When", True), Head("Kind", True), Head("What", True)),
            tuple(
                (Cell(numbers.moment(e.t)), Cell(printable(e.kind)), Cell(bounded(e.text), kind="text")) for e in events
            ),
        )


def _notes(report: RunReport) -> Iterable[Part]:
    if report.notes:
        yield Grid(
            (Head("When", True), Head("Who", True), Head("Note", True)),
            tuple(
                (
                    Cell(numbers.moment(n.t)),
                    Cell(bounded(n.author, 120)),
                    Cell(bounded(n.text, 10 * BOUND), kind="text"),
                )
                for n in report.notes
            ),
        )


def _environment(report: RunReport) -> Iterable[Part]:
    facts = {**report.run.versions, **report.run.environment}
    if facts:
        rows = [(name, one) for name, value in facts.items() for one in _one_each(value)]
        yield Grid(
            (Head("What", True), Head("Value", True)),
            tuple((Cell(bounded(str(name), 120)), Cell(bounded(plain(value), 10 * BOUND), kind="text"))
                  for name, value in rows),
        )  # fmt: skip


def _one_each(value: object) -> Iterable[object]:
    """Each of several things that have facts of their own (clients) for itself; all else as it is."""
    return value if isinstance(value, list) and value and all(isinstance(one, dict) for one in value) else [value]


def plain(value: object) -> str:
    """A JSON value in words: three digits of a number that was measured, ``yes`` and ``no``."""
    match value:
        case dict():
            return ", ".join(f"{str(name).replace('_', ' ')}: {_fact(name, item)}" for name, item in value.items())
        case list():
            return ", ".join(plain(item) for item in value)
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.3g}"
    return str(value)


def _fact(name: object, value: object) -> str:
    return f"{1000 * value:.1f} ms" if name in _SECONDS and isinstance(value, float) else plain(value)


def _plan(report: RunReport) -> Iterable[Part]:
    lines = report.run.plan_text.splitlines()
    if not lines:
        return
    yield Code("\n".join(bounded(line) for line in lines[:MAX_PLAN]))
    if len(lines) > MAX_PLAN:
        yield Paragraph(f"{len(lines) - MAX_PLAN:,} more lines are in the JSON report.")
