"""The server agent in session with its hub."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from agent.connection import Session
from agent.host import Load, describe
from agent.messages import FromHub, Heartbeat, Register, ServerReport, Welcome


class ServerRole:
    """The server agent: a `agent.connection.Role`."""

    def __init__(
        self,
        *,
        name: str,
        labels: list[str],
        server: str,
        config: Path | None,
        on_welcome: Callable[[Welcome], None] | None = None,
    ) -> None:
        self._name = name
        self._labels = labels
        self._server = server
        self._config = config
        self._on_welcome = on_welcome
        self._load = Load()
        self.broken: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def details(self) -> Register:
        return describe(role="server", name=self._name, labels=self._labels, server=self._server)

    def heartbeat(self) -> Heartbeat:
        cpu, memory = self._load.measure([])
        return Heartbeat(t=time.time(), cpu=cpu, memory=memory)

    def figures(self) -> dict[str, float]:
        """What the metrics show, by name."""
        return {}

    def welcomed(self, welcome: Welcome) -> None:
        if self._on_welcome is not None:
            self._on_welcome(welcome)

    async def attend(self, session: Session) -> None:
        while True:
            await session.send(ServerReport(time.time(), self._server))
            await asyncio.sleep(60)

    async def obey(self, message: FromHub, session: Session) -> None:
        pass

    async def drain(self, seconds: float) -> None:
        pass

    async def delivered(self) -> None:
        pass

    async def close(self) -> None:
        pass
