"""The websockets of open pages: each gets what changes on the board, at most twice a second, and a beat every second.

A page says nothing; whatever it sends ends its session. One that does not read loses its connection after ten seconds,
and nobody waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Iterable

import msgspec
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from gui.hub.limits import SEND_SECONDS, SHOWN_OUT_SECONDS, limited
from gui.hub.persistence import SignIn
from gui.hub.session import POLICY_VIOLATION, shorten
from gui.hub.web.board import Board
from gui.hub.web.markup import Html

PAUSE_SECONDS = 0.5
BEAT_SECONDS = 1.0
MAX_PAGES = 500
MAX_OF_ONE = 10
SIGNED_OUT = 4401
"""Close code: the sign-in is over; the page goes to the sign-in and comes back."""
TOO_MANY = 4429


class Watchers:
    """All open pages."""

    def __init__(
        self, board: Board, version: Callable[[], str], good: Callable[[str], bool], clock: Callable[[], float]
    ) -> None:
        """`version`: of the page's files: a page of an older hub loads itself again. `good`: whether a key is."""
        self._board = board
        self._version = version
        self._good = good
        self._clock = clock
        self._open: dict[ServerConnection, str] = {}

    def keys(self) -> Iterable[str]:
        """The keys of the sign-ins that look at a page now."""
        return set(self._open.values())

    async def serve(self, websocket: ServerConnection, sign_in: SignIn, names: Container[str]) -> None:
        """Serve a page until it is closed. `names`: the fragments that it shows."""
        of_one = sum(kid == sign_in.kid for kid in self._open.values())
        if of_one >= MAX_OF_ONE or len(self._open) >= MAX_PAGES:
            await self._end(websocket, TOO_MANY, "too many pages are open")
            return
        if not self._good(sign_in.kid):  # it ended while the connection was opened
            await self._end(websocket, SIGNED_OUT, "the sign-in is over")
            return
        self._open[websocket] = sign_in.kid
        try:
            async with asyncio.TaskGroup() as tasks:
                feeding = tasks.create_task(self._feeding(websocket, names), name="feed to a page")
                try:
                    async for _ in websocket:
                        await self._end(websocket, POLICY_VIOLATION, "a page has nothing to say")
                finally:
                    feeding.cancel()
        except* ConnectionClosed:
            pass  # the usual end
        finally:
            del self._open[websocket]

    async def end_revoked(self) -> None:
        """Close the pages whose sign-in is over."""
        over = [websocket for websocket, kid in self._open.items() if not self._good(kid)]
        await asyncio.gather(*(self._end(websocket, SIGNED_OUT, "the sign-in is over") for websocket in over))

    async def close(self, reason: str, code: int) -> None:
        """Close all pages; they come back when the hub does."""
        await asyncio.gather(*(self._end(websocket, code, reason) for websocket in tuple(self._open)))

    async def _feeding(self, websocket: ServerConnection, names: Container[str]) -> None:
        told: dict[str, Html] = {}
        changed = self._board.watch()
        try:
            while True:
                parts = self._board.since(told, names)
                told.update(parts)
                texts = {name: str(html) for name, html in parts.items()}
                message = msgspec.json.encode({"t": self._clock(), "version": self._version(), "parts": texts})
                with limited(websocket, SEND_SECONDS):
                    await websocket.send(message, text=True)
                await asyncio.sleep(PAUSE_SECONDS)
                try:
                    async with asyncio.timeout(BEAT_SECONDS - PAUSE_SECONDS):
                        await changed.wait()
                except TimeoutError:
                    pass  # a beat without news
                changed.clear()
        finally:
            self._board.unwatch(changed)

    async def _end(self, websocket: ServerConnection, code: int, reason: str) -> None:
        """Close a connection; one that does not read its end is aborted."""
        with limited(websocket, SHOWN_OUT_SECONDS):
            await websocket.close(code, shorten(reason))
