"""What is new about each server, in words, and the order of rows."""

from __future__ import annotations

import numpy as np
import pytest

from gui.models.live_servers import News, medians, news, ordered, rough, slow_seconds, summary
from gui.runner.progress import ServerRow


def rates(*rows: float, seconds: int = 40) -> np.ndarray:
    return np.array([[rate] * seconds for rate in rows], dtype=float)


def test_a_server_below_half_of_the_median_is_slow_for_as_long_as_it_was() -> None:
    measured = rates(9, 9, 9, 9)
    measured[3, 22:] = 2.0
    assert slow_seconds(measured) == [0, 0, 0, 40 - 22 - 3], "a mean of five seconds follows later"


def test_a_short_dip_a_single_server_and_a_common_pause_are_not_slow() -> None:
    dip = rates(9, 9, 9)
    dip[0, 33:37] = 0.0
    assert slow_seconds(dip) == [0, 0, 0]
    assert slow_seconds(rates(9, 1)) == [0, 0], "two servers have no median"
    assert slow_seconds(rates(0, 0, 0)) == [0, 0, 0]
    assert slow_seconds(np.empty((3, 0))) == [0, 0, 0]


def test_what_was_not_measured_is_not_slow() -> None:
    measured = rates(9, 9, 9, 9)
    measured[1, 10:] = np.nan
    assert slow_seconds(measured)[1] == 0
    assert slow_seconds(np.full((4, 30), np.nan)) == [0] * 4


def row(**values: object) -> ServerRow:
    return ServerRow("s1", "root://s1:1094", **({"requested": 10, "read": 8} | values))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("server", "slow", "word"),
    [
        (row(), 0, "up"),
        (row(), 48, "slow for 48 s"),
        (row(read=10), 48, "up"),  # it has done all that it was asked
        (row(silent_since=88.0, wrong=1), 48, "silent for 12 s"),
        (row(wrong=2), 48, "2 wrong"),
        (row(failed=3), 48, "3 failed"),
        (row(read=0), 0, "not asked yet"),
    ],
)
def test_the_worst_is_said(server: ServerRow, slow: int, word: str) -> None:
    assert news(server, slow, 100.0).word == word


def test_rows_by_name_rate_gap_and_the_slowest_first() -> None:
    names = ["s10", "s2", "s1", "new"]
    rows = {"s10": row(gap=1), "s2": row(gap=7), "s1": row(gap=0)}
    measured = rates(5, 9, 7, np.nan)
    assert [names[place] for place in ordered("name", names, rows, measured)] == ["new", "s1", "s2", "s10"]
    assert [names[place] for place in ordered("rate", names, rows, measured)] == ["s2", "s1", "s10", "new"]
    assert [names[place] for place in ordered("slowest", names, rows, measured)] == ["s10", "s1", "s2", "new"]
    assert [names[place] for place in ordered("gap", names, rows, measured)] == ["s2", "s10", "s1", "new"]


@pytest.mark.parametrize("servers", [1, 2, 3, 50])
def test_the_median_of_each_second_is_that_of_the_servers_measured_in_it(servers: int) -> None:
    noise = np.random.default_rng(servers)
    values = noise.random((servers, 40))
    values[1:][noise.random((servers - 1, 40)) < 0.4] = np.nan
    assert medians(values).tolist() == np.nanmedian(values, axis=0).tolist()


def test_a_duration_is_short_enough_for_the_table_beside_the_map() -> None:
    assert [rough(seconds) for seconds in (0.2, 12, 80, 99.4, 130, 5900, 9000)] == [
        "0 s", "12 s", "80 s", "99 s", "2 min", "98 min", "2 h",
    ]  # fmt: skip


def test_the_summary_counts_what_is_to_be_looked_at() -> None:
    up, slow, silent = News("dot", "up", "ok", 0), News("warn", "slow", "warn", 1), News("bad", "silent", "bad", 4)
    assert summary([up, slow, slow, silent]) == "1 silent, 2 slow"
    assert summary([up]) == ""
