"""The agent that is open follows the roster; its history is read in the background."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from gui.hub.persistence import AuditEntry
from gui.hub.roster import AgentView
from gui.pages.agent.presenter import AgentPresenter

AGENT = AgentView(id="i", kid="k", name="c1", role="client", state="up")


def opened(desk: Any, page: Any, make_workspace: Any, *agents: AgentView) -> tuple[AgentPresenter, Any]:
    asked: list[object] = []

    def audits(limit: int, who: str) -> list[AuditEntry]:
        asked.append(who)
        return [AuditEntry(1.0, "joined", who, "")]

    hub = SimpleNamespace(roster=SimpleNamespace(agents=agents))
    desk.workspace = make_workspace(hub=hub, store=SimpleNamespace(audits=audits), asked=asked)
    desk.page = "agent"
    return AgentPresenter(desk, page, lambda: 100.0), desk.workspace


def names(page: Any) -> list[str]:
    return [call[0] for call in page.calls]


async def test_an_agent_is_shown_with_its_history(desk, page, make_workspace) -> None:
    presenter, workspace = opened(desk, page, make_workspace, AGENT)
    presenter.open("i")
    await desk.settle()
    assert names(page) == ["show_history", "show_agent", "show_checks", "show_history"]
    assert workspace.asked == ["k/c1"]
    presenter.look()  # the history is not read at each beat
    assert await desk.settle() == []


async def test_an_agent_that_the_hub_does_not_know_any_more_is_gone(desk, page, make_workspace) -> None:
    presenter, _ = opened(desk, page, make_workspace)
    presenter.open("i")
    assert names(page)[-1] == "show_gone"


async def test_trails_are_taken_while_another_page_is_shown(desk, page, make_workspace) -> None:
    presenter, _ = opened(desk, page, make_workspace, AGENT)
    desk.page = "live"
    presenter.look()
    assert names(page) == []
    assert list(presenter._trails) == ["i"]
    desk.workspace = None
    presenter.look()
    presenter.detach()
    assert presenter._trails == {}
