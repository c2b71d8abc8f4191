"""Reports: what a run found, for people and for programs. No Qt; plots are drawn as SVG here.

    report = build(store, run_id)             # gathered once; redact=True takes names of hosts out
    text_table(report)                        # for a terminal: the published table and remarks
    csv_table(report), json_report(report)    # for programs
    html_report(report), pdf_report(report, font=find_font())      # for people
    compare_text(compare(build(store, a), build(store, b)))
    export_bundle(store, run_id, path), import_bundle(store, path, now)
    federation_text(Federation("org", store.usage("org"), names=store.usage_names()))

- `content`: what is said. `numbers`: how numbers are written. `table`: text, CSV and JSON.
- `plot`: plots as strokes; `svg`, `pdf`, `html` draw and write, with the colours of `palette`.
- `compare`: two runs. `bundle`: a run in a file. `federation`: what records say about use, `communities`: whose it is.
- `redact`: names taken out.

Text that came from elsewhere (agents, servers, bundles) is data: escaped in HTML, made printable for terminals, and no
formula in CSV. docs/results.md describes the formats.
"""

from gui.report.bundle import BundleError, Imported, export_bundle, import_bundle
from gui.report.compare import Comparison, TestPair, compare, compare_json, compare_text
from gui.report.content import RepeatReport, RunReport, TestReport, build
from gui.report.federation import (
    Federation,
    federation_csv,
    federation_json,
    federation_text,
    hit_ratio,
    limited,
)
from gui.report.formats import ENDINGS, FORMATS, render
from gui.report.html import html_report, why
from gui.report.pdf import PdfUnavailable, find_font, pdf_report
from gui.report.table import COLUMNS, Column, csv_table, headline, json_report, remarks_of, text_table

__all__ = [
    "COLUMNS",
    "ENDINGS",
    "FORMATS",
    "BundleError",
    "Column",
    "Comparison",
    "Federation",
    "Imported",
    "PdfUnavailable",
    "RepeatReport",
    "RunReport",
    "TestPair",
    "TestReport",
    "build",
    "compare",
    "compare_json",
    "compare_text",
    "csv_table",
    "export_bundle",
    "federation_csv",
    "federation_json",
    "federation_text",
    "find_font",
    "headline",
    "hit_ratio",
    "html_report",
    "import_bundle",
    "json_report",
    "limited",
    "pdf_report",
    "remarks_of",
    "render",
    "text_table",
    "why",
]
