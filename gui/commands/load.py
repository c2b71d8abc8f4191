"""`tally load`: load collector records from a bus, a file or a local bus directory into the workspace."""

from __future__ import annotations

import argparse
import contextlib
import gzip
import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import msgspec

from gui.commands import CommandError, reason
from gui.commands.bundles import take_in
from gui.commands.places import add_database_option, open_store
from gui.reconcile import rescore_late
from gui.store import AT_ONCE, PRODUCERS, LoadResult, Store, split_records
from shoveler.bus import BusAddress, BusOptions, Consumer, open_consumer, open_subscription, parse_bus_address
from shoveler.service import redact

MAX_LINE = 16 * 2**20
MAX_WHOLE = 2**30
"""Maximum size of a file that is one JSON value, since it is read as a whole."""
IDLE_SECONDS = 3.0
WAIT_SECONDS = 600.0
"""Maximum time to wait for a database that another program has locked."""
EXCHANGE = "xrd-records"

_GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    load = commands.add_parser(
        "load",
        help="load records from a bus, a file or a directory into the database",
        description="Loads collector records into the workspace, each record_id once, and scores the runs again that "
        "got new records. It also accepts records of the OSG's collectors, and says what these do not contain.",
    )
    load.add_argument(
        "source",
        nargs="?",
        metavar="SOURCE",
        help="a file of JSON lines or a JSON array of records (may be gzipped; - for standard input), "
        "amqp(s)://…?queue=Q (or ?exchange=E), the directory of a local bus, or the bundle of a run (.tally.zip)",
    )
    load.add_argument("--from", dest="named", metavar="SOURCE", help="the same")
    load.add_argument("--follow", action="store_true", help="from a bus: keep loading new records until Ctrl-C")
    load.add_argument(
        "--queue",
        default="",
        metavar="NAME",
        help="from a bus: read this existing queue (default: a temporary queue)",
    )
    load.add_argument("--exchange", default="", help=f"from a bus: exchange to read records from (default: {EXCHANGE})")
    add_database_option(load)
    load.set_defaults(run=run_load)


def run_load(options: argparse.Namespace) -> int:
    """Load until the source is empty (with --follow: until stopped). Exit code 1 when records could not be read."""
    source = _source(options)
    bus = "://" in source or (source != "-" and Path(source).is_dir())
    for name in ("follow", "queue", "exchange"):
        if getattr(options, name) and not bus:
            raise CommandError(f"--{name} is only for a bus, and {source} is not one; leave it out.")
    with open_store(options) as store:
        store.database.on_busy, store.database.patience = lambda waits: _busy(store, waits), WAIT_SECONDS
        tally = _Tally(store)
        if source.endswith(".zip"):
            return take_in(store, Path(source))
        if bus:
            try:
                _from_bus(options, source, tally)
            except KeyboardInterrupt:
                print(file=sys.stderr)
        else:
            _from_file(source, tally)
        scored = rescore_late(store, time.time())
    tally.report()
    if scored:
        repeats = f"{len(scored)} repeat{'s' if len(scored) > 1 else ''}"
        print(f"{repeats} got new records and {'were' if len(scored) > 1 else 'was'} scored again.")
    return 1 if tally.result.bad else 0


def _busy(store: Store, waits: bool) -> None:
    if waits:
        print(
            f"tally load: another program has locked {store.database.shown}; waiting for it, up to "
            f"{WAIT_SECONDS / 60:.0f} minutes",
            file=sys.stderr,
        )


def _source(options: argparse.Namespace) -> str:
    if options.source and options.named:
        raise CommandError(f"Both {options.source} and --from {options.named} are given; load one after the other.")
    named = options.source or options.named
    if not named:
        raise CommandError("Name what to load: tally load FILE, or tally load amqp://HOST/VHOST?queue=Q")
    return str(named)


