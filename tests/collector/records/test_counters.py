from __future__ import annotations

import math
import statistics
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.records.counters import access_type, byte_fields, operation_fields, sigma

NONE = 2**31 - 1


def fields(
    read: int = 0, readv: int = 0, write: int = 0, ops: tuple[int, ...] = (0,) * 12, squares: Any = None
) -> dict[str, Any]:
    return operation_fields(read, readv, write, ops, squares)  # type: ignore[arg-type]


def test_bytes_at_close_count_vector_reads_too() -> None:
    """G16: 10 bytes by plain and 990 by vector reads are 1000 at close."""
    assert byte_fields(10, 990, 5, closed=True) == {
        "read": 10, "readv": 990, "write": 5, "read_single_bytes": 10, "read_vector_bytes": 990,
        "read_bytes_at_close": 1000, "write_bytes_at_close": 5,
    }  # fmt: skip


def test_a_lower_bound_is_not_called_at_close() -> None:
    assert "read_bytes_at_close" not in byte_fields(1, 2, 3, closed=False)


def test_averages_are_per_request_of_their_kind() -> None:
    """G16 and P11: bytes by requests, segments by vector requests."""
    found = fields(100, 900, 30, (4, 2, 3, 2, 8, 10, 10, 40, 400, 500, 5, 15))
    assert found["read_single_average"] == 25.0
    assert found["read_vector_average"] == 450.0
    assert found["read_average"] == pytest.approx(1000 / 6)
    assert found["write_average"] == 10.0
    assert found["read_vector_count_average"] == 5.0
    assert (found["read_operations"], found["read_single_operations"], found["read_vector_operations"]) == (6, 4, 2)
    assert (found["read_min"], found["read_max"]) == (10, 500)
    assert (found["read_vector_count_min"], found["read_vector_count_max"]) == (2, 8)


def test_no_requests_of_a_kind_give_no_sizes_of_it() -> None:
    assert fields() == {
        "read_operations": 0, "read_single_operations": 0, "read_vector_operations": 0, "write_operations": 0,
    }  # fmt: skip


def test_page_reads_have_counts_but_no_sizes() -> None:
    found = fields(1000, 0, 0, (3, 0, 0, 0, 0, 0, NONE, 0, 0, 0, 0, 0))
    assert found["read_operations"] == 3
    assert found["read_average"] == pytest.approx(1000 / 3)
    assert not {"read_min", "read_max", "read_single_min", "read_single_max"} & found.keys()


def test_page_reads_beside_vector_reads_leave_the_sizes_of_all_reads_unknown() -> None:
    found = fields(1000, 50, 0, (3, 1, 0, 2, 2, 2, NONE, 0, 50, 50, 0, 0))
    assert (found["read_vector_min"], found["read_vector_max"]) == (50, 50)
    assert "read_min" not in found


def test_page_writes_have_no_sizes() -> None:
    found = fields(0, 0, 4100, (0, 0, 1, 0, 0, 0, 0, 0, 0, 0, NONE, 0), (0.0, 0.0, 0.0, 0.0))
    assert found["write_average"] == 4100.0
    assert not {"write_min", "write_max", "write_sigma"} & found.keys()


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=50))
def test_sigma_is_the_standard_deviation(sizes: list[int]) -> None:
    squares = float(sum(size * size for size in sizes))
    expected = statistics.pstdev(sizes)
    assert sigma(squares, sum(sizes), len(sizes)) == pytest.approx(expected, rel=1e-3, abs=max(sizes) * 1e-6 + 1e-6)


@pytest.mark.parametrize("nonsense", [math.nan, math.inf, -1.0])
def test_impossible_sums_of_squares_give_no_sigma(nonsense: float) -> None:
    ops = (2, 1, 1, 2, 2, 2, 1, 9, 5, 5, 3, 3)
    found = fields(10, 5, 3, ops, (nonsense,) * 4)
    assert not [name for name in found if name.endswith("sigma")]
    assert found["read_single_average"] == 5.0


@pytest.mark.parametrize(
    ("read", "write", "reads", "writes", "cache", "expected"),
    [
        (1, 0, 1, 0, False, "read"), (0, 1, 0, 1, False, "write"), (1, 1, 1, 1, False, "update"),
        (0, 0, 0, 0, False, "none"), (1, 0, 1, 0, True, "cache_fill"), (0, 0, 1, 0, False, "read"),
        (0, 5, 0, 0, True, "write"), (0, 0, 0, 0, True, "none"),
    ],
)  # fmt: skip
def test_access_type(read: int, write: int, reads: int, writes: int, cache: bool, expected: str) -> None:
    assert access_type(read, write, reads, writes, cache=cache) == expected
