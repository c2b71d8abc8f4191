"""Foreign faults: those that were still on in the lab when a run began, of an earlier run or of somebody's hand. What
they lost is not the run's own; its result, its causes and every comparison say so.

The run keeps them in its environment, as `kept` writes them and `foreign_faults` reads them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

KEY = "foreign_faults"
"""Their name in the environment of a run."""
MOST = 50
NO_RUN = "that no run here began"
"""Of a fault of a drill, of the lab's own command, or of another workspace's run."""


class ForeignFault(msgspec.Struct, frozen=True):
    """A fault that was on when a run began. Times are Unix seconds; `until` 0: until somebody ends it. `run`: the run
    of this workspace whose plan injected it; 0: none of them."""

    do: str
    t: float
    until: float = 0.0
    server: str = ""
    percent: float = 0.0
    text: str = ""
    run: int = 0

    @property
    def whose(self) -> str:
        """``run 4``, or whose else."""
        return f"run {self.run}" if self.run else "no run here"

    @property
    def named(self) -> str:
        """``udp-loss of run 4``."""
        of = f"of run {self.run}" if self.run else NO_RUN
        return f"{self.do} {of}{f' ({self.server})' if self.server else ''}"

    @property
    def ends(self) -> str:
        """When it ends, or ended, in words."""
        if not self.until:
            return "until somebody ends it"
        return f"until {time.strftime('%H:%M:%S', time.localtime(self.until))}"


def kept(faults: Sequence[ForeignFault]) -> list[dict[str, Any]]:
    """As a run keeps them in its environment."""
    return [{"name": fault.do} | msgspec.to_builtins(fault) for fault in faults]


def foreign_faults(environment: Mapping[str, Any]) -> tuple[ForeignFault, ...]:
    """Those of a run. What is none (a bundle may have anything) is left out."""
    told = environment.get(KEY)
    found = []
    for one in told[:MOST] if isinstance(told, list) else ():
        try:
            found.append(msgspec.convert(one, ForeignFault))
        except msgspec.ValidationError:
            continue
    return tuple(found)


def still_on(environment: Mapping[str, Any]) -> str:
    """In a few words what was still on: ``a fault of run 4 was still on (udp-loss)``; empty: nothing was."""
    faults = foreign_faults(environment)
    if not faults:
        return ""
    kinds = ", ".join(dict.fromkeys(fault.do for fault in faults))
    runs = sorted({fault.run for fault in faults if fault.run})
    whose = " and ".join(f"of run {run}" for run in runs)
    if len(faults) == 1:
        return f"a fault {whose or NO_RUN} was still on ({kinds})"
    others = "others " if whose and any(not fault.run for fault in faults) else ""
    some = f"{whose}{' and ' if others else ''}{others}{NO_RUN if others or not whose else ''}"
    return f"faults {some} were still on ({kinds})"
