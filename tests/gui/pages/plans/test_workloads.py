"""The rows of workloads in the form: one is a workload, several are a mix; what is not touched stays as it was."""

from __future__ import annotations

import pytest

from agent.messages import Workload
from gui.campaign.plan import Test
from gui.campaign.planfile import parse_plan
from gui.pages.plans.workloads import KINDS, PROTOCOLS, WorkloadRows

MIX = """
name = "p"
[[test]]
servers = 2
files_per_server = 5
per_round = 5
protocol = "https"
port = 8443
[[test.mix]]
weight = 70
[[test.mix]]
weight = 30
kind = "long"
reads = 3
pause = 0.12345
protocol = "root"
"""


@pytest.fixture
def rows(show) -> WorkloadRows:
    return show(WorkloadRows())


def a_test(text: str = MIX) -> Test:
    return parse_plan(text).tests[0]


def protocol(name: str) -> int:
    return [known for known, _ in PROTOCOLS].index(name)  # type: ignore[arg-type]


def test_what_is_not_touched_stays_to_the_last_digit(rows: WorkloadRows) -> None:
    test = a_test()
    rows.fill(test)
    assert rows.test(test) is test
    assert rows.rows[0].protocol.currentText() == "https"
    assert rows.rows[0].hint.text().startswith("at port 8443")
    assert [row.share.text() for row in rows.rows] == ["70 %", "30 %"]
    assert "0.12345" in rows.beyond()
    rows.rows[0].kind.setCurrentIndex(KINDS.index("range"))
    changed = rows.test(test)
    assert changed.mix[1].pause == 0.12345
    assert [(one.kind, one.protocol, one.port) for one in changed.workloads] == [
        ("range", "https", 8443), ("long", "root", 8443),
    ]  # fmt: skip


def test_a_second_workload_makes_a_mix_and_without_it_there_is_none(rows: WorkloadRows) -> None:
    test = Test(servers=1, files_per_server=1, per_round=1, workload=Workload("range", bytes=4096), protocol="http")
    rows.fill(test)
    assert not rows.rows[0].weight.isVisible()
    rows.add_button.click()
    rows.rows[1].protocol.setCurrentIndex(protocol("roots"))
    rows.rows[1].weight.setValue(3)
    mixed = rows.test(test)
    assert mixed.protocol == ""
    assert mixed.mix == (
        Workload("range", bytes=4096, protocol="http"),
        Workload("range", bytes=4096, protocol="roots", weight=3),
    )
    assert rows.rows[1].share.text() == "75 %"
    rows.accept()
    rows.rows[0].remove_button.click()
    single = rows.test(mixed)
    assert (single.mix, single.workload, single.protocol) == ((), Workload("range", bytes=4096), "roots")
    assert not rows.rows[0].remove_button.isVisible()


def test_what_a_kind_does_not_take_is_left_out(rows: WorkloadRows) -> None:
    test = Test(servers=1, files_per_server=1, per_round=1, workload=Workload("long", bytes=5, reads=4, pause=2.0))
    rows.fill(test)
    rows.rows[0].kind.setCurrentIndex(KINDS.index("full"))
    assert rows.test(test).workload == Workload()
    rows.rows[0].kind.setCurrentIndex(KINDS.index("long"))
    assert rows.test(test).workload == Workload("long", bytes=5, reads=4, pause=2.0)


def test_no_more_rows_than_a_plan_may_have(rows: WorkloadRows) -> None:
    test = Test(servers=1, files_per_server=1, per_round=1, mix=(Workload(),) * 64)
    rows.fill(test)
    assert not rows.add_button.isEnabled()
    rows.add()
    assert len(rows.rows) == 64
