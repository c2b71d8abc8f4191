"""Checks a bearer token. Pure: header text, keys and time in; `Bearer` or an `AdmissionError` out.

The order of the checks matters: nothing is revealed about a key before the signature has been checked with it.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from typing import Any, Literal

import jwt

from agent.messages import AUDIENCE, MAX_INVITATION_SECONDS, MAX_TOKEN_SECONDS, SCOPES, key_bytes
from gui.hub.keys import KeyBook, usable
from gui.hub.persistence import SHARED, Issued, Key, Role

LEEWAY = 10.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # as agent.messages.Name


Reason = Literal[
    "no_token", "bad_token", "audience", "expired", "clock", "lifetime", "scope", "unknown_key", "revoked", "replaced",
    "replayed", "invitation", "name", "role", "client_id", "disconnected", "subprotocol", "path", "message",
    "too_often", "too_many", "too_many_from_address", "stopping", "database", "sign_in", "not_named", "origin",
]  # fmt: skip
"""Why somebody is not let in, for metrics: these words do not change."""


class AdmissionError(Exception):
    """A refused request: an HTTP status, a reason and one sentence. 401 sentences get the hub's time appended.

    `again`: seconds after which it is worth trying again; 0: not said. `key`: the key that the token names, as
    ``KID/SUB`` once its signature was checked, else as ``KID?``; empty if it names none."""

    def __init__(self, status: int, reason: Reason, text: str, again: int = 0) -> None:
        super().__init__(text)
        self.status = status
        self.reason = reason
        self.text = text
        self.again = again
        self.key = ""

    def body(self, now: float) -> str:
        """What the response says."""
        if self.status != 401:
            return self.text
        return f"{self.text.rstrip('.')}; the hub's time is {utc(now)}."


class UnknownKeyError(AdmissionError):
    """The token is not signed with a known key; a new one may have been created since."""

    def __init__(self) -> None:
        super().__init__(401, "unknown_key", "The token is not signed with a key that this hub knows.")


def utc(t: float) -> str:
    """``2026-11-22T09:30:00Z``."""
    return datetime.datetime.fromtimestamp(int(t), datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Bearer:
    """The holder of an accepted token. `invitation` is set for scope ``join``; then the name is still unknown."""

    kid: str
    """The key's name, ``shared`` for every shared key: with `sub` it is the identity."""
    sub: str
    scopes: tuple[str, ...]
    jti: str
    expires: float
    key: Key | None = None
    invitation: Issued | None = None

    @property
    def role(self) -> Role | None:
        """The role that an invitation is for."""
        return self.invitation.role if self.invitation else None


def read_authorization(header: str | None, book: KeyBook, now: float) -> Bearer:
    """The bearer of an ``Authorization`` header. Raises AdmissionError (401 or 403)."""
    if header is None:
        raise AdmissionError(401, "no_token", "A token is needed: send the header Authorization: Bearer TOKEN.")
    kind, _, token = header.strip().partition(" ")
    token = token.strip()
    if kind.lower() != "bearer" or not token:
        raise AdmissionError(401, "no_token", "The Authorization header holds no token: it should read Bearer TOKEN.")
    try:
        head = jwt.get_unverified_header(token)
    except jwt.PyJWTError as error:
        raise AdmissionError(401, "bad_token", "The token is not a JWT.") from error
    if head.get("alg") != "HS256":
        raise AdmissionError(401, "bad_token", "The token is not signed with HS256.")
    kid = head.get("kid")
    if kid is not None and not isinstance(kid, str):
        raise AdmissionError(401, "bad_token", "The token's kid is not a text.")
    key = f"{(kid or SHARED)[:64]}?"
    try:
        signer, claims = _verified(token, kid, book)
        key = f"{_name_of(signer)}/{str(claims.get('sub', ''))[:64]}"
        bearer = _bearer(signer, claims, now)
        _permit(signer, bearer, now)
    except AdmissionError as refusal:
        refusal.key = key
        raise
    return bearer


def _name_of(signer: Key | Issued) -> str:
    if isinstance(signer, Issued):
        return signer.id
    return SHARED if signer.shared else signer.kid


