"""From the workspace to the ladder: statuses, the server that a request reached, its session, the plan's faults."""

from __future__ import annotations

from typing import Any

from gui.models.requests import read_test
from gui.models.runs import read_run
from gui.reconcile import ladder_of, score
from gui.reconcile.facts import Fault, Span
from gui.reconcile.gather import faults_of
from gui.store import MarkerRow, StatusPair, VerdictKind
from shoveler.service import (
    CollectorStatus,
    Drop,
    Gap,
    Position,
    Progress,
    ServerProcess,
    ShovelerSender,
    ShovelerStatus,
)

S1, S2 = "192.0.2.1:45001", "192.0.2.1:45002"


def shoveler(world: Any, **facts: Any) -> ShovelerStatus:
    return ShovelerStatus(
        id="5f2c9e8b", started=0.0, t=world.tick(), host="mon", version="1",
        senders={S1: ShovelerSender(received=9), S2: ShovelerSender(received=9)},
        positions={"g": Position(first=1, received_upto=9, confirmed_upto=9)}, **facts,
    )  # fmt: skip


def collector(world: Any, *processes: ServerProcess) -> CollectorStatus:
    return CollectorStatus(
        id="k1", started=0.0, t=world.tick(), host="col", version="1",
        positions={"g": Progress(seen_upto=9)}, processes=list(processes),
    )  # fmt: skip


def process(world: Any, sid: str, sender: str, port: int, *gaps: Gap) -> ServerProcess:
    return ServerProcess(
        sender=sender, sid=sid, stod=int(world.now) - 1000, host="se", port=port, gaps=list(gaps), clock=world.now + 99
    )


def gap(world: Any, after: int = 41) -> Gap:
    """A gap over the last ten seconds."""
    now = int(world.now)
    return Gap(cls="F", stod=1, after=after, missing=1, t_min=now - 10, t_max=now + 1, begin=now - 10, end=now)


def test_a_drop_and_the_gap_that_holds_the_close(any_world: Any) -> None:
    world = any_world
    world.begin(fstat_seconds=5, flush_seconds=1)
    ours = world.ask(3, server="root://se:1094")
    theirs = world.ask(1, server="root://se:1095")
    world.store.put_status(world.run, shoveler(world))
    world.store.put_status(world.run, collector(world))
    world.read(*ours, *theirs)
    world.record(ours[0], server_id="11", port=1094)
    lost = gap(world)
    drop = Drop(listen="0.0.0.0:9930", t_from=world.now - 1, t_to=world.now, count=1)
    processes = (process(world, "11", S1, 1094, lost), process(world, "12", S2, 1095))
    world.now += 9  # a server holds a close back for 6 s, and the clocks may differ
    world.store.put_status(world.run, shoveler(world, drops=[drop]))
    world.store.put_status(world.run, collector(world, *processes))
    score(world.store, world.repeat, "settle", world.tick())
    missing = world.store.requests(world.repeat, verdict=VerdictKind.MISSING)
    assert [(m.server_url, m.lost_at, m.certain) for m in missing] == [
        ("root://se:1094", "kernel", True),
        ("root://se:1094", "kernel", True),
        ("root://se:1095", "server", False),
    ]
    datagram = missing[0].datagram
    assert datagram is not None
    assert (datagram.server, datagram.cls, datagram.after, datagram.missing) == ("11", "F", 41, 1)
    assert missing[0].answer == missing[0].cause
    assert missing[2].answer.startswith("probably the server sent nothing")
    assert missing[0].lost_with == missing[1].lost_with != ""
    ladder = ladder_of(world.store, missing[0].id)
    assert ladder is not None
    assert (ladder.cause, ladder.certain, ladder.datagram) == (missing[0].cause, True, datagram)
    assert ladder.together == (missing[0].id, missing[1].id)
    assert ladder.rungs[2].state == "lost"
    assert ladder_of(world.store, 1) is None, "a request that has its record lost nothing"


def test_a_server_that_has_no_record_is_known_by_its_port(world: Any) -> None:
    world.begin()
    (a,) = world.ask(1, server="root://localhost:1094")
    world.read(a)
    lost = gap(world)
    world.store.put_status(
        world.run, collector(world, process(world, "11", S1, 1094, lost), process(world, "12", S2, 1))
    )
    score(world.store, world.repeat, "settle", world.tick())
    (missing,) = world.store.requests(world.repeat)
    assert (missing.lost_at, missing.certain) == ("unknown", False)
    assert missing.answer.startswith("lost before the collector, and no shoveler told what it took: ")


