"""Which bytes are asked for: exact, within the file, within the server's limits, and the same each time."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agent.messages import Request, Workload
from agent.workloads.plan import (
    READ_SIZE,
    VECTOR_CHUNK_MAX,
    Pause,
    Read,
    VectorRead,
    Write,
    content,
    objection,
    steps,
)

MIB = 1024 * 1024


def request(size: int, seed: int = 1) -> Request:
    return Request("tagaaaaa", 0, "root://s:1094", "/f", size, seed)


def plan(workload: Workload, size: int, seed: int = 1) -> list[Any]:
    return list(steps(workload, request(size, seed)))


def test_full_reads_the_catalogues_size_and_not_a_byte_more() -> None:
    assert plan(Workload("full"), 0) == []
    assert plan(Workload("full"), 1) == [Read(0, 1)]
    assert plan(Workload("full"), 2 * MIB) == [Read(0, MIB), Read(MIB, MIB)]
    assert plan(Workload("full"), 2 * MIB + 5) == [Read(0, MIB), Read(MIB, MIB), Read(2 * MIB, 5)]


@given(st.integers(0, 2**34), st.integers(0, 3 * MIB), st.integers(0, 2**53))
def test_a_range_lies_in_the_file(size: int, wanted: int, seed: int) -> None:
    reads = plan(Workload("range", bytes=wanted), size, seed)
    asked = sum(read.size for read in reads)
    assert asked == min(wanted or MIB, size)
    assert all(0 < read.size <= READ_SIZE and read.offset + read.size <= size for read in reads)
    # One stretch, without holes.
    assert all(a.offset + a.size == b.offset for a, b in itertools.pairwise(reads))


@given(st.integers(0, 2**34), st.integers(0, VECTOR_CHUNK_MAX), st.integers(0, 1024), st.integers(0, 2**53))
def test_a_vector_read_lies_in_the_file(size: int, wanted: int, chunks: int, seed: int) -> None:
    made = plan(Workload("vector", bytes=wanted, chunks=chunks), size, seed)
    if size == 0:
        assert made == []
        return
    (vector,) = made
    assert isinstance(vector, VectorRead)
    length = min(wanted or 64 * 1024, size)
    assert len(vector.chunks) == min(chunks or 16, size - length + 1), "as many as there are different ones"
    assert len(set(vector.chunks)) == len(vector.chunks), "the XRootD client refuses the same piece twice"
    for offset, own in vector.chunks:
        assert own == length
        assert 0 <= offset <= size - length


def test_a_small_file_has_fewer_pieces() -> None:
    assert plan(Workload("vector"), 10) == [VectorRead([(0, 10)])]
    (vector,) = plan(Workload("vector", bytes=8, chunks=16), 10)
    assert isinstance(vector, VectorRead)
    assert sorted(vector.chunks) == [(0, 8), (1, 8), (2, 8)]
    assert vector == plan(Workload("vector", bytes=8, chunks=16), 10)[0]


def test_long_pauses_between_reads_and_only_there() -> None:
    made = plan(Workload("long", bytes=100, reads=3, pause=60.0), 10_000)
    assert [type(step).__name__ for step in made] == ["Read", "Pause", "Read", "Pause", "Read"]
    assert made[1] == Pause(60.0)
    assert len({step.offset for step in made if isinstance(step, Read)}) > 1
    assert [type(step).__name__ for step in plan(Workload("long", bytes=1, reads=2), 5)] == ["Read", "Read"]
    assert plan(Workload("long", reads=2, pause=1.0), 0) == [Pause(1.0)]


@given(st.integers(0, 2**34), st.integers(0, 3 * MIB), st.integers(0, 2**53))
def test_past_end_crosses_the_end_and_then_begins_there(size: int, wanted: int, seed: int) -> None:
    reads = plan(Workload("past_end", bytes=wanted), size, seed)
    length = wanted or MIB
    assert sum(read.size for read in reads) == 2 * length
    beyond = reads[len(reads) // 2 :]
    assert beyond[0].offset == size
    assert 0 <= reads[0].offset <= size < reads[0].offset + length
    assert reads[0].offset < size or size == 0 or length == 1, "it begins in the file"
    for part in (reads[: len(reads) // 2], beyond):
        assert all(a.offset + a.size == b.offset for a, b in itertools.pairwise(part))


def test_writes_have_the_wanted_size() -> None:
    assert plan(Workload("write", bytes=MIB + 1), 0) == [Write(0, MIB), Write(MIB, 1)]
    assert len(content(1)) == READ_SIZE
    assert content(1) == content(1)
    assert content(1) != content(2)


@given(st.sampled_from(["full", "range", "vector", "long", "past_end"]), st.integers(0, 2**30), st.integers(0, 2**53))
def test_the_same_seed_gives_the_same_steps(kind: str, size: int, seed: int) -> None:
    workload = Workload(kind, bytes=5000, chunks=9, reads=3, pause=1.0)  # type: ignore[arg-type]
    assert plan(workload, size, seed) == plan(workload, size, seed)


def test_offsets_are_pinned_for_ever() -> None:
    """A run of years ago must be repeatable: these numbers may never change."""
    assert plan(Workload("range", bytes=10), 1_000_000, 42) == [Read(670487, 10)]
    assert plan(Workload("vector", bytes=10, chunks=3), 1000, 42) == [VectorRead([(654, 10), (114, 10), (25, 10)])]


def test_what_no_server_would_take_is_refused_in_one_sentence() -> None:
    assert objection(Workload("vector", bytes=VECTOR_CHUNK_MAX, chunks=512)) == ""
    assert "can have at most 2097136 bytes (the server's limit), not 2097137; reduce bytes" in objection(
        Workload("vector", bytes=VECTOR_CHUNK_MAX + 1)
    )
    assert "reduce chunks or bytes" in objection(Workload("vector", bytes=VECTOR_CHUNK_MAX, chunks=1024))
    for kind in ("full", "range", "long", "write"):
        assert objection(Workload(kind, bytes=2**40)) == ""
