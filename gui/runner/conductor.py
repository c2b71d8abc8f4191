"""The commands of remote operators: run a plan; stop, abort, pause and resume the run."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from gui.campaign.planfile import PlanError, parse_plan
from gui.hub import Command, CommandRefusedError
from gui.runner.driver import HandedOverError
from gui.runner.refusal import RunRefusedError
from gui.runner.runs import Runs


class RunConductor:
    """Carries out commands that the hub takes. A call raises CommandRefusedError."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs

    async def __call__(self, command: Command, by: str) -> Any:
        match command.do:
            case "run":
                return await self._run(command)
            case "stop":
                done = self._runs.stop()
            case "abort":
                done = self._runs.abort()
            case "pause" | "continue":
                try:
                    self._runs.pause(on=command.do == "pause", by=by)
                except RunRefusedError as error:
                    raise CommandRefusedError(str(error)) from error
                return None
            case _:
                raise CommandRefusedError(f"The command {command.do} is not known here.")
        if not done:
            raise CommandRefusedError("No run is under way.")
        return None

    async def _run(self, command: Command) -> Any:
        if self._runs.session is not None:
            raise CommandRefusedError("A run is under way; stop it first.")
        try:
            plan = parse_plan(command.plan)
            result = await self._runs.run(plan, text=command.plan, files=command.files or None, wait=command.wait)
        except HandedOverError:
            # The next program at this address has the run, and tells its result. This session ends with the hub.
            return await asyncio.get_running_loop().create_future()
        except (PlanError, RunRefusedError, ValueError) as error:
            raise CommandRefusedError(str(error)) from error
        return msgspec.to_builtins(result)
