"""Faults on lanes: which lane, what a drag does, what stands beside them."""

from __future__ import annotations

import pytest

from gui.campaign.plan import FAULT_KINDS, Fault, File, Plan, Test
from gui.campaign.planfile import format_plan, parse_plan
from gui.campaign.preview import preview_test
from gui.models import faults as model
from gui.models.faults import LANES

BAR = Fault(30, "udp-loss", 20, 2.0)


def test_every_kind_has_one_lane() -> None:
    assert sorted(kind for _, kinds in LANES for kind in kinds) == sorted(FAULT_KINDS)
    assert [LANES[model.lane_of(kind)][0] for kind in ("udp-loss", "broker-down", "kill-agent")] == [
        "Network",
        "Broker",
        "Clients",
    ]


def test_a_drag_moves_by_whole_seconds_and_never_before_the_begin() -> None:
    assert model.moved(BAR, 4.4) == Fault(34, "udp-loss", 20, 2.0)
    assert model.moved(BAR, 4.44, free=True).at == 34.4
    assert model.moved(BAR, -99).at == 0


def test_the_ends_stretch_and_keep_the_other_end() -> None:
    longer = model.stretched(BAR, 5.2)
    assert (longer.at, longer.lasts) == (30, 25)
    assert model.stretched(BAR, -99).lasts == 1, "a loss must last"
    assert model.stretched(Fault(30, "kill-server", 5), -99).lasts == 0, "this one may be over at once"
    earlier = model.begun(BAR, -10)
    assert (earlier.at, earlier.at + earlier.lasts) == (20, 50)
    shorter = model.begun(BAR, 99)
    assert (shorter.at, shorter.lasts) == (49, 1)
    first = model.begun(BAR, -99)
    assert (first.at, first.lasts) == (0, 50)


@pytest.mark.parametrize("do", FAULT_KINDS)
def test_each_new_fault_and_each_change_of_kind_can_be_in_a_plan(do) -> None:
    for fault in (model.new_fault(do, 12.3), model.changed_kind(Fault(3, "udp-loss", 7, 5.0, "s1"), do)):
        plan = Plan("p", (Test(2, 10, 5, faults=(fault,)),))
        assert parse_plan(format_plan(plan)) == plan
    assert model.new_fault(do, 12.3).at == 12


def test_the_axis_has_the_rounds_the_settling_and_the_last_fault() -> None:
    test = Test(4, 40, 10, wait=5.0, faults=(Fault(500, "kill-collector"),))
    preview = preview_test(test, servers=4, files=[File("/a", 2**20)], clients=1)
    axis = model.axis_of(test, preview, 90.0)
    assert [round(one.begin, 1) for one in axis.rounds] == [0.0, 5.1, 10.2, 15.3]
    assert axis.rounds[-1].end == pytest.approx(axis.work)
    assert axis.settled == axis.work + 90
    assert axis.end == 510
    many = Test(4, 100_000, 10, wait=0.0)
    shown = model.axis_of(many, preview_test(many, servers=4, files=(), clients=1), 90.0, most_rounds=100)
    assert len(shown.rounds) <= 100
    assert shown.rounds[-1].end == pytest.approx(shown.work)


@pytest.mark.parametrize(
    ("fault", "name", "sentence"),
    [
        (BAR, "UDP loss 2 %, all servers", "udp-loss at 00:30 for 20 s, 2 % of the datagrams of all servers"),
        (Fault(300, "broker-down", 60), "down 60 s", "broker-down at 05:00 for 60 s"),
        (Fault(425.5, "kill-server", server="s3"), "kill, s3", "kill-server at 07:05.5, s3"),
        (Fault(0, "cut-transfer"), "cut", "cut-transfer at 00:00"),
    ],
)
def test_words(fault: Fault, name: str, sentence: str) -> None:
    assert (model.name_of(fault), model.sentence_of(fault)) == (name, sentence)


def test_labels_of_the_axis_are_few_and_round() -> None:
    assert [model.tick_step(end) for end in (5, 60, 179, 3600, 86_400, 10 * 86_400)] == [1, 10, 30, 600, 21_600, 86_400]


def test_one_is_replaced_or_removed() -> None:
    three = (Fault(1, "kill-agent"), Fault(2, "kill-agent"), Fault(3, "kill-agent"))
    assert [fault.at for fault in model.replaced(three, 1, Fault(9, "kill-agent"))] == [1, 9, 3]
    assert [fault.at for fault in model.without(three, 1)] == [1, 3]
