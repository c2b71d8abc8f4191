"""File records by template: the fast path to the text that `json` of the plain fields would give.

OPTIMISATION. Collecting the fields of a record one by one and encoding them takes about 40 µs; filling in a template
takes 2 µs (see tests/bench/bench_collector_core.py). Templates exist for complete, final records only, in the shapes of
`shape`; everything else is written by the plain path. A test checks that both give the same fields and values.
"""

from __future__ import annotations

READS, VECTORS, WRITES, SQUARES = 1, 2, 4, 8
"""Bits of a shape: which kinds of requests there were, and whether sums of squares are known."""

SAFE = bytes(c for c in range(0x20, 0x7F) if c not in b'"\\')
"""Bytes that need no escaping in JSON text."""

HEAD = (
    b'{"kind":"file","schema":1,"record_id":"%b.f","access_id":"%b","final":true,"file_id":%d,'
    b'"filesize":%d,"HasFileCloseMsg":1,"forced":%d,'
)
TIMES = b'"start_time":%d,"time_min":%d,"time_max":%d,"end_time":%d,"operation_time":%d,"@timestamp":"%b",'
"""Followed by the fields of server and session, `NAME`, the path, the fields of its directory (which close the quotes
of the name, and end with a comma), and the text for its shape. Pieces below 512 bytes: then `%` works on the stack.
"""

NAME = b',"filename":"'

BYTES = (
    b'"read":%d,"readv":%d,"write":%d,"read_single_bytes":%d,"read_vector_bytes":%d,'
    b'"read_bytes_at_close":%d,"write_bytes_at_close":%d,'
    b'"read_operations":%d,"read_single_operations":%d,"read_vector_operations":%d,"write_operations":%d,'
    b'"access_type":"%b"'
)
"""Followed by the tail for the shape."""

_READS = b',"read_single_min":%d,"read_single_max":%d,"read_single_average":%b'
_VECTORS = (
    b',"read_vector_min":%d,"read_vector_max":%d,"read_vector_average":%b'
    b',"read_vector_count_min":%d,"read_vector_count_max":%d,"read_vector_count_average":%b'
)
_ANY_READS = b',"read_min":%d,"read_max":%d,"read_average":%b'
_WRITES = b',"write_min":%d,"write_max":%d,"write_average":%b'


def _tail(shape: int) -> bytes:
    text = b""
    squares = shape & SQUARES
    if shape & READS:
        text += _READS + (b',"read_single_sigma":%b' if squares else b"")
    if shape & VECTORS:
        text += _VECTORS + (b',"read_vector_sigma":%b,"read_vector_count_sigma":%b' if squares else b"")
    if shape & (READS | VECTORS):
        text += _ANY_READS
    if shape & WRITES:
        text += _WRITES + (b',"write_sigma":%b' if squares else b"")
    return text + b"}"


TAILS = tuple(map(_tail, range(16)))
"""By shape: reads, vectors, both together, writes."""

ONLY_READS = (
    b'"read":%d,"readv":0,"write":0,"read_single_bytes":%d,"read_vector_bytes":0,'
    b'"read_bytes_at_close":%d,"write_bytes_at_close":0,'
    b'"read_operations":%d,"read_single_operations":%d,"read_vector_operations":0,"write_operations":0,'
    b'"access_type":"%b"' + TAILS[READS]
)
"""`BYTES` and its tail for the most frequent shape."""
