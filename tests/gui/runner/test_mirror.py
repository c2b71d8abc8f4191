"""What a workspace publishes, as a remote window has it in the end."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import msgspec

from agent.messages import Finding, Notice, ServerReport, Throughput
from gui.campaign.selection import Server
from gui.hub import AgentView
from gui.hub.feed import Feed, Told, Topics
from gui.hub.roster import agent_row, notices_row, report_rows
from gui.runner.intake import Member
from gui.runner.mirror import Mirror
from gui.runner.progress import (
    RING_SECONDS,
    ClientRow,
    Marker,
    Problem,
    RunProgress,
    SamplePoint,
    ServerRow,
    Step,
)
from gui.runner.publishing import HEAD, LISTS, Surroundings, publish, publish_result
from gui.runner.session import RunResult
from shoveler.service import CollectorStatus, ShovelerStatus
from shoveler.service.status import CollectorSender, Position, ServerProcess, ShovelerSender


class Wire:
    """A hub's topics and one remote window. `sent` has the keys of each message by topic, since the last `hear`."""

    def __init__(self) -> None:
        self.topics, self.mirror = Topics(), Mirror()
        self.told: dict[str, Told] = {}
        self.sent: dict[str, list[str]] = {}

    def hear(self, beats: int = 1000) -> Mirror:
        self.sent = {}
        for _ in range(beats):
            if not self.topics.behind(self.told):
                break
            for message in self.topics.since(self.told):
                self.sent.setdefault(message.topic, []).extend(message.put)
                self.mirror.take(msgspec.json.decode(msgspec.json.encode(message), type=Feed))
        return self.mirror

    def run(self, progress: RunProgress, members: Any = (), servers: Any = tuple) -> RunProgress:
        publish(self.topics, progress, Surroundings(label="w"), members, servers)
        return self.hear().progress()


FULL = RunProgress(
    t=200.0,
    run=7,
    plan="p",
    phase="round",
    message="round 2 of 9",
    test=1,
    repeat=2,
    started=90.0,
    eta=5.0,
    steps=(Step("one", 10, ("passed", "running")),),
    series=("a", "b"),
    servers=(ServerRow("a", "root://a//", requested=3, rate=1.5), ServerRow("b", "root://b//")),
    clients=(ClientRow("c1", "id1", "up", done=2),),
    samples=(SamplePoint(100.0, (1.0, None), missing=(1,), said=(2.0, None), read=4), SamplePoint(101.0, (2.0, 3.0))),
    markers=(Marker(100.0, "round", "x"), Marker(100.0, "round", "x")),
    problems=(Problem(99.0, "warning", "bus", "away", "mend it", count=3),),
)


def test_a_remote_window_has_the_whole_run() -> None:
    wire = Wire()
    assert wire.run(FULL) == FULL
    assert set(HEAD) | set(LISTS) == set(RunProgress.__dataclass_fields__)
    assert wire.mirror.surroundings == Surroundings(label="w")


def test_only_what_changes_is_sent() -> None:
    wire = Wire()
    wire.run(FULL)
    after = replace(FULL, t=201.0, servers=(replace(FULL.servers[0], requested=4), FULL.servers[1]))
    assert wire.run(after) == after
    assert wire.sent == {"run": ["run"], "servers": ["root://a//"]}
    assert wire.run(after) == after
    assert wire.sent == {}


def test_curves_of_earlier_repeats_stay_and_the_servers_are_those_of_now() -> None:
    wire = Wire()
    wire.run(FULL)
    third = replace(
        FULL,
        repeat=3,
        servers=(ServerRow("c", "root://c//"),),
        series=("a", "b", "c"),
        samples=(*FULL.samples, SamplePoint(120.0, (None, None, 3.0))),
    )
    assert wire.run(third) == third
    assert wire.sent["points"] == ["120"]


def points(first: int, last: int) -> tuple[SamplePoint, ...]:
    return tuple(SamplePoint(float(t), (1.0,) * 50) for t in range(first, last + 1))


