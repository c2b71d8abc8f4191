"""The cards of the page, read as a person reads them: text by text."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from gui.hub.web.markup import Html
from gui.runner.progress import Marker, Problem, RunProgress
from gui.statuspage import render
from gui.statuspage.history import History
from gui.statuspage.view import MAX_EVENTS
from tests.gui.statuspage.story import CLIENTS, DAY, EMPTY, HISTORY, NOW, PROGRESS, STATUS, client, line, server

EVIL = '<img src=x onerror="alert(1)">'


class _Texts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: set[str] = set()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.open.append(tag)
        assert not any(name.startswith("on") or name == "style" for name, _ in attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(data.strip())


def read(html: Html) -> _Texts:
    """What is in there; every element ends where it should, and none has a style or a script of its own."""
    texts = _Texts()
    texts.feed(html)
    texts.close()
    assert texts.open == []
    return texts


def words(html: Html) -> str:
    return " ".join(read(html).texts)


def rows(html: Html, kind: str = "results") -> list[list[str]]:
    """The cells of a table, as text."""
    body = re.search(
        rf'<table class="{kind}".*?<tbody>(.*?)</tbody>' if kind else r"<tbody>(.*?)</tbody>", html, re.DOTALL
    )
    assert body
    lines = re.findall(r"<tr>(.*?)</tr>", body[1], re.DOTALL)
    return [[words(Html(cell)) for cell in re.findall(r"<td.*?>(.*?)</td>", each, re.DOTALL)] for each in lines]


def test_the_run_under_way() -> None:
    text = words(render.run_card(STATUS))
    for said in (
        "Run 36 running osdf-2021, test 8 of 8: 50 servers, 800 each started 09:59:00 UTC",
        "repeat 2/3 · round 5/8 25,000 / 40,000 ETA 35 s",
        "requested 25,000 read 24,976 recorded 24,412 gap 564 oldest 9.6 s",
        "wrong · dup. · failed 0 · 0 · 0 achieved 431/s 262.5 MiB/s",
        "all 8 tests: 183,800 of 238,800 ETA 2 min 10 s",
        "30 k 20 k 10 k 0 00:00 00:10",
    ):
        assert said in text.replace("  ", " "), text


def test_a_run_that_has_ended_says_so_and_promises_nothing() -> None:
    over = replace(STATUS, progress=replace(PROGRESS, outcome="failed", eta=None, run_eta=None))
    text = words(render.run_card(over))
    assert "FAIL" in text
    assert "ended" in text
    assert "ETA" not in text


def test_before_any_run_and_between_two() -> None:
    assert words(render.run_card(EMPTY)) == "No run yet Results appear here as soon as a test is run."
    between = replace(EMPTY, history=History(HISTORY.lines[2:], 36))
    assert words(render.run_card(between)) == "Nothing runs pass Last: run 34, canary, all caches, 100.00 %."
    assert "No run yet." in words(render.results_card(EMPTY))
    assert "none has joined" in words(render.fleet_card(EMPTY))
    assert "none is known" in words(render.fleet_card(EMPTY))


def test_the_hub_cannot_read_its_database() -> None:
    trouble = replace(STATUS, trouble="The hub's database does not answer; results are as they were.")
    assert words(render.run_card(trouble)).startswith("The hub's database does not answer")


def test_clients_and_servers() -> None:
    card = render.fleet_card(STATUS)
    text = words(card)
    assert "Clients 3 up 1 missing" in text
    assert "Servers 47 up 1 to check 1 silent 1 draining" in text
    assert "to check s07 no close records without xfr silent s09 no answer for 12 s draining s11 asked by bo" in text
    assert rows(card, "")[0] == ["up", "c1", "wn14.site-a.example.org", "21 %", "0.3 s"]
    assert rows(card, "")[3] == ["missing", "c4", "wn31.site-c.example.edu", "–", "41 s"]
    assert card.count('class="cell') - card.count('class="cells') == 50
    assert 'title="s07: to check"' in card


def test_many_clients_begin_with_those_that_are_not_up() -> None:
    many = [client(f"w{number:03d}", "h", 5, 0.1) for number in range(200)]
    card = render.fleet_card(replace(STATUS, agents=[*many, *CLIENTS]))
    found = rows(card, "")
    assert found[0][:2] == ["missing", "c4"]
    assert len(found) == 13
    assert found[-1] == ["and 192 more that are up"]


def test_many_servers_are_counted_not_listed() -> None:
    servers = [replace(server(7), name=f"s{number}", url=f"root://s{number}:1094") for number in range(1000)]
    card = render.fleet_card(replace(STATUS, servers=servers))
    assert "1,000 to check" in words(card)
    assert "and 992 more" in words(card)
    assert len(card) < 400_000


def test_events_are_the_newest_and_rounds_are_none() -> None:
    text = words(render.fleet_card(STATUS))
    assert "Events 10:03:12 UTC sh-b dropped 1 datagram 10:03:07 UTC s09 restarted 10:02:41 UTC c4 missing" in text
    assert "round 5" not in text
    markers = tuple(Marker(NOW + number, "agent", f"event {number}") for number in range(50))
    told = replace(
        STATUS, progress=replace(PROGRESS, markers=markers, problems=(Problem(NOW, "error", "x", "old", count=3),))
    )
    assert words(render.fleet_card(told)).count("event ") == MAX_EVENTS


def test_results() -> None:
    card = render.results_card(STATUS)
    found = rows(card)
    assert found[0] == ["36", "osdf-2021 now", "–", "–", "running", "now"]
    assert found[1] == ["35", "canary, all origins 134 of 136, 12 min ago", "98.53 %", "2", "FAIL", "12 min ago"]
    assert found[5] == ["31", "osdf-2021 238,800 of 238,800, 17 Nov", "100.00 %", "0", "pass", "17 Nov"]
    assert "of 36 runs" in words(card)
    said = "134 of 136 requests matched; the worst repeat has 98.53\N{NO-BREAK SPACE}%."
    assert f"Run 35, canary, all origins. {said}" in words(card)
    assert "origin-eic refuses tokens without an audience since 5.8.1." in words(card)


def test_a_failure_that_was_mended_is_not_explained() -> None:
    mended = History((line(36, "canary, all origins", 60, 136, 136), *HISTORY.lines[1:]), 36)
    assert "refuses tokens" not in words(render.results_card(replace(STATUS, history=mended)))


def test_all_runs() -> None:
    card = render.all_runs(replace(STATUS, history=History(HISTORY.lines, 1200)))
    assert len(rows(card)) == len(HISTORY.lines)
    assert "Runs 1,200 in scale-2026-11" in words(card)
    assert "and 1,190 older ones: tally runs list" in words(card)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "just now"), (59, "just now"), (61, "1 min ago"), (3540, "59 min ago"), (3580, "1 h ago"), (86399, "24 h ago"),
     (DAY, "24 Nov"), (-5, "just now")],
)  # fmt: skip
def test_how_long_ago(seconds: float, said: str) -> None:
    assert words(render.ago(NOW - seconds, NOW)) == said


def test_whatever_others_say_is_text() -> None:
    """Names of agents, hosts, servers, plans and workspaces; what agents, servers and the bus tell."""
    status = replace(
        STATUS,
        workspace=EVIL,
        agents=[client(EVIL, EVIL, 1, 1), client("c2", "h", 1, 1, "missing")],
        servers=[replace(server(7), name=EVIL, config=EVIL)],
        progress=replace(PROGRESS, plan=EVIL, message=EVIL, owner=EVIL, markers=(Marker(NOW, "agent", EVIL),),
                         problems=(Problem(NOW, "error", EVIL, EVIL),), eta=None),
        history=History((replace(line(1, EVIL, 5, 1, 2, "failed"), sentence=EVIL, cause=EVIL),), 1),
        trouble=EVIL,
    )  # fmt: skip
    for name, html in {**render.fragments(status), "runs": render.all_runs(status)}.items():
        found = read(html)
        assert "img" not in found.tags, name
        assert "script" not in found.tags
        assert any("<img" in text for text in found.texts), name


def test_control_characters_are_shown_not_obeyed() -> None:
    status = replace(STATUS, agents=[client("c1", "h\u202eevil\x1b[2J", 1, 1)])
    assert "\u202e" not in render.fleet_card(status)
    assert "h·evil·[2J" in render.fleet_card(status)


def test_nothing_of_it_is_large() -> None:
    """It goes to every page twice a second at most."""
    assert sum(len(html) for html in render.fragments(STATUS).values()) < 60_000


def test_an_idle_hub_has_the_problems_of_the_workspace() -> None:
    idle = RunProgress(t=NOW, problems=(Problem(NOW, "warning", "bus", "The broker cannot be reached."),))
    assert "The broker cannot be reached." in words(render.fleet_card(replace(EMPTY, progress=idle)))
