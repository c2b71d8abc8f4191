"""What cannot be compared is said before the run."""

from __future__ import annotations

import pytest

from agent.messages import Workload
from gui.campaign.plan import File, Test
from gui.campaign.selection import Server
from gui.campaign.unverified import unverified

SERVERS = [Server("s1", "root://s1:1094")]
KNOWN, SUMMED, BARE = File("/a", 1, "content:1"), File("/b", 1, "adler32:00000001"), File("/c", 1)


def plan(*workloads: Workload, verify: bool = True) -> Test:
    return Test(servers=1, files_per_server=1, per_round=1, verify=verify, mix=workloads)


@pytest.mark.parametrize(
    ("workloads", "files"),
    [
        ((Workload("full"), Workload("vector")), [KNOWN]),
        ((Workload("full", protocol="https"),), [SUMMED]),
        ((Workload("write"),), []),
    ],
)
def test_what_is_known_is_compared(workloads: tuple[Workload, ...], files: list[File]) -> None:
    assert unverified(plan(*workloads), SERVERS, files) == []


def test_files_without_a_checksum_are_counted() -> None:
    assert unverified(plan(Workload()), SERVERS, [SUMMED, BARE]) == [
        "Of 1 of 2 files no checksum is known: over root they are not compared."
    ]
    assert unverified(plan(Workload(), verify=False), SERVERS, [BARE]) == []
    both = plan(Workload(), Workload(protocol="https"))
    assert unverified(both, SERVERS, [BARE]) == [
        "Of 1 file no checksum is known: over root they are not compared, over HTTP only whole files are, where the "
        "server offers a checksum."
    ]


def test_parts_need_more_than_a_checksum_of_the_whole() -> None:
    assert unverified(plan(Workload("range"), Workload("full")), SERVERS, [SUMMED]) == [
        "What range read is not compared: the list has checksums of whole files only."
    ]