class _Tally:
    """Counts what was loaded."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.result = LoadResult()

    def load(self, bodies: list[bytes], where: Callable[[bytes], str] = lambda _: "") -> None:
        """Load in one transaction. `where` describes, for messages, where a body came from."""
        result = self._store.load(bodies, time.time())
        self.result += result
        for problem, body in zip(result.problems, result.rejected, strict=True):
            print(f"tally load: {where(body)}{problem}", file=sys.stderr)

    def report(self) -> None:
        result = self.result
        were = "was" if result.repeated == 1 else "were"
        print(
            f"{result.stored:,} records of Tally's tests loaded ({result.provisional:,} provisional), "
            f"{result.repeated:,} {were} already there; {result.foreign:,} of others counted, {result.other:,} of "
            f"other kinds, {result.bad:,} could not be read."
        )
        if result.sealed:
            print(
                f"{result.sealed:,} were not counted: single records of their days are no longer remembered, so they "
                "may have been counted before."
            )
        for producer, count in sorted(result.producers.items()):
            name, unknown = PRODUCERS[producer]
            records = f"{count:,} record{'s' if count > 1 else ''}"
            print(f"{records} came from {name}. Such records do not contain: {unknown}.")


def _from_file(name: str, tally: _Tally) -> None:
    batch: list[bytes] = []
    places: list[str] = []

    def where(body: bytes) -> str:
        found = next((place for place, other in zip(places, batch, strict=True) if other is body), "")
        return f"{name}, {found}: " if found else f"{name}: "

    with _opened(name) as file:
        for place, record in _records(file, name):
            batch.append(record)
            places.append(place)
            if len(batch) >= AT_ONCE:
                tally.load(batch, where)
                batch.clear()
                places.clear()
    if batch:
        tally.load(batch, where)


def _records(file: io.BufferedReader, name: str) -> Iterator[tuple[str, bytes]]:
    """The records of a file, each with its location for messages: one per line, or all in one JSON value."""
    head = file.peek(64)
    if head.startswith(_BYTE_ORDER_MARK):
        file.read(len(_BYTE_ORDER_MARK))
        head = head[len(_BYTE_ORDER_MARK) :]
    head = head.lstrip()
    if head.startswith(b"[") or (head.startswith(b"{") and head[1:].lstrip(b" \t\r")[:1] == b"\n"):
        yield from _whole(file, name, array=head.startswith(b"["))
        return
    number = 0
    while line := file.readline(MAX_LINE):
        number += 1
        if line.strip():
            yield f"line {number:,}", line.rstrip(b"\n")


def _whole(file: io.BufferedReader, name: str, *, array: bool) -> Iterator[tuple[str, bytes]]:
    """The elements of the file's array, or its single object."""
    text = file.read(MAX_WHOLE + 1)
    if len(text) > MAX_WHOLE:
        raise CommandError(
            f"{name} is one JSON value of more than {MAX_WHOLE // 2**20:,} MiB; convert it to JSON lines: "
            f"jq -c '.[]' {name}"
        )
    if not array:
        yield "line 1", text
        return
    try:
        elements = msgspec.json.decode(text, type=list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CommandError(f"{name} begins like an array of records but is not one: {error}.") from None
    for number, element in enumerate(elements, 1):
        yield f"record {number:,}", bytes(element)


@contextlib.contextmanager
def _opened(name: str) -> Iterator[io.BufferedReader]:
    """The file's content, uncompressed."""
    path = Path(name.removeprefix("file:"))
    try:
        with sys.stdin.buffer if name == "-" else path.open("rb") as plain:
            buffered = plain if isinstance(plain, io.BufferedReader) else io.BufferedReader(cast(io.RawIOBase, plain))
            if buffered.peek(len(_GZIP)).startswith(_GZIP):
                with gzip.open(buffered) as file:
                    yield io.BufferedReader(cast(io.RawIOBase, file))
            else:
                yield buffered
    except FileNotFoundError:
        raise CommandError(f"There is no file {path}; give a file of JSON lines, a directory, or amqp://…") from None
    except (OSError, EOFError) as error:
        raise CommandError(f"{path} cannot be read: {reason(error)}.") from error


def _from_bus(options: argparse.Namespace, source: str, tally: _Tally) -> None:
    address = parse_bus_address(source)
    queue = options.queue or address.queue
    exchange = options.exchange or address.exchange or EXCHANGE
    with contextlib.closing(_consumer(address, exchange, queue)) as consumer:
        what = f"queue {queue}" if queue else f"exchange {exchange}"
        print(f"loading from {redact(source)}, {what}", file=sys.stderr)
        last = time.monotonic()
        while options.follow or time.monotonic() - last < IDLE_SECONDS:
            messages = consumer.take(500, 0.5)
            if not messages:
                continue
            last = time.monotonic()
            tally.load([record for message in messages for record in split_records(message.body)])
            consumer.acknowledge(messages[-1].delivery)


def _consumer(address: BusAddress, exchange: str, queue: str | None) -> Consumer:
    """A consumer of the given queue, which is kept; or else of a temporary one, which is removed when we exit."""
    reader, options = f"tally load {os.getpid()}", BusOptions()
    if queue:
        return open_consumer(address, exchange=exchange, queue=queue, reader=reader, options=options)
    return open_subscription(address, exchange=exchange, binding="#", reader=reader, options=options, complete=True)
