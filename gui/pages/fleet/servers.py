"""The list of servers: what the sheet "Add servers" shows and does. No Qt."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from gui.campaign.selection import Server
from gui.campaign.serverlist import Listed, read_servers
from gui.pages.desk import Desk
from gui.runner.directory import Suggestion
from gui.runner.errors import EXPECTED
from gui.runner.resolve import reached_twice
from gui.runner.workspace import Workspace

log = logging.getLogger("tally.window")

MOST_BYTES = 2**20


class ServersView(Protocol):
    """The sheet."""

    def show_checked(self, found: Listed) -> None: ...
    def show_added(self, found: Listed) -> None: ...
    def show_listed(self, servers: Sequence[Server]) -> None: ...
    def show_suggestions(self, offered: Sequence[Suggestion]) -> None: ...
    def show_file(self, text: str) -> None: ...
    def show_remark(self, text: str, kind: str = "warn") -> None: ...


class ServersPresenter:
    """For one sheet and the workspace that was open when it came. `close` when the sheet goes."""

    def __init__(self, desk: Desk, sheet: ServersView, workspace: Workspace) -> None:
        self._desk = desk
        self._sheet: ServersView | None = sheet
        self._workspace = workspace
        self._asked = 0
        sheet.show_listed(workspace.directory.listed)
        desk.background(self._suggest(), "suggest servers")

    def close(self) -> None:
        """The sheet is gone."""
        self._sheet = None

    @property
    def _shown(self) -> ServersView | None:
        return self._sheet if self._desk.workspace is self._workspace else None

    def _others(self) -> list[Server]:
        """Servers of a lab and of agents: their names and addresses are taken."""
        listed = {server.url for server in self._workspace.directory.listed}
        return [server for server in self._workspace.servers() if server.url not in listed]

    def check(self, text: str) -> None:
        """Say what these lines are; only the last call is answered."""
        self._asked += 1
        self._desk.background(self._check(text, self._asked), "check servers")

    async def _check(self, text: str, number: int) -> None:
        known = [*self._workspace.directory.listed, *self._taken_names()]
        found = await asyncio.to_thread(read_servers, text, known)
        if self._shown is not None and number == self._asked:
            self._shown.show_checked(found)

    def _taken_names(self) -> list[Server]:
        """Servers of the lab. One with an agent may be listed too: it is then known also while the agent is away."""
        agents = {server.url for server in self._workspace.agent_servers()}
        return [server for server in self._others() if server.url not in agents]

    def add(self, text: str) -> None:
        """Put the good lines on the list."""
        self._desk.background(self._add(text), "add servers")

    async def _add(self, text: str) -> None:
        directory = self._workspace.directory
        try:
            found = await directory.add(text, self._taken_names())
        except EXPECTED as error:
            if self._shown is not None:
                self._shown.show_remark(str(error), "error")
            return
        if self._shown is None:
            return
        self._shown.show_added(found)
        self._shown.show_listed(directory.listed)
        await self._suggest()
        doubled = await reached_twice(directory.listed)
        if doubled and self._shown is not None:
            self._shown.show_remark("\n".join(doubled[:3]))

    def remove(self, urls: Sequence[str]) -> None:
        """Take these off the list; their results stay."""
        self._desk.background(self._remove(urls), "take servers off the list")

    async def _remove(self, urls: Sequence[str]) -> None:
        try:
            await self._workspace.directory.remove(urls)
        except EXPECTED as error:
            if self._shown is not None:
                self._shown.show_remark(str(error), "error")
            return
        if self._shown is not None:
            self._shown.show_listed(self._workspace.directory.listed)
            words = "The server is off the list; Add puts it back."
            if len(urls) > 1:
                words = f"{len(urls):,} servers are off the list; Add puts them back."
            self._shown.show_remark(words, "ok")
        await self._suggest()

    def read_file(self, path: Path) -> None:
        """Put the lines of a file into the field."""
        self._desk.background(self._read_file(path), "read a list of servers")

    async def _read_file(self, path: Path) -> None:
        try:
            text = await asyncio.to_thread(_text_of, path)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", "") or str(error)
            if self._shown is not None:
                self._shown.show_remark(f"{path} cannot be read: {why}.", "error")
            return
        if self._shown is not None:
            self._shown.show_remark("")
            self._shown.show_file(text)

    async def _suggest(self) -> None:
        try:
            offered = await self._workspace.directory.suggest(self._workspace.agent_servers())
        except EXPECTED as error:
            log.info("! servers of the records are not known: %s", error)
            return
        if self._shown is not None:
            self._shown.show_suggestions(offered)


def _text_of(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"it is larger than a list can be ({MOST_BYTES:,} bytes)")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("it is not text in UTF-8") from None
