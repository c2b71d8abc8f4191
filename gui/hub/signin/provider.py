"""What the hub asks of an identity provider; `github` and `oidc` are the two kinds. Calls block."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gui.hub.persistence import Person
from gui.hub.signin.allow import AllowList
from gui.hub.signin.fetch import ProviderError, RefusedError, check_address

GITHUB = "github"
GITHUB_ADDRESS = "https://github.com"
DAY = 86400.0
DEFAULT_SCOPES = "openid profile email offline_access"
LONGEST_SIGN_IN = 90 * DAY
MAX_TEXT = 1024
MAX_GROUPS = 2000


@dataclass(frozen=True, slots=True)
class SignInOptions:
    """The ``[signin]`` of a hub's settings. `provider`: ``github``, or the address of an OIDC issuer. `lasts`: seconds
    after which a person has to sign in again, whatever happens. `github`: a GitHub Enterprise server's address."""

    provider: str
    client_id: str
    client_secret: str = ""
    operators: tuple[str, ...] = ()
    observers: tuple[str, ...] = ()
    scopes: str = DEFAULT_SCOPES
    lasts: float = 7 * DAY
    github: str = GITHUB_ADDRESS
    ca_file: Path | None = None

    def __repr__(self) -> str:  # without the secret
        return f"SignInOptions({self.provider!r}, {self.client_id!r}, {self.operators!r}, {self.observers!r})"

    @property
    def is_github(self) -> bool:
        """Whether the provider is GitHub."""
        return self.provider == GITHUB

    @property
    def title(self) -> str:
        """What people call the provider."""
        return "GitHub" if self.is_github else self.provider.partition("://")[2].split("/")[0]

    def allow_list(self) -> AllowList:
        """Who is let in. Raises ValueError."""
        return AllowList.of(self.operators, self.observers, github=self.is_github)

    def check(self) -> None:
        """Raises ValueError with one sentence when nobody could sign in with these."""
        if not self.client_id:
            raise ValueError("The sign-in needs a client id: register this hub at the provider, and set client_id.")
        check_address(self.github if self.is_github else self.provider, "The provider of the sign-in")
        if not 0 < self.lasts <= LONGEST_SIGN_IN:
            raise ValueError(f"A sign-in lasts at most {LONGEST_SIGN_IN / DAY:g} days.")
        self.allow_list()


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the provider gave for asking again. `expires`: Unix seconds, None if `access` does not expire."""

    access: str
    refresh: str = ""
    expires: float | None = None

    def __repr__(self) -> str:
        return "Tokens(…)"


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The provider says who somebody is."""

    person: Person
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """A sign-in by device flow (RFC 8628) that waits for a person. `code` is theirs to type at `address`; `whole` is
    the address with the code in it, if there is one. `device` is the hub's, and secret."""

    device: str
    code: str
    address: str
    whole: str
    seconds: float
    interval: float

    def __repr__(self) -> str:
        return f"DeviceCode({self.code!r}, {self.address!r})"


@dataclass(frozen=True, slots=True)
class NotYet:
    """The person has not answered; ask again after this many seconds."""

    interval: float


@dataclass(frozen=True, slots=True)
class Errand:
    """What binds a browser's way to the provider and back: random texts of one sign-in (`verifier`: PKCE), and `back`,
    the address of ours that it comes back to."""

    state: str
    nonce: str
    verifier: str
    back: str

    def __repr__(self) -> str:
        return f"Errand({self.back!r})"

    @property
    def challenge(self) -> str:
        """The PKCE challenge (S256) of the verifier, RFC 7636 section 4.2."""
        return base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()


class Provider(Protocol):
    """All methods block and raise ProviderAwayError, or RefusedError when the provider does not confirm anybody."""

    def authorize_address(self, errand: Errand) -> str:
        """Where the browser goes to sign in."""

    def redeem(self, query: Mapping[str, str], errand: Errand) -> Confirmed:
        """Who came back with this query, which holds the code."""

    def start_device(self) -> DeviceCode:
        """Begin a device flow."""

    def poll_device(self, code: DeviceCode, interval: float) -> Confirmed | NotYet:
        """Whether the person has answered. `interval`: the seconds that were waited before."""

    def confirm(self, tokens: Tokens) -> Confirmed:
        """Whether these still belong to somebody, and to whom."""

    def forget(self, tokens: Tokens) -> None:
        """Tell the provider that they are not used any more, where it can be told."""


def fresh() -> str:
    """A random text that nobody guesses: 256 bits."""
    return secrets.token_urlsafe(32)


def text_of(fields: Mapping[str, object], name: str) -> str:
    """A text of an answer; empty if it is none, has more than `MAX_TEXT` characters, or some that cannot be shown."""
    value = fields.get(name)
    return value if isinstance(value, str) and len(value) <= MAX_TEXT and value.isprintable() else ""


def number_of(fields: Mapping[str, object], name: str, default: float) -> float:
    """A number of an answer that is no less than 0, or the default."""
    value = fields.get(name)
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9
    return float(value) if good else default  # type: ignore[arg-type]  # a number, as checked


def tokens_of(fields: Mapping[str, object], now: float, before: Tokens | None = None) -> Tokens:
    """The tokens of a provider's answer (RFC 6749 section 5.1). `before`: what they replace. Raises RefusedError."""
    access, refresh = fields.get("access_token"), fields.get("refresh_token")
    if not isinstance(access, str) or not access:
        raise RefusedError("The provider's answer has no access token.")
    lasts = number_of(fields, "expires_in", -1.0)
    kept = before.refresh if before is not None else ""
    return Tokens(access, refresh if isinstance(refresh, str) else kept, now + lasts if lasts >= 0 else None)


def device_of(fields: Mapping[str, object], what: str) -> DeviceCode:
    """The answer to a device authorization request (RFC 8628 section 3.2). Raises ProviderError."""
    device, code = fields.get("device_code"), text_of(fields, "user_code")
    address = text_of(fields, "verification_uri") or text_of(fields, "verification_url")
    if not isinstance(device, str) or not code or not address:
        raise ProviderError(f"{what} did not begin a sign-in: its answer has no code.")
    whole = text_of(fields, "verification_uri_complete")
    try:
        check_address(address, "the address")
        if whole:
            check_address(whole, "the address")
    except ValueError:
        raise ProviderError(f"{what} names an address for its code that is not https.") from None
    seconds, interval = number_of(fields, "expires_in", 900.0), number_of(fields, "interval", 5.0)
    return DeviceCode(device, code, address, whole, min(seconds, 1800.0), min(max(interval, 1.0), 60.0))


def not_yet(fields: Mapping[str, object], interval: float) -> NotYet | None:
    """Whether a token endpoint's error only means to wait on (RFC 8628 section 3.5)."""
    match fields.get("error"):
        case "authorization_pending":
            return NotYet(interval)
        case "slow_down":
            return NotYet(min(max(number_of(fields, "interval", 0.0), interval + 5.0), 60.0))
    return None


def refusal(fields: Mapping[str, object], what: str) -> str:
    """A provider's error as a sentence."""
    words = {
        "access_denied": "the sign-in was declined there",
        "expired_token": "the code has expired; begin again",
        "invalid_grant": "it knows the code or token no more",
        "invalid_client": "it does not know this hub's client id and secret",
        "unauthorized_client": "this hub's client may not sign people in that way",
    }
    code = text_of(fields, "error")
    said = " ".join(text_of(fields, "error_description").split())[:200]
    return f"{what} did not confirm the sign-in: {words.get(code) or said or code or 'it gave no reason'}."
