"""All operators' sessions and their commands; a command continues when the operator's laptop is closed."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from websockets.asyncio.server import ServerConnection

from gui.hub.admission import Operator, Registration
from gui.hub.audit import AuditLog
from gui.hub.feed import Topics
from gui.hub.gate import turn_away
from gui.hub.keyring import Keyring
from gui.hub.listener import HubListener
from gui.hub.operate import PROTOCOL, Answerer, Command, OperatorSession, OperatorWelcome
from gui.hub.refusals import Refusals
from gui.hub.roster import public_id
from gui.hub.session import NORMAL
from gui.hub.tokens import AdmissionError, Bearer
from shoveler.service.tasks import Tasks

log = logging.getLogger("tally.hub")

MAX_OF_KEY = 50
"""Sessions of operators and observers that one key may have at a time."""


class Operators:
    """`conduct` carries out a command of the operator that is named to it, `answer` answers queries; see `operate`."""

    def __init__(
        self,
        keyring: Keyring,
        topics: Topics,
        conduct: Callable[[Command, str], Awaitable[Any]],
        answer: Answerer,
        listener: HubListener,
        audit: AuditLog,
        refusals: Refusals,
        *,
        version: str,
        clock: Callable[[], float],
    ) -> None:
        self._keyring = keyring
        self._topics = topics
        self._conduct = conduct
        self._answer = answer
        self._listener = listener
        self._audit = audit
        self._refusals = refusals
        self._version = version
        self._clock = clock
        self._live: set[OperatorSession] = set()
        self.joined: Counter[str] = Counter()
        """Sessions that were opened, by the most that they may."""
        self._commands = Tasks(log, self._failed)

    async def serve(self, websocket: ServerConnection, registration: Registration, details: Operator) -> None:
        """Serve an operator's session from beginning to end."""
        bearer = registration.bearer
        try:
            self._check(bearer)
        except AdmissionError as refusal:
            refusal.key = f"{bearer.kid}/{bearer.sub}"
            self._refusals.note(registration.address, refusal)
            await turn_away(websocket, refusal.text, again=refusal.reason == "too_many")
            return
        session = OperatorSession(
            websocket,
            self._topics,
            self._conduct,
            self._answer,
            self._commands.start,
            name=f"{details.name} on {details.host}",
            kid=bearer.kid,
            scopes=bearer.scopes,
        )
        self._live.add(session)
        self.joined["operator" if "operator" in bearer.scopes else "observer"] += 1
        log.info("= operator %s from %s", session.name, registration.address)
        came = f"{' and '.join(bearer.scopes)} on {details.host} from {registration.address}"
        self._audit.add("joined", f"{bearer.kid}/{bearer.sub}", came)
        try:
            await session.run(
                OperatorWelcome(
                    public_id=public_id(bearer.kid, bearer.sub),
                    hub_version=self._version,
                    hub_time=self._clock(),
                    may=list(bearer.scopes),
                    protocol=PROTOCOL,
                )
            )
        finally:
            self._live.discard(session)

    def _check(self, bearer: Bearer) -> None:
        """Raises AdmissionError."""
        if not self._keyring.still_allows(bearer):  # since the registration
            raise AdmissionError(403, "revoked", "The key was revoked.")
        if sum(session.kid == bearer.kid for session in self._live) >= MAX_OF_KEY:
            text = f"This key has {MAX_OF_KEY} sessions, as many as one may have; use a key for each person."
            raise AdmissionError(429, "too_many", text)

    def __len__(self) -> int:
        return len(self._live)

    def keys(self) -> set[str]:
        """The keys of the sessions that are open."""
        return {session.kid for session in self._live}

    async def end_revoked(self) -> None:
        """End the sessions whose key is no longer valid."""
        await self._close(
            [session for session in self._live if self._keyring.is_revoked(session.kid)],
            "the key was revoked",
            again=False,
        )

    async def close(self, reason: str, *, code: int) -> None:
        """End commands under way, then all sessions; operators may reconnect."""
        await self._commands.close()
        await self._close(self._live, reason, again=True, code=code)

    @staticmethod
    async def _close(sessions: Iterable[OperatorSession], reason: str, *, again: bool, code: int = NORMAL) -> None:
        """End them at the same time: one that does not answer holds up no other."""
        await asyncio.gather(*(session.close(reason, again=again, code=code) for session in sessions))

    def _failed(self, _name: str, error: Exception) -> None:
        self._listener.problem("hub", f"A command failed because of an error in the hub: {error}")
