"""Numbers as people read them."""

from __future__ import annotations

import pytest

from gui.models import figures


@pytest.mark.parametrize(
    ("shown", "wanted"),
    [
        (figures.count(1204), "1,204"),
        (figures.count(-3), "−3"),
        (figures.count(None), "–"),
        (figures.size(912), "912 B"),
        (figures.size(1024), "1.0 KiB"),
        (figures.size(12.5 * 2**30), "12.5 GiB"),
        (figures.size(2386 * 2**20), "2.3 GiB"),
        (figures.exact_size(1048576), "1,048,576 B"),
        (figures.mib(12_687_770), "12.1"),
        (figures.rate(97.46), "97.5"),
        (figures.rate(402.4), "402"),
        (figures.duration(0.42), "0.4 s"),
        (figures.duration(41), "41 s"),
        (figures.duration(131), "2 min 11 s"),
        (figures.duration(8040), "2 h 14 min"),
        (figures.duration(6 * 86400 + 3 * 3600), "6 d 3 h"),
        (figures.age(0.31), "0.3 s ago"),
        (figures.milliseconds(0.003, signed=True), "+3 ms"),
        (figures.milliseconds(-0.001, signed=True), "−1 ms"),
        (figures.milliseconds(0.038), "38 ms"),
        (figures.per_cent(21.2), "21 %"),
        (figures.clock(1e18), "–"),
        (figures.day(-1e18), "–"),
        (figures.day_and_time(float("inf")), "–"),
    ],
)
def test_figures(shown: str, wanted: str) -> None:
    assert shown == wanted
