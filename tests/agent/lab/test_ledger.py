from __future__ import annotations

from pathlib import Path

import pytest

from agent.lab.datagram import Access, Contents
from agent.lab.ledger import Datagram, Deed, Entry, Ledger, Overrun, decode, digest

ENTRIES: list[Entry] = [
    Deed(1.5, "wire-loss", "begin", "2 % of all datagrams are lost", "s07", 2.0, 5.0),
    Datagram(
        2.0,
        "wire-loss",
        "s07",
        "127.0.0.1:9",
        digest(b"x"),
        Contents("f", 99, "F", 7, 3, closes=[Access(4, "tag", "/f")]),
    ),
    Overrun(3.0, "s07", 12),
]


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "faults.jsonl")
    for entry in ENTRIES:
        ledger.write(entry)
    ledger.close()
    assert [decode(line) for line in (tmp_path / "faults.jsonl").read_bytes().splitlines()] == ENTRIES
    assert (tmp_path / "faults.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_full_disk_does_not_end_the_lab(caplog: pytest.LogCaptureFixture) -> None:
    ledger = Ledger(Path("/dev/full"))
    ledger.write(ENTRIES[0])
    ledger.close()
    assert "a line of the injector's log is lost" in caplog.text
    caplog.clear()
