"""The result table of a run: as aligned text for a terminal, as CSV, and as JSON. Its first columns are those of the
table that was published in 2021 (resources/presets/osdf-2021.published.toml)."""

from __future__ import annotations

import csv
import io
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from gui.reconcile import Loss, TestFigures
from gui.report import numbers
from gui.report.content import RunReport, TestReport
from gui.store import RequestEntry, VerdictKind, answer

SCHEMA = 1
"""The number in the JSON report; grows when a field changes its meaning."""

SILENCES = 5
"""Times when a server did not answer that are named below the table."""
EXAMPLES = 3
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
"""Causes that are named below the table; a report in another form has every request."""


class Column(NamedTuple):
    """A column of the result table: title for people, name for programs, and its cell as shown and as a value."""

    title: str
    name: str
    shown: Callable[[TestReport], str]
    value: Callable[[TestReport], float | int | str | None]


def _number(title: str, name: str, get: Callable[[TestFigures], float | int | None]) -> Column:
    return Column(title, name, lambda test: numbers.count(get(test.now)), lambda test: get(test.now))


COLUMNS: tuple[Column, ...] = (
    _number("Num. servers", "num_servers", lambda f: f.spec.servers),
    _number("Files req. per server", "files_per_server", lambda f: f.spec.files_per_server),
    _number("Total files req.", "total_files", lambda f: f.spec.total),
    Column("Req. rate", "req_rate", lambda t: f"{t.now.spec.per_round:,}/s", lambda t: t.now.spec.per_round),
    Column(
        "Files recorded avg.",
        "recorded_avg",
        lambda t: numbers.average(t.now.recorded_avg),
        lambda t: t.now.recorded_avg,
    ),
    Column(
        "Success %",
        "success",
        lambda t: numbers.success(t.now.good, t.now.counted),
        lambda t: numbers.success_value(t.now.good, t.now.counted),
    ),
    Column(
        "95 % interval",
        "interval",
        lambda t: numbers.interval(t.now.interval),
        lambda t: None if t.now.interval is None else f"{t.now.interval[0]:.6f} {t.now.interval[1]:.6f}",
    ),
    _number("Min", "recorded_min", lambda f: f.recorded_min),
    _number("Max", "recorded_max", lambda f: f.recorded_max),
    Column("Offered", "offered_rate", lambda t: numbers.rate(t.now.offered), lambda t: t.now.offered),
    Column("Achieved", "achieved_rate", lambda t: numbers.rate(t.now.achieved), lambda t: t.now.achieved),
    Column("Asked", "bytes_asked", lambda t: numbers.size(t.now.bytes_asked), lambda t: t.now.bytes_asked),
    Column("Recorded", "bytes_recorded", lambda t: numbers.size(t.now.bytes_recorded), lambda t: t.now.bytes_recorded),
    _number("Missing", "missing", lambda f: f.missing),
    _number("Wrong", "wrong_bytes", lambda f: f.wrong_bytes),
    _number("Dup.", "duplicate", lambda f: f.duplicate),
    _number("Late", "late", lambda f: f.late),
    _number("Client failed", "client_failed", lambda f: f.client_failed),
    _number("Not waited", "not_waited", lambda f: f.not_waited),
    _number("Unreq.", "unrequested", lambda f: f.unrequested),
    Column(
        "Published avg.",
        "published_recorded_avg",
        lambda t: numbers.average(t.published.recorded_avg if t.published else None),
        lambda t: t.published.recorded_avg if t.published else None,
    ),
    Column(
        "Published",
        "published_success",
        lambda t: numbers.per_cent(t.published.success if t.published else None),
        lambda t: t.published.success if t.published else None,
    ),
    Column("Verdict", "conclusion", lambda t: t.now.conclusion.replace("fail", "FAIL"), lambda t: t.now.conclusion),
)
_PUBLISHED = 6
"""Columns of the published table, the first ones."""
_KEY = 2
"""Columns, of these, that tell the rows of a table apart."""
_BETWEEN = 2
"""Blanks between columns."""
_OPTIONAL = ("published_recorded_avg", "published_success", "late", "unrequested", "not_waited")


