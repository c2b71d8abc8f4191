"""The queue of an OSG shoveler, read. The items were encoded by Go's own encoding/gob (Go 1.19) from
`struct MessageStruct { Message []byte; Exchange string }`, the layout of segments is that of dque."""

import json

import pytest

from shoveler.cli import main
from shoveler.osg_queue import OsgQueueError, envelopes
from shoveler.replay import Replay

TYPE = "34ff810301010d4d65737361676553747275637401ff8200010201074d657373616765010a00010845786368616e6765010c000000"
SHORT = bytes.fromhex(
    TYPE + "40ff82013b7b2272656d6f7465223a223139322e302e322e313a35303030222c2276657273696f6e223a22322e332e30222c22"
    "64617461223a2250513d3d227d00"
)
LONG = bytes.fromhex(TYPE + "fe0136ff8201fe012c" + "78" * 300 + "01016500")
ENVELOPE = b'{"remote":"192.0.2.1:5000","version":"2.3.0","data":"PQ=="}'


def segment(directory, number, *entries):
    directory.mkdir(exist_ok=True)
    content = b"".join(len(entry).to_bytes(4, "little") + entry for entry in entries)
    (directory / f"{number:013d}.dque").write_bytes(content)


def test_what_waits_is_read_in_order_and_what_was_sent_is_not(tmp_path):
    segment(tmp_path / "queue", 2, LONG)
    segment(tmp_path / "queue", 1, SHORT, LONG, b"", SHORT)
    assert list(envelopes(tmp_path / "queue")) == [b"x" * 300, ENVELOPE, b"x" * 300]


def test_an_entry_that_was_cut_off_was_never_whole(tmp_path):
    segment(tmp_path / "queue", 1, SHORT)
    file = tmp_path / "queue/0000000000001.dque"
    file.write_bytes(file.read_bytes() + (500).to_bytes(4, "little") + b"cut")
    assert list(envelopes(tmp_path / "queue")) == [ENVELOPE]


@pytest.mark.parametrize("entry", [b"\x01", b"\xff", SHORT[:60], b"\x02\x02\x01", b"\x80" * 20])
def test_an_entry_of_something_else_is_told(tmp_path, entry):
    segment(tmp_path / "queue", 1, entry)
    with pytest.raises(OsgQueueError, match=r"0000000000001\.dque has an entry that is not a message"):
        list(envelopes(tmp_path / "queue"))


def test_the_command_writes_a_capture_that_a_shoveler_reads(tmp_path, capsys):
    segment(tmp_path / "queue", 1, SHORT, SHORT)
    out = tmp_path / "left.jsonl"
    assert main(["import-queue", str(tmp_path / "queue"), "--out", str(out)]) == 0
    assert "2 datagrams" in capsys.readouterr().err
    assert json.loads(out.read_text().splitlines()[0]) == {"t": 0.0, "remote": "192.0.2.1:5000", "data": "PQ=="}
    replay = Replay(str(out))
    assert replay.take(10, 0.0) == ([(b"=", ("192.0.2.1", 5000))] * 2, {})
    replay.close()
    assert main(["import-queue", str(tmp_path / "queue"), "--out", str(out)]) == 1, "it is not overwritten"
    assert main(["import-queue", str(tmp_path)]) == 1
    assert "is not the queue of an OSG shoveler" in capsys.readouterr().err
