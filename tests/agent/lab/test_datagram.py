"""The injector's reader, against captures of a real server and against damage."""

from __future__ import annotations

import struct
from typing import Any

from agent.lab.datagram import Access, Contents, Reader

STOD = 1_700_000_000


def datagram(code: str, pseq: int, body: bytes) -> bytes:
    return struct.pack(">cBHI", code.encode(), pseq, 8 + len(body), STOD) + body


def login(pseq: int, dictid: int, user: str) -> bytes:
    return datagram("u", pseq, struct.pack(">I", dictid) + f"xroot/{user}.12:77@host\n&R=v5".encode())


def files(pseq: int, *records: bytes) -> bytes:
    time = struct.pack(">BBHHHIIQ", 2, 1, 24, 0, len(records), STOD + 1, STOD + 2, 77)
    return datagram("f", pseq, time + b"".join(records))


def opened(number: int, user: int, path: str) -> bytes:
    name = path.encode() + b"\0" * 5
    return struct.pack(">BBHIqI", 1, 1, 20 + len(name), number, 9, user) + name


def closed(number: int) -> bytes:
    return struct.pack(">BBHIqqq", 0, 0, 32, number, 9, 0, 0)


def ended(user: int) -> bytes:
    return struct.pack(">BBHI", 4, 0, 8, user)


def test_a_close_is_named_by_its_open_and_its_login() -> None:
    reader = Reader()
    assert reader.newest == 0
    found = [
        reader.read(one)
        for one in (login(1, 5, "a.dotted"), files(0, opened(6, 5, "/store/f1")), files(1, closed(6), ended(5)))
    ]
    text = "xroot/a.dotted.12:77@host\n&R=v5"
    access = Access(6, "a.dotted", "/store/f1")
    times = {"stod": STOD, "sid": "77", "begin": STOD + 1, "end": STOD + 2}
    assert found == [
        Contents("u", 43, "M", STOD, 1, "77", dictid=5, user="a.dotted", text=text),
        Contents("f", 66, "F", pseq=0, opens=[access], **times),  # type: ignore[arg-type]
        Contents("f", 72, "F", pseq=1, closes=[access], ended=[Access(5, "a.dotted", "")], **times),  # type: ignore[arg-type]
    ]
    assert reader.newest == STOD


def test_names_of_a_process_are_not_those_of_the_next() -> None:
    reader = Reader()
    reader.read(login(1, 5, "before"))
    later = bytearray(files(0, opened(6, 5, "/f")))
    later[4:8] = struct.pack(">I", STOD + 9)
    assert reader.read(bytes(later)).opens == [Access(6, "", "/f")]
    assert reader.newest == STOD + 9


def test_what_is_damaged_is_told_as_far_as_it_can_be_read() -> None:
    whole = files(3, opened(6, 5, "/f"), closed(6))
    for cut in range(len(whole)):
        assert Reader().read(whole[:cut]) == Contents(whole[:cut][:1].decode(), cut)
    broken = bytearray(whole)
    broken[34:36] = b"\0\1"  # the open says that it is one byte long
    assert Reader().read(bytes(broken)).closes == []
    assert Reader().read(b'{"code":"g"}') == Contents("{", 12)


def test_names_are_of_bounded_number(monkeypatch: Any) -> None:
    monkeypatch.setattr("agent.lab.datagram._MOST_NAMES", 2)
    reader = Reader()
    for dictid in (1, 2, 3):
        reader.read(login(dictid, dictid, f"u{dictid}"))
    opens = reader.read(files(0, *(opened(9 + n, n, "/f") for n in (1, 2, 3)))).opens
    assert [access.user for access in opens] == ["", "u2", "u3"]