def test_a_login_that_was_lost_takes_all_of_its_session(world: Any) -> None:
    world.begin(fstat_seconds=1, flush_seconds=1)
    (other,) = world.ask(1, server="root://se:1094")
    world.read(other)
    world.record(other, server_id="11")
    for _ in range(20):
        world.tick()
    session = world.ask(4, server="root://se:1094")
    login = int(world.now) + 1
    world.read(session[0])
    for _ in range(20):
        world.tick()
    world.read(*session[1:])
    name = Gap(cls="M", stod=1, after=7, missing=1, t_min=login, t_max=login + 3, begin=login - 1, end=login + 1)
    world.store.put_status(world.run, shoveler(world))
    for _ in range(90):
        world.tick()
    world.store.put_status(world.run, shoveler(world))
    world.store.put_status(world.run, collector(world, process(world, "11", S1, 1094, name)))
    with world.store.database.write() as connection:  # the shoveler's first word was before all this
        connection.exec_driver_sql(
            "UPDATE pipeline_status SET first_body = REPLACE(first_body, '\"t\":17', '\"t\":16')"
        )
    score(world.store, world.repeat, "settle", world.tick())
    missing = world.store.requests(world.repeat, verdict=VerdictKind.MISSING)
    assert [(m.lost_at, m.certain) for m in missing] == [("wire", True)] * 4
    assert {m.datagram.held for m in missing if m.datagram} == {"login"}
    assert len({m.lost_with for m in missing}) == 1


def test_the_plans_own_fault_is_named(world: Any) -> None:
    world.begin(fstat_seconds=1, flush_seconds=1)
    (a,) = world.ask(1, server="root://se:1094")
    world.store.put_status(world.run, shoveler(world))
    world.store.add_marker(world.run, MarkerRow(world.now, "fault", "wire-loss for 6 s"))
    world.read(a)
    lost = gap(world)
    world.store.put_status(world.run, shoveler(world))
    world.store.put_status(world.run, collector(world, process(world, "11", S1, 1094, lost)))
    score(world.store, world.repeat, "settle", world.tick())
    (missing,) = world.store.requests(world.repeat)
    assert missing.lost_at == "wire"
    assert missing.cause.endswith("with its close; the plan's own wire-loss was on then")
    (row,) = read_test(world.store, read_run(world.store, world.run).tests[0]).requests
    assert row.cause.startswith("injected wire-loss: probably lost between"), "a table shows the beginning"
    assert row.cause.endswith("with its close")


def test_which_markers_are_faults_of_the_plan() -> None:
    markers = [
        MarkerRow(5.0, "fault", "udp-loss for 30 s (2 % of s03)"),
        MarkerRow(5.1, "fault", "2 % of all datagrams are lost for 30 s"),
        MarkerRow(6.0, "fault", "kill-shoveler"),
        MarkerRow(6.1, "fault", "killed shoveler-1 (pid 7); starts again at once"),
        MarkerRow(7.0, "round", "broker-down for 3 s"),
    ]
    assert faults_of(markers) == [
        Fault("udp-loss", Span(5.0, 35.1), "s03", 5.1, percent=2.0),
        Fault("kill-shoveler", Span(6.0, 6.1), "", 6.1, percent=1.0),
    ]


def test_a_busy_lab_injects_a_fault_late() -> None:
    markers = [
        MarkerRow(5.0, "fault", "udp-loss for 6 s (60 % of s03)"),
        MarkerRow(5.0, "fault", "wire-loss for 6 s (60 % of s05)"),
        MarkerRow(7.0, "fault", "60 % of all datagrams of s03 are lost for 6 s"),
        MarkerRow(8.5, "fault", "60 % of all datagrams of s05 are lost for 6 s"),
        MarkerRow(9.0, "fault", "broker-down for 3 s"),
    ]
    assert [(fault.do, fault.begin, fault.span) for fault in faults_of(markers)] == [
        ("udp-loss", 7.0, Span(5.0, 13.0)),
        ("wire-loss", 8.5, Span(5.0, 14.5)),
        ("broker-down", 9.0, Span(9.0, 12.0)),
    ]


def test_a_status_of_a_newer_kind_is_passed_over(world: Any) -> None:
    world.begin()
    (a,) = world.ask(1)
    world.read(a)
    world.store.put_status(world.run, shoveler(world))
    world.store.add_status_step(world.run, shoveler(world))
    with world.store.database.write() as connection:
        for table, column in (
            ("pipeline_status", "last_body"),
            ("pipeline_status", "first_body"),
            ("status_step", "body"),
        ):
            connection.exec_driver_sql(f"UPDATE {table} SET {column} = '{{\"schema\": 99}}'")
    (pair,) = world.store.statuses(world.run)
    assert isinstance(pair, StatusPair)
    score(world.store, world.repeat, "settle", world.tick())
    (missing,) = world.store.requests(world.repeat)
    assert (missing.lost_at, missing.certain) == ("unknown", False)
    assert missing.answer == "unknown: neither shoveler nor collector sent a status during the run"
