"""The spool: taken datagrams on disk, from the moment they were read until the bus has confirmed them.

One SQLite file ``spool.db`` (WAL) in the spool directory, with a random id made with the file. Terms:

- A *generation* is all that one start of the receiver takes. It has a random word of its own, kept in the file with the
  SEQ it begins at, and the id of a datagram is ``WORD:SEQ``. So a file that goes back in time (a restored copy, a
  snapshot, pages lost in a power cut) never gives a used id to another datagram: what is taken after that belongs to
  another generation, while what is sent again keeps its id.
- A datagram is *taken* when the transaction with it commits. Every taken datagram has a *SEQ*, counted up by one and
  never used again in this file, not even after everything was removed (AUTOINCREMENT).
- A *block* is the datagrams of one commit, in order of arrival, in one row. Rows of single datagrams were tried: with
  256 datagrams of 900 B to a commit they cost 5.1 µs of CPU each to write and 1.9 µs to remove, in blocks 2.2 and 0.04.
- *Confirmed* datagrams are removed, block by block from the oldest, and counted in the same transaction. Therefore at
  any moment, whatever crashed: received = confirmed + what lies in the spool, in all and for each sender.

Small transactions are appended to a file beside it, the *tail* (`shoveler.tail`), and go into the database together,
every `_TAIL_AGE` seconds or when they have become many. A datagram is taken when either has it.

The process that receives owns the only `Spool`; the lock file sees to that. Others read with `SpoolReader`, which
never makes the writer wait. A thread of the owner copies the WAL into the file (`Checkpointer`), so that a slow disk
delays that thread and not the socket.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import secrets
import sqlite3
import stat
import threading
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple, Self

import msgspec

from shoveler.envelope import EnvelopeError, decode_block, encode_block
from shoveler.intervals import Row, added
from shoveler.service import Drop, Position, RateLimited, Refusal, ShovelerSender
from shoveler.tail import BlockRow, Frame, SenderRow, Tail, TailReader, file_of, of_epoch
from shoveler.tail import encode as encode_frame

_log = logging.getLogger(__name__)

APPLICATION_ID = 0x54415350  # "TASP"
SCHEMA = 2
_GENERATIONS_KEPT = 64
"""Generations of which everything is confirmed, kept so that status messages can still name them."""
_PAGE = 8192  # 4096 costs 40 % more at full speed; 65536 gains 10 %, and writes 8 times as much at a trickle
_WAL_MAX = 32 * 2**20
"""Bytes of WAL after which it is emptied; half the reserve if that is less, as copying it needs as much room again."""
_WAL_MIN = 2**20
_TIGHT_WAL = 2**20
_COMMIT_OVERHEAD = 6 * _PAGE  # the pages of counters and of the tables' ends that every commit writes besides
_MAX_SENDERS = 10_000
"""Senders counted apart; beyond that (forged source addresses) they are counted together as `OTHERS`."""
OTHERS = "others"
_REFUSED_AT_ONCE = 32
_SENDER_AGE = 30 * 86400.0
_TRIES = 1000
_REMOVE_BLOCKS = 512  # removed in one transaction, which must stay short
_VACUUM_PAGES = 512
_GIVE_BACK_INTERVAL = 30.0
_COPIED_WITHIN = 2.0
_TAIL_BLOCK = 16 * 2**10
"""Bytes of a block that is still appended to the tail; larger ones are worth a transaction of their own."""
_TAIL_MAX = 256 * 2**10
_TAIL_AGE = 10.0
_TAIL_SENDERS = 64
_TAIL_YOUNG = 2.0
"""Seconds within which the bus confirms, when all is well."""
_TAIL_OBSOLETE = 4 * 2**20
_SYNC_AFTER = 0.5
"""Seconds from a commit to the sync of all that was committed meanwhile; it is to be done after a second at most."""
_SPARE = 32 * 2**20  # room that a file may keep for the next time

DROP, FRAGMENT, REFUSAL = "drop", "fragment", "refusal"
_JOIN_WITHIN = {DROP: -1.0, FRAGMENT: -1.0, REFUSAL: 1.0}
"""Kind of interval → seconds between two that are told as one; negative: each is told by itself."""

Synchronous = Literal["off", "normal", "full"]


class SpoolError(Exception):
    """The spool cannot be used; the text is one sentence that says what to do. Not worth trying again by itself."""


class SpoolFull(SpoolError):  # noqa: N818 - names a state
    """The disk took no more (or is locked by another tool). Nothing happened; trying again later is right."""


class SpoolLocked(SpoolError):  # noqa: N818 - names a state
    """Another shoveler uses this spool."""


class SpoolLock:
    """The right to write a spool, as long as any process holds the descriptor (it is inherited by the receiver)."""

    def __init__(self, directory: Path, *, wait: float = 0.0, sleep: Callable[[float], None] = time.sleep) -> None:
        """Raises SpoolLocked when another process still has it after `wait` seconds, SpoolError for a bad directory."""
        path = directory / "lock"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except FileExistsError:
            raise SpoolError(f"cannot use the spool directory {directory}: it is a file") from None
        except OSError as error:
            raise SpoolError(f"cannot use the spool directory {directory}: {error.strerror}") from None
        deadline = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    holder = os.pread(self.fd, 32, 0).decode("ascii", "replace").strip()
                    os.close(self.fd)
                    by = f" (process {holder})" if holder else ""
                    raise SpoolLocked(
                        f"another tally-shoveler{by} uses the spool {directory}: "
                        "stop it, or give this one a spool directory of its own"
                    ) from None
                sleep(0.05)
        try:
            os.ftruncate(self.fd, 0)
            os.pwrite(self.fd, f"{os.getpid()}\n".encode(), 0)
        except OSError:
            pass  # on a full disk the lock holds all the same; the number is only for the sentence above

    def close(self) -> None:
        """Give it up (once all other processes that inherited it did, too)."""
        os.close(self.fd)


class Reserve:
    """A file that only takes up room, to be given up when the disk is full."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self.size = size

    def make(self) -> bool:
        """True when it is there, in full. While it is not, only an ample rest (as much again) makes it be made."""
        if not self.size:
            return True
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError:
            return False
        try:
            if os.fstat(fd).st_blocks * 512 >= self.size:
                return True
            disk = os.fstatvfs(fd)
            if disk.f_bavail * disk.f_frsize >= 2 * self.size:
                os.posix_fallocate(fd, 0, self.size)
                return True
        except OSError:
            pass  # no room after all: as below
        finally:
            os.close(fd)
        self.give_up()
        return False

    def lacking(self) -> int:
        """Bytes of the disk that must become free before it can be made."""
        try:
            disk = os.statvfs(self._path.parent)
        except OSError:
            return 2 * self.size
        return max(0, 2 * self.size - disk.f_bavail * disk.f_frsize)

    def give_up(self) -> None:
        """Give its room back to the disk. Never raises."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            _log.warning("= cannot give up the reserve: %s", error)


class Input(NamedTuple):
    """How far a file given as input has been taken: bytes from its start."""

    name: str
    position: int


@dataclass(slots=True)
class Totals:
    """Counters of the whole spool, cumulative since it was made; in the order of the table's columns."""

    received: int = 0
    bytes: int = 0
    confirmed: int = 0
    returned: int = 0
    rejected: int = 0
    oversize: int = 0
    kernel_drops: int = 0


