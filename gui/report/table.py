"""The result table of a run, as aligned text for a terminal and as CSV, and what is remarked on it.

It has the columns of the table that was published in 2021 (resources/presets/osdf-2021.published.toml), then ours."""

from __future__ import annotations

import csv
import io
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from gui.reconcile import Breakdown, Stage, TestFigures, hundredths, still_on
from gui.report import numbers
from gui.report.bundle.seal import seal_sentence
from gui.report.content import RunReport, TestReport
from gui.report.words import bounded
from gui.report.words import printable as printable
from gui.store import RequestEntry, VerdictKind, answer

NAME = 24
"""Characters of a test's name in the table."""
PATH = 120
"""Characters of a path or an error in a remark."""
SILENCES = 5
"""Times when a server did not answer that are named below the table."""
EXAMPLES = 3
"""Causes, errors and servers that are named below the table; a report in another form has every one."""
LOST_AT = {
    "client": "at the client",
    "server": "not sent by the server",
    "kernel": "dropped by the kernel at the shoveler",
    "fragmentation": "lost in fragments",
    "wire": "lost on the wire",
    "spool": "at the shoveler",
    "queue": "between broker and collector",
    "collector": "at the collector",
    "load": "between collector and database",
    "unknown": "unknown",
}
"""How the stages of the ladder are called in a sentence."""
Scope = Literal["", "/repeat", "all"]


class Column(NamedTuple):
    """A column of the result table: what it is called and shows, whether it speaks of one repeat or of all, and its
    values for programs, each with a name and a single number."""

    title: str
    name: str
    shown: Callable[[TestReport], str]
    values: Mapping[str, Callable[[TestReport], float | int | str | None]]
    scope: Scope = ""


def _number(title: str, name: str, get: Callable[[TestFigures], float | int | None], scope: Scope = "all") -> Column:
    return Column(title, name, lambda test: numbers.count(get(test.now)), {name: lambda test: get(test.now)}, scope)


def _shown(
    title: str,
    name: str,
    shown: Callable[[TestReport], str],
    value: Callable[[TestReport], float | int | str | None],
    scope: Scope = "",
) -> Column:
    return Column(title, name, shown, {name: value}, scope)


