import base64
import gzip
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoveler.replay import Replay, ReplayError


def line(t, data, remote="192.0.2.7:1094"):
    return json.dumps({"t": t, "remote": remote, "data": base64.b64encode(data).decode()}).encode() + b"\n"


def write(path, *lines):
    path.write_bytes(b"".join(lines))
    return str(path)


@pytest.fixture
def opened():
    """Opens captures and closes them again."""
    replays = []

    def open_(*args, **kwargs):
        replays.append(Replay(*args, **kwargs))
        return replays[-1]

    yield open_
    for replay in replays:
        replay.close()


def everything(replay, now=0.0, limit=100):
    found, reasons = [], {}
    while not replay.ended:
        burst, rejected = replay.take(limit, now)
        found += burst
        for reason, number in rejected.items():
            reasons[reason] = reasons.get(reason, 0) + number
    return found, reasons


@pytest.mark.parametrize("limit", [1, 7, 256])
def test_not_one_line_is_dropped(opened, tmp_path, limit):
    """Peer weakness G6: 104 of 5,000 lines delivered."""
    path = write(tmp_path / "c.jsonl", *(line(n, b"%d" % n) for n in range(5000)))
    found, rejected = everything(opened(path), limit=limit)
    assert [int(datagram) for datagram, _ in found] == list(range(5000))
    assert rejected == {}


def test_senders(opened, tmp_path):
    path = write(tmp_path / "c.jsonl", line(1, b"a"), line(2, b"b", "[::1]:5"))
    assert everything(opened(path))[0] == [(b"a", ("192.0.2.7", 1094)), (b"b", ("::1", 5))]


def test_bad_lines_are_counted_by_reason_and_stop_nothing(opened, tmp_path):
    """Peer weakness G23: a line without `remote` is a nil dereference."""
    path = write(
        tmp_path / "c.jsonl",
        line(1, b"a"),
        b'{"t": 1, "data": "eA=="}\n',
        b'{"t": 1, "remote": null, "data": "eA=="}\n',
        b'{"t": 1, "remote": "nonsense", "data": "eA=="}\n',
        b'{"t": 1, "remote": "1.2.3.4:5", "data": "x"}\n',
        b'{"t": 1, "remote": "1.2.3.4:5"}\n',
        b"not json\n",
        b"[1, 2]\n",
        b"\xff\xfe\n",
        b'{"t": 1, "remote": "\xff", "data": "eA=="}\n',
        b'{"t": 1, "remote": 1, "data": "\xff"}\n',
        '{"t": 1, "remote": "1.2.3.4:5", "data": "\u00e9"}\n'.encode(),
        b"\n",
        b"x" * 300_000 + b"\n",
        line(2, b"b"),
    )
    found, rejected = everything(opened(path))
    assert [datagram for datagram, _ in found] == [b"a", b"b"]
    assert rejected == {"no_remote": 2, "remote": 1, "base64": 2, "line": 7}


def test_the_last_line_needs_no_newline(opened, tmp_path):
    path = write(tmp_path / "c.jsonl", line(1, b"a"), line(2, b"b").rstrip())
    assert len(everything(opened(path))[0]) == 2


def test_it_goes_on_where_it_was(opened, tmp_path):
    path = write(tmp_path / "c.jsonl", *(line(n, b"%d" % n) for n in range(10)))
    replay = opened(path)
    first, _ = replay.take(4, 0)
    name, position = replay.place()
    assert name.startswith(path)
    rest, _ = everything(opened(path, position))
    assert [int(datagram) for datagram, _ in first + rest] == list(range(10))


def test_followed_it_waits_for_more(opened, tmp_path):
    """Peer weakness G7: after the end of the file nothing is ever read again."""
    path = tmp_path / "c.jsonl"
    write(path, line(1, b"a"))
    replay = opened(str(path), follow=True)
    assert [d for d, _ in replay.take(10, 0)[0]] == [b"a"]
    assert replay.take(10, 0) == ([], {})
    second = line(2, b"b")
    with path.open("ab") as file:
        file.write(second[:20])
    assert replay.take(10, 0) == ([], {}), "half a line is not a bad line"
    with path.open("ab") as file:
        file.write(second[20:] + line(3, b"c"))
    assert [d for d, _ in replay.take(10, 0)[0]] == [b"b", b"c"]
    assert not replay.ended
    assert replay.place().position == path.stat().st_size


def test_a_followed_file_that_is_cut_is_not_waited_for_in_vain(opened, tmp_path):
    path = tmp_path / "c.jsonl"
    write(path, line(1, b"a"), line(2, b"b"))
    replay = opened(str(path), follow=True)
    assert len(replay.take(10, 0)[0]) == 2
    assert replay.take(10, 0) == ([], {})
    write(path, line(3, b"c"))
    with pytest.raises(ReplayError, match="became shorter while it was followed; start again with --again"):
        replay.take(10, 0)


