"""`tally load`: load collector records from a bus, a file or a local bus directory into the workspace."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from gui.commands import CommandError, tell
from gui.commands.bundles import take_in
from gui.commands.places import add_database_option, open_store
from gui.reconcile import rescore_late
from gui.runner.loading import LoadEnd, LoadLine
from gui.runner.record_file import FileProgress, load_file
from gui.store import PRODUCERS, LoadResult, Store, batched, split_records
from shoveler.bus import BusAddress, BusOptions, Consumer, Incoming, open_consumer, open_subscription, parse_bus_address
from shoveler.service import redact

IDLE_SECONDS = 3.0
WAIT_SECONDS = 600.0
"""Maximum time to wait for a database that another program has locked."""
EXCHANGE = "xrd-records"


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
    load.add_argument(
        "--json", action="store_true", help="from a file: print progress and result as JSON, one object per line"
    )
    add_database_option(load)
    load.set_defaults(run=run_load)


def run_load(options: argparse.Namespace) -> int:
    """Load until the source is empty (with --follow: until stopped). Exit code 1 when records could not be read, or
    when the loading of a file was stopped; what was loaded by then stays."""
    source = _source(options)
    bus = "://" in source or (source != "-" and Path(source).is_dir())
    for name in ("follow", "queue", "exchange"):
        if getattr(options, name) and not bus:
            raise CommandError(f"--{name} is only for a bus, and {source} is not one; leave it out.")
    if options.json and (bus or source.endswith(".zip")):
        raise CommandError(f"--json is only for a file of records, and {source} is not one; leave it out.")
    with open_store(options) as store:
        store.database.on_busy, store.database.patience = lambda waits: _busy(store, waits), WAIT_SECONDS
        if source.endswith(".zip"):
            return take_in(store, Path(source))
        loading = _Loading(store, as_json=options.json)
        with contextlib.suppress(KeyboardInterrupt):
            if bus:
                _from_bus(options, source, loading)
            else:
                loading.file(source)
            loading.ended = True
        if not loading.ended:
            print(file=sys.stderr)
        scored = rescore_late(store, time.time())
    stopped = not bus and not loading.ended
    if options.json:
        tell(msgspec.json.encode(LoadEnd.of(loading.result, len(scored), stopped=stopped)).decode())
    else:
        loading.report()
        if scored:
            repeats = f"{len(scored)} repeat{'s' if len(scored) > 1 else ''}"
            print(f"{repeats} got new records and {'were' if len(scored) > 1 else 'was'} scored again.")
        if stopped:
            print("The loading was stopped; load the file again to get the rest.")
    return 1 if loading.result.bad or stopped else 0


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


class _Loading:
    """Loads, and counts what was loaded."""

    def __init__(self, store: Store, *, as_json: bool) -> None:
        self._store = store
        self._as_json = as_json
        self.result = LoadResult()
        self.ended = False
        """Whether the source was read to its end."""

    def messages(self, messages: Sequence[Incoming]) -> None:
        """Load records of a bus."""
        self._store.load_all(batched(split_records(message.body) for message in messages), self._loaded)

    def _loaded(self, result: LoadResult, _: float) -> None:
        self.result += result
        for problem in result.problems:
            self._complain(problem)

    def file(self, name: str) -> None:
        """Load a file."""
        self.result = load_file(self._store, name, progress=self._progressed, complain=self._complain)

    def _progressed(self, progress: FileProgress) -> None:
        self.result = progress.result
        if self._as_json:
            tell(msgspec.json.encode(LoadLine.of(progress)).decode())

    def _complain(self, problem: str) -> None:
        print(f"tally load: {problem}", file=sys.stderr)

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


def _from_bus(options: argparse.Namespace, source: str, loading: _Loading) -> None:
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
            loading.messages(messages)
            consumer.acknowledge(messages[-1].delivery)


def _consumer(address: BusAddress, exchange: str, queue: str | None) -> Consumer:
    """A consumer of the given queue, which is kept; or else of a temporary one, which is removed when we exit."""
    reader, options = f"tally load {os.getpid()}", BusOptions()
    if queue:
        return open_consumer(address, exchange=exchange, queue=queue, reader=reader, options=options)
    return open_subscription(address, exchange=exchange, binding="#", reader=reader, options=options, complete=True)
