"""How long a test waits for what: limits that follow from its plan, in seconds. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from agent.messages import Workload
from gui.campaign.plan import File, Test
from gui.campaign.preview import DEFAULT_READS, request_bytes, slowest
from gui.campaign.repeat import Limits

REQUEST_TIMEOUTS: Final = 10
SLOWEST: Final = 2**20
"""Bytes per second: a request that is slower for all its time is given up."""
ROUND_SLACK: Final = 60.0
"""Time for an agent to notice that a worker or a call hangs, to replace it, and to report that."""
SILENCE_LIMIT: Final = 60.0
SILENCE_TIMEOUTS: Final = 3.0
"""Minimum seconds, and number of the plan's timeouts, to wait at the end for servers that do not answer."""


def request_limit(test: Test, files: Sequence[File]) -> float:
    """The maximum time of a whole request: as the plan says, or ten times that of a call, with the pauses that the
    workload makes and a second for each MiB of the largest file's."""
    if test.request_timeout:
        return test.request_timeout
    largest = max((file.size for file in files), default=0)
    return REQUEST_TIMEOUTS * test.timeout + max(_least_time(workload, largest) for workload in test.workloads)


def _least_time(workload: Workload, size: int) -> float:
    pauses = workload.pause * ((workload.reads or DEFAULT_READS) - 1) if workload.kind == "long" else 0.0
    return pauses + request_bytes(workload, size) / SLOWEST


def silence_limit(test: Test) -> float:
    """Maximum time to wait for servers that do not answer when nothing else is left to do."""
    return max(SILENCE_LIMIT, SILENCE_TIMEOUTS * test.timeout)


def limits_of(test: Test, files: Sequence[File]) -> Limits:
    """All limits of a repeat of a test."""
    average = sum(file.size for file in files) / len(files) if files else 0.0
    return Limits(
        end=60.0 + 4 * slowest(test, average),
        silence=silence_limit(test),
        leave_out=test.timeout,
        round=request_limit(test, files) + ROUND_SLACK,
    )
