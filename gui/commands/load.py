"""`tally load`: collector records from a bus, a file or a local bus directory into the workspace."""

from __future__ import annotations

import argparse
import contextlib
import gzip
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, cast

from gui.commands import CommandError, reason
from gui.commands.places import add_database_option, open_store
from gui.reconcile import rescore_late
from gui.report import import_bundle
from gui.store import LoadResult, Store, split_records
from shoveler.bus import BusOptions, open_consumer, open_topology, parse_address
from shoveler.service import redact

BATCH = 5_000
MAX_LINE = 16 * 2**20
IDLE_SECONDS = 3.0


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    load = commands.add_parser(
        "load",
        help="records from a bus, a file or a directory into the database",
        description="Loads collector records into the workspace, each once by its record_id, and scores runs again "
        "that got records by it.",
    )
    load.add_argument(
        "--from",
        dest="source",
        required=True,
        metavar="URL|FILE|DIR",
        help="amqp(s)://…?queue=Q (or ?exchange=E), a file of JSON lines (.gz too, - for standard input), the local "
        "bus's directory, or the bundle of a run (.tally.zip)",
    )
    load.add_argument("--follow", action="store_true", help="stay and load what comes, until Ctrl-C")
    load.add_argument("--queue", default="", metavar="NAME", help="queue to make and bind (default: tally.load)")
    load.add_argument("--exchange", default="xrd-records", help="exchange of the records (xrd-records)")
    add_database_option(load)
    load.set_defaults(run=run_load)


def run_load(options: argparse.Namespace) -> int:
    """Load until the source is empty (with --follow: until stopped). Exit code 1 when records could not be read."""
    with open_store(options) as store:
        tally = _Tally(store)
        source = options.source
        if source.endswith(".zip"):
            return _from_bundle(store, Path(source))
        if "://" in source or (source != "-" and Path(source).is_dir()):
            try:
                _from_bus(options, tally)
            except KeyboardInterrupt:
                print(file=sys.stderr)
        else:
            _from_file(source, tally)
        scored = rescore_late(store, time.time())
    tally.report()
    if scored:
        repeats = f"{len(scored)} repeat{'s' if len(scored) > 1 else ''}"
        print(f"{repeats} got records by it and were scored again.")
    return 1 if tally.bad else 0


def _from_bundle(store: Store, path: Path) -> int:
    imported = import_bundle(store, path, time.time())
    print(f"run {imported.run}: {imported.requests:,} requests and {imported.records:,} records imported from {path}")
    return 0


class _Tally:
    """Adds up what was loaded."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.final = self.provisional = self.repeated = self.foreign = self.other = self.bad = 0

    def load(self, bodies: list[bytes], where: Callable[[bytes], str] = lambda _: "") -> None:
        """One transaction. `where` says for people where a body came from."""
        result: LoadResult = self._store.load(bodies, time.time())
        for name in ("final", "provisional", "repeated", "foreign", "other", "bad"):
            setattr(self, name, getattr(self, name) + getattr(result, name))
        for problem, body in zip(result.problems, result.rejected, strict=True):
            print(f"tally load: {where(body)}{problem}", file=sys.stderr)

    def report(self) -> None:
        print(
            f"{self.final + self.provisional:,} records of Tally's tests loaded ({self.provisional:,} provisional), "
            f"{self.repeated:,} were there already; {self.foreign:,} of others counted, {self.other:,} of other kinds, "
            f"{self.bad:,} could not be read."
        )


def _from_file(name: str, tally: _Tally) -> None:
    batch: list[bytes] = []
    lines: list[int] = []

    def where(body: bytes) -> str:
        place = next(place for place, other in enumerate(batch) if other is body)
        return f"{name}, line {lines[place]:,}: "

    number = 0
    with _opened(name) as file:
        while line := file.readline(MAX_LINE):
            number += 1
            if line.strip():
                batch.append(line.rstrip(b"\n"))
                lines.append(number)
            if len(batch) >= BATCH:
                tally.load(batch, where)
                batch.clear()
                lines.clear()
    if batch:
        tally.load(batch, where)


@contextlib.contextmanager
def _opened(name: str) -> Iterator[IO[bytes]]:
    if name == "-":
        yield sys.stdin.buffer
        return
    path = Path(name.removeprefix("file:"))
    try:
        with path.open("rb") as plain, gzip.open(plain) if path.suffix == ".gz" else plain as file:
            yield cast(IO[bytes], file)
    except FileNotFoundError:
        raise CommandError(f"There is no file {path}; give a file of JSON lines, a directory, or amqp://…") from None
    except (OSError, EOFError) as error:
        raise CommandError(f"{path} cannot be read: {reason(error)}.") from error


def _from_bus(options: argparse.Namespace, tally: _Tally) -> None:
    address = parse_address(options.source)
    exchange = address.exchange or options.exchange
    queue = options.queue or address.queue or "tally.load"
    bus = BusOptions()
    with contextlib.closing(open_topology(address, bus)) as topology:
        if not address.queue:
            topology.declare_exchange(exchange)
            topology.declare_queue(queue, exchange=exchange)
    consumer = open_consumer(address, exchange=exchange, queue=queue, reader=f"load-{os.getpid()}", options=bus)
    print(f"loading from {redact(options.source)}, queue {queue}", file=sys.stderr)
    with contextlib.closing(consumer):
        last = time.monotonic()
        while options.follow or time.monotonic() - last < IDLE_SECONDS:
            messages = consumer.take(500, 0.5)
            if not messages:
                continue
            last = time.monotonic()
            tally.load([record for message in messages for record in split_records(message.body)])
            consumer.acknowledge(messages[-1].delivery)
