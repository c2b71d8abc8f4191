"""Datagrams as a list: columns, names, fields at a byte; more rows at the end of a table."""

from __future__ import annotations

import time
from typing import Any

from gui.models.datagrams import ServerNames, address_of, columns, contents, field_at, hex_text
from gui.models.rows import Rows
from gui.runner.datagrams import DatagramRow, DecodedField, with_neighbours


def row(number: int, **changes) -> DatagramRow:
    values: dict[str, Any] = {
        "number": number, "t": 1000.0 + number, "remote": "127.0.0.1:4000", "server": "", "sid": None, "stod": 7,
        "cls": "F", "stream": "f", "kind": "f-stream", "seq": number % 256, "size": 100, "what": "2 records",
        "problems": (), "files": (), "note": "", "source": "", "at": (0, 1),
    }  # fmt: skip
    return DatagramRow(**(values | changes))


def test_a_server_has_the_name_of_the_workspace_once_it_has_said_who_it_is() -> None:
    names = ServerNames()
    names.know({address_of("root://127.0.0.1:1094"): "s17", address_of("root://[::1]:1095//x"): "s18"})
    first, said = row(1), row(2, server="anon@lab.example.org:1094")
    assert names.of(first) == "127.0.0.1:4000"
    names.hear([said])
    assert names.of(first) == "s17"
    assert names.of(row(3, server="d1@se01.example.org:7")) == "d1@se01.example.org:7"
    assert names.of(row(3, server="anon@se01.example.org:7")) == "se01.example.org:7"
    names.clear()
    assert names.of(first) == "127.0.0.1:4000"


def test_the_filter_of_the_issue() -> None:
    names = ServerNames()
    rows = Rows(columns(names), key=lambda one: one.number)
    rows.replace([row(1, server="s17@h:1"), row(2, server="s17@h:1", stream="u"), row(3, server="s18@h:1")])
    rows.filter("server:s17 stream:f")
    assert [one.number for one in rows.visible] == [1]
    rows.filter("problem:record_size")
    assert rows.visible == []


def test_more_rows_keep_filter_and_order() -> None:
    rows = Rows(columns(ServerNames()), key=lambda one: one.number)
    rows.replace([])
    rows.filter("stream:f")
    rows.add([row(1), row(2, stream="u")])
    rows.add([row(3)])
    assert [one.number for one in rows.visible] == [1, 3]
    rows.sort(0, descending=True)
    rows.add([row(4), row(5, stream="u"), row(6)])
    assert [one.number for one in rows.visible] == [6, 4, 3, 1]
    rows.filter("")
    assert len(rows.visible) == 6
    rows.sort(None)
    rows.filter("2 records")
    rows.add([row(7, what="other"), row(8)])
    assert [one.number for one in rows.visible] == [1, 2, 3, 4, 5, 6, 8]


def test_adding_to_100_000_rows_takes_as_long_as_the_new_ones() -> None:
    rows = Rows(columns(ServerNames()), key=lambda one: one.number)
    rows.replace([row(number) for number in range(100_000)])
    rows.filter("stream:f")
    began = time.process_time()
    for number in range(20):
        rows.add([row(100_000 + number)])
    assert time.process_time() - began < 0.1
    assert len(rows.visible) == 100_020


def test_neighbours_in_the_sequence_of_the_same_server() -> None:
    rows = [row(1), row(2, stod=9), row(3), row(4, cls="M"), row(5), row(6)]
    assert [one.number for one in with_neighbours([rows[2]], rows)] == [1, 3, 5]
    assert [one.number for one in with_neighbours([], rows)] == []


def test_the_innermost_field_of_a_byte() -> None:
    fields = (
        DecodedField("Header", "", 0, 8, "", (DecodedField("code", "f", 0, 1), DecodedField("pseq", "1", 1, 2))),
        DecodedField("Open", "", 8, 40),
    )
    assert field_at(fields, 1) == (0, 1)
    assert field_at(fields, 5) == (0,)
    assert field_at(fields, 39) == (1,)
    assert field_at(fields, 40) is None


def test_texts() -> None:
    assert contents(row(1, note="1 of class F missing after 41")) == "1 of class F missing after 41; 2 records"
    assert hex_text(b"f\x00AB") == "0000  66 00 41 42                                      f·AB"
