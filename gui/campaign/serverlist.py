"""Lists of server addresses as people write and paste them: one on a line, with a name before or labels behind it.

    root://xrd1.example.org:1094
    s02 root://xrd2.example.org:1094 site-b fast        # a name, an address, labels
    xrd3.example.org, xrd4.example.org:2094             # several on a line: hosts, port 1094 unless one is named

Blanks, tabs, commas and semicolons separate; what follows a ``#`` is a remark. Nothing is guessed: a line that cannot
be read is a `Wrong` with its number, and the other lines are used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from agent.messages import PORTS
from gui.campaign.selection import SelectionError, Server, normal_url
from shoveler.values.addresses import host_port, without_secret

MAX_LINES = 10_000
MAX_NAME = 200
_SEPARATORS = re.compile(r"[\s,;]+")
_HOST = re.compile(
    r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9_-]+)*\.?)(?::\d{1,5})?"
)
"""A host or HOST:PORT without a scheme."""
_HEADINGS = {"name", "url", "address", "server", "host", "labels"}


@dataclass(frozen=True, slots=True)
class Wrong:
    """A line that cannot be used as it is written. `line` counts from 1."""

    line: int
    text: str
    why: str

    def __str__(self) -> str:
        return f"Line {self.line}: {self.why}"


@dataclass(frozen=True, slots=True)
class Listed:
    """What a text says: the servers, each once, and what is wrong with other lines."""

    servers: tuple[Server, ...]
    wrong: tuple[Wrong, ...] = ()


def read_servers(text: str, known: Iterable[Server] = ()) -> Listed:
    """The servers that are listed in `text`. One that is in `known`, or in the text already, is reported as `Wrong`
    unless it has the same name there."""
    by_url = {server.url: ("the list", server) for server in known}
    by_name = {server.name: ("the list", server) for server in known}
    found: list[Server] = []
    wrong: list[Wrong] = []
    lines = text.splitlines()
    for number, line in enumerate(lines[:MAX_LINES], 1):
        words = [word for word in _SEPARATORS.split(line.partition("#")[0]) if word]
        if not words or _is_heading(words):
            continue
        try:
            servers = _of_line(words)
        except SelectionError as error:
            wrong.append(Wrong(number, line.strip()[:200], str(error)))
            continue
        for server in servers:
            where, twin = by_url.get(server.url, ("", None))
            if twin is not None:
                if twin.name != server.name:
                    why = f"{server.url} is already in {where} as {twin.name}; it stays that one server."
                    wrong.append(Wrong(number, line.strip()[:200], why))
                continue
            where, other = by_name.get(server.name, ("", None))
            if other is not None:
                why = f"{server.name} is already the name of {other.url} in {where}; give this one another name."
                wrong.append(Wrong(number, line.strip()[:200], why))
                continue
            by_url[server.url] = by_name[server.name] = (f"line {number}", server)
            found.append(server)
    if len(lines) > MAX_LINES:
        wrong.append(Wrong(MAX_LINES + 1, "", f"a list has at most {MAX_LINES:,} lines; the rest is left out."))
    return Listed(tuple(found), tuple(wrong))


def write_servers(servers: Sequence[Server]) -> str:
    """The text of a list, as `read_servers` reads it."""
    return "".join(" ".join((server.name, server.url, *server.labels)) + "\n" for server in servers)


def _is_heading(words: Sequence[str]) -> bool:
    return len(words) > 1 and all(word.lower() in _HEADINGS for word in words)


def _of_line(words: Sequence[str]) -> list[Server]:
    """The servers of one line. Raises SelectionError."""
    if len(words) == 1 or all(_looks_like_address(word) for word in words):
        return [_server(word) for word in words]
    places = [number for number, word in enumerate(words) if "://" in word] or [
        number for number, word in enumerate(words) if _looks_like_address(word)
    ]
    if not places:
        raise SelectionError(f"{' '.join(words)[:80]!r} has no address of a server; write root://HOST:PORT.")
    if len(places) > 1:
        raise SelectionError("two addresses and other words; write each server on a line of its own.")
    if places[0] > 1:
        raise SelectionError("before the address stands one word, the server's name.")
    server = _server(words[places[0]])
    name = words[0] if places[0] == 1 else server.name
    if len(name) > MAX_NAME:
        raise SelectionError(f"a name has at most {MAX_NAME} characters.")
    return [Server(name, server.url, tuple(dict.fromkeys(words[places[0] + 1 :])))]


def _server(word: str) -> Server:
    where = word.partition("://")[2] or word
    if not _HOST.fullmatch(re.split("[/?]", where)[0].rpartition("@")[2]):
        raise SelectionError(f"{without_secret(word)[:80]!r} is not an address; write root://HOST:PORT.")
    url = normal_url(word if "://" in word else f"root://{word}")
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
    return Server(host if port == PORTS[parts.scheme] else host_port(host, port), url)


def _looks_like_address(word: str) -> bool:
    """A word with a scheme, a user, a path, a dot, a port or brackets: what a name or a label seldom has."""
    if "://" in word or "@" in word or "/" in word:
        return True
    return _HOST.fullmatch(word) is not None and any(sign in word for sign in ".:[")
