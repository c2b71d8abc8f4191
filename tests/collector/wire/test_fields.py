"""Where each field of a datagram is: every byte range within the datagram, whatever the datagram."""

from __future__ import annotations

import base64
import json
import random
from pathlib import Path

import pytest

from collector.wire.fields import Field, fields
from collector.wire.header import REASONS

CAPTURES = sorted((Path(__file__).parents[2] / "captures").rglob("*.jsonl"))


def datagrams() -> list[bytes]:
    lines = [line for path in CAPTURES for line in path.read_text().splitlines()[:60] if line.strip()]
    return [base64.b64decode(json.loads(line)["data"]) for line in lines]


def check(field: Field, first: int, end: int, size: int) -> None:
    assert 0 <= field.first <= field.end <= size, field
    assert first <= field.first, field
    assert field.end <= end, field
    assert not field.problem or field.problem in REASONS
    for inner in field.inside:
        check(inner, field.first, field.end, size)


def test_there_are_captures_to_test_with() -> None:
    assert len(datagrams()) > 100


def test_every_field_of_real_datagrams_is_in_its_bytes() -> None:
    for data in datagrams():
        found = fields(data)
        assert found
        for field in found:
            check(field, 0, len(data), len(data))


def test_damaged_datagrams_never_raise_and_name_a_reason() -> None:
    dice = random.Random(7)
    real = datagrams()
    for _ in range(2000):
        data = bytearray(dice.choice(real))
        for _ in range(dice.randrange(1, 9)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        cut = bytes(data[: dice.randrange(len(data) + 1)])
        for field in fields(cut):
            check(field, 0, len(cut), len(cut))
    assert fields(b"") == (Field("Datagram", "empty: no bytes", 0, 0, "empty"),)
    assert fields(b"\xff\xfe")[0].problem == "unknown"


def test_an_open_and_its_path() -> None:
    path = b"/store/f.root"
    name = path + b"\0" * 3
    opened = (
        bytes([1, 1]) + (20 + len(name)).to_bytes(2) + (3).to_bytes(4) + (1340).to_bytes(8) + (7).to_bytes(4) + name
    )
    window = bytes.fromhex("02010018") + (1).to_bytes(4) + bytes.fromhex("6b026a7b6b026a7d") + (77).to_bytes(8)
    data = b"f\x29" + (8 + len(window) + len(opened)).to_bytes(2) + bytes.fromhex("6b026a7b") + window + opened
    header, day, record = fields(data)
    assert (header.name, header.value, header.first, header.end) == ("Header", "f, sequence 41", 0, 8)
    assert day.value == "1 records, 2 s window"
    assert (record.name, record.value, record.first, record.end) == ("Open", "/store/f.root", 32, len(data))
    inside = {field.name: field for field in record.inside}
    assert data[inside["LFN"].first : inside["LFN"].end] == path
    assert inside["file size"].value == "1,340 B"
    assert int.from_bytes(data[inside["user dictid"].first : inside["user dictid"].end]) == 7


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (bytes([0, 0, 0, 16]) + b"\0" * 12, "record_short"),
        (bytes([9, 0, 0, 8]) + b"\0" * 4, "record_type"),
        (bytes([0, 0, 0, 32, 0, 0, 0, 1]) + b"\xff" * 24, "record_value"),
        (bytes([0, 0, 9, 99, 0, 0, 0, 1]), "record_size"),
        (b"\0\0\0", "record_size"),
    ],
)
def test_a_broken_record_is_shown_in_its_place(record: bytes, problem: str) -> None:
    data = b"f\0" + (8 + len(record)).to_bytes(2) + b"\0\0\0\1" + record
    header, broken = fields(data)
    assert header.problem == ""
    assert (broken.problem, broken.first, broken.end) == (problem, 8, len(data))


def test_the_parts_of_a_map_are_found_in_its_text() -> None:
    text = b"xroot/alice.12:345@[::1]\n&p=gsi&n=alice&h=[::1]&x=python3"
    data = b"u\5" + (12 + len(text)).to_bytes(2) + b"\0\0\0\1" + (9).to_bytes(4) + text
    _, dictid, user, login = fields(data)
    assert dictid.value == "9"
    assert user.value == "xroot/alice.12:345@[::1]"
    for field in (*user.inside, *login.inside):
        assert data[field.first : field.end].decode() == field.value
    assert {field.name: field.value for field in login.inside}["executable"] == "python3"


def test_a_long_value_is_cut() -> None:
    data = b"{" + b"x" * 5000
    assert all(len(field.value) <= 500 for field in fields(data))
