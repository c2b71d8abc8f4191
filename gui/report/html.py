"""A run as one HTML page: no script, nothing loaded from elsewhere, all text of others escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from gui.reconcile import ServerFigures, sentence
from gui.report import numbers, svg
from gui.report.content import RunReport
from gui.report.palette import STATUS, style_sheet
from gui.report.plot import converging, intervals
from gui.report.table import columns_of, remarks_of
from gui.store import RequestEntry, VerdictKind

_ZERO_IS_GOOD = ("missing", "wrong_bytes", "duplicate", "late", "client_failed", "not_waited", "unrequested")


def html_report(report: RunReport, *, now: float | None = None) -> str:
    """The page. `now`: when it was made, shown at its foot when given."""
    title = f"Run {report.run.id} – {report.run.name}"
    sections = [
        _head(report),
        _section("Result", _results(report) + _remarks(report)),
        _section("Plots", "".join(_figures(report))),
        _section("Servers", _servers(report.servers)),
        _section(f"Requests that are not matched ({report.odd_total:,})", _odd(report)),
        _section("Notes", _notes(report)),
        _section("Environment", _environment(report)),
        _section("Plan", f"<pre>{escape(report.run.plan_text)}</pre>" if report.run.plan_text else ""),
    ]
    made = f'<p class="sub">Made {numbers.moment(now)} by Tally.</p>' if now is not None else ""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style_sheet()}</style></head>"
        f"<body><main>{''.join(sections)}{made}</main></body></html>\n"
    )


def cell(text: str, kind: str = "") -> str:
    """A table cell with escaped text; what is not known or zero is shown faintly when `kind` has ``z``."""
    faint = text in ("0", numbers.UNKNOWN) and "z" in kind
    names = [name for name in kind.replace("z", "").split() if name] + (["zero"] if faint else [])
    return f'<td class="{" ".join(names)}">{escape(text)}</td>' if names else f"<td>{escape(text)}</td>"


def state(name: str) -> str:
    """A table cell with a state: sign, word and colour."""
    role, words = STATUS[name]
    return f'<td class="l c-{role}">{escape(words)}</td>'


def table(heads: Sequence[tuple[str, str]], rows: Iterable[str]) -> str:
    """A table from (title, class) heads and rows of ready cells."""
    head = "".join(f'<th class="{kind}">{escape(title)}</th>' for title, kind in heads)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>" if content else ""


def _head(report: RunReport) -> str:
    run = report.run
    role, words = STATUS[report.conclusion]
    passed = sum(1 for test in report.tests if test.now.conclusion == "pass")
    facts = [
        f"{passed} of {len(report.tests)} tests reached their threshold",
        f"started {numbers.moment(run.started)}",
        f"ended {numbers.moment(run.ended)}",
    ]
    if run.origin:
        facts.append(f"imported from {run.origin}")
    message = f"<p>{escape(run.message)}</p>" if run.message else ""
    return (
        f'<header><h1>Run {run.id} – {escape(run.name)} <span class="c-{role}">{escape(words)}</span></h1>'
        f'<p class="sub">{escape(", ".join(facts))}</p>{message}</header>'
    )


def _results(report: RunReport) -> str:
    columns = columns_of(report)
    rows = []
    for test in report.tests:
        cells = []
        for column in columns:
            if column.name == "conclusion":
                cells.append(state(test.now.conclusion))
            else:
                strong = "k" if column.name in ("recorded_avg", "success") else ""
                cells.append(cell(column.shown(test), f"{strong} z" if column.name in _ZERO_IS_GOOD else strong))
        rows.append("".join(cells))
    return table([(column.title, "l" if column.name == "conclusion" else "") for column in columns], rows)


def _remarks(report: RunReport) -> str:
    return "".join(f'<p class="sub">{escape(remark)}</p>' for remark in remarks_of(report))


def _figures(report: RunReport) -> Iterable[str]:
    success = intervals(report)
    if success is not None:
        yield f"<figure>{svg.draw(success)}</figure>"
    for test in report.tests:
        for repeat in test.repeats:
            spec = test.entry.spec
            name = spec.name or f"{spec.servers} × {spec.files_per_server}"
            title = f"Test {test.entry.number} ({name}), repeat {repeat.repeat.number}"
            picture = converging(title, repeat, report.markers)
            if picture is not None:
                yield f"<figure><figcaption>{escape(title)}</figcaption>{svg.draw(picture)}</figure>"


def _servers(servers: Sequence[ServerFigures]) -> str:
    if not servers:
        return ""
    heads = [("Server", "l"), ("Address", "l"), ("Requested", ""), ("Read", ""), ("Recorded", ""), ("Missing", ""),
             ("Late", ""), ("Wrong", ""), ("Dup.", ""), ("Client failed", ""), ("Not waited", ""), ("Success", ""),
             ("Asked", ""), ("Recorded", ""), ("Lost at", "l"), ("Cause", "l")]  # fmt: skip
    rows = []
    for s in servers:
        good, counted = s.matched + s.late, s.counted
        counts = (s.missing, s.late, s.wrong_bytes, s.duplicate, s.client_failed, s.not_waited)
        rows.append(
            cell(s.name, "l")
            + cell(s.url, "l")
            + "".join(cell(numbers.count(value)) for value in (s.requested, s.read, s.recorded))
            + "".join(cell(numbers.count(value), "z") for value in counts)
            + cell(numbers.success(good, counted), "k")
            + cell(numbers.size(s.bytes_asked))
            + cell(numbers.size(s.bytes_recorded))
            + cell(s.lost_at or numbers.UNKNOWN, "l z")
            + cell(s.answer or numbers.UNKNOWN, "t z")
        )
    return table(heads, rows)


def _odd(report: RunReport) -> str:
    if not report.odd:
        return ""
    heads = [("Verdict", "l"), ("Server", "l"), ("Path", "l"), ("Tag", "l"), ("Client", "l"), ("Opened", ""),
             ("Asked", ""), ("Recorded", ""), ("Difference", ""), ("Accesses", ""), ("Why", "l")]  # fmt: skip
    rest = report.odd_total - len(report.odd)
    more = f'<p class="sub">{rest:,} more are not listed here; a bundle has them all.</p>' if rest > 0 else ""
    return table(heads, (_odd_row(request) for request in report.odd)) + more


def _odd_row(request: RequestEntry) -> str:
    assert request.verdict is not None
    recorded = sum(part or 0 for part in (request.recorded_read, request.recorded_readv, request.recorded_write))
    return (
        state(request.verdict.word)
        + cell(request.server, "l")
        + f'<td class="l"><code>{escape(request.path)}</code></td>'
        + f'<td class="l"><code>{escape(request.tag)}</code></td>'
        + cell(request.agent, "l")
        + cell(numbers.clock(request.t_open))
        + cell(numbers.exact_size(request.asked))
        + cell(numbers.exact_size(recorded) if request.accesses else numbers.UNKNOWN, "z")
        + cell(numbers.delta(recorded - request.asked) if request.accesses else numbers.UNKNOWN, "z")
        + cell(numbers.count(request.accesses or 0), "z")
        + cell(why(request), "t")
    )


def why(request: RequestEntry) -> str:
    """What is known about the reason of a verdict, in words."""
    if request.verdict is VerdictKind.CLIENT_FAILED:
        return request.error or request.cause
    if request.verdict is VerdictKind.NOT_WAITED:
        return request.cause
    words = [sentence(name) for name in request.behaviours]
    if request.lost_at:
        words.insert(0, request.answer)
    return " ".join(words)


def _notes(report: RunReport) -> str:
    return "".join(
        f'<p><span class="sub">{escape(numbers.moment(note.t))} {escape(note.author)}</span> {escape(note.text)}</p>'
        for note in report.notes
    )


def _environment(report: RunReport) -> str:
    facts = {**report.run.versions, **report.run.environment}
    rows = [cell(str(name), "l") + cell(_plain(value), "t") for name, value in facts.items()]
    return table([("What", "l"), ("Value", "l")], rows) if rows else ""


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_plain(item)}" for name, item in value.items())
    if isinstance(value, list):
        return ", ".join(_plain(item) for item in value)
    return str(value)
