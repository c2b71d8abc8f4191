"""How far a run is, and how long it still takes."""

from __future__ import annotations

import pytest

from gui.runner.outlook import Outlook, Work


def outlook() -> Outlook:
    return Outlook([Work("small", 100, pauses=4, repeats=2), Work("large", 1000, pauses=9, repeats=1)])


def left(one: Outlook, **now: float) -> float | None:
    values = {"elapsed": 0.0, "work_left": None, "done": 0, "worked": 0.0} | now
    return one.left(**values)  # type: ignore[arg-type]


def test_before_anything_was_done_nobody_knows() -> None:
    one = outlook()
    assert (one.total, one.handed, left(one)) == (1200, 0, None)
    assert [step.repeats for step in one.steps] == [("waiting", "waiting"), ("waiting",)]
    one.begin(1, 1)
    assert left(one, elapsed=1.0) is None


def test_a_repeat_takes_what_the_last_one_of_its_test_took() -> None:
    one = outlook()
    one.begin(1, 1)
    one.finish(1, 1, "passed", took=20.0, worked=14.0, handed=100)
    one.begin(1, 2)
    # 10 of 20 s are left; 100 requests kept the clients busy for 10 s, so 1,000 take 100 s, 9 s of pauses, 6 s besides.
    assert left(one, elapsed=10.0, work_left=3.0) == pytest.approx(10 + 115)
    one.finish(1, 2, "failed", took=20.0, worked=14.0, handed=100)
    assert left(one) == pytest.approx(115)
    one.begin(2, 1)
    assert left(one, elapsed=60.0, work_left=50.0, done=500, worked=55.0) == pytest.approx(50 + 6)
    assert one.handed == 200
    assert [step.repeats for step in one.steps] == [("passed", "failed"), ("running",)]
    one.finish(2, 1, "ended", took=120.0, worked=110.0, handed=1000)
    assert left(one) == 0


def test_a_repeat_that_came_to_no_score_is_at_its_end() -> None:
    one = outlook()
    one.begin(1, 1)
    one.give_up()
    assert [step.repeats for step in one.steps] == [("ended", "waiting"), ("waiting",)]
