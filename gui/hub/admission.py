"""Decides who may register and who may open a session, without I/O; the time is an argument.

A *registration* connects the two steps of joining: it is looked up by its secret `client_id`, once, within 30 seconds.
Refused attempts are counted by address; after too many, a further refusal becomes a 429. An attempt that would be
accepted is never refused because of the rate.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from agent.messages import Register
from gui.hub.persistence import SHARED
from gui.hub.tokens import AdmissionError, Bearer

ID_SECONDS = 30
MAX_REGISTRATIONS = 20_000
REFUSALS_PER_MINUTE = 60
MAX_ADDRESSES = 10_000


@dataclass(frozen=True, slots=True)
class Operator:
    """What a remote window or command says about itself when it registers."""

    name: str
    host: str
    version: str


@dataclass(frozen=True, slots=True)
class Registration:
    """An accepted registration that waits for its session."""

    bearer: Bearer
    name: str
    details: Register | Operator
    address: str
    expires: float


class Registrations:
    """Registrations by their secret id; each can be redeemed once."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, Registration] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, bearer: Bearer, name: str, details: Register | Operator, address: str, now: float) -> str:
        """Keep a registration; returns its new secret id, valid for 30 seconds."""
        while self._waiting:
            oldest = next(iter(self._waiting.values()))
            if oldest.expires >= now and len(self._waiting) < MAX_REGISTRATIONS:
                break
            self._waiting.popitem(last=False)
        client_id = secrets.token_urlsafe(32)
        self._waiting[client_id] = Registration(bearer, name, details, address, now + ID_SECONDS)
        return client_id

    def redeem(self, client_id: str | None, now: float) -> Registration:
        """The registration with this id, which can be redeemed once. Raises AdmissionError (401)."""
        if not client_id:
            raise AdmissionError(
                401, "client_id", "A client_id is needed: register first, then open /agent?client_id=ID."
            )
        found = self._waiting.pop(client_id, None)
        if found is None:
            raise AdmissionError(401, "client_id", "The client_id is unknown or was used already; register again.")
        if now > found.expires:
            raise AdmissionError(
                401, "client_id", f"The client_id has expired: it is good for {ID_SECONDS} s; register again."
            )
        return found


class RefusalRate:
    """Counts refused attempts of the last minute by address, for a bounded number of addresses."""

    def __init__(self) -> None:
        self._tries: OrderedDict[str, deque[float]] = OrderedDict()

    def count(self, address: str, refusal: AdmissionError, now: float) -> AdmissionError:
        """The answer: `refusal` itself, or 429 from the 61st refused attempt within a minute."""
        tries = self._tries.setdefault(address, deque(maxlen=REFUSALS_PER_MINUTE + 1))
        self._tries.move_to_end(address)
        while len(self._tries) > MAX_ADDRESSES:
            self._tries.popitem(last=False)
        tries.append(now)
        while tries and tries[0] <= now - 60:
            tries.popleft()
        if len(tries) > REFUSALS_PER_MINUTE:
            return AdmissionError(
                429, "too_often", "Too many refused tries from this address; wait a minute, then try with a good token."
            )
        return refusal


@dataclass(frozen=True, slots=True)
class Holder:
    """A live agent with some name, as far as admission needs it. `fresh`: it has not missed three heartbeats."""

    kid: str
    address: str
    fresh: bool


def check_name(bearer: Bearer, name: str, address: str, holder: Callable[[str], Holder | None]) -> None:
    """Check that this bearer may use this name now. Raises AdmissionError (403). `holder` returns who uses it.

    An identity replaces itself; under the shared key, which anybody may have, only from the same address or when the
    other one has been silent. A personal key, whose owner is certain, takes its name from a shared-key agent."""
    other = holder(name)
    if other is None or not other.fresh:
        return
    if bearer.kid == other.kid:
        if bearer.kid == SHARED and other.address != address:
            raise AdmissionError(
                403, "name", f"The name {name} is in use from another address; choose another, or stop that agent."
            )
        return
    if bearer.kid == SHARED or bearer.invitation is not None or other.kid != SHARED:
        raise AdmissionError(403, "name", f"The name {name} is in use by another agent; choose another name.")
