"""Prometheus metrics and health, and the small server for both.

The server deliberately serves only ``/metrics`` and ``/healthz``: no profiler, no debug pages.
"""

from __future__ import annotations

import http.server
import json
import logging
import platform
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import prometheus_client
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from shoveler.service.settings import Address

_log = logging.getLogger(__name__)

_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_MAX_CONNECTIONS = 32  # scrapers and probes are a few; a flood waits in the kernel's backlog


def new_registry() -> CollectorRegistry:
    """A registry of the daemon's own, with the process's memory, CPU and descriptors already in it."""
    registry = CollectorRegistry(auto_describe=False)
    prometheus_client.ProcessCollector(registry=registry)
    return registry


def show_build(registry: CollectorRegistry, prefix: str, version: str) -> None:
    """``PREFIX_build_info``: 1, with the version of the program and of Python."""
    build = Gauges(registry, f"{prefix}_build_info", "1; its labels say what runs.", ("version", "python"))
    build.set(1.0, version, platform.python_version())


class _Series(Collector):
    """Named values with labels. Unlike the library's classes it keeps the exact name: the OSG shoveler's counters have
    no ``_total``, and their dashboards must continue to work."""

    _type = ""

    def __init__(self, registry: CollectorRegistry, name: str, help: str, labels: Sequence[str] = ()) -> None:  # noqa: A002
        self.name = name
        self._help = help
        self._labels = tuple(labels)
        self._values: dict[tuple[str, ...], float] = {} if labels else {(): 0.0}
        registry.register(self)

    def set(self, value: float, *labels: str) -> None:
        """Set the value. Labels in the order they were declared."""
        if len(labels) != len(self._labels):
            raise ValueError(f"{self.name} has the labels {self._labels}, got {labels}")
        self._values[labels] = value

    def replace(self, values: dict[tuple[str, ...], float]) -> None:
        """Set all values at once; label combinations that are not included disappear."""
        self._values = dict(values)

    def get(self, *labels: str) -> float:
        """The current value, 0 when there is none yet."""
        return self._values.get(labels, 0.0)

    def describe(self) -> list[Metric]:
        return [self._family()]

    def collect(self) -> Iterator[Metric]:
        family = self._family()
        for labels, value in sorted(self._values.items()):
            family.add_sample(self.name, dict(zip(self._labels, labels, strict=True)), value)
        yield family

    def _family(self) -> Metric:
        name = self.name.removesuffix("_total") if self._type == "counter" else self.name
        return Metric(name, self._help, self._type)


class Capped:
    """Which labels a metric shows, when anybody can make new ones up: those that came first, and the rest as ``other``.
    A label that is shown stays, so that no series ever goes back."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._shown: set[str] = set()

    def of(self, values: Mapping[str, float]) -> dict[tuple[str, ...], float]:
        """The series for these values; the largest of new labels are admitted first."""
        new = sorted((label for label in values if label not in self._shown), key=lambda label: -values[label])
        self._shown.update(new[: max(0, self._limit - len(self._shown))])
        series: dict[tuple[str, ...], float] = {}
        for label, value in values.items():
            key = (label if label in self._shown else "other",)
            series[key] = series.get(key, 0.0) + value
        return series


class Counts(_Series):
    """A counter under its exact name, with or without ``_total``. One thread adds, any may read."""

    _type = "counter"

    def add(self, amount: float = 1, *labels: str) -> None:
        """Count `amount` more."""
        self.set(self._values.get(labels, 0.0) + amount, *labels)


class Gauges(_Series):
    """A gauge; like `Counts`, so that both are set in the same way."""

    _type = "gauge"


def exposition(registry: CollectorRegistry) -> bytes:
    """The registry in Prometheus' text format, with type lines that match counters without ``_total`` too."""
    lines = prometheus_client.generate_latest(registry).decode().split("\n")
    for i, line in enumerate(lines):
        # The library writes "# HELP name_total" and "# TYPE name_total" for every counter. Where the samples that
        # follow have no such suffix, the header must not have it either.
        if line.startswith("# TYPE ") and line.endswith("_total counter"):
            full = line.split(" ")[2]
            bare = full.removesuffix("_total")
            following = lines[i + 1] if i + 1 < len(lines) else ""
            if following.startswith((bare + " ", bare + "{")):
                lines[i] = f"# TYPE {bare} counter"
                lines[i - 1] = lines[i - 1].replace(f"# HELP {full} ", f"# HELP {bare} ", 1)
    return "\n".join(lines).encode()


_ELSEWHERE = ("bus", "hub", "input", "output")
"""Parts whose problems are on other machines."""


