"""Who is here, as immutable views."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from agent.messages import Daemon, Finding, Notice, ServerReport
from gui.hub.roster import (
    AgentView,
    ClockOffset,
    Roster,
    agent_row,
    newest_notices,
    public_id,
    report_rows,
    shortened,
    with_report,
)


def view(name: str, **changes: Any) -> AgentView:
    return AgentView(id=public_id("shared", name), kid="shared", name=name, role="client", state="up", **changes)


def test_public_ids_are_stable_and_tell_nothing() -> None:
    assert public_id("shared", "c1") == "34797af478bc"
    assert public_id("shared", "c1") != public_id("k-1", "c1")


def test_changes_are_announced_together_and_later() -> None:
    waiting: list[Callable[[], None]] = []
    roster = Roster(soon=waiting.append)
    heard: list[list[str]] = []
    unsubscribe = roster.subscribe(lambda agents: heard.append([agent.name for agent in agents]))
    roster.put(view("c1"))
    roster.put(view("c2"))
    roster.put(view("c1", cpu=5.0))
    assert heard == []
    assert len(waiting) == 1
    waiting.pop()()
    assert heard == [["c1", "c2"]]
    roster.forget(public_id("shared", "c1"))
    roster.forget("nobody")
    waiting.pop()()
    assert heard[-1] == ["c2"]
    assert roster.version == 4
    unsubscribe()
    unsubscribe()
    roster.put(view("c3"))
    assert waiting == []


def test_views_do_not_change() -> None:
    with pytest.raises(AttributeError):
        view("c1").cpu = 3.0  # type: ignore[misc]


def test_a_round_trip_of_a_busy_moment_does_not_move_the_clock() -> None:
    offset = ClockOffset()
    for number, trip in enumerate([0.9, 0.002, 0.8, None]):
        seen = offset.heartbeat(100.0 + number, 100.001 + number, rtt=trip)
    assert seen == pytest.approx(0.0, abs=0.001)


def test_the_fastest_heartbeat_tells_the_clocks_apart() -> None:
    offset = ClockOffset()
    # Its clock is 2 s ahead; the way takes 20 ms at best, and now and then much longer.
    for sent, delay in ((100, 0.5), (101, 0.02), (102, 0.9)):
        seen = offset.heartbeat(sent + 2.0, sent + delay, rtt=0.04)
    assert seen == pytest.approx(2.0, abs=1e-6)
    for sent in range(103, 120):
        seen = offset.heartbeat(sent - 1.0, sent + 0.02, rtt=0.04)
    assert seen == pytest.approx(-1.0, abs=1e-6), "after ten heartbeats, an old difference is forgotten"


def test_of_a_report_is_kept_what_fits_and_the_rest_is_counted() -> None:
    honest = ServerReport(t=1.0, findings=[Finding("error", "w" * 100, "y" * 100, fixed="f" * 100)] * 100)
    assert shortened(honest) is honest
    largest = ServerReport(t=1.0, findings=[Finding("error", "w" * 2000, "y" * 2000, fixed="f" * 2000)] * 100)
    kept = shortened(largest)
    assert len(msgspec.json.encode(kept)) < 70_000
    assert kept.findings[-1].what == "90 more findings are left out"
    assert kept.findings[:10] == largest.findings[:10]


def test_what_an_agent_reports_of_many_servers_is_bounded() -> None:
    worst = Finding("error", "w" * 2000, "y" * 2000, fixed="f" * 2000)
    daemon = Daemon("h:1", "shoveler", problem="p" * 2000, counts={f"{n:032}": 1.0 for n in range(32)})
    agent = view("s", servers=("root://gone:1",))
    for number in range(700):
        url = f"root://s{number}.example.org:1094"
        report = ServerReport(t=1.0, server=url, findings=[worst] * 100, daemons=[daemon] * 16)
        agent = with_report(agent, report)
    assert len(agent.reports) == len(agent.servers) == 500
    assert agent.servers[-1] == url
    assert "root://s0.example.org:1094" not in agent.reports, "the oldest give way"
    rows = report_rows([agent])
    assert sum(len(msgspec.json.encode(row)) for row in rows.values()) < 4_000_000
    assert len(msgspec.json.encode(agent_row(agent))) < 100_000

    honest = [Finding("warning", "w" * 300, "y" * 300, fixed="f" * 200)] * 2
    agent = view("s")
    for number in range(500):
        agent = with_report(agent, ServerReport(t=1.0, server=f"root://s{number}:1094", findings=honest))
    assert all(report.findings == honest for report in agent.reports.values()), "what honest agents say fits"


def test_a_report_replaces_the_one_before_of_the_same_server() -> None:
    agent = view("s", servers=("root://a:1", "root://b:1"))
    for answering in (False, True):
        agent = with_report(agent, ServerReport(t=1.0, server="root://b:1", answering=answering))
    assert agent.servers == ("root://a:1", "root://b:1")
    assert [report.answering for report in agent.reports.values()] == [True]
    agent = with_report(agent, ServerReport(t=2.0))
    assert agent.reports["root://a:1"].t == 2.0, "an agent beside one server need not name it"
    for harmful in ("root://\x1b[2J:1", "root://" + "x" * 300):
        assert with_report(agent, ServerReport(t=3.0, server=harmful)).servers == agent.servers


def test_a_client_at_its_limit() -> None:
    assert not view("c", cpu=350.0, busiest=80.0, cpus=4).busy
    assert view("c", cpu=365.0, busiest=80.0, cpus=4).busy
    assert view("c", cpu=110.0, busiest=95.0, cpus=4).busy, "one process at its limit makes no more requests"
    assert not replace(view("c", cpu=110.0, busiest=95.0, cpus=4), state="missing").busy


def test_of_notices_the_newest_are_kept() -> None:
    short = tuple(Notice("info", str(n), 1.0) for n in range(60))
    assert newest_notices(short) == short[10:]
    long = tuple(Notice("info", f"{n}" + "x" * 1990, 1.0) for n in range(20))
    assert newest_notices(long) == long[12:]
    assert newest_notices((Notice("info", "x" * 20_000, 1.0),)) != ()
