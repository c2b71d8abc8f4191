import contextlib
import errno
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest

from shoveler.service import Drop, Position, Refusal, ShovelerSender
from shoveler.spool import accounts, room, writer
from shoveler.spool.blocks import encode_block
from shoveler.spool.errors import SpoolError, SpoolFullError
from shoveler.spool.reader import SpoolReader
from shoveler.spool.reserve import Reserve
from shoveler.spool.tail import decode, of_epoch
from shoveler.spool.values import OTHERS, Audit, Books, Draft, Input
from shoveler.spool.writer import Spool

A, B = "192.0.2.7:1094", "[2001:db8::1]:1095"


def draft(*datagrams, remote=A, arrived=1000.0):
    made = Draft(arrived=arrived)
    for datagram in datagrams:
        made.add(*(datagram if isinstance(datagram, tuple) else (remote, datagram)), "f", False)  # type: ignore[call-arg]
    return made


@pytest.fixture(params=[True, False], ids=["tail", "database"])
def spool(request, tmp_path):
    """Small transactions go into the tail first, large ones into the database; what holds, holds for both."""
    with Spool(tmp_path, reserve=0, tail=request.param, clock=lambda: 5000.0) as opened:
        yield opened


only_database = pytest.mark.parametrize("spool", [False], indirect=True)


@pytest.fixture
def reader(spool, tmp_path):
    opened = SpoolReader(tmp_path)
    yield opened
    opened.close()


def put(spool, *datagrams, **kwargs):
    spool.commit(draft(*datagrams, **kwargs), Books())


def datagrams(reader, after=0):
    return [(block.first + i, d) for block in reader.blocks(after, 1 << 30) for i, d in enumerate(block.datagrams)]


# ---------------------------------------------------------------- taking and confirming


def test_what_is_taken_can_be_read_in_order(spool, reader):
    put(spool, b"one", b"two")
    put(spool, (B, b"three"), (A, b"four"), arrived=1001.0)
    first, second = reader.blocks(0, 1 << 30)
    assert (first.first, first.last, first.arrived, first.datagrams) == (1, 2, 1000.0, [b"one", b"two"])
    assert (second.first, second.last, second.remotes, second.senders) == (3, 4, [B, A], [0, 1])
    assert reader.blocks(2, 1 << 30) == [second]
    assert reader.blocks(4, 1 << 30) == []
    assert reader.oldest() == 1000.0


def test_reading_stops_after_so_many_bytes(spool, reader):
    for _ in range(5):
        put(spool, b"x" * 1000)
    assert len(reader.blocks(0, 2500)) == 3
    assert len(reader.blocks(0, 1)) == 1


def test_confirmed_datagrams_leave_and_are_counted(spool, reader):
    put(spool, (A, b"1"), (B, b"2"))
    put(spool, (A, b"3"))
    put(spool, (B, b"4"))
    spool.commit(None, Books(confirmed_upto=3))
    assert datagrams(reader) == [(4, b"4")]
    assert reader.audit() == Audit(received=4, confirmed=3, spooled=1)
    assert reader.senders() == {
        A: ShovelerSender(received=2, bytes=2, by_code={"f": 2}, spooled=0, confirmed=2),
        B: ShovelerSender(received=2, bytes=2, by_code={"f": 2}, spooled=1, confirmed=1),
    }
    spool.commit(None, Books(confirmed_upto=4))
    assert reader.oldest() is None
    assert spool.size == 0


def test_a_block_leaves_whole_or_not_at_all(spool, reader):
    put(spool, b"1", b"2", b"3")
    spool.commit(None, Books(confirmed_upto=2))
    assert reader.audit() == Audit(3, 0, 3)


def test_confirming_twice_counts_once(spool, reader):
    put(spool, b"1")
    for _ in range(2):
        spool.commit(None, Books(confirmed_upto=1))
    assert reader.audit() == Audit(1, 1, 0)


def test_block_and_books_in_one_transaction(spool, reader):
    put(spool, b"1")
    books = Books(confirmed_upto=1, drops=[Drop(listen="h:1", t_from=1.0, t_to=2.0, count=5)], sockets={"s": 5})
    books.reject(A, "short")
    books.reject(A, "short")
    books.of(B).returned = 3
    spool.commit(draft(b"2"), books)
    totals, size = reader.totals()
    assert (totals.received, totals.confirmed, totals.rejected, totals.returned, totals.kernel_drops) == (2, 1, 2, 3, 5)
    assert size == spool.size > 0
    assert reader.senders()[A].rejected == {"short": 2}
    assert spool.totals == totals


@pytest.mark.parametrize(("synchronous", "level"), [("off", 0), ("normal", 1), ("full", 2)])
def test_when_to_wait_for_the_disk(tmp_path, synchronous, level):
    with Spool(tmp_path, reserve=0, synchronous=synchronous) as spool:
        assert spool._db.execute("PRAGMA synchronous").fetchone() == (level,)
        assert spool._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


