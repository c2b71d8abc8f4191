"""The report as JSON: a declared form with a number, and the JSON Schema of it (docs/report.schema.json)."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec

from agent.messages import Phases
from gui.reconcile import Breakdown, Conclusion, ShareFigures, TestFigures, Timing
from gui.report.content import MAX_ODD, RunReport, TestReport
from gui.report.table import remarks_of, values_of
from gui.report.words import to_json
from gui.store import LostDatagram, MarkerRow, NoteRow, RepeatEntry, RequestEntry, RunEntry, ScoringEntry, TestSpec

SCHEMA = 2
"""Grows when a field goes or changes its meaning. A field that is added changes nothing for who does not know it.

2: the interval's bounds are two columns; state and message follow late records; `offered` counts the real waits."""


class PublishedFigures(msgspec.Struct, frozen=True):
    """What was published of a test of a preset."""

    recorded_avg: float
    success: float


class Repeat(msgspec.Struct, frozen=True):
    """A repeat with its scorings, oldest first."""

    repeat: RepeatEntry
    scorings: tuple[ScoringEntry, ...]


class Test(msgspec.Struct, frozen=True):
    """A test: its figures now and when waiting had ended, the columns of its row, and what was not matched, counted."""

    number: int
    name: str
    spec: TestSpec
    figures: TestFigures
    at_settle: TestFigures
    published: PublishedFigures | None
    columns: dict[str, float | int | str | None]
    repeats: tuple[Repeat, ...]
    not_matched: Breakdown
    timing: Timing | None
    workloads: tuple[ShareFigures, ...] = ()


class Server(msgspec.Struct, frozen=True):
    """A server over the whole run. `answer`: why most of its missing records are missing, as it is shown."""

    server_id: int
    name: str
    url: str
    requested: int
    read: int
    recorded: int
    matched: int
    late: int
    missing: int
    wrong_bytes: int
    duplicate: int
    client_failed: int
    not_waited: int
    bytes_asked: int
    bytes_got: int
    bytes_recorded: int
    success: float | None
    lost_at: str
    cause: str
    certain: bool
    answer: str
    left_out: int


class Request(msgspec.Struct, frozen=True):
    """A request. Times are Unix seconds by the hub's clock, `verdict` and `state` words of docs/results.md; `share` is
    the place of its workload in the test's mix."""

    id: int
    test: int
    repeat: int
    round: int
    repeat_id: int
    verdict: str | None
    server: str
    server_url: str
    agent: str
    slot: int
    tag: str
    path: str
    size: int
    state: str
    ok: bool
    status: int
    error: str
    t_started: float | None
    t_open: float | None
    t_close: float | None
    read_asked: int
    read_got: int
    readv_asked: int
    readv_got: int
    written: int
    read_ops: int
    readv_ops: int
    write_ops: int
    reached: str
    share: int
    phases: Phases
    accesses: int | None
    recorded_read: int | None
    recorded_readv: int | None
    recorded_write: int | None
    behaviours: tuple[str, ...]
    lost_at: str
    certain: bool
    cause: str
    answer: str
    datagram: LostDatagram | None
    lost_with: str


class Report(msgspec.Struct, frozen=True):
    """A report. `odd_requests`: at most 1,000 of `odd_requests_total`, of each repeat and verdict its part."""

    schema: int
    run: RunEntry
    conclusion: Conclusion
    sentence: str
    tests: tuple[Test, ...]
    servers: tuple[Server, ...]
    odd_requests: tuple[Request, ...]
    odd_requests_total: int
    remarks: tuple[str, ...]
    markers: tuple[MarkerRow, ...]
    notes: tuple[NoteRow, ...]


def json_report(report: RunReport) -> bytes:
    """Everything in the report as one JSON object (`Report`), ending with a newline."""
    return to_json(
        Report(
            schema=SCHEMA,
            run=report.run,
            conclusion=report.conclusion,
            sentence=report.run.message,
            tests=tuple(_test(test) for test in report.tests),
            servers=tuple(
                msgspec.convert(msgspec.to_builtins(server) | {"answer": server.answer}, Server)
                for server in report.servers
            ),
            odd_requests=tuple(request_of(q, *report.test_of(q)) for q in report.listed(MAX_ODD)),
            odd_requests_total=report.odd_total,
            remarks=tuple(remarks_of(report)),
            markers=report.markers,
            notes=report.notes,
        )
    )


def json_schema() -> bytes:
    """The JSON Schema of a report, ending with a newline."""
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:xrootd-tally:report:{SCHEMA}",
        "title": f"A report of Tally, schema {SCHEMA}",
    }
    return to_json(head | _tidied(msgspec.json.schema(Report)))


def _tidied(schema: Any) -> Any:
    """The schema with the descriptions' indentation gone: Python keeps it in docstrings before 3.13 and not after."""
    if isinstance(schema, list):
        return [_tidied(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: inspect.cleandoc(value) if key == "description" and isinstance(value, str) else _tidied(value)
        for key, value in schema.items()
    }


def request_of(request: RequestEntry, test: int, repeat: int) -> Request:
    """A request as JSON and CSV have it."""
    values: dict[str, Any] = {
        name: getattr(request, name)
        for name in Request.__struct_fields__
        if name not in ("test", "repeat", "verdict", "state")
    }
    return Request(
        test=test,
        repeat=repeat,
        verdict=None if request.verdict is None else request.verdict.word,
        state=request.state.name.lower(),
        **values,
    )


def _test(test: TestReport) -> Test:
    published = test.published
    return Test(
        number=test.entry.number,
        name=test.entry.spec.name,
        spec=test.entry.spec,
        figures=test.now,
        at_settle=test.at_settle,
        published=None if published is None else PublishedFigures(published.recorded_avg, published.success),
        columns=values_of(test),
        repeats=tuple(Repeat(one.repeat, one.scorings) for one in test.repeats),
        not_matched=test.odd,
        timing=test.timing,
        workloads=test.shares,
    )
