"""Keeps the hub's board up to date while somebody looks at the page."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from gui.models.fleet import FleetServer, KnownServer, fleet_servers
from gui.models.senders import SenderBook, sender_servers
from gui.runner.workspace import Workspace
from gui.statuspage.history import History, HistoryReader
from gui.statuspage.render import all_runs, fragments
from gui.statuspage.view import Status
from gui.store import StoreError
from shoveler.service.tasks import Tasks

log = logging.getLogger("tally.runner")

BEAT_SECONDS = 1.0
READ_SECONDS = 5.0
"""How often the runs are read again while somebody looks."""
LIST_SECONDS = 30.0
"""How often the page of all runs is written again when only their ages have changed."""
LOOKED_SECONDS = 30.0
"""How long after a look without a websocket the runs are still read: such a page comes again every ten seconds."""


@asynccontextmanager
async def status_page(workspace: Workspace, clock: Callable[[], float] = time.time) -> AsyncIterator[None]:
    """Show this workspace on its hub's page while the block runs."""
    publisher = Publisher(workspace, clock)
    tasks = Tasks(log)
    workspace.hub.board.on_look = publisher.looked
    tasks.start(publisher.run(), "status page")
    try:
        yield
    finally:
        workspace.hub.board.on_look = None
        await tasks.close()


class Publisher:
    """See the module. Belongs to the event loop of the workspace."""

    def __init__(self, workspace: Workspace, clock: Callable[[], float]) -> None:
        self._workspace = workspace
        self._board = workspace.hub.board
        self._clock = clock
        self._reader = HistoryReader(workspace.store)
        self._history = History()
        self._trouble = ""
        self._read = float("-inf")
        self._seen = float("-inf")
        self._run: tuple[int | None, str] = (None, "")
        self._listed: tuple[object, float] = (None, float("-inf"))
        """Which history the page of all runs shows, and since when."""
        self._senders = SenderBook()
        self._sender_of: dict[str, str] = {}

    def looked(self) -> None:
        """A browser is about to read the page: show what is known now."""
        self._seen = self._clock()
        self.publish()

    async def run(self) -> None:
        """The task that publishes; cancel it to stop."""
        await self._read_history()
        while True:
            if self._board.watched or 0 <= self._clock() - self._seen < LOOKED_SECONDS:
                if self._due():
                    await self._read_history()
                self.publish()
            await asyncio.sleep(BEAT_SECONDS)

    def _due(self) -> bool:
        progress = self._workspace.progress.latest
        run = (progress.run, progress.outcome)
        changed, self._run = run != self._run, run
        return changed or not 0 <= self._clock() - self._read < READ_SECONDS

    async def _read_history(self) -> None:
        self._read = self._clock()
        workspace = self._workspace
        try:
            self._history = await workspace.blocking(self._reader.read)
            facts = await workspace.blocking(workspace.store.origin_facts)
        except StoreError as error:
            if not self._trouble:
                log.warning("! the page cannot read results: %s", error)
            self._trouble = "The hub's database does not answer; results are as they were."
        else:
            self._trouble = ""
            self._sender_of = sender_servers(facts, self._known())

    def publish(self) -> None:
        """Put what is known now on the board."""
        workspace = self._workspace
        status = Status(
            now=self._clock(),
            workspace=workspace.label,
            progress=workspace.progress.latest,
            agents=workspace.hub.roster.agents,
            servers=self._servers(),
            history=self._history,
            trouble=self._trouble,
        )
        parts = fragments(status)
        if self._history is not self._listed[0] or not 0 <= status.now - self._listed[1] < LIST_SECONDS:
            self._listed = (self._history, status.now)
            parts["runs"] = all_runs(status)
        self._board.publish(parts)

    def _servers(self) -> list[FleetServer]:
        workspace = self._workspace
        self._senders.update(member.status for member in workspace.members())
        by_server = self._senders.by_server(self._sender_of)
        return fleet_servers(self._known(), workspace.hub.roster.agents, by_server)

    def _known(self) -> list[KnownServer]:
        return [KnownServer(server.name, server.url) for server in self._workspace.servers()]
