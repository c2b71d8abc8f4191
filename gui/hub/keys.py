"""Keys and invitations: creating, rotating, revoking them, and finding the one that a token was signed with.

Everything here is plain values; `gui.hub.persistence` says who stores them. The command line uses the same functions
on the database when no hub runs; a running hub sees the change within a second.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace

import msgspec

from agent.messages import (
    MAX_INVITATION_SECONDS,
    SCOPES,
    CredentialError,
    Invitation,
    Name,
    encode_join_string,
    key_bytes,
    sign_token,
)
from gui.hub.account import operator_here
from gui.hub.persistence import (
    SHARED,
    AuditEntry,
    InvitationStore,
    Issued,
    Key,
    KeyStore,
    RevokingStore,
    Role,
)

AGENT_SCOPES = ("agent:client", "agent:server")
MAX_USES = 10_000


def new_secret() -> str:
    """256 random bits as text that can be copied, pasted and put into a file."""
    return secrets.token_urlsafe(32)


def new_key(
    scopes: Iterable[str], now: float, *, sub: str | None = None, kid: str | None = None, secret: str | None = None
) -> Key:
    """A named key. Raises CredentialError for an unknown scope, no scope, or a secret that is too short."""
    wanted = tuple(dict.fromkeys(scopes))
    unknown = [scope for scope in wanted if scope not in SCOPES or scope == "join"]
    if unknown or not wanted:
        allowed = ", ".join(scope for scope in SCOPES if scope != "join")
        raise CredentialError(f"A key allows one or more of {allowed}{f', not {unknown[0]!r}' if unknown else ''}.")
    text = new_secret() if secret is None else secret.strip()
    key_bytes(text)
    return Key(kid or f"k-{secrets.token_hex(6)}", text, wanted, now, sub=sub)


def create_key(
    store: KeyStore,
    scopes: Iterable[str],
    now: float,
    *,
    sub: str | None = None,
    kid: str | None = None,
    secret: str | None = None,
) -> Key:
    """A named key, stored. Raises CredentialError also for a name that exists, is reserved, or is none. Blocking."""
    if kid is not None and (kid.lower() == SHARED or kid.lower().startswith((f"{SHARED}-", "i-"))):
        raise CredentialError(
            f"{kid!r} is reserved for {'invitations' if kid.lower().startswith('i-') else 'the shared key'}; "
            "choose another name."
        )
    if any(key.kid == kid for key in store.keys()):  # noqa: SIM118 - not a dict
        raise CredentialError(f"There is already a key {kid!r}; rotate it to give it a new secret.")
    for what, name in (("The name of a key", kid), ("The name that it is for", sub)):
        try:
            check_name(name)
        except CredentialError as error:
            raise CredentialError(f"{what}: {error}") from None
    key = new_key(scopes, now, sub=sub, kid=kid, secret=secret)
    store.put_key(key)
    return key


def check_name(name: str | None) -> None:
    """Raises CredentialError when this can be no name of a key, an agent or an operator."""
    if name is None:
        return
    try:
        msgspec.convert(name, Name)
    except msgspec.ValidationError:
        raise CredentialError(
            f"expected up to 64 letters, digits, dots, dashes and underscores, starting with a letter or digit, "
            f"not {name[:80]!r}."
        ) from None


def shared_key(now: float, secret: str | None = None) -> Key:
    """A shared key for agents: newly created, or from a given text. Raises CredentialError if that is too short."""
    return replace(new_key(AGENT_SCOPES, now, kid=f"{SHARED}-{secrets.token_hex(6)}", secret=secret), shared=True)


_is_of_a_person = re.compile(r"[up]-[0-9a-f]{12}").fullmatch


def of_a_sign_in(key: Key) -> bool:
    """Whether this is the personal key of a person's sign-in, at a program (``u-…``) or a browser (``p-…``)."""
    return _is_of_a_person(key.kid) is not None and key.until is not None


def ensure_shared_key(store: KeyStore, now: float, secret: str | None = None) -> Key:
    """The current shared key; created and stored if there is none. A different `secret` replaces it at once.

    Raises CredentialError when `secret` is too short. Blocking."""
    current = [key for key in store.keys() if key.shared and key.state == "active"]  # noqa: SIM118 - not a dict
    if secret is None and current:
        return current[-1]
    if secret is not None:
        same = [key for key in current if key.secret == secret.strip()]
        if same:
            return same[-1]
    fresh = shared_key(now, secret)
    for key in current:
        store.put_key(replace(key, state="revoked", until=now))
    store.put_key(fresh)
    return fresh


