"""`tally pipeline`: how shovelers, broker, collectors and database are doing, and where records wait."""

from __future__ import annotations

import argparse
import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import msgspec

from gui.commands import CommandError
from gui.commands.places import add_database_option, data_directory, database, open_to_read
from gui.models.fleet import FleetServer, KnownServer, fleet_servers
from gui.models.pipeline import Facts, Pipeline, PipelineWatch
from gui.models.senders import SenderBook, sender_servers
from gui.report.words import printable
from gui.runner.ask import Asker
from gui.runner.consume import ConsumerState
from gui.runner.intake import Member, StatusBook
from gui.runner.lab import lab_servers, read_lab
from gui.runner.machine import bus_password, workspace_options
from gui.runner.queues import known_queues
from gui.store import Store
from shoveler.bus import (
    BusError,
    BusRefusedError,
    Consumer,
    Topology,
    open_subscription,
    open_topology,
    parse_bus_address,
)
from shoveler.service import redact
from shoveler.service.status import INTERVAL

SECONDS = INTERVAL + 1.0
"""Time to listen by default: two messages of each daemon, so that there are rates."""
ASK_EVERY = 2.0
TAKE = 200


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    pipeline = commands.add_parser(
        "pipeline",
        help="show how shovelers, broker, collectors and database are doing, and where records wait",
        description="Listens to the status messages of shovelers and collectors for some seconds and shows the state "
        "of each stage. It takes nothing from any queue. Exit code 1 when a stage is to be checked.",
    )
    pipeline.add_argument(
        "--bus",
        default="",
        metavar="URL|DIR",
        help="broker or local bus (default: that of the lab, else TALLY_BUS, or that of the settings)",
    )
    pipeline.add_argument("--lab", type=Path, metavar="DIR", help="the lab in this directory: its bus and servers")
    pipeline.add_argument(
        "--for", dest="seconds", type=float, default=SECONDS, metavar="SECONDS",
        help=f"time to listen (default: {SECONDS:g})",
    )  # fmt: skip
    pipeline.add_argument("--json", action="store_true", help="as JSON")
    add_database_option(pipeline)
    pipeline.set_defaults(run=run_pipeline)


def run_pipeline(options: argparse.Namespace) -> int:
    """Listen, and print."""
    if not 0 < options.seconds <= 3600:
        raise CommandError(f"--for: expected 0 to 3,600 seconds, not {options.seconds:g}.")
    with open_to_read(options) as store:
        pipeline = _Listening(store, options).listen(options.seconds)
    if options.json:
        print(msgspec.json.encode(_as_json(pipeline)).decode())
    else:
        print("\n".join(printable(line.rstrip()) for line in _as_text(pipeline)))
    return 1 if any(stage.state in ("check", "failed") for stage in pipeline.stages) else 0


