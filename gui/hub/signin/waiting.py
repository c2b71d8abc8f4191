"""Sign-ins that a browser has begun and not come back from: bounded, each good once. Pure; the time is an argument.

A *state* names one, and is in the address that the browser comes back with; the *binding* is in a cookie of the browser
that began. Both must fit: an answer that was begun elsewhere, or was taken before, is worth nothing (RFC 6749 section
10.12, RFC 9700 section 4.7).
"""

from __future__ import annotations

import hmac
from collections import Counter, OrderedDict
from dataclasses import dataclass, field

from gui.hub.signin.provider import Errand, fresh

WAIT_SECONDS = 600.0
MAX_WAITING = 5_000
MAX_OF_ONE = 100


class TooManyError(Exception):
    """Too many sign-ins are under way; one sentence."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in that was begun. `path`: the page that the browser wanted."""

    address: str
    path: str
    until: float
    back: str
    state: str = field(default_factory=fresh)
    binding: str = field(default_factory=fresh)
    nonce: str = field(default_factory=fresh)
    verifier: str = field(default_factory=fresh)

    def __repr__(self) -> str:
        return f"Begun({self.address!r}, {self.path!r})"

    @property
    def errand(self) -> Errand:
        """What the provider is told of it."""
        return Errand(self.state, self.nonce, self.verifier, self.back)


class Waiting:
    """All of them, by state."""

    def __init__(self) -> None:
        self._begun: OrderedDict[str, Begun] = OrderedDict()
        self._of: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._begun)

    def begin(self, address: str, path: str, back: str, now: float) -> Begun:
        """A new one. `back`: where the browser comes back to. Raises TooManyError for an address that has begun too
        many, or when all places are taken."""
        self._drop_old(now)
        if self._of[address] >= MAX_OF_ONE or len(self._begun) >= MAX_WAITING:
            raise TooManyError("Too many sign-ins are under way; try again in ten minutes.")
        begun = Begun(address, path, now + WAIT_SECONDS, back)
        self._begun[begun.state] = begun
        self._of[address] += 1
        return begun

    def take(self, state: str, binding: str, now: float) -> Begun | None:
        """The one of this state, once, if this browser began it; None otherwise."""
        self._drop_old(now)
        begun = self._begun.get(state)
        if begun is None or not hmac.compare_digest(begun.binding.encode(), binding.encode()):
            return None
        self._remove(begun)
        return begun

    def _drop_old(self, now: float) -> None:
        while self._begun and (oldest := next(iter(self._begun.values()))).until <= now:
            self._remove(oldest)

    def _remove(self, begun: Begun) -> None:
        del self._begun[begun.state]
        self._of[begun.address] -= 1
        if not self._of[begun.address]:
            del self._of[begun.address]
