"""The door for people: their browsers' requests, and the websockets of pages and of programs that sign in.

A browser's cookie is looked at here only, and the gate takes tokens only: neither opens anything of the other's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from urllib.parse import urlsplit

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from gui.hub.gate import Admitted, peer
from gui.hub.keyring import Keyring
from gui.hub.pages import Page, Pages, Visit
from gui.hub.persistence import SignIn
from gui.hub.refusals import Refusals
from gui.hub.signin.device import DeviceDoor
from gui.hub.signin.fetch import ProviderAwayError, ProviderError
from gui.hub.signin.people import NoSignInError, NotAllowedError, People
from gui.hub.signin.waiting import WAIT_SECONDS, Begun, TooManyError, Waiting
from gui.hub.tokens import AdmissionError, read_authorization
from gui.hub.web import frames
from gui.hub.web.assets import ROOT, assets
from gui.hub.web.board import Board
from gui.hub.web.cookies import BEGUN, SESSION, cookie, no_cookie, read_cookie, sign_out_key
from gui.hub.web.respond import FOR_EVER, go, page, respond
from gui.hub.web.watch import Watchers

log = logging.getLogger("tally.hub")

PAGES = ("/", "/runs")
"""What a browser may come back to after it has signed in: these and nothing else."""
PROVIDER_SECONDS = 8.0
"""Below the time in which a connection has to be opened, so that a slow provider has its sentence."""


class Door:
    """See the module. `address`: the hub's, ``wss://HOST:PORT``, as browsers reach it."""

    def __init__(
        self,
        people: People,
        keyring: Keyring,
        refusals: Refusals,
        board: Board,
        watchers: Watchers,
        *,
        address: Callable[[], str],
        clock: Callable[[], float],
    ) -> None:
        self._people = people
        self._keyring = keyring
        self._refusals = refusals
        self._board = board
        self._watchers = watchers
        self._device = DeviceDoor(people, refusals)
        self._address = address
        self._clock = clock
        self._waiting = Waiting()

    @property
    def origin(self) -> str:
        """``https://HOST[:PORT]``: the origin of the page, as browsers write it."""
        parts = urlsplit(self._address().replace("ws", "http", 1))
        usual = {"https": 443, "http": 80}[parts.scheme]
        return f"{parts.scheme}://{parts.netloc.removesuffix(f':{usual}')}".lower()

    # ---- requests

    def add_to(self, pages: Pages) -> None:
        """Answer for the pages of people."""
        for path in PAGES:
            pages.add(path, self._page)
        pages.add("/signin/start", self._start)
        pages.add("/signin/back", self._back)
        pages.add("/signout", self._sign_out)
        pages.add(ROOT, lambda visit: self._asset(visit.path))
        pages.add("/favicon.ico", lambda _visit: self._asset(f"{ROOT}{assets().version}/icon.svg"))

    def admit(self, connection: Admitted, request: Request) -> tuple[bool, Response | None]:
        """Whether the request is for a websocket of ours, and the refusal, if any; one that opens has its `caller`."""
        path, address = urlsplit(request.path).path, peer(connection)
        if request.headers.get_all("Upgrade") and path == "/watch":
            return True, self._admit_page(connection, request, address)
        if request.headers.get_all("Upgrade") and path == "/signin":
            return True, self._admit_program(connection, request, address)
        return False, None

    def _asset(self, path: str) -> Page:
        found = assets().find(path)
        if found is None:
            return respond(HTTPStatus.NOT_FOUND, b"There is no such file.\n", "text/plain", self.origin)
        return respond(HTTPStatus.OK, found.body, found.kind, self.origin, cache=FOR_EVER)

    def _visitor(self, headers: Headers) -> tuple[SignIn | None, str]:
        """Who has this cookie, and the cookie."""
        session = read_cookie(headers.get_all("Cookie"), SESSION)
        return (self._people.of_cookie(session) if session else None), session

    # ---- the page

    def _page(self, visit: Visit) -> Page:
        try:
            trust = self._people.needed()
        except NoSignInError as error:
            return page(HTTPStatus.NOT_FOUND, frames.closed(str(error)), self.origin)
        visitor, session = self._visitor(visit.headers)
        if visitor is None:
            gone = (no_cookie(SESSION),) if session else ()
            body = frames.sign_in(trust.options.title, f"/signin/start?to={visit.path}", again=bool(session))
            return page(HTTPStatus.UNAUTHORIZED, body, self.origin, cookies=gone)
        who = frames.Visitor(visitor.person.shown, trust.options.title, f"/signout?key={sign_out_key(session)}")
        self._board.look()
        body = frames.status(self._board, who) if visit.path == "/" else frames.runs(self._board, who)
        return page(HTTPStatus.OK, body, self.origin)

    def _admit_page(self, connection: Admitted, request: Request, address: str) -> Response | None:
        """A page's websocket. A browser tells which page opens it: no other site's may."""
        origins = request.headers.get_all("Origin")
        if [origin.lower() for origin in origins] != [self.origin]:
            text = f"A page of {_shown(origins)} tried to look at this hub."
            self._refusals.note(address, AdmissionError(403, "origin", text))
            return _refused(connection, HTTPStatus.FORBIDDEN, "Only this hub's own page may be live.")
        visitor, _ = self._visitor(request.headers)
        if visitor is None:
            return _refused(connection, HTTPStatus.UNAUTHORIZED, "Sign in first.")
        of_runs = urlsplit(request.path).query == "page=runs"
        names = frames.OF_RUNS if of_runs else frames.OF_STATUS
        connection.caller = partial(self._watchers.serve, sign_in=visitor, names=names)
        return None

    # ---- signing in with a browser

    async def _start(self, visit: Visit) -> Page:
        wanted = _query(visit).get("to", "/")
        path = wanted if wanted in PAGES else "/"
        if not self._is_here(visit.headers):  # elsewhere its cookie would not come back with it
            return go(f"{self.origin}/signin/start?to={path}", self.origin)
        try:
            trust = self._people.needed()
            begun = self._waiting.begin(visit.address, path, f"{self.origin}/signin/back", self._clock())
            async with asyncio.timeout(PROVIDER_SECONDS):
                location = await self._people.threads.run(trust.provider.authorize_address, begun.errand)
        except NoSignInError as error:
            return page(HTTPStatus.NOT_FOUND, frames.closed(str(error)), self.origin)
        except TooManyError as error:
            return self._failed(HTTPStatus.TOO_MANY_REQUESTS, str(error), path)
        except (ProviderError, TimeoutError) as error:
            return self._failed(HTTPStatus.BAD_GATEWAY, str(error) or "The provider does not answer in time.", path)
        return go(location, self.origin, cookies=(cookie(BEGUN, begun.binding, WAIT_SECONDS),))

    async def _back(self, visit: Visit) -> Page:
        """The browser is back from the provider. What is not its own sign-in, or was used before, is refused."""
        query, address = _query(visit), visit.address
        binding = read_cookie(visit.headers.get_all("Cookie"), BEGUN)
        begun = self._waiting.take(query.get("state", ""), binding, self._clock()) if binding else None
        if begun is None:
            text = "This sign-in was not begun in this browser, was used before, or took more than ten minutes."
            self._refusals.note(address, AdmissionError(403, "sign_in", text))
            return self._failed(HTTPStatus.BAD_REQUEST, text, "/")
        try:
            return await self._signed_in(begun, query, address)
        except (NoSignInError, NotAllowedError) as error:
            return page(HTTPStatus.FORBIDDEN, frames.not_allowed(str(error)), self.origin, cookies=(no_cookie(BEGUN),))
        except (ProviderError, TimeoutError) as error:
            text = str(error) or "The provider does not answer in time."
            away = isinstance(error, ProviderAwayError | TimeoutError)
            self._refusals.note(address, AdmissionError(403, "sign_in", text))
            return self._failed(HTTPStatus.BAD_GATEWAY if away else HTTPStatus.FORBIDDEN, text, begun.path)

    async def _signed_in(self, begun: Begun, query: dict[str, str], address: str) -> Page:
        trust = self._people.needed()
        if "error" in query or not query.get("code"):
            raise ProviderError(f"{trust.options.title} did not confirm the sign-in; nobody was signed in.")
        async with asyncio.timeout(PROVIDER_SECONDS):
            confirmed = await self._people.threads.run(trust.provider.redeem, query, begun.errand)
        granted = await self._people.welcome(confirmed, "page", address, address)
        kept = cookie(SESSION, f"{granted.key.kid}.{granted.secret}", granted.sign_in.ends - self._clock())
        return go(begun.path, self.origin, cookies=(kept, no_cookie(BEGUN)))

    async def _sign_out(self, visit: Visit) -> Page:
        visitor, session = self._visitor(visit.headers)
        if visitor is not None and _query(visit).get("key") != sign_out_key(session):
            return self._failed(HTTPStatus.FORBIDDEN, "To sign out, use the button on the page.", "/")
        if visitor is not None:
            await self._people.end(visitor.kid, "they signed out")
        return page(HTTPStatus.OK, frames.signed_out(), self.origin, cookies=(no_cookie(SESSION),))

    def _failed(self, status: HTTPStatus, text: str, path: str) -> Page:
        body = frames.failed(text, f"/signin/start?to={path}")
        return page(status, body, self.origin, cookies=(no_cookie(BEGUN),))

    def _is_here(self, headers: Headers) -> bool:
        hosts = headers.get_all("Host")
        return [host.lower() for host in hosts] == [urlsplit(self.origin).netloc]

    # ---- programs

    def _admit_program(self, connection: Admitted, request: Request, address: str) -> Response | None:
        """A program that signs in or out; a page cannot be one."""
        if request.headers.get_all("Origin"):
            return _refused(connection, HTTPStatus.FORBIDDEN, "Programs sign in here; a page goes to /signin/start.")
        bearer = None
        tokens = request.headers.get_all("Authorization")
        if tokens:
            try:
                bearer = read_authorization(tokens[0] if len(tokens) == 1 else "", self._keyring.book, self._clock())
            except AdmissionError as refusal:
                self._refusals.note(address, refusal)
                return _refused(connection, HTTPStatus(refusal.status), refusal.body(self._clock()))
        connection.caller = partial(self._device.serve, address=address, bearer=bearer)
        return None


def _query(visit: Visit) -> dict[str, str]:
    """What the address says, each name once; one that is said twice is not believed."""
    return {name: values[0] for name, values in visit.query.items() if len(values) == 1}


def _refused(connection: ServerConnection, status: HTTPStatus, text: str) -> Response:
    return connection.respond(status, f"{text}\n")


def _shown(origins: list[str]) -> str:
    return repr(origins[0][:200]) if len(origins) == 1 else f"{len(origins)} origins"
