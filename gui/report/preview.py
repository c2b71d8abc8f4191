"""The pages of a report in the little HTML that a text viewer understands, with its plots as pictures of their own.

For the window's preview: the same sections as `html` and `pdf`, long tables cut. Everything is text that was escaped;
there is no script, and nothing is loaded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape

from gui.report import svg
from gui.report.content import RunReport
from gui.report.palette import LIGHT, STATUS
from gui.report.plot import Picture
from gui.report.sections import Cell, Code, Grid, Group, Paragraph, Part, sections
from gui.report.table import tests_passed
from gui.report.words import bounded, printable

ROWS = 40
"""Rows of a table that are shown."""
CHARACTERS = 200_000
"""Of a text format that are shown."""
_CLASS = re.compile(r'class="([saf])-(\w+)"')


@dataclass(frozen=True, slots=True)
class Preview:
    """`html` and the pictures in it by name, as SVG; or `text`, where a format is text."""

    html: str = ""
    pictures: tuple[tuple[str, bytes], ...] = ()
    text: str = ""


def preview_page(report: RunReport) -> Preview:
    """What HTML and PDF show."""
    pictures: list[tuple[str, bytes]] = []
    run = report.run
    role, words = STATUS[report.conclusion]
    head = (
        f'<h2>Run {run.id} – {escape(bounded(run.name, 200))} <font color="{LIGHT[role]}">{escape(words)}</font></h2>'
        f"<p>{escape(tests_passed(report))}</p>"
    )
    body = "".join(
        f"<h3>{escape(section.title)}</h3>{''.join(_part(part, pictures) for part in section.parts)}"
        for section in sections(report)
    )
    return Preview(f'<body style="color:{LIGHT["text"]}">{head}{body}</body>', tuple(pictures))


def preview_text(content: bytes) -> Preview:
    """What a format that is text shows, cut where it is very long."""
    text = content.decode("utf-8", "replace")
    if len(text) > CHARACTERS:
        text = f"{text[:CHARACTERS]}\n… {len(text) - CHARACTERS:,} more characters are in the file"
    return Preview(text=text)


def _part(part: Part, pictures: list[tuple[str, bytes]]) -> str:
    match part:
        case Paragraph(text):
            return f'<p><font color="{LIGHT["text2"]}">{escape(text)}</font></p>'
        case Code(text):
            return f"<pre>{escape(text)}</pre>"
        case Picture():
            name = f"picture-{len(pictures)}.svg"
            pictures.append((name, _drawn(part)))
            title = escape(printable(part.title))
            return f'<p>{title}<br><img src="{name}" width="{part.width:.0f}" height="{part.height:.0f}"></p>'
        case Group(title, parts):
            return f"<h4>{escape(title)}</h4>{''.join(_part(one, pictures) for one in parts)}"
        case Grid():
            return _table(part)


def _drawn(picture: Picture) -> bytes:
    """As a file of its own: colours in attributes, since there is no style sheet."""

    def attributes(match: re.Match[str]) -> str:
        kind, colour = match[1], LIGHT[match[2]]
        if kind == "s":
            return f'stroke="{colour}" fill="none"'
        return f'fill="{colour}" stroke="none"' + (' fill-opacity="0.2"' if kind == "a" else "")

    drawn = _CLASS.sub(attributes, svg.draw(picture))
    size = f'width="{picture.width:g}" height="{picture.height:g}" font-family="sans-serif" font-size="11"'
    return drawn.replace("<svg ", f'<svg xmlns="http://www.w3.org/2000/svg" {size} ', 1).encode()


def _table(grid: Grid) -> str:
    head = "".join(
        f'<th align="{"left" if one.left else "right"}" bgcolor="{LIGHT["raised"]}">{escape(one.title)}</th>'
        for one in grid.heads
    )
    left = [one.left for one in grid.heads]
    rows = "".join(f"<tr>{''.join(map(_cell, row, left))}</tr>" for row in grid.rows[:ROWS])
    more = len(grid.rows) - ROWS
    rest = f'<p><font color="{LIGHT["text2"]}">… {more:,} more rows are in the file</font></p>' if more > 0 else ""
    style = f'border="1" cellspacing="0" cellpadding="4" style="border-color:{LIGHT["border"]}"'
    return f"<table {style}><tr>{head}</tr>{rows}</table>{rest}"


def _cell(cell: Cell, left: bool) -> str:
    text = escape(bounded(cell.text, 200))
    if cell.role:
        text = f'<font color="{LIGHT[cell.role]}">{text}</font>'
    if cell.kind == "key":
        text = f"<b>{text}</b>"
    return f'<td align="{"left" if left else "right"}">{text}</td>'
