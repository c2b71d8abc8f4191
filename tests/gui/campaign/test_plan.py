"""How a fault stands on the time axis of its run."""

from __future__ import annotations

import pytest

from agent.messages import Workload
from gui.campaign.plan import Fault, Files, Test, read_fault


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault(0.0, "kill-collector"), "kill-collector"),
        (Fault(0.0, "broker-down", 20.0), "broker-down for 20 s"),
        (Fault(0.0, "kill-server", server="s07"), "kill-server (s07)"),
        (Fault(0.0, "udp-loss", 5.0), "udp-loss for 5 s (1 % of all)"),
        (Fault(0.0, "wire-loss", 2.5, 0.05, "s07"), "wire-loss for 2.5 s (0.05 % of s07)"),
    ],
)
def test_a_fault_is_read_as_it_was_written(fault: Fault, text: str) -> None:
    assert fault.text == text
    assert read_fault(text) == fault


def test_without_a_share_as_older_runs_have_it() -> None:
    assert read_fault("udp-loss for 5 s", 30.0) == Fault(30.0, "udp-loss", 5.0)


@pytest.mark.parametrize(
    "text", ["killed s07 (pid 12); starts again at once", "", "broker-down for", "no-such for 3 s"]
)
def test_what_a_lab_said_is_no_fault(text: str) -> None:
    assert read_fault(text) is None


def test_workloads_have_what_their_test_says_for_all() -> None:
    test = Test(1, 1, 1, protocol="https", port=8443, verify=True, mix=(Workload(weight=2), Workload(protocol="root")))
    assert test.workloads == (
        Workload(protocol="https", port=8443, verify=True, weight=2),
        Workload(protocol="root", port=8443, verify=True),
    )
    assert Test(1, 1, 1, workload=Workload("range")).workloads == (Workload("range"),)


def test_where_clients_write() -> None:
    write, read = Workload("write"), Workload()
    assert Test(1, 1, 1, workload=write).write_directory == "/store/write"
    assert Test(1, 1, 1, workload=write, files=Files(dir="/d/")).write_directory == "/d"
    assert Test(1, 1, 1, workload=read, files=Files(dir="/d")).write_directory == "/store/write"
    assert Test(1, 1, 1, mix=(read, write), files=Files(dir="/d", write="/w/")).write_directory == "/w"
    assert not Test(1, 1, 1, workload=write).reads
    assert Test(1, 1, 1, mix=(read, write)).reads
