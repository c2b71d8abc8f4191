"""The limits that follow from a plan."""

from __future__ import annotations

import pytest

from agent.messages import Workload
from gui.campaign.limits import ROUND_SLACK, limits_of, request_limit, silence_limit
from gui.campaign.plan import File, Test

MIB = 2**20


def plan(**changes: object) -> Test:
    return Test(servers=1, files_per_server=1, per_round=1, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(("timeout", "limit"), [(5.0, 60.0), (60.0, 180.0)])
def test_the_limit_for_servers_that_do_not_answer_follows_the_timeout(timeout: float, limit: float) -> None:
    assert silence_limit(plan(timeout=timeout)) == limit


@pytest.mark.parametrize(
    ("test", "limit"),
    [
        (plan(timeout=3.0), 30.0 + 700),
        (plan(timeout=3.0, request_timeout=45.0), 45.0),
        (plan(timeout=3.0, workload=Workload("range", bytes=2 * MIB)), 30.0 + 2),
        (plan(timeout=3.0, workload=Workload("long", bytes=MIB, reads=4, pause=100.0)), 30.0 + 300 + 4),
        (plan(timeout=3.0, workload=Workload("write", bytes=5 * MIB)), 30.0 + 5),
    ],
)
def test_a_whole_request_has_time_for_its_calls_its_pauses_and_its_bytes(test: Test, limit: float) -> None:
    files = [File("/a", MIB), File("/b", 700 * MIB)]
    assert request_limit(test, files) == limit
    assert limits_of(test, files).round == limit + ROUND_SLACK


def test_a_barrier_waits_for_a_server_as_long_as_for_one_call() -> None:
    assert limits_of(plan(timeout=7.0), []).leave_out == 7.0
