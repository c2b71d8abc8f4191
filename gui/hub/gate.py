"""The gate: decides who may open a connection, and what a registration permits.

    HTTP request ─ admit ─► 101, a page (`pages`), or a refusal with its status and a sentence
    /register    ─ register ─► Registered(client_id), or a Goodbye with a sentence
    /agent, /operate: the registration that belongs to the client_id

`tokens` and `admission` make the decisions; the gate knows no sessions, only (through `holder`) who uses a name now.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

import msgspec
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from agent.messages import SUBPROTOCOL, Goodbye, Register, Registered, decode_from_agent, encode
from gui.hub.admission import Holder, Operator, RefusalRate, Registration, Registrations, check_name
from gui.hub.commits import TokenSpender
from gui.hub.holds import AGAIN_SECONDS, why_kept_out
from gui.hub.keyring import Keyring
from gui.hub.limits import GOODBYE_SECONDS, limited
from gui.hub.operate import RegisterOperator, decode_from_operator
from gui.hub.pages import Pages
from gui.hub.persistence import Spend
from gui.hub.refusals import Refusals
from gui.hub.session import POLICY_VIOLATION, shorten
from gui.hub.tokens import AdmissionError, Bearer, UnknownKeyError, read_authorization

log = logging.getLogger("tally.hub")

FIRST_MESSAGE_SECONDS = 10.0


class Admitted(ServerConnection):
    """A connection that keeps what was decided about its request. `caller` serves one that is not the gate's, and
    `of_somebody` says that it belongs to a person who has signed in."""

    admitted: Bearer | Registration | None = None
    caller: Callable[[ServerConnection], Awaitable[None]] | None = None
    of_somebody = False


class Gate:
    """Once `closing` is set, nobody is admitted. `trouble` is called with a sentence when the store fails, and with ""
    when it works again."""

    def __init__(
        self,
        keyring: Keyring,
        spender: TokenSpender,
        refusals: Refusals,
        *,
        pages: Pages,
        holder: Callable[[str], Holder | None],
        clock: Callable[[], float],
        trouble: Callable[[str], None],
    ) -> None:
        self.closing = False
        self._keyring = keyring
        self._spender = spender
        self._refusals = refusals
        self._pages = pages
        self._holder = holder
        self._clock = clock
        self._trouble = trouble
        self._registrations = Registrations()
        self._rate = RefusalRate()
        self._failing = False

    # ---- before a connection is opened

    async def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """websockets' `process_request`: None to open the connection, which then is `Admitted`; or the answer."""
        assert isinstance(connection, Admitted)
        address = peer(connection)
        now = self._clock()
        page = await self._pages.answer(request, address)
        if page is not None:
            return page
        try:
            connection.admitted = await self._admitted(request, address, now)
        except AdmissionError as refusal:
            answer = self._rate.count(address, refusal, now) if refusal.status in (401, 403) else refusal
            self._refusals.note(address, answer)
            response = connection.respond(HTTPStatus(answer.status), answer.body(now) + "\n")
            if answer.status == 401:
                response.headers["WWW-Authenticate"] = 'Bearer realm="xrootd-tally"'
            again = 60 if answer.status == 429 else answer.again
            if again:
                response.headers["Retry-After"] = str(again)
            if answer.status == 426:
                response.headers["Upgrade"] = "websocket"
            return response
        return None

    async def _admitted(self, request: Request, address: str, now: float) -> Bearer | Registration:
        """What the request permits. Raises AdmissionError."""
        parts = urlsplit(request.path)
        if parts.path not in ("/register", "/agent", "/operate"):
            raise AdmissionError(
                404, "path", "This is a Tally hub; agents come to /register and /agent, operators to /operate."
            )
        if self.closing:
            raise AdmissionError(503, "stopping", "The hub is being stopped.")
        offered = [
            word.strip() for text in request.headers.get_all("Sec-WebSocket-Protocol") for word in text.split(",")
        ]
        if offered and SUBPROTOCOL not in offered:
            raise AdmissionError(
                426, "subprotocol", f"This hub speaks the subprotocol {SUBPROTOCOL}, and none that was offered."
            )
        if parts.path == "/register":
            bearer = await self._bearer(request, now)
            try:
                await self._check_bearer(bearer, address, now, offered=bool(offered))
            except AdmissionError as refusal:
                refusal.key = f"{bearer.kid}/{bearer.sub}"
                raise
            return bearer
        if not offered and "client_id" not in parse_qs(parts.query):
            raise AdmissionError(
                401, "client_id", "A client_id is needed: register first, then open /agent?client_id=ID."
            )
        if not offered:
            raise _no_subprotocol()
        client_id = parse_qs(parts.query).get("client_id", [""])[0]
        registration = self._registrations.redeem(client_id, now)
        if _operating(registration.bearer) != (parts.path == "/operate"):
            raise AdmissionError(403, "path", f"This registration is not for {parts.path}.")
        return registration

    async def _check_bearer(self, bearer: Bearer, address: str, now: float, *, offered: bool) -> None:
        _check_scopes(bearer)
        if bearer.invitation is None and not _operating(bearer):
            self._check_hold(bearer, now)
            check_name(bearer, bearer.sub, address, self._holder)
        if not offered:
            raise _no_subprotocol()
        await self._spend(bearer)

    def _check_hold(self, bearer: Bearer, now: float) -> None:
        held = self._keyring.held(f"{bearer.kid}/{bearer.sub}", "disconnect")
        if held is not None:
            left = AGAIN_SECONDS if held.until is None else math.ceil(held.until - now)
            raise AdmissionError(403, "disconnected", why_kept_out(held), max(1, min(AGAIN_SECONDS, left)))

    async def _bearer(self, request: Request, now: float) -> Bearer:
        """The bearer of the request. The keys are read again if its token may be signed with a new one."""
        header = _authorization(request)
        try:
            return read_authorization(header, self._keyring.book, now)
        except UnknownKeyError:
            await self._keyring.look_again()
        return read_authorization(header, self._keyring.book, now)

    async def _spend(self, bearer: Bearer) -> None:
        if bearer.invitation is not None:
            return  # valid for several uses, which are counted when the session opens
        try:
            fresh = await self._spender.spend(Spend(f"{bearer.kid}/{bearer.jti}", bearer.expires))
        except Exception as error:
            log.exception("! the database did not store a token as spent")
            self._failing = True
            self._trouble(f"Nobody can register, because the database fails: {error}")
            raise AdmissionError(503, "database", "The hub's database does not answer; try again.") from error
        if self._failing:
            self._failing = False
            self._trouble("")
        if not fresh:
            raise AdmissionError(403, "replayed", "The token was used before: its jti is known.")

    # ---- opened connections

    async def register(self, websocket: ServerConnection, bearer: Bearer) -> None:
        """Read the first message of a registration and answer it."""
        address = peer(websocket)
        try:
            async with asyncio.timeout(FIRST_MESSAGE_SECONDS):
                raw = await websocket.recv()
            details, name = _read_details(raw, bearer)
            if isinstance(details, Register):
                check_name(bearer, name, address, self._holder)
                self._check_invited_name(bearer, name)
        except TimeoutError:
            late = AdmissionError(401, "message", f"No registration came in {FIRST_MESSAGE_SECONDS:g} s.")
            await self.turn_away(websocket, address, bearer, late, again=True)
            return
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            bad = AdmissionError(401, "message", f"The registration could not be read: {str(error)[:300]}")
            await self.turn_away(websocket, address, bearer, bad, again=False)
            return
        except AdmissionError as refusal:
            self._rate.count(address, refusal, self._clock())
            await self.turn_away(websocket, address, bearer, refusal, again=False)
            return
        client_id = self._registrations.add(bearer, name, details, address, self._clock())
        with limited(websocket, GOODBYE_SECONDS):
            await websocket.send(encode(Registered(client_id=client_id)), text=True)
            await websocket.close()

    async def turn_away(
        self, websocket: ServerConnection, address: str, bearer: Bearer, refusal: AdmissionError, *, again: bool
    ) -> None:
        """Refuse somebody whose token was good."""
        refusal.key = f"{bearer.kid}/{bearer.sub}"
        self._refusals.note(address, refusal)
        await turn_away(websocket, refusal.text, again=again)

    def _check_invited_name(self, bearer: Bearer, name: str) -> None:
        if bearer.invitation is not None and self._keyring.belongs_to_somebody(name):
            raise AdmissionError(
                403, "name", f"The name {name} belongs to an agent that has joined; choose another, or revoke that one."
            )