def _verified(token: str, kid: str | None, book: KeyBook) -> tuple[Key | Issued, dict[str, Any]]:
    """The key that signed the token, and its claims."""
    candidates: list[Key | Issued]
    if kid is None:
        candidates = list(book.shared())
    else:
        found = book.keys.get(kid) or book.invitations.get(kid)
        candidates = [found] if found is not None else []
    for candidate in candidates:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key_bytes(candidate.secret),
                algorithms=["HS256"],
                # Times, audience and subject are checked below, by the hub's own clock and in its own words.
                options={
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                    "verify_aud": False,
                    "verify_sub": False,
                    "verify_jti": False,
                    "verify_iss": False,
                },
            )
        except jwt.InvalidSignatureError:
            continue
        except jwt.PyJWTError as error:
            raise AdmissionError(401, "bad_token", "The token's claims cannot be read.") from error
        return candidate, claims
    raise UnknownKeyError


def _bearer(signer: Key | Issued, claims: dict[str, Any], now: float) -> Bearer:
    """Check the claims one by one."""
    audience = claims.get("aud")
    if audience != AUDIENCE and not (isinstance(audience, list) and AUDIENCE in audience):
        raise AdmissionError(401, "audience", f"The token is for another audience; aud should be {AUDIENCE!r}.")
    issued, expires = (_time(claims, name) for name in ("iat", "exp"))
    sub, jti, scope = (_text(claims, name) for name in ("sub", "jti", "scope"))
    if expires + LEEWAY < now:
        raise AdmissionError(401, "expired", f"The token has expired at {utc(expires)}.")
    if issued - LEEWAY > now:
        raise AdmissionError(401, "clock", f"The token is from the future (iat is {utc(issued)}): set the clock.")
    not_before = claims.get("nbf")
    if not_before is not None and _time(claims, "nbf") - LEEWAY > now:
        raise AdmissionError(401, "clock", "The token is not valid yet.")
    longest = MAX_INVITATION_SECONDS if isinstance(signer, Issued) else MAX_TOKEN_SECONDS
    if not 0 <= expires - issued <= longest:
        raise AdmissionError(401, "lifetime", f"The token's life (exp − iat) is longer than {longest} s, or negative.")
    scopes = tuple(scope.split())
    unknown = [word for word in scopes if word not in SCOPES]
    if unknown or not scopes:
        raise AdmissionError(401, "scope", f"The token's scope is unknown; it should be one of {', '.join(SCOPES)}.")
    if _NAME.fullmatch(sub) is None:
        raise AdmissionError(
            401, "bad_token", "The token's sub is not a name: letters, digits, '.', '_' and '-', 64 at most."
        )
    if len(jti) > 256:
        raise AdmissionError(401, "bad_token", "The token's jti is longer than 256 characters.")
    if isinstance(signer, Issued):
        return Bearer(signer.id, sub, scopes, jti, expires, invitation=signer)
    return Bearer(_name_of(signer), sub, scopes, jti, expires, key=signer)


def _permit(signer: Key | Issued, bearer: Bearer, now: float) -> None:
    """Check that the signer of this token may make these claims."""
    if isinstance(signer, Issued):
        if bearer.scopes != ("join",):
            raise AdmissionError(403, "scope", "An invitation is for joining only.")
        if signer.revoked:
            raise AdmissionError(403, "revoked", "The invitation was revoked.")
        if signer.used >= signer.uses:
            raise AdmissionError(403, "invitation", "The invitation is used up; ask for a new one.")
        if now >= signer.expires + LEEWAY:
            raise AdmissionError(401, "invitation", f"The invitation has expired at {utc(signer.expires)}.")
        return
    if not usable(signer, now):
        raise _unusable(signer)
    forbidden = [scope for scope in bearer.scopes if scope not in signer.scopes]
    if forbidden:
        raise AdmissionError(403, "scope", f"The key does not allow the scope {forbidden[0]}.")
    if signer.sub is not None and bearer.sub != signer.sub:
        raise AdmissionError(403, "name", f"The key belongs to {signer.sub}, and to nobody else.")


def _unusable(key: Key) -> AdmissionError:
    match key.state:
        case "revoked":
            return AdmissionError(403, "revoked", "The key was revoked.")
        case "active":
            text = "The sign-in that this key belongs to has ended; sign in again with tally login."
            return AdmissionError(403, "expired", text)
        case "retiring":
            return AdmissionError(403, "replaced", "The key was replaced by a new one.")


def _time(claims: dict[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e11:
        raise AdmissionError(401, "bad_token", f"The token has no usable {name}.")
    return float(value)


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise AdmissionError(401, "bad_token", f"The token has no {name}.")
    return value