COLUMNS: tuple[Column, ...] = (
    _shown("Test", "test", lambda t: str(t.entry.number), lambda t: t.entry.number),
    _shown(
        "Name", "test_name", lambda t: bounded(t.entry.spec.name, NAME) or numbers.UNKNOWN, lambda t: t.entry.spec.name
    ),
    _number("Num. servers", "num_servers", lambda f: f.spec.servers, ""),
    _number("Files req. per server", "files_per_server", lambda f: f.spec.files_per_server, "/repeat"),
    _number("Total files req.", "total_files", lambda f: f.spec.total, "/repeat"),
    _shown("Req. per round", "req_rate", lambda t: f"{t.now.spec.per_round:,}/server", lambda t: t.now.spec.per_round),
    _shown(
        "Files recorded avg.",
        "recorded_avg",
        lambda t: numbers.average(t.now.recorded_avg),
        lambda t: t.now.recorded_avg,
        "/repeat",
    ),
    _shown(
        "Success %",
        "success",
        lambda t: numbers.success(t.now.good, t.now.counted),
        lambda t: numbers.success_value(t.now.good, t.now.counted),
        "all",
    ),
    _shown(
        "Worst",
        "worst",
        lambda t: numbers.share(t.now.worst),
        lambda t: None if t.now.worst is None else hundredths(t.now.worst),
        "/repeat",
    ),
    _shown("Pass at", "pass_at", lambda t: f"{t.now.spec.pass_at:g} %", lambda t: t.now.spec.pass_at, "/repeat"),
    _shown("Verdict", "conclusion", lambda t: t.now.conclusion.replace("fail", "FAIL"), lambda t: t.now.conclusion),
    Column(
        "95 % interval",
        "interval",
        lambda t: numbers.interval(t.now.interval),
        {
            "interval_low": lambda t: None if t.now.interval is None else round(t.now.interval[0], 6),
            "interval_high": lambda t: None if t.now.interval is None else round(t.now.interval[1], 6),
        },
        "all",
    ),
    _number("Repeats", "repeats", lambda f: f.repeats, ""),
    _number("Min", "recorded_min", lambda f: f.recorded_min, "/repeat"),
    _number("Max", "recorded_max", lambda f: f.recorded_max, "/repeat"),
    _shown("Offered", "offered_rate", lambda t: numbers.rate(t.now.offered), lambda t: t.now.offered, "/repeat"),
    _shown("Achieved", "achieved_rate", lambda t: numbers.rate(t.now.achieved), lambda t: t.now.achieved, "/repeat"),
    _shown("Asked", "bytes_asked", lambda t: numbers.size(t.now.bytes_asked), lambda t: t.now.bytes_asked, "all"),
    _shown(
        "Recorded",
        "bytes_recorded",
        lambda t: numbers.size(t.now.bytes_recorded),
        lambda t: t.now.bytes_recorded,
        "all",
    ),
    _number("Requests", "requests", lambda f: f.total),
    _number("Counted", "counted", lambda f: f.counted),
    _number("Matched", "good", lambda f: f.good),
    _number("Missing", "missing", lambda f: f.missing),
    _number("Wrong", "wrong_bytes", lambda f: f.wrong_bytes),
    _number("Dup.", "duplicate", lambda f: f.duplicate),
    _number("Late", "late", lambda f: f.late),
    _number("Client failed", "client_failed", lambda f: f.client_failed),
    _number("Not waited", "not_waited", lambda f: f.not_waited),
    _number("Unreq.", "unrequested", lambda f: f.unrequested),
    _shown(
        "Published avg.",
        "published_recorded_avg",
        lambda t: numbers.average(t.published.recorded_avg if t.published else None),
        lambda t: t.published.recorded_avg if t.published else None,
        "/repeat",
    ),
    _shown(
        "Published",
        "published_success",
        lambda t: numbers.per_cent(t.published.success if t.published else None),
        lambda t: t.published.success if t.published else None,
        "all",
    ),
)
SCOPES = "/repeat: of one repeat (an average, or the worst one); all: of all repeats together."
"""What the line below the titles means."""
INTERVAL = (
    "95 % interval: in 19 of 20 cases it holds the success that many more such requests would show. Losses come in "
    "bursts, and a small test may meet none by luck; so its interval is wide, even where all matched. More requests "
    "narrow it."
)
"""What the interval means, since 200 of 200 with "63 to 100 %" beside it is read as a mistake."""
VERDICT = 11
"""Columns up to the verdict, which every narrow table begins with."""
_KEY = 2
"""Columns, of these, that tell the rows of a table apart."""
_BETWEEN = 2
"""Blanks between columns."""
_OPTIONAL = ("test_name", "published_recorded_avg", "published_success", "late", "unrequested", "not_waited")
_NARROW = ("counted", "good", "requests")
"""Columns that only programs want: they follow from others."""


def columns_of(report: RunReport) -> list[Column]:
    """The columns worth showing: published figures only where there are any, rare counts only where not all zero."""
    return [
        column
        for column in COLUMNS
        if column.name not in _NARROW
        and (column.name not in _OPTIONAL or any(column.values[column.name](test) for test in report.tests))
    ]


def values_of(test: TestReport) -> dict[str, float | int | str | None]:
    """All columns of a test for programs, by name."""
    return {name: value(test) for column in COLUMNS for name, value in column.values.items()}


def text_table(report: RunReport, width: int | None = None) -> str:
    """The table for a terminal, with a line on the run above it and remarks below. Ends with a newline.

    Where it is wider than `width` characters (None: no limit) it becomes several, one below the other: first the
    published columns with the verdict, then the others."""
    lines = _folded(headline(report), width)
    if report.run.message:
        lines += _folded(report.run.message, width)
    scoped = several_repeats(report)
    shown = columns_of(report) if scoped else [column._replace(scope="") for column in columns_of(report)]
    for columns in _parts(shown, report.tests, width):
        cells = [[column.shown(test) for column in columns] for test in report.tests]
        lines += ["", *aligned([_head(column) for column in columns], cells, left=_keys(columns))]
    remarks = [*explanations(report), *remarks_of(report)]
    if remarks:
        lines.append("")
        for remark in remarks:
            lines += _folded(remark, width)
    return "\n".join(printable(line.rstrip()) for line in lines) + "\n"


def several_repeats(report: RunReport) -> bool:
    """Whether a figure of one repeat and one of all differ in meaning."""
    return any(test.now.spec.repeats > 1 for test in report.tests)


