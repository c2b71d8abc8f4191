"""The run of the window: begun once, stopped and then aborted, shown when it is over."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from gui.app.running import FaultsAnswer, Running
from gui.campaign.planfile import format_plan
from gui.models.plans import NEW_PLAN
from gui.reconcile import ForeignFault
from gui.runner import lasting
from gui.runner.checklist import Check
from gui.runner.refusal import RunRefusedError


class Stage:
    """A workspace whose run ends with what `end` gets."""

    def __init__(self, desk: Any, make_workspace: Any) -> None:
        self.told: list[object] = []
        self.endings: list[str] = []
        self.end: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        desk.workspace = make_workspace(run=self.run, stop=self.stop, abort=lambda: self.told.append("abort"), lab=None)
        self.answer: FaultsAnswer = "run"
        self.running = Running(
            desk,
            lambda on: self.told.append(("running", on)),
            lambda: self.endings.append(self.running.ending),
            self.ask,
        )

    async def run(self, plan: Any, *, text: str, directory: Any, checks: Any) -> object:
        self.told.append(("run", plan.name, text, *checks))
        return await self.end

    async def ask(self, what: str, can_end: bool) -> FaultsAnswer:
        self.told.append(("asked", what, can_end))
        return self.answer

    def stop(self) -> bool:
        self.told.append("stop")
        return True


async def test_a_run_is_begun_once_and_shown_when_it_is_over(desk, make_workspace) -> None:
    stage = Stage(desk, make_workspace)
    stage.running.run_plan(NEW_PLAN)
    await asyncio.sleep(0)
    stage.running.run_plan(NEW_PLAN)
    assert (desk.page, stage.running.under_way) == ("live", True)
    stage.end.set_result(SimpleNamespace(run=7))
    assert await desk.settle() == ["run"]
    begun, ended = ("running", True), ("running", False)
    assert stage.told == [begun, ("run", "new plan", format_plan(NEW_PLAN)), ended]
    assert (desk.page, desk.place) == ("result", {"run": 7})


async def test_the_checks_that_were_made_before_a_run_go_with_it(desk, make_workspace) -> None:
    stage = Stage(desk, make_workspace)
    check = Check("bus", "Bus", "ok", "It is there.")
    stage.running.run_plan(NEW_PLAN, "text", checks=(check,))
    stage.end.set_result(SimpleNamespace(run=7))
    await desk.settle()
    assert ("run", "new plan", "text", check) in stage.told


async def test_the_first_stop_lets_the_round_end_and_the_second_aborts(desk, make_workspace) -> None:
    stage = Stage(desk, make_workspace)
    stage.running.run_plan(NEW_PLAN)
    await asyncio.sleep(0)
    stage.running.stop()
    stage.running.stop()
    assert stage.told[-2:] == ["stop", "abort"]
    assert stage.endings == ["stopping", "aborting"]
    stage.end.set_result(SimpleNamespace(run=7))
    await desk.settle()
    assert stage.running.ending == ""
    assert desk.page == "live", "who stops a run wants to see its end"


async def test_a_run_that_cannot_begin_is_a_sentence(desk, make_workspace) -> None:
    stage = Stage(desk, make_workspace)
    stage.running.run_plan(NEW_PLAN)
    stage.end.set_exception(RunRefusedError("There is no bus."))
    await desk.settle()
    assert desk.said == [("run", "There is no bus.", "")]
    assert stage.told[-1] == ("running", False)


async def test_a_workspace_that_was_left_meanwhile_is_not_shown(desk, make_workspace) -> None:
    stage = Stage(desk, make_workspace)
    stage.running.run_plan(NEW_PLAN)
    await asyncio.sleep(0)
    desk.workspace = None
    stage.end.set_result(SimpleNamespace(run=7))
    await desk.settle()
    assert stage.told[-1] == ("running", False)


async def test_without_a_workspace_nothing_runs(desk, make_workspace) -> None:
    stage = Stage(desk, make_workspace)
    desk.workspace = None
    stage.running.run_plan(NEW_PLAN)
    assert [where for where, _, _ in desk.said] == ["run"]
    assert desk.page == "welcome"


@pytest.mark.parametrize(("answer", "ended", "runs"), [("end", ["udp-loss"], True), ("run", [], True), ("", [], False)])
async def test_where_a_fault_is_still_on_the_user_decides(
    desk, make_workspace, monkeypatch, answer: FaultsAnswer, ended: list[str], runs: bool
) -> None:
    done: list[str] = []

    async def on(_place: Any) -> tuple[ForeignFault, ...]:
        return (ForeignFault("udp-loss", 1.0, run=4), ForeignFault("kill-shoveler", 2.0, until=9.0, run=4))

    async def end(_lab: Any, do: str) -> None:
        done.append(do)

    monkeypatch.setattr(lasting, "faults_at_start", on)
    monkeypatch.setattr(lasting, "end_fault", end)
    stage = Stage(desk, make_workspace)
    desk.workspace.lab = object()
    stage.answer = answer
    stage.running.run_plan(NEW_PLAN)
    stage.end.set_result(SimpleNamespace(run=7))
    await desk.settle()
    asked = next(told for told in stage.told if told[0] == "asked")  # type: ignore[index]
    assert "udp-loss of run 4 is still on, until somebody ends it" in asked[1]  # type: ignore[index]
    assert asked[2] is True, "one of them can be ended"  # type: ignore[index]
    assert done == ended
    assert any(told[0] == "run" for told in stage.told) is runs  # type: ignore[index]
    assert stage.told[-1] == ("running", False)
