"""The requests of a test as a table shows them, and its servers; read at once (in a thread). No toolkit.

Records with a tag of ours that nobody requested follow them, as rows of their own (`RequestRow.record`)."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import msgspec

from gui.models import figures
from gui.models.rows import Column
from gui.models.runs import TestRow
from gui.models.verdicts import UNREQUESTED, verdict_state
from gui.reconcile import ServerFigures, by_server, injected_first
from gui.store import RecordEntry, Store, VerdictKind, answer

MOST = 250_000
"""Requests in the table; of more, all that are not matched and as many others as there is room for."""


LOST_AT = "lost_at"
"""What a filter calls the column that says where a record was lost."""
MOST_RECORDS = 1000
"""Records that nobody requested, of each repeat."""


class RequestRow(msgspec.Struct, frozen=True, gc=False):
    """One request. `cause`: why its record is missing (a fault of the plan first), or the client's error. `client`: the
    name of its agent.

    OPTIMISATION: not seen by the garbage collector, which took 30 ms of the loop to look at 100,000 of them."""

    id: int
    verdict: VerdictKind | None
    tag: str
    path: str
    server: str
    client: str
    repeat: int
    round: int | None
    opened: float | None
    asked: int | None
    got: int | None
    rec: int | None
    accesses: int | None
    behaviour: str
    lost: str
    cause: str
    lost_with: str
    """The same for all that were lost with one datagram."""
    record: int = 0
    """Not a request but a record, with this id, whose path its tag never asked for; `id` is then negative."""


@dataclass(frozen=True, slots=True)
class TestDetail:
    """A test's servers and requests; `total_requests` may be more than are listed. `unrequested`: how many of the rows
    are records that nobody requested, of `total_unrequested`."""

    number: int
    servers: tuple[ServerFigures, ...]
    requests: tuple[RequestRow, ...]
    total_requests: int
    unrequested: int = 0
    total_unrequested: int = 0

    __test__ = False


def row_state(row: RequestRow) -> tuple[str, str, str]:
    """Icon, word and colour of the verdict of a row."""
    return UNREQUESTED if row.record else verdict_state(row.verdict)


REQUEST_COLUMNS: list[Column[RequestRow]] = [
    Column(
        "verdict",
        "Verdict",
        lambda r: row_state(r)[1],
        width=132,
        kind="status",
        icon=lambda r: row_state(r)[0],
        colour=lambda r: row_state(r)[2],
    ),
    Column("tag", "Tag", lambda r: r.tag, width=84, kind="fixed"),
    Column("path", "Path", lambda r: r.path, width=216, cut="left"),
    Column("server", "Server", lambda r: r.server, width=72),
    Column("client", "Client", lambda r: r.client, width=72, fold=5),
    Column("repeat", "Repeat", lambda r: r.repeat, align="right", width=64, shown=False),
    Column("round", "Round", lambda r: r.round, align="right", width=60, fold=1),
    Column("opened", "Opened", lambda r: r.opened, lambda r: figures.clock(r.opened), width=96, shown=False),
    Column("asked", "Asked B", lambda r: r.asked, lambda r: figures.count(r.asked), "right", 88),
    Column("got", "Read B", lambda r: r.got, lambda r: figures.count(r.got), "right", 88, fold=4),
    Column("rec", "Recorded B", lambda r: r.rec, lambda r: figures.count(r.rec), "right", 92),
    Column(
        "accesses",
        "Accesses",
        lambda r: r.accesses,
        lambda r: figures.count(r.accesses),
        "right",
        76,
        tip=lambda r: f"recovered ×{r.accesses}" if (r.accesses or 0) > 1 else "",
        fold=3,
    ),
    Column("behaviour", "Known behaviour", lambda r: r.behaviour, width=128, colour=lambda _r: "text2", fold=2),
    Column("lost", "Lost at", lambda r: r.lost, width=96),
    Column("cause", "Cause", lambda r: r.cause, width=160, stretch=True, colour=lambda _r: "text2"),
    Column("lost_with", "Lost with", lambda r: r.lost_with, width=160, shown=False, kind="fixed"),
]


def read_test(store: Store, test: TestRow) -> TestDetail:
    """The servers and requests of one test. Blocking. Raises StoreError."""
    numbers = {repeat.id: repeat.number for repeat in store.repeats(test.entry.run_id)}
    rows: list[RequestRow] = []
    for odd in (True, False):
        for scoring in test.scorings:
            if len(rows) < MOST:
                cells = store.request_cells(scoring.repeat_id, odd=odd, limit=MOST - len(rows))
                repeat = numbers.get(scoring.repeat_id, 0)
                rows += [_row(repeat, *each) for each in cells]
    rows.sort(key=attrgetter("id"))
    ids = [scoring.id for scoring in test.scorings]
    servers = by_server(store, ids, without_injected=test.figures.left_out > 0) if ids else []
    records = [
        _record_row(numbers.get(scoring.repeat_id, 0), record)
        for scoring in test.scorings
        if scoring.unrequested
        for record in store.unrequested(scoring.repeat_id, MOST_RECORDS)
    ]
    return TestDetail(
        test.number,
        tuple(servers),
        (*rows, *records),
        sum(s.total for s in test.scorings),
        len(records),
        sum(s.unrequested for s in test.scorings),
    )


def _record_row(repeat: int, record: RecordEntry) -> RequestRow:
    return RequestRow(
        -record.id,
        None,
        record.tag,
        record.path,
        record.server,
        "",
        repeat,
        None,
        None,
        None,
        None,
        record.read + record.readv + record.write,
        1,
        ", ".join(record.flags.known_issue),
        "",
        "a record whose path this tag never asked for",
        "",
        record.id,
    )


def _row(
    repeat: int,
    number: int,
    in_round: int,
    tag: str,
    path: str,
    server: str,
    agent: str,
    verdict: int | None,
    opened: float | None,
    asked: int,
    got: int,
    recorded: int | None,
    accesses: int | None,
    behaviours: str | None,
    lost_at: str | None,
    certain: int | None,
    cause: str | None,
    error: str | None,
    lost_with: str | None,
) -> RequestRow:
    kind = None if verdict is None else VerdictKind(verdict)
    unknown = kind is None or kind in (VerdictKind.MISSING, VerdictKind.NOT_WAITED)
    known: list[Any] = msgspec.json.decode(behaviours, type=list[str]) if behaviours else []
    why = injected_first(answer(cause, certain is None or bool(certain), lost_at or "")) if cause else error or ""
    return RequestRow(
        number,
        kind,
        tag,
        path,
        server,
        agent.rpartition("/")[2],
        repeat,
        in_round,
        opened,
        asked,
        got,
        None if unknown else recorded,
        accesses if kind is not None else None,
        ", ".join(known),
        lost_at or "",
        why,
        lost_with or "",
    )
