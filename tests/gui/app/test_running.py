"""The run of the window: begun once, stopped and then aborted, shown when it is over."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from gui.app.running import Running
from gui.campaign.planfile import format_plan
from gui.models.plans import NEW_PLAN
from gui.runner.checklist import Check
from gui.runner.resolve import RunRefusedError


class Stage:
    """A workspace whose run ends with what `end` gets."""

    def __init__(self, desk: Any, make_workspace: Any) -> None:
        self.told: list[object] = []
        self.endings: list[str] = []
        self.end: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        desk.workspace = make_workspace(run=self.run, stop=self.stop, abort=lambda: self.told.append("abort"))
        self.running = Running(
            desk, lambda on: self.told.append(("running", on)), lambda: self.endings.append(self.running.ending)
        )

    async def run(self, plan: Any, *, text: str, directory: Any, checks: Any) -> object:
        self.told.append(("run", plan.name, text, *checks))
        return await self.end

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
