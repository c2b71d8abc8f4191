"""What a test will do, in figures, before it is run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from agent.messages import Workload
from gui.campaign.plan import File, Test
from shoveler.values.quantities import about_duration, about_size

# Assumptions of an estimate for one slot without measurements: fixed cost of a request, and bytes per second.
REQUEST_SECONDS = 0.01
SLOT_BYTES_PER_SECOND = 50 * 2**20

DEFAULT_BYTES = 2**20
DEFAULT_CHUNK = 64 * 2**10
DEFAULT_CHUNKS = 16
DEFAULT_READS = 2


@dataclass(frozen=True, slots=True)
class Preview:
    """One test with all its repeats. `bytes` is what clients will request (expected: files are drawn at random)."""

    servers: int
    rounds: int
    last_round: int
    """Files requested from each server in the last round; less than `per_round` if it is short."""
    short_by: int
    files: int
    """O: requests of one repeat."""
    repeats: int
    bytes: int
    """Of one repeat."""
    offered_rate: float | None
    """Requests per second that the plan offers at most; see `offered_rate`."""
    seconds: float
    """Estimate for all repeats, settling not included."""

    def sentence(self, per_round: int) -> str:
        """``20 × 8 servers × 5 rounds = 800 files, 800.0 MiB, about 12 s; …``"""
        text = (
            f"{per_round} × {self.servers} servers × {self.rounds} rounds = {self.files:,} files, "
            f"{about_size(self.bytes)}, about {about_duration(self.seconds / self.repeats)}"
        )
        if self.repeats > 1:
            text += f", {self.repeats} times"
        if self.short_by:
            text += f"; the last round is short: {self.last_round} per server instead of {per_round}"
        return text + "."


def request_bytes(workload: Workload, size: float) -> float:
    """Bytes that a request reads of a file of `size` bytes (all but past_end are cut at its end)."""
    unit = workload.bytes or DEFAULT_BYTES
    match workload.kind:
        case "full":
            return size
        case "range":
            return min(unit, size)
        case "vector":
            piece = min(workload.bytes or DEFAULT_CHUNK, size)
            different = size - piece + 1  # no piece is read twice, so a small file has fewer
            return piece * min(workload.chunks or DEFAULT_CHUNKS, different)
        case "past_end":
            return 2 * unit
        case "long":
            return min(unit, size) * (workload.reads or DEFAULT_READS)
        case "write":
            return unit


def request_seconds(workload: Workload, size: float) -> float:
    """Rough time of one request in a slot."""
    pauses = workload.pause * max(0, (workload.reads or DEFAULT_READS) - 1) if workload.kind == "long" else 0.0
    return REQUEST_SECONDS + pauses + request_bytes(workload, size) / SLOT_BYTES_PER_SECOND


def preview_test(test: Test, *, servers: int, files: Sequence[File], clients: int = 1) -> Preview:
    """The figures of a test with this number of servers and clients. `files` may be empty if not known yet."""
    # Each file by itself: a read of the mean file size is not the mean of the reads.
    sizes = [file.size for file in files] or [0]
    weighed = [(workload, workload.weight) for workload in test.workloads]
    asked = _mean_of([(_mean([request_bytes(one, size) for size in sizes]), weight) for one, weight in weighed])
    one = _mean_of([(_mean([request_seconds(one, size) for size in sizes]), weight) for one, weight in weighed])
    total = test.files_per_server * servers
    last = test.round_size(test.rounds)
    seconds = 0.0
    for requests, times in ((test.per_round * servers, test.rounds - 1), (last * servers, 1)):
        seconds += times * math.ceil(requests / max(1, clients * test.who.slots)) * one
    seconds += (test.rounds - 1) * test.wait
    return Preview(
        servers=servers,
        rounds=test.rounds,
        last_round=last,
        short_by=test.per_round - last,
        files=total,
        repeats=test.repeats,
        bytes=round(asked * total),
        offered_rate=offered_rate(total, test.per_round * servers, test.wait),
        seconds=seconds * test.repeats,
    )


def offered_rate(requests: int, per_round: int, wait: float) -> float | None:
    """Maximum requests per second that a plan offers: all `requests` over the waits between their rounds.

    `per_round`: to all servers together. n rounds have n − 1 waits, so the rate cannot be higher, however fast the
    servers are. None if nothing limits it: one round, or no wait."""
    waits = (-(-requests // per_round) - 1) * wait
    return requests / waits if waits > 0 else None


def slowest(test: Test, size: float) -> float:
    """Rough time of the slowest kind of request of a test, with a file of `size` bytes."""
    return max(request_seconds(workload, size) for workload in test.workloads)


def _mean_of(weighed: Sequence[tuple[float, int]]) -> float:
    return math.fsum(value * weight for value, weight in weighed) / sum(weight for _, weight in weighed)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
