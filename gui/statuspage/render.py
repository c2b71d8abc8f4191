"""The cards of the page as HTML. Pure."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime

from gui.hub import AgentView
from gui.hub.web.markup import Html, Part, h, icon, join
from gui.models.fleet import AGENT_STATES, COUNTED, state_word
from gui.models.states import outcome_state
from gui.report import numbers
from gui.report.words import bounded
from gui.runner.progress import RunProgress
from gui.statuspage import plot
from gui.statuspage.history import History, RunLine
from gui.statuspage.view import (
    MAX_CELLS,
    MAX_CLIENTS,
    MAX_NOTED,
    SERVER_STATES,
    ServerCell,
    Status,
    counted,
    happenings,
    of_this_repeat,
    throughput,
)

SHOWN_RUNS = 10


def fragments(status: Status) -> dict[str, Html]:
    """The fragments of the status page by name, as `gui.hub.web.frames` places them."""
    return {
        "workspace": h("span", status.workspace),
        "run": run_card(status),
        "fleet": fleet_card(status),
        "results": results_card(status),
    }


# ---- the run


def run_card(status: Status) -> Html:
    """The run under way, or that nothing runs."""
    trouble = h("p", icon("warn", "warn"), f" {status.trouble}", class_="trouble") if status.trouble else None
    progress = status.progress
    if progress.run is None:
        return join(trouble, _idle(status))
    return join(
        trouble,
        _title(progress),
        h("div", h("div", _counts(progress), class_="counts"), _graph(progress), class_="halves"),
    )


def _idle(status: Status) -> Html:
    lines = status.history.lines
    if not lines:
        return join(h("h1", "No run yet"), h("p", "Results appear here as soon as a test is run.", class_="second"))
    last = lines[0]
    words = f"Last: run {last.run}, {bounded(last.plan)}, {last.success}."
    return join(h("h1", "Nothing runs"), h("p", badge(last.outcome), " ", words, class_="second"))


def _title(progress: RunProgress) -> Html:
    test = f", test {progress.test} of {progress.tests}" if progress.test else ""
    many = len(progress.servers)
    each = f": {many} server{'s' * (many != 1)}, {progress.total // many:,} each" if many and progress.total else ""
    by = f" by {progress.owner}" if progress.owner else ""
    return h(
        "div",
        h("h1", f"Run {progress.run}"),
        badge(progress.outcome),
        h("span", f"{bounded(progress.plan)}{test}{each}", class_="second what"),
        h("span", "started ", moment(progress.started, "clock"), by, class_="second began"),
        class_="title",
    )


def _counts(progress: RunProgress) -> Html:
    over = progress.outcome != "running"
    eta = "" if over or progress.eta is None else numbers.duration(progress.eta)
    words = progress.message or progress.phase
    rate = throughput(progress)
    gap = h("small", f"oldest {numbers.duration(progress.gap_oldest)}") if progress.gap else None
    return join(
        h(
            "div",
            h("span", "repeat ", h("b", f"{progress.repeat}/{progress.repeats}"), " · round ",
              h("b", f"{progress.round}/{progress.rounds}")),
            h("span", f"{numbers.count(progress.requested)} / {numbers.count(progress.total)}"),
            h("span", "ETA ", h("b", eta)) if eta else h("span", "ended" if over else bounded(words, 60)),
            class_="line",
        ),
        h("progress", value=progress.requested, max=max(1, progress.total), aria_label="requested of this repeat"),
        h(
            "dl",
            figure("requested", numbers.count(progress.requested)),
            figure("read", numbers.count(progress.read)),
            figure("recorded", numbers.count(progress.recorded)),
            figure("gap", numbers.count(progress.gap), gap),
            figure("wrong · dup. · failed", _three(progress), colour="bad" if progress.wrong else ""),
            figure("achieved", numbers.rate(progress.achieved_rate),
                   h("small", "–" if rate is None else f"{numbers.size(rate)}/s")),
            class_="figures",
        ),
        h("p", h("span", f"all {progress.tests} tests: ", h("b", numbers.count(progress.run_requested)), " of ",
                 numbers.count(progress.run_total)), h("span", f"ETA {numbers.duration(progress.run_eta)}")
          if progress.run_eta is not None and not over else None, class_="line whole")
        if progress.tests > 1 else None,
    )  # fmt: skip


def _three(progress: RunProgress) -> str:
    return " · ".join(numbers.count(value) for value in (progress.wrong, progress.duplicate, progress.failed))


def _graph(progress: RunProgress) -> Html:
    return h(
        "div",
        h("p", h("b", "Requested and recorded"), plot.legend(), class_="caption"),
        plot.converging(of_this_repeat(progress)),
        class_="graph",
    )


# ---- clients, servers, events


def fleet_card(status: Status) -> Html:
    """Who is here."""
    clients, cells = status.clients, status.cells
    states = [agent.state for agent in clients]
    return join(
        h("h2", h("span", "Clients"), _tally(counted(states, COUNTED), AGENT_STATES, "none has joined"),
          h("a", icon("right", size=14), class_="open narrow", href="#clients", aria_label="Show the clients")),
        h("div", _clients(clients, status.now), id="clients", class_="fold") if clients else None,
        h("h2", h("span", "Servers"), _tally(_server_counts(cells), _NAMED, "none is known")),
        h("div", *(_cell(cell) for cell in cells[:MAX_CELLS]), class_="cells"),
        _noted(cells),
        h("h2", h("span", "Events"), class_="ruled"),
        _events(status.progress),
    )  # fmt: skip


_NAMED = {word: (symbol, colour) for symbol, colour, word in SERVER_STATES.values()}


def _server_counts(cells: Sequence[ServerCell]) -> list[tuple[str, int]]:
    pairs = counted([cell.state for cell in cells], tuple(SERVER_STATES))
    return [(SERVER_STATES[state][2], count) for state, count in pairs]


def _tally(counts: Sequence[tuple[str, int]], looks: dict[str, tuple[str, str]], none: str) -> Html:
    """``3 up, 1 missing``, each in the colour of its state where that is news."""
    if not counts:
        return h("span", none, class_="second")
    parts: list[Part] = []
    for word, count in counts:
        symbol, colour = looks[word]
        news = "second" if word == "up" else colour
        parts.append(h("span", icon(symbol, colour, 12), f"{count:,} {word}", class_=f"count {news}"))
    return h("span", *parts, class_="tally")


def _clients(clients: Sequence[AgentView], now: float) -> Html:
    shown = clients if len(clients) <= MAX_CLIENTS else clients[:MAX_CLIENTS]
    rows = [_client(agent, now) for agent in shown]
    more = len(clients) - len(shown)
    if more:
        rows.append(h("tr", h("td", f"and {more:,} more that are {shown[-1].state}", colspan=5, class_="second")))
    heads = (("State", ""), ("Name", ""), ("Host", ""), ("CPU", "number"), ("Seen", "number"))
    return table("Clients", heads, rows)


def _client(agent: AgentView, now: float) -> Html:
    symbol, colour = AGENT_STATES.get(agent.state, ("ring", "mute"))
    seen = numbers.duration(max(0.0, now - agent.last_seen)) if agent.last_seen else numbers.UNKNOWN
    busy = " warn" if agent.busy else ""
    return h(
        "tr",
        h("td", state(symbol, state_word(agent), colour)),
        h("td", h("b", bounded(agent.name, 40))),
        h("td", bounded(agent.host, 60), class_="cut", title=agent.reason or None),
        h("td", f"{agent.cpu:.0f} %" if agent.live else numbers.UNKNOWN, class_=f"number{busy}"),
        h("td", seen, class_="number" if agent.live else f"number {colour}"),
    )


def _cell(cell: ServerCell) -> Html:
    symbol, colour, word = SERVER_STATES[cell.state]
    news = "" if cell.state in ("up", "waiting") else f" news {colour}"
    words = f"{cell.name}: {word}"
    return h("span", icon(symbol, colour, 10 if symbol == "dot" else 12), class_=f"cell{news}", title=words,
             role="img", aria_label=words)  # fmt: skip


def _noted(cells: Sequence[ServerCell]) -> Html:
    """In words, the servers that are not as they should be."""
    odd = [cell for cell in cells if cell.state not in ("up", "waiting")]
    lines = []
    for cell in odd[:MAX_NOTED]:
        symbol, colour, word = SERVER_STATES[cell.state]
        lines.append(h("li", state(symbol, word, colour), h("b", bounded(cell.name, 40)),
                       h("span", bounded(cell.note, 160), class_="second")))  # fmt: skip
    if len(odd) > MAX_NOTED:
        lines.append(h("li", h("span", f"and {len(odd) - MAX_NOTED:,} more", class_="second")))
    return h("ul", *lines, class_="noted") if lines else join()


def _events(progress: RunProgress) -> Html:
    found = happenings(progress)
    if not found:
        return h("p", "Nothing to tell of.", class_="second none")
    lines = [
        h("li", moment(one.t, "clock"), icon(one.icon, one.colour), h("span", bounded(one.text, 200))) for one in found
    ]
    return h("ul", *lines, class_="events")


# ---- results


def results_card(status: Status) -> Html:
    """The newest runs, and why the newest failure failed."""
    history = status.history
    head = h(
        "h2",
        h("span", "Last results"),
        h("span", f"of {history.total:,} run{'s' * (history.total != 1)}", class_="second wide"),
        h("a", "All runs", href="/runs", class_="more"),
    )
    if not history.lines:
        return join(head, h("p", "No run yet.", class_="second none"))
    return join(head, _runs(history.lines[:SHOWN_RUNS], status.now), _failure(history))


def all_runs(status: Status) -> Html:
    """Every run that the page lists."""
    history = status.history
    left = history.total - len(history.lines)
    more = f"and {left:,} older ones: tally runs list" if left > 0 else ""
    return join(
        h("h2", h("a", icon("left"), "Back", href="/", class_="more back"), h("span", "Runs"),
          h("span", f"{history.total:,} in {status.workspace}", class_="second")),
        _runs(history.lines, status.now) if history.lines else h("p", "No run yet.", class_="second none"),
        h("p", more, class_="second none") if more else None,
    )  # fmt: skip


def _runs(lines: Sequence[RunLine], now: float) -> Html:
    heads = (
        ("Run", "number"),
        ("Plan", ""),
        ("Success", "number"),
        ("Missing", "number"),
        ("Verdict", ""),
        ("When", ""),
    )
    return table("Runs", heads, [_run(line, now) for line in lines], "results")


def _run(line: RunLine, now: float) -> Html:
    symbol, word, colour = outcome_state("running" if line.outcome == "preparing" else line.outcome)
    failed = line.outcome == "failed"
    known = line.over and line.counted
    when = ago(line.ended or line.started, now) if line.over else h("span", "now")
    of = f"{line.good:,} of {line.counted:,}, " if known else ""
    return h(
        "tr",
        h("td", f"{line.run}", class_="number id"),
        h("td", h("span", bounded(line.plan, 60)), h("span", of, when, class_="second narrow"), class_="plan"),
        h("td", line.success if known else numbers.UNKNOWN, class_=f"number share{' bad strong' if failed else ''}"),
        h("td", numbers.count(line.missing) if known else numbers.UNKNOWN,
          class_=f"number lost{' faint' if not known or not line.missing else ' strong'}"),
        h("td", state(symbol, word, colour, strong=failed), class_="verdict", title=line.sentence or None),
        h("td", when, class_="second when"),
    )  # fmt: skip


def _failure(history: History) -> Html:
    line = history.last_failure
    if line is None:
        return join()
    why = " ".join(part for part in (line.sentence, f"{line.cause}." if line.cause else "") if part)
    shown = bounded(why, 400).replace(" %", "\N{NO-BREAK SPACE}%")
    return h("div", icon("bad", "bad", 16), h("p", h("b", f"Run {line.run}, {bounded(line.plan, 60)}. "),
             h("span", shown, class_="second")), class_="failure")  # fmt: skip


# ---- parts


def badge(outcome: str) -> Html:
    """The outcome of a run."""
    symbol, word, colour = outcome_state("running" if outcome == "preparing" else outcome)
    strong = " strong" if outcome == "failed" else ""
    return h("span", icon(symbol, colour), word, class_=f"badge {colour}{strong}{' runs' if symbol == 'run' else ''}")


def state(symbol: str, word: str, colour: str, *, strong: bool = False) -> Html:
    """A state: icon, word and colour."""
    turns = " runs" if symbol == "run" else ""
    size = 10 if symbol == "dot" else 14
    return h("span", h("span", icon(symbol, colour, size), class_="sign"), word,
             class_=f"state {colour}{' strong' if strong else ''}{turns}")  # fmt: skip


def figure(name: str, value: str, more: Html | None = None, colour: str = "") -> Html:
    """A read-out."""
    return h("div", h("dt", name), h("dd", value, " " if more else None, more, class_=colour or None))


def table(name: str, heads: Sequence[tuple[str, str]], rows: Sequence[Html], kind: str = "") -> Html:
    """A table. `heads`: words and class of each column."""
    cells = [h("th", words, class_=of or None, scope="col") for words, of in heads]
    return h("table", h("thead", h("tr", *cells)), h("tbody", *rows), class_=kind or None, aria_label=name)


def moment(t: float, shown: str) -> Html:
    """A moment; the script writes it in the reader's own time zone. `shown`: ``clock`` or ``day``."""
    if not t:
        return h("span", numbers.UNKNOWN)
    words = f"{time.strftime('%H:%M:%S', time.gmtime(t))} UTC" if shown == "clock" else _day(t)
    return h("time", words, datetime=numbers.moment(t), data_as=shown)


def _day(t: float) -> str:
    day = datetime.fromtimestamp(t, UTC)
    return f"{day.day} {day:%b}"


def ago(t: float, now: float) -> Html:
    """How long ago, in the largest unit that fits; a day for what is older than a day."""
    seconds = max(0.0, now - t)
    if seconds >= 86400:
        return moment(t, "day")
    if seconds < 60:
        return h("span", "just now")
    words = f"{seconds / 60:.0f} min ago" if seconds < 3570 else f"{max(1, round(seconds / 3600))} h ago"
    return h("span", words)
