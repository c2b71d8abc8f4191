"""When waiting for monitoring is over."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gui.campaign.settle import Settled, SettleView, Settling, judge, quiet_time

VIEW = SettleView(now=110, began=100, limit=90, quiet=3, unrecorded=0, last_record=105, spooled=0, queued=0)


def test_all_recorded_and_quiet() -> None:
    assert judge(VIEW) == Settled(True, 10, "every request has its record and the pipeline is quiet")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"unrecorded": 1}, "1 request without a record"),
        ({"unrecorded": 1200}, "1,200 requests without a record"),
        ({"spooled": 7}, "7 datagrams in shoveler spools"),
        ({"queued": 8}, "8 messages in queues"),
        ({"last_record": 108}, "all recorded; making sure that nothing more comes"),
        ({"now": 102, "last_record": None}, "all recorded; making sure that nothing more comes"),
    ],
)
def test_what_is_waited_for(change: dict, reason: str) -> None:
    verdict = judge(replace(VIEW, **change))
    assert isinstance(verdict, Settling)
    assert verdict.reason == reason
    assert VIEW.began < verdict.again <= replace(VIEW, **change).now + 3
    late = judge(replace(VIEW, **{**change, "now": 190.0, "last_record": 189}))
    assert isinstance(late, Settled)
    assert not late.complete
    assert late.reason.startswith("the limit of 90 s was reached: ")


def test_quiet_begins_with_the_last_record_or_the_last_request() -> None:
    assert judge(replace(VIEW, last_record=106)) == judge(VIEW)
    assert judge(replace(VIEW, last_record=108)) == Settling("all recorded; making sure that nothing more comes", 111)
    assert isinstance(judge(replace(VIEW, now=103, last_record=50)), Settled)


def test_what_cannot_be_known_holds_nothing_up() -> None:
    assert isinstance(judge(replace(VIEW, spooled=None, queued=None, last_record=None)), Settled)


def test_quiet_time() -> None:
    assert (quiet_time(1, 1), quiet_time(0.5, 0.5), quiet_time(60, 60)) == (4, 3, 240)
