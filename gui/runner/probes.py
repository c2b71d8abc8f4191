"""Checks servers through a client agent: does it answer, do these files exist, what is in this directory?

So the hub's machine needs no XRootD client, and the result is what the clients will see.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec

from agent.messages import Probe, Probed
from gui.campaign.selection import Client
from gui.hub import Hub

PROBE_SECONDS = 120.0


class ProbeError(Exception):
    """There was no answer; one sentence says from whom."""


class Probes:
    """Outstanding questions. `answered` receives what the agents say."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._waiting: dict[int, asyncio.Queue[Probed]] = {}
        self._last = 0

    def answered(self, part: Probed) -> None:
        """Part of an answer has arrived; it is ignored if nobody waits for it any more."""
        waiting = self._waiting.get(part.id)
        if waiting is not None:
            waiting.put_nowait(part)

    async def ask(self, client: Client, question: Probe, *, seconds: float = PROBE_SECONDS) -> AsyncIterator[Probed]:
        """Ask a client agent; yields the parts of its answer. The question's `id` is chosen here. Raises ProbeError."""
        self._last += 1
        number, answers = self._last, asyncio.Queue[Probed]()
        self._waiting[number] = answers
        try:
            if not self._hub.send(client.id, msgspec.structs.replace(question, id=number)):
                raise ProbeError(f"{client.name} is no longer connected.")
            more = True
            while more:
                async with asyncio.timeout(seconds):
                    part = await answers.get()
                more = part.more
                yield part
        except TimeoutError:
            raise ProbeError(f"{client.name} did not answer within {seconds:g} s.") from None
        finally:
            del self._waiting[number]