@dataclass(slots=True)
class Draft:
    """Datagrams that will be one block, and what they add to the counters of their senders."""

    remotes: dict[str, int] = field(default_factory=dict)
    """Sender → its index in this block."""
    senders: list[int] = field(default_factory=list)
    datagrams: list[bytes] = field(default_factory=list)
    size: int = 0
    """Bytes of the datagrams."""
    arrived: float = 0.0
    """When the first was read (Unix seconds)."""
    counts: dict[str, ShovelerSender] = field(default_factory=dict)
    """What the block adds: received, bytes, by_code, oversize."""
    input: Input | None = None
    """The place in the input file after the last datagram."""

    def __len__(self) -> int:
        return len(self.datagrams)

    def add(self, remote: str, datagram: bytes, code: str, oversize: bool) -> None:
        """One datagram more."""
        size = len(datagram)
        index = self.remotes.get(remote)
        if index is None:
            index = self.remotes[remote] = len(self.remotes)
            self.counts[remote] = ShovelerSender()
        self.senders.append(index)
        self.datagrams.append(datagram)
        self.size += size
        count = self.counts[remote]
        count.received += 1
        count.bytes += size
        count.by_code[code] = count.by_code.get(code, 0) + 1
        if oversize:
            count.oversize += 1


@dataclass(slots=True)
class Books:
    """What else the next transaction will make true. Kept by the caller when a transaction fails, and tried again."""

    counts: dict[str, ShovelerSender] = field(default_factory=dict)
    """Increments of rejected and returned for each sender."""
    confirmed_upto: int = 0
    """All datagrams up to this SEQ are confirmed."""
    drops: list[Drop] = field(default_factory=list)
    """What the kernel dropped at our sockets since the last time."""
    fragments: list[Drop] = field(default_factory=list)
    """What it could not put together."""
    sockets: dict[str, int] = field(default_factory=dict)
    """Socket → its drop counter as last seen. Written with whatever else there is to write."""
    looked: float = 0.0
    """When the counters of the sockets were last looked at (Unix seconds); 0: not since the last time. Likewise."""
    refused_from: float = 0.0
    refused_to: float = 0.0
    """When the first and the last of the rejected datagrams in `counts` were read."""
    refused: int = 0
    """How many they are."""

    def of(self, remote: str) -> ShovelerSender:
        """The increments of a sender."""
        delta = self.counts.get(remote)
        if delta is None:
            delta = self.counts[remote] = ShovelerSender()
        return delta

    def reject(self, remote: str, reason: str) -> None:
        """One datagram of this sender was not taken."""
        rejected = self.of(remote).rejected
        rejected[reason] = rejected.get(reason, 0) + 1
        self.refused += 1

    def __bool__(self) -> bool:
        return bool(self.counts or self.confirmed_upto or self.drops or self.fragments)


class Block(NamedTuple):
    """A block read back. `first` … `last` are the SEQs of its datagrams."""

    first: int
    last: int
    arrived: float
    remotes: list[str]
    senders: list[int]
    datagrams: list[bytes]
    generation: str
    """The first half of their ids."""


class Step(NamedTuple):
    """What a transaction makes of the spool."""

    totals: Totals
    size: int
    last: int
    removed: int
    """Blocks up to this SEQ are gone."""
    from_database: bool
    """Some of them lie in the database."""
    block: BlockRow | None
    senders: dict[str, tuple[ShovelerSender, float]]
    intervals: dict[str, list[Row]]
    generations: list[Generation]
    left_to_remove: int


class Generation(NamedTuple):
    """All that one start of the receiver took, from SEQ `first` up to the next generation."""

    word: str
    first: int


class Audit(NamedTuple):
    """The books of a spool; `exact` says whether they balance."""

    received: int
    confirmed: int
    spooled: int

    @property
    def exact(self) -> bool:
        return self.received == self.confirmed + self.spooled


_TABLES = f"""
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
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = 1;
"""
_STEPS = {
    # Until then the id of the spool stood in all ids, and what was sent already must come again under the same id.
    1: """
CREATE TABLE generations (first INTEGER PRIMARY KEY, word TEXT NOT NULL) STRICT;
INSERT INTO generations SELECT 1, id FROM spool WHERE received > 0;
CREATE TABLE intervals (
    number INTEGER PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL, reason TEXT NOT NULL,
    t_from REAL NOT NULL, t_to REAL NOT NULL, count INTEGER NOT NULL
) STRICT;
ALTER TABLE spool ADD COLUMN looked REAL NOT NULL DEFAULT 0;
ALTER TABLE spool ADD COLUMN last INTEGER NOT NULL DEFAULT 0;
ALTER TABLE spool ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;
UPDATE spool SET last = coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'blocks'), 0),
    epoch = (random() & 0x3fffffffffffffff) | 1;
ALTER TABLE senders DROP COLUMN kernel_drops;
PRAGMA user_version = 2;
""",
}
"""Format n → what makes n + 1 of it. A new file goes through all steps, too."""

_pack_counts = msgspec.msgpack.Encoder().encode
_unpack_counts = msgspec.msgpack.Decoder(dict[str, int]).decode
_Removed = tuple[int, int, bytes]
_to_json = msgspec.json.Encoder().encode
_from_json = msgspec.json.Decoder(dict[str, int]).decode

# Primary result codes after which the same transaction may succeed later: the disk is full (FULL, and IOERR, which is
# what a quota or a file size limit looks like), cannot be reached for now, or somebody with another tool holds a lock.
_TRY_AGAIN = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_PROTOCOL,
}
_BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_FULL = "its disk is full"


def _database(directory: Path) -> Path:
    return directory / "spool.db"


