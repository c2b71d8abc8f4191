"""Old runs are removed once a day where a workspace has limits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gui.runner import retention
from gui.runner.retention import DAY_SECONDS, Limits, Retention, Turn, last_turn, limits_of, set_limits
from gui.store import Store, StoreBusyError
from tests.gui.commands.test_vacuum import add_run

NOW = 1_790_000_000.0
MONTH = Limits(older_than=30 * DAY_SECONDS)


@pytest.fixture
def keep(tmp_path: Path) -> Any:
    with Store(tmp_path / "w.db") as store:
        yield store


def of(store: Store, busy: Callable[[], bool] = lambda: False) -> Retention:
    unused: Any = None
    return Retention(store, unused, unused, busy)


def left(store: Store) -> list[int]:
    return sorted(run.id for run in store.runs())


def aged(store: Store, *days: float) -> None:
    for age in days:
        add_run(store, NOW - age * DAY_SECONDS)


def test_without_limits_nothing_goes(keep: Store) -> None:
    aged(keep, 400)
    of(keep).take_turn(NOW)
    assert (left(keep), last_turn(keep)) == ([1], Turn())


def test_once_a_day_what_is_too_old_goes_but_the_baseline_and_runs_under_way(keep: Store) -> None:
    aged(keep, 60, 50, 40, 29.5)
    keep.set_baseline(1)
    keep.set_run(2, state="running")
    set_limits(keep, MONTH)
    keeper = of(keep)
    keeper.take_turn(NOW)
    assert (left(keep), last_turn(keep)) == ([1, 2, 4], Turn(NOW, (3,)))
    keeper.take_turn(NOW + DAY_SECONDS - 1)
    assert left(keep) == [1, 2, 4], "run 4 is too old by now, and its day has not come"
    keeper.take_turn(NOW + DAY_SECONDS)
    assert (left(keep), last_turn(keep)) == ([1, 2], Turn(NOW + DAY_SECONDS, (4,)))


def test_a_turn_has_an_end(keep: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "MOST_A_DAY", 2)
    aged(keep, 90, 80, 70)
    set_limits(keep, MONTH)
    of(keep).take_turn(NOW)
    assert left(keep) == [3]


def test_by_size_the_oldest_go(keep: Store) -> None:
    for days in (30, 20):
        add_run(keep, NOW - days * DAY_SECONDS, requests=2000)
    set_limits(keep, Limits(max_size=keep.database.used_bytes() - 100_000))
    of(keep).take_turn(NOW)
    assert left(keep) == [2]


def test_no_turn_begins_while_tests_run(keep: Store) -> None:
    aged(keep, 90)
    set_limits(keep, MONTH)
    of(keep, lambda: True).take_turn(NOW)
    assert (left(keep), last_turn(keep)) == ([1], Turn())


def test_tests_that_begin_end_a_turn_and_the_next_finishes_it(keep: Store) -> None:
    add_run(keep, NOW - 90 * DAY_SECONDS, requests=10)
    aged(keep, 80)
    set_limits(keep, MONTH)
    answers = iter([False, True])
    of(keep, lambda: next(answers)).take_turn(NOW)
    assert left(keep) == [2], "the first is hidden at once, whatever there still is of it"
    assert requests_in(keep) == 10
    assert last_turn(keep) == Turn()
    of(keep).take_turn(NOW + 600)
    assert (left(keep), requests_in(keep), last_turn(keep).removed) == ([], 0, (2,))


def requests_in(store: Store) -> int:
    with store.database.read() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM request").scalar_one())


def test_limits_that_a_later_version_wrote_remove_nothing(keep: Store) -> None:
    keep.put_setting(retention.LIMITS, '{"older_than":"a year"}')
    assert limits_of(keep) == Limits()
    set_limits(keep, MONTH)
    assert limits_of(keep) == MONTH
    set_limits(keep, Limits())
    assert limits_of(keep) == Limits()
    assert MONTH.words() == "runs older than 30d"
    assert Limits(3600.0, 10 * 2**30).words() == "runs older than 1h and the oldest runs beyond 10.0 GiB"


async def test_a_database_that_fails_is_a_problem_until_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    outcomes = iter([StoreBusyError("w.db is locked.")])

    def blocking(*_: Any, **__: Any) -> asyncio.Future[None]:
        done = asyncio.get_running_loop().create_future()
        error = next(outcomes, None)
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)
        return done

    monkeypatch.setattr(retention, "LOOK_SECONDS", 0.0)
    nothing: Any = None
    keeper = Retention(nothing, blocking, lambda *words: told.append(words[2]), lambda: False)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(keeper.run(), name="retention")
        while len(told) < 2:  # noqa: ASYNC110 - a turn of the loop is all that is waited for
            await asyncio.sleep(0)
        running.cancel()
    assert told[:2] == ["Old runs could not be removed: w.db is locked.", ""]


async def test_a_workspace_that_is_opened_keeps_its_limits(stage: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "tally.runner")
    with Store(stage.options().database) as store:
        add_run(store, time.time() - 60 * DAY_SECONDS)
        set_limits(store, MONTH)
    async with stage.open() as workspace:
        await stage.until(lambda: last_turn(workspace.store).removed)
        assert left(workspace.store) == []
    assert "= run 1 (r) was removed, as are every day runs older than 30d" in caplog.text