def rotate_shared_key(store: KeyStore, now: float, grace: float, secret: str | None = None) -> Key:
    """A new shared key; the old one is valid for new registrations for `grace` seconds. Sessions stay. Blocking."""
    fresh = shared_key(now, secret)
    for key in store.keys():  # noqa: SIM118 - not a dict
        if key.shared and key.state == "active":
            store.put_key(replace(key, state="retiring" if grace > 0 else "revoked", until=now + grace))
    store.put_key(fresh)
    return fresh


def rotate_key(store: KeyStore, kid: str, now: float, secret: str | None = None) -> Key:
    """A new secret for a named key, valid at once. Raises CredentialError if there is no such key."""
    old = find_key(store, kid)
    if old.shared:
        raise CredentialError("The shared key is rotated with a grace time; leave out the key's name to do so.")
    fresh = replace(new_key(old.scopes, now, sub=old.sub, kid=kid, secret=secret), created=now)
    store.put_key(fresh)
    return fresh


def revoke_key(store: RevokingStore, kid: str, now: float, by: str = "") -> Key:
    """Revoke a key: nothing signed with it is accepted any more; a running hub closes its sessions. `by`: who does it,
    for the audit log (default: the operator of this machine). Blocking."""
    revoked = replace(find_key(store, kid), state="revoked", until=now)
    store.put_key(revoked)
    store.add_audit([AuditEntry(now, "revoked", kid, f"by {by or operator_here()}")])
    return revoked


def revoked_since(before: KeyBook, after: KeyBook) -> list[str]:
    """The keys and invitations that were good in one book and are revoked, or gone, in a later one."""
    return sorted(before.in_force() - after.in_force())


def find_key(store: KeyStore, kid: str) -> Key:
    """The key with this `kid`. Raises CredentialError when there is none."""
    for key in store.keys():  # noqa: SIM118 - not a dict
        if key.kid == kid:
            return key
    raise CredentialError(f"There is no key {kid!r}; `tally key list` shows them.")


def usable(key: Key, now: float) -> bool:
    """Whether new registrations may be signed with this key."""
    if key.state == "active":
        return key.until is None or now < key.until
    return key.state == "retiring" and key.until is not None and now < key.until


def invite(
    store: InvitationStore, *, role: Role, now: float, ttl: float, uses: int, hub: str, pin: str
) -> tuple[Issued, str]:
    """A new, stored invitation and its join string (shown once: it contains the token). `hub` is the address that
    agents reach. Raises CredentialError if `ttl` or `uses` is out of range. Blocking."""
    if not 1 <= ttl <= MAX_INVITATION_SECONDS:
        raise CredentialError("An invitation is good for at least a second and at most 24 hours.")
    if not 1 <= uses <= MAX_USES:
        raise CredentialError(f"An invitation is good for 1 to {MAX_USES:,} agents, not {uses:,}.")
    issued = Issued(f"i-{secrets.token_hex(6)}", new_secret(), role, now, now + ttl, uses=uses)
    store.put_invitation(issued)
    token = sign_token(
        issued.secret,
        sub=issued.id,
        scope="join",
        kid=issued.id,
        lifetime=ttl,
        now=now,
        claims={"role": role, "uses": uses},
    )
    return issued, encode_join_string(Invitation(hub=hub, token=token, role=role, pin=pin))


def revoke_invitation(store: RevokingStore, invitation_id: str, now: float, by: str = "") -> Issued:
    """Revoke an invitation: nobody can join with it any more. `by` as for `revoke_key`. Raises CredentialError if
    there is none. Blocking."""
    for issued in store.invitations():
        if issued.id == invitation_id:
            revoked = replace(issued, revoked=True)
            store.put_invitation(revoked)
            store.add_audit([AuditEntry(now, "revoked", invitation_id, f"by {by or operator_here()}")])
            return revoked
    raise CredentialError(f"There is no invitation {invitation_id!r}.")


@dataclass(frozen=True, slots=True)
class KeyBook:
    """The keys and invitations that a hub knows: an immutable value, replaced when those in the store change."""

    keys: dict[str, Key]
    invitations: dict[str, Issued]

    @classmethod
    def of(cls, keys: Iterable[Key], invitations: Iterable[Issued]) -> KeyBook:
        # A key of this name that is not shared (one could once be made) would be taken for it.
        named = {key.kid: key for key in keys if key.shared or key.kid != SHARED}
        return cls(named, {issued.id: issued for issued in invitations})

    def in_force(self) -> set[str]:
        """The names of all keys and invitations that nobody has revoked."""
        keys = {key.kid for key in self.keys.values() if key.state != "revoked"}
        return keys | {issued.id for issued in self.invitations.values() if not issued.revoked}

    def shared(self) -> list[Key]:
        """All shared keys, the newest first: a token without `kid` may be signed with any valid one."""
        return sorted((key for key in self.keys.values() if key.shared), key=lambda key: key.created, reverse=True)
