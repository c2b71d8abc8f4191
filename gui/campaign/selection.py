"""Selects the servers and clients of a plan from the available ones."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from agent.messages import PORTS
from gui.campaign.plan import Choice, Labelled
from shoveler.values.addresses import host_port, without_secret

_UNFIT = re.compile(r"[\s\x00-\x20\x7f]")
"""What no URL has; `urlsplit` would drop some of it."""


class SelectionError(ValueError):
    """The plan asks for something that does not exist; one sentence says what, and what exists."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that can be used. `url` is ``root://HOST:PORT``, or ``roots``, ``http`` or ``https``."""

    name: str
    url: str
    labels: tuple[str, ...] = ()
    front: bool = False
    """It stands in front of other servers (a redirector, a cache), and is chosen only by its name or URL."""


@dataclass(frozen=True, slots=True)
class Client:
    """A client agent. `ready`: up, and not draining. `id` is its id in the hub."""

    name: str
    id: str
    labels: tuple[str, ...] = ()
    ready: bool = True


def name_order(name: str) -> list[tuple[int, int | str]]:
    """Sort key under which s2 comes before s10."""
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"([0-9]+)", name) if part]


def normal_url(url: str) -> str:
    """``root://HOST:PORT`` without a slash behind it, with the usual port when none is named; also ``roots``,
    ``http`` and ``https``. Raises SelectionError.

    User and path are refused: each request logs in under its own tag, and asks for the path that the plan draws."""
    try:
        parts = urlsplit("" if _UNFIT.search(url) else url)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    if parts.scheme not in PORTS or not host or port == 0:
        shown = without_secret(url.partition("?")[0])[:80]
        raise SelectionError(f"{shown!r} is not the URL of an XRootD server; write root://HOST:PORT.")
    normal = f"{parts.scheme}://{host_port(_one_form(host), port or PORTS[parts.scheme])}"
    if "@" in parts.netloc:
        raise SelectionError(
            f"The URL of server {normal} names a user; leave it out, as each request logs in under its own tag."
        )
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise SelectionError(
            f"The URL of server {normal} goes on with a path; leave it out, and name files in [test.files]."
        )
    return normal


def is_normal(url: str) -> bool:
    """Whether this is the URL of a server as `normal_url` writes it."""
    try:
        return normal_url(url) == url
    except SelectionError:
        return False


def server_place(url: str) -> str:
    """HOST:PORT of a server's URL: its name where nobody has given it one."""
    return url.partition("://")[2].rstrip("/") or url


def _one_form(host: str) -> str:
    """A host as one text: addresses of version 6 can be written in several ways, and names end in a dot or not."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host.removesuffix(".") or host


def choose_servers(choice: Choice, available: Iterable[Server]) -> list[Server]:
    """The servers selected by `choice`, in name order (a list keeps its order). Raises SelectionError."""
    everything = sorted(available, key=lambda server: name_order(server.name))
    known = [server for server in everything if not server.front]
    if isinstance(choice, int):
        if choice > len(known):
            raise SelectionError(f"The plan asks for {choice} servers, but {_there_are(len(known), 'server')} here.")
        return known[:choice]
    if isinstance(choice, Labelled):
        return _labelled(choice, known, "server")
    if choice == "all":
        if not known:
            raise SelectionError(
                "The plan asks for all servers, but there are none; list some, or start a lab or an agent."
            )
        return known
    by_name = {server.name: server for server in everything}
    by_url = {normal_url(server.url): server for server in everything}
    chosen: dict[str, Server] = {}
    for text in choice:
        if "://" in text:
            url = normal_url(text)
            server = by_url.get(url, Server(name=url.partition("://")[2], url=url))
        elif text in by_name:
            server = by_name[text]
        else:
            raise SelectionError(f"There is no server {text!r}{_nearest(text, by_name)}.")
        if server.url in chosen:
            raise SelectionError(f"The plan names server {server.name} ({server.url}) twice.")
        chosen[server.url] = server
    return list(chosen.values())


def choose_clients(choice: Choice, present: Iterable[Client]) -> list[Client] | str:
    """The clients selected by `choice`, in name order; or a sentence about who is awaited, if not all are ready yet."""
    known = sorted(present, key=lambda client: name_order(client.name))
    ready = [client for client in known if client.ready]
    if isinstance(choice, int):
        if len(ready) >= choice:
            return ready[:choice]
        return f"waiting for {choice} clients; {len(ready)} ready"
    if isinstance(choice, Labelled):
        ready = [client for client in ready if choice.label in client.labels]
        return ready or f"waiting for a client with the label {choice.label}"
    if choice == "all":
        return ready or "waiting for a client"
    names = _by_short_name(ready) | {client.name: client for client in ready}
    absent = [name for name in choice if name not in names]
    if absent:
        return f"waiting for client{'s' if len(absent) > 1 else ''} {', '.join(absent)}"
    return sorted({names[name].id: names[name] for name in choice}.values(), key=lambda one: name_order(one.name))


def _by_short_name(clients: Sequence[Client]) -> dict[str, Client]:
    """Clients by a label that no other one has: agents that Tally starts itself are c1, c2 … by label, since their
    names are never used twice."""
    labels = [label for client in clients for label in client.labels]
    return {label: client for client in clients for label in client.labels if labels.count(label) == 1}


def unknown_clients(choice: Choice, known: Iterable[str]) -> str:
    """A sentence about clients that a plan names and nobody knows; empty if there is none. Numbers and labels are not
    looked at: a run waits until enough have come."""
    names = set(known)
    strange = [name for name in choice if name not in names] if isinstance(choice, tuple) else []
    if not strange:
        return ""
    if len(strange) == 1:
        return f"There is no client {strange[0]!r}{_nearest(strange[0], names)}."
    return f"There are no clients {', '.join(repr(name) for name in strange)}."


def _labelled(choice: Labelled, known: Sequence[Server], noun: str) -> list[Server]:
    chosen = [server for server in known if choice.label in server.labels]
    if not chosen:
        labels = sorted({label for server in known for label in server.labels})
        there = f"the labels are {', '.join(labels)}" if labels else "none has a label"
        raise SelectionError(f"No {noun} has the label {choice.label!r}; {there}.")
    return chosen


def _there_are(count: int, noun: str) -> str:
    return {0: f"there is no {noun}", 1: f"there is 1 {noun}"}.get(count, f"there are {count} {noun}s")


def _nearest(text: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(text, list(names), n=1, cutoff=0.5)
    if close:
        return f" (the nearest is {close[0]!r})"
    return ""
