"""The only writer of a spool: stores blocks and books in the tail or in the database."""

from __future__ import annotations

import logging
import os
import secrets
import sqlite3
import stat
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import msgspec

from shoveler.intervals import Row
from shoveler.service import ShovelerSender
from shoveler.spool.accounts import (
    JOIN_WITHIN,
    Seen,
    add_up,
    overlaid,
    sender_of,
    sender_row,
    still_told,
    totals_row,
    with_losses,
)
from shoveler.spool.blocks import encode_block
from shoveler.spool.checkpointer import Checkpointer, Syncer, Synchronous
from shoveler.spool.errors import SpoolError, explain
from shoveler.spool.format import (
    PAGE,
    SCHEMA,
    STEPS,
    TABLES,
    check_format,
    database,
    read_generations,
    read_intervals,
    read_senders,
)
from shoveler.spool.reserve import Reserve
from shoveler.spool.room import COMMIT_OVERHEAD, Room
from shoveler.spool.tail import BlockRow, Frame, Tail, file_of, of_epoch
from shoveler.spool.tail import encode as encode_frame
from shoveler.spool.values import OTHERS, Books, Draft, Generation, SpoolTotals

_log = logging.getLogger("shoveler.spool")

_SENDER_AGE = 30 * 86400.0
_REMOVE_BLOCKS = 512  # removed in one transaction, which must stay short
_TAIL_BLOCK = 16 * 2**10
"""Maximum size of a block that is appended to the tail; larger ones are worth their own transaction."""
_TAIL_MAX = 256 * 2**10
_TAIL_AGE = 10.0
_TAIL_SENDERS = 64
_TAIL_YOUNG = 2.0
"""Seconds within which the bus normally confirms."""
_TAIL_OBSOLETE = 4 * 2**20

_pack_counts = msgspec.msgpack.Encoder().encode
_unpack_counts = msgspec.msgpack.Decoder(dict[str, int]).decode
_Removed = tuple[int, int, bytes]


class Change(NamedTuple):
    """The effect of a transaction on the spool."""

    totals: SpoolTotals
    size: int
    last: int
    removed: int
    """Blocks up to this SEQ are removed."""
    from_database: bool
    """Some of them are in the database."""
    block: BlockRow | None
    senders: dict[str, Seen]
    intervals: dict[str, list[Row]]
    generations: list[Generation]
    left_to_remove: int


