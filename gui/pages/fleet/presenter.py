"""Fleet: the agents of the hub, one row for each server from all sources, and invitations."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, Protocol

from gui.hub import AgentView, Hub
from gui.models.fleet import FleetServer, KnownServer, fleet_servers
from gui.models.senders import SenderBook, sender_servers
from gui.pages.desk import Desk
from gui.runner.errors import EXPECTED
from gui.runner.workspace import Workspace

log = logging.getLogger("tally.window")

LEARN_SECONDS = 3.0
"""How often to ask the database which sender belongs to which server, until all are known."""


class FleetView(Protocol):
    """The page."""

    def set_hub(self, address: str) -> None: ...
    def set_clients(self, agents: Sequence[AgentView]) -> None: ...
    def set_servers(self, servers: Sequence[FleetServer]) -> None: ...


class SheetView(Protocol):
    """The sheet that creates invitations."""

    def show_command(self, command: str, agents: tuple[AgentView, ...]) -> None: ...
    def show_error(self, sentence: str) -> None: ...
    def agents_changed(self, agents: tuple[AgentView, ...]) -> None: ...


class FleetPresenter:
    """`sheet` is the sheet that is open now."""

    def __init__(self, desk: Desk, page: FleetView, clock: Callable[[], float] = time.monotonic) -> None:
        self._desk = desk
        self._page = page
        self._clock = clock
        self.sheet: SheetView | None = None
        self.sender_of: dict[str, str] = {}
        """The server of each sender, as far as the database knows."""
        self._forget()

    def _forget(self) -> None:
        self._version = -1
        self._senders = SenderBook()
        self.sender_of = {}
        self._learnt = -LEARN_SECONDS

    def attach(self, workspace: Workspace) -> None:
        """Show this workspace."""
        self._page.set_hub(workspace.hub.address)

    def detach(self) -> None:
        """Show that no workspace is open."""
        self._forget()
        self._page.set_hub("")
        self._page.set_clients(())
        self._page.set_servers(())

    def look(self) -> None:
        """Update the page if agents have changed, and while it is shown."""
        workspace = self._desk.workspace
        if workspace is None:
            return
        roster = workspace.hub.roster
        if roster.version != self._version or self._desk.current_page() == "fleet":
            self._version = roster.version
            self._show(workspace, roster.agents)

    def _show(self, workspace: Workspace, agents: tuple[AgentView, ...]) -> None:
        known = known_servers(workspace)
        self._senders.update(member.status for member in workspace.members())
        if len(self.sender_of) < len(known) and self._clock() - self._learnt >= LEARN_SECONDS:
            self._learnt = self._clock()
            self._desk.background(self._learn_senders(workspace, known), "learn senders")
        self._page.set_clients(agents)
        self._page.set_servers(fleet_servers(known, agents, self._senders.by_server(self.sender_of)))
        if self.sheet is not None:
            self.sheet.agents_changed(agents)

    async def _learn_senders(self, workspace: Workspace, known: Sequence[KnownServer]) -> None:
        facts = await workspace.blocking(workspace.store.origin_facts)
        if self._desk.workspace is workspace:
            self.sender_of = sender_servers(facts, known)

    def ping(self, ids: Sequence[str]) -> None:
        """Ask these agents for an answer; the roster has it as soon as it is there, or after 5 s without one."""
        self._each(ids, lambda hub, agent: hub.ping(agent), "ping")

    def drain(self, ids: Sequence[str]) -> None:
        """Give these agents no new rounds."""
        self._each(ids, lambda hub, agent: hub.drain(agent), "drain")

    def resume(self, ids: Sequence[str]) -> None:
        """Take `drain` back."""
        self._each(ids, lambda hub, agent: hub.resume(agent), "resume")

    def disconnect(self, ids: Sequence[str], seconds: float | None) -> None:
        """End the sessions of these agents, and refuse them for so long (None: until `allow`)."""
        self._each(ids, lambda hub, agent: hub.keep_out(agent, seconds), "disconnect")

    def allow(self, ids: Sequence[str]) -> None:
        """Take `disconnect` back."""
        self._each(ids, lambda hub, agent: hub.allow(agent), "allow")

    def revoke(self, agent: str) -> None:
        """Disable the key of this agent."""
        self._each([agent], lambda hub, one: hub.revoke_agent(one), "revoke")

    def _each(self, ids: Sequence[str], work: Callable[[Hub, str], Awaitable[object]], name: str) -> None:
        if self._desk.workspace is not None:
            hub = self._desk.workspace.hub
            for agent in ids:
                self._desk.background(self._told(work(hub, agent), name), name)

    async def _told(self, work: Awaitable[object], name: str) -> None:
        try:
            await work
        except EXPECTED as error:
            log.info("! %s: %s", name, error)
            self._desk.complain("fleet", str(error))

    async def invite(self, sheet: SheetView, role: Literal["client", "server"], hours: float, uses: int) -> None:
        """Create an invitation, and show the command to paste in the sheet that asked for it."""
        if self._desk.workspace is None:
            return
        hub = self._desk.workspace.hub
        try:
            _, join = await hub.invite(role, ttl=hours * 3600, uses=uses)
        except EXPECTED as error:
            log.info("! no invitation: %s", error)
            if self.sheet is sheet:
                sheet.show_error(str(error))
            return
        if self.sheet is not sheet:  # closed and deleted in the meantime
            return
        plain = "" if hub.pin else " --insecure"  # the hub of a demonstration, on this machine only
        sheet.show_command(f"tally-agent join {join}{plain}", hub.roster.agents)


def known_servers(workspace: Workspace) -> list[KnownServer]:
    """The servers of the lab, of the list and of the server agents, each with its source."""
    listed = {server.url for server in workspace.directory.listed}
    sites = {server.url: server.site for server in workspace.lab.servers} if workspace.lab else {}
    return [
        KnownServer(
            server.name,
            server.url,
            "lab" if server.url in sites else "list" if server.url in listed else "agent",
            sites.get(server.url, ""),
        )
        for server in workspace.servers()
    ]
