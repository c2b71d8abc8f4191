"""Cookies that only this host gets, only over TLS, and no script sees. Pure."""

from __future__ import annotations

import hmac
from hashlib import sha256

SESSION = "__Host-tally"
BEGUN = "__Host-tally-begun"
MAX_HEADER = 16_384


def cookie(name: str, value: str, seconds: float) -> str:
    """A ``Set-Cookie`` header. The prefix ``__Host-`` binds it to this host, whole and over TLS (RFC 6265bis)."""
    return f"{name}={value}; Path=/; Max-Age={max(0, round(seconds))}; Secure; HttpOnly; SameSite=Lax"


def no_cookie(name: str) -> str:
    """The header that removes a cookie."""
    return cookie(name, "", 0)


def read_cookie(headers: list[str], name: str) -> str:
    """The value of a cookie in a request; empty if there is none, or more than one that could be meant."""
    found = []
    for header in headers:
        for part in header[:MAX_HEADER].split(";"):
            key, equals, value = part.strip().partition("=")
            if equals and key == name:
                found.append(value)
    return found[0] if len(found) == 1 else ""


def sign_out_key(session: str) -> str:
    """What a link to sign out has to carry: another site cannot know it, so it cannot sign anybody out."""
    return hmac.new(session.encode(), b"sign out", sha256).hexdigest()[:32]
