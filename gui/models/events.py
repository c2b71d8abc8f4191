"""What stands on the time axis of a run: faults and how long they last, agents lost, begins of repeats. No toolkit.

`events` turns the markers of a run into these; `place_flags` puts their flags beside one another where there is room.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gui.campaign.plan import read_fault
from gui.runner.progress import Marker

FLAG_TEXT = 28
"""Characters of a flag; the whole text is in its tooltip."""


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
    """The events of a run that began at `started` (Unix seconds), in their order. Rounds are too many to be flags.

    A fault is marked twice: when it begins (its kind, and for how long) and with what the lab said of it; the second
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
        elif marker.kind in ("agent", "hold", "held"):
            found.append(Event(at, marker.text, "warn", "warn", detail=marker.text))
        elif marker.kind == "phase":
            found.append(Event(at, marker.text, "flag", "info"))
    if sum(event.icon == "flag" for event in found) == 1:  # a single repeat needs no flag that says so
        found = [event for event in found if event.icon != "flag"]
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag at its place: pixels from the left, and the row (0 is the lowest). `more` stands for so many others."""

    left: float
    row: int
    event: int
    more: int = 0


def place_flags(
    places: Sequence[tuple[float, float]], right: float, *, rows: int = 2, gap: float = 4, more: float = 28
) -> list[Flag]:
    """Where the flags of ``(x, width)`` go, in time order, none beyond `right`: right of their stem; left of it where
    the next one is near and there is room; in the next row; and where all are taken, the last flag of the lowest row
    counts it. `more` is what "+2" adds to its width."""
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
