"""Agent: the page and its presenter."""

from __future__ import annotations

from gui.pages.agent.page import AgentPage
from gui.pages.agent.presenter import AgentPresenter
from gui.pages.part import Part as Base
from gui.pages.part import WindowDesk
from gui.runner.progress import RunProgress


class Part(Base):
    """See the module."""

    page: AgentPage

    def __init__(self, desk: WindowDesk) -> None:
        self.page = AgentPage(lambda: desk.go("fleet"))
        self.presenter = AgentPresenter(desk, self.page)

    def detach(self) -> None:
        self.presenter.detach()

    def look(self) -> None:
        self.presenter.look()

    def progressed(self, progress: RunProgress) -> None:
        self.presenter.progressed(progress)

    def visit(self, **place: object) -> None:
        """`agent`: its id."""
        if isinstance(agent := place.get("agent"), str):
            self.presenter.open(agent)