def explanations(report: RunReport) -> list[str]:
    """What is to be known in order to read the table."""
    found = [SCOPES] if several_repeats(report) else []
    return [*found, INTERVAL] if any(test.now.interval for test in report.tests) else found


def _folded(text: str, width: int | None) -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent="  ", break_long_words=False) if width else [text]


def _keys(columns: Sequence[Column]) -> int:
    """How many of the first columns say which test a row is."""
    return sum(1 for column in columns[:_KEY] if column.name in ("test", "test_name"))


def _head(column: Column) -> list[str]:
    """The lines of a column's title; the last one says of what it speaks."""
    return [*_wrapped(column.title), *([column.scope] if column.scope else [])]


def _parts(columns: list[Column], tests: Sequence[TestReport], width: int | None) -> list[list[Column]]:
    """The columns in as many tables as their width asks for; each says which test a row is."""
    sizes = {
        column.name: max(len(text) for text in (*_head(column), *(column.shown(test) for test in tests)))
        for column in columns
    }

    def size(some: Sequence[Column]) -> int:
        return sum(sizes[column.name] for column in some) + _BETWEEN * (len(some) - 1)

    if width is None or size(columns) <= width:
        return [columns]
    key = columns[: _keys(columns)]
    verdict = next(column for column in columns if column.name == "conclusion")
    parts = [[*key, verdict]]
    for column in columns[len(key) :]:
        if column is verdict:
            continue
        if size([*parts[-1], column]) > width:
            parts.append(list(key))
        if len(parts) == 1:  # the verdict stays the last of the first table
            parts[0].insert(len(parts[0]) - 1, column)
        else:
            parts[-1].append(column)
    return parts


def headline(report: RunReport) -> str:
    """One line: which run, and how it ended."""
    verdict = {"pass": "PASS", "fail": "FAIL", "inconclusive": "INCONCLUSIVE", "none": "no result"}[report.conclusion]
    if report.conclusion == "none" or report.run.state in ("stopped", "aborted", "interrupted", "running"):
        verdict += f" ({report.run.state})"
    name, started = bounded(report.run.name, PATH), numbers.moment(report.run.started)
    return f"Run {report.run.id}  {name}  {verdict}  {tests_passed(report)}  started {started}"


def tests_passed(report: RunReport) -> str:
    """``7 of 8 tests passed``."""
    passed = sum(1 for test in report.tests if test.now.conclusion == "pass")
    return f"{passed} of {len(report.tests)} test{'s' if len(report.tests) != 1 else ''} passed"


def _why_rescored(test: TestReport) -> str:
    """What changed the figures: late records, or a person or an import that asked for another scoring."""
    late = any(scoring.kind == "late" for repeat in test.repeats for scoring in repeat.scorings)
    return "with what came late" if late else "when it was scored again"


def _doubts(report: RunReport) -> list[str]:
    """What is to be known of a run that came in a bundle which was changed, or whose figures were others."""
    seal = report.run.seal
    if seal is None:
        return []
    changed = [f"This run came in {report.run.origin}. {seal_sentence(seal)}"] if seal.changed else []
    return changed + [f"Scored again on import; the bundle's figures differ: {sentence}." for sentence in seal.differs]


def remarks_of(report: RunReport) -> list[str]:
    """What the figures alone do not say: late records, recovered transfers, clients that failed, short settles."""
    remarks = [*_doubts(report), *_foreign(report), *_silences(report), *_generators(report)]
    for test in report.tests:
        name = f"Test {test.entry.number}"
        now, then = test.now, test.at_settle
        if test.rescored:
            remarks.append(
                f"{name}: {numbers.success(then.good, then.counted)} when waiting ended, "
                f"{numbers.success(now.good, now.counted)} {_why_rescored(test)}."
            )
        if now.injected:
            remarks.append(f"{name}: {_injected(now)}")
        if now.recovered:
            remarks.append(f"{name}: {_requests(now.recovered)} took more than one access (recovered by the client).")
        if now.client_failed:
            remarks.append(
                f"{name}: {_requests(now.client_failed)} failed at the client and {_are(now.client_failed)} not counted"
                + (f" ({now.unreported:,} never reported)" if now.unreported else "")
                + ("; more than 1 %, so nothing is concluded." if now.conclusion == "inconclusive" else ".")
            )
        if now.not_waited:
            remarks.append(
                f"{name}: {_requests(now.not_waited)} without a record {_are(now.not_waited)} not counted: "
                "the run was stopped before it could be told whether one comes."
            )
        if now.unrequested:
            remarks.append(f"{name}: {_records(now.unrequested)} a tag of ours and a path that it never asked for.")
        remarks += [f"{name}: {sentence}" for sentence in _reasons(report, test)]
        remarks += [
            f"{name}, repeat {r.repeat.number}: {r.repeat.settle_reason.rstrip('.')}."
            for r in test.repeats
            if r.repeat.settle_complete is False and r.repeat.settle_reason
        ]
    return remarks