def _explain(error: sqlite3.Error | OSError, path: Path) -> SpoolError:
    if isinstance(error, OSError):  # the tail's: with the same words, whichever of the two files met it first
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        return SpoolFull(f"cannot use the spool {path} for now: {_FULL if full else error.strerror}")
    code = (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return SpoolFull(f"cannot use the spool {path} for now: {_FULL}")
    if code in _TRY_AGAIN:
        return SpoolFull(f"cannot use the spool {path} for now: {error}")
    if code in _BROKEN:
        return SpoolError(
            f"the spool {path} is damaged ({error}): move the directory away, and start again with an empty one; "
            f"`sqlite3 {path} .recover` gets back what can still be read"
        )
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return SpoolError(f"this user may not use the spool {path} ({error}); be the user that its shoveler runs as")
    return SpoolError(f"the spool {path} cannot be used: {error}")


def _check_format(connection: sqlite3.Connection, path: Path) -> int:
    """The format of a spool, 0 when the file is empty. Raises SpoolError when it is something else."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application == 0 and version == 0 and not connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        return 0
    if application != APPLICATION_ID:
        raise SpoolError(f"{path} is no spool but another program's database")
    if version > SCHEMA:
        raise SpoolError(f"the spool {path} was made by a newer tally-shoveler (format {version}): update this one")
    return int(version)


class Spool:
    """The one writer. Belongs to one thread, but for `Checkpointer`, which has a connection of its own."""

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
        """Opens or makes it; the caller holds the `SpoolLock`. Raises SpoolError; SpoolFull when there is no room.

        `background`: with threads that copy the WAL and, with `synchronous` normal, have it on the disk within a second
        by `sync`. `tail`: small transactions are appended to the tail first.
        """
        self.path = _database(directory)
        self.max_bytes = max_bytes
        self.tight = False
        """The disk was full: only rows that fit into room that the file already has can be added."""
        self._clock = clock
        self._monotonic = monotonic
        self._gave_back = -_GIVE_BACK_INTERVAL
        self._reserve = Reserve(directory / "reserve", reserve)
        self.wal_max = max(_WAL_MIN, min(_WAL_MAX, reserve // 2)) if reserve else _WAL_MAX
        try:
            self._db = sqlite3.connect(self.path, isolation_level=None, timeout=30.0)
            try:
                self._open(synchronous)
            except BaseException:
                self._db.close()
                raise
        except sqlite3.Error as error:
            raise _explain(error, self.path) from error
        self._synchronous = synchronous
        self._sync = sync
        self._use_tail = tail
        self._tail_size = 0
        """Bytes of the frames of this epoch; behind those of older ones, if there are any."""
        self._tail_since = 0.0
        self._tail_blocks: deque[BlockRow] = deque()
        self._only_database = False
        """What the tail has is not to be gone on with: the next transaction goes into the database."""
        self._removed = 0
        self._unwritten_senders: set[str] = set()
        self._unwritten_sockets: dict[str, int] = {}
        self._unwritten_input: dict[str, int] = {}
        """What the tail says and the database does not, besides the blocks."""
        self._obsolete_since = time.monotonic()
        """When what the frames of older epochs say was last written into the database."""
        self.left_to_remove = 0
        """Confirmed up to here, and not removed yet: to be put into the books of the next commit."""
        try:
            self._tail = Tail(file_of(directory), stat.S_IMODE(self.path.stat().st_mode))
            self._take_back()
            if synchronous != "off":
                _sync_directory(directory)
        except OSError as error:
            raise SpoolError(f"the spool {file_of(directory)} cannot be used: {error.strerror}") from error
        self._freed = False
        self._checkpointer = Checkpointer(self.path, synchronous) if background else None
        wal = self.path.with_name(self.path.name + "-wal")
        self._syncer = Syncer([wal, self._tail.path], sync) if background and synchronous == "normal" else None
        if not self._reserve.make():
            _log.warning("= there is no room for the reserve of %d bytes beside the spool %s", reserve, self.path)
        self.written = 0
        """Bytes that went into the WAL since this was opened, about."""
        self._emptied = 0
        """What `written` was when the WAL last started over."""
        try:
            self._strike_out_what_is_lost()
        except sqlite3.Error as error:
            raise _explain(error, self.path) from error

    def _open(self, synchronous: Synchronous) -> None:
        db = self._db
        db.execute(f"PRAGMA page_size = {_PAGE}")
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # so that the file shrinks again after an outage
        version = _check_format(db, self.path)
        if not version:
            db.execute("PRAGMA journal_mode = WAL")
            spool_id = secrets.token_hex(8)
            db.executescript(f"BEGIN IMMEDIATE; {_TABLES}")
            db.execute("INSERT INTO spool VALUES (?, ?, 0, 0, 0, 0, 0, 0, 0, 0)", (spool_id, self._clock()))
            db.execute("COMMIT")
        for step in range(version or 1, SCHEMA):
            self._convert(_STEPS[step])
        db.execute(f"PRAGMA synchronous = {synchronous.upper()}")
        db.execute("PRAGMA wal_autocheckpoint = 0")
        # Debian's SQLite overwrites with zeros what is deleted: every byte would be written once more to be removed.
        db.execute("PRAGMA secure_delete = OFF")
        db.execute("PRAGMA cache_size = -4096")
        self._forget_old_senders()
        db.execute("PRAGMA busy_timeout = 50")  # nobody else writes; a reader that takes its time must not stop us
        row = db.execute("SELECT * FROM spool").fetchone()
        self.id, self.started, *totals, self.size, self.looked, self.last, self._epoch = row
        """`last`: SEQ of the newest datagram ever taken."""
        self.totals = Totals(*totals)
        self._stored = bool(db.execute("SELECT EXISTS (SELECT 1 FROM blocks)").fetchone()[0])
        """Whether there are blocks in the database; those in the tail are in `_tail_blocks`."""
        self._senders = _read_senders(db)
        self.generation = secrets.token_hex(8)
        """The word of what is taken from now on; written down with its first datagram."""
        self._generations = _read_generations(db)
        self._intervals = {kind: _read_intervals(db, kind) for kind in _JOIN_WITHIN}
        self._in_database = (self._generations, self._intervals)
        self.sockets: dict[str, int] = dict(db.execute("SELECT name, drops FROM sockets"))

    def _convert(self, step: str) -> None:
        """One step to a newer format, whole or not at all; where the disk is full, in the room of the reserve."""
        try:
            self._db.executescript(f"BEGIN IMMEDIATE; {step} COMMIT;")
        except sqlite3.OperationalError:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            self._reserve.give_up()
            self._db.executescript(f"BEGIN IMMEDIATE; {step} COMMIT;")

    def _forget_old_senders(self) -> None:
        """Rows of senders that have been silent for long. Only where no block can still refer to one."""
        self._db.execute(
            "DELETE FROM senders WHERE seen < ? AND (SELECT received = confirmed FROM spool)",
            (self._clock() - _SENDER_AGE,),
        )

    def keep_sockets(self, names: Iterable[str]) -> None:
        """Forget the drop counters of all other sockets: they are closed, no socket has their names again."""
        gone = self.sockets.keys() - set(names)
        try:
            self._db.executemany("DELETE FROM sockets WHERE name = ?", [(name,) for name in gone])
        except sqlite3.Error as error:
            raise _explain(error, self.path) from error
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
            raise _explain(error, self.path) from error

    def commit(self, draft: Draft | None, books: Books) -> None:
        """Make a block and the books true in one transaction.

        Raises SpoolFull or SpoolError, having changed nothing: neither the files, nor the arguments, nor the counters
        here. After success the caller starts with a new draft and new books.
        """
        try:
            step = self._step(draft, books)
            if self._suits_the_tail(step):
                self._append(step, draft, books)
            else:
                self._write(step, draft, books)
        except (sqlite3.Error, OSError) as error:
            raise _explain(error, self.path) from error
        self._freed = self._freed or bool(books.confirmed_upto)
        self._become(step)
        self.sockets.update(books.sockets)
        self.looked = books.looked or self.looked
        if self._syncer is not None:
            self._syncer.written()
        self._mind_the_wal()

    def _become(self, step: Step) -> None:
        self.totals, self.size, self.last, self._removed = step.totals, step.size, step.last, step.removed
        self._senders.update(step.senders)
        self._intervals, self._generations = step.intervals, step.generations
        self.left_to_remove = step.left_to_remove

    def _step(self, draft: Draft | None, books: Books) -> Step:
        """What the transaction will make of us. Reads the database where blocks that lie there are to be removed."""
        t = self.totals
        totals = Totals(t.received, t.bytes, t.confirmed, t.returned, t.rejected, t.oversize, t.kernel_drops)
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
            self._add_up(draft.counts, senders, totals)
        self._add_up(books.counts, senders, totals)
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
            self._add_up({r: ShovelerSender(confirmed=n) for r, n in confirmed.items()}, senders, totals)
        totals.kernel_drops += sum(drop.count for drop in books.drops)
        return Step(
            totals, size, last, removed, from_database, block, senders, self._with_losses(books), generations, left
        )

    def _removable(self, upto: int) -> tuple[list[_Removed], list[_Removed]]:
        """(last, size, senders) of blocks up to a SEQ, not too many at once: in the database, in the tail."""
        stored: list[_Removed] = []
        if self._stored:
            query = "SELECT last, size, senders FROM blocks WHERE last <= ? ORDER BY last LIMIT ?"
            stored = self._db.execute(query, (upto, _REMOVE_BLOCKS)).fetchall()
            if len(stored) == _REMOVE_BLOCKS:
                return stored, []
        return stored, [(row[0], row[3], row[4]) for row in self._tail_blocks if self._removed < row[0] <= upto]

    def _with_ours(self) -> list[Generation]:
        """The generations with ours among them. Older ones, all confirmed, are forgotten beyond a number."""
        known = self._generations
        if known and known[-1].word == self.generation:
            return known
        return [*_still_told(known, self._oldest()), Generation(self.generation, self.last + 1)]

    def _oldest(self) -> int:
        """The first SEQ that is not confirmed, or the next one."""
        if self._stored:
            first: int = self._db.execute("SELECT last - count + 1 FROM blocks ORDER BY last LIMIT 1").fetchone()[0]
            return first
        return next((row[0] - row[1] + 1 for row in self._tail_blocks if row[0] > self._removed), self.last + 1)

    # ---------------------------------------------------------------- into the tail

    def _suits_the_tail(self, step: Step) -> bool:
        tail = self._tail
        return (
            self._use_tail
            and not self._only_database
            and not self.tight
            and not step.from_database
            and len(step.senders) <= _TAIL_SENDERS
            and (step.block is None or step.block[3] <= _TAIL_BLOCK)
            and self._tail_size <= _TAIL_MAX
            and (not self._tail_size or self._monotonic() - self._tail_since < _TAIL_AGE)
            and (tail.size == self._tail_size or self._give_up_old_frames())
        )

    def _give_up_old_frames(self) -> bool:
        """Cut off the frames of older epochs, when there are no others and what they say is on the disk elsewhere; else
        go on behind them. False when they have become too many for that."""
        if not self._tail_size and (self._syncer is None or self._syncer.has_synced(self._obsolete_since)):
            self._tail.cut(0)
        return self._tail.size <= _TAIL_OBSOLETE

    def _young(self, kept: list[BlockRow]) -> int:
        """How many blocks at the end of `kept` are better left in the tail when all else goes into the database: they
        will be confirmed in a moment, and to remove them from the database takes a transaction there, with which the
        next ones would get there, and so on for ever."""
        if not self._use_tail or self._only_database or self.tight or not self._give_up_old_frames():
            return 0
        now, count, size = self._clock(), 0, 0
        for row in reversed(kept):
            size += row[3]
            if row[3] > _TAIL_BLOCK or size > _TAIL_MAX // 2 or now - row[2] > _TAIL_YOUNG:
                break
            count += 1
        return count

    def _append(self, step: Step, draft: Draft | None, books: Books) -> None:
        before = {row for rows in self._intervals.values() for row in rows}
        after = {row for rows in step.intervals.values() for row in rows}
        begun = step.generations[-1] if step.generations is not self._generations else None
        frame = Frame(
            epoch=self._epoch,
            last=step.last,
            removed=step.removed,
            totals=(*_totals_row(step.totals), step.size),
            looked=books.looked or self.looked,
            block=step.block,
            senders=[_sender_row(remote, sender, seen) for remote, (sender, seen) in step.senders.items()],
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
        if step.block is not None:
            self._tail_blocks.append(step.block)
        while self._tail_blocks and self._tail_blocks[0][0] <= step.removed:
            self._tail_blocks.popleft()
        self._note_unwritten(step.senders, books.sockets, draft.input if draft else None)

    def _sync_the_frame(self, size: int) -> None:
        """The last one. It counts as taken with the sync only: without that it must not be there, as it is tried again.
        Others may have read it, and would not look at its place once more; so that is done in another epoch."""
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
        """After a start: become what the tail says."""
        frames, end = of_epoch(self._tail.read(), self._epoch)
        self._tail.cut(end)
        for frame in frames:
            *totals, self.size = frame.totals
            self.totals = Totals(*totals)
            self.last, self._removed, self.looked = frame.last, frame.removed, frame.looked
            if frame.block is not None:
                self._tail_blocks.append(frame.block)
            self._senders.update({row[0]: _sender_of(row) for row in frame.senders})
            self._intervals = _overlaid(self._intervals, frame)
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
        """Make the books true again after a power cut that kept the database's last transaction, and not the frames
        that were left to the tail by it. SEQs are without holes, and what is lost are the newest."""
        newest = self._tail_blocks[-1][0] if self._tail_blocks else self._db.execute(
            "SELECT coalesce(max(last), 0) FROM blocks"
        ).fetchone()[0]  # fmt: skip
        if not self.spooled or newest == self.last:
            return
        rows = [*self._db.execute("SELECT count, size, senders FROM blocks"),
                *((row[1], row[3], row[4]) for row in self._tail_blocks if row[0] > self._removed)]  # fmt: skip
        lost = self.spooled - sum(count for count, _, _ in rows)
        _log.warning(
            "= %d datagrams that were taken right before the power went are lost; they count as not received", lost
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
            self._write(self._step(None, Books()), None, Books())
        except (sqlite3.Error, OSError) as error:
            _log.debug("= the books are written with the next datagram: %s", error)

    # ---------------------------------------------------------------- into the database

    def _write(self, step: Step, draft: Draft | None, books: Books) -> None:
        """The transaction, and all that the tail says, into the database; another epoch begins."""
        db = self._db
        kept = [row for row in self._tail_blocks if row[0] > step.removed]
        if step.block is not None:
            kept.append(step.block)
        young = self._young(kept)
        kept, young_ones = kept[: len(kept) - young], kept[len(kept) - young :]
        senders = {name: self._senders[name] for name in self._unwritten_senders if name in self._senders}
        senders |= step.senders
        sockets = self._unwritten_sockets | books.sockets
        inputs = self._unwritten_input | (dict([draft.input]) if draft and draft.input else {})
        totals, looked = _totals_row(step.totals), books.looked or self.looked
        epoch, before = secrets.randbits(62) | 1, self._tail.size
        frames = b"".join(encode_frame(_frame_of(epoch, step, (*totals, step.size), looked, row)) for row in young_ones)
        self._tail.append(frames)  # before the epoch begins; until then nobody looks at them
        try:
            db.execute("BEGIN IMMEDIATE")
            if step.from_database:
                db.execute("DELETE FROM blocks WHERE last <= ?", (step.removed,))
            db.executemany("INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?)", kept)
            db.executemany(
                "INSERT OR REPLACE INTO senders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [_sender_row(remote, sender, seen) for remote, (sender, seen) in senders.items()],
            )
            db.executemany("INSERT OR REPLACE INTO sockets VALUES (?, ?)", list(sockets.items()))
            db.executemany("INSERT OR REPLACE INTO input VALUES (?, ?)", list(inputs.items()))
            self._write_lists(step)
            db.execute(
                "UPDATE spool SET received = ?, bytes = ?, confirmed = ?, returned = ?, rejected = ?, oversize = ?, "
                "kernel_drops = ?, size = ?, looked = ?, last = ?, epoch = ?",
                (*totals, step.size, looked, step.last, epoch),
            )
            stored = bool(db.execute("SELECT EXISTS (SELECT 1 FROM blocks)").fetchone()[0])
            if self._synchronous == "full" and frames:
                self._sync(self._tail.fd)
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:  # SQLite may have rolled back by itself, when the disk is full
                db.execute("ROLLBACK")
            self._tail.cut(before)
            raise
        self._stored = stored
        self.written += sum(row[3] for row in kept) + _COMMIT_OVERHEAD
        self._epoch = epoch
        self._in_database = (step.generations, step.intervals)
        if self._tail_size:
            self._obsolete_since = time.monotonic()
        self._tail_size, self._tail_since = len(frames), self._monotonic()
        self._tail_blocks = deque(young_ones)
        self._only_database = False
        self._unwritten_senders.clear()
        self._unwritten_sockets.clear()
        self._unwritten_input.clear()

    def _write_lists(self, step: Step) -> None:
        """Generations and intervals, as far as the database has others."""
        generations, intervals = self._in_database
        if step.generations is not generations:
            old, new = set(generations), set(step.generations)
            self._db.executemany("DELETE FROM generations WHERE first = ?", [(g.first,) for g in old - new])
            self._db.executemany("INSERT INTO generations VALUES (?, ?)", [(g.first, g.word) for g in new - old])
        if step.intervals is not intervals:
            before = {row for rows in intervals.values() for row in rows}
            after = {row for rows in step.intervals.values() for row in rows}
            self._db.executemany("DELETE FROM intervals WHERE number = ?", [(row.number,) for row in before - after])
            self._db.executemany(
                "INSERT OR REPLACE INTO intervals VALUES (?, ?, ?, ?, ?, ?, ?)", sorted(after - before)
            )

    def _mind_the_wal(self) -> None:
        """After a commit: have a grown WAL copied beside us, and let it start over when that is done."""
        size = self.written - self._emptied
        if self._checkpointer is None or self.tight:
            if size >= (_TIGHT_WAL if self.tight else self.wal_max):
                self.restart_wal()
        elif self._checkpointer.done.is_set():
            self._checkpointer.done.clear()
            self.restart_wal()
        elif size >= self.wal_max:
            self._checkpointer.due.set()
            if size >= 8 * self.wal_max:
                # The disk is slower than the datagrams come. They wait in the kernel now, and what it drops is counted.
                self._checkpointer.done.wait(1.0)

    def restart_wal(self) -> None:
        """Copy what is left of the WAL, and start it over in the room that it has. Put off while somebody reads it."""
        try:
            busy = self._db.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()[0]
        except sqlite3.Error as error:
            # What keeps the disk from taking this keeps the next commit from succeeding, and there it is dealt with.
            _log.debug("= the WAL was not copied: %s", error)
            busy = 1
        self._emptied = self.written - (self.wal_max * 3 // 4 if busy else 0)

    def _with_losses(self, books: Books) -> dict[str, list[Row]]:
        """What was lost when, with what the books add."""
        new = [Row(0, DROP, d.listen, "", d.t_from, d.t_to, d.count) for d in books.drops]
        new += [Row(0, FRAGMENT, d.listen, "", d.t_from, d.t_to, d.count) for d in books.fragments]
        for (remote, reason), number in _refused(books).items():
            new.append(Row(0, REFUSAL, remote, reason, books.refused_from, books.refused_to, number))
        if not new:
            return self._intervals
        number = max((row.number for rows in self._intervals.values() for row in rows), default=0)
        new = [row._replace(number=number + at) for at, row in enumerate(new, 1)]
        return {
            kind: added(rows, [row for row in new if row.kind == kind], within=_JOIN_WITHIN[kind])
            for kind, rows in self._intervals.items()
        }

    def _add_up(
        self,
        counts: Mapping[str, ShovelerSender],
        changed: dict[str, tuple[ShovelerSender, float]],
        totals: Totals,
    ) -> None:
        """Add increments to the rows of their senders, in `changed`, and to `totals`."""
        now = self._clock()
        for remote, delta in counts.items():
            key = remote
            known = changed.get(key) or self._senders.get(key)
            if known is None and len(self._senders) + len(changed) >= _MAX_SENDERS:
                key = OTHERS
                known = changed.get(key) or self._senders.get(key)
            changed[key] = (_plus(known[0] if known else ShovelerSender(), delta), now)
            totals.received += delta.received
            totals.bytes += delta.bytes
            totals.confirmed += delta.confirmed
            totals.returned += delta.returned
            totals.oversize += delta.oversize
            totals.rejected += sum(delta.rejected.values())

    def fits(self, size: int) -> bool:
        """Whether a block of `size` bytes can be written into room that the file has, as is a must when `tight`."""
        free = self._db.execute("PRAGMA freelist_count").fetchone()[0]
        return bool(free * _PAGE >= size + size // 16 + _COMMIT_OVERHEAD)

    def tighten(self) -> None:
        """The disk is full: give up the reserve, so that there is room to remove what is confirmed, and go on in what
        the file has. Without the reserve, a full disk could not even remove anything: that, too, is written first."""
        self.tight = True
        self._reserve.give_up()
        self.restart_wal()

    def loosen(self) -> bool:
        """True when the disk has room again, and the reserve with it: `tight` is over.

        The room of the WAL, and what confirmed blocks left in the file, are given back for that, as much as is lacking,
        but only where half a reserve is left in the file, and not often: if somebody else fills the disk, what is given
        back is gone.
        """
        if not self._reserve.make():
            now = self._monotonic()
            lacking = max(0, self._reserve.lacking() - self._wal_size()) + _WAL_MIN
            if now - self._gave_back < _GIVE_BACK_INTERVAL or not self.fits(lacking + self._reserve.size // 2):
                return False
            self._gave_back = now
            self._give_back(lacking)
            self._truncate_wal()
            if not self._reserve.make():
                return False
        self.tight = False
        return True

    def _wal_size(self) -> int:
        try:
            return self.path.with_name(self.path.name + "-wal").stat().st_size
        except OSError:
            return 0

    def _truncate_wal(self) -> None:
        # One who copies it at this moment would keep us from making it shorter.
        idle = self._checkpointer is None or self._checkpointer.working.acquire(timeout=_COPIED_WITHIN)
        try:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            _log.debug("= the WAL was not given back: %s", error)
        finally:
            if idle and self._checkpointer is not None:
                self._checkpointer.working.release()

    def tidy(self) -> bool:
        """Give a little of the room that removed blocks left back to the disk; for idle moments. True: call again.

        Only when most of the file is empty: a file that breathes with the load is faster left alone.
        """
        if not self._freed or self.tight:
            return False
        try:
            free = self._db.execute("PRAGMA freelist_count").fetchone()[0]
            pages = self._db.execute("PRAGMA page_count").fetchone()[0]
            if free * _PAGE < _SPARE or free < pages / 2:
                self._freed = False
                return False
        except sqlite3.Error as error:
            raise _explain(error, self.path) from error
        self._give_back(_VACUUM_PAGES * _PAGE)
        return True

    def _give_back(self, size: int) -> None:
        """Make the file shorter by so many bytes of empty pages; the disk has them when the WAL was copied."""
        try:
            for _ in range(0, size, _VACUUM_PAGES * _PAGE):
                # Not `execute`: that steps a statement without columns once, which here means one page.
                self._db.executescript(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})")
                self.written += 16 * _COMMIT_OVERHEAD
                self._mind_the_wal()
        except sqlite3.Error as error:
            raise _explain(error, self.path) from error
        if self.tight:
            self.restart_wal()

    def close(self) -> None:
        """Close the file; what was committed stays. Copies the WAL into it first, if the disk lets us."""
        if self._syncer is not None:
            self._syncer.close()
        if self._checkpointer is not None:
            self._checkpointer.close()
        if self._tail_size:
            self._empty_tail()
        self._truncate_wal()  # otherwise it stays, and is read at the next start
        if not self._tail_size and not self._wal_size():
            self._tail.cut(0)
        self._tail.close()
        self._db.close()

    def _empty_tail(self) -> None:
        """All that the tail says into the database, if the disk lets us; if not, the next start does it."""
        self._use_tail = False
        try:
            self._write(self._step(None, Books()), None, Books())
        except sqlite3.Error as error:
            _log.debug("= the tail stays: %s", error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _read_generations(db: sqlite3.Connection) -> list[Generation]:
    return [Generation(word, first) for word, first in db.execute("SELECT word, first FROM generations ORDER BY first")]


def _refused(books: Books) -> dict[tuple[str, str], int]:
    """(sender, reason) → datagrams not taken; beyond a number of senders (forged addresses) those are `OTHERS`."""
    found: dict[tuple[str, str], int] = {}
    for remote, counted in books.counts.items():
        for reason, number in counted.rejected.items():
            key = (remote if len(found) < _REFUSED_AT_ONCE else OTHERS, reason)
            found[key] = found.get(key, 0) + number
    return found


def _read_intervals(db: sqlite3.Connection, kind: str) -> list[Row]:
    rows = db.execute("SELECT * FROM intervals WHERE kind = ? ORDER BY number", (kind,))
    return [Row(*row) for row in rows]


def _still_told(known: list[Generation], oldest: int) -> list[Generation]:
    """The generations from the one that SEQ `oldest`, the first unconfirmed one, belongs to, and some before it."""
    needed = sum(generation.first <= oldest for generation in known)
    return known[max(0, needed - _GENERATIONS_KEPT) :]


def _plus(one: ShovelerSender, other: ShovelerSender) -> ShovelerSender:
    return ShovelerSender(
        received=one.received + other.received,
        bytes=one.bytes + other.bytes,
        by_code=_merged(one.by_code, other.by_code),
        oversize=one.oversize + other.oversize,
        rejected=_merged(one.rejected, other.rejected),
        confirmed=one.confirmed + other.confirmed,
        returned=one.returned + other.returned,
    )


def _merged(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    if not other:
        return one
    merged = dict(one)
    for key, number in other.items():
        merged[key] = merged.get(key, 0) + number
    return merged


def _frame_of(epoch: int, step: Step, totals: tuple[int, ...], looked: float, block: BlockRow) -> Frame:
    """A frame for a block that stays in the tail when all else is in the database."""
    return Frame(
        epoch=epoch, last=step.last, removed=step.removed, totals=totals, looked=looked, block=block, senders=[],
        sockets={}, intervals=[], intervals_gone=[], generation=None, input=None,
    )  # fmt: skip


def _totals_row(t: Totals) -> tuple[int, ...]:
    return (t.received, t.bytes, t.confirmed, t.returned, t.rejected, t.oversize, t.kernel_drops)


def _sync_directory(directory: Path) -> None:
    """So that the files in it are there after a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _overlaid(intervals: dict[str, list[Row]], frame: Frame) -> dict[str, list[Row]]:
    """Intervals with what a frame changed of them."""
    if not frame.intervals and not frame.intervals_gone:
        return intervals
    new = {row[0]: Row(*row) for row in frame.intervals}
    gone = set(frame.intervals_gone)
    found = {}
    for kind, rows in intervals.items():
        kept = {row.number: row for row in rows if row.number not in gone}
        kept |= {number: row for number, row in new.items() if row.kind == kind}
        found[kind] = [kept[number] for number in sorted(kept)]
    return found


def _sender_row(remote: str, s: ShovelerSender, seen: float) -> SenderRow:
    return (
        remote, s.received, s.bytes, s.confirmed, s.returned, s.oversize,
        _to_json(s.by_code).decode(), _to_json(s.rejected).decode(), seen,
    )  # fmt: skip


def _sender_of(row: SenderRow) -> tuple[ShovelerSender, float]:
    _remote, received, size, confirmed, returned, oversize, by_code, rejected, seen = row
    sender = ShovelerSender(
        received=received, bytes=size, by_code=_from_json(by_code), oversize=oversize, rejected=_from_json(rejected),
        spooled=received - confirmed, confirmed=confirmed, returned=returned,
    )  # fmt: skip
    return sender, seen


def _read_senders(db: sqlite3.Connection) -> dict[str, tuple[ShovelerSender, float]]:
    rows = db.execute(
        "SELECT remote, received, bytes, confirmed, returned, oversize, by_code, rejected, seen FROM senders"
    )
    return {row[0]: _sender_of(row) for row in rows}


class SpoolReader:
    """Reads a spool beside its writer, without ever making that one wait. Belongs to one thread."""

    def __init__(self, directory: Path) -> None:
        """Raises SpoolError when there is no spool, or the file is none."""
        self.path = _database(directory)
        try:
            if not self.path.exists():
                raise SpoolError(f"there is no spool in {directory}")
        except PermissionError:
            raise SpoolError(f"this user may not look into the spool directory {directory}") from None
        try:
            self._db = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, isolation_level=None, timeout=5.0)
            try:
                self._db.execute("PRAGMA cache_size = -1024")
                if not _check_format(self._db, self.path):
                    raise SpoolError(f"the spool {self.path} is empty: its shoveler never started")
                self.id, self.started = self._db.execute("SELECT id, created FROM spool").fetchone()
                self._tail = TailReader(file_of(directory))
            except BaseException:
                self._db.close()
                raise
            self._frames: list[Frame] | None = None
        except sqlite3.Error as error:
            raise _explain(error, self.path) from error

    def blocks(self, after: int, limit: int) -> list[Block]:
        """Blocks whose SEQs are above `after`, oldest first, until their datagrams are `limit` bytes or more."""
        found: list[Block] = []
        read = 0
        rows: list[tuple[int, int, float, int, bytes]] = []
        with self.at_once() as frames:
            query = "SELECT last, count, arrived, size, body FROM blocks WHERE last > ? ORDER BY last"
            for row in self._db.execute(query, (after,)):
                rows.append(row)
                read += row[3]
                if read >= limit:
                    break
            else:
                for last, count, arrived, size, _counts, body in _tail_blocks(frames, after):
                    if read >= limit:
                        break
                    rows.append((last, count, arrived, size, body))
                    read += size
            generations = self.generations() if rows else []
        firsts = [generation.first for generation in generations]
        try:
            for last, count, arrived, _size, body in rows:
                remotes, senders, datagrams = decode_block(body)
                first = last - count + 1
                word = generations[bisect_right(firsts, first) - 1].word
                found.append(Block(first, last, arrived, remotes, senders, datagrams, word))
        except EnvelopeError as error:
            raise SpoolError(f"the spool {self.path} is damaged: {error}") from error
        return found

    @contextmanager
    def at_once(self) -> Iterator[list[Frame]]:
        """All that is read inside is of one moment. To be left soon: it keeps the WAL from being reused. Gives what the
        tail says at that moment."""
        if self._frames is not None:
            yield self._frames
            return
        try:
            self._frames = self._begin()
            try:
                yield self._frames
            finally:
                self._frames = None
                self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise _explain(error, self.path) from error
        except OSError as error:
            raise SpoolError(f"the tail of the spool {self.path} cannot be read: {error.strerror}") from error

    def _begin(self) -> list[Frame]:
        """Begin to read the database, and read the tail that belongs to it: of an epoch that was the same before and
        after, as the owner cuts off no frames of the present one."""
        for _ in range(_TRIES):
            epoch = self._epoch()
            frames = self._tail.frames(epoch) if epoch else []
            self._db.execute("BEGIN")
            if self._epoch() == epoch:
                return frames
            self._db.execute("COMMIT")
        raise SpoolFull(f"cannot read the spool {self.path} for now: it changes too fast")

    def _epoch(self) -> int:
        if self._db.execute("PRAGMA user_version").fetchone()[0] == 1:  # its shoveler was not started since
            return 0
        epoch: int = self._db.execute("SELECT epoch FROM spool").fetchone()[0]
        return epoch

    def generations(self) -> list[Generation]:
        """The generations that the spool still names, oldest first."""
        with self.at_once() as frames:
            if self._db.execute("PRAGMA user_version").fetchone()[0] == 1:
                return [Generation(self.id, 1)]
            begun = [Generation(f.generation[1], f.generation[0]) for f in frames if f.generation is not None]
            return _read_generations(self._db) + begun

    def positions(self, confirmed_upto: int = 0) -> dict[str, Position]:
        """How far each generation has come. `confirmed_upto`: the SEQ up to which the caller knows of confirms that
        the writer may not have noted yet."""
        with self.at_once() as frames:
            row = self._db.execute("SELECT last - count FROM blocks ORDER BY last LIMIT 1").fetchone()
            if row is None:
                row = next(((block[0] - block[1],) for block in _tail_blocks(frames)), None)
            received = frames[-1].last if frames else self._last()
            confirmed = max(confirmed_upto, received if row is None else row[0])
            generations = self.generations()
        ends = [generation.first - 1 for generation in generations[1:]] + [received] * bool(generations)
        return {
            word: Position(first=first, received_upto=end, confirmed_upto=min(end, max(confirmed, first - 1)))
            for (word, first), end in zip(generations, ends, strict=True)
        }

    def _last(self) -> int:
        if self._db.execute("PRAGMA user_version").fetchone()[0] == 1:
            row = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'blocks'").fetchone()
        else:
            row = self._db.execute("SELECT last FROM spool").fetchone()
        return row[0] if row else 0

    def drops(self) -> list[Drop]:
        """What the kernel dropped at each socket, oldest first."""
        return [Drop(listen=r.subject, t_from=r.t_from, t_to=r.t_to, count=r.lost) for r in self._lost(DROP)]

    def fragments(self) -> list[Drop]:
        """What the kernel could not put together, oldest first."""
        return [Drop(listen=r.subject, t_from=r.t_from, t_to=r.t_to, count=r.lost) for r in self._lost(FRAGMENT)]

    def refusals(self) -> list[Refusal]:
        """What was read and not taken, oldest first."""
        return [
            Refusal(sender=r.subject, reason=r.reason, t_from=r.t_from, t_to=r.t_to, count=r.lost)
            for r in self._lost(REFUSAL)
        ]

    def _lost(self, kind: str) -> list[Row]:
        with self.at_once() as frames:
            if self._db.execute("PRAGMA user_version").fetchone()[0] == 1:
                return []
            found = {kind: _read_intervals(self._db, kind)}
            for frame in frames:
                found = _overlaid(found, frame)
            return found[kind]

    def totals(self) -> tuple[Totals, int]:
        """(counters, bytes of the blocks now in the spool)."""
        with self.at_once() as frames:
            row = frames[-1].totals if frames else self._db.execute(
                "SELECT received, bytes, confirmed, returned, rejected, oversize, kernel_drops, size FROM spool"
            ).fetchone()  # fmt: skip
        return Totals(*row[:7]), row[7]

    def oldest(self) -> float | None:
        """Arrival of the oldest datagram in the spool (Unix seconds), None when it is empty."""
        with self.at_once() as frames:
            row = self._db.execute("SELECT arrived FROM blocks ORDER BY last LIMIT 1").fetchone()
            return row[0] if row else next((block[2] for block in _tail_blocks(frames)), None)

    def senders(self) -> dict[str, ShovelerSender]:
        """The counters of each sender."""
        with self.at_once() as frames:
            found = _read_senders(self._db)
            for frame in frames:
                found.update({row[0]: _sender_of(row) for row in frame.senders})
        return {remote: sender for remote, (sender, _) in found.items()}

    def audit(self) -> Audit:
        """Count everything: the books, and what really lies there. Reads the whole table."""
        with self.at_once() as frames:
            totals, _ = self.totals()
            spooled = self._db.execute("SELECT coalesce(sum(count), 0) FROM blocks").fetchone()[0]
            spooled += sum(block[1] for block in _tail_blocks(frames))
        return Audit(totals.received, totals.confirmed, spooled)

    def close(self) -> None:
        """Close the files."""
        self._tail.close()
        self._db.close()


