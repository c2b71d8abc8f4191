"""Answers with several ranges."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.workloads.multipart import content_range, pieces

TYPE = "multipart/byteranges; boundary=123456"


def body(*parts: tuple[int, bytes], mark: str = "123456") -> bytes:
    """As XRootD sends it."""
    whole = b"".join(
        f"--{mark}\r\nContent-type: text/plain\r\n".encode()
        + f"Content-range: bytes {offset}-{offset + len(data) - 1}/99999\r\n\r\n".encode()
        + data
        + b"\r\n"
        for offset, data in parts
    )
    return whole + f"--{mark}--\r\n".encode()


@given(st.lists(st.tuples(st.integers(0, 10**12), st.binary(min_size=1, max_size=50)), min_size=1, max_size=8))
def test_every_piece_comes_back(parts: list[tuple[int, bytes]]) -> None:
    assert [(piece.offset, bytes(piece.data)) for piece in pieces(TYPE, body(*parts))] == parts


def test_a_file_that_contains_the_boundary() -> None:
    data = b"--123456\r\n\r\n--123456--"
    (piece,) = pieces(TYPE, body((5, data)))
    assert bytes(piece.data) == data


@pytest.mark.parametrize(
    ("kind", "text", "why"),
    [
        ("text/plain", body((0, b"x")), "its type is 'text/plain'"),
        ("", b"", "its type is 'not given'"),
        (TYPE, b"", "it ends in the middle"),
        (TYPE, body((0, b"abc"))[:-9], "it ends in the middle"),
        (TYPE, body((0, b"abc"))[:75], "it ends in the middle"),
        (TYPE, b"--123456\r\nContent-type: text/plain\r\n\r\nabc\r\n--123456--", "a part of it has no Content-Range"),
        (
            TYPE,
            b"--123456\r\nContent-Range: bytes 9-3/10\r\n\r\nabc\r\n--123456--",
            "a part of it has no Content-Range",
        ),
        (TYPE, b"--123456\r\nContent-Range: bytes 0-99/100\r\n\r\nabc", "it ends in the middle"),
    ],
)
def test_what_is_none(kind: str, text: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        pieces(kind, text)


@given(st.binary(max_size=300))
def test_any_bytes_are_pieces_or_an_error(text: bytes) -> None:
    try:
        found = pieces(TYPE, b"--123456" + text)
    except ValueError:
        return
    assert all(len(piece.data) <= len(text) for piece in found)


def test_a_quoted_boundary_and_other_parameters() -> None:
    kind = 'Multipart/ByteRanges; charset=x; boundary="a b"'
    assert [piece.offset for piece in pieces(kind, body((7, b"x"), mark="a b"))] == [7]


@pytest.mark.parametrize(
    ("text", "found"),
    [("bytes 0-9/100", (0, 10)), ("Bytes 5-5/*", (5, 1)), ("bytes */100", None), ("", None), ("bytes 9-0/10", None)],
)
def test_a_content_range(text: str, found: tuple[int, int] | None) -> None:
    assert content_range(text) == found
