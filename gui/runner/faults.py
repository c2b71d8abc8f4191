"""The faults of a plan: injected when the plan says so, by the lab or on the clients of this machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from agent.messages import LabState
from gui.campaign.plan import Fault
from gui.runner.current import CurrentRepeat
from gui.runner.host import Problems
from gui.runner.lab import Injected, LabMissingError, inject
from gui.runner.local_clients import LocalClients
from gui.runner.snapshots import Board


class Faults:
    """`run` is a task beside a repeat; cancel it to stop. The lab ends a fault that outlasts the repeat."""

    def __init__(
        self,
        lab: LabState | None,
        local_clients: LocalClients | None,
        board: Board,
        problem: Problems,
        *,
        began: Callable[[], object] = lambda: None,
    ) -> None:
        """`began` is called when one begins."""
        self._began = began
        self._lab = lab
        self._local_clients = local_clients
        self._board = board
        self._problem = problem

    async def run(self, repeat: CurrentRepeat) -> None:
        """Inject the faults when the plan says so."""
        await repeat.first_round.wait()
        async with asyncio.TaskGroup() as tasks:
            for place, fault in enumerate(repeat.resolved.test.faults):
                if place not in repeat.injected:
                    tasks.create_task(self._fault(repeat, place, fault), name=f"fault {fault.do}")

    async def _fault(self, repeat: CurrentRepeat, place: int, fault: Fault) -> None:
        await asyncio.sleep(max(0.0, repeat.began + fault.at - time.time()))
        repeat.injected.add(place)
        self._began()
        self._board.mark("fault", fault.text)
        self._board.changed()
        try:
            done = await self._inject(fault)
        except LabMissingError as error:
            self._problem("error", f"fault {fault.do}", str(error))
        else:
            self._board.mark("fault", done.text, done.t)

    async def _inject(self, fault: Fault) -> Injected:
        if fault.do == "kill-agent":
            assert self._local_clients is not None  # otherwise the run is refused
            return Injected(await self._local_clients.kill(self._local_clients.names[0], fault.lasts))
        assert self._lab is not None
        return await inject(Path(self._lab.directory), fault)
