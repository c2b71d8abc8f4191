"""What `tally-collector inspect` shows of captures, spools, local buses and checkpoints."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from collector.checkpoint import Transaction, open_checkpoint
from collector.correlate import Correlator
from collector.inspection import main
from collector.seen import SeenSet
from shoveler import envelope
from shoveler.bus import Outgoing, open_publisher, open_topology, parse_bus_address

START = bytes.fromhex("6b026a7b")
IDENT = b"=/root.1:77@se01.example.org\n&site=A&port=1094&inst=d1&pgm=xrootd&ver=v5"


def ident() -> bytes:
    return b"=\0" + (len(IDENT) + 12).to_bytes(2, "big") + START + b"\0\0\0\0" + IDENT


def f_stream(pseq: int, *records: bytes) -> bytes:
    window = bytes.fromhex("02010018") + len(records).to_bytes(4, "big") + bytes.fromhex("6b026a7b6b026a7d")
    window += (77).to_bytes(8, "big")
    body = b"".join((window, *records))
    return b"f" + bytes([pseq]) + (len(body) + 8).to_bytes(2, "big") + START + body


def opened(file_id: int, path: bytes) -> bytes:
    name = path + b"\0" * (8 - len(path) % 4)
    size = 20 + len(name)
    return (
        bytes([1, 1])
        + size.to_bytes(2, "big")
        + file_id.to_bytes(4, "big")
        + (9).to_bytes(8, "big")
        + b"\0\0\0\7"
        + name
    )


def closed(file_id: int) -> bytes:
    return b"\0\0\0\x20" + file_id.to_bytes(4, "big") + b"\0" * 24


def capture(path: Path, *datagrams: bytes) -> Path:
    lines = [
        json.dumps({"t": 1000.0 + n, "remote": "192.0.2.1:5000", "data": base64.b64encode(data).decode()})
        for n, data in enumerate(datagrams)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def shown(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main([str(argument) for argument in arguments]) == 0
    return capsys.readouterr().out


def objects(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[dict[str, Any]]:
    return [json.loads(line) for line in shown(capsys, *arguments, "--json").splitlines()]


STORY = (ident(), f_stream(0, opened(3, b"/a/b"), opened(4, b"/c/d")), f_stream(1, closed(3), closed(4)))


def test_a_capture_is_decoded_with_the_servers_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, capture(tmp_path / "c.jsonl", *STORY))
    assert "#1  1970-01-01 00:16:40.000000  192.0.2.1:5000  d1@se01.example.org:1094  map" in text
    assert "open  at=32  file_id=3  writable=False  size=9  user=7  path=/a/b" in text


def test_holes_and_repeats_in_a_sequence_are_marked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = capture(tmp_path / "c.jsonl", ident(), f_stream(254), f_stream(2), f_stream(2), f_stream(0))
    notes = [entry.get("sequence_note") for entry in objects(capsys, path)]
    assert notes == [
        None,
        None,
        "3 of class F missing after 254",
        "2 of class F again",
        "0 of class F is late, after 2",
    ]
    assert "--- 3 of class F missing after 254 ---" in shown(capsys, path)


def test_filters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = capture(tmp_path / "c.jsonl", *STORY, f_stream(2, opened(9, b"/e/f")))

    def numbers(*arguments: str) -> list[int]:
        return [entry["number"] for entry in objects(capsys, path, *arguments)]

    assert numbers("--stream", "=") == [1]
    assert numbers("--stream", "uf") == [2, 3, 4]
    assert numbers("--file", "9") == [4]
    assert numbers("--file", "/c/") == [2]
    assert numbers("--server", "d1@se01") == [1, 2, 3, 4]
    assert numbers("--server", "77", "--file", "3") == [2, 3]
    assert numbers("--server", "192.0.2.1") == [1, 2, 3, 4]
    assert numbers("--server", "192.0.2.2") == []


def test_following_a_file_shows_its_records_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    login = b"u\1\0\x2c\x6b\x02\x6a\x7b\0\0\0\x07xroot/al.1:77@h\n&I=4&y=&x=py"
    login = login[:2] + len(login).to_bytes(2, "big") + login[4:]
    other = login[:8] + b"\0\0\0\x08" + login[12:]
    path = capture(tmp_path / "c.jsonl", ident(), login, other, *STORY[1:])
    entries = objects(capsys, path, "--follow-file", "3")
    assert [entry["number"] for entry in entries] == [2, 4, 5]
    kinds = [record["record"] for entry in entries for record in entry["datagram"].get("records", [])]
    assert kinds == ["window", "open", "window", "close"]


def test_the_bytes_on_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = capture(tmp_path / "c.jsonl", b"\xff\x00bad")
    assert "000000  ff 00 62 61 64" in shown(capsys, path, "--hex")
    (entry,) = objects(capsys, path, "--hex")
    assert base64.b64decode(entry["data"]) == b"\xff\x00bad"
    assert entry["datagram"]["problems"] == ["unknown"]


def test_text_of_a_datagram_cannot_move_the_cursor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = capture(tmp_path / "c.jsonl", f_stream(0, opened(3, b"/a/\x1b[2J\xff")))
    text = shown(capsys, path)
    assert "\x1b" not in text
    assert "/a/" in text


def test_a_bad_line_is_named_and_the_rest_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = capture(tmp_path / "c.jsonl", ident())
    path.write_text("nonsense\n" + path.read_text())
    assert main([str(path), "--json"]) == 1
    out, err = capsys.readouterr()
    assert f"{path}:1 is not a captured datagram" in err
    assert len(out.splitlines()) == 1


def test_standard_input(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    read, write = os.pipe()
    os.write(write, capture(tmp_path / "c", *STORY).read_bytes())
    os.close(write)
    saved = os.dup(0)
    os.dup2(read, 0)
    try:
        assert len(objects(capsys, "-")) == 3
    finally:
        os.dup2(saved, 0)
        os.close(read)
        os.close(saved)


@pytest.mark.parametrize("in_tail", [True, False])
def test_a_spool(tmp_path: Path, capsys: pytest.CaptureFixture[str], in_tail: bool) -> None:
    from shoveler.spool.lock import SpoolLock
    from shoveler.spool.values import Books, Draft
    from shoveler.spool.writer import Spool

    lock = SpoolLock(tmp_path)
    spool = Spool(tmp_path, reserve=0, tail=in_tail)
    draft = Draft(arrived=1000.0)
    for data in STORY:
        draft.add("192.0.2.1:5000", data, "f", False)
    spool.commit(draft, Books())
    identifier = spool.generation
    entries = objects(capsys, tmp_path)
    spool.close()
    lock.close()
    assert [entry["id"] for entry in entries] == [f"{identifier}:{seq}" for seq in (1, 2, 3)]
    assert entries[0]["server"] == "d1@se01.example.org:1094"


def test_a_local_bus(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    address = parse_bus_address(str(tmp_path))
    topology = open_topology(address)
    topology.declare_exchange("shoveled-xrd")
    topology.declare_queue("q", exchange="shoveled-xrd")
    topology.close()
    publisher = open_publisher(address, exchange="shoveled-xrd", writer="spool")
    rows = [(f"spool:{n}", "192.0.2.1:5000", data) for n, data in enumerate(STORY, 1)]
    publisher.send([Outgoing(envelope.encode_batch(rows, "1"), "spool:1", content_type=envelope.BATCH)])
    publisher.outcomes(5.0)
    publisher.close()
    assert [entry["id"] for entry in objects(capsys, tmp_path)] == ["spool:1", "spool:2", "spool:3"]


def test_a_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    correlator, seen = Correlator(), SeenSet()
    correlator.feed(STORY[0], "192.0.2.1:5000", 1000.0)
    correlator.feed(STORY[1], "192.0.2.1:5000", 1001.0)
    for seq in (1, 2, 5):
        seen.add("spool", seq, 1000.0)
    checkpoint = open_checkpoint(tmp_path, "collector")
    puts, _ = correlator.changes()
    checkpoint.commit(Transaction(puts=puts, seen=seen.changes(1000.0)))
    state = json.loads(shown(capsys, tmp_path / "collector.db"))
    checkpoint.close()
    assert state["id"] == checkpoint.id
    assert state["seen"] == {"spool": {"runs": 2, "messages": 3, "newest": 5}}
    assert "/a/b" in json.dumps(state["state"])


def test_what_cannot_be_inspected_gets_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(sqlite3.connect(tmp_path / "other.db")) as db, db:
        db.execute("CREATE TABLE x (y)")
    db.close()
    for path, sentence in [
        (tmp_path / "absent", "cannot read"),
        (tmp_path, "neither a spool (no spool.db) nor a local bus"),
        (tmp_path / "other.db", "neither a spool nor a file of a local bus"),
    ]:
        assert main([str(path)]) == 1
        assert sentence in capsys.readouterr().err


def test_the_reader_going_away_ends_it_and_is_no_error(tmp_path: Path) -> None:
    """It has tens of thousands of lines to go, and is not heard to say so."""
    path = capture(tmp_path / "c.jsonl", *[ident()] * 20_000)
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "collector.cli", "inspect", str(path)]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False, timeout=600)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_hole_before_or_after_a_file_is_marked_in_its_story(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The datagram that shows the hole is not of the file; and the lost one may have been the file's close."""
    other = f_stream(5, opened(4, b"/c/d"))
    path = capture(
        tmp_path / "c.jsonl",
        ident(),
        f_stream(0, opened(3, b"/a/b")),
        f_stream(3, opened(9, b"/x")),
        f_stream(4, closed(3)),
    )
    entries = objects(capsys, path, "--follow-file", "3")
    assert [(entry["number"], entry.get("sequence_note")) for entry in entries] == [
        (2, None),
        (4, "2 of class F missing after 0"),
    ]
    path = capture(tmp_path / "d.jsonl", ident(), f_stream(0, opened(3, b"/a/b")), other)
    for filters in (("--follow-file", "3"), ("--file", "3")):
        assert shown(capsys, path, *filters).splitlines()[-1] == "--- 4 of class F missing after 0 ---"
    assert "missing" not in shown(capsys, path, "--stream", "=")


