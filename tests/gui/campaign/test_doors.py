"""Protocols of a test, and which servers report a client over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from agent.messages import Workload
from gui.campaign.doors import Door, doors_of, may_use_http, not_over_http, protocols_of, reports_agent
from gui.campaign.plan import Test
from gui.campaign.selection import Server

A, B = Server("a", "root://a:1094"), Server("b", "https://b:443")


def a_test(**values: Any) -> Test:
    return Test(values.pop("servers", "all"), 1, 1, **values)


def test_doors_are_those_of_the_workloads_else_of_the_address() -> None:
    mixed = a_test(
        port=1095,
        mix=(Workload(), Workload(protocol="https", port=8443), Workload("range", protocol="https", port=8443)),
    )
    assert doors_of(mixed, A.url) == (Door("root", 1095), Door("https", 8443))
    assert doors_of(mixed, B.url) == (Door("https", 1095), Door("https", 8443))
    assert protocols_of(mixed, [A, B]) == ["https", "root"]
    assert [str(door) for door in doors_of(mixed, A.url)] == ["root at port 1095", "https at port 8443"]
    assert doors_of(a_test(protocol="http"), A.url) == (Door("http"),)


def test_a_workload_that_does_not_exist_at_a_server() -> None:
    long = a_test(workload=Workload("long"))
    assert not_over_http(long, [A]) == ""
    assert not_over_http(long, [A, B]).startswith("b is asked over HTTP: 'long' needs root or roots")


@pytest.mark.parametrize(
    ("test", "may"),
    [
        (a_test(), False),
        (a_test(protocol="https"), True),
        (a_test(mix=(Workload(), Workload(protocol="http"))), True),
        (a_test(servers=("https://b",)), True),
        (a_test(servers=("https://b",), protocol="roots"), False),
        (a_test(servers=("b",)), False),
    ],
)
def test_whether_a_test_may_use_http(test: Test, may: bool) -> None:
    assert may_use_http(test) is may


@pytest.mark.parametrize(
    ("version", "reports"),
    [("v5.5.3", False), ("v5.6.2", False), ("v5.6.3", True), ("5.8.1", True), ("v6.0", True), ("v5.6", False),
     ("Apache/2.4", None), ("", None), ("v5.7-rc1", True)],
)  # fmt: skip
def test_which_versions_report_the_user_agent(version: str, reports: bool | None) -> None:
    assert reports_agent(version) is reports
