"""Captures as a source: whole, compressed, bad in places, growing, and taken up again where they were left."""

from __future__ import annotations

import base64
import gzip
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from collector.sources import Datagram, Reject, SourceError
from collector.sources.file import FileSource, LineSplitter, parse_line


def line(text: str, t: float = 1000.0, remote: str = "192.0.2.1:1", **more: Any) -> str:
    return json.dumps({"t": t, "remote": remote, "data": base64.b64encode(text.encode()).decode(), **more})


def read_all(source: FileSource) -> tuple[list[str], list[Reject]]:
    datagrams: list[Datagram] = []
    rejects: list[Reject] = []
    while not source.ended:
        taken = source.take(0.0)
        datagrams += taken.datagrams  # type: ignore[arg-type]
        rejects += taken.rejects
    source.close()
    return [datagram.data.decode() for datagram in datagrams], rejects


def test_every_line_of_a_long_file_is_taken(tmp_path: Path) -> None:
    """G6: a replay of 5,000 lines through a full channel kept 104 of them."""
    path = tmp_path / "c.jsonl"
    path.write_text("\n".join(line(str(n)) for n in range(5_000)))  # the last one without a newline
    found, rejects = read_all(FileSource(path))
    assert (found, rejects) == ([str(n) for n in range(5_000)], [])


def test_the_fields_of_a_line() -> None:
    assert parse_line(line("x", 12.5, "[::1]:9", id="spool:7").encode(), "f:1") == Datagram(
        b"x", "[::1]:9", 12.5, "spool", 7, "spool"
    )
    assert parse_line(line("x", 12.5).encode(), "f:1") == Datagram(b"x", "192.0.2.1:1", 12.5)


@pytest.mark.parametrize(
    ("text", "reason", "sentence"),
    [
        ("nonsense", "line", "f:1 is not a captured datagram"),
        ("\xff", "line", "f:1 is not a captured datagram"),
        ('{"t":1,"data":"eA=="}', "line", "missing required field `remote`"),  # G23: a nil dereference there
        ('{"t":"1","remote":"h:1","data":"eA=="}', "line", "Expected `float`"),
        ('{"t":1,"remote":"h:1","data":"e"}', "base64", "f:1: data is not base64"),
        ('{"t":1,"remote":"h:1","data":"e!A="}', "base64", "not base64"),
        ('{"t":1,"remote":"h h","data":"eA=="}', "remote", "remote is 'h h', neither an address nor a host name"),
        ('{"t":-1,"remote":"h:1","data":"eA=="}', "time", "t is -1.0"),
        ('{"t":1e300,"remote":"h:1","data":"eA=="}', "time", "not a time"),
    ],
)
def test_a_bad_line_is_a_reject_with_its_place(text: str, reason: str, sentence: str) -> None:
    result = parse_line(text.encode("latin-1"), "f:1")
    assert isinstance(result, Reject)
    assert result.reason == reason
    assert sentence in result.text


