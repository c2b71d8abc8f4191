"""A run as one HTML page: nothing is loaded from elsewhere, all text of others is text, and one script of ours searches
the list of requests. The page says the same without it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from html import escape

from gui.report import numbers, svg
from gui.report.content import MAX_ODD, RunReport
from gui.report.palette import STATUS, style_sheet
from gui.report.plot import Picture
from gui.report.sections import Cell, Code, Grid, Group, Paragraph, Part, request_row, sections
from gui.report.table import tests_passed
from gui.report.words import bounded, printable, to_json
from gui.store import RequestEntry

MAX_SEARCHED = 100_000
"""Requests that a page carries for its search, beside those that it lists."""
LONG = 32
"""Characters of a name from which on it may take several lines."""
_SCRIPT = """
(function () {
  "use strict";
  var box = document.getElementById("find"), said = document.getElementById("found");
  var body = document.getElementById("requests").tBodies[0], listed = Array.from(body.rows);
  var rest = document.getElementById("rest"), data = rest ? JSON.parse(rest.textContent) : {words: [], rows: []};
  var texts = listed.map(function (row) { return row.textContent.toLowerCase(); });
  var small = data.words.map(function (word) { return word.toLowerCase(); });
  var added = [], timer = 0;
  function has(wanted, text) { return wanted.every(function (word) { return text.indexOf(word) >= 0; }); }
  function row(places) {
    var made = document.createElement("tr");
    places.forEach(function (place, at) {
      var cell = document.createElement("td"), model = listed[0].cells[at];
      cell.className = at ? model.className : model.className.replace(/c-\\w+/, "c-" + data.roles[data.words[place]]);
      var kind = model.querySelector("code") ? "code" : model.classList.contains("l") ? "span" : "";
      var inner = kind ? cell.appendChild(document.createElement(kind)) : cell;
      inner.textContent = data.words[place];
      made.appendChild(cell);
    });
    return made;
  }
  function show() {
    var wanted = box.value.toLowerCase().split(/\\s+/).filter(Boolean), found = 0;
    added.forEach(function (one) { one.remove(); });
    added = [];
    listed.forEach(function (one, at) { one.hidden = !has(wanted, texts[at]); found += !one.hidden; });
    if (wanted.length) data.rows.forEach(function (places) {
      if (!has(wanted, places.map(function (place) { return small[place]; }).join(" "))) return;
      found += 1;
      if (added.length < 1000) added.push(body.appendChild(row(places)));
    });
    said.textContent = wanted.length ? found.toLocaleString("en") + " found" : "";
  }
  document.getElementById("search").hidden = false;
  box.addEventListener("input", function () { clearTimeout(timer); timer = setTimeout(show, 150); });
})();
"""


def html_report(report: RunReport, *, now: float | None = None) -> str:
    """The page. `now`: when it was made, shown at its foot when given."""
    title = printable(f"Run {report.run.id} – {bounded(report.run.name, 200)}")
    content = "".join(
        f"<section><h2>{escape(section.title)}</h2>{''.join(_part(report, part) for part in section.parts)}</section>"
        for section in sections(report)
    )
    made = f'<p class="sub">Made {numbers.moment(now)} by Tally.</p>' if now is not None else ""
    return page(title, f"{_head(report)}{content}{made}", _SCRIPT if report.odd else "")


def page(title: str, content: str, script: str = "") -> str:
    """A whole page that loads nothing and runs nothing but `script`. `content`: HTML."""
    allowed = f"; script-src 'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" if script else ""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'"
        f'{allowed}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style_sheet()}</style></head>"
        f"<body><main>{content}</main>{f'<script>{script}</script>' if script else ''}</body></html>\n"
    )


def _head(report: RunReport) -> str:
    run = report.run
    role, words = STATUS[report.conclusion]
    if report.conclusion == "none" or run.state in ("stopped", "aborted", "interrupted", "running"):
        words += f" ({run.state})"
    facts = [
        tests_passed(report),
        f"started {numbers.moment(run.started)}",
        f"ended {numbers.moment(run.ended)}",
    ]
    if run.origin:
        facts.append(f"imported from {bounded(run.origin, 200)}")
    message = f"<p>{escape(bounded(run.message))}</p>" if run.message else ""
    name = escape(bounded(run.name, 200))
    return (
        f'<header><h1>Run {run.id} – <bdi>{name}</bdi> <span class="c-{role}">{escape(words)}</span></h1>'
        f'<p class="sub">{escape(", ".join(facts))}</p>{message}</header>'
    )


def _part(report: RunReport, part: Part) -> str:
    match part:
        case Paragraph(text):
            return f'<p class="sub">{escape(text)}</p>'
        case Code(text):
            return f"<pre>{escape(text)}</pre>"
        case Picture():
            return f"<figure><figcaption>{escape(printable(part.title))}</figcaption>{svg.draw(part)}</figure>"
        case Group(title, parts):
            inner = "".join(_part(report, one) for one in parts)
            return f'<div class="group"><h3>{escape(title)}</h3>{inner}</div>'
        case Grid(name="requests"):
            return _search() + table(part) + _rest(report)
        case Grid():
            return table(part)


def table(grid: Grid) -> str:
    """A table as HTML."""
    left = [head.left for head in grid.heads]
    head = "".join(f'<th class="{"l" if one.left else "r"}">{escape(one.title)}</th>' for one in grid.heads)
    body = "".join(f"<tr>{''.join(map(_cell, row, left))}</tr>" for row in grid.rows)
    name = f' id="{grid.name}"' if grid.name else ""
    return f'<div class="wide"><table{name}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(cell: Cell, left: bool) -> str:
    names = [
        name
        for name, wanted in (
            ("l", left),
            ("t", cell.kind == "text"),
            ("k", cell.kind == "key"),
            (f"c-{cell.role}", bool(cell.role)),
        )
        if wanted
    ]
    text = escape(printable(cell.text))
    inner = text
    if cell.kind == "code":
        inner = f"<code>{text}</code>"
    elif left and len(text) > LONG:
        inner = f"<span>{text}</span>"
    return f'<td class="{" ".join(names)}">{inner}</td>' if names else f"<td>{inner}</td>"


def _search() -> str:
    return (
        '<p id="search" hidden><label>Search <input id="find" type="search" placeholder="path, server, verdict, cause" '
        'autocomplete="off"></label> <span class="sub" id="found" role="status"></span></p>'
    )


def _rest(report: RunReport) -> str:
    """The requests that are not listed, as data for the search: each different text once, rows as their numbers."""
    listed = {request.id for request in report.listed(MAX_ODD)}
    rest: Sequence[RequestEntry] = [request for request in report.odd if request.id not in listed]
    if not rest:
        return ""
    places: dict[str, int] = {}
    rows = [
        [places.setdefault(printable(cell.text), len(places)) for cell in request_row(report, request)]
        for request in rest
    ]
    roles = {words: role for role, words in STATUS.values()}
    data = to_json({"words": list(places), "roles": roles, "rows": rows}, lines=True).decode()
    # Within a script element only ``<`` could end it.
    return f'<script type="application/json" id="rest">{data.replace("<", chr(92) + "u003c").strip()}</script>'
