"""Drawing a picture as SVG, without Qt. Colours come from the style sheet of the page, by the role's class."""

from __future__ import annotations

from html import escape

from gui.report.plot import Area, Dot, Item, Label, Picture, Stroke
from gui.report.words import printable


def draw(picture: Picture) -> str:
    """An ``<svg>`` element that scales to its column; it says in words what it shows."""
    drawn = "".join(_item(item) for item in picture.items)
    words = escape(printable(picture.text))
    return (
        f'<svg viewBox="0 0 {picture.width:g} {picture.height:g}" role="img" aria-label="{words}">'
        f"<title>{words}</title>{drawn}</svg>"
    )


def _item(item: Item) -> str:
    match item:
        case Stroke(points, role, width, dash):
            dashes = f' stroke-dasharray="{" ".join(f"{part:g}" for part in dash)}"' if dash else ""
            return f'<polyline class="s-{role}" stroke-width="{width:g}"{dashes} points="{_points(points)}"/>'
        case Area(points, role):
            return f'<polygon class="a-{role}" points="{_points(points)}"/>'
        case Dot(x, y, radius, role):
            return f'<circle class="f-{role}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}"/>'
        case Label(x, y, text, role, anchor):
            words = escape(printable(text))
            return f'<text class="f-{role}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{words}</text>'


def _points(points: tuple[tuple[float, float], ...]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
