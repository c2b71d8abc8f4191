from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gui.report import numbers
from shoveler.values.quantities import about_size


@pytest.mark.parametrize(
    ("good", "counted", "shown"),
    [
        (40_000, 40_000, "100.00 %"),
        (39_999, 40_000, "99.99 %"),  # 99.9975 would round to 100.00
        (24_999, 25_000, "99.99 %"),  # 99.996
        (999_999_999, 1_000_000_000, "99.99 %"),
        (119_973, 120_000, "99.98 %"),
        (1, 1_000_000, "0.01 %"),  # not 0.00: one did match
        (0, 5, "0.00 %"),
        (1, 3, "33.33 %"),
        (2, 3, "66.67 %"),
        (1, 8, "12.50 %"),
        (9995, 10_000, "99.95 %"),
        (0, 0, "–"),
    ],
)
def test_success_is_100_only_when_all_matched_and_0_only_when_none_did(good: int, counted: int, shown: str) -> None:
    assert numbers.success(good, counted) == shown


@given(st.integers(1, 10**9), st.floats(0, 1))
def test_success_is_never_off_by_more_than_a_hundredth(counted: int, part: float) -> None:
    good = round(counted * part)
    value = numbers.success_value(good, counted)
    assert value is not None
    assert abs(value - 100 * good / counted) <= 0.01
    assert (value == 100) == (good == counted)
    assert (value == 0) == (good == 0)


@pytest.mark.parametrize(
    ("bounds", "shown"),
    [
        ((99.957, 99.988), "99.957 – 99.988 %"),
        ((79.409279, 100.0), "79.41 – 100 %"),
        ((99.36389, 99.99999), "99.36 – 99.99 %"),
        ((0.0, 0.0001), "0 – 0.001 %"),
        ((0.0001, 40.0), "0.01 – 40.00 %"),
        ((99.9996, 99.99999), "99.999 – 99.999 %"),
        (None, "–"),
    ],
)
def test_an_interval_has_as_many_decimals_as_it_is_narrow_and_never_reaches_100_or_0_by_rounding(
    bounds: object, shown: str
) -> None:
    assert numbers.interval(bounds) == shown  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("function", "value", "shown"),
    [
        (numbers.count, 39991, "39,991"),
        (numbers.count, -3, "−3"),
        (numbers.count, None, "–"),
        (numbers.volume, 6.2e15, "6.2 PB"),
        (numbers.volume, 874.5e12, "874.5 TB"),
        (numbers.volume, 999_960, "1.0 MB"),
        (numbers.volume, 999, "999 B"),
        (numbers.volume, 1000, "1.0 kB"),
        (numbers.volume, 3e21, "3,000.0 EB"),
        (numbers.volume, None, "–"),
        (numbers.average, 3196.6667, "3,196.67"),
        (numbers.rate, 24.42, "24.4/s"),
        (numbers.rate, 99.96, "100/s"),
        (numbers.rate, 431.4, "431/s"),
        (numbers.size, 912, "912 B"),
        (numbers.size, 2386 * 2**20, "2.3 GiB"),
        (numbers.size, 1536, "1.5 KiB"),
        (numbers.size, 2**20 - 1, "1.0 MiB"),
        (numbers.size, 1023.95 * 1024, "1.0 MiB"),
        (numbers.size, 1023.94 * 1024, "1,023.9 KiB"),
        (numbers.size, 2**30 - 1, "1.0 GiB"),
        (numbers.size, 1023.6, "1.0 KiB"),
        (numbers.size, 1023, "1,023 B"),
        (numbers.share, 99.999, "99.99 %"),
        (numbers.share, 100.0, "100.00 %"),
        (numbers.share, 0.001, "0.01 %"),
        (numbers.share, None, "–"),
        (numbers.latency, 0.000412, "0.412 ms"),
        (numbers.latency, 0.0032, "3.20 ms"),
        (numbers.latency, 0.45, "450 ms"),
        (numbers.latency, 0.9996, "1.00 s"),
        (numbers.latency, 12.34, "12.3 s"),
        (numbers.latency, 131.0, "2 min 11 s"),
        (numbers.latency, 0.0, "0 s"),
        (numbers.exact_size, 1048576, "1,048,576 B"),
        (numbers.delta, 400, "+400 B"),
        (numbers.delta, -1048576, "−1,048,576 B"),
        (numbers.delta, 0, "0 B"),
        (numbers.duration, 0.44, "0.4 s"),
        (numbers.duration, 9.96, "10 s"),
        (numbers.duration, 131, "2 min 11 s"),
        (numbers.duration, 8040, "2 h 14 min"),
        (numbers.duration, 529_200, "6 d 3 h"),
        (numbers.duration, None, "–"),
        (numbers.moment, 1_760_000_000.0, "2025-10-09T08:53:20Z"),
        (numbers.moment, None, "–"),
        (numbers.clock, 1_760_000_000.204, "08:53:20.204"),
        (numbers.per_cent, 99.9, "99.90 %"),
    ],
)
def test_numbers_as_people_read_them(function: object, value: object, shown: str) -> None:
    assert function(value) == shown  # type: ignore[operator]


@given(st.floats(0, 2**62) | st.floats(1000, 1100) | st.floats(1000 * 2**10, 1100 * 2**10))
def test_a_size_never_has_four_digits_before_its_point(size: float) -> None:
    """Once it read 1,024.0 KiB."""
    text = numbers.size(size)
    assert float(text.split()[0].replace(",", "")) < 1024
    assert about_size(size) == text or text.endswith(("PiB", "EiB"))
