"""``tally-collector status``: who has a checkpoint, what is in it, and what was set aside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from collector import cli
from collector.checkpoint import Chunk, Transaction, open_checkpoint
from collector.guard import Aside
from collector.quarantine import Quarantine, quarantine_path
from collector.sources import Datagram


def run(*arguments: str) -> int:
    return cli.main(["status", *arguments])


def test_a_collector_that_is_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = open_checkpoint(tmp_path, "collector")
    store.commit(Transaction(chunks=[Chunk(1, "records", "file.cms", ["a"], b"12345")]))
    assert run("--state", str(tmp_path)) == 0
    assert capsys.readouterr().out == (
        "collector: running\n"
        "  remembers 0 servers, 0 sessions, 0 open files; 0 records waiting for something late\n"
        "  outbox: 1 chunks, 5 bytes not yet cleared\n"
    )
    store.close()
    assert run("--state", str(tmp_path), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["running"], found["outbox_chunks"], found["id"]) == (False, 1, store.id)
    open_checkpoint(tmp_path, "collector").close()  # looking takes no lock that stays


def test_what_was_set_aside_waits_to_be_looked_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    open_checkpoint(tmp_path, "collector").close()
    path = quarantine_path(tmp_path, "collector")
    taken = Datagram(b"x", "192.0.2.1:1", 5.0, "spool", 1, "spool")
    Quarantine(path).keep([Aside("datagram", "KeyError: 'host'", "correlate/fast.py:7 in f", 5.0, taken)])
    assert run("--state", str(tmp_path)) == 1
    shown = capsys.readouterr().out
    assert "set aside: 1 datagram; the last for KeyError: 'host' at correlate/fast.py:7 in f" in shown
    assert f"tally-collector inspect {path}" in shown
    path.unlink()
    assert run("--state", str(tmp_path)) == 0


def test_a_checkpoint_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "collector.db").write_bytes(b"nonsense")
    assert run("--state", str(tmp_path)) == 1
    assert "cannot read the checkpoint" in capsys.readouterr().out


def test_no_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLY_COLLECTOR_STATE_DIR", str(tmp_path / "none"))
    assert run() == 2
    assert f"{tmp_path / 'none'} has no checkpoint" in capsys.readouterr().err
