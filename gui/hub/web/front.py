"""What the hub offers to people, composed: their sign-ins, the page, and the door to both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from gui.hub.admission import Registration
from gui.hub.audit import AuditLog
from gui.hub.commits import RunBlocking
from gui.hub.gate import Admitted
from gui.hub.keyring import Keyring
from gui.hub.pages import Pages
from gui.hub.persistence import PeopleStore
from gui.hub.refusals import Refusals
from gui.hub.signin.people import People
from gui.hub.tokens import Bearer
from gui.hub.web.assets import assets
from gui.hub.web.board import Board
from gui.hub.web.door import Door
from gui.hub.web.watch import Watchers

Admit = Callable[[ServerConnection, Request], Awaitable[Response | None]]


class Front:
    """`gate` admits whatever is not for people; `operating` gives the keys of operators' open sessions, and `over`
    closes all sessions whose key is not good any more."""

    def __init__(
        self,
        store: PeopleStore,
        keyring: Keyring,
        audit: AuditLog,
        refusals: Refusals,
        run_blocking: RunBlocking,
        *,
        pages: Pages,
        gate: Admit,
        operating: Callable[[], Iterable[str]],
        over: Callable[[], Awaitable[None]],
        directory: Path,
        address: Callable[[], str],
        clock: Callable[[], float],
        trouble: Callable[[str], None],
    ) -> None:
        self._gate = gate
        self.board = Board()
        self.people = People(
            store,
            keyring,
            audit,
            refusals,
            run_blocking,
            directory,
            live=lambda: {*operating(), *self._watchers.keys()},
            over=over,
            clock=clock,
            trouble=trouble,
        )
        self._watchers = Watchers(self.board, lambda: assets().version, self.people.good, clock)
        self._door = Door(self.people, keyring, refusals, self.board, self._watchers, address=address, clock=clock)
        self._door.add_to(pages)

    @property
    def origin(self) -> str:
        """``https://HOST[:PORT]`` of the page."""
        return self._door.origin

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Read who has signed in; renew and end sign-ins while this block runs."""
        await self.people.load()
        await asyncio.to_thread(assets)
        async with self.people.running():
            yield

    async def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """websockets' `process_request`: the door for people first, then the gate."""
        assert isinstance(connection, Admitted)
        ours, response = self._door.admit(connection, request)
        if ours:
            return response
        response = await self._gate(connection, request)
        if response is None:
            self._touch(connection.admitted)
        return response

    def _touch(self, admitted: Bearer | Registration | None) -> None:
        bearer = admitted.bearer if isinstance(admitted, Registration) else admitted
        if bearer is not None:
            self.people.touch(bearer.kid)

    async def end_revoked(self) -> None:
        """Keys have changed: close the pages whose key is revoked."""
        await self._watchers.end_revoked()

    async def close(self, reason: str, *, code: int) -> None:
        """Close all pages."""
        await self._watchers.close(reason, code)
