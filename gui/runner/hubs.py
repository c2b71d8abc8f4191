"""The hubs that a person has signed in to from this machine: ``tally login`` keeps a personal key for each, ``tally
logout`` ends it. Keys are kept with the passwords of this machine (`gui.runner.secrets`)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from socket import gethostname
from urllib.parse import urlsplit

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from agent.messages import CredentialError, Goodbye, Message, encode, sign_token
from gui.hub.account import account
from gui.hub.signin.messages import EnterCode, PersonalKey, SignedOut, SignIn, SignOut, decode_to_person
from gui.runner.hublink import HubLink, RemoteError, hub_url
from gui.runner.remote import Credentials
from gui.runner.secrets import Secrets

ANSWER_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class KeptSignIn:
    """A sign-in to a hub, as this machine keeps it. `pin` or `ca_file`: how the hub is known."""

    hub: str
    kid: str
    secret: str
    name: str
    scopes: tuple[str, ...]
    login: str
    provider: str
    ends: float
    pin: str = ""
    ca_file: str = ""

    def __repr__(self) -> str:
        return f"KeptSignIn({self.hub!r}, {self.kid!r}, {self.login!r})"

    def credentials(self) -> Credentials:
        """Our identity for that hub: an operator's where it may be one."""
        scope = "operator" if "operator" in self.scopes else "observer"
        ca_file = Path(self.ca_file) if self.ca_file else None
        return Credentials(self.secret, self.kid, self.name, self.pin, ca_file, scope)


@dataclass(frozen=True, slots=True)
class HubKey:
    """How a hub is asked: with a named key from a file, or (without one) with the sign-in that is kept."""

    url: str
    kid: str = ""
    key_file: Path | None = None
    name: str = ""
    """Empty: this account's name."""
    pin: str = ""
    ca_file: Path | None = None


def credentials_for(secrets: Secrets, key: HubKey, secret: str = "") -> Credentials:
    """Our identity for a hub; `secret`: of the key, if it is not in its file. Blocking. Raises CredentialError and
    SecretsError."""
    if not secret and key.key_file is not None:
        try:
            secret = key.key_file.read_text("utf-8")
        except OSError as error:
            raise CredentialError(f"The key file {key.key_file} cannot be read: {error.strerror}.") from error
        except UnicodeDecodeError:
            raise CredentialError(f"The key file {key.key_file} cannot be read: it is not UTF-8 text.") from None
    if not secret.strip() and not key.kid:
        kept = kept_sign_in(secrets, key.url)
        if kept is not None:
            own = kept.credentials()
            return replace(own, pin=key.pin or own.pin, ca_file=key.ca_file or own.ca_file)
    if not secret.strip() or not key.kid:
        raise CredentialError(
            f"A remote hub needs to know you: sign in with `tally login {key.url}`, or give --kid and --key-file "
            "(or TALLY_KEY); `tally key create --scope operator` creates a key there."
        )
    return Credentials(secret.strip(), kid=key.kid, name=key.name or account(), pin=key.pin, ca_file=key.ca_file)


def hub_account(url: str) -> str:
    """The account under which the sign-in to a hub is kept. `url`: with or without ``wss://`` and its port. Raises
    CredentialError for what is no address."""
    return f"hub {urlsplit(hub_url(url, insecure=True)).netloc}"


def kept_sign_in(secrets: Secrets, url: str) -> KeptSignIn | None:
    """The sign-in to this hub; None if there is none. Raises CredentialError for what is no address, and SecretsError.
    Blocking."""
    text = secrets.read(hub_account(url))
    try:
        return msgspec.json.decode(text, type=KeptSignIn) if text else None
    except msgspec.DecodeError:
        return None  # of another Tally: sign in again


async def sign_in(link: HubLink, secrets: Secrets, show: Callable[[EnterCode], None]) -> KeptSignIn:
    """Sign in by device flow and keep the key; `show` tells the person what to do. Raises RemoteError, SecretsError."""
    async with link.opened("/signin", {}) as socket:
        await _say(socket, SignIn(host=gethostname(), version=version("xrootd-tally")))
        code = await _hear(socket, ANSWER_SECONDS)
        if not isinstance(code, EnterCode):
            raise RemoteError(f"The hub does not let anybody sign in: {_reason(code)}")
        show(code)
        key = await _hear(socket, code.seconds + ANSWER_SECONDS)
    if not isinstance(key, PersonalKey):
        raise RemoteError(f"You are not signed in: {_reason(key)}")
    kept = KeptSignIn(
        hub=link.url,
        kid=key.kid,
        secret=key.secret,
        name=key.name,
        scopes=tuple(key.scopes),
        login=key.login,
        provider=key.provider,
        ends=key.ends,
        pin=link.pin,
        ca_file=str(link.ca_file.absolute()) if link.ca_file else "",
    )
    await asyncio.to_thread(secrets.write, hub_account(kept.hub), msgspec.json.encode(kept).decode())
    return kept


async def sign_out(link: HubLink, kept: KeptSignIn) -> None:
    """Have the hub end this sign-in. Raises RemoteError; forget what is kept in any case."""
    token = sign_token(kept.secret, sub=kept.name, scope=kept.credentials().scope, kid=kept.kid)
    async with link.opened("/signin", {"Authorization": f"Bearer {token}"}) as socket:
        await _say(socket, SignOut())
        answer = await _hear(socket, ANSWER_SECONDS)
    if not isinstance(answer, SignedOut):
        raise RemoteError(f"The hub has not signed you out: {_reason(answer)}")


async def _say(socket: ClientConnection, message: Message) -> None:
    try:
        await socket.send(encode(message), text=True)
    except ConnectionClosed as error:
        raise RemoteError("The hub closed the link.") from error


async def _hear(socket: ClientConnection, seconds: float) -> EnterCode | PersonalKey | SignedOut | Goodbye:
    try:
        async with asyncio.timeout(seconds):
            return decode_to_person(await socket.recv())
    except TimeoutError:
        raise RemoteError("The hub does not answer.") from None
    except (ConnectionClosed, ssl.SSLError) as error:
        raise RemoteError("The connection to the hub broke; try again.") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteError(f"The hub sent what is no answer: {error}.") from error


def _reason(answer: object) -> str:
    text = answer.reason if isinstance(answer, Goodbye) else f"it answered {type(answer).__name__}"
    return f"{text.rstrip('.')}."
