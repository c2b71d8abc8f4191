"""Markers become events; flags find their places."""

from __future__ import annotations

from gui.campaign.plan import Fault, read_fault
from gui.models.events import Flag, events, place_flags
from gui.runner.progress import Marker


def test_a_fault_has_a_length_and_what_the_lab_said_of_it() -> None:
    (fault,) = events(
        [Marker(130, "fault", "broker-down for 20 s"), Marker(130.2, "fault", "the broker was killed")], started=100
    )
    assert (fault.at, fault.until, fault.short, fault.detail) == (30, 50, "broker down", "the broker was killed")


def test_two_faults_at_once_keep_their_own_words() -> None:
    found = events(
        [
            Marker(1, "fault", "udp-loss for 5 s"),
            Marker(1, "fault", "kill-collector"),
            Marker(2, "fault", "1 in 100 is dropped"),
            Marker(3, "fault", "the collector was killed"),
        ],
        started=0,
    )
    assert [(e.short, e.detail) for e in found] == [
        ("udp loss", "1 in 100 is dropped"),
        ("kill collector", "the collector was killed"),
    ]


def test_a_single_repeat_is_no_flag_and_rounds_never_are() -> None:
    one = [Marker(1, "phase", "test 1, repeat 1"), Marker(2, "round", "round 1")]
    assert events(one, 0) == ()
    assert [e.text for e in events([*one, Marker(9, "phase", "test 1, repeat 2")], 0)] == [
        "test 1, repeat 1",
        "test 1, repeat 2",
    ]


def test_a_long_text_is_cut_on_the_flag_only() -> None:
    (event,) = events([Marker(1, "agent", "c1 " + "is missing " * 9)], 0)
    assert len(event.short) <= 28
    assert event.short.endswith("…")
    assert len(event.detail) > 90


def test_flags_stand_beside_one_another_then_above_then_are_counted() -> None:
    assert place_flags([(0, 50), (60, 50)], 500) == [Flag(0, 0, 0), Flag(60, 0, 1)]
    assert place_flags([(0, 50), (20, 50)], 500) == [Flag(0, 0, 0), Flag(20, 1, 1)]
    assert place_flags([(0, 50), (20, 50), (30, 50), (35, 50)], 500) == [Flag(0, 0, 0, more=2), Flag(20, 1, 1)]


def test_the_earlier_of_two_that_are_near_stands_left_of_its_stem() -> None:
    assert place_flags([(100, 50), (120, 50)], 500) == [Flag(50, 0, 0), Flag(120, 0, 1)]
    assert place_flags([(0, 50), (100, 50), (120, 50)], 500) == [Flag(0, 0, 0), Flag(100, 0, 1), Flag(120, 1, 2)]
    assert place_flags([(100, 50), (120, 50), (140, 50)], 500) == [Flag(50, 0, 0), Flag(120, 0, 1), Flag(140, 1, 2)]


def test_a_flag_at_the_end_stays_inside() -> None:
    assert place_flags([(490, 50)], 500) == [Flag(450, 0, 0)]


def test_a_fault_with_a_share_and_a_server_has_its_length_too() -> None:
    fault = Fault(30.0, "wire-loss", 5.0, 2.5, "s07")
    assert fault.text == "wire-loss for 5 s (2.5 % of s07)"
    assert read_fault(fault.text, 30.0) == fault
    (event,) = events([Marker(130, "fault", fault.text)], started=100)
    assert (event.at, event.until, event.short) == (30, 35, "wire loss")