def _foreign(report: RunReport) -> list[str]:
    """The faults that were on when the run began and are not its own."""
    words = still_on(report.run.environment)
    return [f"{words[:1].upper()}{words[1:]} when the run began; what it lost is not this run's own."] if words else []


def _injected(now: TestFigures) -> str:
    """Both figures of a test whose plan lost records itself."""
    missing, counted = now.missing + now.left_out, now.counted + now.left_out
    which = f"{now.injected:,} of {missing:,} missing" if now.injected != missing else f"all {missing:,} missing"
    if now.left_out:
        return f"{which} are left out, since the plan injected them; with them {numbers.success(now.good, counted)}."
    return f"the plan injected {which}; without them {numbers.success(now.good, counted - now.injected)}."


def _silences(report: RunReport) -> list[str]:
    """The servers that did not answer for a while: when that was over, and how long it had been."""
    held = [marker for marker in report.markers if marker.kind == "held"]
    said = [f"{numbers.moment(marker.t)}: {marker.text}" for marker in held[:SILENCES]]
    if len(held) > SILENCES:
        said.append(f"Servers did not answer {len(held) - SILENCES:,} more times; the JSON report has them all.")
    return said


def _generators(report: RunReport) -> list[str]:
    """The clients that were at their limit: the test may have measured them."""
    limited = [marker for marker in report.markers if marker.kind == "limited"]
    said = [f"{numbers.moment(marker.t)}: {marker.text}" for marker in limited[:SILENCES]]
    if len(limited) > SILENCES:
        said.append(
            f"Clients were at their limit {len(limited) - SILENCES:,} more times; the JSON report has them all."
        )
    return said


def _reasons(report: RunReport, test: TestReport) -> Iterator[str]:
    """Where records were lost, and what clients said that failed: the commonest of each, with an example.

    Counts are those of the database; only examples are taken from the requests that the report lists."""
    mine = {r.repeat.id for r in test.repeats}
    examples = [request for request in report.odd if request.repeat_id in mine]
    yield from _lost(test.odd)
    for kind, count in ((VerdictKind.WRONG_BYTES, test.now.wrong_bytes), (VerdictKind.DUPLICATE, test.now.duplicate)):
        if count:
            yield _differing(kind, test.odd, [q for q in examples if q.verdict is kind], count)
    failed = [q for q in examples if q.verdict is VerdictKind.CLIENT_FAILED and q.error]
    said = [error for error in test.odd.errors if error.error]
    for one in said[:EXAMPLES]:
        example = next((q for q in failed if (q.status, q.error.replace(q.path, "…")) == (one.status, one.error)), None)
        where = f", as at {example.server}, {bounded(example.path, PATH)}" if example else ""
        text = bounded(example.error if example else one.error, 2 * PATH)
        yield f"{one.count:,} failed at the client{where}: {text.rstrip('.')}."
    if len(said) > EXAMPLES:
        more = sum(one.count for one in said[EXAMPLES:])
        yield f"{more:,} more failed at the client, with {_others(len(said) - EXAMPLES, 'error')}."


