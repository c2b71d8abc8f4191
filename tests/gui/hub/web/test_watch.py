"""The websocket of a page."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from websockets.exceptions import ConnectionClosed

from gui.hub.web import watch
from gui.hub.web.assets import assets
from gui.hub.web.markup import h
from tests.browsers import Browser


async def opened(hub: Any, browser: Browser) -> Any:
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    origin = f"http://127.0.0.1:{hub.hub.port}"
    return (await hub.open("/watch", additional={"Cookie": cookies, "Origin": origin})).socket


async def hear(socket: Any) -> dict[str, Any]:
    async with asyncio.timeout(60):
        return dict(msgspec.json.decode(await socket.recv()))


async def over(socket: Any) -> int:
    """The close code, when the hub has closed."""
    async with asyncio.timeout(60):
        try:
            while True:
                await socket.recv()
        except ConnectionClosed:
            return int(socket.close_code)


async def test_first_all_then_what_changes(hub: Any, browser: Browser) -> None:
    await browser.sign_in()
    hub.hub.board.publish({"run": h("b", "36 & more"), "fleet": h("p", "c1")})
    socket = await opened(hub, browser)
    first = await hear(socket)
    assert first["parts"] == {"run": "<b>36 &amp; more</b>", "fleet": "<p>c1</p>"}
    assert first["version"] == assets().version
    assert first["t"] == hub.clock.now
    assert (await hear(socket))["parts"] == {}  # a beat
    hub.hub.board.publish({"run": h("b", "37"), "fleet": h("p", "c1")})
    while not (news := await hear(socket))["parts"]:
        pass
    assert news["parts"] == {"run": "<b>37</b>"}


async def test_a_sign_out_closes_it_at_once(hub: Any, browser: Browser) -> None:
    await browser.sign_in()
    socket = await opened(hub, browser)
    await hear(socket)
    (kid,) = hub.store.sign_in_rows
    await hub.hub.people.end(kid, "they signed out")
    assert await over(socket) == watch.SIGNED_OUT


async def test_a_page_that_is_open_keeps_its_sign_in(hub: Any, browser: Browser) -> None:
    """A wall in a control room."""
    await browser.sign_in()
    socket = await opened(hub, browser)
    await hear(socket)
    (kid,) = hub.store.sign_in_rows
    for _ in range(4):
        hub.clock.advance(10 * 3600)
        await hub.hub.people.renew()
    assert hub.hub.people.good(kid)
    assert socket.close_code is None


async def test_whatever_it_says_is_too_much(hub: Any, browser: Browser) -> None:
    await browser.sign_in()
    socket = await opened(hub, browser)
    await socket.send('{"type": "command", "id": 1, "do": "abort"}')
    assert await over(socket) == 1008


async def test_one_sign_in_opens_ten_pages(hub: Any, browser: Browser) -> None:
    await browser.sign_in()
    sockets = [await opened(hub, browser) for _ in range(watch.MAX_OF_ONE)]
    for socket in sockets:
        await hear(socket)
    assert await over(await opened(hub, browser)) == watch.TOO_MANY


async def test_who_does_not_read_holds_nobody_up(hub: Any, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "SEND_SECONDS", 0.2)
    monkeypatch.setattr(watch, "PAUSE_SECONDS", 0.01)
    await browser.sign_in()
    stalled = await opened(hub, browser)
    stalled.transport.pause_reading()
    other = await opened(hub, browser)
    await hear(other)
    for number in range(200):
        hub.hub.board.publish({"run": h("p", f"{number}" + "x" * 200_000)})
        await hear(other)
        if len(hub.hub._front._watchers._open) == 1:
            break
    assert len(hub.hub._front._watchers._open) == 1


async def test_a_hub_that_stops_says_goodbye(hub: Any, browser: Browser) -> None:
    await browser.sign_in()
    socket = await opened(hub, browser)
    await hear(socket)
    await hub.hub._front.close("the hub is being stopped", code=1001)
    assert await over(socket) == 1001
