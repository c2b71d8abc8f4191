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
        """``run 4``, or who else."""
        return f"run {self.run}" if self.run else "nobody here"

    @property
    def named(self) -> str:
        """``udp-loss of run 4``."""
        of = f"of run {self.run}" if self.run else "that no run of this workspace began"
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
    runs = sorted({fault.run for fault in faults})
    whose = " and ".join(f"of run {run}" if run else "of nobody here" for run in runs)
    if len(faults) == 1:
        return f"a fault {whose} was still on ({kinds})"
    return f"faults {whose} were still on ({kinds})"
