"""Faults that are still on in the lab before a run begins: whose they are, and how they are ended.

A plan's fault may last longer than its repeat; the lab keeps it on for whoever runs next. `gui.reconcile.foreign` is
what a run keeps of that.
"""

from __future__ import annotations

import asyncio
import logging
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from agent.messages import LabFault, LabState
from gui.reconcile.foreign import ForeignFault
from gui.runner.host import Blocking
from gui.runner.lab import Injected, LabMissingError, default_lab, order, read_lab
from gui.store import Store

log = logging.getLogger("tally.runner")

ENDS: Mapping[str, tuple[str, ...]] = {
    "udp-loss": ("udp-loss", "--percent", "0"),
    "wire-loss": ("wire-loss", "--percent", "0"),
    "fragment-loss": ("fragment-loss", "--percent", "0"),
    "broker-down": ("broker-up",),
    "broker-restart": ("broker-up",),
}
"""The order that ends a fault. Those of a process end at their time only."""


class Place(Protocol):
    """Where a run is to begin: a workspace, or what a run finds around it."""

    store: Store

    @property
    def lab(self) -> LabState | None: ...
    @property
    def blocking(self) -> Blocking: ...


async def lasting_faults(place: Place) -> tuple[ForeignFault, ...]:
    """The faults that are on in the lab of this place now, the oldest first. Raises LabMissingError."""
    if place.lab is None:
        return ()
    state = await asyncio.to_thread(read_lab, Path(place.lab.directory))
    now = time.time()
    on = [fault for fault in state.active if not fault.until or fault.until > now]
    return tuple([await _known(place, fault) for fault in on])


async def _known(place: Place, fault: LabFault) -> ForeignFault:
    run: int = await place.blocking(place.store.run_of_fault, fault.t, fault.text)
    return ForeignFault(fault.do, fault.t, fault.until, fault.server, fault.percent, fault.text, run)


def can_be_ended(fault: ForeignFault) -> bool:
    """Whether an order ends it; else one must wait."""
    return fault.do in ENDS


async def end_fault(lab: LabState, do: str) -> Injected:
    """End this fault. Raises LabMissingError."""
    return await order(Path(lab.directory), *ENDS[do])


def end_command(lab: LabState, do: str) -> str:
    """The command that ends it."""
    where = Path(lab.directory)
    there = "" if where == default_lab() else f" --dir {shlex.quote(str(where))}"
    return f"tally-agent lab fault {' '.join(ENDS[do])}{there}"


def sentence(faults: Sequence[ForeignFault]) -> str:
    """What is still on, with when it ends: ``udp-loss of run 4 is still on, until 10:04:25.``"""
    told = [f"{fault.named} is still on, {fault.ends}" for fault in faults]
    return f"{'; '.join(told)}." if told else ""


def remedy(lab: LabState, faults: Sequence[ForeignFault]) -> str:
    """What to do about them, in a sentence; empty if there are none."""
    commands = list(dict.fromkeys(end_command(lab, fault.do) for fault in faults if can_be_ended(fault)))
    waits = any(not can_be_ended(fault) for fault in faults)
    parts = [f"End it: {' && '.join(commands)}."] if commands else []
    parts += ["Wait until it is over." if not commands else "Wait for the others."] if waits else []
    return " ".join(parts)


async def faults_at_start(place: Place) -> tuple[ForeignFault, ...]:
    """As `lasting_faults`, for a run that begins whatever the lab says."""
    try:
        return await lasting_faults(place)
    except LabMissingError as error:
        log.info("! the faults of the lab are not known: %s", error)
        return ()
