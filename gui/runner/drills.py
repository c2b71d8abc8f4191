"""Drills: faults of a lab that a person starts by name to see what the pipeline does, and ends again."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from agent.messages import LabState
from gui.campaign.plan import Fault, FaultKind
from gui.runner.lab import LabMissingError, cannot, inject, order, read_lab

LOSS_SECONDS = 60.0
"""How long datagrams are dropped."""
NO_LAB = "Drills need a lab: this workspace has none. tally-agent lab up starts one."


@dataclass(frozen=True, slots=True)
class Drill:
    """A drill. `unit` is that of its amount, empty if it has none; `stop` are the words that end it."""

    name: str
    title: str
    do: FaultKind
    unit: Literal["", "s", "%"] = ""
    amount: float = 0.0
    most: float = 0.0
    stop: tuple[str, ...] = ()
    _what: str = ""

    def seconds(self, amount: float) -> float:
        """How long it lasts; 0 for one that is over at once."""
        return amount if self.unit == "s" else LOSS_SECONDS if self.unit == "%" else 0.0

    def fault(self, amount: float) -> Fault:
        """The lab's fault with this amount."""
        percent = amount if self.unit == "%" else 1.0
        return Fault(at=0.0, do=self.do, lasts=self.seconds(amount), percent=percent)

    def what(self, amount: float) -> str:
        """What will happen, in sentences."""
        return self._what.format(amount=f"{amount:g}", seconds=f"{self.seconds(amount):g}")


DRILLS = (
    Drill(
        "cut-broker", "Cut the broker", "broker-down", "s", 60.0, 600.0, ("broker-up",),
        "The broker of the lab is killed and stays down for {amount} s. The shovelers keep datagrams in their spools "
        "and send them when it is back. Nothing should be lost.",
    ),
    Drill(
        "drop-udp", "Drop UDP", "udp-loss", "%", 1.0, 100.0, ("udp-loss", "--percent", "0"),
        "{amount} % of all datagrams of every server of the lab are dropped for {seconds} s. They are lost for good: "
        "requests will be missing.",
    ),
    Drill(
        "restart-collector", "Restart the collector", "kill-collector",
        _what="The collectors of the lab are killed and start again at once. Each goes on from its last checkpoint. "
        "Nothing should be lost.",
    ),
)  # fmt: skip


def why_not(drill: Drill, lab: LabState | None) -> str:
    """Why this drill cannot be started; empty if it can."""
    if lab is None:
        return NO_LAB
    reasons = cannot([drill.fault(drill.amount)], lab, local_clients=False)
    return reasons[0] if reasons else ""


class Drills:
    """The drills of one lab: what is on, and until when, whoever began it: `listen` asks the lab. Belongs to one event
    loop."""

    def __init__(self, directory: Path, clock: Callable[[], float]) -> None:
        self._directory = directory
        self._clock = clock
        self._until: dict[str, float] = {}
        self._orders = 0

    async def listen(self) -> None:
        """Learn from the lab what is on: a plan may have begun it, and somebody else may have ended it. Where the lab
        does not answer, what is known stays. What was ordered meanwhile counts more than an answer from before."""
        orders = self._orders
        try:
            state = await asyncio.to_thread(read_lab, self._directory)
        except LabMissingError:
            return
        if orders == self._orders:
            on = {fault.do: fault.until or math.inf for fault in state.active}
            self._until = {drill.name: on[drill.do] for drill in DRILLS if drill.do in on}

    def left(self, drill: Drill) -> float | None:
        """Seconds until it ends (infinity: when somebody ends it); None when it is not under way."""
        until = self._until.get(drill.name)
        if until is None:
            return None
        if until <= self._clock():
            del self._until[drill.name]
            return None
        return until - self._clock()

    async def start(self, drill: Drill, amount: float) -> str:
        """Start it; returns the lab's answer. Raises LabMissingError."""
        self._orders += 1
        answer = (await inject(self._directory, drill.fault(amount))).text
        self._orders += 1
        if drill.seconds(amount):
            self._until[drill.name] = self._clock() + drill.seconds(amount)
        return answer

    async def stop(self, drill: Drill) -> str:
        """End it now; returns the lab's answer. Raises LabMissingError."""
        self._orders += 1
        answer = (await order(self._directory, *drill.stop)).text
        self._orders += 1
        self._until.pop(drill.name, None)
        return answer