class Disk:
    """Stands in for fdatasync: notes what each file had when it was synced, and lets a test wait for it."""

    def __init__(self):
        self.syncs = []
        """(time, name of the file, all of it)"""
        self._more = threading.Condition()
        self.trouble = None

    def __call__(self, descriptor):
        if self.trouble is not None:
            raise self.trouble
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        with self._more:
            self.syncs.append((time.monotonic(), path.name, path.read_bytes()))
            self._more.notify_all()

    def rounds(self):
        """The files are synced together; the tail last."""
        return [when for when, name, _ in self.syncs if name == "spool.tail"]

    def wait(self, rounds):
        with self._more:
            assert self._more.wait_for(lambda: len(self.rounds()) >= rounds, 10.0), "it was never synced"


def test_what_is_taken_is_on_the_disk_within_a_second(tmp_path):
    """It was synced 0 times in 30 s at 20 datagrams a second."""
    disk = Disk()
    with Spool(tmp_path, reserve=0, sync=disk) as spool:
        for number in range(3):
            put(spool, b"%d" % number)
            taken = time.monotonic()
            disk.wait(number + 1)
            assert disk.rounds()[-1] - taken < 1.0
        assert len(disk.rounds()) == 3, "none without anything new"
        assert [name for _, name, _ in disk.syncs] == ["spool.db-wal", "spool.tail"] * 3


def test_with_full_what_is_taken_is_on_the_disk_before_it_counts(tmp_path):
    disk = Disk()
    with Spool(tmp_path, reserve=0, synchronous="full", sync=disk) as spool:
        for number in range(3):
            put(spool, b"%d" % number)
            assert len(disk.rounds()) == number + 1
        assert len(of_epoch(disk.syncs[-1][2], spool._epoch)[0]) == 3


@pytest.mark.parametrize("synchronous", ["off", "full"])
def test_others_are_not_synced_beside(tmp_path, synchronous):
    with Spool(tmp_path, reserve=0, synchronous=synchronous) as spool:
        put(spool, b"1")
        assert spool._syncer is None


def test_a_disk_that_cannot_be_synced_is_said(tmp_path, caplog):
    disk = Disk()
    disk.trouble = OSError(5, "Input/output error")
    with Spool(tmp_path, reserve=0, sync=disk) as spool:
        put(spool, b"1")
        deadline = time.monotonic() + 10
        while not caplog.records:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert f"! {spool.path}-wal cannot be brought to the disk: Input/output error" in caplog.text
        caplog.clear()


def after_the_cut(tmp_path, left):
    """What a spool of these files has: (SEQ of the newest, SEQs that lie there)."""
    directory = tmp_path / "cut"
    directory.mkdir()
    for name, content in left.items():
        (directory / name).write_bytes(content)
    with Spool(directory, reserve=0) as spool:
        reader = SpoolReader(directory)
        kept = [seq for seq, _ in datagrams(reader)]
        assert reader.audit().exact
        reader.close()
        put(spool, b"goes on")
        last = spool.last - 1
    shutil.rmtree(directory)
    return last, kept


