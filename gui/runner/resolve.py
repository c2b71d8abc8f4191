"""Resolves a plan to the actual servers, clients and files."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from agent.messages import LabState, Probe
from gui.campaign.around import NO_FILES
from gui.campaign.catalogue import CatalogueError, parse_list, path_objection
from gui.campaign.doors import doors_of
from gui.campaign.plan import File, Test
from gui.campaign.selection import Client, Server
from gui.hub import Hub
from gui.runner.credentials import Credentials
from gui.runner.lab import lab_files
from gui.runner.probes import ProbeError, Probes
from gui.runner.refusal import RunRefusedError
from shoveler.values.addresses import plain_ip


def present_clients(hub: Hub) -> list[Client]:
    """The connected client agents; *ready* ones would accept a job."""
    return [
        Client(view.name, view.id, view.labels, ready=view.state == "up")
        for view in hub.roster.agents
        if view.role == "client" and view.live
    ]


async def addresses_of(url: str) -> list[str]:
    """The IP addresses of a server, the first first; none when its name cannot be resolved here."""
    host = urlsplit(url).hostname or ""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except OSError:
        return []
    return list(dict.fromkeys(plain_ip(str(address[4][0])) for address in found))


async def address_of(url: str) -> str:
    """The IP address of a server; empty when its name cannot be resolved here."""
    return next(iter(await addresses_of(url)), "")


async def reached_twice(servers: Iterable[Server]) -> list[str]:
    """A sentence for each server chosen under two names: it would be asked twice, and count as two."""
    chosen = list(servers)
    found = await asyncio.gather(*(addresses_of(server.url) for server in chosen))
    first: dict[tuple[str, int | None], Server] = {}
    doubled = []
    for server, addresses in zip(chosen, found, strict=True):
        places = [(address, urlsplit(server.url).port) for address in addresses]  # a name may have one of each family
        known = next((place for place in places if place in first), None)
        if known is not None:
            doubled.append(
                f"{first[known].name} and {server.name} are one server ({known[0]}); it is asked twice as often."
            )
        for place in places:
            first.setdefault(place, server)
    return doubled


async def read_list(path: Path) -> tuple[File, ...]:
    """The files of a list file. Raises CatalogueError."""
    try:
        text = (await asyncio.to_thread(path.read_bytes)).decode()  # read_text would treat a lone CR as a line end
    except OSError as error:
        raise CatalogueError(f"The file list {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise CatalogueError(f"The file list {path} is not UTF-8 text.") from error
    return await asyncio.to_thread(parse_list, text, name=str(path))


class Catalogues:
    """Finds the test files of a plan's tests: a list, a directory of a server, or the lab's own.

    `text` is the file list, if it came with the plan; otherwise it is read from `directory`."""

    def __init__(
        self,
        probes: Probes,
        lab: LabState | None,
        credentials: Credentials,
        *,
        text: str | None,
        directory: Path,
    ) -> None:
        self._probes = probes
        self._lab = lab
        self._credentials = credentials
        self._text = text
        self._directory = directory
        self.remarks: list[str] = []
        """Sentences for the user."""

    async def find(self, test: Test, server: Server, client: Client | None) -> tuple[File, ...]:
        """The files of a test; those of a directory as `client` sees them on `server`. None are needed to write.

        Raises RunRefusedError or CatalogueError."""
        if not test.reads:
            return ()
        if test.files.list is not None:
            return await self._listed(test.files.list)
        if test.files.dir is not None:
            return await self._probed(test, test.files.dir, server, client)
        if self._lab is not None:
            return lab_files(self._lab)
        raise RunRefusedError(NO_FILES)

    async def _listed(self, name: str) -> tuple[File, ...]:
        if self._text is not None:
            return await asyncio.to_thread(parse_list, self._text, name=name)
        return await read_list(self._directory / name)

    async def _probed(self, test: Test, directory: str, server: Server, client: Client | None) -> tuple[File, ...]:
        if client is None:
            raise RunRefusedError(f"No client is connected that could list {directory} on {server.name}.")
        found: dict[str, int] = {}
        odd: list[str] = []
        door = doors_of(test, server.url)[0]
        auth = await self._credentials.read([server], test.auth)
        question = Probe(0, server.url, directory=directory, protocol=door.protocol, port=door.port, auth=auth)
        try:
            async for part in self._probes.ask(client, question):
                if part.error:
                    raise RunRefusedError(f"{directory} on {server.name} cannot be listed: {part.error}")
                for file in part.files:
                    if objection := path_objection(file.path):
                        odd.append(objection)
                    elif file.size is not None:
                        found[file.path] = file.size
                if part.truncated:
                    self.remarks.append(f"{directory} has more files than are used: {len(found):,}.")
        except ProbeError as error:
            raise RunRefusedError(f"{directory} on {server.name} cannot be listed: {error}") from error
        if odd:
            files = "1 file is" if len(odd) == 1 else f"{len(odd):,} files are"
            self.remarks.append(f"{files} left out of {directory} on {server.name}: {odd[0]}.")
        if not found:
            raise RunRefusedError(f"{directory} on {server.name} contains no files.")
        return tuple(File(path, size) for path, size in sorted(found.items()))