def _lost(odd: Breakdown) -> Iterator[str]:
    """Where missing records were lost: first by stage, then the commonest causes, servers and the time."""
    total = sum(loss.count for loss in odd.causes)
    stages = [f"{stage.count:,} {stage_words(stage)}" for stage in odd.stages]
    if len(stages) > 1:
        yield f"{total:,} missing: {', '.join(stages)}."
    for loss in odd.causes[:EXAMPLES]:
        yield f"{loss.count:,} missing: {(loss.answer or 'the cause was not looked for').rstrip('.')}."
    rest = odd.causes[EXAMPLES:]
    if rest:
        more = sum(loss.count for loss in rest)
        yield f"{more:,} more missing, for {_others(len(rest), 'cause')}; `tally results --requests` lists all."
    servers = sorted((server for server in odd.servers if server.missing), key=lambda server: -server.missing)
    if total and len(servers) > 1:
        named = [f"{server.name} {server.missing:,}" for server in servers[:EXAMPLES]]
        if len(servers) > EXAMPLES:
            named.append(f"{_others(len(servers) - EXAMPLES, 'server')} {sum(s.missing for s in servers[EXAMPLES:]):,}")
        yield f"missing by server: {', '.join(named)}."
    times = [one for one in odd.times if one.missing]
    if times:
        first, last = numbers.moment(times[0].t), numbers.moment(times[-1].t + times[-1].seconds)
        said = f"missing were opened from {first} to {last}"
        worst = max(times, key=lambda one: one.missing)
        if len(times) > 1 and 2 * worst.missing >= total:
            said += (
                f", {worst.missing:,} of them in the {numbers.duration(worst.seconds)} from {numbers.moment(worst.t)}"
            )
        yield f"{said}."


def stage_words(stage: Stage) -> str:
    """Where records were lost, in words, with ``probably`` where that is inferred."""
    name = stage.lost_at or "unknown"
    return answer(LOST_AT.get(name, name), stage.certain, name)


def _others(count: int, what: str) -> str:
    return f"{count:,} other {what}{'s' if count != 1 else ''}"


def _differing(kind: VerdictKind, odd: Breakdown, examples: Sequence[RequestEntry], total: int) -> str:
    """What is known of sums that differ: the behaviours that explain it, and one request as an example."""
    known: Counter[str] = Counter()
    for behaviour in odd.behaviours:
        if behaviour.verdict == kind.word:
            known.update(dict.fromkeys(behaviour.names, behaviour.count))
    why = (
        ", ".join(f"{name} ×{count:,}" for name, count in known.most_common(EXAMPLES))
        or "no known behaviour explains it"
    )
    words = f"{total:,} {kind.word.replace('_', ' ')}: {why}"
    if examples:
        q = examples[0]
        recorded = sum(part or 0 for part in (q.recorded_read, q.recorded_readv, q.recorded_write))
        words += f"; {q.server}, {bounded(q.path, PATH)}: {q.asked:,} bytes asked, {recorded:,} recorded"
    return f"{words}."


def csv_table(report: RunReport) -> str:
    """The table as CSV with a header line of names; numbers are plain, empty where not known, and one in a cell."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["run", *(name for column in COLUMNS for name in column.values)])
    for test in report.tests:
        writer.writerow([csv_cell(value) for value in (report.run.id, *values_of(test).values())])
    return file.getvalue()


def csv_cell(value: object) -> object:
    """A value in CSV: empty where it is not known, text printable and no formula."""
    if value is None:
        return ""
    return harmless(printable(value)) if isinstance(value, str) else value


def harmless(value: object) -> object:
    """A CSV cell that no spreadsheet takes for a formula: text that begins like one gets an apostrophe in front."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return value


def aligned(titles: Sequence[Sequence[str]], cells: Sequence[Sequence[str]], *, left: int = 0) -> list[str]:
    """Lines of a table, right-aligned but for the first `left` columns; `titles` may have several lines each."""
    height = max((len(title) for title in titles), default=0)
    head = [[title[line - (height - len(title))] if line >= height - len(title) else "" for title in titles]
            for line in range(height)]  # fmt: skip
    rows = [*head, *cells]
    widths = [max((len(row[place]) for row in rows), default=0) for place in range(len(titles))]
    gap = " " * _BETWEEN

    def line(row: Sequence[str]) -> str:
        padded = (
            cell.ljust(width) if place < left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        return gap.join(padded).rstrip()

    rule = gap.join("─" * width for width in widths)
    return [*(line(row) for row in head), rule, *(line(row) for row in cells)]


def _wrapped(title: str) -> list[str]:
    """A long title over several lines, so that the column stays narrow."""
    lines: list[str] = []
    for word in title.split(" "):
        if lines and len(lines[-1]) + 1 + len(word) <= 8:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _requests(count: int) -> str:
    return f"{count:,} request{'s' if count != 1 else ''}"


def _records(count: int) -> str:
    return f"{count:,} record{'s have' if count != 1 else ' has'}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