@pytest.mark.parametrize("tail", [True, False], ids=["tail", "database"])
def test_a_power_cut_loses_only_what_was_not_synced(tmp_path, tail):
    """Cut the file at every length that was synced, and at others: what was taken before a sync is there, in order."""
    live = tmp_path / "live"
    live.mkdir()
    disk, synced, cut = Disk(), [], "spool.tail" if tail else "spool.db-wal"
    with Spool(live, reserve=0, tail=tail, sync=disk) as spool:
        database = spool.path.read_bytes()
        for number in range(4):
            for part in range(5):
                put(spool, b"%d.%d" % (number, part) * 50)
            disk.wait(number + 1)
            synced.append((next(len(all_) for _, name, all_ in reversed(disk.syncs) if name == cut), spool.last))
        assert spool.path.read_bytes() == database, "the WAL was not copied, and is all there is"
        left = {name: (live / name).read_bytes() for name in ("spool.db", "spool.db-wal", "spool.tail")}
    whole = left[cut]
    for length in sorted({size for size, _ in synced} | set(range(0, len(whole), max(1, len(whole) // 60)))):
        last, kept = after_the_cut(tmp_path, left | {cut: whole[:length]})
        assert kept == list(range(1, last + 1))
        assert last >= max((seq for size, seq in synced if size <= length), default=0)


def test_a_power_cut_in_between_the_two_files(tmp_path, monkeypatch):
    """They are synced one after the other, and the system may write either earlier than the other."""
    monkeypatch.setattr(writer, "_TAIL_MAX", 900)  # so that they take turns often
    monkeypatch.setattr(writer, "_TAIL_OBSOLETE", 3000)
    live = tmp_path / "live"
    live.mkdir()
    disk, taken, removed = Disk(), [], []
    with Spool(live, reserve=0, sync=disk) as spool:
        database = spool.path.read_bytes()
        for number in range(6):
            for part in range(3):
                spool.commit(draft(b"%d.%d" % (number, part) * 30), Books(confirmed_upto=max(0, spool.last - 4)))
            taken.append(spool.last)
            removed.append(spool.last - spool.spooled)
            disk.wait(number + 1)
        assert spool.path.read_bytes() == database
        assert spool._tail.written > spool._tail.size, "it was cut off, too"
    contents = {name: [all_ for _, n, all_ in disk.syncs if n == name] for name in ("spool.db-wal", "spool.tail")}
    for one, wal in enumerate(contents["spool.db-wal"]):
        for other, tail in enumerate(contents["spool.tail"]):
            if abs(one - other) > 1:
                continue  # one is not synced twice without the other
            last, kept = after_the_cut(tmp_path, {"spool.db": database, "spool.db-wal": wal, "spool.tail": tail})
            synced = min(one, other)
            assert last >= taken[synced]
            assert kept == list(range(kept[0], last + 1))
            assert kept[0] <= removed[-1] + 1


@pytest.mark.parametrize("kept", [0, 1, 3], ids=lambda kept: f"{kept}-frames")
def test_a_power_cut_that_takes_only_what_the_tail_kept_leaves_true_books(tmp_path, monkeypatch, caplog, kept):
    """The system wrote the WAL and not yet the frames that the same transaction left to the tail. Those datagrams were
    in the books for ever: nothing could confirm them, and no drain ended."""
    monkeypatch.setattr(writer, "_TAIL_AGE", 0.0)  # each transaction goes into the database
    live, cut = tmp_path / "live", tmp_path / "cut"
    live.mkdir()
    cut.mkdir()
    with Spool(live, reserve=0, sync=Disk(), clock=lambda: 1000.5) as spool:
        for number in range(6):
            put(spool, b"%d" % number, remote=A if number % 2 else B)
        spool.commit(None, Books(confirmed_upto=2))
        for name in ("spool.db", "spool.db-wal", "spool.tail"):
            (cut / name).write_bytes((live / name).read_bytes())
        epoch, others = spool._epoch, spool._tail.size - spool._tail_size
    data = (cut / "spool.tail").read_bytes()
    ends = [others, *(end for frame, end in decode(data) if frame.epoch == epoch)]
    assert len(ends) == 5, "four are not confirmed"
    (cut / "spool.tail").write_bytes(data[: ends[kept]])
    with Spool(cut, reserve=0) as spool:
        reader = SpoolReader(cut)
        assert reader.audit() == Audit(received=2 + kept, confirmed=2, spooled=kept)
        assert [seq for seq, _ in datagrams(reader)] == list(range(3, 3 + kept))
        (position,) = reader.positions().values()
        assert position == Position(first=1, received_upto=2 + kept, confirmed_upto=2)
        assert sum(sender.spooled for sender in reader.senders().values()) == kept
        assert f"= {4 - kept} datagrams that were taken right before the power cut are lost" in caplog.text
        put(spool, b"new")
        spool.commit(None, Books(confirmed_upto=spool.last))
        assert spool.spooled == 0
        assert reader.audit().exact
        reader.close()


def test_what_could_not_be_synced_is_taken_once_when_it_is_tried_again(tmp_path):
    disk = Disk()
    with Spool(tmp_path, reserve=0, synchronous="full", sync=disk) as spool:
        put(spool, b"1")
        reader = SpoolReader(tmp_path)
        assert len(datagrams(reader)) == 1
        disk.trouble = OSError(5, "Input/output error")
        with pytest.raises(SpoolFullError):
            put(spool, b"2")
        assert len(datagrams(reader)) == 1
        disk.trouble = None
        put(spool, b"2")
        put(spool, b"3")
        assert [data for _, data in datagrams(reader)] == [b"1", b"2", b"3"]
        reader.close()
        shutil.copytree(tmp_path, tmp_path.with_name("killed"))
    with Spool(tmp_path.with_name("killed"), reserve=0):
        reader = SpoolReader(tmp_path.with_name("killed"))
        assert [data for _, data in datagrams(reader)] == [b"1", b"2", b"3"]
        assert reader.audit().exact
        reader.close()


def test_the_tail_is_as_private_as_the_database(tmp_path):
    with Spool(tmp_path, reserve=0) as spool:
        (tmp_path / "spool.db").chmod(0o600)
        (tmp_path / "spool.tail").unlink()
    with Spool(tmp_path, reserve=0) as spool:
        put(spool, b"1")
        assert (tmp_path / "spool.tail").stat().st_mode & 0o777 == 0o600


def test_sequence_numbers_are_never_used_again(tmp_path):
    with Spool(tmp_path, reserve=0) as spool:
        put(spool, b"1", b"2", b"3")
        spool.commit(None, Books(confirmed_upto=3))
        name = spool.id
    with Spool(tmp_path, reserve=0) as spool:
        assert (spool.id, spool.last) == (name, 3)
        put(spool, b"4")
        assert spool.last == 4
        assert spool.totals.received == 4


def ids(reader):
    return [f"{block.generation}:{seq}" for block in reader.blocks(0, 1 << 30)
            for seq in range(block.first, block.last + 1)]  # fmt: skip


def test_each_start_has_ids_of_its_own_and_what_waits_keeps_those_it_has(tmp_path):
    with Spool(tmp_path, reserve=0) as spool:
        put(spool, b"1", b"2")
        put(spool, b"3")
        first = spool.generation
    with Spool(tmp_path, reserve=0) as spool:
        put(spool, b"4")
        second = spool.generation
        reader = SpoolReader(tmp_path)
        assert ids(reader) == [f"{first}:1", f"{first}:2", f"{first}:3", f"{second}:4"]
        assert reader.positions() == {
            first: Position(first=1, received_upto=3, confirmed_upto=0),
            second: Position(first=4, received_upto=4, confirmed_upto=3),
        }
        assert first != second
        reader.close()


def test_a_start_that_takes_nothing_is_no_generation(tmp_path):
    for number in (1, 2):
        with Spool(tmp_path, reserve=0) as spool:
            put(spool, b"%d" % number)
        with Spool(tmp_path, reserve=0):
            pass
    reader = SpoolReader(tmp_path)
    assert [generation.first for generation in reader.generations()] == [1, 2]
    reader.close()


@pytest.mark.parametrize("restored", ["after it was closed", "as it lay there while it was written"])
def test_a_restored_copy_gives_no_used_id_to_another_datagram(tmp_path, restored):
    """Copy, go on, restore, go on: 100 datagrams had ids that were used, and the collector dropped them as seen."""
    directory, copy = tmp_path / "spool", tmp_path / "copy"
    directory.mkdir()
    given = {}

    def go_on(spool, datagram):
        put(spool, datagram)
        reader = SpoolReader(directory)
        for name, (_, kept) in zip(ids(reader), datagrams(reader), strict=True):
            assert given.setdefault(name, kept) == kept, f"{name} names two datagrams"
        reader.close()

    with Spool(directory, reserve=0) as spool:
        go_on(spool, b"before")
        if restored != "after it was closed":
            shutil.copytree(directory, copy)
    if not copy.exists():
        shutil.copytree(directory, copy)
    with Spool(directory, reserve=0) as spool:
        for number in range(100):
            go_on(spool, b"lost in the restore %d" % number)
    shutil.rmtree(directory)
    shutil.copytree(copy, directory)
    with Spool(directory, reserve=0) as spool:
        for number in range(100):
            go_on(spool, b"after the restore %d" % number)
    assert len(given) == len(set(given.values())) == 201


def test_positions_say_what_is_confirmed_before_the_books_do(spool, reader):
    put(spool, b"1", b"2")
    put(spool, b"3")
    assert reader.positions() == {spool.generation: Position(first=1, received_upto=3, confirmed_upto=0)}
    assert reader.positions(2) == {spool.generation: Position(first=1, received_upto=3, confirmed_upto=2)}
    spool.commit(None, Books(confirmed_upto=3))
    assert reader.positions(2) == {spool.generation: Position(first=1, received_upto=3, confirmed_upto=3)}


def test_generations_that_are_confirmed_are_forgotten_beyond_a_number(tmp_path):
    with Spool(tmp_path, reserve=0) as spool:
        put(spool, b"waits")
    for number in range(80):
        with Spool(tmp_path, reserve=0) as spool:
            put(spool, b"%d" % number)
    reader = SpoolReader(tmp_path)
    assert len(reader.generations()) == 81, "of all of them something is still on its way"
    for number in range(3):
        with Spool(tmp_path, reserve=0) as spool:
            spool.commit(None, Books(confirmed_upto=81 + number))
            put(spool, b"%d" % number)
    assert [generation.first for generation in reader.generations()] == list(range(20, 85))
    reader.close()


OLD = """
CREATE TABLE spool (
    id TEXT NOT NULL, created REAL NOT NULL,
    received INTEGER NOT NULL, bytes INTEGER NOT NULL, confirmed INTEGER NOT NULL, returned INTEGER NOT NULL,
    rejected INTEGER NOT NULL, oversize INTEGER NOT NULL, kernel_drops INTEGER NOT NULL, size INTEGER NOT NULL
) STRICT;
CREATE TABLE blocks (
    last INTEGER PRIMARY KEY AUTOINCREMENT, count INTEGER NOT NULL, arrived REAL NOT NULL, size INTEGER NOT NULL,
    senders BLOB NOT NULL, body BLOB NOT NULL
) STRICT;
CREATE TABLE senders (
    remote TEXT PRIMARY KEY, received INTEGER NOT NULL, bytes INTEGER NOT NULL, confirmed INTEGER NOT NULL,
    returned INTEGER NOT NULL, oversize INTEGER NOT NULL, kernel_drops INTEGER NOT NULL,
    by_code TEXT NOT NULL, rejected TEXT NOT NULL, seen REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE sockets (name TEXT PRIMARY KEY, drops INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE input (name TEXT PRIMARY KEY, position INTEGER NOT NULL) STRICT, WITHOUT ROWID;
PRAGMA application_id = 0x54415350;
PRAGMA user_version = 1;
"""
"""The first format, as tally-shoveler 1 wrote it."""


def test_a_spool_of_the_first_format_is_read_on(tmp_path):
    body = encode_block([A], [0, 0], [b"5", b"6"])
    with contextlib.closing(sqlite3.connect(tmp_path / "spool.db")) as db:
        db.executescript("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;" + OLD)
        db.execute("INSERT INTO spool VALUES ('00ab', 1.5, 6, 6, 4, 0, 0, 0, 7, ?)", (len(body),))
        row = (6, 2, 9.0, len(body), msgspec.msgpack.encode({A: 2}), body)
        db.execute("INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?)", row)
        db.execute("INSERT INTO senders VALUES (?, 6, 6, 4, 0, 0, 7, '{\"f\":6}', '{}', 9.0)", (A,))
        db.commit()
    reader = SpoolReader(tmp_path)  # beside it, before its shoveler was started again
    assert ids(reader) == ["00ab:5", "00ab:6"]
    with Spool(tmp_path, reserve=0) as spool:
        assert (spool.id, spool.started, spool.last) == ("00ab", 1.5, 6)
        put(spool, b"7")
        assert ids(reader) == ["00ab:5", "00ab:6", f"{spool.generation}:7"]
        assert reader.audit() == Audit(7, 4, 3)
        assert reader.totals()[0].kernel_drops == 7
    reader.close()


def lost(t, count=1, listen="0.0.0.0:9993"):
    return Drop(listen=listen, t_from=t, t_to=t + 1, count=count)


def refused(t, sender=A, reason="disk_full", count=1):
    books = Books(refused_from=t, refused_to=t + 0.5)
    for _ in range(count):
        books.reject(sender, reason)
    return books


def test_what_was_lost_is_told_once_and_outlives_a_restart(tmp_path):
    with Spool(tmp_path, reserve=0) as spool:
        spool.commit(None, Books(drops=[lost(10.0, 3)], looked=11.0))
        spool.commit(None, Books(drops=[lost(11.0, 2)], fragments=[lost(12.0, 7, "")], looked=13.0))
        spool.commit(None, refused(11.0, count=2))
    with Spool(tmp_path, reserve=0) as spool:
        assert spool.looked == 13.0
        spool.commit(None, Books(drops=[lost(20.0)]))
        spool.commit(None, refused(12.0, count=2))
        spool.commit(None, refused(20.0))
        spool.commit(None, refused(20.1, B))
        assert spool.totals.kernel_drops == 6
    reader = SpoolReader(tmp_path)
    assert reader.drops() == [lost(10.0, 3), lost(11.0, 2), lost(20.0)]
    assert reader.fragments() == [lost(12.0, 7, "")]
    assert reader.refusals() == [
        Refusal(sender=A, reason="disk_full", t_from=11.0, t_to=12.5, count=4),
        Refusal(sender=A, reason="disk_full", t_from=20.0, t_to=20.5, count=1),
        Refusal(sender=B, reason="disk_full", t_from=20.1, t_to=20.6, count=1),
    ]
    reader.close()


def test_a_transaction_that_fails_tells_nothing(spool, reader, monkeypatch):
    put(spool, b"1")
    books = refused(1.0)
    books.confirmed_upto = 1

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(spool._tail, "append", full)
    monkeypatch.setattr(writer, "_REMOVE_BLOCKS", "no number")
    with pytest.raises(SpoolError):
        spool.commit(None, books)
    assert (reader.refusals(), reader.audit(), spool.spooled) == ([], Audit(1, 0, 1), 1)
    monkeypatch.undo()
    spool.commit(None, books)
    assert [one.count for one in reader.refusals()] == [1]
    assert reader.audit() == Audit(1, 1, 0)


@pytest.mark.parametrize(
    ("number", "said"),
    [(errno.ENOSPC, "its disk is full"), (errno.EDQUOT, "its disk is full"), (errno.EIO, os.strerror(errno.EIO))],
)
def test_the_tail_that_cannot_be_written_is_told_as_the_spool_itself_is(spool, monkeypatch, number, said):
    def refuse(_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(spool._tail, "append", refuse)
    with pytest.raises(SpoolFullError) as refused:
        put(spool, b"1")
    assert str(refused.value) == f"cannot use the spool {spool.path} for now: {said}"


def test_forged_senders_do_not_crowd_out_what_was_lost(spool, reader):
    spool.commit(None, Books(drops=[lost(1.0)]))
    for t in range(20):
        books = Books(refused_from=float(t), refused_to=t + 0.1)
        for n in range(1000):
            books.reject(f"192.0.2.{t}:{n}", "short")
        spool.commit(None, books)
    assert reader.drops() == [lost(1.0)]
    assert len(reader.refusals()) == 256
    assert reader.totals()[0].rejected == 20_000
    with contextlib.closing(sqlite3.connect(spool.path)) as db:
        assert db.execute("SELECT count(*) FROM intervals").fetchone() == (257,)


def test_every_spool_has_a_name_of_its_own(tmp_path):
    names = set()
    for n in range(5):
        (tmp_path / str(n)).mkdir()
        with Spool(tmp_path / str(n), reserve=0) as spool:
            names.add(spool.id)
    assert len(names) == 5


def test_the_place_in_an_input_file_is_written_with_its_datagrams(tmp_path):
    with Spool(tmp_path, reserve=0) as spool:
        assert spool.position("x") == 0
        made = draft(b"1")
        made.input = Input("x", 120)
        spool.commit(made, Books())
    with Spool(tmp_path, reserve=0) as spool:
        assert spool.position("x") == 120


def test_forged_senders_are_counted_together(spool, reader, monkeypatch):
    monkeypatch.setattr(accounts, "MAX_SENDERS", 3)
    for n in range(6):
        put(spool, b"x", remote=f"10.0.0.{n}:1")
    put(spool, b"x", remote="10.0.0.1:1")
    spool.commit(None, Books(confirmed_upto=7))
    senders = reader.senders()
    assert set(senders) == {"10.0.0.0:1", "10.0.0.1:1", "10.0.0.2:1", OTHERS}
    assert (senders[OTHERS].received, senders[OTHERS].confirmed) == (3, 3)
    assert senders["10.0.0.1:1"].confirmed == 2
    assert reader.audit().exact


# ---------------------------------------------------------------- crashes

CRASH = """
import sys
from pathlib import Path
from shoveler.spool.values import Books, Draft
from shoveler.spool.writer import Spool
spool = Spool(Path(sys.argv[1]), reserve=0)
confirmed = 0
while True:
    draft = Draft(arrived=1.0)
    for n in range(40):
        draft.add(f"10.0.0.{n % 7}:1", b"x" * 500, "f", False)
    confirmed = max(confirmed, spool.last - 200)
    spool.commit(draft, Books(confirmed_upto=max(confirmed, 0)))
    print(spool.last, flush=True)
"""


def test_killed_at_any_moment_the_books_balance(tmp_path):
    said = 0
    for n in range(8):
        with subprocess.Popen(
            [sys.executable, "-c", CRASH, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as process:
            for _ in range(3 + 17 * n):
                said = int(process.stdout.readline())
            time.sleep(0.0007 * n)
            process.send_signal(signal.SIGKILL)
            said = max([said, *map(int, process.stdout.read().split()[:-1])])
        reader = SpoolReader(tmp_path)
        audit = reader.audit()
        senders = reader.senders().values()
        assert audit.exact
        assert audit.received >= said, "what was said to be taken is there"
        assert sum(s.received for s in senders) == audit.received
        assert sum(s.confirmed for s in senders) == audit.confirmed
        assert [seq for seq, _ in datagrams(reader)] == list(range(audit.confirmed + 1, audit.received + 1))
        reader.close()


# ---------------------------------------------------------------- full disks

SMALL_FILES = """
import resource, sys
from pathlib import Path
from shoveler.spool.errors import SpoolFullError
from shoveler.spool.values import Books, Draft
from shoveler.spool.writer import Spool
spool = Spool(Path(sys.argv[1]), reserve=0)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
n = 0
try:
    while True:
        draft = Draft(arrived=1.0)
        draft.add("10.0.0.1:1", b"x" * 50_000, "f", False)
        spool.commit(draft, Books())
        n += 1
except SpoolFullError as error:
    again = None
    try:
        spool.commit(draft, Books())
    except SpoolFullError:
        again = "still full"
    print(n, spool.last, spool.totals.received, len(draft), again, error)
"""


def test_a_file_that_may_not_grow_says_so_and_loses_nothing(tmp_path):
    out = subprocess.run(
        [sys.executable, "-c", SMALL_FILES, str(tmp_path), str(2 << 20)], capture_output=True, text=True, check=True
    ).stdout
    n, last, received, kept, *rest = out.split(" ", 4)
    assert int(n) == int(last) == int(received) > 10
    assert kept == "1"
    assert rest[0].startswith("still full cannot use the spool ")
    reader = SpoolReader(tmp_path)
    assert reader.audit() == Audit(int(n), 0, int(n))
    reader.close()
    with Spool(tmp_path, reserve=0) as spool:  # no repair by hand
        put(spool, b"more")
        assert spool.last == int(n) + 1


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 24 MiB."""
    mount = tmp_path / "disk"
    mount.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", mount], check=False).returncode
    ):
        pytest.skip("mounting a small disk needs root")
    yield mount
    subprocess.run(["umount", "-l", mount], check=True)


def fill(spool):
    while True:
        put(spool, b"x" * 50_000)


def test_a_full_disk_is_emptied_by_publishing(small_disk):
    """Removing needs room, too: the reserve gives it, and room that became free is used again."""
    with Spool(small_disk, reserve=6 << 20) as spool:
        assert (small_disk / "reserve").stat().st_blocks * 512 >= 6 << 20
        with pytest.raises(SpoolFullError, match=r"spool.db for now: its disk is full$"):
            fill(spool)
        taken = spool.last
        assert taken > 50
        spool.tighten()
        assert spool.tight
        assert not (small_disk / "reserve").exists()
        assert not spool.fits(50_000)
        assert not spool.loosen(), "the disk has no room for the reserve"
        spool.commit(None, Books(confirmed_upto=taken // 2))
        assert spool.fits(50_000)
        extra = 0
        while spool.fits(50_000):
            put(spool, b"y" * 50_000)
            extra += 1
        assert extra > 20
        spool.commit(None, Books(confirmed_upto=spool.last))
        while spool.tidy():
            pass
        spool.commit(None, Books(drops=[Drop(listen="h:1", t_from=1.0, t_to=2.0, count=1)]))
    with Spool(small_disk, reserve=6 << 20) as spool:
        assert spool.totals.received == spool.totals.confirmed == taken + extra
        assert not spool.tight


def test_a_disk_that_the_spool_itself_has_filled_has_room_again_when_all_is_published(small_disk):
    """Else the spool would call the disk full for ever: the file keeps what it has."""
    with Spool(small_disk, reserve=6 << 20) as spool:
        with pytest.raises(SpoolFullError):
            fill(spool)
        spool.tighten()
        assert not spool.loosen()
        while spool.spooled:
            spool.commit(None, Books(confirmed_upto=spool.last))
        assert (small_disk / "spool.db").stat().st_size > 6 << 20, "its room is still in the file"
        assert spool.loosen()
        assert not spool.tight
        assert (small_disk / "reserve").stat().st_blocks * 512 >= 6 << 20
        put(spool, b"more")


class Wanting:
    """A reserve that lacks 2 MiB of the disk for ever, as somebody else takes what is given back."""

    size = 4 << 20

    def make(self):
        return False

    def lacking(self):
        return 2 << 20

    def give_up(self):
        pass


def pages(spool):
    return spool._db.execute("PRAGMA page_count").fetchone()[0]


def test_room_is_given_back_only_while_half_a_reserve_stays_in_the_file(tmp_path):
    """What is given back may be gone, and removing what is confirmed needs room, too."""
    with Spool(tmp_path, reserve=0, tail=False) as spool:
        for _ in range(8 * 20):
            put(spool, b"x" * 50_000)
        spool._room.reserve = Wanting()  # type: ignore[assignment]
        spool.tighten()
        for upto in range(1, spool.last + 1):
            spool.commit(None, Books(confirmed_upto=upto))
            free = spool._db.execute("PRAGMA freelist_count").fetchone()[0] * 8192
            # What is lacking beyond the WAL, which is given back, too, some room for the WAL, and half the reserve.
            needed = max(0, (2 << 20) - spool._room.wal_size()) + (1 << 20) + (2 << 20)
            before = pages(spool)
            assert not spool.loosen()
            if pages(spool) < before:
                break
        assert needed <= free < needed * 1.15
        assert spool.tight


def test_room_is_given_back_once_in_a_while_only(tmp_path):
    now = [1000.0]
    with Spool(tmp_path, reserve=0, tail=False, monotonic=lambda: now[0]) as spool:
        for _ in range(8 * 40):
            put(spool, b"x" * 50_000)
        spool._room.reserve = Wanting()  # type: ignore[assignment]
        spool.tighten()
        spool.commit(None, Books(confirmed_upto=spool.last))
        sizes = []
        for passes in (0, 29, 2):
            now[0] += passes
            assert not spool.loosen()
            sizes.append(pages(spool))
        assert sizes[0] == sizes[1] > sizes[2]


def test_so_it_has_when_the_room_is_in_the_wal(small_disk):
    """A reader that takes long, or a slow disk, lets the WAL grow; it keeps its length when it starts over."""
    with Spool(small_disk, reserve=6 << 20) as spool:
        put(spool, b"first")
        with contextlib.closing(sqlite3.connect(spool.path, isolation_level=None)) as slow:
            slow.execute("BEGIN")
            slow.execute("SELECT count(*) FROM blocks").fetchone()
            while (small_disk / "spool.db-wal").stat().st_size < 5 << 20:
                put(spool, b"x" * 50_000)
        with pytest.raises(SpoolFullError):
            fill(spool)
        assert (small_disk / "spool.db-wal").stat().st_size >= 5 << 20
        spool.tighten()
        assert not spool.loosen()
        while spool.spooled:
            spool.commit(None, Books(confirmed_upto=spool.last))
        assert spool.loosen()
        put(spool, b"more")


def test_a_reserve_is_only_made_where_there_is_ample_room(small_disk):
    assert not Reserve(small_disk / "r", 20 << 20).make()
    assert not (small_disk / "r").exists()
    reserve = Reserve(small_disk / "r", 8 << 20)
    assert reserve.make()
    assert reserve.make()
    reserve.give_up()
    reserve.give_up()
    assert Reserve(small_disk / "nowhere" / "r", 1).make() is False


def test_the_file_shrinks_again_after_an_outage(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "_SPARE", 1 << 20)
    with Spool(tmp_path, reserve=0) as spool:
        for _ in range(100):
            put(spool, b"x" * 100_000)
        spool.commit(None, Books(confirmed_upto=spool.last))
        turns = 0
        while spool.tidy():
            turns += 1
        assert 1 < turns < 6, "some MiB at a time"
        assert not spool.tidy()
    assert (tmp_path / "spool.db").stat().st_size < 2 << 20


def test_the_checkpointer_keeps_the_wal_small_and_loses_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "_WAL_MAX", 1 << 20)
    wal = tmp_path / "spool.db-wal"
    with Spool(tmp_path, reserve=0) as spool:
        largest, deadline = 0, time.monotonic() + 20
        while spool.written < 100 << 20 and time.monotonic() < deadline:
            put(spool, b"x" * 200_000)
            largest = max(largest, wal.stat().st_size)
        assert largest < 20 << 20 < spool.written / 4
        assert spool.totals.received == spool.last
    reader = SpoolReader(tmp_path)
    assert reader.audit().exact
    reader.close()


# ---------------------------------------------------------------- one writer, and files that are something else


def test_no_spool_there(tmp_path):
    with pytest.raises(SpoolError, match="there is no spool in"):
        SpoolReader(tmp_path)
    (tmp_path / "spool.db").touch()
    with pytest.raises(SpoolError, match="its shoveler never started"):
        SpoolReader(tmp_path)


def test_another_programs_database_is_left_alone(tmp_path):
    db = sqlite3.connect(tmp_path / "spool.db")
    db.execute("CREATE TABLE precious (x)")
    db.commit()
    db.close()
    for open_ in (lambda: Spool(tmp_path, reserve=0), lambda: SpoolReader(tmp_path)):
        with pytest.raises(SpoolError, match="is not a spool but another program's database"):
            open_()


def test_a_newer_format_is_declined(tmp_path):
    Spool(tmp_path, reserve=0).close()
    db = sqlite3.connect(tmp_path / "spool.db")
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(SpoolError, match=r"newer tally-shoveler \(format 99\)"):
        Spool(tmp_path, reserve=0)


def test_a_damaged_file_gets_a_sentence(tmp_path):
    """Peer weakness G24: a broken queue segment is a panic."""
    (tmp_path / "spool.db").write_bytes(b"not a database, " * 1000)
    with pytest.raises(SpoolError, match=r"is damaged .*: move the directory away"):
        Spool(tmp_path, reserve=0)


@only_database
def test_a_damaged_block_gets_a_sentence(spool, reader, tmp_path):
    put(spool, b"x")
    db = sqlite3.connect(tmp_path / "spool.db")
    db.execute("UPDATE blocks SET body = x'ff'")
    db.commit()
    db.close()
    with pytest.raises(SpoolError, match="is damaged"):
        reader.blocks(0, 1)


def test_readers_do_not_make_the_writer_wait(tmp_path):
    with Spool(tmp_path, reserve=0) as spool:
        for _ in range(20):
            put(spool, b"x" * 1000)
        reader = SpoolReader(tmp_path)
        cursor = reader._db.execute("SELECT last FROM blocks")
        cursor.fetchone()  # a read transaction is open
        put(spool, b"y")
        spool.commit(None, Books(confirmed_upto=spool.last))
        cursor.close()
        assert reader.audit() == Audit(21, 21, 0)
        reader.close()


def test_memory_stays_small_while_the_spool_grows(tmp_path):
    with Spool(tmp_path, reserve=0) as spool:
        put(spool, b"x")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(300):
            put(spool, *[b"x" * 900] * 256)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 40_000, f"{grown} kB more for 69 MB in the spool"


@only_database
def test_a_long_outage_is_removed_in_short_transactions(spool, reader, monkeypatch):
    monkeypatch.setattr(writer, "_REMOVE_BLOCKS", 3)
    for _ in range(8):
        put(spool, b"x")
    left = []
    upto = 7
    while upto:
        spool.commit(None, Books(confirmed_upto=upto))
        upto = spool.left_to_remove
        left.append((upto, reader.audit().spooled))
    assert left == [(7, 5), (7, 2), (0, 1)]


def test_senders_that_fell_silent_are_forgotten_once_nothing_of_theirs_is_left(tmp_path):
    now = [0.0]

    def reopened():
        return Spool(tmp_path, reserve=0, clock=lambda: now[0])

    with reopened() as spool:
        put(spool, (A, b"1"), (B, b"2"))
    now[0] += 40 * 86400
    with reopened() as spool:
        put(spool, (A, b"3"))
        reader = SpoolReader(tmp_path)
        assert set(reader.senders()) == {A, B}, "datagrams of both are in the spool"
        spool.commit(None, Books(confirmed_upto=3))
    now[0] += 20 * 86400
    with reopened() as spool:
        put(spool, (A, b"4"))
        spool.commit(None, Books(confirmed_upto=4))
    now[0] += 20 * 86400
    with reopened() as spool:
        assert set(reader.senders()) == {A}
        assert reader.audit() == Audit(4, 4, 0), "the totals stay"
    reader.close()


def test_counters_of_sockets_that_are_gone_are_forgotten(tmp_path):
    with Spool(tmp_path, reserve=0) as spool:
        spool.commit(None, Books(sockets={"boot:1": 5, "boot:2": 6}))
        spool.keep_sockets(["boot:2", "boot:3"])
        assert spool.sockets == {"boot:2": 6}
    with Spool(tmp_path, reserve=0) as spool:
        assert spool.sockets == {"boot:2": 6}
