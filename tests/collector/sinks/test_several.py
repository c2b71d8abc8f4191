"""Several sinks at once: the slowest decides what is safe."""

from __future__ import annotations

from typing import Any

from collector.checkpoint import Chunk
from collector.sinks.several import SeveralSinks

ONE = Chunk(1, "records", "file.cms", ("a",), b"{}")
TWO = Chunk(2, "records", "file.cms", ("b",), b"{}")


def test_safe_is_what_is_safe_with_all(doubles: Any) -> None:
    quick, slow = doubles.sink(), doubles.sink()
    slow.holding = True
    sink = SeveralSinks([quick, slow])
    sink.send(ONE)
    sink.send(TWO)
    assert quick.ids == slow.ids == ["a", "b"]
    assert sink.poll(0.0) == 0
    assert sink.backlog == 4
    slow.holding = False
    assert sink.poll(0.0) == 2
    assert sink.backlog == 0


def test_trouble_drops_and_closing_are_of_all(doubles: Any) -> None:
    one, two = doubles.sink(), doubles.sink()
    sink = SeveralSinks([one, two])
    two.trouble = "the broker is away"
    one.dropped = lambda: {"unroutable": 2}
    two.dropped = lambda: {"unroutable": 1}
    assert sink.trouble == "the broker is away"
    assert sink.dropped() == {"unroutable": 3}
    sink.close()
    assert (one.closed, two.closed) == (True, True)