def peer(connection: ServerConnection) -> str:
    """The other side's address, without its port."""
    remote = connection.remote_address
    text = str(remote[0]) if isinstance(remote, tuple) else "?"
    return text.removeprefix("::ffff:")


async def turn_away(websocket: ServerConnection, reason: str, *, again: bool) -> None:
    """Send a Goodbye to a peer that has no session yet."""
    try:
        with limited(websocket, GOODBYE_SECONDS):
            await websocket.send(encode(Goodbye(reason=reason, again=again)), text=True)
            await websocket.close(POLICY_VIOLATION, shorten(reason))
    except ConnectionClosed:
        log.debug("= %s left before it received: %s", peer(websocket), reason)


def _check_scopes(bearer: Bearer) -> None:
    kinds = {"agent" if scope.startswith("agent:") else scope for scope in bearer.scopes}
    if "operator" in kinds:
        kinds.discard("observer")
    if len(kinds) != 1:
        raise AdmissionError(403, "scope", "A token is for an agent, an operator or joining; not for several of them.")


def _read_details(raw: str | bytes, bearer: Bearer) -> tuple[Register | Operator, str]:
    """Decode a registration and the name that it is for. Raises AdmissionError, or the decoding error."""
    if _operating(bearer):
        message = decode_from_operator(raw)
        if not isinstance(message, RegisterOperator):
            raise msgspec.ValidationError(f"expected register_operator, not {type(message).__name__}")
        return Operator(bearer.sub, message.host, message.version), bearer.sub
    details = decode_from_agent(raw)
    if not isinstance(details, Register):
        raise msgspec.ValidationError(f"expected register, not {type(details).__name__}")
    if bearer.invitation is not None:
        if details.role != bearer.role:
            raise AdmissionError(403, "role", f"The invitation is for the role {bearer.role}, not {details.role}.")
        if not details.name:
            raise AdmissionError(403, "name", "A name is needed to join by invitation.")
        return details, details.name
    if f"agent:{details.role}" not in bearer.scopes:
        raise AdmissionError(403, "role", f"The token's scope does not allow the role {details.role}.")
    return details, bearer.sub


def _operating(bearer: Bearer) -> bool:
    return "operator" in bearer.scopes or "observer" in bearer.scopes


def _authorization(request: Request) -> str | None:
    found = request.headers.get_all("Authorization")
    if len(found) > 1:
        raise AdmissionError(401, "no_token", "There is more than one Authorization header.")
    return found[0] if found else None


def _no_subprotocol() -> AdmissionError:
    return AdmissionError(426, "subprotocol", f"Offer the subprotocol {SUBPROTOCOL}; nothing else is spoken here.")
