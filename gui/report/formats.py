"""A report in whichever format was asked for, as bytes to be printed, saved or sent."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TypedDict

from gui.report.checks import junit_report, markdown_report
from gui.report.content import MAX_ODD, RunReport
from gui.report.document import json_report
from gui.report.html import MAX_SEARCHED, html_report
from gui.report.pdf import pdf_report
from gui.report.table import csv_table, text_table

FORMATS = ("table", "json", "csv", "html", "pdf", "markdown", "junit")
ENDINGS = {
    "table": "txt",
    "json": "json",
    "csv": "csv",
    "html": "html",
    "pdf": "pdf",
    "markdown": "md",
    "junit": "junit.xml",
}
"""File name endings by format."""
TIMED = ("json", "html", "pdf")
"""Formats that show latencies and throughput."""


class Wants(TypedDict):
    """What `build` is told to gather."""

    max_odd: int
    timing: bool


def wants(formats: Sequence[str]) -> Wants:
    """What `build` is told to gather for these formats."""
    return {"max_odd": MAX_SEARCHED if "html" in formats else MAX_ODD, "timing": bool(set(formats) & set(TIMED))}


def format_of(name: str) -> str:
    """The format of a file by the ending of its name. Raises ValueError with a sentence."""
    known = {**{f".{ending}": wanted for wanted, ending in ENDINGS.items()}, ".htm": "html", ".xml": "junit"}
    for ending in sorted(known, key=len, reverse=True):
        if name.lower().endswith(ending):
            return known[ending]
    endings = ", ".join(ENDINGS.values())
    raise ValueError(f"There is no report format for a file {name!r}; give its name one of these endings: {endings}.")


def render(report: RunReport, wanted: str, *, now: float | None = None) -> bytes:
    """The report in one of `FORMATS`. `now`: when it was made (default: now).

    Raises ValueError for another format, PdfUnavailableError without its library."""
    made = time.time() if now is None else now
    match wanted:
        case "table":
            return text_table(report).encode()
        case "json":
            return json_report(report)
        case "csv":
            return csv_table(report).encode()
        case "html":
            return html_report(report, now=made).encode()
        case "pdf":
            return pdf_report(report, now=made)
        case "markdown":
            return markdown_report(report).encode()
        case "junit":
            return junit_report(report).encode()
    raise ValueError(f"There is no report format {wanted!r}; formats are: {', '.join(FORMATS)}.")
