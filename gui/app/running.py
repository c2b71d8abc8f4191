"""The one run that was started from this window: begin, stop, abort, and what is shown when it is over. No Qt."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from gui.campaign.plan import Plan
from gui.campaign.planfile import format_plan
from gui.pages.desk import Desk
from gui.runner import lasting
from gui.runner.checklist import Check
from gui.runner.driver import HandedOverError
from gui.runner.errors import EXPECTED
from gui.runner.refusal import RunRefusedError
from gui.runner.workspace import Workspace

log = logging.getLogger("tally.window")

FaultsAnswer = Literal["", "end", "run"]
Ending = Literal["", "stopping", "aborting"]
"""*Stopping*: after its round, with settling. *Aborting*: at once."""


class Running:
    """`changed` is told whether a run is under way when that changes; `told` is called when it was asked to stop.
    `ask` is asked what to do where faults are still on in the lab: to ``end`` them, to ``run`` all the same, or empty:
    nothing."""

    def __init__(
        self,
        desk: Desk,
        changed: Callable[[bool], None],
        told: Callable[[], object],
        ask: Callable[[str, bool], Awaitable[FaultsAnswer]],
    ) -> None:
        self._desk = desk
        self._ask = ask
        self._changed = changed
        self._told = told
        self._aborted = False
        self._task: asyncio.Task[Any] | None = None
        self._stop_asked = False

    @property
    def under_way(self) -> bool:
        """Whether the run that was started last goes on."""
        return self._task is not None and not self._task.done()

    @property
    def ending(self) -> Ending:
        """What was asked of the run that goes on."""
        if not self.under_way or not self._stop_asked:
            return ""
        return "aborting" if self._aborted else "stopping"

    def run_plan(self, plan: Plan, text: str = "", directory: Path | None = None, checks: Sequence[Check] = ()) -> None:
        """Run this plan in the open workspace. `text` is its TOML; its file list is relative to `directory`; `checks`
        were made before it and are kept with it."""
        workspace = self._desk.workspace
        if workspace is None:
            remedy = "Open a workspace to run a plan, or choose Try it on this machine."
            self._desk.complain("run", "No workspace is open.", remedy)
            return
        self._desk.go("live")
        if self.under_way:
            return
        self._stop_asked = self._aborted = False
        work = self._carry_out(workspace, plan, text or format_plan(plan), directory, checks)
        self._task = self._desk.background(work, "run")

    async def _carry_out(
        self, workspace: Workspace, plan: Plan, text: str, directory: Path | None, checks: Sequence[Check]
    ) -> None:
        self._changed(True)
        try:
            if not await self._lab_is_free(workspace):
                return
            result = await workspace.run(plan, text=text, directory=directory, checks=checks)
        except HandedOverError:
            return  # another process goes on with it
        except EXPECTED as error:
            log.info("! the run could not begin: %s", error)
            self._desk.complain("run", str(error))
            return
        finally:
            self._changed(False)
        if self._desk.workspace is workspace and not self._desk.closing:
            self._over(result.run)

    async def _lab_is_free(self, workspace: Workspace) -> bool:
        """Whether to begin: no fault of an earlier run is on in the lab, or the user has decided."""
        if workspace.lab is None:
            return True
        faults = await lasting.faults_at_start(workspace)
        if not faults:
            return True
        ends = list(dict.fromkeys(fault.do for fault in faults if lasting.can_be_ended(fault)))
        answer = await self._ask(lasting.sentence(faults), bool(ends))
        if answer == "end" and workspace.lab is not None:
            for do in ends:
                await lasting.end_fault(workspace.lab, do)
        return bool(answer) and self._desk.workspace is workspace and not self._stop_asked

    def _over(self, run: int) -> None:
        """Show the result, unless the user looks at something else, or stopped the run and watches its end."""
        if self._desk.current_page() == "live" and not self._stop_asked:
            self._desk.go("result", run=run)

    def forget(self) -> None:
        """Whoever stops the run does not want to see its result."""
        self._stop_asked = True

    def pause(self) -> None:
        """Pause the run, or resume it."""
        workspace = self._desk.workspace
        if workspace is None:
            return
        try:
            workspace.pause(on=not workspace.progress.latest.paused)
        except RunRefusedError as error:
            self._desk.complain("run", str(error))
        self._told()

    def stop(self) -> None:
        """Stop the run after its round; a second call aborts it."""
        workspace = self._desk.workspace
        if workspace is None:
            return
        if self._stop_asked:
            self._aborted = True
            workspace.abort()
        else:
            self._stop_asked = workspace.stop()
        self._told()
