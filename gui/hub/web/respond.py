"""Responses to a browser, with what holds it to the page: nothing inline or from elsewhere, no frames, no copies."""

from __future__ import annotations

from email.utils import formatdate
from http import HTTPStatus

from websockets.datastructures import Headers
from websockets.http11 import Response

FOR_EVER = "public, max-age=31536000, immutable"


def policy(origin: str) -> str:
    """The content security policy of a page at this origin (``https://HOST:PORT``)."""
    socket = origin.replace("http", "ws", 1)
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'; "
        f"connect-src 'self' {socket}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types tally"
    )


def respond(
    status: HTTPStatus,
    body: bytes,
    kind: str,
    origin: str,
    *,
    cache: str = "no-store",
    cookies: tuple[str, ...] = (),
    location: str = "",
) -> Response:
    """A response. `location`: where the browser goes next; only ever an address of ours or the provider's."""
    headers = Headers(
        [
            ("Date", formatdate(usegmt=True)),
            ("Connection", "close"),
            ("Content-Type", kind),
            ("Content-Length", str(len(body))),
            ("Cache-Control", cache),
            ("Content-Security-Policy", policy(origin)),
            ("X-Frame-Options", "DENY"),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            *(("Set-Cookie", cookie) for cookie in cookies),
        ]
    )
    if location:
        headers["Location"] = location
    return Response(status.value, status.phrase, headers, body)


def page(status: HTTPStatus, body: bytes, origin: str, *, cookies: tuple[str, ...] = ()) -> Response:
    """A page."""
    return respond(status, body, "text/html; charset=utf-8", origin, cookies=cookies)


def go(location: str, origin: str, *, cookies: tuple[str, ...] = ()) -> Response:
    """Send the browser elsewhere, with GET."""
    status = HTTPStatus.SEE_OTHER
    return respond(status, b"", "text/plain; charset=utf-8", origin, cookies=cookies, location=location)
