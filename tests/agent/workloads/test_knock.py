"""Knocking at a real server, at one that is silent, and at none."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from agent.workloads.knock import answers


@pytest.mark.xrootd
def test_a_real_server_answers_the_handshake(xrootd: Any) -> None:
    assert answers(xrootd.url, 5.0)


def test_who_takes_connections_and_says_nothing_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert not answers(f"root://127.0.0.1:{silent.getsockname()[1]}", 0.1)


def test_nobody_is_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    assert not answers(f"127.0.0.1:{port}", 1.0)


@pytest.mark.xrootd
@pytest.mark.parametrize("protocol", ["http", "https", "roots"])
def test_a_real_server_answers_over_each_protocol(xrootd: Any, protocol: str) -> None:
    assert answers(xrootd.over(protocol), 5.0)


def test_a_silent_server_over_https() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert not answers(f"https://127.0.0.1:{silent.getsockname()[1]}", 0.1)
