"""Fleet: nobody, a few, fifty; what is wrong with a server's monitoring line; names that mean harm."""

from __future__ import annotations

import time

import pytest
from PySide6.QtGui import QGuiApplication

from agent.messages import Finding
from gui.hub.roster import AgentView
from gui.models.fleet import FleetServer, SenderFigures
from gui.pages.fleet.page import FleetPage


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
