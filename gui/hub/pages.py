"""What the hub's port answers to a plain GET: pages by path. All else there is a websocket, or refused by `gate`.

    hub.pages.add("/healthz", answer)      # answer(visit) -> Page, or a coroutine that returns one

A handler runs in the event loop within websockets' time limit for a request (10 s), so it must not block; what it
raises is logged and answered with 500. A prefix (``/static/``) answers for every path below it. HEAD gets the headers
of the page, and other methods a 405.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qs, unquote, urlsplit

from websockets.datastructures import Headers
from websockets.http11 import Request, Response

log = logging.getLogger("tally.hub")


@dataclass(frozen=True, slots=True)
class Visit:
    """A GET: `path` is decoded and without the query; `address` is the other side's, without its port."""

    path: str
    query: Mapping[str, list[str]]
    headers: Headers
    address: str


@dataclass(frozen=True, slots=True)
class Page:
    """An answer. `headers` come beside Content-Type, Content-Length and Connection."""

    body: bytes
    kind: str = "text/plain; charset=utf-8"
    status: int = 200
    headers: tuple[tuple[str, str], ...] = field(default=())

    def response(self, *, head: bool = False) -> Response:
        """As websockets sends it; the connection ends with it. `head`: without the body."""
        status = HTTPStatus(self.status)
        headers = Headers(
            [
                ("Content-Type", self.kind),
                ("Content-Length", str(len(self.body))),
                ("Connection", "close"),
                ("X-Content-Type-Options", "nosniff"),
                *self.headers,
            ]
        )
        return Response(status.value, status.phrase, headers, b"" if head else self.body)


Handler = Callable[[Visit], Page | Awaitable[Page]]


class Pages:
    """Handlers by path."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}

    def add(self, path: str, handler: Handler) -> None:
        """Let `handler` answer for this path; for all below it if it ends with a slash and is not ``/``."""
        if path in self._handlers:
            raise ValueError(f"{path} has a handler already")
        self._handlers[path] = handler

    def find(self, path: str) -> Handler | None:
        """The handler for the path of a request."""
        found = self._handlers.get(path)
        if found is None:
            prefixes = (one for one in self._handlers if one.endswith("/") and one != "/" and path.startswith(one))
            found = self._handlers.get(max(prefixes, key=len, default=""))
        return found

    async def answer(self, request: Request, address: str) -> Response | None:
        """The answer to a request that is for a page; None for others."""
        parts = urlsplit(request.path)
        handler = self.find(parts.path)
        method = getattr(request, "method", "GET")  # websockets before 17 takes no other
        if method != "GET" and not (method == "HEAD" and handler is not None):
            return Page(b"Only GET is answered here.\n", status=405, headers=(("Allow", "GET, HEAD"),)).response()
        if handler is None:
            return None
        visit = Visit(unquote(parts.path), parse_qs(parts.query, keep_blank_values=True), request.headers, address)
        try:
            page = handler(visit)
            if inspect.isawaitable(page):
                page = await page
        except Exception:
            log.exception("! %s cannot be answered", parts.path)
            page = Page(b"Internal error of the hub; see its log.\n", status=500)
        return page.response(head=method == "HEAD")