def test_a_window_that_comes_late_gets_the_newest_first_and_all_in_the_end() -> None:
    wire, hour = Wire(), replace(FULL, samples=points(1, RING_SECONDS))
    publish(wire.topics, hour, Surroundings(), (), tuple)
    wire.hear(1)
    assert wire.sent["points"][0] == str(RING_SECONDS)
    assert len(wire.sent["points"]) < RING_SECONDS
    mended = (
        replace(hour.samples[0], rates=(7.0,) * 50),
        *hour.samples[1:],
        *points(RING_SECONDS + 1, RING_SECONDS + 1),
    )
    publish(wire.topics, replace(hour, samples=mended), Surroundings(), (), tuple)
    wire.hear(1)
    assert wire.sent["points"][:2] == ["1", str(RING_SECONDS + 1)], "a second that was mended, and the new one"
    assert wire.hear().progress().samples == mended


def test_another_run_begins_anew() -> None:
    wire = Wire()
    wire.run(FULL)
    other = RunProgress(t=300.0, run=8, started=299.0, samples=points(5, 6))
    assert wire.run(other) == other


def test_a_second_in_which_two_repeats_meet_is_one_point() -> None:
    both = (SamplePoint(100.0, (1.0,)), SamplePoint(100.0, (2.0,)))
    assert Wire().run(replace(FULL, samples=both)).samples == both[1:]


def test_the_result_is_there_when_all_of_it_has_come() -> None:
    wire = Wire()
    assert (wire.mirror.result, wire.mirror.ended) == (None, None)
    result = RunResult(7, "passed", "all", (), 3.5)
    publish_result(wire.topics, result)
    assert wire.hear().result == result
    assert wire.mirror.ended == 7
    wire.mirror.lost()
    assert wire.mirror.result is None, "until it is told anew"


def test_agents_with_what_they_report() -> None:
    report = ServerReport(t=5.0, server="root://a//", findings=[Finding("error", "no fstat", fixed="xrd.x")])
    view = AgentView("id1", "k", "c1", "server", "up", host="h", labels=("EU",), jobs=("1.1.1",))
    wire = Wire()

    def tell(view: AgentView) -> tuple[AgentView, ...]:
        wire.topics.publish("agents", lambda: {view.id: view}, fields=agent_row)
        wire.topics.publish("reports", lambda: report_rows([view]))
        wire.topics.publish("notices", lambda: {view.id: view.notices}, fields=notices_row)
        return wire.hear().agents

    assert tell(view) == (view,)
    other = ServerReport(t=6.0, server="root://b", throughput=Throughput(sent=5.0, seconds=10.0))
    told = replace(view, reports={"root://a//": report, "root://b": other}, notices=(Notice("info", "hello", 1.0),))
    assert tell(told) == (told,)
    told = replace(told, reports={"root://b": other})
    assert tell(told) == (told,), "a server that it no longer stands beside"
    beat = replace(told, last_seen=9.0)
    assert tell(beat) == (beat,)
    assert "reports" not in wire.sent, "a heartbeat does not repeat the report"
    wire.topics.publish("agents", dict, fields=agent_row)
    assert wire.hear().agents == ()


def test_programs_on_the_bus_and_servers_to_choose_from() -> None:
    shoveler = ShovelerStatus(
        id="s1",
        started=1.0,
        t=2.0,
        host="h",
        version="1",
        senders={"10.0.0.1:5000": ShovelerSender(received=5)},
        positions={"g": Position(first=1, received_upto=5, confirmed_upto=4)},
    )
    collector = CollectorStatus(
        id="c1",
        started=1.0,
        t=2.0,
        host="h",
        version="1",
        senders={"10.0.0.1:5000": CollectorSender(seen=4)},
        processes=[ServerProcess(sender="10.0.0.1:5000", sid="1", stod=3)],
    )
    members = (Member("shoveler", "s1", 3.0, shoveler), Member("collector", "c1", 3.0, collector))
    servers = (Server("a", "root://a//", ("EU",)),)
    wire = Wire()
    wire.run(FULL, members, lambda: servers)
    assert wire.mirror.members == members
    assert wire.mirror.known == servers
    again = msgspec.convert(msgspec.to_builtins(shoveler), ShovelerStatus)
    again.senders["10.0.0.1:5000"].received = 6
    later = (replace(members[0], heard=time.time(), status=again), members[1])
    wire.run(FULL, later, lambda: servers)
    assert wire.mirror.members == later
    assert wire.sent == {"members": ["shoveler.s1"], "senders": ["shoveler.s1 10.0.0.1:5000"]}
