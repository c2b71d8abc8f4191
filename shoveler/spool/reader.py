"""Reads a spool beside its writer."""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shoveler.intervals import Row
from shoveler.service import Drop, Position, Refusal, ShovelerSender
from shoveler.spool.accounts import DROP, FRAGMENT, REFUSAL, overlaid, sender_of
from shoveler.spool.blocks import BlockError, decode_block
from shoveler.spool.errors import SpoolError, SpoolFullError, explain
from shoveler.spool.format import check_format, database, read_generations, read_intervals, read_senders
from shoveler.spool.tail import BlockRow, Frame, TailReader, file_of
from shoveler.spool.values import Audit, Block, Generation, SpoolTotals

_TRIES = 1000


class SpoolReader:
    """Reads a spool beside its writer, without ever making the writer wait. Belongs to one thread."""

    def __init__(self, directory: Path) -> None:
        """Raises SpoolError when there is no spool, or the file is not one."""
        self.path = database(directory)
        try:
            if not self.path.exists():
                raise SpoolError(f"there is no spool in {directory}")
        except PermissionError:
            raise SpoolError(f"this user cannot access the spool directory {directory}") from None
        try:
            self._db = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, isolation_level=None, timeout=5.0)
            try:
                self._db.execute("PRAGMA cache_size = -1024")
                if not check_format(self._db, self.path):
                    raise SpoolError(f"the spool {self.path} is empty: its shoveler never started")
                self.id, self.started = self._db.execute("SELECT id, created FROM spool").fetchone()
                self._tail = TailReader(file_of(directory))
            except BaseException:
                self._db.close()
                raise
            self._frames: list[Frame] | None = None
        except sqlite3.Error as error:
            raise explain(error, self.path) from error

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
        except BlockError as error:
            raise SpoolError(f"the spool {self.path} is damaged: {error}") from error
        return found

    @contextmanager
    def at_once(self) -> Iterator[list[Frame]]:
        """Everything read inside is one snapshot. Leave it soon: it keeps the WAL from being reused. Yields what the
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
            raise explain(error, self.path) from error
        except OSError as error:
            raise SpoolError(f"the tail of the spool {self.path} cannot be read: {error.strerror}") from error

    def _begin(self) -> list[Frame]:
        """Begin a read of the database, and read the tail that belongs to it: of an epoch that was the same before and
        after, since the owner cuts off no frames of the current one."""
        for _ in range(_TRIES):
            epoch = self._epoch()
            frames = self._tail.frames(epoch) if epoch else []
            self._db.execute("BEGIN")
            if self._epoch() == epoch:
                return frames
            self._db.execute("COMMIT")
        raise SpoolFullError(f"cannot read the spool {self.path} for now: it changes too fast")

    def _epoch(self) -> int:
        if self._db.execute("PRAGMA user_version").fetchone()[0] == 1:  # its shoveler has not been started since
            return 0
        epoch: int = self._db.execute("SELECT epoch FROM spool").fetchone()[0]
        return epoch

    def generations(self) -> list[Generation]:
        """The generations that the spool still names, oldest first."""
        with self.at_once() as frames:
            if self._db.execute("PRAGMA user_version").fetchone()[0] == 1:
                return [Generation(self.id, 1)]
            begun = [Generation(f.generation[1], f.generation[0]) for f in frames if f.generation is not None]
            return read_generations(self._db) + begun

    def positions(self, confirmed_upto: int = 0) -> dict[str, Position]:
        """The position in each generation. `confirmed_upto`: the SEQ up to which the caller knows of confirms that the
        writer may not have stored yet."""
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
        """What the kernel could not reassemble, oldest first."""
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
            found = {kind: read_intervals(self._db, kind)}
            for frame in frames:
                found = overlaid(found, frame)
            return found[kind]

    def totals(self) -> tuple[SpoolTotals, int]:
        """(counters, bytes of the blocks now in the spool)."""
        with self.at_once() as frames:
            row = frames[-1].totals if frames else self._db.execute(
                "SELECT received, bytes, confirmed, returned, rejected, oversize, kernel_drops, size FROM spool"
            ).fetchone()  # fmt: skip
        return SpoolTotals(*row[:7]), row[7]

    def oldest(self) -> float | None:
        """Arrival of the oldest datagram in the spool (Unix seconds), None when it is empty."""
        with self.at_once() as frames:
            row = self._db.execute("SELECT arrived FROM blocks ORDER BY last LIMIT 1").fetchone()
            return row[0] if row else next((block[2] for block in _tail_blocks(frames)), None)

    def senders(self) -> dict[str, ShovelerSender]:
        """The counters of each sender."""
        with self.at_once() as frames:
            found = read_senders(self._db)
            for frame in frames:
                found.update({row[0]: sender_of(row) for row in frame.senders})
        return {remote: sender for remote, (sender, _) in found.items()}

    def audit(self) -> Audit:
        """Count everything: the books, and what is really there. Reads the whole table."""
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
