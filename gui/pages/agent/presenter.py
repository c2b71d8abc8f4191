"""Agent: what is shown of the agent that was opened, and the last ten minutes of all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from gui.hub.roster import AgentView
from gui.models.agent import (
    AgentFact,
    Trail,
    agent_facts,
    checks_of,
    history_of,
    log_of,
)
from gui.models.besides import AgentEvent
from gui.pages.desk import Desk
from gui.runner.progress import RunProgress

HISTORY_SECONDS = 5.0
"""How often the history is read again while it is shown."""
MOST_EVENTS = 1000


class AgentPageView(Protocol):
    """The page."""

    def show_agent(
        self, agent: AgentView, facts: Sequence[AgentFact], log: Sequence[AgentEvent], server: str = ""
    ) -> None: ...
    def show_checks(self, checks: Sequence[AgentEvent]) -> None: ...
    def show_history(self, history: Sequence[AgentEvent]) -> None: ...
    def show_gone(self) -> None: ...


class AgentPresenter:
    """`agent` is the id of the one that is open; empty: none. `server`: which of the servers beside it is looked at;
    empty: all."""

    def __init__(self, desk: Desk, page: AgentPageView, clock: Callable[[], float] = time.time) -> None:
        self._desk = desk
        self._page = page
        self._clock = clock
        self.agent = self.server = ""
        self._trails: dict[str, Trail] = {}
        self._progress: RunProgress | None = None
        self._read = 0.0

    def detach(self) -> None:
        """Show that no workspace is open."""
        self.agent, self.server, self._progress = "", "", None
        self._trails.clear()
        self._page.show_gone()

    def progressed(self, progress: RunProgress) -> None:
        """A moment of the run."""
        self._progress = progress

    def open(self, agent: str, server: str = "") -> None:
        """Show this agent, with the checks of this server or of all."""
        self.agent, self.server, self._read = agent, server, 0.0
        self._page.show_history(())
        self.look()

    def look(self) -> None:
        """Take the points of this moment, and update the page while it is shown."""
        workspace = self._desk.workspace
        if workspace is None:
            return
        now = self._clock()
        agents = workspace.hub.roster.agents
        for agent in agents:
            self._trails.setdefault(agent.id, Trail()).add(now, agent)
        for gone in self._trails.keys() - {agent.id for agent in agents}:
            del self._trails[gone]
        if not self.agent or self._desk.current_page() != "agent":
            return
        shown = next((agent for agent in agents if agent.id == self.agent), None)
        if shown is None:
            self._page.show_gone()
            return
        facts = agent_facts(shown, self._trails[shown.id], self._progress, now)
        self._page.show_agent(shown, facts, log_of(shown), self.server)
        self._page.show_checks(checks_of(shown, self.server))
        if now - self._read >= HISTORY_SECONDS:
            self._read = now
            self._desk.background(self._read_history(shown), "read the history of an agent")

    async def _read_history(self, agent: AgentView) -> None:
        workspace = self._desk.workspace
        if workspace is not None:
            entries = await workspace.blocking(workspace.store.audits, MOST_EVENTS, agent.identity)
            if self._desk.workspace is workspace and self.agent == agent.id:
                self._page.show_history(history_of(entries))
