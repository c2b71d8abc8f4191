"""Debian's Chromium, headless, driven over its DevTools protocol: what a person would see and do in a real browser.

    async with Chromium(pin="sha256:…") as chromium:
        page = await chromium.page(1440, 900, dark=True)
        await page.go("https://127.0.0.1:8765/")

The protocol is JSON over a websocket, and `websockets` is there; no other driver is needed. `pin`: the one key that is
trusted without an authority, as a person would who has compared it. The process is ended by its pid, children too."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect

START_SECONDS = 120.0
"""For a machine that does much else."""


class PageError(Exception):
    """What was asked of a page cannot be done."""


class Chromium:
    """A browser with a profile of its own."""

    def __init__(self, pin: str = "") -> None:
        self._pin = pin
        self._profile = tempfile.TemporaryDirectory(prefix="tally-chromium-", ignore_cleanup_errors=True)
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: ClientConnection | None = None
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._pages: dict[str, Page] = {}
        self._last = 0
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        found = shutil.which("chromium")
        if found is None:
            raise PageError("Chromium is not installed: apt-get install chromium")
        command = [
            found, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
            "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
            "--no-proxy-server", "--force-color-profile=srgb", "--remote-debugging-port=0",
            f"--user-data-dir={self._profile.name}",
        ]  # fmt: skip
        if self._pin:
            digest = base64.b64encode(bytes.fromhex(self._pin.removeprefix("sha256:"))).decode()
            command.append(f"--ignore-certificate-errors-spki-list={digest}")
        self._process = subprocess.Popen(  # noqa: ASYNC220 - it returns at once, and may outlive this task
            [*command, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        file = Path(self._profile.name) / "DevToolsActivePort"
        async with asyncio.timeout(START_SECONDS):
            while not file.exists() or len(file.read_text().split()) < 2:
                if self._process.poll() is not None:
                    raise PageError(f"Chromium has ended with {self._process.returncode}.")
                await asyncio.sleep(0.05)
        port, path = file.read_text().split()
        address = f"ws://127.0.0.1:{port}{path}"
        self._socket = await connect(address, max_size=None, proxy=None, ping_interval=None, open_timeout=60)
        self._reading = asyncio.get_running_loop().create_task(self._read(), name="answers of Chromium")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # its own group: it and its children
        await asyncio.to_thread(self._process.wait)
        self._profile.cleanup()

    async def ask(self, method: str, session: str = "", **parameters: Any) -> Any:
        """A command of the protocol; its result."""
        assert self._socket is not None
        self._last += 1
        number, answer = self._last, asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        message = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        await self._socket.send(json.dumps(message))
        async with asyncio.timeout(START_SECONDS):
            return await answer

    async def page(
        self, width: int = 1440, height: int = 900, *, dark: bool = False, phone: bool = False, private: bool = False
    ) -> Page:
        """A new page of this size. `phone`: with a touch screen, at twice the resolution; `private`: with cookies of
        its own, as another browser."""
        context = (
            {"browserContextId": (await self.ask("Target.createBrowserContext"))["browserContextId"]} if private else {}
        )
        target = (await self.ask("Target.createTarget", url="about:blank", **context))["targetId"]
        session = (await self.ask("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        page = self._pages[session] = Page(self, session)
        for domain in ("Page", "Runtime", "Network", "Log"):
            await page.ask(f"{domain}.enable")
        await page.ask("Emulation.setDeviceMetricsOverride", width=width, height=height,
                       deviceScaleFactor=2 if phone else 1, mobile=phone)  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await page.ask("Emulation.setEmulatedMedia", features=[scheme])
        return page

    async def _read(self) -> None:
        assert self._socket is not None
        async for raw in self._socket:
            message = json.loads(raw)
            if "id" in message:
                answer = self._answers.pop(message["id"], None)
                if answer is not None and not answer.done():
                    error = message.get("error")
                    answer.set_exception(PageError(str(error))) if error else answer.set_result(message["result"])
            elif message.get("sessionId") in self._pages:
                self._pages[message["sessionId"]].happened(message["method"], message["params"])


class Page:
    """A page. `complaints`: what its console says of errors and of what the policy forbids."""

    def __init__(self, browser: Chromium, session: str) -> None:
        self._browser = browser
        self._session = session
        self.complaints: list[str] = []
        self.on_request: Callable[[str], object] = lambda _url: None
        """Called with the address of each request."""

    def happened(self, method: str, parameters: dict[str, Any]) -> None:
        """Write down what the browser tells by itself."""
        match method:
            case "Log.entryAdded" if parameters["entry"]["level"] == "error":
                self.complaints.append(parameters["entry"]["text"])
            case "Runtime.exceptionThrown":
                self.complaints.append(str(parameters["exceptionDetails"]))
            case "Network.requestWillBeSent":
                self.on_request(parameters["request"]["url"])

    async def ask(self, method: str, **parameters: Any) -> Any:
        """A command of the protocol for this page."""
        return await self._browser.ask(method, self._session, **parameters)

    async def go(self, url: str) -> None:
        """Open an address, and wait until it is loaded. Raises PageError."""
        answer = await self.ask("Page.navigate", url=url)
        if answer.get("errorText"):
            raise PageError(f"{url}: {answer['errorText']}")
        await self.until("document.readyState === 'complete'")

    async def run(self, script: str) -> Any:
        """The value of an expression (or of its promise) in the page. Raises PageError with what it threw."""
        answer = await self.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise PageError(str(details.get("exception", {}).get("description", details)))
        return answer["result"].get("value")

    async def until(self, condition: str, seconds: float = 180.0) -> None:
        """Wait for an expression to become true, also while the page changes its address."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    try:
                        if await self.run(f"!!({condition})"):
                            return
                    except PageError:
                        pass  # between two pages there is nothing to run it in
                    await asyncio.sleep(0.05)
        except TimeoutError:
            shown = await self.run("location.href + '\\n' + document.body.innerText")
            raise PageError(f"never came true: {condition}\n{shown}") from None

    async def text(self) -> str:
        """All that can be read."""
        return str(await self.run("document.body.innerText"))

    async def read(self, words: str) -> str:
        """The page as HTML, also where no script may run, when it has these words."""
        async with asyncio.timeout(START_SECONDS):
            while True:
                try:
                    root = (await self.ask("DOM.getDocument", depth=0))["root"]["nodeId"]
                    text = str((await self.ask("DOM.getOuterHTML", nodeId=root))["outerHTML"])
                    if words in text:
                        return text
                except PageError:
                    pass  # the page has changed in between
                await asyncio.sleep(0.05)

    async def click(self, selector: str) -> None:
        """Click with the mouse on the first element of this selector."""
        place = await self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView();"
            " const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.ask("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)

    async def cookies(self) -> dict[str, dict[str, Any]]:
        """The cookies that the browser would send here, with all that it knows of them."""
        return {one["name"]: one for one in (await self.ask("Network.getCookies"))["cookies"]}

    async def screenshot(self, file: Path, *, whole: bool = False) -> None:
        """A picture of what is shown; `whole`: with what is below."""
        shot = await self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(shot["data"]))
