"""A run as PDF: the result table, plots, servers and what was not matched, on A4 across.

Needs fpdf2 (extra ``hub``). A Unicode font of the machine is embedded when one is found; without one, signs that the
fonts of every PDF reader lack are written in plain letters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gui.report import numbers
from gui.report.content import RunReport
from gui.report.html import why
from gui.report.palette import LIGHT, STATUS
from gui.report.plot import Area, Dot, Label, Picture, Stroke, converging, intervals
from gui.report.table import columns_of, headline, remarks_of

if TYPE_CHECKING:
    from fpdf import FPDF

MAX_ODD = 200
"""Requests that a PDF lists; it is for reading, the bundle has them all."""
MAX_PLAN = 200
"""Lines of the plan that are printed."""
_FONTS = (
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
    "/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf",
    "/usr/share/fonts/truetype/liberation2/LiberationSans-Regular.ttf",
    "/usr/share/fonts/truetype/inter/Inter-Regular.ttf",
    "/usr/share/fonts/opentype/inter/Inter-Regular.otf",
    "/usr/share/fonts/dejavu-sans-fonts/DejaVuSans.ttf",
    "/usr/share/fonts/TTF/DejaVuSans.ttf",
    "/Library/Fonts/Arial Unicode.ttf",
    "/System/Library/Fonts/Supplemental/Arial Unicode.ttf",
    "C:/Windows/Fonts/segoeui.ttf",
)
_PLAIN = {
    "–": "-", "−": "-", "…": "...", "✓": "", "✗": "", "≠": "", "⧉": "", "◷": "", "⊘": "", "→": "->",
    "“": '"', "”": '"', "‘": "'", "’": "'", "\u202f": " ",
}  # fmt: skip
_LEFT, _WIDTH = 12.0, 273.0
_TABLE, _SMALLEST = 6.5, 4.5
"""Size of letters in tables, in points, and how small they may get."""
_PX = _WIDTH / 1040
"""Millimetres for a px of a picture: two of them stand side by side."""


class PdfUnavailable(Exception):  # noqa: N818 - names a state of the installation
    """The package that writes PDF is not installed; the text says how to get it."""


def find_font() -> Path | None:
    """A Unicode font of this machine, None when none of the usual ones is there."""
    return next((path for path in map(Path, _FONTS) if path.is_file()), None)


def pdf_report(report: RunReport, *, now: float = 0.0, font: Path | None = None) -> bytes:
    """The document. `font`: a TrueType file to embed; `now`: its date of creation. Raises PdfUnavailable."""
    try:
        from fpdf import FPDF
    except ModuleNotFoundError:
        raise PdfUnavailable(
            "Writing PDF needs the fpdf2 package; install it with: pip install 'xrootd-tally[hub]'."
        ) from None
    document = FPDF(orientation="landscape", format="A4")
    return _Writer(document, report, font, now).write()


class _Writer:
    """Writes one report into one document."""

    def __init__(self, document: FPDF, report: RunReport, font: Path | None, now: float) -> None:
        self._pdf = document
        self._report = report
        self._unicode = font is not None
        document.set_margins(_LEFT, 12, _LEFT)
        document.set_auto_page_break(True, 14)
        document.set_creation_date(datetime.fromtimestamp(now, UTC))
        document.set_title(self._text(f"Run {report.run.id} - {report.run.name}"))
        document.set_creator("Tally")
        if font is not None:
            document.add_font("body", fname=font)
        self._family = "body" if font is not None else "helvetica"

    def write(self) -> bytes:
        pdf = self._pdf
        pdf.add_page()
        self._line(headline(self._report), 12, "text")
        if self._report.run.message:
            self._line(self._report.run.message, 8, "text2")
        pdf.ln(2)
        self._results()
        for remark in remarks_of(self._report):
            self._line(remark, 7, "text2")
        self._plots()
        self._servers()
        self._odd()
        self._pdf.ln(4)
        self._line("Plan", 9, "text")
        for line in self._report.run.plan_text.splitlines()[:MAX_PLAN]:
            self._line(line or " ", 6.5, "text2")
        return bytes(pdf.output())

    def _text(self, words: str) -> str:
        words = "".join(c if c.isprintable() else " " for c in words)
        if self._unicode:
            return words
        words = "".join(_PLAIN.get(c, c) for c in words)
        return words.encode("latin-1", "replace").decode("latin-1").strip()

    def _font(self, size: float, role: str) -> None:
        self._pdf.set_font(self._family, size=size)
        self._pdf.set_text_color(*_rgb(role))

    def _line(self, words: str, size: float, role: str) -> None:
        self._font(size, role)
        self._pdf.multi_cell(_WIDTH, size * 0.5, self._text(words), new_x="LMARGIN", new_y="NEXT")

    def _results(self) -> None:
        columns = columns_of(self._report)
        rows = [
            [
                STATUS[test.now.conclusion][1] if column.name == "conclusion" else column.shown(test)
                for column in columns
            ]
            for test in self._report.tests
        ]
        self._table([column.title for column in columns], rows, left=0)

    def _servers(self) -> None:
        rows = [
            [
                s.name,
                s.url,
                *(numbers.count(n) for n in (s.requested, s.read, s.recorded, s.missing, s.late, s.wrong_bytes,
                                             s.duplicate, s.client_failed, s.not_waited)),
                numbers.success(s.matched + s.late, s.counted),
                numbers.size(s.bytes_asked),
                numbers.size(s.bytes_recorded),
                s.answer[:80],
            ]
            for s in self._report.servers
        ]  # fmt: skip
        heads = ["Server", "Address", "Requested", "Read", "Recorded", "Missing", "Late", "Wrong", "Dup.",
                 "Client failed", "Not waited", "Success", "Asked", "Recorded", "Cause"]  # fmt: skip
        self._section("Servers", heads, rows, left=2)

    def _odd(self) -> None:
        rows = [
            [
                STATUS[request.verdict.word][1] if request.verdict is not None else "",
                request.server,
                request.path[-70:],
                request.tag,
                numbers.clock(request.t_open),
                numbers.exact_size(request.asked),
                why(request)[:120],
            ]
            for request in self._report.odd[:MAX_ODD]
        ]
        title = f"Requests that are not matched ({self._report.odd_total:,}; {len(rows):,} listed)"
        self._section(title, ["Verdict", "Server", "Path", "Tag", "Opened", "Asked", "Why"], rows, left=4)

    def _section(self, title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], *, left: int) -> None:
        if not rows:
            return
        self._pdf.ln(4)
        self._line(title, 9, "text")
        self._table(heads, rows, left=left)

    def _table(self, heads: Sequence[str], rows: Sequence[Sequence[str]], *, left: int) -> None:
        """A table; its first `left` columns and the last one are aligned left."""
        from fpdf.fonts import FontFace

        self._font(_TABLE, "text")
        self._pdf.set_draw_color(*_rgb("border"))
        self._pdf.set_fill_color(255, 255, 255)
        words = [[self._text(cell) for cell in row] for row in [heads, *rows]]
        widths = [max(self._pdf.get_string_width(row[place]) for row in words) + 3 for place in range(len(heads))]
        aligned: list[Any] = ["LEFT" if place < left else "RIGHT" for place in range(len(heads))]
        if left:
            aligned[-1] = "LEFT"
        total = sum(widths)
        # Narrow tables keep their width; wide ones get smaller letters first, and then their cells wrap.
        self._font(max(_SMALLEST, _TABLE * min(1.0, _WIDTH / total)), "text")
        with self._pdf.table(
            col_widths=tuple(widths),
            width=min(_WIDTH, total),
            align="LEFT",
            text_align=tuple(aligned),
            borders_layout="HORIZONTAL_LINES",
            line_height=3.4,
            padding=0.6,
            cell_fill_mode="NONE",
            headings_style=FontFace(fill_color=_rgb("raised")),
        ) as table:
            for row in words:
                table.row(row)

    def _plots(self) -> None:
        pictures = list(_pictures(self._report))
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


def _pictures(report: RunReport) -> Iterable[Picture]:
    success = intervals(report)
    if success is not None:
        yield success
    for test in report.tests:
        for repeat in test.repeats:
            title = f"Test {test.entry.number}, repeat {repeat.repeat.number}: requested, read, recorded"
            picture = converging(title, repeat, report.markers)
            if picture is not None:
                yield picture


def _rgb(role: str) -> tuple[int, int, int]:
    value = LIGHT[role]
    return int(value[1:3], 16), int(value[3:5], 16), int(value[5:7], 16)


def _tint(role: str) -> tuple[int, int, int]:
    red, green, blue = (round(255 - (255 - part) * 0.2) for part in _rgb(role))
    return red, green, blue
