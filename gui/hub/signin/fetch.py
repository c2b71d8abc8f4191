"""HTTP to an identity provider: small requests, JSON answers, no redirects. Blocking; `Threads` keeps it off the loop.

Each answer has a size and a time limit, and a provider that never answers keeps no program from ending: its threads
are daemons.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import urlencode, urlsplit

from shoveler.values.addresses import is_loopback

T = TypeVar("T")
ANSWER_SECONDS = 8.0
STEP_SECONDS = 4.0
MAX_BYTES = 2**20
MAX_AT_ONCE = 8
AGENT = "tally"


class ProviderError(Exception):
    """The provider did not do what was asked; one sentence for the user, without secrets."""


class ProviderAwayError(ProviderError):
    """It cannot be reached, or is broken: this says nothing about anybody's sign-in."""


class RefusedError(ProviderError):
    """It does not confirm the person: the sign-in failed, or is over."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `value` is the decoded JSON; None if there was none."""

    status: int
    value: Any

    @property
    def fields(self) -> dict[str, Any]:
        """The JSON object; empty if it was anything else."""
        return self.value if isinstance(self.value, dict) else {}


class Http(Protocol):
    """How providers are spoken to. Raises ProviderAwayError."""

    def get(self, url: str, *, bearer: str = "", headers: Mapping[str, str] = ...) -> Answer: ...
    def post(self, url: str, form: Mapping[str, str], *, headers: Mapping[str, str] = ...) -> Answer: ...
    def delete(self, url: str, value: Mapping[str, str], *, headers: Mapping[str, str] = ...) -> Answer: ...


def check_address(url: str, what: str) -> str:
    """The address itself, if secrets may be sent there: https, or http on this machine. Raises ValueError."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        usable = parts.port != 0 and host and "@" not in parts.netloc and url.isprintable() and " " not in url
    except ValueError:
        usable, parts, host = False, urlsplit(""), ""
    if not usable or parts.fragment or not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))):
        raise ValueError(f"{what}: expected https://HOST, got {url[:200]!r}")
    return url


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would take secrets to an address that nobody has named; it is an answer like others, with no JSON."""

    def redirect_request(self, *_: Any) -> None:
        return None


@dataclass(frozen=True, slots=True)
class HttpClient:
    """`Http` over the network. `ca_file`: CA certificates to trust; None: the system's."""

    ca_file: Path | None = None
    _opener: list[urllib.request.OpenerDirector] = field(default_factory=list, repr=False, compare=False)

    def get(self, url: str, *, bearer: str = "", headers: Mapping[str, str] = {}) -> Answer:
        given = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        return self._ask("GET", url, None, {**given, **headers})

    def post(self, url: str, form: Mapping[str, str], *, headers: Mapping[str, str] = {}) -> Answer:
        return self._ask("POST", url, urlencode(form).encode(), headers)

    def delete(self, url: str, value: Mapping[str, str], *, headers: Mapping[str, str] = {}) -> Answer:
        return self._ask("DELETE", url, json.dumps(value).encode(), {"Content-Type": "application/json", **headers})

    def _ask(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        where = urlsplit(url).netloc if url.isprintable() else "the provider"
        try:
            check_address(url, "the address")
            request = urllib.request.Request(url, body, {**_HEADERS, **headers}, method=method)  # noqa: S310 - checked
            with self._open(request) as answer:
                return Answer(answer.status, _decoded(_read(answer)))
        except urllib.error.HTTPError as error:
            return self._told(where, error)
        except urllib.error.URLError as error:
            raise ProviderAwayError(f"{where} cannot be reached: {error.reason}.") from error
        except (OSError, HTTPException, ValueError) as error:
            raise ProviderAwayError(f"{where} does not answer as it should: {str(error) or 'no answer'}.") from error

    @staticmethod
    def _told(where: str, error: urllib.error.HTTPError) -> Answer:
        """An answer with another status than 200 is an answer as well."""
        try:
            with error:
                return Answer(error.code, _decoded(_read(error)))
        except (OSError, HTTPException, ValueError) as broken:
            raise ProviderAwayError(f"{where} does not answer as it should: {broken}.") from broken

    def _open(self, request: urllib.request.Request) -> Any:
        if not self._opener:
            context = ssl.create_default_context(cafile=str(self.ca_file) if self.ca_file else None)
            https = urllib.request.HTTPSHandler(context=context)
            self._opener.append(urllib.request.build_opener(https, _NoRedirects))
        return self._opener[0].open(request, timeout=STEP_SECONDS)


_HEADERS = {"Accept": "application/json", "User-Agent": AGENT}


def _read(answer: Any) -> bytes:
    """The body, within the limits of size and time: a sender may take long over each byte."""
    until, parts, size = time.monotonic() + ANSWER_SECONDS, [], 0
    while part := answer.read1(65536) if hasattr(answer, "read1") else answer.read(65536):
        size += len(part)
        if size > MAX_BYTES:
            raise ValueError(f"its answer has more than {MAX_BYTES:,} bytes")
        if time.monotonic() > until:
            raise ValueError(f"its answer takes more than {ANSWER_SECONDS:g} s")
        parts.append(part)
    return b"".join(parts)


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except (ValueError, RecursionError):
        return None


class Threads:
    """Runs blocking calls, so many at once; the others wait for their turn."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(MAX_AT_ONCE)

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """The function's result, or what it raised. When the caller is cancelled, the thread ends by itself."""
        async with self._free:
            loop = asyncio.get_running_loop()
            done: asyncio.Future[T] = loop.create_future()

            def tell(result: T | None, error: BaseException | None) -> None:
                if done.done():
                    return
                if error is not None:
                    done.set_exception(error)
                else:
                    done.set_result(result)  # type: ignore[arg-type]  # None only where T has it

            def work() -> None:
                result, failure = None, None
                try:
                    result = function(*arguments)
                except Exception as error:  # noqa: BLE001 - handed to the caller
                    failure = error
                try:
                    loop.call_soon_threadsafe(tell, result, failure)
                except RuntimeError:
                    pass  # the loop has ended, and with it whoever asked

            threading.Thread(target=work, name="sign-in provider", daemon=True).start()
            return await done
