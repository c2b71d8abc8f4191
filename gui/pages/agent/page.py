"""Agent: facts at the left with their last ten minutes; checks, log and history at the right."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt

from gui.hub.roster import AgentView
from gui.models import figures
from gui.models.agent import AgentFact, beside_words
from gui.models.besides import AgentEvent
from gui.models.fleet import AGENT_STATES, state_word
from gui.models.rows import Column
from gui.widgets.crumbs import Crumbs
from gui.widgets.parts import Badge, Page, Splitter
from gui.widgets.table import Empty, Table

SEVERITIES = {"info": ("info", "text2"), "warning": ("warn", "warn"), "error": ("x", "bad")}

FACT_COLUMNS: list[Column[AgentFact]] = [
    Column("what", "What", lambda r: r.name, width=112, colour=lambda _r: "text2"),
    Column(
        "value",
        "Value",
        lambda r: f"{r.value} – {r.warn}" if r.warn else r.value,
        width=320,
        stretch=True,
        icon=lambda r: "warn" if r.warn else None,
        colour=lambda r: "warn" if r.warn else None,
        tip=lambda r: f"{r.value} – {r.warn}" if r.warn else r.value,
    ),
    Column("trail", "Last ten minutes", lambda r: r.trail, lambda _r: "", kind="spark", width=160),
]

EVENT_COLUMNS: list[Column[AgentEvent]] = [
    Column(
        "when",
        "When",
        lambda r: r.t,
        lambda r: figures.day_and_time(r.t),
        width=168,
        colour=lambda _r: "text2",
    ),
    Column(
        "what",
        "What",
        lambda r: r.what,
        width=136,
        kind="status",
        icon=lambda r: SEVERITIES[r.severity][0],
        colour=lambda r: SEVERITIES[r.severity][1],
    ),
    Column("text", "Text", lambda r: r.text, width=320, stretch=True, tip=lambda r: r.text),
]


class AgentPage(Page):
    """The page."""

    def __init__(self, back: Callable[[], object]) -> None:
        super().__init__("Agent")
        self.crumbs = Crumbs(back, "Back to Fleet")
        self.crumbs.set_path((("Fleet", back),))
        self.head.insertWidget(0, self.crumbs)
        self.badge = Badge()
        self.head.insertWidget(2, self.badge)
        self.facts = Table("agent-facts", "Facts", FACT_COLUMNS, key=lambda r: r.name, hint="clock")
        self.checks = self._events("agent-checks", "Checks", "check", "The agent has not reported yet")
        self.log = self._events("agent-log", "Log", "file", "The agent has said nothing that a person must know")
        self.history = self._events("agent-history", "History", "runs", "The hub has written down nothing of it yet")
        right = Splitter(Qt.Orientation.Vertical)
        right.setObjectName("agent-events")
        for table in (self.checks, self.log, self.history):
            table.setMinimumHeight(table.height_for(2))
            right.addWidget(table)
        whole = Splitter(Qt.Orientation.Horizontal)
        whole.setObjectName("agent")
        whole.addWidget(self.facts)
        whole.addWidget(right)
        whole.setStretchFactor(0, 1)
        whole.setStretchFactor(1, 1)
        for splitter in (right, whole):
            splitter.setChildrenCollapsible(False)
        self.body.addWidget(whole)
        self.show_gone()

    @staticmethod
    def _events(name: str, title: str, symbol: str, empty: str) -> Table:
        table = Table(name, title, EVENT_COLUMNS, key=lambda r: (r.t, r.what, r.text), hint="what:refused")
        table.set_empty(Empty(symbol, f"No {title.lower()}", empty))
        return table

    # ---- called by the presenter

    def show_agent(
        self, agent: AgentView, facts: Sequence[AgentFact], log: Sequence[AgentEvent], server: str = ""
    ) -> None:
        """Show this agent as it is now. `server`: the one beside it that is looked at; empty: all."""
        self.title.setText(agent.name)
        where = f"client on {agent.host}" if agent.role == "client" else beside_words(agent, server)
        self.remark.setText(where)
        symbol, colour = AGENT_STATES[agent.state]
        self.badge.set_state(symbol, state_word(agent), colour)
        self.badge.show()
        self.facts.set_rows(facts)
        self.log.set_rows(log)
        self.checks.setVisible(agent.role == "server")

    def show_checks(self, checks: Sequence[AgentEvent]) -> None:
        """Show what the agent beside a server has checked."""
        self.checks.set_rows(checks)

    def show_history(self, history: Sequence[AgentEvent]) -> None:
        """Show what the hub has written down of it."""
        self.history.set_rows(history)

    def show_gone(self) -> None:
        """No agent is open, or it is not known to this hub any more."""
        self.title.setText("Agent")
        self.remark.setText("no agent is open; choose one in Fleet")
        self.badge.hide()
        for table in (self.facts, self.checks, self.log, self.history):
            table.set_rows(())
