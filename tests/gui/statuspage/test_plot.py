"""The converging plot."""

from __future__ import annotations

import re

import pytest

from gui.runner.progress import RunProgress, SamplePoint
from gui.statuspage.plot import converging, short
from gui.statuspage.view import of_this_repeat, throughput
from tests.gui.statuspage.story import points


def point(t: float, requested: int, read: int, recorded: int, *rates: float | None) -> SamplePoint:
    return SamplePoint(t, rates, requested=requested, read=read, recorded=recorded)


def line(html: str, name: str) -> list[tuple[float, float]]:
    found = re.search(rf'<polyline class="{name}" points="(.*?)"', html)
    assert found
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in found[1].split())]


def test_lines_end_where_the_figures_do() -> None:
    html = converging([point(100, 0, 0, 0), point(110, 300, 200, 100)])
    assert line(html, "requested")[-1] == (1000, 0)  # 10 s of 10, 300 of 300
    assert line(html, "read")[-1] == (1000, 333.3)
    assert line(html, "recorded")[-1] == (1000, 666.7)
    assert 'aria-label="300 requested, 200 read, 100 recorded"' in html
    assert "<span>300</span><span>200</span><span>100</span><span>0</span>" in html


def test_labels_stand_at_the_grid() -> None:
    html = converging(points(58))
    assert [*re.findall(r"<span>(\d\d:\d\d)</span>", html)] == [f"00:{t:02}" for t in (0, 10, 20, 30, 40, 50)] + [
        "01:00"
    ]
    assert html.count('class="grid"') == 4 + 7


def test_too_little_to_draw() -> None:
    for few in ([], [point(1, 0, 0, 0)]):
        assert "No second has been counted yet." in converging(few)


def test_an_hour_is_drawn_thin() -> None:
    hour = [point(t, t, t, t) for t in range(3600)]
    assert len(line(converging(hour), "read")) == 400


def test_only_the_repeat_under_way() -> None:
    samples = (point(1, 50, 50, 50), point(2, 100, 100, 99), SamplePoint(3, ()), point(4, 5, 0, 0), point(5, 10, 5, 0))
    progress = RunProgress(t=6, samples=samples)
    assert [one.t for one in of_this_repeat(progress)] == [4, 5]


def test_throughput_is_that_of_the_newest_second_that_is_whole() -> None:
    samples = (
        point(1, 1, 1, 1, 10.0, 20.0),
        SamplePoint(2, (5.0, None), missing=(1,)),
        SamplePoint(3, (None, None)),
    )
    assert throughput(RunProgress(t=3, samples=samples)) == 30.0
    assert throughput(RunProgress(t=3)) is None


@pytest.mark.parametrize(("value", "said"), [(0, "0"), (500, "500"), (2500, "2.5 k"), (30_000, "30 k"), (2e6, "2 M")])
def test_short(value: float, said: str) -> None:
    assert short(value) == said