def test_a_followed_file_that_is_replaced_is_read_on_and_somebody_is_told(opened, tmp_path, caplog):
    path = tmp_path / "c.jsonl"
    write(path, line(1, b"a"))
    replay = opened(str(path), follow=True)
    assert len(replay.take(10, 0)[0]) == 1
    path.rename(tmp_path / "c.jsonl.1")
    assert replay.take(10, 0) == ([], {})
    assert not caplog.records, "somebody may be in the middle of it"
    write(path, line(3, b"c"))
    with (tmp_path / "c.jsonl.1").open("ab") as old:
        old.write(line(2, b"b"))
    assert [d for d, _ in replay.take(10, 0)[0]] == [b"b"]
    assert replay.take(10, 0) == ([], {})
    assert [record.getMessage() for record in caplog.records] == [
        f"! the capture {path} was replaced by another file, and the old one is still followed; "
        "restart to read the new one"
    ]
    caplog.clear()


def test_at_captured_speed(opened, tmp_path):
    path = write(tmp_path / "c.jsonl", line(1000.0, b"a"), line(1000.5, b"b"), line(1002.0, b"c"))
    replay = opened(path, captured_speed=True)
    assert replay.due(50.0)
    assert [d for d, _ in replay.take(10, 50.0)[0]] == [b"a"]
    assert not replay.due(50.4)
    assert replay.take(10, 50.4)[0] == []
    assert replay.due(50.5)
    assert [d for d, _ in replay.take(10, 50.6)[0]] == [b"b"]
    assert [d for d, _ in replay.take(10, 60.0)[0]] == [b"c"]
    assert replay.ended


def test_compressed(opened, tmp_path):
    path = tmp_path / "c.jsonl.gz"
    path.write_bytes(gzip.compress(b"".join(line(n, b"%d" % n) for n in range(100))))
    replay = opened(str(path))
    replay.take(30, 0)
    rest, _ = everything(opened(str(path), replay.place().position))
    assert [int(datagram) for datagram, _ in rest] == list(range(30, 100))
    path.write_bytes(path.read_bytes()[:-4])
    replay, got = opened(str(path)), []
    with pytest.raises(ReplayError, match="cannot be read further"):
        got.extend(datagram for _ in range(100) for datagram in replay.take(30, 0)[0])
    assert [int(datagram) for datagram, _ in got] == list(range(100)), "what can be read is given out first"


def test_a_capture_that_is_not_there(opened, tmp_path):
    with pytest.raises(ReplayError, match="cannot read the capture"):
        opened(str(tmp_path / "none"))
    with pytest.raises(ReplayError, match="cannot read the capture"):
        opened(str(tmp_path))


def test_a_dry_source_is_not_asked_again_and_again(opened, tmp_path):
    path = write(tmp_path / "c.jsonl", line(1, b"a"))
    replay = opened(path, follow=True)
    assert replay.due(0)
    replay.take(10, 0)
    assert not replay.due(0)
    replay.take(10, 0)
    assert not replay.due(0)


def test_a_pipe_is_not_waited_for(opened, monkeypatch):
    read, end = os.pipe()
    monkeypatch.setattr("shoveler.replay._STDIN", read)
    replay = opened("-", 500)
    assert replay.take(10, 0) == ([], {})
    os.write(end, line(1, b"a") + line(2, b"b")[:10])
    assert [d for d, _ in replay.take(10, 0)[0]] == [b"a"]
    os.write(end, line(2, b"b")[10:])
    os.close(end)
    assert [d for d, _ in replay.take(10, 0)[0]] == [b"b"]
    assert replay.ended
    os.close(read)


def test_a_capture_that_became_shorter(opened, tmp_path):
    path = write(tmp_path / "c.jsonl", line(1, b"a"))
    with pytest.raises(ReplayError, match="is shorter than what was taken of it before; use --again"):
        opened(path, 10_000)


@given(st.lists(st.binary(max_size=60)), st.booleans())
def test_whatever_a_capture_holds_is_read_or_counted(tmp_path_factory, rows, newline):
    path = tmp_path_factory.mktemp("replay") / "c.jsonl"
    content = b"\n".join(rows) + (b"\n" if newline else b"")
    path.write_bytes(content)
    replay = Replay(str(path))
    found, rejected = everything(replay)
    replay.close()
    lines = [row for row in content.split(b"\n") if row.strip()]
    assert len(found) + sum(rejected.values()) == len(lines)
    assert replay.place().position == len(content)
