"""Sign-in for programs, on ``/signin``: the hub runs the device flow (RFC 8628) at the provider, and the program shows
its code. Sign-out comes to the same place. No wait on the program or the provider is without a limit."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable

import msgspec
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from agent.messages import Goodbye, Message, encode
from gui.hub.limits import GOODBYE_SECONDS, SEND_SECONDS, limited
from gui.hub.refusals import Refusals
from gui.hub.session import NORMAL, POLICY_VIOLATION, shorten
from gui.hub.signin.fetch import ProviderAwayError, ProviderError
from gui.hub.signin.messages import EnterCode, PersonalKey, SignedOut, SignIn, SignOut, decode_from_person
from gui.hub.signin.people import Granted, NoSignInError, NotAllowedError, People, Trust
from gui.hub.signin.provider import Confirmed, DeviceCode, NotYet
from gui.hub.tokens import AdmissionError, Bearer

log = logging.getLogger("tally.hub")

FIRST_SECONDS = 10.0
MAX_AT_ONCE = 64
MAX_OF_ONE = 8
"""Device flows under way, in all and from one address: each asks the provider every few seconds."""


class DeviceDoor:
    """Serves connections to ``/signin``."""

    def __init__(self, people: People, refusals: Refusals, sleep_unit: Callable[[], float] = lambda: 1.0) -> None:
        """`sleep_unit`: how long a second of the provider's interval is, for tests."""
        self._people = people
        self._refusals = refusals
        self._unit = sleep_unit
        self._of: Counter[str] = Counter()

    async def serve(self, websocket: ServerConnection, address: str, bearer: Bearer | None) -> None:
        """Serve a program from beginning to end; `bearer`: whose personal key signed its token."""
        try:
            async with asyncio.timeout(FIRST_SECONDS):
                message = decode_from_person(await websocket.recv())
        except TimeoutError:
            await _refuse(websocket, f"Nothing was asked within {FIRST_SECONDS:g} s.")
            return
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            await _refuse(websocket, f"The request could not be read: {str(error)[:300]}")
            return
        match message:
            case SignOut():
                await self._sign_out(websocket, bearer)
            case SignIn():
                await self._sign_in(websocket, address, message)

    async def _sign_out(self, websocket: ServerConnection, bearer: Bearer | None) -> None:
        if bearer is None:
            await _refuse(websocket, "To sign out, send a token that is signed with the personal key.")
            return
        if not await self._people.end(bearer.kid, "they signed out"):
            await _refuse(websocket, "This key belongs to no sign-in; whoever runs the hub can revoke it.")
            return
        await _say(websocket, SignedOut())
        await _close(websocket, "signed out")

    async def _sign_in(self, websocket: ServerConnection, address: str, asked: SignIn) -> None:
        if self._of.total() >= MAX_AT_ONCE or self._of[address] >= MAX_OF_ONE:
            await _refuse(websocket, "Too many sign-ins are under way; try again when one is done.")
            return
        self._of[address] += 1
        try:
            await self._flow(websocket, address, asked)
        except (NoSignInError, ProviderError) as error:
            self._refusals.note(address, AdmissionError(403, "sign_in", str(error)))
            await _refuse(websocket, str(error))
        except NotAllowedError as error:  # the record has it already
            await _refuse(websocket, str(error))
        finally:
            self._of[address] -= 1
            if not self._of[address]:
                del self._of[address]

    async def _flow(self, websocket: ServerConnection, address: str, asked: SignIn) -> None:
        trust = self._people.needed()
        code = await self._people.threads.run(trust.provider.start_device)
        shown = EnterCode(trust.options.title, code.code, code.address, code.whole, code.seconds)
        if not await _say(websocket, shown):
            return
        confirmed = await self._answer(websocket, trust, code)
        if confirmed is None:
            log.info("= %s left before it had signed in", address)
            return
        granted = await self._people.welcome(confirmed, "program", asked.host, address)
        if await _say(websocket, _personal_key(trust, granted)):
            await _close(websocket, "signed in")
        else:
            await self._people.end(granted.sign_in.kid, "the program was gone before it had its key")

    async def _answer(self, websocket: ServerConnection, trust: Trust, code: DeviceCode) -> Confirmed | None:
        """Whom the provider confirms; None when the program has left meanwhile."""
        interval, waited = code.interval, 0.0
        while waited < code.seconds:
            waited += interval
            try:
                async with asyncio.timeout(interval * self._unit()):
                    await websocket.wait_closed()
                return None
            except TimeoutError:
                pass  # it is still there
            try:
                answer = await self._people.threads.run(trust.provider.poll_device, code, interval)
            except ProviderAwayError as error:  # RFC 8628 section 3.5: a connection that fails is tried again, later
                log.warning("! a sign-in waits for its provider: %s", error)
                interval = min(2 * interval, 60.0)
                continue
            if isinstance(answer, Confirmed):
                return answer
            assert isinstance(answer, NotYet)
            interval = answer.interval
        raise ProviderError("The code was not entered in time; begin again.")


def _personal_key(trust: Trust, granted: Granted) -> PersonalKey:
    key, sign_in = granted.key, granted.sign_in
    return PersonalKey(
        kid=key.kid,
        secret=granted.secret,
        name=str(key.sub),
        scopes=list(key.scopes),
        expires=key.until or sign_in.ends,
        ends=sign_in.ends,
        login=sign_in.person.shown,
        provider=trust.options.title,
    )


async def _say(websocket: ServerConnection, message: Message) -> bool:
    """Send a message; False if the other side is gone or reads nothing, and the connection with it."""
    try:
        with limited(websocket, SEND_SECONDS):
            await websocket.send(encode(message), text=True)
    except ConnectionClosed:
        return False
    return True


async def _close(websocket: ServerConnection, reason: str, code: int = NORMAL) -> None:
    with limited(websocket, GOODBYE_SECONDS):
        await websocket.close(code, shorten(reason))


async def _refuse(websocket: ServerConnection, reason: str) -> None:
    if await _say(websocket, Goodbye(reason=reason, again=False)):
        await _close(websocket, reason, POLICY_VIOLATION)
