"""The bytes that came are compared with what is known of the file; a difference has a name."""

from __future__ import annotations

import zlib
from typing import Any

import pytest

from agent.messages import LabFile, Request, Workload
from agent.workloads.known import BLOCK, WrongBytesError, expected, known_bytes

PATH = "/store/test/f0001"
SIZE = 3 * BLOCK + 17
FULL = Workload("full", verify=True)
PART = Workload("range", verify=True)


def request(check: str, **more: Any) -> Request:
    return Request("tagaaaaa", 0, "root://s:1094", PATH, SIZE, 5, check=check, **more)


def whole(seed: str = "7") -> bytes:
    return known_bytes(seed, PATH, 0, SIZE)


def changed(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.parametrize(("offset", "size"), [(0, 1), (BLOCK - 3, 6), (2 * BLOCK, BLOCK), (5, SIZE - 5), (SIZE, 0)])
def test_any_part_of_a_labs_file_can_be_made_alone(offset: int, size: int) -> None:
    assert known_bytes("7", PATH, offset, size) == whole()[offset : offset + size]
    assert known_bytes("8", PATH, 0, SIZE) != whole()
    assert known_bytes("7", PATH + "x", 0, SIZE) != whole()


def test_the_content_of_labs_is_pinned() -> None:
    """Agents of another version must expect the same bytes as the lab has made."""
    assert known_bytes("1", PATH, BLOCK - 2, 6).hex() == "6e03c5a6b297"


def test_one_wrong_byte_of_a_part_is_found_and_named() -> None:
    right = expected(PART, request("content:7"))
    right.take(BLOCK - 5, whole()[BLOCK - 5 : BLOCK + 100])
    with pytest.raises(WrongBytesError, match=f"^wrong bytes: from byte {BLOCK + 1} on they are not those of the file"):
        right.take(BLOCK - 5, changed(whole()[BLOCK - 5 : BLOCK + 100], 6))


def test_a_checksum_judges_a_whole_file_however_it_came() -> None:
    check = f"adler32:{zlib.adler32(whole()):08x}"
    for data, good in ((whole(), True), (changed(whole(), SIZE - 1), False)):
        right = expected(FULL, request(check))
        for start in range(0, SIZE, 1000):
            right.take(start, data[start : start + 1000])
        if good:
            right.end()
        else:
            with pytest.raises(WrongBytesError, match=r"^wrong bytes: their adler32 is [0-9a-f]{8}, the catal"):
                right.end()


def test_a_checksum_of_the_whole_says_nothing_of_a_part() -> None:
    right = expected(PART, request("adler32:00000001"))
    right.take(10, b"anything")
    right.end()


def test_a_file_of_the_clients_own_has_what_it_wrote() -> None:
    from agent.workloads.plan import content

    mine = content(5) * 2
    right = expected(PART, request("content:7", own=True))
    right.take(len(content(5)) - 10, mine[len(content(5)) - 10 : len(content(5)) + 10])
    with pytest.raises(WrongBytesError):
        right.take(0, changed(mine[:50], 49))


@pytest.mark.parametrize("workload", [Workload("full"), Workload("write", verify=True)])
def test_what_is_not_to_be_compared_is_not(workload: Workload) -> None:
    right = expected(workload, request("content:7"))
    right.take(0, b"anything")
    right.end()


def test_the_lab_makes_these_bytes(tmp_path: Any) -> None:
    from agent.lab.catalogue import make_files

    make_files([LabFile(PATH, SIZE)], tmp_path / "files", seed=7)
    assert (tmp_path / "files" / "f0001").read_bytes() == whole()
