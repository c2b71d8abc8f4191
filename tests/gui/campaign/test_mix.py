"""Which workload a request belongs to."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.messages import Workload
from gui.campaign.mix import Mix, kind_objection, workload_words


@given(st.lists(st.integers(1, 50), min_size=1, max_size=6), st.integers(1, 4))
def test_shares_are_exact_in_each_cycle(weights: list[int], cycles: int) -> None:
    mix = Mix(weights, "42/1/1/0")
    counts = Counter(mix.share(number) for number in range(sum(weights) * cycles))
    assert [counts[place] for place in range(len(weights))] == [weight * cycles for weight in weights]


def test_the_order_is_drawn_from_the_key_and_always_the_same() -> None:
    def order(key: str) -> list[int]:
        mix = Mix([7, 2, 1], key)
        return [mix.share(number) for number in range(30)]

    assert order("1") == order("1")
    assert order("1") != order("2")
    first = order("1")
    assert first[:10] != first[10:20], "each cycle has its own order"
    assert first[:10] == [0, 0, 0, 1, 0, 2, 0, 0, 0, 1], "kept: plans ask the same as before"
    mix = Mix([7, 2, 1], "1")
    assert mix.share(25) == first[25], "whatever was asked before"


def test_one_workload_is_always_it() -> None:
    assert [Mix([5], "x").share(number) for number in range(3)] == [0, 0, 0]


@pytest.mark.parametrize(
    ("kind", "protocol", "well"),
    [("long", "http", False), ("long", "https", False), ("long", "root", True), ("long", None, True),
     ("full", "https", True)],
)  # fmt: skip
def test_which_kinds_exist_over_http(kind: str, protocol: str | None, well: bool) -> None:
    assert (kind_objection(kind, protocol) == "") is well


def test_in_words() -> None:
    assert workload_words(Workload("vector", protocol="https")) == "vector read over https"
    assert workload_words(Workload()) == "full file"
