"""The management of a RabbitMQ, which alone tells policies and bindings: its HTTP interface, read only. Blocking.

The password goes over TLS when the broker itself is reached by TLS: an ``amqps`` address is never asked over http.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from shoveler.bus import BusAddress, BusError, BusOptions
from shoveler.bus.amqp_link import tls_context
from shoveler.values.addresses import host_port

SECONDS = 5.0
MAX_ANSWER = 8 * 2**20
PLAIN_PORT, TLS_PORT = 15672, 15671


class ManagementError(Exception):
    """The management does not answer as it should; one sentence, without a password."""


class ManagementDeniedError(ManagementError):
    """The user may not use the management."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy of the virtual host. An operator's policy applies beside the user's, and of each kind only one does."""

    name: str
    pattern: str
    applies_to: str
    priority: int
    definition: Mapping[str, Any]
    operator: bool = False

    def matches(self, queue: str) -> bool:
        """Whether it is for queues, and for one of this name."""
        if self.applies_to in ("exchanges", "streams"):
            return False
        try:
            return re.search(self.pattern, queue) is not None
        except re.error:
            return False  # a pattern that only Erlang knows


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue as the broker knows it, seconds late. None: not told yet."""

    name: str
    messages: int | None
    bytes: int | None
    consumers: int | None
    arguments: Mapping[str, Any]


class Management:
    """Questions to one broker, as the user of its address. `url`: where; empty: the usual port of the broker's host."""

    def __init__(self, address: BusAddress, options: BusOptions, url: str = "") -> None:
        if not url:
            port = TLS_PORT if address.tls else PLAIN_PORT
            url = f"{'https' if address.tls else 'http'}://{host_port(address.host, port)}"
        self.url = url.rstrip("/")
        self._address = address
        self._options = options
        self._vhost = quote(address.vhost, safe="")
        login = f"{address.user}:{address.password}".encode()
        self._headers = {"Authorization": f"Basic {base64.b64encode(login).decode()}", "Accept": "application/json"}

    def version(self) -> str:
        """The version of RabbitMQ. Raises ManagementError."""
        return str(self._get("/api/overview").get("rabbitmq_version", ""))

    def exchange_type(self, exchange: str) -> str:
        """``topic``, ``fanout`` …; empty if there is no such exchange. Raises ManagementError."""
        return str(self._get(f"/api/exchanges/{self._vhost}/{quote(exchange, safe='')}").get("type", ""))

    def bound(self, exchange: str) -> list[str]:
        """The queues that are bound to an exchange, each once. Raises ManagementError."""
        rows = self._get(f"/api/exchanges/{self._vhost}/{quote(exchange, safe='')}/bindings/source").get("rows", [])
        names = [str(row.get("destination", "")) for row in rows if row.get("destination_type") == "queue"]
        return list(dict.fromkeys(names))

    def arguments(self, queue: str) -> dict[str, Any] | None:
        """The arguments that a queue was declared with; None if there is no such queue. Raises ManagementError."""
        row = self._get(f"/api/queues/{self._vhost}/{quote(queue, safe='')}")
        return _table(row.get("arguments")) if row else None

    def queues(self, prefix: str) -> list[Queue]:
        """The queues whose names begin so, by name. Raises ManagementError."""
        rows = self._get(f"/api/queues/{self._vhost}").get("rows", [])
        found = (row for row in rows if str(row.get("name", "")).startswith(prefix))
        return sorted((_queue(row) for row in found), key=lambda queue: queue.name)

    def policies(self) -> list[Policy]:
        """All policies of the virtual host. Raises ManagementError.

        Not what the broker says of a queue, which it learns seconds after a change: these are matched by name."""
        found = []
        for kind in ("policies", "operator-policies"):
            for row in self._get(f"/api/{kind}/{self._vhost}").get("rows", []):
                found.append(_policy(row, operator=kind != "policies"))  # noqa: PERF401 - two levels in one line
        return found

    def _get(self, path: str) -> dict[str, Any]:
        """The answer: an object as it is, a list as ``rows``, nothing (404) as an empty object."""
        parts = urlsplit(self.url)
        host, port = parts.hostname or "", parts.port
        if self._address.tls and parts.scheme != "https":
            raise ManagementError(f"{self.url} has no TLS, and the password of an amqps address is not sent there.")
        try:
            connection = (
                http.client.HTTPSConnection(host, port, timeout=SECONDS, context=tls_context(self._options))
                if parts.scheme == "https"
                else http.client.HTTPConnection(host, port, timeout=SECONDS)
            )
            try:
                connection.request("GET", parts.path + path, headers=self._headers)
                answer = connection.getresponse()
                body = answer.read(MAX_ANSWER + 1)
            finally:
                connection.close()
        except (OSError, http.client.HTTPException, BusError) as error:
            why = getattr(error, "strerror", "") or str(error) or type(error).__name__
            raise ManagementError(f"{self.url} does not answer: {why}.") from None
        if answer.status in (401, 403):
            raise ManagementDeniedError(f"{self.url} does not let {self._address.user!r} in (HTTP {answer.status}).")
        if answer.status == 404:
            return {}
        if answer.status != 200 or len(body) > MAX_ANSWER:
            raise ManagementError(f"{self.url}{path} answers with HTTP {answer.status}.")
        try:
            content = json.loads(body)
        except ValueError:
            raise ManagementError(f"{self.url} is not the management of a RabbitMQ.") from None
        if isinstance(content, list):
            return {"rows": [row for row in content if isinstance(row, dict)]}
        return _table(content)


def _table(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, dict) else {}


def _queue(row: Mapping[str, Any]) -> Queue:
    counts = [row.get(name) for name in ("messages", "message_bytes", "consumers")]
    messages, size, consumers = (count if isinstance(count, int) else None for count in counts)
    return Queue(str(row.get("name", "")), messages, size, consumers, _table(row.get("arguments")))


def _policy(row: Mapping[str, Any], *, operator: bool) -> Policy:
    priority = row.get("priority")
    return Policy(
        str(row.get("name", "")),
        str(row.get("pattern", "")),
        str(row.get("apply-to", "all")),
        priority if isinstance(priority, int) else 0,
        _table(row.get("definition")),
        operator,
    )


def in_force(policies: Iterable[Policy], queue: str) -> list[Policy]:
    """The policies that apply to a queue of this name: at most one, and one of an operator."""
    matching = sorted((p for p in policies if p.matches(queue)), key=lambda policy: -policy.priority)
    best = [next((p for p in matching if p.operator is operator), None) for operator in (False, True)]
    return [policy for policy in best if policy is not None]
