"""Fleet: nobody, a few, fifty; what is wrong with a server's monitoring line; names that mean harm."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication

from agent.messages import Daemon, Finding, ServerReport, Throughput, UdpSocket
from gui.hub.roster import AgentView, Pinged
from gui.models.fleet import FleetServer, SenderFigures
from gui.pages.fleet.page import CLIENT_COLUMNS, FleetPage
from gui.runner.progress import ClientRow


def client(name: str, state: str = "up", **changes) -> AgentView:
    return AgentView(
        id=f"id-{name}",
        kid="shared",
        name=name,
        role="client",
        state=state,  # type: ignore[arg-type]
        last_seen=time.time(),
        **changes,
    )


@pytest.fixture
def page(show) -> FleetPage:
    return show(FleetPage(lambda: None, lambda: None))


def test_nobody_is_here_yet_with_one_filled_button(page, texts) -> None:
    assert {"No client has joined this hub", "No server is known yet"} <= set(texts(page))
    filled = [b for b in page.findChildren(type(page.add_button)) if b.isVisible() and b.property("kind") == "primary"]
    assert [b.text() for b in filled] == ["Add a client…"]
    page.set_clients([client("c1")])
    assert page.add_button.property("kind") == "primary"


def test_counts_say_who_is_up_and_who_is_missing(page) -> None:
    page.set_clients([client("c10"), client("c2"), client("c1", "missing"), client("c3", "gone")])
    assert page.clients.counts.text() == "2 up, 1 missing"
    assert [agent.name for agent in page.clients.model.rows.all] == ["c1", "c2", "c3", "c10"]
    page.set_servers([FleetServer("s1", "root://s1", "up"), FleetServer("s2", "root://s2", "check")])
    assert page.servers.counts.text() == "1 up, 1 to check"


def test_actions_work_on_the_chosen_clients(page) -> None:
    page.set_clients([client("c1"), client("c2")])
    assert not page.drain_button.isEnabled()
    page.clients.select_key("id-c2")
    sent: list[list[str]] = []
    page.drain_wanted.connect(sent.append)
    page.drain_button.click()
    assert sent == [["id-c2"]]


def test_a_wrong_monitoring_line_is_shown_with_the_line_that_mends_it(page, texts) -> None:
    fixed = "xrootd.monitor all fstat 60s lfn ops xfr 5 dest fstat 127.0.0.1:9993"
    finding = Finding(severity="error", what="no close records", why="fstat without xfr", fixed=fixed)
    page.set_servers(
        [FleetServer("s07", "root://s07", "check", config="no close records", findings=(finding,), monitor_line="x")]
    )
    page.servers.select_key("root://s07")
    assert "no close records: fstat without xfr" in texts(page.detail)
    assert page.detail.fixed.cursorPosition() == 0  # a long line is read from its beginning
    page.detail.copy.click()
    assert QGuiApplication.clipboard().text() == fixed


def test_fifty_servers_keep_selection_and_order_while_their_figures_change(page) -> None:
    def servers(rate: float) -> list[FleetServer]:
        return [
            FleetServer(
                f"s{n:02}", f"root://s{n:02}", "up", figures=SenderFigures(rate=rate * n, last_minute=(1.0, 2.0))
            )
            for n in range(1, 51)
        ]

    page.set_servers(servers(1.0))
    page.servers.select_key("root://s30")
    page.servers.sort_by("datagrams", descending=True)
    page.set_servers(servers(2.0))
    assert page.servers.current().name == "s30"
    assert page.servers.model.rows.visible[0].name == "s50"
    page.grab()


def test_names_that_mean_harm_are_plain_text(page, hostile, texts) -> None:
    page.set_clients([client(name, host=name, version=name, labels=(name,)) for name in hostile])
    page.set_servers([FleetServer(name, f"root://{n}", "up", config=name) for n, name in enumerate(hostile)])
    page.servers.select_key("root://0")
    assert hostile[0] in texts(page.detail)
    page.grab()


def test_states_of_clients_are_counted_apart(page) -> None:
    page.set_clients([client("c1"), client("c2", "draining"), client("c3", "missing"), client("c4", "disconnected")])
    assert page.clients.counts.text() == "1 up, 1 draining, 1 missing, 1 disconnected"


def test_draining_clients_are_resumed_by_the_same_button(page) -> None:
    page.set_clients([client("c1", "draining", jobs=("j",)), client("c2")])
    page.clients.select_key("id-c1")
    assert page.drain_button.text() == "Resume"
    sent: list[list[str]] = []
    page.resume_wanted.connect(sent.append)
    page.drain_button.click()
    assert sent == [["id-c1"]]
    page.clients.select_key("id-c2")
    assert page.drain_button.text() == "Drain"


def test_disconnecting_asks_for_how_long_and_is_taken_back(page) -> None:
    page.set_clients([client("c1")])
    page.clients.select_key("id-c1")
    sent: list[tuple[list[str], object]] = []
    page.disconnect_wanted.connect(lambda ids, seconds: sent.append((ids, seconds)))
    for action in page._outs.actions():
        action.trigger()
    assert sent == [(["id-c1"], 600.0), (["id-c1"], 3600.0), (["id-c1"], None)]
    page.disconnect_button.click()
    assert page._outs.isVisible()
    page._outs.close()
    page.set_clients([client("c1", "disconnected", reason="until 14:05")])
    page.clients.select_key("id-c1")
    allowed: list[list[str]] = []
    page.allow_wanted.connect(allowed.append)
    page.disconnect_button.click()
    assert (page.disconnect_button.text(), allowed) == ("Allow again", [["id-c1"]])


def test_revoking_asks_once_and_names_client_and_key(page) -> None:
    own = replace(client("c1", host="wn17"), kid="k-1")
    page.set_clients([own, replace(client("c2"), kid="k-1"), client("c3")])
    page.clients.select_key("id-c3")
    assert not page.revoke_button.isEnabled()
    assert "shared key" in page.revoke_button.toolTip()
    page.clients.select_key("id-c1")
    sent: list[str] = []
    page.revoke_wanted.connect(sent.append)
    page.revoke_button.click()
    assert page.question.text() == "Revoke the key of c1 on wn17?"
    assert "k-1" in page.question.informativeText()
    assert "c2" in page.question.informativeText()
    next(b for b in page.question.buttons() if b.text() == "Revoke").click()
    assert sent == ["id-c1"]


def test_a_ping_shows_its_answer_or_that_there_was_none(page) -> None:
    now = time.time()
    page.set_clients([client("c1", pinged=Pinged(now, 0.012, 0.0)), client("c2", pinged=Pinged(now)), client("c3")])
    column = next(c for c in CLIENT_COLUMNS if c.key == "ping")
    shown = [column.shows(row) for row in page.clients.model.rows.all]
    assert shown[0].startswith("12")
    assert shown[1].startswith("no answer")
    assert shown[2] == "–"


def test_enter_on_a_client_and_the_button_of_a_server_open_the_agent(page, qtbot) -> None:
    opened: list[tuple[str, str]] = []
    page.agent_wanted.connect(lambda agent, server: opened.append((agent, server)))
    page.set_clients([client("c1")])
    page.clients.select_key("id-c1")
    qtbot.keyClick(page.clients.view, Qt.Key.Key_Return)
    beside = replace(client("s1"), role="server", servers=("root://s0", "root://s1"))
    page.set_servers([FleetServer("s1", "root://s1", "up", agent=beside)])
    page.servers.select_key("root://s1")
    qtbot.waitUntil(lambda: not page.detail.more.visibleRegion().isEmpty())
    qtbot.mouseClick(page.detail.more, Qt.MouseButton.LeftButton)
    assert opened == [("id-c1", ""), ("id-s1", "root://s1")]


def test_what_clients_make_of_what_is_offered_is_beside_their_requests(page) -> None:
    page.set_working([ClientRow("c1", "id-c1", "up", offered=100.0, achieved=40.0)])
    page.set_clients([client("c1"), client("c2")])
    columns = {column.key: column for column in page.clients.model.rows.columns}
    rows = list(page.clients.model.rows.all)
    assert [columns["offered"].shows(row) for row in rows] == ["100", "–"]
    assert [columns["made"].shows(row) for row in rows] == ["40.0", "–"]
    page.set_working(())
    assert columns["made"].shows(rows[0]) == "–"


def test_what_an_agent_sees_of_its_server_is_among_the_facts(page, texts) -> None:
    report = ServerReport(
        t=1.0, server="root://s1", answering=True, mtu=1500,
        throughput=Throughput(sent=3 * 2**20, received=1024, seconds=10.0, connections=7),
        sockets=[UdpSocket("127.0.0.1:9930", drops=12)],
        daemons=[Daemon("h:1", "shoveler", True), Daemon("h:2", "collector", False, "no disk")],
    )  # fmt: skip
    findings = tuple(Finding("warning", f"finding {number}") for number in range(20))
    page.set_servers([FleetServer("s1", "root://s1", "up", report=report, findings=findings)])
    page.servers.select_key("root://s1")
    facts = dict(zip(*[iter([label.text() for pair in page.detail._facts for label in pair])] * 2, strict=True))
    assert facts["Server says"] == "3.0 MiB/s sent, 1.0 KiB/s received, 7 connections, over 10 s"
    assert facts["MTU, kernel drops"] == "1,500, 12"
    assert facts["Beside it"] == "shoveler ok, collector not well"
    assert page.detail.verdict.text().splitlines()[-1] == "and 14 more, see its checks"
    column = next(column for column in page.servers.model.rows.columns if column.key == "sends")
    assert column.shows(next(iter(page.servers.model.rows.all))) == "3.0 MiB/s"
