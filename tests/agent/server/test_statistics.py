"""A server's own counters, from texts that may come from anybody."""

from __future__ import annotations

import time

import pytest

from agent.messages import Throughput
from agent.server.statistics import Counters, Pace, counters_in

XML = (
    '<statistics tod="1795975798" ver="v5.5.3" src="vm:23994" tos="1795975796" pgm="xrootd" ins="t" pid="19482" '
    'site="A.b."><stats id="info"><host>vm</host></stats><stats id="link"><num>3</num><maxn>1</maxn><tot>2</tot>'
    "<in>170</in><out>340</out><ctime>0</ctime></stats></statistics>\0"
)
JSON = (
    '{"statistics": {"tod": 1795975798, "ver": "v6.1.0", "src": "vm:23994", "tos": 1795975796, "pid": 19482,'
    ' "stats_link": {"num": 3, "maxn": 1, "in": 170, "out": 340}}}'
)


@pytest.mark.parametrize("text", [XML, JSON])
def test_the_links_of_a_server(text: str) -> None:
    found = counters_in(text)
    assert found == Counters("vm:23994", 19482, 1795975796, 1795975798, 170, 340, 3)
    assert found.port == 23994


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<statistics",
        XML.replace("<in>170</in>", ""),
        XML.replace("170", "9" * 400),
        "<!DOCTYPE x [<!ENTITY a 'a'>]>" * 1000,
        '<stats id="link">' * 5000,
        '"stats_link": {' + '"in": {' * 5000,
    ],
)
def test_what_has_no_counters_has_none_soon(text: str) -> None:
    began = time.process_time()
    assert counters_in(text) is None
    assert time.process_time() - began < 5


@pytest.mark.parametrize(("said", "is_"), [("-5", 0), ("1e9", 0), ("٣", 0), ("99999999999999999999", 2**53)])
def test_a_count_is_a_whole_number_that_the_report_can_carry(said: str, is_: int) -> None:
    assert counters_in(XML.replace("170", said)).received == is_


def counters(received: int, sent: int, *, pid: int = 1) -> Counters:
    return Counters("h:1094", pid, 5, 0, received, sent, 2)


def test_a_rate_needs_two_looks_at_one_process() -> None:
    pace = Pace()
    assert pace.process is None
    pace.take(counters(100, 1000), 10.0)
    assert pace.throughput == Throughput(received_total=100, sent_total=1000, connections=2)
    pace.take(counters(300, 6000), 20.0)
    assert pace.throughput == Throughput(20.0, 500.0, 10.0, 300, 6000, 2)
    pace.take(counters(5, 5, pid=2), 30.0)
    assert pace.throughput.seconds == 0, "it was restarted"
    assert pace.process == (1094, 2, 5)


def test_what_comes_late_or_twice_changes_nothing() -> None:
    pace = Pace()
    pace.take(counters(100, 1000), 10.0)
    pace.take(counters(200, 2000), 20.0)
    known = pace.throughput
    pace.take(counters(150, 1500), 21.0, by_report=True)
    pace.take(counters(200, 2000), 20.1)
    assert pace.throughput is known
    pace.take(counters(200, 2000), 2000.0)
    assert (pace.throughput.seconds, pace.throughput.sent) == (0, 0), "too long ago for a rate"


def test_figures_are_news_when_something_was_moved() -> None:
    pace = Pace()
    assert not pace.moved(None, 4096)
    pace.take(counters(0, 0), 10.0)
    assert pace.moved(None, 4096)
    said = pace.throughput
    pace.take(counters(0, 300), 20.0)
    assert pace.moved(said, 4096), "it begins to send"
    said = pace.throughput
    pace.take(counters(0, 600), 30.0)
    assert not pace.moved(said, 4096), "our own questions"
    pace.take(counters(0, 9000), 40.0)
    assert pace.moved(said, 4096)
