"""What clients identify themselves with and whom they trust, read for each job when it begins."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

from agent.messages import Auth, LabState
from gui.campaign.selection import Server
from gui.runner.refusal import RunRefusedError


class Credentials:
    """Reads them where the run is carried out; they reach clients only through the hub's sessions."""

    def __init__(self, lab: LabState | None) -> None:
        self._lab = lab

    async def read(self, servers: Iterable[Server]) -> Auth:
        """What is needed at these servers, as it is now. Raises RunRefusedError."""
        return Auth(ca=await self._authority(servers))

    async def _authority(self, servers: Iterable[Server]) -> str:
        """That of the lab, for its servers: nobody else has signed their certificates."""
        lab = self._lab
        if (
            lab is None
            or not lab.ca
            or not {one.url for one in servers} & {one.url for one in (*lab.servers, *lab.caches)}
        ):
            return ""
        try:
            return await asyncio.to_thread(Path(lab.ca).read_text)
        except OSError as error:
            raise RunRefusedError(
                f"The certificate of the lab's authority, {lab.ca}, cannot be read: {error.strerror}."
            ) from error
