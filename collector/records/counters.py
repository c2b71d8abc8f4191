"""Counters of a close as fields of a record (the rules are in the reference, sections 6.5 and 6.7).

Requests that the server counted but did not measure (page reads and writes) have a minimum above their maximum: then
sizes and sigmas are unknown, but counts, bytes and averages are correct. Pelican's own origins measure nothing and send
zeros. No server counts a request of 0 bytes, so a size of 0 means unknown.
"""

from __future__ import annotations

import math
from typing import Any


def byte_fields(read: int, readv: int, write: int, *, closed: bool) -> dict[str, Any]:
    """Bytes by kind. `closed` False: they are lower bounds from the last progress record, and not "at close"."""
    fields: dict[str, Any] = {
        "read": read,
        "readv": readv,
        "write": write,
        "read_single_bytes": read,
        "read_vector_bytes": readv,
    }
    if closed:
        fields |= {"read_bytes_at_close": read + readv, "write_bytes_at_close": write}
    return fields


def operation_fields(
    read: int,
    readv: int,
    write: int,
    operations: tuple[int, int, int, int, int, int, int, int, int, int, int, int],
    squares: tuple[float, float, float, float] | None,
) -> dict[str, Any]:
    """Counts, sizes, averages and sigmas, from bytes by kind, the OPS block and, if there is one, the SSQ block."""
    (
        reads, readvs, writes, segments_min, segments_max, segments,
        read_min, read_max, readv_min, readv_max, write_min, write_max,
    ) = operations  # fmt: skip
    fields: dict[str, Any] = {
        "read_operations": reads + readvs,
        "read_single_operations": reads,
        "read_vector_operations": readvs,
        "write_operations": writes,
    }
    single_known = reads > 0 and 0 < read_max >= read_min
    vector_known = readvs > 0 and 0 < readv_max >= readv_min
    write_known = writes > 0 and 0 < write_max >= write_min
    if (single_known or reads == 0) and (vector_known or readvs == 0) and reads + readvs:
        _put_range(
            fields,
            "read",
            min(([read_min] if reads else []) + ([readv_min] if readvs else [])),
            max(read_max if reads else 0, readv_max if readvs else 0),
        )
    if single_known:
        _put_range(fields, "read_single", read_min, read_max)
    if vector_known:
        _put_range(fields, "read_vector", readv_min, readv_max)
    if write_known:
        _put_range(fields, "write", write_min, write_max)
    if reads + readvs:
        fields["read_average"] = (read + readv) / (reads + readvs)
    if reads:
        fields["read_single_average"] = read / reads
    if readvs:
        fields["read_vector_average"] = readv / readvs
        fields["read_vector_count_average"] = segments / readvs
        if 0 < segments_max >= segments_min:
            _put_range(fields, "read_vector_count", segments_min, segments_max)
    if writes:
        fields["write_average"] = write / writes
    if squares is not None:
        read_squares, readv_squares, segment_squares, write_squares = squares
        if single_known:
            _put_sigma(fields, "read_single_sigma", read_squares, read, reads)
        if vector_known:
            _put_sigma(fields, "read_vector_sigma", readv_squares, readv, readvs)
        if readvs:
            _put_sigma(fields, "read_vector_count_sigma", segment_squares, segments, readvs)
        if write_known:
            _put_sigma(fields, "write_sigma", write_squares, write, writes)
    return fields


def _put_range(fields: dict[str, Any], name: str, low: int, high: int) -> None:
    """The minimum and maximum of sizes whose maximum is known."""
    if low > 0:
        fields[f"{name}_min"] = low
    fields[f"{name}_max"] = high


def _put_sigma(fields: dict[str, Any], name: str, squares: float, total: int, count: int) -> None:
    if math.isfinite(squares) and squares >= 0:
        fields[name] = sigma(squares, total, count)


def sigma(squares: float, total: int, count: int) -> float:
    """Standard deviation of `count` numbers with this sum and this sum of squares."""
    mean = total / count
    return math.sqrt(max(0.0, squares / count - mean * mean))


def access_type(read: int, write: int, reads: int, writes: int, *, cache: bool) -> str:
    """``read``, ``write``, ``update``, ``cache_fill`` or ``none``, by what was counted: bytes, or requests."""
    did_read, did_write = bool(read or reads), bool(write or writes)
    if did_read:
        return "update" if did_write else "cache_fill" if cache else "read"
    return "write" if did_write else "none"
