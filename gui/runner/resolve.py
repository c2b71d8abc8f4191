"""From a plan to what is really there: its servers, clients and files."""

from __future__ import annotations

import asyncio
from pathlib import Path

from agent.messages import LabState, Probe
from gui.campaign.catalogue import CatalogueError, parse_list
from gui.campaign.plan import File, Test
from gui.campaign.selection import Client, Server
from gui.hub import Hub
from gui.runner.lab import lab_files
from gui.runner.probes import ProbeFailed, Probes


class RunRefused(Exception):  # noqa: N818 - names the decision
    """A run cannot begin; one sentence says why and what to do."""


def present_clients(hub: Hub) -> list[Client]:
    """The client agents that are here; *ready* are those that would take a job."""
    return [
        Client(view.name, view.id, view.labels, ready=view.state == "up")
        for view in hub.roster.agents
        if view.role == "client" and view.live
    ]


class Catalogues:
    """Finds the test files of a plan's tests: a list, a directory of a server, or the lab's own.

    `text` is the file list, when whoever brought the plan brought it too; else it is read below `directory`."""

    def __init__(self, probes: Probes, lab: LabState | None, *, text: str | None, directory: Path) -> None:
        self._probes = probes
        self._lab = lab
        self._text = text
        self._directory = directory
        self.remarks: list[str] = []
        """Sentences that a person should see."""

    async def find(self, test: Test, server: Server, client: Client | None) -> tuple[File, ...]:
        """The files of a test; those of a directory as `client` sees them on `server`. None are needed to write.

        Raises RunRefused or CatalogueError."""
        if test.workload.kind == "write":
            return ()
        if test.files.list is not None:
            return await self._listed(test.files.list)
        if test.files.dir is not None:
            return await self._probed(test.files.dir, server, client)
        if self._lab is not None:
            return lab_files(self._lab)
        raise RunRefused("The plan names no files, and there is no lab to take them from: give [test.files] a list.")

    async def _listed(self, name: str) -> tuple[File, ...]:
        if self._text is not None:
            return await asyncio.to_thread(parse_list, self._text, name=name)
        path = self._directory / name
        try:
            text = await asyncio.to_thread(path.read_text, "utf-8")
        except OSError as error:
            raise CatalogueError(f"The file list {path} cannot be read: {error.strerror}.") from error
        except UnicodeDecodeError as error:
            raise CatalogueError(f"The file list {path} is not text in UTF-8.") from error
        return await asyncio.to_thread(parse_list, text, name=str(path))

    async def _probed(self, directory: str, server: Server, client: Client | None) -> tuple[File, ...]:
        if client is None:
            raise RunRefused(f"No client is here to list {directory} on {server.name}.")
        found: dict[str, int] = {}
        try:
            async for part in self._probes.ask(client, Probe(id=0, server=server.url, directory=directory)):
                if part.error:
                    raise RunRefused(f"{directory} on {server.name} cannot be listed: {part.error}")
                found.update((file.path, file.size) for file in part.files if file.size is not None)
                if part.truncated:
                    self.remarks.append(f"{directory} has more files than are used: {len(found):,}.")
        except ProbeFailed as error:
            raise RunRefused(f"{directory} on {server.name} cannot be listed: {error}") from error
        if not found:
            raise RunRefused(f"{directory} on {server.name} holds no files.")
        return tuple(File(path, size) for path, size in sorted(found.items()))
