"""The converging plot: requests read and recorded over the time of a repeat. Pure.

Lines are drawn in a field that stretches, labels stand beside it as text: so they keep their size on a phone and on a
wall. Nothing has a style of its own, which the page's policy would not allow.
"""

from __future__ import annotations

from collections.abc import Sequence

from gui.hub.web.markup import Html, h, join
from gui.report.plot import axis, thin
from gui.runner.progress import SamplePoint

FIELD = 1000
_STEPS = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)


def converging(points: Sequence[SamplePoint]) -> Html:
    """The plot, or a sentence when there are fewer than two seconds to draw."""
    if len(points) < 2:
        return h("p", "No second has been counted yet.", class_="empty")
    begin, end = points[0].t, points[-1].t
    step = next((one for one in _STEPS if (end - begin) / one <= 7), 14_400)
    width = step * max(1, -(-(end - begin) // step))
    ticks = axis(max(1, *(point.requested or 0 for point in points)))
    seconds = [step * number for number in range(int(width // step) + 1)]

    def line(name: str) -> list[str]:
        return [
            f"{(point.t - begin) / width * FIELD:.1f},{FIELD - (getattr(point, name) or 0) / ticks[-1] * FIELD:.1f}"
            for point in thin(points)
        ]

    read, recorded = line("read"), line("recorded")
    grid = [_grid(0, y, FIELD, y) for y in _places(len(ticks))] + [_grid(x, 0, x, FIELD) for x in _places(len(seconds))]
    field = h(
        "svg",
        *grid,
        h("polygon", class_="gap", points=" ".join((*read, *reversed(recorded)))),
        h("polyline", class_="requested", points=" ".join(line("requested"))),
        h("polyline", class_="read", points=" ".join(read)),
        h("polyline", class_="recorded", points=" ".join(recorded)),
        viewBox=f"0 0 {FIELD} {FIELD}",
        preserveAspectRatio="none",
        role="img",
        aria_label=_words(points[-1]),
    )
    return h(
        "div",
        h("div", *(h("span", short(tick)) for tick in reversed(ticks)), class_="y", aria_hidden="true"),
        field,
        h("div", *(h("span", f"{t // 60:02}:{t % 60:02}") for t in seconds), class_="x", aria_hidden="true"),
        class_="plot",
    )


def legend() -> Html:
    """What the lines are."""
    names = ("requested", "read", "recorded")
    return join(*(h("span", h("span", class_=f"swatch {name}"), name, class_="key") for name in names))


def short(value: float) -> str:
    """A count on an axis: ``30 k``, ``2.5 M``."""
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g}"


def _places(count: int) -> list[float]:
    return [round(FIELD * number / (count - 1), 1) for number in range(count)] if count > 1 else [0]


def _grid(x1: float, y1: float, x2: float, y2: float) -> Html:
    return h("line", class_="grid", x1=x1, y1=y1, x2=x2, y2=y2)


def _words(point: SamplePoint) -> str:
    return f"{point.requested:,} requested, {point.read:,} read, {point.recorded:,} recorded"
