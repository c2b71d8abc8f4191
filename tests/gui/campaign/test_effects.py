"""What the faults of a plan do, before it is run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gui.campaign.effects import closes_between, effect, threshold_warning, work_seconds
from gui.campaign.plan import FAULT_KINDS, Fault, File, Test
from gui.campaign.preview import preview_test

TEST = Test(servers=8, files_per_server=100, per_round=10, wait=10.0, seed=1)
PREVIEW = preview_test(TEST, servers=8, files=[File("/a", 2**20)], clients=2)


def said(fault: Fault, test: Test = TEST) -> str:
    return effect(fault, test, PREVIEW, settle=90).text


def test_requests_are_spread_over_the_time_of_a_repeat() -> None:
    whole = work_seconds(PREVIEW)
    assert 90 < whole < 92
    assert closes_between(PREVIEW, 0, whole) == pytest.approx(800)
    assert closes_between(PREVIEW, -10, whole / 2) == pytest.approx(400)
    assert closes_between(PREVIEW, whole, whole + 60) == 0
    assert closes_between(replace(PREVIEW, seconds=0.0), 0, 1) == 800


def test_a_loss_takes_its_share_of_the_requests_in_its_time() -> None:
    whole = work_seconds(PREVIEW)
    every = effect(Fault(0, "udp-loss", whole, 50.0), TEST, PREVIEW, settle=90)
    assert every.lost == pytest.approx(400)
    assert every.text == "about 400 of 800 requests lost"
    one = effect(Fault(0, "wire-loss", whole, 50.0, "s1"), TEST, PREVIEW, settle=90)
    assert one.lost == pytest.approx(50)
    assert effect(Fault(0, "fragment-loss", whole, 50.0), TEST, PREVIEW, settle=90).lost is None


@pytest.mark.parametrize("do", FAULT_KINDS)
def test_every_kind_has_its_words_and_one_that_comes_too_late_says_so(do) -> None:
    assert said(Fault(10, do, 5.0))
    assert said(Fault(1000, do, 5.0)) == "after the repeat is over: it is never injected"


def test_a_broker_that_is_back_after_settling_is_another_matter() -> None:
    assert "nothing lost" in said(Fault(30, "broker-down", 60.0))
    assert "back only after settling" in said(Fault(30, "broker-down", 600.0))


def test_a_threshold_that_cannot_be_reached_is_said_with_what_can() -> None:
    lossy = replace(TEST, faults=(Fault(0, "udp-loss", work_seconds(PREVIEW), 2.0),))
    words = threshold_warning(lossy, PREVIEW, settle=90)
    assert words == "With 2 % udp-loss, success ≥ 100 % cannot be expected: about 98.00 % at most."
    assert threshold_warning(replace(lossy, pass_at=97.5), PREVIEW, settle=90) == ""
    assert threshold_warning(TEST, PREVIEW, settle=90) == ""
    harmless = replace(TEST, faults=(Fault(10, "broker-down", 20.0), Fault(20, "kill-server")))
    assert threshold_warning(harmless, PREVIEW, settle=90) == "", "what cannot be told is not claimed"


def test_more_faults_than_requests_lose_no_more_than_all() -> None:
    whole = work_seconds(PREVIEW)
    lossy = replace(TEST, faults=tuple(Fault(0, "udp-loss", whole, 80.0) for _ in range(5)))
    words = threshold_warning(lossy, PREVIEW, settle=90)
    assert words.startswith("With 80 % udp-loss, 80 % udp-loss, 80 % udp-loss and 2 more, ")
    assert "about 0.00 % at most" in words
