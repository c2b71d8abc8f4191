"""A report in whichever format was asked for, as bytes to be printed, saved or sent."""

from __future__ import annotations

from gui.report.content import RunReport
from gui.report.html import html_report
from gui.report.pdf import find_font, pdf_report
from gui.report.table import csv_table, json_report, text_table

FORMATS = ("table", "json", "csv", "html", "pdf")
ENDINGS = {"table": "txt", "json": "json", "csv": "csv", "html": "html", "pdf": "pdf"}
"""File name endings by format."""


def render(report: RunReport, wanted: str) -> bytes:
    """The report in one of `FORMATS`. Raises ValueError for another one, PdfUnavailable without its library."""
    match wanted:
        case "table":
            return text_table(report).encode()
        case "json":
            return json_report(report)
        case "csv":
            return csv_table(report).encode()
        case "html":
            return html_report(report).encode()
        case "pdf":
            return pdf_report(report, font=find_font())
    raise ValueError(f"There is no report format {wanted!r}; formats are: {', '.join(FORMATS)}.")
