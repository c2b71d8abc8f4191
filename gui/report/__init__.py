"""Reports: what a run found, for people and for programs. No Qt; plots are drawn as SVG here.

    report = build(store, run_id)             # gathered once; redact=True takes names of hosts out
    text_table(report)                        # for a terminal: the seed's table and remarks
    csv_table(report), json_report(report)    # for programs

- `content`: what is said. `numbers`: how numbers are written. `table`: text, CSV and JSON.
- `redact`: taking names out.
"""

from gui.report.content import RepeatReport, RunReport, TestReport, build
from gui.report.table import COLUMNS, Column, csv_table, json_report, text_table

__all__ = [
    "COLUMNS",
    "Column",
    "RepeatReport",
    "RunReport",
    "TestReport",
    "build",
    "csv_table",
    "json_report",
    "text_table",
]
