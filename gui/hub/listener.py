"""The callbacks of a hub to its owner."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from agent.messages import Line
from gui.hub.roster import AgentView


class HubListener:
    """What a hub tells its owner, on the event loop; all methods must return at once. Override what you need."""

    def agent_up(self, agent: AgentView) -> None:
        """An agent's session began, or it is heard of again; `agent.jobs` says which workers it has."""

    def agent_missing(self, agent: AgentView) -> None:
        """An agent's session ended, or it has missed three heartbeats."""

    def agent_message(self, agent: AgentView, message: msgspec.Struct) -> None:
        """Sample, RepeatReady, RepeatDone or Probed from a client agent."""

    def journal_stored(self, agent_id: str, journal: str, last: int, lines: Sequence[Line]) -> None:
        """Journal lines are on disk up to `last`; `lines` are those that were new."""

    def refused(self, address: str, text: str) -> None:
        """Somebody at this address was not let in; the text says why, and which key the token named."""

    def problem(self, where: str, text: str) -> None:
        """Something a person should know; an empty text says that the trouble at `where` is over."""
