"""HTTP exchanges with libcurl: one request and its answer, with time limits, times of its phases, and redirections.

libcurl's behaviour, and how this module deals with it:

- A handle keeps its connections between exchanges (`reset` leaves them), so a `Line` has one connection to each server
  that it was sent to. A connection that the server has closed meanwhile is replaced silently, before anything was sent.
- Its limit of a whole transfer would make the size of a file a matter of time. So the connect has a limit, and each
  wait for more bytes: less than a byte a second for that long ends the exchange.
- An exception in a callback is printed and lost. So callbacks keep theirs, and `exchange` raises it.
- It reads proxies from the environment. None is used, as with the XRootD client: the monitoring must see this client.
- Redirections are followed here, not by libcurl, which sends a token to any host, or to none but the first.
"""

from __future__ import annotations

import importlib
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from agent.messages import HTTP, Phases
from agent.workloads.address import reach
from agent.workloads.answers import Answers
from agent.workloads.outcome import FailedError, StoppedError

MISSING: Final = (
    'libcurl for Python is not installed; install it with: pip install "xrootd-tally[http]" '
    "(or the package python3-pycurl), then start the agent again."
)
REDIRECTS: Final = 5
"""How often one request may be sent elsewhere."""
MOVED: Final = (301, 302, 303, 307, 308)
BUFFER: Final = 512 * 1024
"""Bytes of an answer that are taken at once, at most."""
SAID: Final = 300
"""Characters of an error page that are shown."""
BUNDLES: Final = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
GRID: Final = "/etc/grid-security/certificates"
"""Where grid sites keep the authorities that they trust."""


class MissingCurlError(Exception):
    """The package pycurl is missing; the text says what to install."""


