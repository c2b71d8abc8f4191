"""What the hub needs for its state to be kept: small protocols, implemented by the store and passed in at the start.

All methods are plain and blocking; the hub calls them in a thread, never in its event loop. Times are Unix seconds. If
a method raises, the agent is not acknowledged or not admitted: it tries again, and nothing is lost. Implementations may
raise any exception; the hub logs it, shows it as a problem and continues.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from agent.messages import Line
from gui.campaign.tags import TagAllocator

Role = Literal["client", "server"]
KeyState = Literal["active", "retiring", "revoked"]
Deed = Literal[
    "started",
    "stopped",
    "joined",
    "refused",
    "revoked",
    "drained",
    "resumed",
    "disconnected",
    "allowed",
    "signed in",
    "signed out",
]
HoldKind = Literal["drain", "disconnect"]
SHARED = "shared"
"""The `kid` in an identity whose tokens are signed with the shared key, whatever its generation."""

HUB_ADDRESS, HUB_PIN = "hub.address", "hub.pin"
"""Settings of a workspace: where agents last reached its hub, and the pin of the certificate that it used; for
invitations that are created while it does not run, or by another program."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key that tokens may be signed with.

    `shared` keys are used by tokens without a ``kid``; several exist while one is being rotated. `sub`, when set, is
    the only name such a token may carry. A *retiring* key is valid for new registrations until `until`; so is an active
    one that has an `until`, the personal key of a person's sign-in."""

    kid: str
    secret: str
    scopes: tuple[str, ...]
    created: float
    sub: str | None = None
    shared: bool = False
    state: KeyState = "active"
    until: float | None = None

    def __repr__(self) -> str:  # a secret never reaches a log through a repr
        return f"Key({self.kid!r}, scopes={self.scopes!r}, sub={self.sub!r}, state={self.state!r})"


@dataclass(frozen=True, slots=True)
class Issued:
    """An issued invitation: its token's `kid` is `id`, signed with `secret`; valid for `uses` agents."""

    id: str
    secret: str
    role: Role
    created: float
    expires: float
    uses: int = 1
    used: int = 0
    revoked: bool = False

    def __repr__(self) -> str:
        return f"Issued({self.id!r}, role={self.role!r}, used={self.used}/{self.uses}, revoked={self.revoked})"


@dataclass(frozen=True, slots=True)
class Hold:
    """What an operator has decided about an agent (``KID/SUB``) until it is taken back: it gets no new rounds
    (``drain``), or it is not let in (``disconnect``), until then or, with None, until it is allowed again."""

    identity: str
    what: HoldKind
    role: Role
    since: float
    until: float | None = None
    by: str = ""

    def good(self, now: float) -> bool:
        """Whether it holds now."""
        return self.until is None or now < self.until


@dataclass(frozen=True, slots=True)
class Person:
    """Who an identity provider says somebody is. Texts come from there: show them as plain text.

    `subject` is theirs for ever at this `issuer`; a `login` may be given to another one day. `email` only if the issuer
    has verified it. `groups`: at GitHub teams as ``ORG/TEAM``."""

    issuer: str
    subject: str
    login: str = ""
    email: str = ""
    groups: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """What people call this person."""
        return self.login or self.email or self.subject


@dataclass(frozen=True, slots=True)
class SignIn:
    """One person at one program or browser, with a personal key, `kid`, of the same life.

    `ends`: when they have to sign in again, whatever happens. `checked`: when the provider last confirmed them.
    `sealed`: the provider's tokens, encrypted; empty if it gave none that last."""

    kid: str
    via: Literal["program", "page"]
    person: Person
    role: Literal["operator", "observer"]
    host: str
    since: float
    ends: float
    checked: float
    sealed: str = ""

    def __repr__(self) -> str:
        return f"SignIn({self.kid!r}, {self.person.shown!r}, via={self.via!r}, role={self.role!r})"


@dataclass(frozen=True, slots=True)
class Sighting:
    """An agent (``KID/SUB``) that opened a session; `facts` is what it said about itself."""

    identity: str
    name: str
    role: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Spend:
    """A token id to be kept until the token expires."""

    jti: str
    expires: float


