"""A browser without a screen, spoken for by hand: what a hub answers, word for word, and what it lets one keep."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit


@dataclass
class Answer:
    """What a hub answered to a browser."""

    status: int
    headers: list[tuple[str, str]]
    body: str

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    @property
    def cookies(self) -> dict[str, str]:
        """Names and values of the cookies that it sets."""
        set_ones = [value for key, value in self.headers if key.lower() == "set-cookie"]
        return dict(one.split(";")[0].split("=", 1) for one in set_ones)


@dataclass
class Browser:
    """A browser without a screen: it keeps cookies, and follows nothing by itself."""

    place: Any
    cookies: dict[str, str] = field(default_factory=dict)
    origin: str = ""

    async def get(self, target: str, **headers: str) -> Answer:
        """GET at the hub; `headers` with ``_`` for ``-``."""
        host = urlsplit(self.place.hub.local_address).netloc
        given = {"Host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if self.cookies and "Cookie" not in given:
            given["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        reader, writer = await asyncio.open_connection("127.0.0.1", self.place.hub.port)
        lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items()), "", ""]
        writer.write("\r\n".join(lines).encode())
        async with asyncio.timeout(60):
            raw = await reader.read()
        writer.close()
        answer = _parsed(raw)
        for name, value in answer.cookies.items():
            self.cookies[name] = value
            if not value:
                del self.cookies[name]
        return answer

    async def sign_in(self, to: str = "/") -> Answer:
        """The whole way through the provider; the hub's last answer."""
        begun = await self.get(f"/signin/start?to={to}")
        assert begun.status == 303, begun
        return await self.get(await self.at_provider(begun.header("Location")))

    async def at_provider(self, location: str) -> str:
        """The path with which the provider sends the browser back to the hub."""
        parts = urlsplit(location)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        target = f"{parts.path}?{parts.query}"
        writer.write(f"GET {target} HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n".encode())
        answer = _parsed(await reader.read())
        writer.close()
        back = urlsplit(answer.header("Location"))
        return f"{back.path}?{back.query}"


def _parsed(raw: bytes) -> Answer:
    head, _, body = raw.decode().partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    pairs = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    return Answer(int(first.split()[1]), pairs, body)