def test_bad_lines_disturb_no_others(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text(f"{line('a')}\nbad\n\n{line('b')}\n{{}}\n")
    found, rejects = read_all(FileSource(path))
    assert found == ["a", "b"]
    assert [reject.text.partition(" ")[0] for reject in rejects] == [f"{path}:2", f"{path}:5"]


def test_compressed_files_are_known_by_their_content(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"  # no .gz in the name
    text = "".join(f"{line(str(n))}\n" for n in range(3_000)).encode()
    path.write_bytes(gzip.compress(text[:50_000]) + gzip.compress(text[50_000:]) + b"\0" * 100)
    found, rejects = read_all(FileSource(path))
    assert (len(found), rejects) == (3_000, [])


def test_a_compressed_file_that_is_cut_short_gives_what_it_has_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl.gz"
    data = gzip.compress("".join(f"{line(str(n))}\n" for n in range(3_000)).encode())
    path.write_bytes(data[: len(data) // 2])
    found, rejects = read_all(FileSource(path))
    assert found[:100] == [str(n) for n in range(100)]
    assert rejects[-1].reason == "compression"
    path.write_bytes(data[: len(data) // 2] + b"garbage" * 50)
    found, rejects = read_all(FileSource(path))
    assert found[:100] == [str(n) for n in range(100)]
    assert rejects[-1].reason == "compression"


def test_an_endless_line_fills_no_memory(tmp_path: Path) -> None:
    splitter = LineSplitter()
    for _ in range(100):
        splitter.feed(b"x" * 100_000)
    assert len(splitter._partial) <= 1 << 20
    splitter.feed(b"\nshort\n")
    assert [entry for entry, _ in splitter.lines] == [None, b"short"]
    path = tmp_path / "c.jsonl"
    path.write_bytes(b"x" * 3_000_000 + b"\n" + line("a").encode())
    found, rejects = read_all(FileSource(path))
    assert found == ["a"]
    assert rejects[0].text.startswith(f"{path}:1 is longer than")


def test_following_a_file_takes_what_is_appended(tmp_path: Path) -> None:
    """G7: a reader that has met the end of the file never reads again."""
    path = tmp_path / "c.jsonl"
    path.write_text(line("a") + "\n")
    source = FileSource(path, follow=True, sleep=lambda _: None)

    def taken() -> list[str]:
        return [datagram.data.decode() for datagram in source.take(0.0).datagrams]

    assert taken() == ["a"]
    assert taken() == []
    with path.open("a") as file:
        file.write(line("b")[:20])
    assert taken() == []  # half a line is no line yet
    with path.open("a") as file:
        file.write(line("b")[20:] + "\n" + line("c") + "\n")
    assert taken() == ["b", "c"]
    path.rename(tmp_path / "c.jsonl.1")
    assert taken() == []  # between the two steps of a rotation
    path.write_text(line("d") + "\n")
    assert taken() == ["d"]
    path.write_text("")  # cut in place
    assert taken() == []
    with path.open("a") as file:
        file.write(line("e") + "\n")
    assert taken() == ["e"]
    assert not source.ended
    source.close()


def test_the_last_line_of_a_rotated_file_is_taken_even_without_its_newline(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text(line("a"))
    source = FileSource(path, follow=True, sleep=lambda _: None)
    assert source.take(0.0).datagrams == ()
    path.unlink()
    path.write_text(line("b") + "\n")
    assert [datagram.data for datagram in source.take(0.0).datagrams] == [b"a", b"b"]
    source.close()


@pytest.mark.parametrize("compressed", [False, True])
def test_it_goes_on_where_the_checkpoint_says(tmp_path: Path, compressed: bool) -> None:
    path = tmp_path / "c.jsonl"
    text = ("bad\n" + "".join(f"{line(str(n))}\n" for n in range(5_000))).encode()
    path.write_bytes(gzip.compress(text) if compressed else text)
    first = FileSource(path)
    taken = first.take(0.0)
    first.close()
    assert taken.position is not None
    found, _ = read_all(FileSource(path, position=taken.position))
    assert [datagram.data.decode() for datagram in taken.datagrams] + found == [str(n) for n in range(5_000)]
    another = tmp_path / "d.jsonl"
    another.write_text(line("x"))
    assert read_all(FileSource(another, position=taken.position))[0] == ["x"]
    assert read_all(FileSource(another, position="rubbish"))[0] == ["x"]


def test_standard_input_gives_what_has_arrived_and_ends_with_its_writer() -> None:
    read, write = os.pipe()
    saved = os.dup(0)
    os.dup2(read, 0)
    os.close(read)
    try:
        source = FileSource(None)
        assert not source.take(0.0)
        os.write(write, (line("a") + "\n").encode())
        assert [datagram.data for datagram in source.take(1.0).datagrams] == [b"a"]
        closing = threading.Timer(0.05, os.close, [write])
        closing.start()
        while not source.ended:
            source.take(1.0)
        closing.join()
    finally:
        os.dup2(saved, 0)
        os.close(saved)


@pytest.mark.parametrize("name", ["absent", "."])
def test_a_file_that_cannot_be_read_gets_one_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError, match="cannot read"):
        FileSource(tmp_path / name)
