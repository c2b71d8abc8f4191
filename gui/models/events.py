"""Events on the time axis of a run: faults with their duration, lost agents, starts of repeats. No toolkit.

`events` makes them from the markers of a run; `place_flags` places their flags beside one another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gui.campaign.plan import read_fault
from gui.runner.progress import Marker

FLAG_TEXT = 28
"""Maximum length of the text on a flag; the tooltip has the whole text."""


@dataclass(frozen=True, slots=True)
class Event:
    """`at` and `until` are seconds since the start; `until` is None for a moment. `colour` is a theme name."""

    at: float
    text: str
    icon: str = "flag"
    colour: str = "info"
    until: float | None = None
    detail: str = ""

    @property
    def short(self) -> str:
        """The text on the flag."""
        text = " ".join(self.text.split())
        return text if len(text) <= FLAG_TEXT else text[: FLAG_TEXT - 1].rstrip() + "…"


def events(markers: Sequence[Marker], started: float) -> tuple[Event, ...]:
    """The events of a run that began at `started` (Unix seconds), in order. Rounds are too many for flags.

    A fault has two markers: when it begins (its kind and duration) and what the lab reported about it; the second
    becomes the detail of the first."""
    found: list[Event] = []
    open_faults: list[int] = []
    for marker in markers:
        at = marker.t - started
        if marker.kind == "fault":
            fault = read_fault(marker.text)
            if fault is not None:
                open_faults.append(len(found))
                until = at + fault.lasts if fault.lasts else None
                found.append(Event(at, fault.do.replace("-", " "), "zap", "warn", until))
            elif open_faults:
                number = open_faults.pop(0)
                found[number] = replace(found[number], detail=marker.text)
            else:
                found.append(Event(at, marker.text, "zap", "warn"))
        elif marker.kind in ("agent", "hold", "held", "busy", "limited"):
            found.append(Event(at, marker.text, "warn", "warn", detail=marker.text))
        elif marker.kind == "phase":
            found.append(Event(at, marker.text, "flag", "info"))
    if sum(event.icon == "flag" for event in found) == 1:  # a single repeat needs no flag
        found = [event for event in found if event.icon != "flag"]
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Flag:
    """A placed flag: pixels from the left, and the row (0 is the lowest). `more` is the number of hidden ones."""

    left: float
    row: int
    event: int
    more: int = 0


def place_flags(
    places: Sequence[tuple[float, float]], right: float, *, rows: int = 2, gap: float = 4, more: float = 28
) -> list[Flag]:
    """Place the flags of ``(x, width)``, in time order, none beyond `right`: right of the stem; left of it if the next
    one is near and there is room; in the next row; and if all rows are full, the last flag of the lowest row counts
    it. `more` is what "+2" adds to its width."""
    ends = [float("-inf")] * rows
    flags: list[Flag] = []
    last: int | None = None
    for number, (x, width) in enumerate(places):
        left = max(0.0, min(x, right - width))
        near = number + 1 < len(places) and places[number + 1][0] < x + width + gap
        if near and x - width >= max(0.0, ends[0] + gap):
            left = x - width
        row = next((row for row in range(rows) if ends[row] + gap <= left), None)
        if row is None:
            assert last is not None
            flag = flags[last]
            if not flag.more:
                ends[flag.row] += more
            flags[last] = replace(flag, more=flag.more + 1)
            continue
        ends[row] = left + width
        flags.append(Flag(left, row, number))
        if row == 0 or last is None:
            last = len(flags) - 1
    return flags
