"""The runs of a workspace as the page lists them."""

from __future__ import annotations

from typing import Any

import pytest

from gui.reconcile import run_figures, score
from gui.statuspage import history
from gui.statuspage.history import HistoryReader
from gui.store import Store


def finished(world: Any, name: str, recorded: int = 4) -> int:
    """A run of four requests, so many of which were recorded."""
    run: int = world.begin(name=name)
    asked = world.ask(4)
    world.read(*asked)
    world.record(*asked[:recorded])
    score(world.store, world.repeat, "settle", world.tick())
    state = "passed" if recorded == 4 else "failed"
    world.store.set_run(run, state=state, ended=world.now)
    return run


def test_newest_first_with_their_figures(world: Any, store: Store) -> None:
    first, second = finished(world, "one"), finished(world, "two", 3)
    running = world.begin(name="three")
    read = HistoryReader(store).read()
    assert read.total == 3
    assert [line.run for line in read.lines] == [running, second, first]
    assert [line.outcome for line in read.lines] == ["running", "failed", "passed"]
    line = read.lines[1]
    assert (line.requests, line.good, line.counted, line.missing, line.success) == (4, 3, 4, 1, "75.00 %")
    assert line.cause.startswith("1 missing: ")
    assert read.last_failure is line
    assert not read.lines[0].over


def test_a_run_is_read_again_only_when_it_has_changed(
    world: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(world, "one")
    world.begin(name="two")
    asked: list[int] = []
    real = run_figures

    def figures(store: Store, run: int) -> Any:
        asked.append(run)
        return real(store, run)

    monkeypatch.setattr(history, "run_figures", figures)
    reader = HistoryReader(store)
    before = reader.read()
    assert reader.read() == before
    assert asked == [2, 1]
    late = world.ask(4)
    world.read(*late)
    world.record(*late)
    score(store, world.repeat, "settle", world.tick())
    assert reader.read().lines[0].good == 4
    assert asked == [2, 1, 2]


def test_a_run_that_cannot_be_read_says_so(world: Any, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    finished(world, "one")

    def broken(_store: Store, _run: int) -> Any:
        raise ValueError("rows contradict each other")

    monkeypatch.setattr(history, "run_figures", broken)
    (line,) = HistoryReader(store).read().lines
    assert (line.outcome, line.counted) == ("error", None)
    assert line.sentence == "This run cannot be read: rows contradict each other."


def test_the_page_lists_a_bounded_number(world: Any, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MAX_RUNS", 2)
    for name in ("one", "two", "three"):
        world.begin(name=name)
    read = HistoryReader(store).read()
    assert (len(read.lines), read.total) == (2, 3)


def test_the_last_failure_is_over_when_the_plan_has_passed_since(world: Any, store: Store) -> None:
    finished(world, "one", 3)
    failed = finished(world, "two", 3)
    finished(world, "one")
    failure = HistoryReader(store).read().last_failure
    assert failure is not None
    assert failure.run == failed
    finished(world, "two")
    assert HistoryReader(store).read().last_failure is None
