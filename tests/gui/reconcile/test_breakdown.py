"""What is not matched, counted by the database: every part adds up to the figures of the scoring."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gui.reconcile import ODD_KINDS, break_down, score
from gui.reconcile.breakdown import MAX_BINS, MAX_GROUPS, OTHERS, binned
from gui.store import TestSpec, VerdictKind


def test_every_part_adds_up(any_world: Any) -> None:
    world = any_world
    world.begin(TestSpec(2, 6, 6))
    first = world.ask(6, server="root://s01:1094")
    second = world.ask(6, server="root://s02:1094")
    world.read(*first[:5], *second[:4])
    for one in (first[5], *second[4:]):
        world.read(one, ok=False, error=f"[ERROR] no such file {one.path}")
    world.record(first[0])
    world.record(first[1], read=5, known_issue=["http_put_zero"])
    world.record(first[2], read=7)
    world.record(second[0], file_id=7)
    world.record(second[0], file_id=7, access="00" * 16)
    entry = score(world.store, world.repeat, "settle", world.tick())
    odd = break_down(world.store, [entry.id])
    assert (entry.missing, entry.wrong_bytes, entry.duplicate, entry.client_failed) == (5, 2, 1, 3)
    assert [(loss.lost_at, loss.count) for loss in odd.causes] == [("unknown", 5)]
    assert [(stage.lost_at, stage.certain, stage.count) for stage in odd.stages] == [("unknown", False, 5)]
    assert [
        (one.name, one.missing, one.wrong_bytes, one.duplicate, one.client_failed, one.count) for one in odd.servers
    ] == [
        ("root://s02:1094", 3, 0, 1, 2, 6),
        ("root://s01:1094", 2, 2, 0, 1, 5),
    ]
    assert [(one.status, one.error, one.count) for one in odd.errors] == [(3011, "[ERROR] no such file …", 3)]
    assert [(one.verdict, one.names, one.count) for one in odd.behaviours] == [
        ("duplicate", (), 1),
        ("wrong_bytes", (), 1),
        ("wrong_bytes", ("http_put_zero",), 1),
    ]
    assert sum(one.missing for one in odd.times) == 5
    assert sum(one.client_failed for one in odd.times) == 3


def test_what_is_matched_is_no_part_of_it(world: Any) -> None:
    world.begin(TestSpec(1, 2, 2))
    a, b = world.ask(2)
    world.read(a, b)
    world.record(a)
    world.record(b, read=1)
    world.record(b, read=(1 << 20) - 1)  # recovered: two accesses, which agree in sum
    entry = score(world.store, world.repeat, "settle", world.tick())
    assert (entry.matched, entry.recovered) == (2, 1)
    odd = break_down(world.store, [entry.id])
    assert (odd.causes, odd.stages, odd.servers, odd.times, odd.errors, odd.behaviours) == ((), (), (), (), (), ())


def test_errors_without_an_end_are_bounded_and_none_is_lost(world: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("gui.reconcile.breakdown.MAX_GROUPS", 3)
    world.begin(TestSpec(1, 8, 8))
    for number, one in enumerate(world.ask(8)):
        world.read(one, ok=False, error=f"[ERROR] {number // 2}")
    entry = score(world.store, world.repeat, "settle", world.tick())
    errors = break_down(world.store, [entry.id]).errors
    assert [(one.error, one.count) for one in errors] == [
        ("[ERROR] 0", 2), ("[ERROR] 1", 2), ("[ERROR] 2", 2), (OTHERS, 2),
    ]  # fmt: skip
    assert MAX_GROUPS >= 100


@given(
    st.dictionaries(st.tuples(st.integers(0, 2_000_000), st.sampled_from(ODD_KINDS)), st.integers(1, 9), max_size=80)
)
def test_stretches_of_time_are_few_in_order_and_lose_nothing(seconds: dict[tuple[int, VerdictKind], int]) -> None:
    bins = list(binned(seconds))
    assert len(bins) <= MAX_BINS
    assert [one.t for one in bins] == sorted({one.t for one in bins})
    for kind in ODD_KINDS:
        wanted = sum(count for (_, word), count in seconds.items() if word is kind)
        assert sum(getattr(one, kind.word) for one in bins) == wanted
    for t, _ in seconds:
        assert any(one.t <= t < one.t + one.seconds for one in bins)
