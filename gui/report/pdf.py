"""A run as PDF on A4 across: the sections of the page, in a document with numbered pages.

Needs fpdf2 (extra ``hub``). The letters that are used are embedded, from a font of ours (``resources/fonts``): a
document looks the same wherever it was made and is read. Signs that this font lacks become ``?``.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

from gui.report import numbers
from gui.report.content import RunReport
from gui.report.palette import LIGHT
from gui.report.plot import Area, Dot, Label, Picture, Stroke
from gui.report.sections import Cell, Code, Grid, Group, Paragraph, Part, sections
from gui.report.table import headline
from gui.report.words import bounded, printable

if TYPE_CHECKING:
    from fpdf import FPDF

CELL = 400
"""Characters of a cell: a row must fit on a page."""
_LEFT, _WIDTH = 12.0, 273.0
_TABLE, _SMALLEST = 6.5, 4.5
"""Size of letters in tables, in points, and how small they may get."""
_TEXT_COLUMN, _NARROW = 70.0, 24.0
"""Millimetres that a column of long text asks for at most, and those that it keeps; it wraps."""
_GAP = 3.0
"""Millimetres between columns."""
_PX = _WIDTH / 1040
"""Millimetres for a px of a picture: two of them stand side by side."""


class PdfUnavailableError(Exception):
    """The package that writes PDF is not installed; the text says how to get it."""


def pdf_report(report: RunReport, *, now: float | None = None) -> bytes:
    """The document. `now`: when it was made (default: now). Raises PdfUnavailableError."""
    try:
        from fpdf import FPDF
    except ModuleNotFoundError:
        raise PdfUnavailableError(
            "Writing PDF needs the fpdf2 package; install it with: pip install 'xrootd-tally[hub]'."
        ) from None
    made = time.time() if now is None else now

    class Document(FPDF):
        """With the number of the page, and of all, at the foot of each."""

        def footer(self) -> None:
            writer.foot()

    document = Document(orientation="landscape", format="A4")
    writer = _Writer(document, report, made)
    return writer.write()


class _Writer:
    """Writes one report into one document."""

    def __init__(self, document: FPDF, report: RunReport, made: float) -> None:
        self._pdf = document
        self._report = report
        self._made = made
        from fpdf.fonts import TTFFont

        with as_file(files("resources").joinpath("fonts/DejaVuSans.ttf")) as path:
            document.add_font("body", fname=path)
        font = document.fonts["body"]
        assert isinstance(font, TTFFont)
        self._known = font.cmap.keys()
        document.set_margins(_LEFT, 12, _LEFT)
        document.set_auto_page_break(True, 14)
        document.set_creation_date(datetime.fromtimestamp(made, UTC))
        document.set_title(self._text(f"Run {report.run.id} - {bounded(report.run.name, 200)}"))
        document.set_creator("Tally")
        document.alias_nb_pages("{pages}")
        self._letters: dict[str, float] = {}

    def write(self) -> bytes:
        pdf = self._pdf
        pdf.add_page()
        self._line(headline(self._report), 12, "text")
        if self._report.run.message:
            self._line(bounded(self._report.run.message), 8, "text2")
        facts = f"Ended {numbers.moment(self._report.run.ended)}."
        if self._report.run.origin:
            facts += f" Imported from {bounded(self._report.run.origin, 200)}."
        self._line(facts, 7, "text2")
        for section in sections(self._report):
            self._heading(section.title, 9)
            self._parts(section.parts)
        return bytes(pdf.output())

    def foot(self) -> None:
        """The last line of a page."""
        self._pdf.set_y(-11)
        self._font(6, "text2")
        name = self._text(f"Run {self._report.run.id} – {bounded(self._report.run.name, 100)}")
        self._pdf.cell(_WIDTH / 2, 4, f"{name}   made {numbers.moment(self._made)}", align="L")
        self._pdf.cell(_WIDTH / 2, 4, f"page {self._pdf.page_no()} of {{pages}}", align="R")

    def _text(self, words: str) -> str:
        return "".join(c if ord(c) in self._known else "?" for c in printable(words))

    def _font(self, size: float, role: str) -> None:
        self._pdf.set_font("body", size=size)
        self._pdf.set_text_color(*_rgb(role))

    def _line(self, words: str, size: float, role: str) -> None:
        self._font(size, role)
        self._pdf.multi_cell(_WIDTH, size * 0.5, self._text(words), new_x="LMARGIN", new_y="NEXT")

    def _heading(self, title: str, size: float) -> None:
        self._pdf.ln(3)
        if self._pdf.get_y() > self._pdf.h - 40:  # never alone at the foot of a page
            self._pdf.add_page()
        self._line(title, size, "text")

    def _parts(self, parts: Sequence[Part]) -> None:
        pictures: list[Picture] = []
        for part in parts:
            if isinstance(part, Picture):
                pictures.append(part)
                continue
            self._pictures(pictures)
            pictures = []
            match part:
                case Paragraph(text):
                    self._line(text, 7, "text2")
                case Code(text):
                    for line in text.splitlines():
                        self._line(line or " ", 6.5, "text2")
                case Group(title, inner):
                    self._heading(title, 7.5)
                    self._parts(inner)
                case Grid():
                    self._table(part)
        self._pictures(pictures)

    def _table(self, grid: Grid) -> None:
        """A table whose head is repeated on every page. Not the library's own: that takes 1.5 ms for each cell."""
        heads = [Cell(head.title) for head in grid.heads]
        left = [head.left for head in grid.heads]
        size, widths = self._fitted(heads, grid.rows)
        self._row(heads, left, widths, size, head=True)
        for row in grid.rows:
            if not self._row(row, left, widths, size):
                self._pdf.add_page()
                self._row(heads, left, widths, size, head=True)
                self._row(row, left, widths, size)
        self._pdf.ln(1.5)

    def _fitted(self, heads: Sequence[Cell], rows: Sequence[Sequence[Cell]]) -> tuple[float, list[float]]:
        """Size of letters, and widths of columns: wide tables get smaller letters first, then long texts wrap more."""
        wraps = [any(row[place].kind in ("text", "code") for row in rows) for place in range(len(heads))]
        # A title may take a line for each of its words.
        asked = [
            max(
                self._wide(bounded(word, CELL), _TABLE)
                for word in (*head.text.split(" "), *(row[place].text for row in rows))
            )
            for place, head in enumerate(heads)
        ]
        room = _WIDTH - _GAP * len(heads)
        if sum(asked) > room:
            asked = [min(width, _TEXT_COLUMN) if wrap else width for width, wrap in zip(asked, wraps, strict=True)]
        size = max(_SMALLEST, _TABLE * min(1.0, room / sum(asked)))
        widths = [width * size / _TABLE for width in asked]
        over = sum(widths) - room
        if over > 0:
            able = [max(0.0, width - _NARROW) if wrap else 0.0 for width, wrap in zip(widths, wraps, strict=True)]
            share = min(1.0, over / sum(able)) if sum(able) else 0.0
            widths = [width - share * much for width, much in zip(widths, able, strict=True)]
            # Many columns without any text, which nothing of ours has: narrower than their figures, but on the page.
            widths = [width * min(1.0, room / sum(widths)) for width in widths]
        return size, [width + _GAP for width in widths]

    def _row(
        self, cells: Sequence[Cell], left: Sequence[bool], widths: Sequence[float], size: float, *, head: bool = False
    ) -> bool:
        """Draw a row; False, and nothing is drawn, where it does not fit on what is left of the page."""
        pdf = self._pdf
        lines = [
            self._lines(bounded(cell.text, CELL), width - _GAP, size) for cell, width in zip(cells, widths, strict=True)
        ]
        step = 0.43 * size
        height = step * max(map(len, lines)) + 1.2
        top = pdf.get_y()
        if top + height > pdf.h - 14 and top > 13:
            return False
        if head:
            pdf.set_fill_color(*_rgb("raised"))
            pdf.rect(_LEFT, top, sum(widths), height, style="F")
        at = _LEFT
        for cell, texts, on_left, width in zip(cells, lines, left, widths, strict=True):
            self._font(size, cell.role or ("text2" if head else "text"))
            first = top + height - step * len(texts) if head else top + 0.6  # titles stand on the line below them
            for place, text in enumerate(texts):
                shift = 0.0 if on_left else width - _GAP - self._wide(text, size)
                pdf.text(at + _GAP / 2 + shift, first + step * (place + 0.8), text)
            at += width
        pdf.set_draw_color(*_rgb("border" if head else "grid"))
        pdf.line(_LEFT, top + height, at, top + height)
        pdf.set_y(top + height)
        return True

    def _wide(self, text: str, size: float) -> float:
        """Millimetres of a text. Widths of letters are kept: asking the library for each takes most of the time."""
        width = 0.0
        for letter in self._text(text):
            known = self._letters.get(letter)
            if known is None:
                self._font(_TABLE, "text")
                known = self._letters[letter] = self._pdf.get_string_width(letter) / _TABLE
            width += known
        return width * size

    def _lines(self, text: str, width: float, size: float) -> list[str]:
        """A text in lines of at most `width`: broken at blanks, and within a word that is longer than a line."""
        text = self._text(text)
        width += 0.05  # sums of many small figures
        if self._wide(text, size) <= width:
            return [text]
        lines, line = [], ""
        for word in text.split(" "):
            longer = f"{line} {word}" if line else word
            if self._wide(longer, size) <= width:
                line = longer
                continue
            if line:
                lines.append(line)
            line = ""
            for letter in word:
                if line and self._wide(line + letter, size) > width:
                    lines.append(line)
                    line = ""
                line += letter
        return [*lines, line]

    def _pictures(self, pictures: Sequence[Picture]) -> None:
        for place in range(0, len(pictures), 2):
            pair = pictures[place : place + 2]
            height = max(picture.height for picture in pair) * _PX * 0.7 + 4
            if self._pdf.get_y() + height > self._pdf.h - 14:
                self._pdf.add_page()
            top = self._pdf.get_y() + 3
            for column, picture in enumerate(pair):
                self._draw(picture, _LEFT + column * _WIDTH / 2, top)
            self._pdf.set_y(top + height)

    def _draw(self, picture: Picture, left: float, top: float) -> None:
        scale = _PX * 0.7
        pdf = self._pdf

        def at(x: float, y: float) -> tuple[float, float]:
            return left + x * scale, top + y * scale

        for item in picture.items:
            match item:
                case Stroke(points, role, width, dash):
                    pdf.set_draw_color(*_rgb(role))
                    pdf.set_line_width(width * scale)
                    pdf.set_dash_pattern(*((dash[0] * scale, dash[1] * scale) if dash else (0, 0)))
                    pdf.polyline([at(x, y) for x, y in points])
                case Area(points, role):
                    pdf.set_fill_color(*_tint(role))
                    pdf.polygon([at(x, y) for x, y in points], style="F")
                case Dot(x, y, radius, role):
                    pdf.set_fill_color(*_rgb(role))
                    x, y = at(x, y)
                    pdf.ellipse(x - radius * scale, y - radius * scale, 2 * radius * scale, 2 * radius * scale, "F")
                case Label(x, y, text, role, anchor):
                    self._font(11 * scale * 2.83, role)
                    x, y = at(x, y)
                    width = pdf.get_string_width(self._text(text))
                    shift = {"start": 0.0, "middle": width / 2, "end": width}[anchor]
                    pdf.text(x - shift, y, self._text(text))
        pdf.set_dash_pattern(0, 0)
        pdf.set_line_width(0.2)
        self._font(6, "text2")
        x, y = at(0, picture.height)
        pdf.text(x, y + 2, self._text(picture.title))


def _rgb(role: str) -> tuple[int, int, int]:
    value = LIGHT[role]
    return int(value[1:3], 16), int(value[3:5], 16), int(value[5:7], 16)


def _tint(role: str) -> tuple[int, int, int]:
    red, green, blue = (round(255 - (255 - part) * 0.2) for part in _rgb(role))
    return red, green, blue