def test_a_story_without_names_in_the_stream_finds_its_user_by_the_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def message(code: bytes, number: int, dictid: int, text: bytes) -> bytes:
        return code + bytes([number]) + (12 + len(text)).to_bytes(2) + START + dictid.to_bytes(4) + text

    opening = bytes([1, 0, 0, 16]) + (3).to_bytes(4) + (9).to_bytes(8)
    path = capture(
        tmp_path / "c.jsonl",
        ident(),
        message(b"u", 1, 7, b"xroot/al.1:77@h\n&I=4"),
        message(b"u", 2, 8, b"xroot/bob.2:77@h\n&I=4"),
        message(b"d", 3, 3, b"xroot/al.1:77@h\n/a/b"),
        f_stream(0, opening, closed(3), bytes([4, 0, 0, 8, 0, 0, 0, 7]), bytes([4, 0, 0, 8, 0, 0, 0, 8])),
    )
    entries = objects(capsys, path, "--follow-file", "3")
    assert [entry["number"] for entry in entries] == [2, 4, 5]
    records = entries[-1]["datagram"]["records"]
    assert [record["record"] for record in records] == ["window", "open", "close", "disconnect"]


def test_brief_lines_say_what_is_in_a_datagram_and_fields_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = f_stream(3, opened(5, b"/store/f.root"))
    path = capture(tmp_path / "c.jsonl", ident(), f_stream(1, closed(4)), whole, whole[:-9], b"")
    with path.open("a") as file:
        file.write("nothing\n")
    assert main([str(path), "--json", "--brief", "--fields"]) == 1
    said = capsys.readouterr()
    assert said.err == ""
    broken, *lines = map(json.loads, said.out.splitlines())
    assert broken["reason"] == "line"
    assert "c.jsonl:6 is not a captured datagram" in broken["unreadable"]
    assert [line["what"].partition(":")[0] for line in lines[:3]] == [
        "A, port 1094, xrootd v5",
        "1 records",
        "1 records",
    ]
    assert lines[2]["sequence_note"] == "1 of class F missing after 1"
    assert (lines[2]["class"], lines[2]["seq"], lines[2]["files"], lines[2]["stream"]) == ("F", 3, [5], "f")
    assert [field[0] for field in lines[2]["fields"]] == ["Header", "Time of day", "Open"]
    assert lines[3]["problems"] == ["truncated", "record_size"]
    assert lines[4]["what"] == "empty: no bytes"
    assert "datagram" not in lines[0]


def test_brief_is_for_json(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main([str(tmp_path), "--brief"])


def test_servers_of_one_host_that_started_in_the_same_second_are_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = ident().replace(b"inst=d1", b"inst=d2").replace(b":77@", b":78@")
    lines = [
        json.dumps({"t": 1000.0, "remote": f"192.0.2.1:{port}", "data": base64.b64encode(data).decode()})
        for port, data in ((5000, ident()), (5001, other), (5000, f_stream(1)), (5001, f_stream(1)[:20]))
    ]
    path = tmp_path / "c.jsonl"
    path.write_text("\n".join(lines))
    main([str(path), "--json", "--brief"])
    named = [json.loads(line)["server"].partition("@")[0] for line in capsys.readouterr().out.splitlines()]
    assert named == ["d1", "d2", "d1", "d2"]
