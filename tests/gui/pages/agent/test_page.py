"""The page of an agent: facts, what deserves a look, checks, log, history; text that means harm."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.messages import Finding, Notice, ServerReport
from gui.hub.persistence import AuditEntry
from gui.hub.roster import AgentView
from gui.models.agent import BUSY_WORDS, Trail, agent_facts, checks_of, history_of, log_of
from gui.pages.agent.page import AgentPage

NOW = 1_795_000_000.0


CLIENT = AgentView(
    id="i", kid="k", name="c1", role="client", state="up", host="wn17", cpus=2, joined=NOW - 60, clock_offset=0.003,
    cpu=42.0, journal_last=10, journal_stored=7,
)  # fmt: skip


def client(**changes: Any) -> AgentView:
    return replace(CLIENT, **changes)


@pytest.fixture
def page(show) -> AgentPage:
    return show(AgentPage(lambda: None))


def shown(page: AgentPage) -> dict[str, str]:
    return {fact.name: fact.value for fact in page.facts.model.rows.all}


def test_a_client_with_its_last_minutes(page) -> None:
    trail = Trail()
    for second in (0, 5, 10):
        trail.add(NOW + second, client(requests=second * 4))
    agent = client(requests=40)
    page.show_agent(agent, agent_facts(agent, trail, None, NOW), log_of(agent))
    facts = shown(page)
    assert facts["Journal"] == "10 lines, 3 not stored yet"
    assert facts["Achieved"].startswith("4")
    assert facts["Offered"] == "–"
    assert page.title.text() == "c1"
    assert not page.checks.isVisible()
    page.grab()


def test_a_client_at_its_limit_is_said_in_words(page) -> None:
    agent = client(cpu=190.0)
    rows = {fact.name: fact for fact in agent_facts(agent, Trail(), None, NOW)}
    assert rows["CPU"].warn == BUSY_WORDS
    assert not {fact.name: fact for fact in agent_facts(client(), Trail(), None, NOW)}["CPU"].warn


def test_an_agent_beside_a_server_shows_its_checks(page) -> None:
    report = ServerReport(
        t=NOW, server="root://s1", answering=True, mtu=1500, udp_drops=3,
        findings=[Finding(severity="error", what="no close records", why="fstat without xfr")],
    )  # fmt: skip
    agent = client(role="server", servers=("root://s1",), reports={"root://s1": report})
    page.show_agent(agent, agent_facts(agent, Trail(), None, NOW), ())
    page.show_checks(checks_of(agent))
    assert page.checks.isVisible()
    rows = [(event.severity, event.what) for event in page.checks.model.rows.all]
    assert rows == [
        ("info", "server"), ("info", "throughput"), ("info", "mtu"), ("warning", "kernel"), ("error", "configuration"),
    ]  # fmt: skip


def test_what_others_wrote_is_plain_text(page, hostile) -> None:
    agent = client(name=hostile[0], notices=tuple(Notice(severity="error", text=text, t=NOW) for text in hostile))
    page.show_agent(agent, agent_facts(agent, Trail(), None, NOW), log_of(agent))
    page.show_history(history_of([AuditEntry(NOW, "refused", "k/c1", text) for text in hostile]))
    assert page.title.text() == hostile[0]
    assert page.history.model.rows.all[0].severity == "warning"
    page.grab()


def test_an_agent_that_is_gone_leaves_nothing_behind(page) -> None:
    agent = client()
    page.show_agent(agent, agent_facts(agent, Trail(), None, NOW), ())
    page.show_gone()
    assert (page.title.text(), list(page.facts.model.rows.all)) == ("Agent", [])


def test_a_trail_takes_a_point_every_five_seconds_of_live_agents_only() -> None:
    trail = Trail()
    for second in (0, 1, 5, 9, 10):
        trail.add(NOW + second, client(requests=second))
    trail.add(NOW + 20, client(state="missing"))
    assert list(trail.times) == [NOW, NOW + 5, NOW + 10]
    assert trail.rates() == (1.0, 1.0)
    trail.add(NOW + 30, client(requests=0))  # it was started anew
    assert trail.achieved() is None
