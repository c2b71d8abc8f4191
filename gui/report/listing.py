"""The requests of a run one by one, as many as there are: CSV, or a line of JSON for each. Read and given in pages."""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Collection, Iterator, Sequence
from itertools import chain

import msgspec

from gui.report.document import Request, request_of
from gui.report.redact import Redaction
from gui.report.table import csv_cell
from gui.report.words import to_json
from gui.store import RecordEntry, RepeatEntry, Store, VerdictKind

PAGE = 2000
MOST_RECORDS = 100_000
"""Records of a repeat that nobody requested."""
NAMED = 5
"""Servers that are named where the one that was asked for is not there."""
COLUMNS = tuple(name for name in Request.__struct_fields__ if name != "datagram")
"""Of the CSV: the fields of the JSON but for the lost datagram, which has several values; `lost_with` names it."""


def requests_csv(
    store: Store,
    run_id: int,
    verdicts: Collection[VerdictKind],
    *,
    test: int | None = None,
    server: str = "",
    redact: bool = False,
) -> Iterator[str]:
    """Requests with one of these verdicts as CSV, a page at a time, with a header line. `server`: a name or URL.

    Raises NoSuchRowError, and ValueError when there is no such test or server."""
    pages = _pages(store, run_id, verdicts, test, server, redact=redact)
    first = next(pages, [])  # before anything is written, in case there is no such run, test or server
    yield _rows([COLUMNS])
    for page in chain([first], pages):
        yield _rows([[_cell(getattr(one, name)) for name in COLUMNS] for one in page])


def requests_json(
    store: Store,
    run_id: int,
    verdicts: Collection[VerdictKind],
    *,
    test: int | None = None,
    server: str = "",
    redact: bool = False,
) -> Iterator[bytes]:
    """The same as lines of JSON, each a request as the JSON report has it."""
    for page in _pages(store, run_id, verdicts, test, server, redact=redact):
        yield b"".join(to_json(one, lines=True) for one in page)


RECORD_COLUMNS = ("test", "repeat", "id", "tag", "path", "server", "read", "readv", "write", "loaded")


def unrequested_csv(store: Store, run_id: int, *, redact: bool = False) -> Iterator[str]:
    """Records with a tag of this run and a path that this tag never asked for, as CSV with a header line. Raises
    NoSuchRowError."""
    told = Redaction.of(store).text if redact else str
    yield _rows([RECORD_COLUMNS])
    for repeat, one in _unrequested(store, run_id):
        texts = (one.tag, told(one.path), told(one.server))
        figures = (one.read, one.readv, one.write, one.loaded)
        yield _rows([[repeat.test_number, repeat.number, one.id, *map(csv_cell, texts), *figures]])


def unrequested_json(store: Store, run_id: int, *, redact: bool = False) -> Iterator[bytes]:
    """The same as lines of JSON, each the record as it came."""
    redaction = Redaction.of(store) if redact else None
    for _, one in _unrequested(store, run_id):
        yield (redaction.text(one.body.decode()).encode() if redaction else one.body).strip() + b"\n"


def _unrequested(store: Store, run_id: int) -> Iterator[tuple[RepeatEntry, RecordEntry]]:
    for repeat in store.repeats(store.run(run_id).id):
        for record in store.unrequested(repeat.id, MOST_RECORDS):
            yield repeat, record


def _pages(
    store: Store, run_id: int, verdicts: Collection[VerdictKind], test: int | None, server: str, *, redact: bool
) -> Iterator[list[Request]]:
    numbers = [entry.number for entry in store.tests(store.run(run_id).id)]
    if test is not None and test not in numbers:
        raise ValueError(f"Run {run_id} has no test {test}; it has {', '.join(map(str, numbers)) or 'none'}.")
    server_id = None
    if server:
        servers = store.servers()
        found = [entry.id for entry in servers if server in (entry.name, entry.url)]
        if not found:
            names = sorted(entry.name for entry in servers)
            near = difflib.get_close_matches(server, names, n=NAMED) or names[:NAMED]
            known = f"servers here are {', '.join(near)}{' …' if len(names) > len(near) else ''}"
            raise ValueError(f"There is no server {server!r}; {known if names else 'no run has asked one yet'}.")
        server_id = found[0]
    redaction = Redaction.of(store) if redact else None
    for repeat in store.repeats(run_id):
        if test is not None and repeat.test_number != test:
            continue
        after = 0
        while page := store.requests(repeat.id, verdict=verdicts, server_id=server_id, after=after, limit=PAGE):
            after = page[-1].id
            yield [
                _redacted(request_of(entry, repeat.test_number, repeat.number), redaction)
                if redaction
                else request_of(entry, repeat.test_number, repeat.number)
                for entry in page
            ]


def _redacted(request: Request, redaction: Redaction) -> Request:
    told = ("server", "server_url", "agent", "reached", "error", "cause", "answer", "lost_with")
    datagram = request.datagram
    return msgspec.structs.replace(
        request,
        **{name: redaction.text(getattr(request, name)) for name in told},
        datagram=None
        if datagram is None
        else msgspec.structs.replace(datagram, server=redaction.text(datagram.server)),
    )


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return csv_cell(value)


def _rows(rows: Sequence[Sequence[object]]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue()
