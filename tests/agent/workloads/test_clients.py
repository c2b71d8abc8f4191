"""Which client makes a request."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from agent.messages import Auth, Protocol, Request, Workload
from agent.workloads import curl
from agent.workloads.clients import Clients
from agent.workloads.curl import MissingCurlError
from agent.workloads.frames import Setup
from agent.workloads.outcome import Outcome
from tests.agent.workloads.webserver import reply, serving


def a_setup(protocols: list[Protocol], ca: str = "") -> Setup:
    return Setup("1.1.1", [Workload()], 20.0, [0], "", protocols, Auth(ca))


@pytest.fixture
def make() -> Iterator[Any]:
    made: list[Clients] = []

    def clients(protocols: list[Protocol], ca: str = "") -> Clients:
        made.append(Clients(a_setup(protocols, ca), lambda key, text: None))
        return made[-1]

    yield clients
    for one in made:
        one.close()


def perform(clients: Clients, url: str, path: str = "/f", size: int = 5, *, own: bool = False, **how: Any) -> Outcome:
    request = Request("tagaaaaa", 0, url, path, size, 1, 0, own)
    return clients.perform(Workload(**how), request, threading.Event(), lambda size: None)


@pytest.mark.xrootd
def test_ones_own_file_is_written_before(xrootd: Any, make: Any) -> None:
    outcome = perform(make(["http"]), xrootd.url, "/store/mine/tagaaaaa/f", own=True, protocol="http")
    assert (outcome.ok, outcome.read_got) == (True, 5)
    failed = perform(make(["http"]), xrootd.url, "/tagaaaaa/f", size=5, own=True, protocol="https")
    assert not failed.ok
    assert failed.error.startswith("write its own file: ")


def test_a_protocol_that_was_not_announced(make: Any) -> None:
    assert perform(make(["http"]), "root://s").error == "This job has no client for root."
    assert perform(make(["root"]), "https://s").error == "This job has no client for https."


def test_a_stop_before_the_request(make: Any) -> None:
    with serving(lambda c, first, headers: c.sendall(reply("201 Created"))) as server:
        stop = threading.Event()
        stop.set()
        request = Request("tagaaaaa", 0, server.url, "/d/tagaaaaa/f", 50_000_000, 1, 0, True)
        outcome = make(["http"]).perform(Workload(), request, stop, lambda size: None)
    assert (outcome.ok, outcome.interrupted) == (False, True)


def test_without_curl_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(curl.importlib, "import_module", missing)  # type: ignore[attr-defined]
    with pytest.raises(MissingCurlError, match=r'install it with: pip install "xrootd-tally\[http\]"'):
        Clients(a_setup(["http"]), lambda key, text: None)