def load_curl() -> Any:
    """The module pycurl. Raises MissingCurlError."""
    try:
        return importlib.import_module("pycurl")
    except ImportError as error:
        raise MissingCurlError(MISSING) from error


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose certificates are accepted: a file (PEM) and a directory of hashed names; "" is none. With it, the client's
    own certificate and key, as files."""

    file: str
    directory: str
    cert: str = ""
    key: str = ""


def trust_of_machine() -> Trust:
    """The authorities that this machine trusts: its own, and those of the grid (or of ``X509_CERT_DIR``)."""
    directory = os.environ.get("X509_CERT_DIR", GRID)
    bundle = next((name for name in BUNDLES if Path(name).is_file()), "")
    return Trust(bundle, directory if Path(directory).is_dir() else "")


@dataclass(slots=True)
class Reply:
    """An answer. Names of headers are in lower case; `place` is the HOST:PORT that gave it."""

    place: str
    status: int = 0
    reason: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    phases: Phases = field(default_factory=Phases)
    said: bytes = b""
    """The beginning of the body of an answer that is not a success."""

    @property
    def ok(self) -> bool:
        """Whether the request was done."""
        return 200 <= self.status < 300

    @property
    def length(self) -> int | None:
        """How long its body is, if it says so."""
        text = self.headers.get("content-length", "")
        return int(text) if text.isascii() and text.isdecimal() else None

    def sentence(self) -> str:
        """What was answered, for people: ``403 Forbidden: permission denied``."""
        said = " ".join(self.said.decode("utf-8", "replace").split())[:SAID]
        return f"{self.status} {self.reason}".strip() + (f": {said}" if said else "")


@dataclass(slots=True)
class Errand:
    """One request. `begun` is called when an answer of success begins, `take` with each piece of its body; `give`
    returns at most so many bytes of what is to be sent, of which there are `size` in all; it is called with 0 to begin
    (again)."""

    doing: str
    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    begun: Callable[[Reply], None] = lambda _: None
    take: Callable[[bytes], None] = lambda _: None
    give: Callable[[int], bytes] | None = None
    size: int = 0


class Line:
    """The connections of one session tag. Used by one thread at a time."""

    def __init__(
        self,
        curl: Any,
        agent: str,
        trust: Trust,
        timeout: float,
        answers: Answers,
        *,
        whole: float = 0.0,
        token: Callable[[], str] = str,
    ) -> None:
        """`curl` is the module; `agent` the User-Agent; `timeout` (seconds) limits the connect, and each wait; `whole`
        a whole exchange (0: nothing does). `token` gives the bearer token to use, which is sent over https only."""
        self._curl = curl
        self._handle = curl.Curl()
        self._agent = agent
        self._trust = trust
        self._timeout = timeout
        self._whole = whole
        self._token = token
        self._answers = answers

    def close(self) -> None:
        """Close its connections."""
        self._handle.close()

    def exchange(self, errand: Errand, server: str, stop: threading.Event | None = None) -> Reply:
        """Make the request, where redirections lead, and return the answer, whatever its status. `server` is the name
        that `answers` has for whom we wait.

        Raises FailedError without an answer, StoppedError when `stop` was set meanwhile, and what a callback raised."""
        began = time.monotonic()
        url, spent = errand.url, Phases()
        for _ in range(REDIRECTS + 1):
            hop = _Hop(errand, url, began, stop, self._answers)
            self._perform(hop, server)
            reply = hop.reply
            reply.phases = spent = _sum(spent, reply.phases)
            if reply.status not in MOVED:
                return reply
            url = _target(url, reply)
        raise FailedError(f"{errand.doing}: it was redirected more than {REDIRECTS} times, at last to {_shown(url)}.")

    def _perform(self, hop: _Hop, server: str) -> None:
        curl, handle, thread = self._curl, self._handle, threading.get_ident()
        handle.reset()
        self._set_up(hop)
        answered = False
        self._answers.begin(thread, server, hop.errand.doing, time.monotonic())
        try:
            handle.perform()
            answered = True
        except curl.error as error:
            answered = bool(hop.reply.status)
            if hop.raised is not None:
                raise hop.raised from None
            raise FailedError(f"{hop.errand.doing}: {self._reason(error, hop)}", hop.reply.status) from error
        finally:
            self._answers.end(thread, time.monotonic(), answered=answered)
        if hop.raised is not None:
            raise hop.raised
        hop.over()
        hop.reply.phases = self._phases(hop)

    def _set_up(self, hop: _Hop) -> None:
        curl, handle, errand = self._curl, self._handle, hop.errand
        seconds = max(1, round(self._timeout))
        secure = urlsplit(hop.url).scheme == "https"
        for option, value in (
            (curl.URL, hop.url),
            (curl.USERAGENT, self._agent),
            (curl.HTTP_VERSION, curl.CURL_HTTP_VERSION_1_1),
            (curl.NOSIGNAL, 1),
            (curl.PROXY, ""),
            (curl.BUFFERSIZE, BUFFER),
            (curl.CONNECTTIMEOUT_MS, round(1000 * max(self._timeout, 0.001))),
            (curl.LOW_SPEED_LIMIT, 1),
            (curl.LOW_SPEED_TIME, seconds),
            (curl.NOPROGRESS, 0),
            (curl.XFERINFOFUNCTION, hop.progress),
            (curl.HEADERFUNCTION, hop.header),
            (curl.WRITEFUNCTION, hop.body),
        ):
            handle.setopt(option, value)
        if self._whole:
            left = hop.began + self._whole - time.monotonic()
            handle.setopt(curl.TIMEOUT_MS, max(1, round(1000 * left)))
        if secure:
            self._secure()
        headers = dict(errand.headers)
        if secure and (token := self._token()):
            headers["Authorization"] = f"Bearer {token}"
        handle.setopt(curl.HTTPHEADER, [f"{name}: {value}" for name, value in headers.items()])
        if errand.method == "HEAD":
            handle.setopt(curl.NOBODY, 1)
        elif errand.give is not None:
            errand.give(0)
            handle.setopt(curl.UPLOAD, 1)
            handle.setopt(curl.INFILESIZE_LARGE, errand.size)
            handle.setopt(curl.READFUNCTION, hop.more)
            handle.setopt(curl.SEEKFUNCTION, hop.rewind)
        if errand.method not in ("GET", "HEAD", "PUT"):
            handle.setopt(curl.CUSTOMREQUEST, errand.method)

    def _secure(self) -> None:
        curl, handle = self._curl, self._handle
        if self._trust.file:
            handle.setopt(curl.CAINFO, self._trust.file)
        if self._trust.directory:
            handle.setopt(curl.CAPATH, self._trust.directory)
        if self._trust.cert:
            handle.setopt(curl.SSLCERT, self._trust.cert)
            handle.setopt(curl.SSLKEY, self._trust.key)

    def _phases(self, hop: _Hop) -> Phases:
        """The times of an exchange; a connection that was there already took none."""
        curl, get = self._curl, self._handle.getinfo
        if not get(curl.NUM_CONNECTS):
            return Phases(first=hop.first)
        name, connect, tls = (get(what) for what in (curl.NAMELOOKUP_TIME, curl.CONNECT_TIME, curl.APPCONNECT_TIME))
        return Phases(name, max(0.0, connect - name), max(0.0, tls - connect) if tls else 0.0, first=hop.first)

    def _reason(self, error: Any, hop: _Hop) -> str:
        """Why there is no whole answer, in the terms of the request rather than of libcurl."""
        code, text = error.args[0], " ".join(str(error.args[1]).split())
        if hop.got or hop.expected:
            of = f" of {hop.expected}" if hop.expected else ""
            where = f" after {hop.got}{of} bytes"
        else:
            where = ""
        if code == self._curl.E_OPERATION_TIMEDOUT and self._whole and time.monotonic() >= hop.began + self._whole:
            return f"the request took longer than {self._whole:g} s (request_timeout) and is given up{where}."
        if code == self._curl.E_OPERATION_TIMEDOUT:
            return f"{hop.reply.place} sent nothing for {max(1, round(self._timeout))} s{where}."
        if code in (
            self._curl.E_PARTIAL_FILE,
            self._curl.E_RECV_ERROR,
            self._curl.E_SEND_ERROR,
            self._curl.E_GOT_NOTHING,
        ):
            return f"{hop.reply.place} broke the connection{where} ({text})."
        return f"{text} (curl {code})."


class _Hop:
    """One exchange with one server: what its callbacks collect."""

    def __init__(self, errand: Errand, url: str, began: float, stop: threading.Event | None, answers: Answers) -> None:
        self.errand = errand
        self.url = url
        self.reply = Reply(reach(url).place)
        self.raised: Exception | None = None
        self.first = 0.0
        """Seconds from the beginning of the request to the first byte of the body."""
        self.got = 0
        self.expected = 0
        self.began = began
        self._stop = stop
        self._answers = answers
        self._announced = False

    def header(self, line: bytes) -> None:
        """A line of the head. Each answer begins with its status; the last one counts (after 100 Continue)."""
        text = line.decode("latin-1").strip()
        self._heard()
        if text.startswith("HTTP/"):
            _, _, rest = text.partition(" ")
            status, _, reason = rest.partition(" ")
            self.reply.status = int(status) if status.isdecimal() else 0
            self.reply.reason = reason.strip()
            self.reply.headers = {}
        elif ":" in text:
            name, _, value = text.partition(":")
            self.reply.headers[name.strip().lower()] = value.strip()

    def body(self, data: bytes) -> int:
        """A piece of the body; returns how much was taken, which is less only to end the exchange."""
        self._heard()
        if not self.reply.ok:
            self.reply.said += data[: max(0, 4 * SAID - len(self.reply.said))]
            return len(data)
        try:
            self._begin()
            self.got += len(data)
            self.errand.take(data)
        except (FailedError, StoppedError) as error:
            self.raised = error
            return -1
        return len(data)

    def more(self, size: int) -> bytes:
        """The next bytes to be sent."""
        self._heard()
        assert self.errand.give is not None
        return self.errand.give(size)

    def rewind(self, offset: int, _origin: int) -> int:
        """What is sent has to be sent again, because the kept connection was closed meanwhile; 0: done, 2: it cannot
        be done."""
        assert self.errand.give is not None
        if offset:
            return 2
        self.errand.give(0)
        return 0

    def progress(self, *_: float) -> int:
        """Called by libcurl at least once a second; 1 ends the exchange."""
        if self._stop is None or not self._stop.is_set():
            return 0
        self.raised = StoppedError()
        return 1

    def over(self) -> None:
        """The whole answer is here. Raises what `begun` raises."""
        if self.reply.ok:
            self._begin()

    def _begin(self) -> None:
        if not self._announced:
            self._announced = True
            self.first = time.monotonic() - self.began
            self.expected = self.reply.length or 0
            self.errand.begun(self.reply)

    def _heard(self) -> None:
        self._answers.heard(threading.get_ident(), time.monotonic())


def _target(url: str, reply: Reply) -> str:
    """Where an answer sends the request. Raises FailedError."""
    location = reply.headers.get("location", "")
    target = urljoin(url, location)
    if not location or urlsplit(target).scheme not in HTTP:
        raise FailedError(f"{reply.place} redirected the request to {_shown(location) or 'nowhere'}.", reply.status)
    return target


def _shown(url: str) -> str:
    """A URL without what follows its path, which may be a token."""
    return url.partition("?")[0][:200]


def _sum(before: Phases, last: Phases) -> Phases:
    return Phases(before.name + last.name, before.connect + last.connect, before.tls + last.tls, first=last.first)
