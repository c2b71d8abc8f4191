"""The faults of a test on lanes along the time of one repeat: which lane, where, and what a drag does. No toolkit.

Times are seconds since the first request. A fault that lasts is a bar from `at` to its end; a point fault is a square.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gui.campaign.plan import LOSS_KINDS, SERVER_KINDS, Fault, FaultKind, Plan, Test
from gui.campaign.preview import Preview

LANES: tuple[tuple[str, tuple[FaultKind, ...]], ...] = (
    ("Network", LOSS_KINDS),
    ("Broker", ("broker-down", "broker-restart")),
    ("Shoveler", ("kill-shoveler",)),
    ("Collector", ("kill-collector",)),
    ("Servers", ("kill-server", "stop-server", "cut-transfer")),
    ("Clients", ("kill-agent",)),
)
LASTING: tuple[FaultKind, ...] = ("broker-down", *LOSS_KINDS)
"""Faults that must have a duration."""
ONE_MOMENT: tuple[FaultKind, ...] = ("cut-transfer",)
"""Faults whose duration says nothing."""
SNAP, FREE = 1.0, 0.1
LONGEST, LATEST = 86_400.0, 7 * 86_400.0
"""The most that a plan allows for `for` and `at`."""
NEW_LASTS = 20.0


@dataclass(frozen=True, slots=True)
class Met:
    """A fault as a run has met it: in which test (from 1), what, of which server, seconds after the repeat began."""

    test: int
    do: str
    server: str
    at: float


@dataclass(frozen=True, slots=True)
class Round:
    """A round of requests on the time axis."""

    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Axis:
    """The time of one repeat: requests until `work`, then settling until `settled` at most."""

    work: float
    settled: float
    rounds: tuple[Round, ...]
    end: float
    """Where the axis ends: after settling, and after the last fault."""


def lane_of(do: FaultKind) -> int:
    """The number of the lane that a fault is on."""
    return next(number for number, (_, kinds) in enumerate(LANES) if do in kinds)


def axis_of(test: Test, preview: Preview, settle: float, *, most_rounds: int = 400) -> Axis:
    """The axis for a test. When there are more rounds than `most_rounds`, several are shown as one."""
    whole = preview.seconds / preview.repeats
    settled = whole + settle
    ends = [fault.at + fault.lasts for fault in test.faults]
    waits = (preview.rounds - 1) * test.wait
    each = max(0.0, whole - waits) / max(1, preview.rounds)
    step = each + test.wait
    together = -(-preview.rounds // most_rounds)
    rounds = tuple(
        Round(first * step, (min(preview.rounds, first + together) - 1) * step + each)
        for first in range(0, preview.rounds, together)
    )
    return Axis(whole, settled, rounds, max([settled, 1.0, *ends]) * 1.02)


def snapped(seconds: float, *, free: bool = False) -> float:
    """To the next whole second, or tenth when `free`."""
    grain = FREE if free else SNAP
    return round(round(seconds / grain) * grain, 3)


def moved(fault: Fault, by: float, *, free: bool = False) -> Fault:
    """The fault begun earlier or later."""
    return replace(fault, at=min(LATEST, max(0.0, snapped(fault.at + by, free=free))))


def stretched(fault: Fault, by: float, *, free: bool = False) -> Fault:
    """The fault with its end moved; what must last keeps at least the grain."""
    least = (FREE if free else SNAP) if fault.do in LASTING else 0.0
    end = snapped(fault.at + fault.lasts + by, free=free)
    return replace(fault, lasts=round(min(LONGEST, max(least, end - fault.at)), 3))


def begun(fault: Fault, by: float, *, free: bool = False) -> Fault:
    """The fault with its begin moved, and its end where it was."""
    end = fault.at + fault.lasts
    at = min(max(0.0, snapped(fault.at + by, free=free)), end - (FREE if free else SNAP))
    return replace(fault, at=round(max(0.0, at), 3), lasts=round(min(LONGEST, end - max(0.0, at)), 3))


def can_last(do: FaultKind) -> bool:
    """Whether a fault may have a duration."""
    return do not in ONE_MOMENT


def changed_kind(fault: Fault, do: FaultKind) -> Fault:
    """The fault as another kind; only what that kind can have is kept."""
    lasts = fault.lasts if can_last(do) else 0.0
    return Fault(
        at=fault.at,
        do=do,
        lasts=lasts or (NEW_LASTS if do in LASTING else 0.0),
        percent=fault.percent if do in LOSS_KINDS else 1.0,
        server=fault.server if do in SERVER_KINDS else "",
    )


def new_fault(do: FaultKind, at: float) -> Fault:
    """A fault to begin with."""
    return changed_kind(Fault(at=max(0.0, snapped(at)), do="cut-transfer"), do)


def name_of(fault: Fault) -> str:
    """What stands on a bar, or beside a square."""
    whose = fault.server or ("all servers" if fault.do in LOSS_KINDS else "")
    lasts = f" {fault.lasts:g} s" if fault.lasts else ""
    if fault.do in LOSS_KINDS:
        return f"{fault.do.replace('-', ' ').replace('udp', 'UDP')} {fault.percent:g} %, {whose}"
    word = {"broker-down": "down", "broker-restart": "restart", "cut-transfer": "cut"}.get(
        fault.do, fault.do.partition("-")[0]
    )
    return f"{word}{lasts}" + (f", {whose}" if whose else "")


def sentence_of(fault: Fault) -> str:
    """A fault in words, for a tooltip and for those who do not see the lanes."""
    lasts = f" for {fault.lasts:g} s" if fault.lasts else ""
    share = f", {fault.percent:g} % of the datagrams of {fault.server or 'all servers'}"
    whose = share if fault.do in LOSS_KINDS else f", {fault.server}" if fault.server else ""
    return f"{fault.do} at {clock(fault.at)}{lasts}{whose}"


def clock(seconds: float) -> str:
    """A time on the axis as ``mm:ss``, with tenths if it has some."""
    minutes, rest = divmod(round(seconds, 1), 60)
    return f"{int(minutes):02}:{rest:04.1f}" if rest % 1 else f"{int(minutes):02}:{int(rest):02}"


def tick_step(end: float, most: int = 10) -> float:
    """Seconds between two labels of the axis: at most `most` of them."""
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400)
    return float(next((step for step in steps if end / step <= most), 86_400 * max(1, round(end / 86_400 / most))))


def replaced(faults: Sequence[Fault], number: int, fault: Fault) -> tuple[Fault, ...]:
    """The faults with this one in place of the old."""
    return (*faults[:number], fault, *faults[number + 1 :])


def without(faults: Sequence[Fault], number: int) -> tuple[Fault, ...]:
    """The faults but one."""
    return (*faults[:number], *faults[number + 1 :])


def find_fault(plan: Plan, met: Met) -> int | None:
    """The number of the fault in the plan's test that a run has met; None: the plan has no such fault."""
    if not 1 <= met.test <= len(plan.tests):
        return None
    faults = plan.tests[met.test - 1].faults
    alike = [n for n, fault in enumerate(faults) if (fault.do, fault.server) == (met.do, met.server)]
    return min(alike, key=lambda number: abs(faults[number].at - met.at), default=None)


def plan_without(plan: Plan, some: Sequence[Met]) -> Plan:
    """The plan without these faults; its name says so."""
    tests = list(plan.tests)
    for met in some:
        number = find_fault(replace(plan, tests=tuple(tests)), met)
        if number is not None:
            test = tests[met.test - 1]
            tests[met.test - 1] = replace(test, faults=without(test.faults, number))
    kinds = " and ".join(dict.fromkeys(met.do for met in some))
    return replace(plan, name=f"{plan.name}, without {kinds}"[:200], tests=tuple(tests))
