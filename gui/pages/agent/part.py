"""Agent: the page and its presenter."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from gui.models.finder import Found, rank
from gui.pages.agent.page import AgentPage
from gui.pages.agent.presenter import AgentPresenter
from gui.pages.part import Part as Base
from gui.pages.part import WindowDesk
from gui.runner.progress import RunProgress


class Part(Base):
    """See the module."""

    page: AgentPage

    def __init__(self, desk: WindowDesk) -> None:
        self._desk = desk
        self.page = AgentPage(lambda: desk.go("fleet"))
        self.presenter = AgentPresenter(desk, self.page)

    def detach(self) -> None:
        self.presenter.detach()

    def look(self) -> None:
        self.presenter.look()

    def progressed(self, progress: RunProgress) -> None:
        self.presenter.progressed(progress)

    def found(self, words: str) -> Iterable[Found]:
        """The agents, with what each has reported."""
        workspace = self._desk.workspace
        agents: list[Found] = [
            Found(f"Agent {agent.name}", f"{agent.role} agent on {agent.host or 'an unknown host'}: facts and history",
                  "info", partial(self._desk.go, "agent", agent=agent.id))
            for agent in (workspace.hub.roster.agents if workspace is not None else ())
        ]  # fmt: skip
        return rank(words, agents, lambda found: f"{found.title} {found.detail}")

    def visit(self, **place: object) -> None:
        """`agent`: its id; `server`: one of those beside it, by its URL."""
        if isinstance(agent := place.get("agent"), str):
            self.presenter.open(agent, str(place.get("server") or ""))