def columns_of(report: RunReport) -> list[Column]:
    """The columns worth showing: published figures only where there are any, rare counts only where not all zero."""
    return [
        column for column in COLUMNS if column.name not in _OPTIONAL or any(column.value(test) for test in report.tests)
    ]


def text_table(report: RunReport, width: int | None = None) -> str:
    """The table for a terminal, with a line on the run above it and remarks below. Ends with a newline.

    Where it is wider than `width` characters (None: no limit) it becomes several, one below the other: first the
    published columns with the verdict, then the others."""
    lines = [headline(report)]
    for columns in _parts(columns_of(report), report.tests, width):
        cells = [[column.shown(test) for column in columns] for test in report.tests]
        lines += ["", *aligned([_wrapped(column.title) for column in columns], cells)]
    remarks = remarks_of(report)
    if remarks:
        lines.append("")
        for remark in remarks:
            lines += textwrap.wrap(remark, width, subsequent_indent="  ", break_long_words=False) if width else [remark]
    return "\n".join(printable(line.rstrip()) for line in lines) + "\n"


def _parts(columns: list[Column], tests: Sequence[TestReport], width: int | None) -> list[list[Column]]:
    """The columns in as many tables as their width asks for; each says which test a row is."""
    sizes = {
        column.name: max(len(text) for text in (*_wrapped(column.title), *(column.shown(test) for test in tests)))
        for column in columns
    }

    def size(some: Sequence[Column]) -> int:
        return sum(sizes[column.name] for column in some) + _BETWEEN * (len(some) - 1)

    if width is None or size(columns) <= width:
        return [columns]
    published = [*columns[:_PUBLISHED], columns[-1]]
    parts = [published]
    for column in columns[_PUBLISHED:-1]:
        if len(parts) == 1 or size([*parts[-1], column]) > width:
            parts.append(columns[:_KEY])
        parts[-1] = [*parts[-1], column]
    return parts


def headline(report: RunReport) -> str:
    """One line: which run, and how it ended."""
    verdict = {"pass": "PASS", "fail": "FAIL", "inconclusive": "INCONCLUSIVE", "none": "no result"}[report.conclusion]
    if report.conclusion == "none":
        verdict += f" ({report.run.state})"
    passed = sum(1 for test in report.tests if test.now.conclusion == "pass")
    tests = f"{passed} of {len(report.tests)} test{'s' if len(report.tests) != 1 else ''} passed"
    return f"Run {report.run.id}  {report.run.name}  {verdict}  {tests}  started {numbers.moment(report.run.started)}"


def remarks_of(report: RunReport) -> list[str]:
    """What the figures alone do not say: late records, recovered transfers, clients that failed, short settles."""
    remarks = _silences(report)
    for test in report.tests:
        name = f"Test {test.entry.number}"
        now, then = test.now, test.at_settle
        if test.rescored:
            remarks.append(
                f"{name}: {numbers.success(then.good, then.counted)} when waiting ended, "
                f"{numbers.success(now.good, now.counted)} with what came late."
            )
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


def _silences(report: RunReport) -> list[str]:
    """The servers that did not answer for a while: when that was over, and how long it had been."""
    held = [marker for marker in report.markers if marker.kind == "held"]
    said = [f"{numbers.moment(marker.t)}: {marker.text}" for marker in held[:SILENCES]]
    if len(held) > SILENCES:
        said.append(f"Servers did not answer {len(held) - SILENCES:,} more times; the JSON report has them all.")
    return said


def _reasons(report: RunReport, test: TestReport) -> Iterator[str]:
    """Where records were lost, and what clients said that failed: the commonest of each, with an example."""
    mine = {r.repeat.id for r in test.repeats}
    odd = [request for request in report.odd if request.repeat_id in mine]
    yield from _lost(test.losses)
    for kind, count in ((VerdictKind.WRONG_BYTES, test.now.wrong_bytes), (VerdictKind.DUPLICATE, test.now.duplicate)):
        if count:
            yield _differing(kind, [q for q in odd if q.verdict is kind], count)
    failed = {q.status: q for q in reversed(odd) if q.verdict is VerdictKind.CLIENT_FAILED and q.error}
    for q in list(failed.values())[:EXAMPLES]:
        yield f"a client at {q.server}, {q.path}: {q.error.rstrip('.')}."


