"""Rates, rows and the time axis."""

from __future__ import annotations

import pytest

from agent.messages import Sample, ServerSample
from gui.reconcile import LiveServer, LiveTotals
from gui.runner.live import RING_SECONDS, Live

S1, S2 = "root://s1:1094", "root://s2:1094"


def live() -> Live:
    made = Live([("s1", S1), ("s2", S2)])
    made.client("i1", "c1")
    made.client("i2", "c2")
    return made


def sample(t: float, s1: int, s2: int) -> Sample:
    return Sample("1.1.1", t, {S1: ServerSample(s1, s1 // 100, 1, 0), S2: ServerSample(s2, 0, 0, 0)})


def totals(t: float, bytes_recorded: int, recorded: int = 1) -> LiveTotals:
    server = LiveServer(1, "s1", S1, 3, 2, recorded, 0, 1, 0, 0, 1, t - 5, 200, bytes_recorded, t)
    return LiveTotals(t, (server,), 3, 2, recorded, 0, 1, 0, 0, 0, 1, 1, t - 5, t)


def test_rates_are_sums_over_clients_of_the_last_second() -> None:
    one = live()
    one.sample("i1", sample(100, 0, 0))
    one.sample("i2", sample(100, 0, 0))
    assert one.tick(100).rates == (0, 0)
    one.sample("i1", sample(101, 1000, 0))
    one.sample("i2", sample(102, 3000, 500))
    assert one.tick(102).rates == (2500, 250)
    assert [row.rate for row in one.server_rows(102)] == [2500, 250]
    assert one.tick(104.5).rates == (1500, 250), "who has not been heard of for three seconds counts no more"


def test_a_client_that_begins_anew_or_repeats_itself_gives_no_nonsense() -> None:
    one = live()
    one.sample("i1", sample(100, 5000, 0))
    one.sample("i1", sample(101, 100, 0))
    assert one.tick(101).rates == (0, 0)
    one.sample("i1", sample(101, 900, 0))
    assert one.tick(101).rates == (0, 0)
    one.sample("stranger", sample(101, 900, 0))


def test_what_the_records_say_over_ten_seconds() -> None:
    one = live()
    assert one.tick(99).recorded_rates == (0, 0)
    for second in range(20):
        one.counted(totals(100 + second, 1000 * second))
    point = one.tick(119)
    assert point.recorded_rates == pytest.approx((1000, 0))
    assert (point.requested, point.read, point.recorded) == (3, 2, 1)
    row, other = one.server_rows(119)
    assert (row.requested, row.read, row.recorded, row.gap, row.bytes_recorded, row.last_record) == (
        3,
        2,
        1,
        1,
        19000,
        119,
    )
    assert (other.name, other.requested) == ("s2", 0)


def test_client_rows() -> None:
    one = live()
    one.handed("i1", 7)
    one.sample("i1", sample(100, 400, 0))
    row = one.client_row("i1", state="up", cpu=50)
    assert (row.name, row.public_id, row.requested, row.done, row.failed, row.cpu) == ("c1", "i1", 7, 4, 1, 50)
    assert one.client_row("i2", state="missing", cpu=0).done == 0
    assert one.clients == ("i1", "i2")
    one.reported("i1", 5)
    one.reported("nobody", 5)
    assert one.unreported("i1") == 2


def test_the_ring_holds_ten_minutes() -> None:
    one = live()
    for second in range(RING_SECONDS + 50):
        one.tick(second)
    assert len(one.samples) == RING_SECONDS
    assert one.samples[0].t == 50