class _Listening:
    """What is heard while the command runs."""

    def __init__(self, store: Store, options: argparse.Namespace) -> None:
        self._store = store
        chosen = workspace_options(data_directory(), database(options))
        lab = options.lab or (chosen.lab if not options.bus else None)
        self._lab = read_lab(lab) if lab is not None else None
        self._places = self._lab or chosen
        self._bus_options = chosen.bus_options
        self._bus = options.bus or (self._lab.bus if self._lab else chosen.bus)
        self._secrets = chosen.secrets
        self._queue = next((known for known in known_queues(store) if known.bus == redact(self._bus)), None)
        self._status = StatusBook()
        self._senders = SenderBook()
        self._size = store.database.used_bytes()
        self._known = [KnownServer(s.name, s.url, "lab") for s in (lab_servers(self._lab) if self._lab else [])]
        self._known += [
            KnownServer(server.name, server.url, server.source)
            for server in store.servers()
            if server.source != "lab" and server.url not in {known.url for known in self._known}
        ]
        self._sender_of = sender_servers(store.origin_facts(), self._known)

    def listen(self, seconds: float) -> Pipeline:
        """Listen for this long. What the broker says of itself is part of the result, not an error."""
        watch = PipelineWatch()
        end = time.time() + seconds
        pipeline = watch.look(self._facts(ConsumerState()))
        if not self._bus:
            return pipeline
        try:
            with self._connected() as (consumer, topology, asker):
                asked = 0.0
                while (now := time.time()) < end:
                    if now - asked >= ASK_EVERY:
                        asker.ask()
                        asked = now
                    messages = consumer.take(TAKE, min(0.5, end - now))
                    self._status.hear(messages)
                    if messages:
                        consumer.acknowledge(messages[-1].delivery)
                    pipeline = watch.look(self._facts(ConsumerState(connected=True, depths=self._depths(topology))))
        except BusError as error:
            trouble = ConsumerState(trouble=redact(str(error)), refused=isinstance(error, BusRefusedError))
            pipeline = watch.look(self._facts(trouble))
        return pipeline

    @contextlib.contextmanager
    def _connected(self) -> Iterator[tuple[Consumer, Topology, Asker]]:
        address = parse_bus_address(self._bus)
        if address.kind == "amqp" and not address.password and self._secrets is not None:
            address = replace(address, password=bus_password(self._secrets, address))
        exchange, options = self._places.status_exchange, self._bus_options
        reader = f"tally pipeline {os.getpid()}"
        with contextlib.ExitStack() as stack:
            consumer = stack.enter_context(
                contextlib.closing(
                    open_subscription(address, exchange=exchange, binding="#", reader=reader, options=options)
                )
            )
            topology = stack.enter_context(contextlib.closing(open_topology(address, options)))
            asker = stack.enter_context(
                contextlib.closing(Asker(address, exchange=exchange, writer=f"{reader}.ask", options=options))
            )
            yield consumer, topology, asker

    def _depths(self, topology: Topology) -> tuple[int | None, ...]:
        wanted = [(self._queue.queue, self._queue.exchange) if self._queue else ("", "")]
        wanted.append((self._places.packets_queue, self._places.packets_exchange))
        return tuple(_depth(topology, queue, exchange) for queue, exchange in wanted)

    def _servers(self, members: tuple[Member, ...]) -> list[FleetServer]:
        self._senders.update(member.status for member in members)
        return fleet_servers(self._known, (), self._senders.by_server(self._sender_of))

    def _facts(self, records: ConsumerState) -> Facts:
        members = self._status.members
        where = self._store.database
        return Facts(
            t=time.time(),
            servers=self._servers(members),
            members=members,
            bus=redact(self._bus),
            records=records,
            queue=self._queue.queue if self._queue else "",
            packets_queue=self._places.packets_queue,
            database=where.shown,
            database_kind="SQLite" if where.is_sqlite else "PostgreSQL",
            database_size=self._size,
        )


def _depth(topology: Topology, queue: str, exchange: str) -> int | None:
    if not queue:
        return None
    try:
        return topology.depth(queue, exchange=exchange)
    except BusRefusedError:
        return None  # no such queue, or not ours to see


def _as_text(pipeline: Pipeline) -> Iterator[str]:
    yield pipeline.waiting
    yield ""
    width = max(len(f"{stage.title} {stage.count}") for stage in pipeline.stages)
    for stage in pipeline.stages:
        yield f"{f'{stage.title} {stage.count}':<{width}}  {stage.state:<11}  {stage.reason}"
        yield " " * width + "  " + ", ".join(f"{figure.name} {figure.text}" for figure in stage.figures)
        if stage.remedy:
            yield " " * width + f"  → {stage.remedy}"
    if pipeline.shovelers or pipeline.collectors:
        yield ""
    for shoveler in pipeline.shovelers:
        yield f"shoveler {shoveler.name} ({shoveler.version}): {shoveler.state}, {shoveler.reason}"
    for collector in pipeline.collectors:
        yield f"collector {collector.name} ({collector.version}): {collector.state}, {collector.reason}"


def _as_json(pipeline: Pipeline) -> dict[str, object]:
    return {
        "t": pipeline.t,
        "waiting": pipeline.waiting,
        "summary": pipeline.summary,
        "bus": pipeline.bus,
        "stages": [
            {
                **{k: v for k, v in asdict(stage).items() if k not in ("figures", "spark", "spark_name")},
                "figures": {figure.name: figure.value for figure in stage.figures},
            }
            for stage in pipeline.stages
        ],
        "links": [asdict(link) for link in pipeline.links],
        "servers": [
            {
                "name": server.name, "url": server.url, "state": server.state, "datagrams": server.figures.rate,
                "gaps": server.figures.gaps,
            }
            for server in pipeline.servers
        ],
        "shovelers": [asdict(row) for row in pipeline.shovelers],
        "queues": [asdict(row) for row in pipeline.queues],
        "collectors": [asdict(row) for row in pipeline.collectors],
    }  # fmt: skip
