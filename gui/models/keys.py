"""Keys and invitations as one list: who may join a hub, and until when. No toolkit, and never a secret."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gui.hub.keys import of_a_sign_in, usable
from gui.hub.persistence import Issued, Key

STATES = {
    "in use": ("ok", "ok"),
    "retiring": ("clock", "warn"),
    "used up": ("ring", "mute"),
    "expired": ("ring", "mute"),
    "revoked": ("bad", "mute"),
}
"""Icon and colour of each state; the word is the state itself."""


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key or an invitation. `who`: the name it is for; `uses`: ``1 of 3`` of an invitation."""

    id: str
    kind: str
    state: str
    allows: str
    who: str
    created: float
    until: float | None = None
    uses: str = ""

    @property
    def can_be_revoked(self) -> bool:
        """Whether something would change."""
        return self.state in ("in use", "retiring")

    @property
    def named(self) -> str:
        """As it is called in a question: ``the invitation i-3f…``."""
        return f"the {self.kind} {self.id}"


def key_rows(keys: Iterable[Key], invitations: Iterable[Issued], now: float) -> list[KeyRow]:
    """Newest first."""
    rows = [_of_key(key, now) for key in keys] + [_of_invitation(issued, now) for issued in invitations]
    return sorted(rows, key=lambda row: -row.created)


def _of_key(key: Key, now: float) -> KeyRow:
    if key.state == "active":
        state = "in use" if usable(key, now) else "expired"
    else:
        state = "retiring" if usable(key, now) else "revoked"
    kind = "shared key" if key.shared else "sign-in" if of_a_sign_in(key) else "key"
    until = key.until if state != "revoked" else None
    return KeyRow(key.kid, kind, state, ", ".join(key.scopes), key.sub or "anybody", key.created, until)


def _of_invitation(issued: Issued, now: float) -> KeyRow:
    if issued.revoked:
        state = "revoked"
    elif issued.used >= issued.uses:
        state = "used up"
    elif now >= issued.expires:
        state = "expired"
    else:
        state = "in use"
    who = "one agent" if issued.uses == 1 else f"{issued.uses:,} agents"
    uses = f"{issued.used:,} of {issued.uses:,}"
    return KeyRow(issued.id, "invitation", state, f"agent:{issued.role}", who, issued.created, issued.expires, uses)