@dataclass(frozen=True, slots=True)
class JournalBatch:
    """Consecutive journal lines of one agent. `agent` is its identity ``KID/SUB``, `name` its ``sub``.

    Times in the lines are the agent's; `ahead` is by how many seconds its clock is ahead of the hub's."""

    agent: str
    name: str
    journal: str
    lines: Sequence[Line]
    ahead: float = 0.0


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Something that happened at the hub. `who`: an identity ``KID/SUB``, a ``KID``, an address, or the hub's own."""

    t: float
    what: Deed
    who: str
    text: str


class KeyStore(Protocol):
    """Keys as rows."""

    def keys(self) -> list[Key]:
        """All keys, revoked ones included, oldest first."""

    def put_key(self, key: Key) -> None:
        """Insert, or replace the row of the same `kid`."""


class InvitationStore(Protocol):
    """Invitations as rows."""

    def invitations(self) -> list[Issued]:
        """All issued invitations, oldest first."""

    def put_invitation(self, invitation: Issued) -> None:
        """Insert, or replace the row of the same `id`."""

    def redeem(self, invitation_id: str, key: Key, now: float) -> bool:
        """In one transaction: count one use and insert `key`. If the invitation is unknown, used up, revoked or expired
        at `now`, return False and change nothing."""


class HoldStore(Protocol):
    """What operators have decided about agents."""

    def holds(self) -> list[Hold]:
        """All holds, those that are over included, oldest first."""

    def put_hold(self, hold: Hold) -> None:
        """Insert, or replace the one of the same agent and kind."""

    def lift_hold(self, identity: str, what: HoldKind) -> bool:
        """Remove a hold; False if there was none."""


class SignInStore(Protocol):
    """Who has signed in."""

    def sign_ins(self) -> list[SignIn]:
        """All of them, those whose key is revoked included, oldest first."""

    def put_sign_in(self, sign_in: SignIn, key: Key) -> bool:
        """In one transaction: insert or replace both, by their `kid`. A key that is revoked stays so: then nothing is
        changed by one that is not, and the answer is False."""

    def forget_sign_ins(self, kids: Sequence[str]) -> None:
        """In one transaction: remove these sign-ins and their keys."""


class TokenLedger(Protocol):
    """Stores which tokens were used."""

    def spend_tokens(self, spends: Sequence[Spend], now: float) -> list[bool]:
        """In one transaction: store each `jti`; False for those already stored (a replay, also within the batch). Those
        that expired before `now` − 60 s may be deleted."""


class JournalSink(Protocol):
    """Keeps journal lines, each once."""

    def journal_position(self, agent: str, journal: str) -> int:
        """Number of the last stored line of this journal, 0 if there is none."""

    def store_journal(self, batches: Sequence[JournalBatch]) -> None:
        """In one transaction. Lines that are already stored are skipped silently; when it returns, all lines are on
        disk and may be acknowledged."""


class AgentDirectory(Protocol):
    """Stores which agents have connected."""

    def see_agents(self, seen: Sequence[Sighting], now: float) -> None:
        """In one transaction: these agents opened sessions. No identity is there twice."""


class AuditStore(Protocol):
    """Remembers who came and went."""

    def add_audit(self, entries: Sequence[AuditEntry]) -> None:
        """In one transaction. A bounded number is kept, of refusals apart from all others: nobody drives out who joined
        by being refused often."""


class RevokingStore(KeyStore, InvitationStore, AuditStore, Protocol):
    """Keys and invitations, and who revoked which."""


class HoldingStore(HoldStore, AuditStore, Protocol):
    """Holds, and who made which."""


class KeyringStore(RevokingStore, HoldStore, Protocol):
    """What decides who may join."""

    def credentials_version(self) -> str:
        """Another text after each change of keys, invitations or holds, by whatever program. Quick."""


class PeopleStore(SignInStore, KeyStore, AuditStore, Protocol):
    """Sign-ins, their keys, and who ended which."""


class HubStore(KeyringStore, SignInStore, TokenLedger, JournalSink, AgentDirectory, TagAllocator, Protocol):
    """All of the above in one object."""
