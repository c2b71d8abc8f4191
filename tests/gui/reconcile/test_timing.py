"""Latencies and throughput over time: what was really measured, filed where it was."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from gui.reconcile import time_test
from gui.reconcile.timing import MAX_MOMENTS, latency
from gui.store import SampleRow, TestSpec


def timed(world: Any, *times: tuple[str, float, float, bool]) -> None:
    """Requests (server, open, close, ok) with exactly these times, in seconds after 1,000,000."""
    for server, opened, closed, ok in times:
        (one,) = world.ask(1, server=server, paths=[f"/f{opened}{closed}"])
        world.read(one, ok=ok)
        with world.store.database.write() as connection:
            connection.execute(
                text("UPDATE request SET t_open = :o, t_close = :c WHERE id = (SELECT MAX(id) FROM request)"),
                {"o": 1e6 + opened, "c": 1e6 + closed},
            )


def test_percentiles_are_those_of_real_requests(any_world: Any) -> None:
    world = any_world
    world.begin(TestSpec(2, 3, 3))
    timed(world, ("s1", 0, 0.5, True), ("s1", 1, 3.0, True), ("s2", 1, 1.25, True), ("s2", 4, 9.0, False))
    timing = time_test(world.store, [world.repeat], [world.store.samples(world.repeat)])
    assert timing is not None
    assert (timing.latency.count, timing.latency.p50, timing.latency.p95, timing.latency.max) == (3, 0.5, 2.0, 2.0)
    assert (timing.failed, timing.bytes_read) == (1, None)
    assert [(one.t - 1e6, one.seconds, one.requests, one.failed, one.p50) for one in timing.moments] == [
        (0, 1, 1, 0, 0.5), (1, 1, 1, 0, 0.25), (3, 1, 1, 0, 2.0), (9, 1, 0, 1, None),
    ]  # fmt: skip
    assert [(one.name, one.latency.count, one.latency.max, one.failed) for one in timing.servers] == [
        ("s1", 2, 2.0, 0), ("s2", 1, 0.25, 1),
    ]  # fmt: skip


def test_bytes_are_where_clients_measured_them(world: Any) -> None:
    world.begin(TestSpec(2, 1, 1))
    timed(world, ("s1", 0, 3.5, True), ("s2", 0, 3.9, True))
    one, two = (server.id for server in world.store.servers())
    samples = [
        SampleRow(1_000_000, one, bytes_read=100), SampleRow(1_000_001, one), SampleRow(1_000_001, two, bytes_read=7),
        SampleRow(1_000_002, one, bytes_read=150), SampleRow(1_000_003, two, bytes_read=7),
    ]  # fmt: skip
    timing = time_test(world.store, [world.repeat], [samples])
    assert timing is not None
    assert [(m.t - 1e6, m.bytes_read) for m in timing.moments] == [(0, 100), (1, 7), (2, 50), (3, 0)]
    assert [(s.bytes_read, [(m.t - 1e6, m.bytes_read) for m in s.moments]) for s in timing.servers] == [
        (150, [(0, 100), (2, 50), (3, None)]),
        (7, [(1, 7), (3, 0)]),
    ]
    assert timing.bytes_read == 157


def test_a_test_whose_requests_never_ended_has_none(world: Any) -> None:
    world.begin(TestSpec(1, 1, 1))
    world.start(*world.ask(1))
    assert time_test(world.store, [world.repeat], [[]]) is None


def test_a_long_test_is_cut_into_few_stretches(world: Any) -> None:
    world.begin(TestSpec(1, 50, 50))
    timed(world, *[("s1", 1000 * n, 1000 * n + 0.5, True) for n in range(50)])
    timing = time_test(world.store, [world.repeat], [[]])
    assert timing is not None
    assert len(timing.moments) <= MAX_MOMENTS
    assert sum(one.requests for one in timing.moments) == 50


@given(st.lists(st.floats(0, 1e6), max_size=300))
def test_a_percentile_is_reached_by_its_share_and_not_by_fewer(seconds: list[float]) -> None:
    found = latency(seconds)
    assert found.count == len(seconds)
    for part, value in ((50, found.p50), (95, found.p95), (99, found.p99), (100, found.max)):
        if value is None:
            assert not seconds
            continue
        assert 100 * sum(one <= value for one in seconds) >= part * len(seconds)
        assert 100 * sum(one < value for one in seconds) < part * len(seconds)
