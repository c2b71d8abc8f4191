"""Plain GETs on the hub's port: pages by path, and how the hub is."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gui.hub.pages import Page, Pages, Visit


async def ask(place: Any, text: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the answer to this request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", place.hub.port)
    try:
        writer.write(text.encode())
        async with asyncio.timeout(60):
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
        await writer.wait_closed()
    first, *rest = head.decode().split("\r\n")
    return int(first.split()[1]), dict(line.split(": ", 1) for line in rest), body


async def get(place: Any, target: str, headers: str = "") -> tuple[int, dict[str, str], bytes]:
    return await ask(place, f"GET {target} HTTP/1.1\r\nHost: h\r\n{headers}\r\n")


async def test_a_page_is_found_by_its_path_and_may_take_its_time(place: Any) -> None:
    async def slow(visit: Visit) -> Page:
        await asyncio.sleep(0)
        return Page(repr((visit.path, dict(visit.query), visit.address, visit.headers["X-A"])).encode())

    place.hub.pages.add("/here", slow)
    place.hub.pages.add("/below/", lambda visit: Page(visit.path.encode(), status=404, headers=(("X-B", "b"),)))
    status, headers, body = await get(place, "/here?a=1&a=2&b=", "X-A: y\r\n")
    assert (status, body) == (200, b"('/here', {'a': ['1', '2'], 'b': ['']}, '127.0.0.1', 'y')")
    assert headers["Content-Length"] == str(len(body))
    status, headers, body = await get(place, "/below/a%20b/c")
    assert (status, headers["X-B"], body) == (404, "b", b"/below/a b/c")
    assert (await get(place, "/her"))[0] == 404
    assert (await get(place, "/below"))[0] == 404


async def test_a_page_that_fails_is_a_500_and_harms_nobody(place: Any, caplog: Any) -> None:
    def fails(_: Visit) -> Page:
        raise RuntimeError("secret")

    place.hub.pages.add("/fails", fails)
    status, _, body = await get(place, "/fails")
    assert (status, body) == (500, b"Internal error of the hub; see its log.\n")
    assert "/fails cannot be answered" in caplog.text
    caplog.clear()
    await place.join("c1")


def test_each_path_has_one_handler_and_the_longest_prefix_wins() -> None:
    pages = Pages()

    def page(body: bytes) -> Any:
        return lambda _: Page(body)

    for path in ("/", "/a/", "/a/b/"):
        pages.add(path, page(path.encode()))
    with pytest.raises(ValueError, match="/a/ has a handler already"):
        pages.add("/a/", lambda _: Page(b""))
    assert [pages.find(path) is not None for path in ("/", "/x", "/a/x", "/a")] == [True, False, True, False]
    found: Any = pages.find("/a/b/c")
    assert found(None).body == b"/a/b/"


async def test_head_has_no_body_and_other_methods_are_refused(place: Any) -> None:
    status, headers, body = await ask(place, "HEAD /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
    assert (status, headers["Content-Length"], body) == (200, "13", b"")
    for target in ("POST /healthz", "PUT /register", "HEAD /register", "OPTIONS *"):
        status, headers, _ = await ask(place, f"{target} HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
        assert (status, headers["Allow"]) == (405, "GET, HEAD")


async def test_health_says_whether_and_not_why(place: Any) -> None:
    status, headers, body = await get(place, "/healthz")
    assert (status, headers["Content-Type"], body) == (200, "application/json", b'{"ok": true}\n')
    place.store.broken = OSError("disk /srv/secret is full")
    assert (await place.refused("/register", f"Bearer {place.token()}"))[0] == 503
    assert await get(place, "/healthz") == (503, {**headers, "Content-Length": "14"}, b'{"ok": false}\n')
    place.store.broken = None
    await place.join("c1")
    await place.until(lambda: not place.hub.health.problems())
    assert (await get(place, "/healthz"))[0] == 200
    assert place.heard.problems[-1].endswith(": "), "and that the trouble is over is told"
