"""A client's part of a round as messages that an agent takes."""

from __future__ import annotations

from agent.messages import Request
from gui.runner.rounds import ROUND_BYTES, ROUND_REQUESTS, split


def _requests(count: int, path: str = "/store/f") -> list[Request]:
    return [Request("tagtagta", 0, "root://s1:1094", f"{path}{n}", 1, n) for n in range(count)]


def test_many_requests_come_in_several_messages() -> None:
    requests = _requests(2 * ROUND_REQUESTS + 3)
    parts = list(split("1.1.1", 7, requests))
    assert [(part.job, part.round, len(part.requests)) for part in parts] == [
        ("1.1.1", 7, ROUND_REQUESTS),
        ("1.1.1", 7, ROUND_REQUESTS),
        ("1.1.1", 7, 3),
    ]
    assert [request for part in parts for request in part.requests] == requests


def test_long_paths_fill_a_message_sooner() -> None:
    parts = list(split("1.1.1", 1, _requests(3000, "/" + "x" * 1000)))
    assert len(parts) == 2
    assert 0.9 * ROUND_BYTES < sum(len(request.path) + 150 for request in parts[0].requests) < 1.1 * ROUND_BYTES
