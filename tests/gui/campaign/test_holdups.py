"""Who is silent, and what people are told. Whole repeats: tests/gui/campaign/test_repeat.py."""

from __future__ import annotations

from gui.campaign.holdups import SAY_TIMES, HeldUp, HoldUps, Relieved, Waiting


def test_a_silence_is_said_when_it_has_lasted_and_its_end_with_its_length() -> None:
    hold_ups = HoldUps(["s1", "s2", "s3"])
    assert hold_ups.told("c1", {"s1": Waiting(4, 1.0)}, 101.0) == []
    assert hold_ups.told("c2", {"s1": Waiting(2, 2.5)}, 102.0) == []
    assert hold_ups.quiet() == {"s1": (frozenset({"c1", "c2"}), 99.5)}
    assert hold_ups.told("c1", {"s1": Waiting(5, 3.0)}, 103.0) == [HeldUp("s1", "c1", 7, 3.5, 2, last=False)]
    assert hold_ups.silent == ("s1",)
    assert hold_ups.told("c1", {}, 150.0) == [], "c2 still waits"
    assert hold_ups.told("c2", {}, 151.0) == [Relieved("s1", 7, 51.5)]
    assert (hold_ups.silent, hold_ups.quiet(), hold_ups.heard) == ((), {}, 151.0)
    assert not hold_ups.concerns("c1")


def test_what_is_no_server_of_this_repeat_is_passed_over() -> None:
    hold_ups = HoldUps(["s1"])
    assert hold_ups.told("c1", {"other": Waiting(1, 60.0)}, 100.0) == []
    assert not hold_ups.concerns("c1")


def test_a_client_that_is_gone_says_nothing_of_servers() -> None:
    hold_ups = HoldUps(["s1", "s2"])
    hold_ups.told("c1", {"s1": Waiting(1, 4.0), "s2": Waiting(1, 1.0)}, 7.0)
    hold_ups.told("c2", {"s2": Waiting(1, 1.0)}, 7.0)
    assert hold_ups.gone("c1", 8.0) == [Relieved("s1", 1, 5.0)]
    assert hold_ups.quiet() == {"s2": (frozenset({"c2"}), 6.0)}
    assert hold_ups.heard == float("-inf"), "nothing was heard of a server"


def test_silences_that_begin_again_and_again_are_said_so_many_times() -> None:
    hold_ups = HoldUps(["s1"], wait=True)
    said: list[HeldUp | Relieved] = []
    for _ in range(SAY_TIMES + 2):
        said += hold_ups.told("c1", {"s1": Waiting(1, 4.0)}, 100.0)
        said += hold_ups.told("c1", {}, 101.0)
    assert len(said) == 2 * SAY_TIMES
    assert said[-2:] == [HeldUp("s1", "c1", 1, 4.0, 0, last=True, waits=True), Relieved("s1", 1, 5.0)]


def test_at_the_end_all_silences_are_over() -> None:
    hold_ups = HoldUps(["s1"])
    hold_ups.told("c1", {"s1": Waiting(1, 4.0)}, 100.0)
    assert hold_ups.over(130.0) == [Relieved("s1", 1, 34.0)]
    assert hold_ups.over(130.0) == []


def test_a_server_that_answers_others_is_not_blamed_for_calls_that_hang() -> None:
    hold_ups = HoldUps(["s1"])
    assert hold_ups.told("c1", {"s1": Waiting(1, 4.0, reached=True)}, 100.0) == [
        HeldUp("s1", "c1", 1, 4.0, 0, last=False, reached=True)
    ]
    assert hold_ups.told("c1", {}, 101.0) == [Relieved("s1", 1, 5.0, reached=True)]
