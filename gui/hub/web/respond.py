"""Answers to a browser, with what holds it to the page: nothing inline or from elsewhere, no frames, no copies."""

from __future__ import annotations

from http import HTTPStatus

from gui.hub.pages import Page

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
) -> Page:
    """An answer. `location`: where the browser goes next; only ever an address of ours or the provider's."""
    headers = [
        ("Cache-Control", cache),
        ("Content-Security-Policy", policy(origin)),
        ("X-Frame-Options", "DENY"),
        ("Referrer-Policy", "no-referrer"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        *(("Set-Cookie", cookie) for cookie in cookies),
    ]
    if location:
        headers.append(("Location", location))
    return Page(body, kind, status.value, tuple(headers))


def page(status: HTTPStatus, body: bytes, origin: str, *, cookies: tuple[str, ...] = ()) -> Page:
    """A page."""
    return respond(status, body, "text/html; charset=utf-8", origin, cookies=cookies)


def go(location: str, origin: str, *, cookies: tuple[str, ...] = ()) -> Page:
    """Send the browser elsewhere, with GET."""
    return respond(HTTPStatus.SEE_OTHER, b"", "text/plain; charset=utf-8", origin, cookies=cookies, location=location)
