from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gui.reconcile import score
from gui.report import build, compare, compare_json, compare_text
from gui.report.compare import difference
from gui.store import TestSpec


def make(world: Any, lost: int, *, count: int = 50, name: str = "plan", **environment: Any) -> Any:
    world.begin(TestSpec(1, count, count, name="t1"), name=name, **environment)
    asked = world.ask(count)
    world.read(*asked)
    world.record(*asked[lost:])
    score(world.store, world.repeat, "settle", world.tick())
    return build(world.store, world.run)


def test_a_loss_that_is_more_than_chance_is_worse(world: Any) -> None:
    good, bad = make(world, 0), make(world, 20)
    (pair,) = compare(good, bad).tests
    assert (pair.meaning, pair.change) == ("worse", pytest.approx(-40.0))
    (pair,) = compare(bad, good).tests
    assert pair.meaning == "better"


def test_one_in_fifty_may_be_chance(world: Any) -> None:
    (pair,) = compare(make(world, 0), make(world, 1)).tests
    assert (pair.meaning, pair.change) == ("same", pytest.approx(-2.0))


def test_differences_of_plan_and_environment_are_named(world: Any) -> None:
    clients = [[{"name": "c1", "rtt": rtt, "clock_offset": rtt / 2}] for rtt in (0.1, 0.2)]
    one = make(world, 0, name="a", collector="1.0", host="h", clients=clients[0])
    two = make(world, 0, name="b", collector="1.1", host="h", extra=5, clients=clients[1])
    text = compare_text(compare(one, two))
    assert "collector: 1.0  →  1.1" in text
    assert "extra: –  →  5" in text
    assert "host:" not in text
    assert "clients:" not in text
    assert '-name = "a"' in text
    assert '+name = "b"' in text


def test_tests_are_paired_by_what_they_ask_for(world: Any) -> None:
    world.begin(TestSpec(1, 2, 2, name="x"), TestSpec(1, 2, 2, name="x"), TestSpec(2, 2, 2, name="only a"))
    one = build(world.store, world.run)
    world.begin(TestSpec(1, 2, 2, name="x"), TestSpec(9, 2, 2, name="only b"))
    pairs = compare(one, build(world.store, world.run)).tests
    assert [(p.name, p.a is not None, p.b is not None) for p in pairs] == [
        ("x", True, True),
        ("x", True, False),
        ("only a", True, False),
        ("only b", False, True),
    ]
    assert {p.meaning for p in pairs} == {"not comparable"}


def test_only_what_differs_can_be_shown(world: Any) -> None:
    comparison = compare(make(world, 0), make(world, 0))
    assert "t1" in compare_text(comparison)
    assert "t1" not in compare_text(comparison, only_different=True)


def test_json_has_both_sides(world: Any) -> None:
    content = json.loads(compare_json(compare(make(world, 0), make(world, 20))))
    (test,) = content["tests"]
    assert (test["a"]["missing"], test["b"]["missing"], test["meaning"]) == (0, 20, "worse")


@given(st.integers(1, 10**6), st.floats(0, 1))
def test_a_run_never_differs_from_itself(total: int, part: float) -> None:
    good = round(total * part)
    assert difference(good, total, good, total) == (0.0, False)
