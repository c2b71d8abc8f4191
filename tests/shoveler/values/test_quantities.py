"""Durations and sizes as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoveler.values.quantities import (
    about_duration,
    about_size,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("1.5m", 90),
        ("500ms", 0.5),
        ("2h", 7200),
        ("1d", 86400),
        (3, 3),
        (0.25, 0.25),
        ("7", 7),
        (" 1 s ", 1),
        ("1h30m", 5400),
        ("1 H 30 Min", 5400),
        ("1w", 604800),
        ("250 ms", 0.25),
        ("0", 0),
    ],
)
def test_durations(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "s",
        "-1s",
        "1 week",
        "1e3s",
        "1x",
        "h",
        "-5",
        "1h and",
        "nan",
        "inf",
        True,
        None,
        [],
        -1,
        float("inf"),
        float("nan"),
    ],
)
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(90, "90s"), (60, "60s"), (120, "2m"), (3600, "1h"), (0.25, "0.25s"), (0, "0s")]
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.floats(0, 86400))
def test_a_duration_comes_back(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, abs=1e-9)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1 MiB", 2**20),
        ("64KiB", 65536),
        ("2kb", 2000),
        (77, 77),
        ("12", 12),
        ("1.5 KiB", 1536),
        ("3 B", 3),
        ("10G", 10 << 30),
        ("1.5K", 1536),
        ("10 GB", 10**10),
        ("7b", 7),
    ],
)
def test_sizes(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "x", "1 XB", "64 XiB", "1e3", "MiB", "-1", -1, True, 1.5, "0.3 B", None])
def test_what_is_no_size(text: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_size(text)


@given(st.integers(0, 2**50))
def test_a_size_comes_back(size: int) -> None:
    assert parse_size(format_size(size)) == size


def test_rounded_for_reading() -> None:
    assert (about_size(999), about_size(819_200 * 1024)) == ("999 B", "800.0 MiB")
    assert (about_duration(12), about_duration(600), about_duration(9000)) == ("12 s", "10 min", "2.5 h")
    assert (about_duration(71 * 3600), about_duration(30 * 86400)) == ("71.0 h", "30 days")
