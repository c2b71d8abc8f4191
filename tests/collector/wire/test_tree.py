"""The readable form of a datagram says what is in it, and never fails."""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from collector.wire import REASONS, tree

CAPTURES = Path(__file__).resolve().parents[2] / "captures"


def test_an_open_in_words() -> None:
    tod = struct.pack(">BBHHHIIQ", 2, 1, 24, 0, 1, 1_700_000_000, 1_700_000_010, 4711)
    opened = struct.pack(">BBHIqI", 1, 3, 32, 5, 1000, 9) + b"/store/f\0\0\0\0"
    found = tree(struct.pack(">cBHI", b"f", 7, 8 + 24 + 32, 1_699_999_999) + tod + opened)
    assert found["kind"] == "f-stream"
    assert found["header"]["sequence"] == 7
    assert found["header"]["server_start"] == "1699999999 (2023-11-14 22:13:19 UTC)"
    assert found["records"][0]["sid"] == 4711
    assert found["records"][1] == {
        "record": "open", "at": 32, "file_id": 5, "writable": True, "size": 1000, "user": 9, "path": "/store/f",
    }  # fmt: skip
    assert "problems" not in found


def test_a_damaged_datagram_says_what_is_wrong() -> None:
    assert tree(b"")["problems"] == ["empty"]
    assert tree(b"zzz")["error"].startswith("unknown: first byte is 0x7a")
    assert tree(b"u\0\0\x20\0\0\0\1\0\0\0\1xroot/a.1:2@h")["problems"] == ["truncated"]


@given(
    st.binary(max_size=300)
    | st.builds(
        bytes.__add__, st.sampled_from([b"f", b"t", b"r", b"g", b"u", b"=", b"<", b"{"]), st.binary(max_size=300)
    )
)
@example(b"f\0\0\x20\0\0\0\1\x02\1\0\x18" + b"\xff" * 20)
def test_any_bytes_have_a_tree(data: bytes) -> None:
    found = tree(data)
    json.dumps(found)
    assert set(found.get("problems", [])) <= REASONS.keys()


def test_real_datagrams_have_no_problems() -> None:
    paths = sorted(CAPTURES.glob("*/*.jsonl"))
    paths.remove(CAPTURES / "6.1.0" / "summary-xml.jsonl")  # is not well-formed XML as sent
    for path in paths:
        for line in path.read_text().splitlines():
            found = tree(base64.b64decode(json.loads(line)["data"]))
            assert "problems" not in found, path
            json.dumps(found)