def _tail_blocks(frames: list[Frame], after: int = 0) -> list[BlockRow]:
    """The blocks that frames have, and that are not removed, above a SEQ."""
    after = max(after, frames[-1].removed) if frames else after
    return [frame.block for frame in frames if frame.block is not None and frame.block[0] > after]


class Syncer:
    """A thread that has what was committed brought to the disk, at most a second later; the owner goes on committing.

    With ``synchronous = normal`` SQLite itself waits for the disk only when it copies the WAL, which at 20 datagrams a
    second is once in half an hour.
    """

    def __init__(self, files: Sequence[Path], sync: Callable[[int], None]) -> None:
        """`files` may not exist yet; `sync` is os.fdatasync, or what a test puts in its place."""
        self._files = files
        self._sync = sync
        self._due = threading.Event()
        self._stopping = threading.Event()
        self._synced = float("-inf")
        self._warn = RateLimited(_log, 60.0)
        self._thread = threading.Thread(target=self._run, name="syncer", daemon=True)
        self._thread.start()

    def written(self) -> None:
        """Something was committed."""
        self._due.set()

    def has_synced(self, since: float) -> bool:
        """Whether what was committed until then (on the monotonic clock) is on the disk."""
        return self._synced >= since

    def close(self) -> None:
        """Stop; waits for a sync that is under way."""
        self._stopping.set()
        self._due.set()
        self._thread.join()

    def _run(self) -> None:
        descriptors: dict[Path, int] = {}
        while self._due.wait() and not self._stopping.wait(_SYNC_AFTER):
            self._due.clear()  # before: what is committed while the disk works is due again
            begun, well = time.monotonic(), True
            for path in self._files:
                try:
                    if path not in descriptors:
                        descriptors[path] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                    self._sync(descriptors[path])
                except OSError as error:
                    well = False
                    self._warn.log(
                        logging.ERROR, "sync", "! %s cannot be brought to the disk: %s; a power cut may lose what was "
                        "taken since", path, error.strerror,
                    )  # fmt: skip
            if well:
                self._synced = begun
        for descriptor in descriptors.values():
            os.close(descriptor)


