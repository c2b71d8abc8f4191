"""A run whose losses are of several kinds, with what shoveler and collector reported of it."""

from __future__ import annotations

from typing import Any

from gui.reconcile import score
from gui.store import MarkerRow, TestSpec
from shoveler.service import (
    CollectorSender,
    CollectorStatus,
    Drop,
    Gap,
    Position,
    Progress,
    ServerProcess,
    ShovelerSender,
    ShovelerStatus,
)
from tests.gui.store.world import T0

S1, S2 = "192.0.2.1:45001", "192.0.2.1:45002"
ONE, TWO = "root://s01.example.org:1094", "root://s02.example.org:1095"
SIDS = {ONE: "41279", TWO: "37290"}
PORTS = {ONE: 1094, TWO: 1095}


def run_with_losses(world: Any, requests: int = 24, *, fault: str = "", statuses: bool = True, name: str = "") -> int:
    """A run with `requests` for each of two servers that share an address. The first three of server 1 lose their
    close with one datagram that the kernel dropped; one record has wrong bytes, one request failed, one has two
    records. With `fault` the plan did something then. Without `statuses` nobody watched. Returns the run."""
    world.begin(
        TestSpec(2, requests, requests, name=name), fstat_seconds=5, flush_seconds=1,
        clients=[{"name": "c1", "host": "wn17.example.org", "version": "1.2", "clock_offset": 0.003}],
        servers=2, host="desk.example.org",
    )  # fmt: skip
    ours, theirs = world.ask(requests, server=ONE), world.ask(requests, server=TWO)
    if statuses:
        world.store.put_status(world.run, _shoveler(world))
        world.store.put_status(world.run, _collector(world))
    if fault:
        world.store.add_marker(world.run, MarkerRow(world.now, "fault", fault))
    lost, rest = ours[:3], ours[3:]
    world.read(*lost)
    begin, end = int(world.now) - 7, int(world.now)
    gap = Gap(cls="F", stod=1, after=78, missing=1, t_min=begin, t_max=end + 1, begin=begin, end=end)
    drop = Drop(listen="0.0.0.0:9993", t_from=world.now - 5, t_to=world.now, count=1)
    world.now += 20
    world.read(*rest[1:], *theirs)
    world.read(rest[0], ok=False, error="[3011] no such file or directory")
    world.record(rest[1], server_id=SIDS[ONE], port=1094, read=100)
    world.record(*rest[2:], server_id=SIDS[ONE], port=1094)
    world.record(*theirs[1:], server_id=SIDS[TWO], port=1095)
    for _ in range(2):
        world.record(theirs[0], server_id=SIDS[TWO], port=1095)
    world.now += 9  # a server holds a close back for 6 s, and the clocks may differ
    if statuses:
        processes = [_process(world, ONE, S1, gap), _process(world, TWO, S2)]
        world.store.put_status(world.run, _shoveler(world, drops=[drop], kernel_drops=1, received=140))
        world.store.put_status(world.run, _collector(world, *processes, seen=139))
    repeat = world.repeat
    world.store.set_repeat(repeat, state="settling", ended=world.tick())
    world.store.set_repeat(
        repeat, state="settled", settled=world.tick(), complete=True, reason="the pipeline was quiet"
    )
    score(world.store, repeat, "settle", world.tick())
    world.store.set_run(world.run, state="failed", ended=world.tick())
    return int(world.run)


def _shoveler(world: Any, received: int = 9, **facts: Any) -> ShovelerStatus:
    return ShovelerStatus(
        id="sh-b", started=0.0, t=world.tick(), host="mon2.example.org", version="1.2",
        senders={each: ShovelerSender(received=received, confirmed=received) for each in (S1, S2)},
        positions={"g": Position(first=1, received_upto=received, confirmed_upto=received)}, **facts,
    )  # fmt: skip


def _collector(world: Any, *processes: ServerProcess, seen: int = 9) -> CollectorStatus:
    return CollectorStatus(
        id="k1", started=0.0, t=world.tick(), host="col.example.org", version="1.2",
        senders={each: CollectorSender(seen=seen, records=seen) for each in (S1, S2)},
        positions={"g": Progress(seen_upto=200)}, processes=list(processes),
    )  # fmt: skip


def _process(world: Any, server: str, sender: str, *gaps: Gap) -> ServerProcess:
    return ServerProcess(
        sender=sender, sid=SIDS[server], stod=int(T0) - 1000, host=server[7:].partition(":")[0],
        port=PORTS[server], gaps=list(gaps), clock=int(world.now) + 99,
    )  # fmt: skip
