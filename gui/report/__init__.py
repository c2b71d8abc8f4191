"""Reports: what a run found, for people and for programs. No Qt; plots are drawn as SVG here.

    report = build(store, run_id)             # gathered once; redact=True takes names of hosts out
    render(report, "html")                    # as bytes, in one of FORMATS: the one way that everybody goes
    text_table(report, width)                 # for a terminal of this width
    requests_csv(store, run_id, …)            # every single request; requests_json: as lines of JSON
    compare_text(compare(build(store, a), build(store, b)))
    export_bundle(store, run_id, path), import_bundle(store, path, now)
    federation_text(Federation("org", store.usage("org"), names=store.usage_names()))

- `content`: what is said. `numbers`, `words`: how numbers and text of others are written.
- `table`: the table, its remarks, CSV. `document`: JSON and its schema. `checks`: Markdown and JUnit.
- `sections`: what a page shows; `html` and `pdf` write it. `plot`: plots as strokes; `svg` and `pdf` draw them, with
  the colours of `palette`.
- `listing`: requests one by one. `bundle`: a run in a file. `redact`: names taken out.
- `compare`: two runs, or all of a plan; `changes`: figure by figure, and in one sentence; `facts`: plan and
  environment; `history`: the runs of a plan; `compared` writes it.
- `federation`: what records say about use, `communities`: whose it is.

Text that came from elsewhere (agents, servers, bundles) is data: escaped in HTML, made printable for terminals, and no
formula in CSV. docs/results.md describes the formats.
"""

from gui.report.bundle import BundleError, Imported, check_bundle, export_bundle, import_bundle, seal_sentence
from gui.report.changes import Change, Finding
from gui.report.compare import Comparison, ServerPair, TestPair, Trend, TrendPoint, compare, trend
from gui.report.compared import (
    COMPARED_FORMATS,
    compare_json,
    compare_text,
    render_compared,
    trend_json,
    trend_text,
    verdict,
)
from gui.report.content import RepeatReport, RunReport, TestReport, build, build_brief
from gui.report.document import json_report, json_schema
from gui.report.facts import Fact, FactPair
from gui.report.federation import (
    Federation,
    federation_csv,
    federation_json,
    federation_text,
    hit_ratio,
    limited,
)
from gui.report.formats import ENDINGS, FORMATS, format_of, render, wants
from gui.report.history import read_trend, runs_of
from gui.report.html import html_report
from gui.report.listing import requests_csv, requests_json, unrequested_csv, unrequested_json
from gui.report.pdf import PdfUnavailableError, pdf_report
from gui.report.table import COLUMNS, Column, csv_table, headline, remarks_of, text_table

__all__ = [
    "COLUMNS",
    "COMPARED_FORMATS",
    "ENDINGS",
    "FORMATS",
    "BundleError",
    "Change",
    "Column",
    "Comparison",
    "Fact",
    "FactPair",
    "Federation",
    "Finding",
    "Imported",
    "PdfUnavailableError",
    "RepeatReport",
    "RunReport",
    "ServerPair",
    "TestPair",
    "TestReport",
    "Trend",
    "TrendPoint",
    "build",
    "build_brief",
    "check_bundle",
    "compare",
    "compare_json",
    "compare_text",
    "csv_table",
    "export_bundle",
    "federation_csv",
    "federation_json",
    "federation_text",
    "format_of",
    "headline",
    "hit_ratio",
    "html_report",
    "import_bundle",
    "json_report",
    "json_schema",
    "limited",
    "pdf_report",
    "read_trend",
    "remarks_of",
    "render",
    "render_compared",
    "requests_csv",
    "requests_json",
    "runs_of",
    "seal_sentence",
    "text_table",
    "trend",
    "trend_json",
    "trend_text",
    "unrequested_csv",
    "unrequested_json",
    "verdict",
    "wants",
]