def _lost(losses: Sequence[Loss]) -> Iterator[str]:
    """Where missing records were lost: first by stage, then the commonest causes, each with how many it cost."""
    total = sum(loss.count for loss in losses)
    stages: Counter[str] = Counter()
    for loss in losses:
        stage = LOST_AT.get(loss.lost_at or "unknown", loss.lost_at)
        stages[answer(stage, loss.certain, loss.lost_at or "unknown")] += loss.count
    if len(stages) > 1:
        yield f"{total:,} missing: {', '.join(f'{count:,} {stage}' for stage, count in stages.most_common())}."
    for loss in losses[:EXAMPLES]:
        yield f"{loss.count:,} missing: {(loss.answer or 'the cause was not looked for').rstrip('.')}."
    rest = losses[EXAMPLES:]
    if rest:
        more = sum(loss.count for loss in rest)
        causes = f"{len(rest):,} other cause{'s' if len(rest) > 1 else ''}"
        yield f"{more:,} more missing, for {causes}; the JSON report and a bundle have them one by one."


def _differing(kind: VerdictKind, some: Sequence[RequestEntry], total: int) -> str:
    """What is known of sums that differ: the behaviours that explain it, and one request as an example."""
    known = Counter(name for q in some for name in q.behaviours)
    why = (
        ", ".join(f"{name} ×{count:,}" for name, count in known.most_common(EXAMPLES))
        or "no known behaviour explains it"
    )
    words = f"{total:,} {kind.word.replace('_', ' ')}: {why}"
    if some:
        q = some[0]
        recorded = sum(part or 0 for part in (q.recorded_read, q.recorded_readv, q.recorded_write))
        words += f"; {q.server}, {q.path}: {q.asked:,} bytes asked, {recorded:,} recorded"
    return f"{words}."


def csv_table(report: RunReport) -> str:
    """The table as CSV with a header line of names; numbers are plain, empty where not known."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["run", "test", "test_name", "repeats", *(column.name for column in COLUMNS)])
    for test in report.tests:
        values = [column.value(test) for column in COLUMNS]
        row = [report.run.id, test.entry.number, test.entry.spec.name, test.now.repeats, *values]
        writer.writerow(["" if value is None else harmless(value) for value in row])
    return file.getvalue()


def json_report(report: RunReport) -> bytes:
    """Everything in the report as one JSON object (``schema`` says its form), ending with a newline."""
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "run": report.run,
        "conclusion": report.conclusion,
        "tests": [
            {
                "number": test.entry.number,
                "spec": test.entry.spec,
                "figures": test.now,
                "at_settle": test.at_settle,
                "published": test.published,
                "columns": {column.name: column.value(test) for column in COLUMNS},
                "repeats": [{"repeat": r.repeat, "scorings": r.scorings} for r in test.repeats],
            }
            for test in report.tests
        ],
        "servers": [msgspec.to_builtins(server) | {"answer": server.answer} for server in report.servers],
        "odd_requests": [_request(request) for request in report.odd],
        "odd_requests_total": report.odd_total,
        "markers": report.markers,
        "notes": report.notes,
    }
    return msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n"


def printable(text: str) -> str:
    """Text of others for a terminal: signs that could steer it (escapes, line ends) become ``·``."""
    return "".join(c if c.isprintable() else "·" for c in text)


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


def _request(request: Any) -> dict[str, Any]:
    content: dict[str, Any] = msgspec.to_builtins(request)
    content["state"] = request.state.name.lower()
    content["verdict"] = None if request.verdict is None else request.verdict.word
    content["answer"] = request.answer
    return content


def _wrapped(title: str) -> list[str]:
    """A long title over two or three lines, so that the column stays narrow."""
    lines: list[str] = []
    for word in title.split(" "):
        if lines and len(lines[-1]) + 1 + len(word) <= 10:
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
