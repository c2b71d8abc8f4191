"""The preview says what the pages say, in HTML without anything that could be run or loaded."""

from __future__ import annotations

import re

from gui.report import build
from gui.report.preview import CHARACTERS, ROWS, preview_page, preview_text
from tests.gui.reconcile.losses import run_with_losses

HARM = "<script>alert(1)</script><img src=http://x/>"


def test_it_shows_the_sections_and_escapes_what_comes_from_elsewhere(world) -> None:
    run = run_with_losses(world, name=HARM)
    world.store.add_note(run, HARM, HARM, 5.0)
    shown = preview_page(build(world.store, run))
    assert "What is not matched" in shown.html
    assert "/store/test/f0001.root" in shown.html
    assert "alert(1)" in shown.html
    tags = set(re.findall(r"<(\w+)", shown.html))
    assert tags <= {"body", "h2", "h3", "h4", "p", "br", "font", "table", "tr", "th", "td", "b", "pre", "img"}
    assert set(re.findall(r'src="([^"]*)"', shown.html)) == {name for name, _ in shown.pictures}


def test_long_tables_and_texts_are_cut_and_say_so(world) -> None:
    run = run_with_losses(world, requests=60, statuses=False)
    made = build(world.store, run)
    shown = preview_page(made)
    assert shown.html.count("<tr>") < 60 * ROWS
    text = preview_text(b"x" * (CHARACTERS + 7)).text
    assert text.endswith("\n… 7 more characters are in the file")
    assert preview_text("naïve".encode()).text == "naïve"


def test_redaction_reaches_the_preview(world) -> None:
    run = run_with_losses(world)
    assert "wn17.example.org" in preview_page(build(world.store, run)).html
    assert "example.org" not in preview_page(build(world.store, run, redact=True)).html


def test_redaction_knows_where_a_server_sends_its_monitoring(world) -> None:
    line = "xrootd.monitor all flush 30s dest fstat info user mon.example.org:9993"
    run = world.begin(server_agents=[{"name": "a1", "host": "h1.example.org", "monitoring": line}])
    assert "flush 30s" in preview_page(build(world.store, run, redact=True)).html
    assert "example.org" not in preview_page(build(world.store, run, redact=True)).html
