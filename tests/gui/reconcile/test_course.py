"""The course of a request: what is known of it at each stage, matched or not, and how sure that is."""

from __future__ import annotations

from typing import Any

import pytest

from gui.reconcile import Courses, step_of
from gui.store import NoSuchRowError, VerdictKind
from shoveler.service import decode_status
from tests.gui.reconcile.losses import ONE, run_with_losses


def found(world: Any, run: int, verdict: VerdictKind, number: int = 0) -> Any:
    chosen = world.store.requests(world.repeat, verdict=verdict)[number]
    return Courses(world.store, run).of(chosen.id)


def states(course: Any) -> list[str]:
    return [stage.state for stage in course.stages]


def test_a_lost_close_is_bracketed_by_numbers_and_a_counter(any_world: Any) -> None:
    run = run_with_losses(any_world)
    course = found(any_world, run, VerdictKind.MISSING)
    assert states(course) == ["passed", "passed", "lost", *["not reached"] * 4]
    assert (course.sure, course.ladder.lost_at) == ("proven", "kernel")
    assert (course.gap.after, course.gap.missing) == (78, 1)
    mine, other = sorted(course.strips, key=lambda strip: not strip.mine)
    assert (mine.mine, mine.numbers) == (True, ((76, True), (77, True), (78, True), (79, False), (80, True)))
    assert (other.mine, other.numbers, other.missing) == (False, (), 0)
    assert course.shared == 1
    assert [count for _, count in course.drops] == [0, 1]
    assert (course.together_count, [each.path for each in course.together]) == (
        3, [f"/store/test/f{n:04}.root" for n in (1, 2, 3)]
    )  # fmt: skip
    assert course.shoveler_host == "mon2.example.org"
    assert course.collectors == (("k1", "col.example.org"),)


def test_a_matched_request_has_its_stages_with_times_and_figures(any_world: Any) -> None:
    run = run_with_losses(any_world)
    course = found(any_world, run, VerdictKind.MATCHED)
    assert course.ladder is None
    assert states(course) == ["passed"] * 7
    assert course.sure == ""
    counts = [stage.count for stage in course.stages]
    assert counts == [None, None, 131, 131, 130, 130, 20]
    times = {stage.name: stage.t for stage in course.stages}
    assert times["client"] == course.request.t_open
    assert times["loaded"] == course.records[0].loaded
    assert times["server"] is not None


def test_a_last_status_that_is_kept_as_a_step_too_hides_no_figures(any_world: Any) -> None:
    run = run_with_losses(any_world)
    before = [stage.count for stage in found(any_world, run, VerdictKind.MATCHED).stages]
    for pair in any_world.store.statuses(run):
        first, last = (decode_status(f"{pair.program}.{pair.member}", body) for body in (pair.first, pair.last))
        any_world.store.add_status_step(run, step_of(first, last))
    course = found(any_world, run, VerdictKind.MATCHED)
    assert [stage.count for stage in course.stages] == before
    assert states(course) == ["passed"] * 7


def test_what_nobody_watched_is_not_said_to_have_passed(any_world: Any) -> None:
    run = run_with_losses(any_world, statuses=False)
    course = found(any_world, run, VerdictKind.MATCHED)
    assert states(course) == [
        "passed", "passed", "not watched", "not watched", "not watched", "passed", "passed"
    ]  # fmt: skip
    lost = found(any_world, run, VerdictKind.MISSING)
    assert lost.sure == "unknown"
    assert set(states(lost)) == {"passed", "unknown"}
    assert lost.strips == ()


def test_what_the_plan_injected_is_certain_and_named(world: Any) -> None:
    run = run_with_losses(world, fault="udp-loss for 30 s (2 % of all)")
    course = found(world, run, VerdictKind.MISSING)
    assert [fault.do for fault in course.injected] == ["udp-loss"]
    assert course.sure == "certain"
    matched = found(world, run, VerdictKind.MATCHED)
    assert matched.injected == ()
    assert [fault.do for fault in matched.faults] == ["udp-loss"]


def test_each_verdict_has_a_course(world: Any) -> None:
    run = run_with_losses(world)
    for verdict, records in ((VerdictKind.WRONG_BYTES, 1), (VerdictKind.DUPLICATE, 2), (VerdictKind.CLIENT_FAILED, 0)):
        assert len(found(world, run, verdict).records) == records
    failed = found(world, run, VerdictKind.CLIENT_FAILED)
    assert states(failed)[0] == "lost"
    assert failed.sure == "certain"
    assert failed.request.server_url == ONE


def test_a_request_of_another_run_is_not_there(world: Any) -> None:
    first = run_with_losses(world)
    one = world.store.requests(world.repeat)[0].id
    second = run_with_losses(world)
    with pytest.raises(NoSuchRowError, match=f"Run {second} has no request {one}"):
        Courses(world.store, second).of(one)
    assert Courses(world.store, first).of(one).request.id == one
