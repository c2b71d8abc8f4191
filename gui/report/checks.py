"""A run for continuous integration: JUnit XML, whose cases are the tests, and Markdown for a job's summary."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from gui.report import numbers
from gui.report.content import RunReport, TestReport
from gui.report.table import columns_of, explanations, headline, remarks_of
from gui.report.words import bounded, printable

CELL = 400
"""Characters of a cell or a remark in Markdown."""
CAUSES = 10
"""Causes of each test in Markdown."""
_MARKUP = re.compile(r"([\\`*\[\]#|~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")


def junit_report(report: RunReport) -> str:
    """The run as a JUnit test suite. A test that failed is a failure; one without a conclusion is an error, so that
    nothing is green that has not passed."""
    run = report.run
    verdicts = [test.now.conclusion for test in report.tests]
    failures = verdicts.count("fail")
    errors = sum(1 for verdict in verdicts if verdict not in ("pass", "fail"))
    cases = [_case(report, test) for test in report.tests]
    if report.conclusion not in ("pass", "fail") and not errors:
        # All its tests have passed, and the run was ended or broke all the same.
        errors += 1
        inner = _error(run.state, run.message)
        cases.append(f'<testcase classname={_attribute(run.name)} name="run">{inner}</testcase>')
    took = 0.0 if run.started is None or run.ended is None else max(0.0, run.ended - run.started)
    facts = "".join(
        f"<property name={_attribute(name)} value={_attribute(value)}/>"
        for name, value in (("run", str(run.id)), ("state", run.state), ("conclusion", report.conclusion))
    )
    head = f'tests="{len(cases)}" failures="{failures}" errors="{errors}" skipped="0" time="{took:.3f}"'
    name = _attribute(f"Run {run.id} {run.name}")
    stamp = "" if run.started is None else f' timestamp="{numbers.moment(run.started)}"'
    said = _text([headline(report), run.message, *remarks_of(report)])
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<testsuites name={name} {head}>\n<testsuite name={name} {head}{stamp}>\n<properties>{facts}</properties>\n"
        + "\n".join(cases)
        + f"\n<system-out>{said}</system-out>\n</testsuite>\n</testsuites>\n"
    )


def _case(report: RunReport, test: TestReport) -> str:
    spec, now = test.entry.spec, test.now
    title = f"Test {test.entry.number}"
    name = f"{title}: {spec.name or f'{spec.servers} × {spec.files_per_server}'}"
    times = [r.newest for r in test.repeats if r.newest]
    took = sum(max(0.0, s.last_close - s.first_open) for s in times if s.last_close and s.first_open)
    said = (
        f"{numbers.success(now.good, now.counted)} of {now.counted:,} requests matched; "
        f"the worst repeat has {numbers.share(now.worst)}, and {spec.pass_at:g} % is required."
    )
    match now.conclusion:
        case "pass":
            inner = ""
        case "fail":
            reasons = [text for text in remarks_of(report) if text.startswith((f"{title}:", f"{title},"))]
            inner = f'<failure message={_attribute(said)} type="fail">{_text(reasons)}</failure>'
        case "inconclusive":
            inner = _error("inconclusive", said)
        case _:
            inner = _error("no result", f"The test was not carried out in full ({report.run.state}). {said}")
    head = f'classname={_attribute(report.run.name)} name={_attribute(name)} time="{took:.3f}"'
    return f"<testcase {head}>{inner}</testcase>"


def _error(kind: str, message: str) -> str:
    return f"<error message={_attribute(message)} type={_attribute(kind)}></error>"


def _attribute(text: str) -> str:
    return quoteattr(bounded(text))


def _text(lines: Sequence[str]) -> str:
    return escape("\n".join(printable(line) for line in lines))


def markdown_report(report: RunReport) -> str:
    """The run in Markdown: headline, table, remarks, and the causes of what is missing. Ends with a newline."""
    columns = columns_of(report)
    lines = [f"## {_inline(headline(report))}", ""]
    if report.run.message:
        lines += [_inline(report.run.message), ""]
    lines.append("| " + " | ".join(_inline(f"{c.title} {c.scope}".strip()) for c in columns) + " |")
    lines.append("|" + "|".join(" --- " if c.name in ("test_name", "conclusion") else " ---: " for c in columns) + "|")
    lines += ["| " + " | ".join(_inline(column.shown(test)) for column in columns) + " |" for test in report.tests]
    remarks = [*explanations(report), *remarks_of(report)]
    if remarks:
        lines += ["", *(f"- {_inline(remark)}" for remark in remarks)]
    causes = [(test, loss) for test in report.tests for loss in test.odd.causes[:CAUSES]]
    if causes:
        lines += ["", "| Test | Missing | Lost at | Cause |", "| ---: | ---: | --- | --- |"]
        for test, loss in causes:
            cells = (str(test.entry.number), f"{loss.count:,}", loss.lost_at or numbers.UNKNOWN, loss.answer)
            lines.append("| " + " | ".join(map(_inline, cells)) + " |")
    return "\n".join(lines) + "\n"


def _inline(text: str) -> str:
    """Text of others in a line of Markdown: no markup, no HTML, nobody and nothing is linked to."""
    text = _MARKUP.sub(r"\\\1", bounded(text, CELL))
    for sign, written in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("@", "&#64;"), ("://", "&#58;//")):
        text = text.replace(sign, written)
    return text
