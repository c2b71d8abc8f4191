from __future__ import annotations

from typing import Any

import pytest

from gui.reconcile import score
from gui.report import build, compare, trend
from gui.store import TestSpec

SERVERS = [f"root://s{number:02}.example.org:1094" for number in range(1, 9)]


def make(world: Any, lost: int, *, each: int = 20, name: str = "plan", **environment: Any) -> Any:
    """A run of one test on eight servers; each of the first `lost` loses all that it was asked."""
    world.begin(TestSpec(8, each, each, name="t1"), name=name, **environment)
    asked = [world.ask(each, server=server) for server in SERVERS]
    for requests in asked:
        world.read(*requests)
    for requests in asked[lost:]:
        world.record(*requests)
    score(world.store, world.repeat, "settle", world.tick())
    world.store.set_run(world.run, ended=world.tick())
    return build(world.store, world.run)


def test_a_loss_that_is_more_than_chance_is_worse(world: Any) -> None:
    good, bad = make(world, 0), make(world, 8)
    worse, better = compare(good, bad), compare(bad, good)
    (pair,) = worse.tests
    assert pair.difference is not None
    assert (pair.meaning, pair.difference.change, worse.regression) == ("worse", pytest.approx(-100.0), True)
    assert ([pair.meaning for pair in better.tests], better.regression) == (["better"], False)


def test_one_loss_of_one_server_may_be_chance_however_many_requests_it_took(world: Any) -> None:
    comparison = compare(make(world, 0), make(world, 1))
    (pair,) = comparison.tests
    assert pair.difference is not None
    assert (pair.meaning, pair.difference.change, comparison.regression) == ("same", pytest.approx(-12.5), False)
    (server,) = comparison.servers
    assert (server.name, server.lost_a, server.lost_b, server.counted_b) == (SERVERS[0], 0, 20, 20)


def test_differences_of_plan_and_environment_are_gathered(world: Any) -> None:
    clients = [[{"name": "c1", "rtt": rtt, "clock_offset": rtt / 2}] for rtt in (0.1, 0.2)]
    one = make(world, 0, each=2, name="a", collector="1.0", host="h", clients=clients[0])
    two = make(world, 0, each=2, name="b", collector="1.1", host="h", extra=5, clients=clients[1])
    comparison = compare(one, two)
    assert [(f.where, f.what, f.a, f.b) for f in comparison.facts if f.differs] == [
        ("Plan", "name", "a", "b"),
        ("Environment", "collector", "1.0", "1.1"),
        ("Environment", "extra", "–", "5"),
    ]
    assert {'-name = "a"', '+name = "b"'} <= set(comparison.plan)


def test_tests_are_paired_by_what_they_ask_for(world: Any) -> None:
    world.begin(TestSpec(1, 2, 2, name="x"), TestSpec(1, 2, 2, name="x"), TestSpec(2, 2, 2, name="only a"))
    one = build(world.store, world.run)
    world.begin(TestSpec(1, 2, 2, name="x"), TestSpec(9, 2, 2, name="only b"))
    comparison = compare(one, build(world.store, world.run))
    assert [(p.name, p.a is not None, p.b is not None) for p in comparison.tests] == [
        ("x", True, True),
        ("x", True, False),
        ("only a", True, False),
        ("only b", False, True),
    ]
    assert {p.meaning for p in comparison.tests} == {"not comparable"}
    assert comparison.remarks == (
        "Only run 1 has x, only a, so nothing is said of that.",
        "Only run 2 has only b, so nothing is said of that.",
        "Nothing was counted of x in one of the runs.",
    )


def test_runs_of_other_sizes_are_refused_with_a_sentence(world: Any) -> None:
    one = make(world, 0, each=2)
    world.begin(TestSpec(9, 4, 2), TestSpec(9, 8, 2), TestSpec(9, 16, 2), TestSpec(9, 32, 2), name="another")
    assert compare(one, build(world.store, world.run)).refusal == (
        "Run 1 (plan: 8×2) and run 2 (another: 9×4, 9×8, 9×16 and 1 more) asked for different things and cannot "
        "be compared; choose two runs of one plan."
    )


def test_a_run_that_has_counted_nothing_is_refused_with_a_sentence(world: Any) -> None:
    one = make(world, 0, each=2)
    world.begin(TestSpec(8, 2, 2, name="t1"))
    assert compare(one, build(world.store, world.run)).refusal == (
        "Run 2 has counted nothing, so it cannot be compared with another one."
    )


def test_a_run_does_not_differ_from_itself(world: Any) -> None:
    run = make(world, 3, each=4)
    comparison = compare(run, run)
    assert ([pair.meaning for pair in comparison.tests], comparison.servers, comparison.refusal) == (["same"], (), "")


def test_a_trend_goes_from_old_to_new_and_compares_with_the_baseline(world: Any) -> None:
    runs = [make(world, lost) for lost in (8, 0, 1, 8)]
    found = trend(runs[::-1], 2)
    assert [(point.report.run.id, point.meaning) for point in found.points] == [
        (1, "worse"),
        (2, "baseline"),
        (3, "same"),
        (4, "worse"),
    ]
    assert (found.baseline, found.chosen, found.regression) == (2, True, True)


def test_without_a_baseline_the_first_run_is_it(world: Any) -> None:
    found = trend([make(world, lost, each=4) for lost in (8, 0)], None)
    assert [point.meaning for point in found.points] == ["baseline", "better"]
    assert (found.baseline, found.chosen, found.regression) == (1, False, False)
