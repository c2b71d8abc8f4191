"""Taking names and addresses of hosts and agents out of a report, so that it can be shown to others.

Each name becomes a word and a number, the same throughout: ``host-3``, ``agent-1``. Session tags and file paths stay:
they name nobody, and the evidence would be worthless without them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec
from sqlalchemy import select

from gui.store import Store, schema

_ADDRESS = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])|\[[0-9A-Fa-f:.]{2,}\]")

_HOST_PORT = re.compile(r"(?<!\S)([A-Za-z][\w.-]*):\d+(?!\S)")
"""The host that a monitoring line sends to."""


class Redaction:
    """Replaces known names, and whatever looks like an IP address."""

    def __init__(self, hosts: Iterable[str], agents: Iterable[str]) -> None:
        self._words: dict[str, str] = {}
        for kind, names in (("host", hosts), ("agent", agents)):
            for name in names:
                if name and name not in self._words:
                    number = sum(1 for word in self._words.values() if word.startswith(kind)) + 1
                    self._words[name] = f"{kind}-{number}"
        # The longest first, so that a host is not cut into its domain and a rest.
        known = sorted(self._words, key=len, reverse=True)
        self._known = re.compile(
            "|".join(rf"(?<![\w.-]){re.escape(name)}(?![\w-])" for name in known) if known else r"(?!)"
        )

    @classmethod
    def of(cls, store: Store) -> Redaction:
        """All hosts and agents that a workspace knows."""
        hosts: list[str] = []
        for server in store.servers():
            hosts += [_host(server.url), server.name]
        with store.database.read() as connection:
            for facts in connection.scalars(select(schema.origin.c.facts).order_by(schema.origin.c.id)):
                known = msgspec.json.decode(facts, type=dict[str, Any])
                hosts += [str(known.get(name) or "") for name in ("server", "server_hostname", "server_ip", "site")]
        agents: list[str] = []
        for run in store.runs():
            hosts.append(str(run.environment.get("host") or ""))
            for kind in ("clients", "server_agents"):
                there = run.environment.get(kind)
                for one in there if isinstance(there, list) else ():
                    if isinstance(one, dict):
                        hosts += [str(one.get("host") or ""), *_HOST_PORT.findall(str(one.get("monitoring") or ""))]
                        agents.append(str(one.get("name") or ""))
        for agent in store.agents():
            agents.append(agent.name)
            hosts.append(str(agent.facts.get("host") or ""))
        hosts += [run.seal.by for run in store.runs() if run.seal is not None]
        return cls(hosts, agents)

    def text(self, text: str) -> str:
        """The text without names."""
        text = self._known.sub(lambda match: self._words[match[0]], text)
        return _ADDRESS.sub("address", text)

    def value(self, value: Any) -> Any:
        """A JSON value without names, keys of objects included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        return value


def _host(url: str) -> str:
    """The host of an address; of one that makes no sense, all that stands where the host should."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return url.partition("://")[2].partition("/")[0]
