from __future__ import annotations

import struct

import pytest

from collector.wire.fstream import Close, Disconnect, Open, Operations, Progress, Squares, Window, parse_fstream

EXAMPLE = bytes.fromhex(
    "660001206b026a7b" "0201001800020005" "6b026a7b6b026a7d" "00009a0a6a231bde"
    "01010030000000030000 0000002dc6c0 00000001".replace(" ", "")
) + b"/store/data/long/l0.dat".ljust(28, b"\0") + bytes.fromhex(
    "0101003000000004 00000000002dc6c0 00000002".replace(" ", "")
) + b"/store/data/long/l1.dat".ljust(28, b"\0") + bytes.fromhex(
    "0300002000000003 000000000000ec7a 000000000000012c 0000000000000000"
    "0002005000000003 0000000000045947 0000000000000384 0000000000000000"
    "00000009 00000003 00000000 0002 0002 0000000000000006 00002006 0000c2ed 0000012c 0000012c 00000000 00000000"
    "0400000800000001".replace(" ", "")
)  # fmt: skip


def window(count: int, begin: int = 100, end: int = 110, sid: int | None = 7) -> bytes:
    flags, size = (1, 24) if sid is not None else (0, 16)
    record = struct.pack(">BBHHHII", 2, flags, size, 0, count, begin, end)
    return record + (struct.pack(">Q", sid) if sid is not None else b"")


def datagram(*records: bytes) -> bytes:
    body = b"".join(records)
    return struct.pack(">cBHI", b"f", 0, 8 + len(body), 99) + body


def items(data: bytes) -> list[object]:
    return [item for _, _, item in parse_fstream(data, len(data))[0]]


def problems(data: bytes) -> list[str]:
    return parse_fstream(data, len(data))[1]


def test_the_example_of_the_format_reference() -> None:
    assert problems(EXAMPLE) == []
    assert items(EXAMPLE) == [
        Window(0x6B026A7B, 0x6B026A7D, 2, 5, 0x9A0A6A231BDE),
        Open(3, False, 3_000_000, 1, b"/store/data/long/l0.dat"),
        Open(4, False, 3_000_000, 2, b"/store/data/long/l1.dat"),
        Progress(3, 0xEC7A, 300, 0),
        Close(3, False, 0x45947, 900, 0, Operations(9, 3, 0, 2, 2, 6, 0x2006, 0xC2ED, 300, 300, 0, 0), None),
        Disconnect(1),
    ]


def test_records_know_their_place_in_the_window() -> None:
    placed, _ = parse_fstream(EXAMPLE, len(EXAMPLE))
    assert [place for _, place, _ in placed] == [-1, 0, 1, 2, 3, 4]
    assert placed[1].offset == 32


def test_a_datagram_without_records_is_fine() -> None:
    """P7: nothing but a time record."""
    data = datagram(window(0))
    assert items(data) == [Window(100, 110, 0, 0, 7)]
    assert problems(data) == []


def test_an_old_time_record_has_no_sid() -> None:
    assert items(datagram(window(0, sid=None))) == [Window(100, 110, 0, 0, None)]


def test_flags_of_an_open_are_bits() -> None:
    """P1: an open for writing has the flag of the name as well."""
    record = struct.pack(">BBHIqI", 1, 3, 28, 5, 0, 9) + b"/out\0\0\0\0"
    assert items(datagram(window(1), record))[1] == Open(5, True, 0, 9, b"/out")


def test_an_open_without_a_name() -> None:
    record = struct.pack(">BBHIq", 1, 0, 16, 5, 77)
    assert items(datagram(window(1), record))[1] == Open(5, False, 77, None, None)


@pytest.mark.parametrize("padding", range(9))
def test_padding_of_names_is_not_assumed(padding: int) -> None:
    record = struct.pack(">BBHIqI", 1, 1, 24 + padding, 5, 77, 1) + b"/abc" + b"\0" * padding
    assert items(datagram(window(2), record, struct.pack(">BBHI", 4, 0, 8, 1)))[1:] == [
        Open(5, False, 77, 1, b"/abc"),
        Disconnect(1),
    ]


def test_a_close_with_squares_is_112_bytes() -> None:
    fixed = struct.pack(">BBHIqqq", 0, 7, 112, 5, 1, 2, 3)
    record = fixed + struct.pack(">IIIHHqIIIIII", *range(1, 13)) + struct.pack(">dddd", 1.5, 2.5, 3.5, 4.5)
    found = items(datagram(window(1), record))[1]
    assert found == Close(5, True, 1, 2, 3, Operations(*range(1, 13)), Squares(1.5, 2.5, 3.5, 4.5))


