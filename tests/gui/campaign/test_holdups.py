"""Who is silent, who is held, and what people are told. Whole repeats: tests/gui/campaign/test_repeat.py."""

from __future__ import annotations

from gui.campaign.holdups import SAY_TIMES, HeldUp, HoldUps, Relieved, Waiting


def test_a_silence_is_said_when_it_has_lasted_and_its_end_with_its_length() -> None:
    hold_ups = HoldUps(["s1", "s2", "s3"])
    assert hold_ups.told("c1", 1, {"s1": Waiting(4, 1.0)}, 9, 101.0) == []
    assert hold_ups.told("c2", 1, {"s1": Waiting(2, 2.5)}, 0, 102.0) == []
    assert hold_ups.told("c1", 1, {"s1": Waiting(5, 3.0)}, 9, 103.0) == [HeldUp("s1", "c1", 7, 3.5, 2, last=False)]
    assert hold_ups.silent == ("s1",)
    assert hold_ups.told("c1", 1, {}, 3, 150.0) == [], "c2 still waits"
    assert hold_ups.told("c2", 1, {}, 3, 151.0) == [Relieved("s1", 7, 51.5)]
    assert hold_ups.silent == ()
    assert not hold_ups.concerns("c1")


def test_what_is_no_server_of_this_repeat_is_passed_over() -> None:
    hold_ups = HoldUps(["s1"])
    assert hold_ups.told("c1", 1, {"other": Waiting(1, 60.0)}, 0, 100.0) == []
    assert not hold_ups.concerns("c1")


def test_a_server_is_held_until_all_who_wait_for_it_are_done() -> None:
    hold_ups = HoldUps(["s1", "s2"])
    hold_ups.hold(["s1"], "c1", 1)
    hold_ups.hold(["s1", "s2"], "c2", 1)
    assert hold_ups.held == ("s1", "s2")
    hold_ups.done("c2", 1)
    assert hold_ups.held == ("s1",)
    assert hold_ups.concerns("c1")
    hold_ups.told("c1", 2, {}, 1, 7.0)
    assert (hold_ups.held, hold_ups.heard) == (("s1",), 7.0)
    assert hold_ups.gone("c1", 8.0) == []
    assert hold_ups.held == ()


def test_silences_that_begin_again_and_again_are_said_so_many_times() -> None:
    hold_ups = HoldUps(["s1"])
    said: list[HeldUp | Relieved] = []
    for _ in range(SAY_TIMES + 2):
        said += hold_ups.told("c1", 1, {"s1": Waiting(1, 4.0)}, 0, 100.0)
        said += hold_ups.told("c1", 1, {}, 1, 101.0)
    assert len(said) == 2 * SAY_TIMES
    assert said[-2:] == [HeldUp("s1", "c1", 1, 4.0, 0, last=True), Relieved("s1", 1, 5.0)]


def test_at_the_end_all_silences_are_over() -> None:
    hold_ups = HoldUps(["s1"])
    hold_ups.told("c1", 1, {"s1": Waiting(1, 4.0)}, 0, 100.0)
    assert hold_ups.over(130.0) == [Relieved("s1", 1, 34.0)]
    assert hold_ups.over(130.0) == []


def test_a_server_that_answers_others_is_not_blamed_for_calls_that_hang() -> None:
    hold_ups = HoldUps(["s1"])
    assert hold_ups.told("c1", 1, {"s1": Waiting(1, 4.0, reached=True)}, 0, 100.0) == [
        HeldUp("s1", "c1", 1, 4.0, 0, last=False, reached=True)
    ]
    assert hold_ups.told("c1", 1, {}, 1, 101.0) == [Relieved("s1", 1, 5.0, reached=True)]
