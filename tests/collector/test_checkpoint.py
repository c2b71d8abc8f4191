"""The checkpoint: one transaction for everything, a lock, and refusals in one sentence."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from collector.checkpoint import (
    Checkpoint,
    CheckpointBusyError,
    CheckpointFullError,
    CheckpointUnusableError,
    Chunk,
    NoCheckpoint,
    Transaction,
    check_shards,
    open_checkpoint,
)
from collector.seen import KNOWN, REUSED, SeenSet
from shoveler.service import Progress

TWO = Chunk(1, "records", "file.cms", ("r1", "r2"), b'{"record_id":"r1"}\n{"record_id":"r2"}')
ONE = Chunk(2, "cache", "cache.none", ("c1",), b'{"record_id":"c1"}')


def test_everything_of_a_transaction_is_there_after_a_restart(tmp_path: Path) -> None:
    first = open_checkpoint(tmp_path, "queue")
    seen = SeenSet()
    for seq in (1, 2, 3, 7):
        seen.add("spool", seq, 100.0)
    first.commit(
        Transaction(puts=[(b"a", b"1"), (b"b", b"2")], chunks=[TWO, ONE], seen=seen.changes(100.0), position="here")
    )
    first.commit(Transaction(puts=[(b"b", b"3")], deletes=[b"a"]))
    first.close()

    again = open_checkpoint(tmp_path, "queue")
    restored = SeenSet()
    again.restore_seen(restored)
    assert list(again.state()) == [(b"b", b"3")]
    assert [chunk._replace(ids=tuple(chunk.ids)) for chunk in again.outbox()] == [TWO, ONE]
    assert (again.id, again.next_chunk, again.position) == (first.id, 3, "here")
    assert [restored.add("spool", seq, 100.0) for seq in (2, 4, 7, 8)] == [False, True, False, True]
    again.close()


def test_the_records_of_each_stream_are_counted_over_restarts(tmp_path: Path) -> None:
    first = open_checkpoint(tmp_path, "queue")
    assert first.sent == {}
    first.commit(Transaction(chunks=[TWO._replace(at=0), ONE._replace(at=0)]))
    first.commit(Transaction(chunks=[TWO._replace(number=3, at=2)], cleared=2))
    assert first.sent == {"records": 4, "cache": 1}
    first.close()
    again = open_checkpoint(tmp_path, "queue")
    assert (again.sent, [chunk.at for chunk in again.outbox()]) == ({"records": 4, "cache": 1}, [2])
    again.close()


FIRST_LAYOUT = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE state (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE seen (spool TEXT, lo INTEGER, hi INTEGER NOT NULL, PRIMARY KEY (spool, lo)) WITHOUT ROWID;
CREATE TABLE spool (name TEXT PRIMARY KEY, used REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE outbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    stream TEXT NOT NULL, routing_key TEXT NOT NULL, ids TEXT NOT NULL, body BLOB NOT NULL
);
PRAGMA user_version = 1;
INSERT INTO meta VALUES ('id', '00ab'), ('created', '1');
INSERT INTO seen VALUES ('spool', 1, 7);
INSERT INTO spool VALUES ('spool', 100.0);
"""


def test_the_first_layout_is_taken_over(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "queue.db")) as db:
        db.executescript(FIRST_LAYOUT)
    for _ in range(2):
        checkpoint = open_checkpoint(tmp_path, "queue")
        seen = SeenSet()
        checkpoint.restore_seen(seen)
        assert (checkpoint.id, seen.progress()) == ("00ab", {"spool": Progress(seen_upto=7)})
        checkpoint.close()


def test_what_is_known_of_a_spool_is_there_after_a_restart(tmp_path: Path) -> None:
    first = open_checkpoint(tmp_path, "queue")
    seen = SeenSet(max_runs=10)
    for seq in range(1, 41, 2):
        seen.add("spool", seq, 100.0, seq)
    first.commit(Transaction(seen=seen.changes(100.0)))
    told = seen.progress()
    first.close()
    again = open_checkpoint(tmp_path, "queue")
    restored = SeenSet()
    again.restore_seen(restored)
    assert restored.progress() == told
    assert told["spool"].since > 1
    assert [restored.add("spool", 39, 100.0, content) for content in (39, 40)] == [KNOWN, REUSED]
    again.close()


def test_clearing_takes_what_is_published_and_no_number_comes_twice(tmp_path: Path) -> None:
    first = open_checkpoint(tmp_path, "queue")
    first.commit(Transaction(chunks=[TWO, ONE]))
    first.commit(Transaction(cleared=1))
    assert [chunk.number for chunk in first.outbox()] == [2]
    first.commit(Transaction(cleared=2))
    first.close()
    again = open_checkpoint(tmp_path, "queue")
    assert (again.outbox(), again.next_chunk) == ([], 3)
    again.close()


def test_each_file_has_an_id_of_its_own(tmp_path: Path) -> None:
    one, two = open_checkpoint(tmp_path, "shard-0-of-2"), open_checkpoint(tmp_path, "shard-1-of-2")
    assert one.id != two.id
    one.close()
    two.close()


def test_a_second_collector_gets_one_clear_sentence(tmp_path: Path) -> None:
    first = open_checkpoint(tmp_path, "queue")
    with pytest.raises(CheckpointBusyError, match=rf"in use by process {os.getpid()}; stop that collector"):
        open_checkpoint(tmp_path, "queue")
    first.close()
    open_checkpoint(tmp_path, "queue").close()  # and it can go on once the first has ended