class Health:
    """Named parts of the daemon, each ok or with one sentence saying what is wrong. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._problems: dict[str, str] = {}
        self._details: dict[str, object] = {}

    def problem(self, part: str, sentence: str) -> None:
        """`part` has a problem; replaces an earlier one."""
        with self._lock:
            self._problems[part] = sentence

    def fine(self, part: str) -> None:
        """`part` is ok again."""
        with self._lock:
            self._problems.pop(part, None)

    def detail(self, name: str, value: object) -> None:
        """A fact (a JSON value) to show with the health, for example the version or the spool's id."""
        with self._lock:
            self._details[name] = value

    def problems(self) -> dict[str, str]:
        """What is wrong now: part → sentence; empty when all is well."""
        with self._lock:
            return dict(self._problems)

    def unready(self) -> dict[str, str]:
        """The problems of this machine, with which the daemon cannot do its part; that a bus, a hub or a broker is away
        is none: what comes meanwhile is kept."""
        return {part: text for part, text in self.problems().items() if part.rpartition(" ")[2] not in _ELSEWHERE}

    def report(self) -> dict[str, object]:
        """The body of ``/healthz``: ``{"ok": …, "problems": {part: sentence}, …details}``."""
        with self._lock:
            return {**self._details, "ok": not self._problems, "problems": dict(self._problems)}


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, address: Address, pages: dict[str, Callable[[], tuple[int, str, bytes]]]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        self.pages = pages
        self.slots = threading.BoundedSemaphore(_MAX_CONNECTIONS)
        super().__init__((address.host, address.port), _Handler)

    def server_bind(self) -> None:
        # Not http.server's own: it looks up its name in the DNS, which can take seconds without one.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request_thread(self, request: socket.socket | tuple[bytes, socket.socket], client: object) -> None:
        with self.slots:
            super().process_request_thread(request, client)

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002
        # A scraper that disconnects early is not our problem.
        _log.debug("request from %s ended early", client_address, exc_info=True)


class _Handler(http.server.BaseHTTPRequestHandler):
    timeout = 5.0
    server: _Server
    server_version = "tally"
    sys_version = ""

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        page = self.server.pages.get(urlsplit(self.path).path)
        if page is None:
            status, kind, content = HTTPStatus.NOT_FOUND, "text/plain", b"only /metrics and /healthz are served here\n"
        else:
            status_number, kind, content = page()
            status = HTTPStatus(status_number)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        _log.debug("< %s " + format, self.client_address[0], *args)


class MonitorServer:
    """Serves ``/metrics`` (Prometheus text) and ``/healthz`` (JSON; 200 when all is well, else 503) in a thread.

    With `address` None it serves nothing, so that callers need no special case. ``before_scrape`` is called before each
    ``/metrics``, to fill gauges that are read only then; it must be quick and thread-safe.
    """

    def __init__(
        self,
        address: Address | None,
        registry: CollectorRegistry,
        health: Health,
        *,
        before_scrape: Callable[[], None] | None = None,
    ) -> None:
        """Binds at once. Raises OSError with the address in its text when that is not possible."""
        self._registry = registry
        self._health = health
        self._before = before_scrape
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        if address is None:
            return
        try:
            self._server = _Server(address, self._pages())
        except OSError as error:
            raise OSError(error.errno, f"cannot serve metrics on {address}: {error.strerror}") from None
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, name="monitor-server", daemon=True
        )
        self._thread.start()

    def _pages(self) -> dict[str, Callable[[], tuple[int, str, bytes]]]:
        return {
            "/metrics": self._metrics,
            "/healthz": self._healthz,
            "/livez": self._livez,
            "/readyz": self._readyz,
        }

    @property
    def address(self) -> Address | None:
        """Where it listens (the actual port if 0 was requested), or None."""
        if self._server is None:
            return None
        return Address(self._server.server_name, self._server.server_port)

    def close(self) -> None:
        """Stop serving. Never raises, and may be called again."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._thread = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _livez(self) -> tuple[int, str, bytes]:
        return HTTPStatus.OK, _TEXT, b"ok\n"

    def _readyz(self) -> tuple[int, str, bytes]:
        unready = self._health.unready()
        if not unready:
            return HTTPStatus.OK, _TEXT, b"ok\n"
        said = "".join(f"{part}: {text}\n" for part, text in sorted(unready.items()))
        return HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, said.encode()

    def _metrics(self) -> tuple[int, str, bytes]:
        if self._before is not None:
            self._before()
        return HTTPStatus.OK, _TEXT, exposition(self._registry)

    def _healthz(self) -> tuple[int, str, bytes]:
        report = self._health.report()
        status = HTTPStatus.OK if report["ok"] else HTTPStatus.SERVICE_UNAVAILABLE
        return status, "application/json", json.dumps(report).encode() + b"\n"
