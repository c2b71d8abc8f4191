"""Frames between the agent and its processes."""

from __future__ import annotations

import pytest

from agent.messages import Request, Workload
from agent.workloads.frames import (
    HEAD,
    MAX_FRAME,
    Figures,
    Setup,
    Work,
    decode_from_worker,
    decode_to_worker,
    framed,
    length,
)


def test_there_and_back() -> None:
    for message in (
        Setup("1.1.1", [Workload("vector", chunks=3)], 30.0, [0, 2], "/state/journal/1.jsonl"),
        Work(3, [Request("tagaaaaa", 0, "root://s", "/f", 10, 1)]),
    ):
        data = framed(message)
        assert length(data[:HEAD]) == len(data) - HEAD
        assert decode_to_worker(data[HEAD:]) == message
    figures = Figures({})
    assert decode_from_worker(framed(figures)[HEAD:]) == figures


@pytest.mark.parametrize("head", [b"", b"abc", (MAX_FRAME + 1).to_bytes(4, "big"), b"\xff\xff\xff\xff"])
def test_what_is_no_head(head: bytes) -> None:
    with pytest.raises(ValueError, match="a frame of"):
        length(head)