def test_the_lock_of_a_killed_collector_is_free(tmp_path: Path) -> None:
    script = (
        "import sys, time, pathlib\nfrom collector.checkpoint import *\n"
        "c = open_checkpoint(pathlib.Path(sys.argv[1]), 'queue')\n"
        "c.commit(Transaction(puts=[(b'k', b'v')]))\nprint('ready', flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        with pytest.raises(CheckpointBusyError, match=f"process {process.pid}"):
            open_checkpoint(tmp_path, "queue")
        process.send_signal(signal.SIGKILL)
    checkpoint = open_checkpoint(tmp_path, "queue")
    assert list(checkpoint.state()) == [(b"k", b"v")]
    checkpoint.close()


def test_a_full_disk_writes_nothing_and_the_same_transaction_goes_through_later(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(tmp_path, "queue")
    checkpoint.commit(Transaction(puts=[(b"k", b"old")]))
    limit_pages(checkpoint, extra=4)
    large = Transaction(puts=[(b"k", b"new")], chunks=[TWO._replace(body=b"x" * 2_000_000)])
    with pytest.raises(CheckpointFullError, match="full"):
        checkpoint.commit(large)
    assert (list(checkpoint.state()), checkpoint.outbox(), checkpoint.next_chunk) == ([(b"k", b"old")], [], 1)
    limit_pages(checkpoint, extra=1_000)
    checkpoint.commit(large)
    assert (list(checkpoint.state()), checkpoint.next_chunk) == ([(b"k", b"new")], 2)
    checkpoint.close()


def test_a_transaction_that_fails_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = open_checkpoint(tmp_path, "queue")
    seen = SeenSet()
    seen.add("spool", 1, 100.0)
    half = Transaction(puts=[(b"k", b"new")], seen=seen.changes(100.0), position="there")

    def breaks(_seen: object) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "_write_seen", breaks)
        with pytest.raises(CheckpointFullError, match="disk I/O error"):
            checkpoint.commit(half)
    assert list(checkpoint.state()) == []
    checkpoint.commit(half)
    assert list(checkpoint.state()) == [(b"k", b"new")]
    checkpoint.close()


def limit_pages(checkpoint: Checkpoint, extra: int) -> None:
    """SQLite's own full disk: no more than so many pages beyond the present ones."""
    pages = checkpoint._db.execute("PRAGMA page_count").fetchone()[0]
    checkpoint._db.execute(f"PRAGMA max_page_count={pages + extra}")


def test_a_newer_file_is_declined(tmp_path: Path) -> None:
    open_checkpoint(tmp_path, "queue").close()
    with closing(sqlite3.connect(tmp_path / "queue.db")) as db, db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(CheckpointUnusableError, match="written by a newer tally-collector"):
        open_checkpoint(tmp_path, "queue")


def test_a_damaged_file_is_named_and_the_lock_released(tmp_path: Path) -> None:
    (tmp_path / "queue.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(CheckpointUnusableError, match=r"queue\.db cannot be used .*not a database"):
        open_checkpoint(tmp_path, "queue")
    (tmp_path / "queue.db").unlink()
    open_checkpoint(tmp_path, "queue").close()


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointUnusableError, match=r"state directory .*file/state cannot be used"):
        open_checkpoint(tmp_path / "file" / "state", "queue")


def test_another_number_of_shards_is_refused(tmp_path: Path) -> None:
    open_checkpoint(tmp_path, "shard-3-of-8").close()
    check_shards(tmp_path, 8)
    with pytest.raises(CheckpointUnusableError, match="made for 8 shards, not 16"):
        check_shards(tmp_path, 16)


def test_state_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    open_checkpoint(tmp_path / "state", "queue").close()
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0


def test_without_a_checkpoint_the_state_is_remembered_and_the_numbers_go_on() -> None:
    """The state is wanted again when the core fails."""
    nothing = NoCheckpoint()
    nothing.commit(Transaction(puts=[(b"a", b"1"), (b"b", b"1")], chunks=[TWO, ONE]))
    nothing.commit(Transaction(deletes=[b"a"]))
    assert (list(nothing.state()), nothing.outbox(), nothing.next_chunk) == ([(b"b", b"1")], [], 3)


def test_it_is_for_its_owner_alone_also_in_a_directory_for_everybody(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    checkpoint = open_checkpoint(tmp_path, "queue")
    checkpoint.commit(Transaction(puts=[(b"a", b"1")]))
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    checkpoint.close()
    assert modes == dict.fromkeys(("queue.db", "queue.db-shm", "queue.db-wal", "queue.db.lock"), 0o600)


def test_a_directory_in_its_place_is_refused_and_the_lock_is_free_again(tmp_path: Path) -> None:
    (tmp_path / "queue.db").mkdir()
    with pytest.raises(
        CheckpointUnusableError, match=r"queue\.db cannot be used \(Is a directory\); check the directory"
    ):
        open_checkpoint(tmp_path, "queue")
    (tmp_path / "queue.db").rmdir()
    open_checkpoint(tmp_path, "queue").close()


@pytest.mark.parametrize("table", ["state", "outbox", "seen"])
def test_a_damaged_file_is_refused_in_one_sentence(table: str, tmp_path: Path) -> None:
    first = open_checkpoint(tmp_path, "queue")
    first.commit(Transaction(puts=[(b"a", b"1")], chunks=[ONE]))
    first.close()
    path = tmp_path / "queue.db"
    db = sqlite3.connect(path)
    (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    (size,) = db.execute("PRAGMA page_size").fetchone()
    db.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    again = open_checkpoint(tmp_path, "queue")
    with pytest.raises(
        CheckpointUnusableError, match=r"queue\.db cannot be used \(.*\); check the directory .* or move"
    ):
        list(again.state()), again.outbox(), again.restore_seen(SeenSet())
    again.close()
