"""The workloads of a test side by side."""

from __future__ import annotations

from typing import Any

import pytest

from agent.messages import Done, Phases, Started, Workload
from gui.reconcile import by_share, score
from gui.store import NewRequest, TestSpec

MIX = (Workload("full", protocol="http", weight=2), Workload("write", protocol="https"))


def ask(world: Any, shares: list[int]) -> list[tuple[str, str]]:
    (tag,) = world.store.allocate_tags(1)
    asked = [(tag, f"/f{number}") for number in range(len(shares))]
    requests = [
        NewRequest(tag, path, "root://s1:1094", "shared/c1", 0, 100, 7, share)
        for (_, path), share in zip(asked, shares, strict=True)
    ]
    world.store.add_requests(world.repeat, requests, world.tick())
    return asked


def done(world: Any, tag: str, path: str, phases: Phases, seconds: float = 1.0, *, ok: bool = True) -> None:
    started = Started(world.number("shared/c1"), world.job, 1, tag, "root://s1:1094", path, world.now)
    line = Done(
        world.number("shared/c1"), world.job, tag, path, ok, world.now, world.now + seconds, 100, 100, 0, 0, 0, 1, 0, 0,
        error="" if ok else "no", phases=phases,
    )  # fmt: skip
    world.journal("shared/c1", [started, line])


def test_each_workload_has_its_own_figures(any_world: Any) -> None:
    world = any_world
    world.begin(TestSpec(1, 6, 6, mix=MIX))
    asked = ask(world, [0, 1, 0, 0, 1, 1])
    for number, (tag, path) in enumerate(asked):
        done(world, tag, path, Phases(first=0.1 * (number + 1)), ok=number != 5)
    for number, (tag, path) in enumerate(asked):
        if number not in (2, 5):
            world.store.load([world.body(_like(tag, path), read=0 if number == 1 else 100)], world.tick())
    entry = score(world.store, world.repeat, "settle", world.tick())
    full, write = by_share(world.store, [entry.id])
    assert (full.share, full.requested, full.matched, full.missing, full.recorded) == (0, 3, 2, 1, 2)
    assert (write.requested, write.matched, write.wrong_bytes, write.client_failed) == (3, 1, 1, 1)
    assert (full.success, write.success) == (pytest.approx(66.67, abs=0.01), 50.0)
    assert (full.bytes_asked, full.bytes_recorded) == (300, 200)
    assert (full.counted, write.counted) == (3, 2)


def test_phases_are_those_of_requests_without_error(world: Any) -> None:
    world.begin(TestSpec(1, 4, 4))
    asked = ask(world, [0] * 4)
    done(world, *asked[0], Phases(name=0.001, connect=0.002, tls=0.003, first=0.4), 2.0)
    done(world, *asked[1], Phases(first=0.2), 1.0)
    done(world, *asked[2], Phases(first=9.0), 9.0, ok=False)
    entry = score(world.store, world.repeat, "settle", world.tick())
    (one,) = by_share(world.store, [entry.id])
    found = {name: (time.count, time.p50, time.max) for name, time in one.phases.items()}
    assert found == {
        "name": (1, 0.001, 0.001),
        "connect": (1, 0.002, 0.002),
        "tls": (1, 0.003, 0.003),
        "first": (2, 0.2, 0.4),
        "total": (2, 1.0, 2.0),
    }
    (first, *_) = world.store.requests(world.repeat)
    assert first.phases == Phases(name=0.001, connect=0.002, tls=0.003, first=0.4)


def _like(tag: str, path: str) -> Any:
    from tests.gui.store.world import Asked

    return Asked(tag, path, "root://s1:1094", "shared/c1", 100)
