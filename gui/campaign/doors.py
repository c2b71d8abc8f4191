"""Over which protocols a test asks its servers, and how its requests are recognised there. Pure.

A *door* of a server is one protocol at one port. Over root, the session tag is the user. Over HTTP there is no user:
servers from 5.6.3 on report the User-Agent, which has the tag; older ones report nothing of the client, so that the tag
is part of the path and the files are the client's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple, cast
from urllib.parse import urlsplit

from agent.messages import HTTP, Protocol, Workload
from gui.campaign.mix import kind_objection
from gui.campaign.plan import Test
from gui.campaign.selection import Server

REPORTS_AGENT: Final = (5, 6, 3)
"""The first XRootD whose records have the User-Agent."""
_VERSION: Final = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?")


class Door(NamedTuple):
    """A protocol of a server. `port` 0: that of its URL."""

    protocol: Protocol
    port: int = 0

    @property
    def over_http(self) -> bool:
        """Whether it takes HTTP requests."""
        return self.protocol in HTTP

    def __str__(self) -> str:
        return f"{self.protocol} at port {self.port}" if self.port else self.protocol


def door_of(url: str, workload: Workload) -> Door:
    """The door at which requests of a workload reach the server with this URL."""
    return Door(workload.protocol or cast(Protocol, urlsplit(url).scheme), workload.port)


def doors_of(test: Test, url: str) -> tuple[Door, ...]:
    """The doors at which a test asks the server with this URL, each once."""
    return tuple(dict.fromkeys(door_of(url, workload) for workload in test.workloads))


def protocols_of(test: Test, servers: Iterable[Server]) -> list[Protocol]:
    """The protocols that the requests of a test use."""
    return sorted({door.protocol for server in servers for door in doors_of(test, server.url)})


def may_use_http(test: Test) -> bool:
    """Whether a test asks over HTTP, as far as it says so itself: by its protocols, or in the URLs that it names."""
    if any(workload.protocol in HTTP for workload in test.workloads):
        return True
    named = test.servers if isinstance(test.servers, tuple) else ()
    return any(urlsplit(name).scheme in HTTP for name in named) and any(not one.protocol for one in test.workloads)


def not_over_http(test: Test, servers: Iterable[Server]) -> str:
    """Why a workload of a test does not exist at one of its servers, as a sentence; empty if all do."""
    for server in servers:
        for workload in test.workloads:
            if objection := kind_objection(workload.kind, door_of(server.url, workload).protocol):
                return f"{server.name} is asked over HTTP: {objection}."
    return ""


def reports_agent(version: str) -> bool | None:
    """Whether records of a server of this version have the User-Agent; None when the version says nothing."""
    match = _VERSION.match(version)
    if match is None:
        return None
    return tuple(int(part or 0) for part in match.groups()) >= REPORTS_AGENT
