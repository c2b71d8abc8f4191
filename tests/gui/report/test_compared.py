from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from gui.reconcile import Pattern, difference, figures, interval, share_of
from gui.report import (
    Comparison,
    Trend,
    build,
    compare,
    compare_text,
    render_compared,
    trend,
    trend_text,
)
from gui.store import TestSpec


@pytest.fixture
def made(world: Any) -> Callable[..., Any]:
    """Makes the report of a run of 2,400 requests, of which so many datagrams of ten were lost."""

    def make(datagrams: int, name: str = "nightly") -> Any:
        spec = TestSpec(8, 100, 20, repeats=3, name="8×100")
        world.begin(spec, name=name)
        world.store.set_run(world.run, ended=world.tick())
        report = build(world.store, world.run)
        share = share_of(
            [Pattern(800, 8, [20] * 5, {(n % 8, n % 5): 10 for n in range(part, datagrams, 3)}) for part in range(3)]
        )
        now = replace(
            figures(spec, []),
            counted=share.total,
            good=share.total - share.lost,
            missing=share.lost,
            achieved=160.0,
            interval=interval(share),
            share=share,
        )
        (test,) = report.tests
        return replace(report, tests=(replace(test, now=now, at_settle=now),))

    return make


@pytest.fixture
def worse(made: Callable[..., Any]) -> Comparison:
    return compare(made(0), made(9))


def test_the_text_says_it_first(worse: Comparison) -> None:
    lines = compare_text(worse).splitlines()
    assert lines[:2] == [
        "Run 2 (nightly) compared with run 1 (nightly), in percentage points",
        "REGRESSION: 1 test of run 2 worse than in run 1 by more than chance (8×100).",
    ]
    assert lines[2] == "Run 2 is worse. 8×100 lost 90 of 2,400 records, run 1 none."
    cells = lines[6].split()
    assert cells[:6] == ["8×100", "100.00", "%", "96.25", "%", "−3.750"]
    assert "✗ WORSE" in lines[6]
    assert "90 of 2,400" in lines[6]


def test_what_chance_may_do_is_said_so(made: Callable[..., Any]) -> None:
    text = compare_text(compare(made(0), made(1)))
    assert "No regression: nothing in run 2 is worse than in run 1 by more than chance." in text
    assert "no more than chance" in text


def test_only_what_differs_can_be_shown(made: Callable[..., Any]) -> None:
    same = compare(made(0), made(0))
    assert "8×100" in compare_text(same)
    assert "8×100" not in compare_text(same, only_different=True)


def test_csv_has_one_number_in_a_cell(worse: Comparison) -> None:
    (row,) = csv.DictReader(render_compared(worse, "csv").decode().splitlines())
    assert {name: row[name] for name in ("test", "success_a", "success_b", "meaning", "counted_b", "lost_b")} == {
        "test": "8×100", "success_a": "100.0", "success_b": "96.25", "meaning": "worse", "counted_b": "2400",
        "lost_b": "90",
    }  # fmt: skip
    assert float(row["change_low"]) < float(row["change"]) == -3.75 < float(row["change_high"]) < 0


def test_json_has_both_sides_and_the_interval(worse: Comparison) -> None:
    content = json.loads(render_compared(worse, "json"))
    (test,) = content["tests"]
    assert (content["schema"], content["regression"]) == (3, True)
    assert (test["a"]["missing"], test["b"]["missing"], test["meaning"]) == (0, 90, "worse")
    assert test["interval"][0] < test["change"] < test["interval"][1] < 0


class _Reader(HTMLParser):
    """What a page says, and whether it could do or load anything."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def read(page: bytes) -> _Reader:
    reader = _Reader()
    reader.feed(page.decode())
    return reader


def test_html_says_the_same_and_loads_nothing(worse: Comparison) -> None:
    reader = read(render_compared(worse, "html"))
    assert {"script", "link", "img", "iframe"}.isdisjoint(reader.tags)
    said = " ".join(reader.words)
    for word in ("REGRESSION", "✗ WORSE", "96.25 %", "−3.750", "90 of 2,400"):
        assert word in said


def test_names_of_others_are_text(made: Callable[..., Any]) -> None:
    evil = "<script>x</script>\x1b[2J\u202e"
    comparison = compare(made(0, evil), made(0, evil))
    page, text = render_compared(comparison, "html").decode(), compare_text(comparison)
    assert "<script>" not in page
    for told in (page, text):
        assert "\x1b" not in told
        assert "\u202e" not in told


@pytest.fixture
def nights(made: Callable[..., Any]) -> Trend:
    return trend([made(datagrams) for datagrams in (0, 1, 9)], 1)


def test_a_trend_has_a_line_for_each_run(nights: Trend) -> None:
    lines = trend_text(nights).splitlines()
    assert lines[0] == "Plan nightly: 3 runs, compared with run 1 (the baseline)"
    assert lines[1].startswith("REGRESSION: 1 test of run 3")
    assert [line.split()[1] for line in lines[5:]] == ["1", "2", "3"]
    assert "160/s" in lines[5]


def test_a_trend_whose_newest_run_is_the_baseline_claims_nothing(made: Callable[..., Any]) -> None:
    first, second = made(0), made(9)
    assert trend_text(trend([first], None)).splitlines()[1] == (
        f"Run {first.run.id} is the only one, so there is nothing to compare it with."
    )
    assert trend_text(trend([first, second], second.run.id)).splitlines()[1] == (
        f"The newest run, {second.run.id}, is the baseline, so there is nothing to compare it with."
    )


def test_a_trend_is_the_same_in_all_forms(nights: Trend) -> None:
    rows = list(csv.DictReader(render_compared(nights, "csv").decode().splitlines()))
    content = json.loads(render_compared(nights, "json"))
    page = " ".join(read(render_compared(nights, "html")).words)
    assert [row["meaning"] for row in rows] == ["baseline", "same", "worse"]
    assert [point["meaning"] for point in content["points"]] == ["baseline", "same", "worse"]
    assert (content["baseline"], content["runs"], content["regression"]) == (1, [1, 2, 3], True)
    assert "the baseline" in page
    assert "✗ WORSE" in page


def test_a_form_that_there_is_not_is_named(nights: Trend) -> None:
    with pytest.raises(ValueError, match="There is no format 'pdf'"):
        render_compared(nights, "pdf")


def test_the_difference_is_the_one_of_reconcile(made: Callable[..., Any]) -> None:
    a, b = made(2), made(5)
    (pair,) = compare(a, b).tests
    assert pair.difference == difference(a.tests[0].now.share, b.tests[0].now.share)