def test_a_close_without_operations() -> None:
    record = struct.pack(">BBHIqqq", 0, 1, 32, 5, 1, 2, 3)
    assert items(datagram(window(1), record))[1] == Close(5, True, 1, 2, 3, None, None)


def test_records_are_stepped_by_their_own_size() -> None:
    longer = struct.pack(">BBHIqqq", 3, 0, 40, 5, 1, 2, 3) + b"12345678"
    assert items(datagram(window(2), longer, struct.pack(">BBHI", 4, 0, 8, 1)))[1:] == [
        Progress(5, 1, 2, 3),
        Disconnect(1),
    ]


def test_an_unknown_type_is_stepped_over() -> None:
    data = datagram(window(2), struct.pack(">BBHI", 9, 0, 12, 5) + b"abcd", struct.pack(">BBHI", 4, 0, 8, 1))
    assert items(data)[1:] == [Disconnect(1)]
    assert problems(data) == ["record_type"]


@pytest.mark.parametrize("size", [0, 7, 9, 5000])
def test_a_wrong_size_loses_only_what_follows(size: int) -> None:
    """G17 and O1: what was decoded stays, the damage is named, and nothing loops for ever."""
    good = struct.pack(">BBHIqqq", 3, 0, 32, 5, 1, 2, 3)
    data = datagram(window(2), good, struct.pack(">BBHI", 4, 0, size, 1))
    assert items(data)[1:] == [Progress(5, 1, 2, 3)]
    assert problems(data) == ["record_size"]


@pytest.mark.parametrize(
    "record",
    [
        struct.pack(">BBHI", 0, 0, 8, 1),
        struct.pack(">BBHI", 1, 0, 8, 1),
        struct.pack(">BBHIq", 1, 1, 16, 1, 5),
        struct.pack(">BBHI", 3, 0, 8, 1),
    ],
)
def test_a_record_too_short_for_its_kind_loses_only_itself(record: bytes) -> None:
    data = datagram(window(2), record, struct.pack(">BBHI", 4, 0, 8, 1))
    assert items(data)[1:] == [Disconnect(1)]
    assert problems(data) == ["record_short"]


def test_negative_counters_lose_only_their_record() -> None:
    bad = struct.pack(">BBHIqqq", 0, 0, 32, 5, 1, -2, 3)
    worse = struct.pack(">BBHIqqq", 3, 0, 32, 5, -1, 2, 3)
    data = datagram(window(3), bad, worse, struct.pack(">BBHI", 4, 0, 8, 1))
    assert items(data)[1:] == [Disconnect(1)]
    assert problems(data) == ["record_value", "record_value"]


def test_a_negative_size_is_unknown() -> None:
    assert items(datagram(window(1), struct.pack(">BBHIq", 1, 0, 16, 5, -1)))[1] == Open(5, False, None, None, None)


def test_a_name_longer_than_any_is_rejected() -> None:
    record = struct.pack(">BBHIqI", 1, 1, 6000, 5, 77, 1) + b"/" * 5980
    data = datagram(window(1), record)
    assert items(data)[1:] == []
    assert problems(data) == ["name_length"]


def test_the_number_of_records_is_checked() -> None:
    """G17: nRecs of the time record."""
    assert problems(datagram(window(2), struct.pack(">BBHI", 4, 0, 8, 1))) == ["record_count"]
    assert problems(datagram(window(0), struct.pack(">BBHI", 4, 0, 8, 1))) == ["record_count"]


def test_a_second_time_record_begins_a_new_window() -> None:
    gone = struct.pack(">BBHI", 4, 0, 8, 1)
    data = datagram(window(1), gone, window(1, 120, 130), gone)
    assert problems(data) == []
    assert [place for _, place, _ in parse_fstream(data, len(data))[0]] == [-1, 0, -1, 0]


def test_a_window_that_ends_before_it_begins_is_a_moment() -> None:
    assert items(datagram(window(0, 110, 100))) == [Window(110, 110, 0, 0, 7)]


def test_decoding_can_begin_in_the_middle() -> None:
    placed, _ = parse_fstream(EXAMPLE, len(EXAMPLE))
    for after in placed[1:]:
        rest, lost = parse_fstream(EXAMPLE, len(EXAMPLE), after.offset, after.place, 5)
        assert rest == placed[placed.index(after) :]
        assert lost == []