class Checkpointer:
    """A thread that copies the WAL into the spool's file, while the owner goes on committing.

    A checkpoint waits for the disk twice; in the owner's thread the socket would wait with it. When this one has
    copied nearly all (`done`), the owner copies the few pages that came meanwhile and starts the WAL over. It must be
    the owner who does: a thread that competes with it for SQLite's write lock, under load, never gets it.
    """

    def __init__(self, path: Path, synchronous: Synchronous) -> None:
        self._path = path
        self._synchronous = synchronous
        self.due = threading.Event()
        self.done = threading.Event()
        self.working = threading.Lock()
        """Held while it copies."""
        self._stop = False
        self._thread = threading.Thread(target=self._run, name="checkpointer", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop; waits for a checkpoint that is under way."""
        self._stop = True
        self.due.set()
        self._thread.join()

    def _run(self) -> None:
        db = sqlite3.connect(self._path, isolation_level=None, timeout=10.0)
        db.execute(f"PRAGMA synchronous = {self._synchronous.upper()}")
        while self.due.wait() and not self._stop:
            self.due.clear()
            if not self.done.is_set():
                with self.working:
                    self._copy(db)
        db.close()

    def _copy(self, db: sqlite3.Connection) -> None:
        try:
            # Twice: the first takes so long that much has come meanwhile.
            for _ in range(2):
                db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            _log.debug("= the WAL was not copied: %s", error)
        self.done.set()
