from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest

from gui.reconcile import score
from gui.report import build, html_report
from gui.report.palette import DARK, LIGHT
from gui.store import MarkerRow, SampleRow, TestSpec

EVIL = "<script>alert('1')</script>\"'>"
VOID = {"meta", "br", "img", "link"}


class Balanced(HTMLParser):
    """Checks that every element is closed in order, and collects what there is."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            assert not name.startswith("on"), "no element may run anything"
            assert name not in ("src", "href"), "nothing is loaded from elsewhere"
            assert value is None or "url(" not in value
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture
def page(world: Any) -> tuple[str, Balanced]:
    world.begin(TestSpec(1, 6, 6, name=EVIL), name=EVIL, where=EVIL)
    a, b, c, d, e, f = world.ask(6, server=f"root://{EVIL}:1094")
    world.read(a, b, c, d, f)
    world.read(e, ok=False, error=EVIL)
    world.record(a, b)
    world.record(c, read=4, known_issue=["http_put_zero", EVIL])
    world.record(d)
    world.record(d)
    score(world.store, world.repeat, "settle", world.tick())
    (server,) = world.store.servers()
    t = int(world.now)
    world.store.add_samples(
        world.repeat, [SampleRow(t + i, server.id, 5 * i, 4 * i, 3 * i, 0, 0, 0) for i in range(900)]
    )
    world.store.add_marker(world.run, MarkerRow(t + 5.0, "fault", EVIL))
    world.store.add_note(world.run, EVIL, EVIL, world.now)
    text = html_report(build(world.store, world.run), now=world.now)
    parser = Balanced()
    parser.feed(text)
    parser.close()
    assert parser.open == []
    return text, parser


def test_text_of_others_is_text_and_never_markup(page: tuple[str, Balanced]) -> None:
    text, parser = page
    assert "script" not in parser.tags
    assert "<script" not in text
    assert any(EVIL in data for data in parser.texts)


def test_the_page_needs_nothing_from_elsewhere(page: tuple[str, Balanced]) -> None:
    text, parser = page
    assert not parser.tags & {"img", "link", "iframe", "object", "embed", "form", "input"}
    assert "Content-Security-Policy" in text
    assert "default-src 'none'" in text
    assert "http://" not in text
    assert "https://" not in text


def test_it_follows_light_and_dark_with_the_same_roles() -> None:
    assert LIGHT.keys() == DARK.keys()


def test_both_colour_sets_are_in_the_style(page: tuple[str, Balanced]) -> None:
    assert "prefers-color-scheme:dark" in page[0]
    assert DARK["recorded"] in page[0]


def test_what_was_found_is_on_the_page(page: tuple[str, Balanced]) -> None:
    text, parser = page
    words = " ".join(parser.texts)
    for word in ("Num. servers", "Success %", "≠ wrong bytes", "− missing", "⧉ duplicate", "⊘ client failed", "5.7.3"):
        assert word in words
    assert "<polyline" in text
    assert "900 s" not in words
    assert "4,495 requested" in text, "the picture says in words what it shows"


def test_a_run_without_results_makes_a_page_too(world: Any) -> None:
    world.begin()
    text = html_report(build(world.store, world.run))
    assert "no result" in text
    assert "<h2>Servers" not in text


def test_a_long_list_is_cut_and_says_so(world: Any) -> None:
    world.begin(TestSpec(1, 30, 30))
    world.read(*world.ask(30))
    score(world.store, world.repeat, "settle", world.tick())
    text = html_report(build(world.store, world.run, max_odd=10))
    assert "Requests that are not matched (30)" in text
    assert "20 more are not listed here" in text
