"""How numbers and times are written: as ISO tables do, or as a language does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gui.models import figures
from gui.models.writing import ISO, Writing, use

GERMAN = Writing(".", ",", lambda _t: "29.11.26", lambda _t: "29.11.26 14:05:09", lambda _t: "14:05:09")


@pytest.fixture
def german() -> Iterator[None]:
    use(GERMAN)
    yield
    use(ISO)


def test_iso_is_what_is_used_unless_something_else_is_said(monkeypatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    __import__("time").tzset()
    assert figures.count(1_234_567) == "1,234,567"
    assert figures.rate(12.345) == "12.3"
    assert figures.day_and_time(1_795_960_000.5) == "2026-11-29 13:46:40"
    assert figures.day(1_795_960_000.5) == "2026-11-29"
    assert figures.clock(1_795_960_000.5) == "13:46:40.500"


def test_a_language_has_its_own_signs_everywhere(german: None) -> None:
    assert figures.count(1_234_567) == "1.234.567"
    assert figures.size(3 * 2**20 + 2**19) == "3,5 MiB"
    assert figures.exact_size(1_048_576) == "1.048.576 B"
    assert figures.success(39_991, 40_000) == "99,98 %"
    assert figures.interval((99.957, 99.988)) == "99,957 – 99,988 %"
    assert figures.milliseconds(-1.5, signed=True) == "−1.500 ms"
    assert figures.age(0.4) == "0,4 s ago"
    assert figures.average(12.345) == "12,35" or figures.average(12.345) == "12,34"
    assert figures.mib(2**20 * 1500.0) == "1.500,0"
    assert figures.clock(1.25) == "14:05:09,250"
    assert figures.day_and_time(None) == figures.UNKNOWN