class Spool:
    """The only writer. Belongs to one thread, except for `Checkpointer`, which has its own connection."""

    def __init__(
        self,
        directory: Path,
        *,
        max_bytes: int = 10 * 2**30,
        reserve: int = 64 * 2**20,
        synchronous: Synchronous = "normal",
        background: bool = True,
        tail: bool = True,
        sync: Callable[[int], None] = os.fdatasync,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Opens or creates it; the caller holds the `SpoolLock`. Raises SpoolError; SpoolFullError when there is no
        room.

        `background`: with threads that copy the WAL and, with `synchronous` normal, have it on the disk within a second
        by `sync`. `tail`: small transactions are appended to the tail first.
        """
        self.path = database(directory)
        self.max_bytes = max_bytes
        self._clock = clock
        self._monotonic = monotonic
        self._reserve = Reserve(directory / "reserve", reserve)
        try:
            self._db = sqlite3.connect(self.path, isolation_level=None, timeout=30.0)
            try:
                self._open(synchronous)
            except BaseException:
                self._db.close()
                raise
        except sqlite3.Error as error:
            raise explain(error, self.path) from error
        self._synchronous = synchronous
        self._sync = sync
        self._use_tail = tail
        self._tail_size = 0
        """Bytes of the frames of this epoch, which follow those of older ones."""
        self._tail_since = 0.0
        self._tail_blocks: deque[BlockRow] = deque()
        self._only_database = False
        """The tail must not be continued: the next transaction goes to the database."""
        self._removed = 0
        self._unwritten_senders: set[str] = set()
        self._unwritten_sockets: dict[str, int] = {}
        self._unwritten_input: dict[str, int] = {}
        """What is in the tail and not in the database, besides the blocks."""
        self._obsolete_since = time.monotonic()
        """When the content of older epochs' frames was last written to the database."""
        self.left_to_remove = 0
        """Confirmed up to here, and not removed yet: goes into the books of the next commit."""
        try:
            self._tail = Tail(file_of(directory), stat.S_IMODE(self.path.stat().st_mode))
            self._take_back()
            if synchronous != "off":
                _sync_directory(directory)
        except OSError as error:
            raise SpoolError(f"the spool {file_of(directory)} cannot be used: {error.strerror}") from error
        self._checkpointer = Checkpointer(self.path, synchronous) if background else None
        wal = self.path.with_name(self.path.name + "-wal")
        self._syncer = Syncer([wal, self._tail.path], sync) if background and synchronous == "normal" else None
        self._room = Room(self._db, self.path, self._reserve, self._checkpointer, monotonic)
        if not self._reserve.make():
            _log.warning("= there is no room for the reserve of %d bytes beside the spool %s", reserve, self.path)
        try:
            self._strike_out_what_is_lost()
        except sqlite3.Error as error:
            raise explain(error, self.path) from error

    def _open(self, synchronous: Synchronous) -> None:
        db = self._db
        db.execute(f"PRAGMA page_size = {PAGE}")
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # so that the file shrinks again after an outage
        version = check_format(db, self.path)
        if not version:
            db.execute("PRAGMA journal_mode = WAL")
            spool_id = secrets.token_hex(8)
            db.executescript(f"BEGIN IMMEDIATE; {TABLES}")
            db.execute("INSERT INTO spool VALUES (?, ?, 0, 0, 0, 0, 0, 0, 0, 0)", (spool_id, self._clock()))
            db.execute("COMMIT")
        for step in range(version or 1, SCHEMA):
            self._convert(STEPS[step])
        db.execute(f"PRAGMA synchronous = {synchronous.upper()}")
        db.execute("PRAGMA wal_autocheckpoint = 0")
        # Debian's SQLite overwrites deleted data with zeros: every byte would be written once more to be removed.
        db.execute("PRAGMA secure_delete = OFF")
        db.execute("PRAGMA cache_size = -4096")
        self._forget_old_senders()
        db.execute("PRAGMA busy_timeout = 50")  # there is no other writer, and a slow reader must not stop us
        row = db.execute("SELECT * FROM spool").fetchone()
        self.id, self.started, *totals, self.size, self.looked, self.last, self._epoch = row
        """`last`: SEQ of the newest datagram ever taken."""
        self.totals = SpoolTotals(*totals)
        self._stored = bool(db.execute("SELECT EXISTS (SELECT 1 FROM blocks)").fetchone()[0])
        """Whether there are blocks in the database; those in the tail are in `_tail_blocks`."""
        self._senders = read_senders(db)
        self.generation = secrets.token_hex(8)
        """The word of the current generation; stored with its first datagram."""
        self._generations = read_generations(db)
        self._intervals = {kind: read_intervals(db, kind) for kind in JOIN_WITHIN}
        self._in_database = (self._generations, self._intervals)
        self.sockets: dict[str, int] = dict(db.execute("SELECT name, drops FROM sockets"))

    def _convert(self, step: str) -> None:
        """One step to a newer format, completely or not at all; on a full disk, in the space of the reserve."""
        try:
            self._db.executescript(f"BEGIN IMMEDIATE; {step} COMMIT;")
        except sqlite3.OperationalError:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            self._reserve.give_up()
            self._db.executescript(f"BEGIN IMMEDIATE; {step} COMMIT;")

    def _forget_old_senders(self) -> None:
        """Remove rows of senders that have been silent for long, only when no block can still refer to one."""
        self._db.execute(
            "DELETE FROM senders WHERE seen < ? AND (SELECT received = confirmed FROM spool)",
            (self._clock() - _SENDER_AGE,),
        )

    def keep_sockets(self, names: Iterable[str]) -> None:
        """Forget the drop counters of all other sockets: they are closed, and their names are never reused."""
        gone = self.sockets.keys() - set(names)
        try:
            self._db.executemany("DELETE FROM sockets WHERE name = ?", [(name,) for name in gone])
        except sqlite3.Error as error:
            raise explain(error, self.path) from error
        for name in gone:
            del self.sockets[name]
            self._unwritten_sockets.pop(name, None)

    @property
    def spooled(self) -> int:
        """Datagrams taken and not confirmed."""
        return self.totals.received - self.totals.confirmed

    def position(self, name: str) -> int:
        """How far the input file of this name has been taken."""
        if name in self._unwritten_input:
            return self._unwritten_input[name]
        row = self._db.execute("SELECT position FROM input WHERE name = ?", (name,)).fetchone()
        return row[0] if row else 0

    def start_over(self, name: str) -> None:
        """Forget how far an input file has been taken."""
        try:
            self._db.execute("DELETE FROM input WHERE name = ?", (name,))
            self._unwritten_input.pop(name, None)
        except sqlite3.Error as error:
            raise explain(error, self.path) from error

    def commit(self, draft: Draft | None, books: Books) -> None:
        """Store a block and the books in one transaction.

        When it raises SpoolFullError or SpoolError, nothing has changed: neither files, nor arguments, nor the counters
        here. After success the caller starts with a new draft and new books.
        """
        try:
            change = self._change(draft, books)
            if self._suits_the_tail(change):
                self._append(change, draft, books)
            else:
                self._write(change, draft, books)
        except (sqlite3.Error, OSError) as error:
            raise explain(error, self.path) from error
        self._room.freed = self._room.freed or bool(books.confirmed_upto)
        self._become(change)
        self.sockets.update(books.sockets)
        self.looked = books.looked or self.looked
        if self._syncer is not None:
            self._syncer.written()
        self._room.mind_the_wal()

    def _become(self, change: Change) -> None:
        self.totals, self.size, self.last, self._removed = change.totals, change.size, change.last, change.removed
        self._senders.update(change.senders)
        self._intervals, self._generations = change.intervals, change.generations
        self.left_to_remove = change.left_to_remove

    def _change(self, draft: Draft | None, books: Books) -> Change:
        """The state after the transaction. Reads the database if blocks in it are to be removed."""
        t, now = self.totals, self._clock()
        totals = SpoolTotals(t.received, t.bytes, t.confirmed, t.returned, t.rejected, t.oversize, t.kernel_drops)
        size, last, removed, left = self.size, self.last, self._removed, 0
        senders: dict[str, tuple[ShovelerSender, float]] = {}
        block: BlockRow | None = None
        generations = self._generations
        if draft:
            generations = self._with_ours()
            body = encode_block(list(draft.remotes), draft.senders, draft.datagrams)
            last += len(draft)
            size += len(body)
            numbers = {remote: count.received for remote, count in draft.counts.items()}
            block = (last, len(draft), draft.arrived, len(body), _pack_counts(numbers), body)
            add_up(draft.counts, self._senders, senders, totals, now)
        add_up(books.counts, self._senders, senders, totals, now)
        from_database = False
        if books.confirmed_upto:
            stored, gone = self._removable(books.confirmed_upto)
            from_database = bool(stored)
            if len(stored) == _REMOVE_BLOCKS:
                left = books.confirmed_upto
            confirmed: dict[str, int] = {}
            for row in (*stored, *gone):
                removed = row[0]
                size -= row[1]
                for remote, number in _unpack_counts(row[2]).items():
                    confirmed[remote] = confirmed.get(remote, 0) + number
            given_back = {remote: ShovelerSender(confirmed=number) for remote, number in confirmed.items()}
            add_up(given_back, self._senders, senders, totals, now)
        totals.kernel_drops += sum(drop.count for drop in books.drops)
        intervals = with_losses(self._intervals, books)
        return Change(totals, size, last, removed, from_database, block, senders, intervals, generations, left)

    def _removable(self, upto: int) -> tuple[list[_Removed], list[_Removed]]:
        """(last, size, senders) of blocks up to a SEQ, a limited number at once: in the database, in the tail."""
        stored: list[_Removed] = []
        if self._stored:
            query = "SELECT last, size, senders FROM blocks WHERE last <= ? ORDER BY last LIMIT ?"
            stored = self._db.execute(query, (upto, _REMOVE_BLOCKS)).fetchall()
            if len(stored) == _REMOVE_BLOCKS:
                return stored, []
        return stored, [(row[0], row[3], row[4]) for row in self._tail_blocks if self._removed < row[0] <= upto]

    def _with_ours(self) -> list[Generation]:
        """The generations including ours. Beyond a number, older ones that are completely confirmed are forgotten."""
        known = self._generations
        if known and known[-1].word == self.generation:
            return known
        return [*still_told(known, self._oldest()), Generation(self.generation, self.last + 1)]

    def _oldest(self) -> int:
        """The first SEQ that is not confirmed, or the next one."""
        if self._stored:
            first: int = self._db.execute("SELECT last - count + 1 FROM blocks ORDER BY last LIMIT 1").fetchone()[0]
            return first
        return next((row[0] - row[1] + 1 for row in self._tail_blocks if row[0] > self._removed), self.last + 1)

    # ---------------------------------------------------------------- into the tail

    def _suits_the_tail(self, change: Change) -> bool:
        tail = self._tail
        return (
            self._use_tail
            and not self._only_database
            and not self.tight
            and not change.from_database
            and len(change.senders) <= _TAIL_SENDERS
            and (change.block is None or change.block[3] <= _TAIL_BLOCK)
            and self._tail_size <= _TAIL_MAX
            and (not self._tail_size or self._monotonic() - self._tail_since < _TAIL_AGE)
            and (tail.size == self._tail_size or self._give_up_old_frames())
        )

    def _give_up_old_frames(self) -> bool:
        """Cut off the frames of older epochs if there are no others and their content is on the disk elsewhere;
        otherwise continue after them. False when they have become too many for that."""
        if not self._tail_size and (self._syncer is None or self._syncer.has_synced(self._obsolete_since)):
            self._tail.cut(0)
        return self._tail.size <= _TAIL_OBSOLETE

    def _young(self, kept: list[BlockRow]) -> int:
        """How many blocks at the end of `kept` should stay in the tail when everything else goes to the database: they
        will be confirmed in a moment, and removing them from the database takes a transaction there, which would bring
        the next ones there, and so on for ever."""
        if not self._use_tail or self._only_database or self.tight or not self._give_up_old_frames():
            return 0
        now, count, size = self._clock(), 0, 0
        for row in reversed(kept):
            size += row[3]
            if row[3] > _TAIL_BLOCK or size > _TAIL_MAX // 2 or now - row[2] > _TAIL_YOUNG:
                break
            count += 1
        return count

    def _append(self, change: Change, draft: Draft | None, books: Books) -> None:
        before = {row for rows in self._intervals.values() for row in rows}
        after = {row for rows in change.intervals.values() for row in rows}
        begun = change.generations[-1] if change.generations is not self._generations else None
        frame = Frame(
            epoch=self._epoch,
            last=change.last,
            removed=change.removed,
            totals=(*totals_row(change.totals), change.size),
            looked=books.looked or self.looked,
            block=change.block,
            senders=[sender_row(remote, sender, seen) for remote, (sender, seen) in change.senders.items()],
            sockets=books.sockets,
            intervals=sorted(after - before),
            intervals_gone=[row.number for row in before - after],
            generation=(begun.first, begun.word) if begun else None,
            input=draft.input if draft else None,
        )
        encoded = encode_frame(frame)
        self._tail.append(encoded)
        if self._synchronous == "full":
            self._sync_the_frame(len(encoded))
        if not self._tail_size:
            self._tail_since = self._monotonic()
        self._tail_size += len(encoded)
        if change.block is not None:
            self._tail_blocks.append(change.block)
        while self._tail_blocks and self._tail_blocks[0][0] <= change.removed:
            self._tail_blocks.popleft()
        self._note_unwritten(change.senders, books.sockets, draft.input if draft else None)

    def _sync_the_frame(self, size: int) -> None:
        """Remove the last frame. It counts as taken only once it is synced: otherwise it must not stay, since it is
        tried again. Readers may have read it, and would not read its place again; so this starts another epoch."""
        try:
            self._sync(self._tail.fd)
        except OSError:
            self._only_database = True
            self._tail.cut(self._tail.size - size)
            raise

    def _note_unwritten(
        self, senders: Iterable[str], sockets: Mapping[str, int], place: tuple[str, int] | None
    ) -> None:
        self._unwritten_senders.update(senders)
        self._unwritten_sockets.update(sockets)
        if place is not None:
            self._unwritten_input[place[0]] = place[1]

    def _take_back(self) -> None:
        """After a start: apply what the tail says."""
        frames, end = of_epoch(self._tail.read(), self._epoch)
        self._tail.cut(end)
        for frame in frames:
            *totals, self.size = frame.totals
            self.totals = SpoolTotals(*totals)
            self.last, self._removed, self.looked = frame.last, frame.removed, frame.looked
            if frame.block is not None:
                self._tail_blocks.append(frame.block)
            self._senders.update({row[0]: sender_of(row) for row in frame.senders})
            self._intervals = overlaid(self._intervals, frame)
            if frame.generation is not None:
                first, word = frame.generation
                self._generations = [*self._generations, Generation(word, first)]
            self.sockets.update(frame.sockets)
            self._note_unwritten([row[0] for row in frame.senders], frame.sockets, frame.input)
        while self._tail_blocks and self._tail_blocks[0][0] <= self._removed:
            self._tail_blocks.popleft()
        if frames:
            self._tail_size, self._tail_since = end, self._monotonic() - _TAIL_AGE  # to be written with the next commit

    def _strike_out_what_is_lost(self) -> None:
        """Correct the books after a power cut that kept the database's last transaction but not the frames that it had
        left in the tail. SEQs have no holes, and the newest ones are lost."""
        newest = self._tail_blocks[-1][0] if self._tail_blocks else self._db.execute(
            "SELECT coalesce(max(last), 0) FROM blocks"
        ).fetchone()[0]  # fmt: skip
        if not self.spooled or newest == self.last:
            return
        rows = [*self._db.execute("SELECT count, size, senders FROM blocks"),
                *((row[1], row[3], row[4]) for row in self._tail_blocks if row[0] > self._removed)]  # fmt: skip
        lost = self.spooled - sum(count for count, _, _ in rows)
        _log.warning(
            "= %d datagrams that were taken right before the power cut are lost; they count as not received", lost
        )
        waiting: dict[str, int] = {}
        for _, _, counts in rows:
            for remote, number in _unpack_counts(counts).items():
                key = remote if remote in self._senders else OTHERS
                waiting[key] = waiting.get(key, 0) + number
        for remote, (sender, seen) in self._senders.items():
            there = sender.confirmed + waiting.get(remote, 0)
            if sender.received != there:
                self._senders[remote] = (
                    msgspec.structs.replace(sender, received=there, spooled=there - sender.confirmed),
                    seen,
                )
                self._unwritten_senders.add(remote)
        self.totals.received -= lost
        self.last -= lost
        self.size = sum(size for _, size, _ in rows)
        self._generations = [generation for generation in self._generations if generation.first <= self.last]
        self._only_database = True
        try:
            self._write(self._change(None, Books()), None, Books())
        except (sqlite3.Error, OSError) as error:
            _log.debug("= the books will be written with the next datagram: %s", error)

    # ---------------------------------------------------------------- into the database

    def _write(self, change: Change, draft: Draft | None, books: Books) -> None:
        """Write the transaction and the content of the tail to the database; another epoch begins."""
        db = self._db
        kept = [row for row in self._tail_blocks if row[0] > change.removed]
        if change.block is not None:
            kept.append(change.block)
        young = self._young(kept)
        kept, young_ones = kept[: len(kept) - young], kept[len(kept) - young :]
        senders = {name: self._senders[name] for name in self._unwritten_senders if name in self._senders}
        senders |= change.senders
        sockets = self._unwritten_sockets | books.sockets
        inputs = self._unwritten_input | (dict([draft.input]) if draft and draft.input else {})
        totals, looked = totals_row(change.totals), books.looked or self.looked
        epoch, before = secrets.randbits(62) | 1, self._tail.size
        row_of_totals = (*totals, change.size)
        frames = b"".join(encode_frame(_frame_of(epoch, change, row_of_totals, looked, row)) for row in young_ones)
        self._tail.append(frames)  # before the epoch begins; until then nobody reads them
        try:
            db.execute("BEGIN IMMEDIATE")
            if change.from_database:
                db.execute("DELETE FROM blocks WHERE last <= ?", (change.removed,))
            db.executemany("INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?)", kept)
            db.executemany(
                "INSERT OR REPLACE INTO senders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [sender_row(remote, sender, seen) for remote, (sender, seen) in senders.items()],
            )
            db.executemany("INSERT OR REPLACE INTO sockets VALUES (?, ?)", list(sockets.items()))
            db.executemany("INSERT OR REPLACE INTO input VALUES (?, ?)", list(inputs.items()))
            self._write_lists(change)
            db.execute(
                "UPDATE spool SET received = ?, bytes = ?, confirmed = ?, returned = ?, rejected = ?, oversize = ?, "
                "kernel_drops = ?, size = ?, looked = ?, last = ?, epoch = ?",
                (*totals, change.size, looked, change.last, epoch),
            )
            stored = bool(db.execute("SELECT EXISTS (SELECT 1 FROM blocks)").fetchone()[0])
            if self._synchronous == "full" and frames:
                self._sync(self._tail.fd)
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:  # SQLite may have rolled back by itself on a full disk
                db.execute("ROLLBACK")
            self._tail.cut(before)
            raise
        self._stored = stored
        self._room.written += sum(row[3] for row in kept) + COMMIT_OVERHEAD
        self._epoch = epoch
        self._in_database = (change.generations, change.intervals)
        if self._tail_size:
            self._obsolete_since = time.monotonic()
        self._tail_size, self._tail_since = len(frames), self._monotonic()
        self._tail_blocks = deque(young_ones)
        self._only_database = False
        self._unwritten_senders.clear()
        self._unwritten_sockets.clear()
        self._unwritten_input.clear()

    def _write_lists(self, change: Change) -> None:
        """Generations and intervals, as far as the database has others."""
        generations, intervals = self._in_database
        if change.generations is not generations:
            old, new = set(generations), set(change.generations)
            self._db.executemany("DELETE FROM generations WHERE first = ?", [(g.first,) for g in old - new])
            self._db.executemany("INSERT INTO generations VALUES (?, ?)", [(g.first, g.word) for g in new - old])
        if change.intervals is not intervals:
            before = {row for rows in intervals.values() for row in rows}
            after = {row for rows in change.intervals.values() for row in rows}
            self._db.executemany("DELETE FROM intervals WHERE number = ?", [(row.number,) for row in before - after])
            self._db.executemany(
                "INSERT OR REPLACE INTO intervals VALUES (?, ?, ?, ?, ?, ?, ?)", sorted(after - before)
            )

    # ---------------------------------------------------------------- room, see `room.Room`

    @property
    def tight(self) -> bool:
        """The disk was full: only rows that fit into the file's free space can be added."""
        return self._room.tight

    @property
    def written(self) -> int:
        """Approximate bytes written to the WAL since this was opened."""
        return self._room.written

    def fits(self, size: int) -> bool:
        """Whether a block of `size` bytes fits into the file's free space, as it must when `tight`."""
        return self._room.fits(size)

    def tighten(self) -> None:
        """The disk is full: continue in the file's free space."""
        self._room.tighten()

    def loosen(self) -> bool:
        """True when the disk has space again: `tight` is over."""
        return self._room.loosen()

    def tidy(self) -> bool:
        """Give a little of the space of removed blocks back to the disk; for idle moments. True: call again."""
        return self._room.tidy()

    def close(self) -> None:
        """Close the file; what was committed stays. Copies the WAL into it first, if the disk allows."""
        if self._syncer is not None:
            self._syncer.close()
        if self._checkpointer is not None:
            self._checkpointer.close()
        if self._tail_size:
            self._empty_tail()
        self._room.truncate_wal()  # otherwise it stays, and is read at the next start
        if not self._tail_size and not self._room.wal_size():
            self._tail.cut(0)
        self._tail.close()
        self._db.close()

    def _empty_tail(self) -> None:
        """Write the content of the tail to the database, if the disk allows; otherwise the next start does it."""
        self._use_tail = False
        try:
            self._write(self._change(None, Books()), None, Books())
        except sqlite3.Error as error:
            _log.debug("= the tail stays: %s", error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _frame_of(epoch: int, change: Change, totals: tuple[int, ...], looked: float, block: BlockRow) -> Frame:
    """A frame for a block that stays in the tail when everything else is in the database."""
    return Frame(
        epoch=epoch, last=change.last, removed=change.removed, totals=totals, looked=looked, block=block, senders=[],
        sockets={}, intervals=[], intervals_gone=[], generation=None, input=None,
    )  # fmt: skip


def _sync_directory(directory: Path) -> None:
    """Sync a directory, so that the files in it survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
