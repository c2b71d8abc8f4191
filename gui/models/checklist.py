"""The checklist as it is shown: a line for each check, before, while and after it is looked at. No toolkit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from gui.campaign.plan import File, Plan
from gui.campaign.preview import preview_test
from gui.campaign.selection import SelectionError, Server, choose_servers
from gui.runner.checklist import Check, Item, State

LineState = State | Literal["waiting", "checking"]

STATES: Mapping[LineState, tuple[str, str, str]] = {
    "ok": ("ok", "ok", "ok"),
    "warning": ("warn", "check", "warn"),
    "failed": ("bad", "failed", "bad"),
    "skipped": ("unreq", "not checked", "mute"),
    "checking": ("run", "checking", "info"),
    "waiting": ("ring", "waiting", "mute"),
}
"""Icon, word and colour of each state, in the order of the summary."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `check` is what was found last; it stays while the line is looked at again."""

    item: Item
    state: LineState = "waiting"
    check: Check | None = None

    @property
    def detail(self) -> str:
        """What stands in the line."""
        if self.state == "checking":
            return "…"
        return self.check.text if self.check is not None else ""

    @property
    def figure(self) -> str:
        """What was measured; a dash where nothing was."""
        if self.state in ("checking", "waiting"):
            return ""
        return self.check.figure or "–" if self.check is not None else "–"


@dataclass(frozen=True, slots=True)
class PlanTotals:
    """A whole plan in figures. None where something is not known yet."""

    tests: int
    repeats: int
    requests: int | None = None
    bytes: int | None = None
    seconds: float | None = None
    """With settling, at most."""


def counts(lines: Iterable[Line]) -> dict[LineState, int]:
    """How many lines are in each state."""
    found = dict.fromkeys(STATES, 0)
    for line in lines:
        found[line.state] += 1
    return found


def totals(plan: Plan, servers: Iterable[Server], files: Iterable[File], clients: int) -> PlanTotals:
    """What a plan will do in all, with these servers, files (empty: unknown) and clients."""
    known, given = list(servers), list(files)
    repeats = sum(test.repeats for test in plan.tests)
    requests, volume, seconds = 0, 0, 0.0
    for test in plan.tests:
        try:
            count = len(choose_servers(test.servers, known))
        except SelectionError:
            return PlanTotals(len(plan.tests), repeats)
        preview = preview_test(test, servers=count, files=given, clients=max(1, clients))
        requests += preview.files * test.repeats
        volume += preview.bytes * test.repeats
        seconds += preview.seconds + plan.settle * test.repeats
    unknown = not given and any(test.reads for test in plan.tests)
    return PlanTotals(len(plan.tests), repeats, requests, None if unknown else volume, seconds)
