"""From the spool to the bus: framing, the ledger of what is in transit, and the courier that sends it.

A *parcel* is one message for the bus with the datagrams in it. The *ledger* knows which parcels have no outcome yet,
and up to which SEQ everything is confirmed: only that may leave the spool. The *courier* reads blocks, sends parcels,
collects outcomes and retries; the order of one sender's datagrams is kept, unless the bus refuses some in between.

Framing and ledger do no I/O. The courier's clock and bus are passed in.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from shoveler.bus import BusError, BusRefusedError, BusUnavailableError, Outcome, Outgoing, Publisher
from shoveler.envelope import BATCH, encode_batch, encode_single, shard_of
from shoveler.service import Health, RateLimited, delays
from shoveler.spool.errors import SpoolFullError
from shoveler.spool.reader import SpoolReader
from shoveler.spool.values import Block

_log = logging.getLogger("shoveler.publisher")

FramingName: TypeAlias = Literal["single", "batch"]

READ_BYTES = 4 * 2**20
"""Bytes of blocks read from the spool at once."""
UNSETTLED_BYTES = 24 * 2**20
"""Maximum bytes of parcels in transit; limits the memory of the publisher, besides the bus's own window."""
_PIECE = 256 * 1024
"""Bytes sent before checking again whether the publisher has room: a broker that stops reading stops us there."""
_PLENTY = 2000  # datagrams that make full batches without any lingering
_TROUBLE_INTERVAL = 60.0
_ROTATE_WAIT = 5.0
_TOKEN_INTERVAL = 2.0
_AWAIT = 0.02
_IDLE = 1.0


class OpenBlock:
    """A block that is being published: `remaining` of its `count` datagrams are not confirmed."""

    __slots__ = ("count", "last", "remaining")

    def __init__(self, last: int, count: int) -> None:
        self.last = last
        self.count = count
        self.remaining = count


@dataclass(slots=True)
class Parcel:
    """One message and the datagrams in it, as (block, sender, number)."""

    message: Outgoing
    parts: list[tuple[OpenBlock, str, int]]
    order: int = 0


class Framer(Protocol):
    """Makes parcels from blocks."""

    def frame(self, blocks: Iterable[tuple[Block, OpenBlock]]) -> list[Parcel]:
        """Parcels with all datagrams of the blocks, those of one sender in order."""


class _Shards:
    """Headers by sender, made once."""

    def __init__(self, spool_id: str) -> None:
        self._spool = spool_id
        self._headers: dict[str, dict[str, str | int]] = {}

    def headers(self, remote: str) -> dict[str, str | int]:
        found = self._headers.get(remote)
        if found is None:
            if len(self._headers) >= 20_000:
                self._headers.clear()
            found = self._headers[remote] = {"shoveler": self._spool, "shard": shard_of(remote)}
        return found


class SingleFramer:
    """One datagram per message, in the OSG format."""

    def __init__(self, spool_id: str, version: str, routing_key: str = "") -> None:
        self._version = version
        self._key = routing_key
        self._shards = _Shards(spool_id)

    def frame(self, blocks: Iterable[tuple[Block, OpenBlock]]) -> list[Parcel]:
        version, key, headers = self._version, self._key, self._shards.headers
        parcels = []
        for block, opened in blocks:
            remotes, prefix = block.remotes, block.generation + ":"
            for seq, (index, datagram) in enumerate(zip(block.senders, block.datagrams, strict=True), block.first):
                remote = remotes[index]
                body = encode_single(remote, datagram, version)
                message = Outgoing(body, f"{prefix}{seq}", key, headers(remote))
                parcels.append(Parcel(message, [(opened, remote, 1)]))
        return parcels


class BatchFramer:
    """Many datagrams of one shard per message, each line with its own id. A message has the id of its first line."""

    def __init__(self, spool_id: str, version: str, routing_key: str = "", *, max_bytes: int = 512 * 1024) -> None:
        self._version = version
        self._key = routing_key
        self._shards = _Shards(spool_id)
        self._max = max_bytes * 3 // 4  # base64 makes four bytes from three

    def frame(self, blocks: Iterable[tuple[Block, OpenBlock]]) -> list[Parcel]:
        parcels: list[Parcel] = []
        batches: dict[str | int, _Batch] = {}
        for block, opened in blocks:
            remotes, prefix = block.remotes, block.generation + ":"
            # For each sender of the block: the batch that its datagrams go to, looked up once.
            targets = [batches.setdefault(self._shards.headers(remote)["shard"], _Batch()) for remote in remotes]
            for seq, (index, datagram) in enumerate(zip(block.senders, block.datagrams, strict=True), block.first):
                batch = targets[index]
                batch.rows.append((f"{prefix}{seq}", remotes[index], datagram))
                batch.size += len(datagram) + 60
                part = (opened, remotes[index])
                batch.parts[part] = batch.parts.get(part, 0) + 1
                if batch.size >= self._max:
                    parcels.append(self._parcel(batch))
                    batch.__init__()  # type: ignore[misc]
        parcels += [self._parcel(batch) for batch in batches.values() if batch.rows]
        return parcels

    def _parcel(self, batch: _Batch) -> Parcel:
        first_id, remote, _ = batch.rows[0]
        body = encode_batch(batch.rows, self._version)
        message = Outgoing(body, first_id, self._key, self._shards.headers(remote), BATCH)
        return Parcel(message, [(opened, remote, number) for (opened, remote), number in batch.parts.items()])


@dataclass(slots=True)
class _Batch:
    rows: list[tuple[str, str, bytes]] = field(default_factory=list)
    parts: dict[tuple[OpenBlock, str], int] = field(default_factory=dict)
    size: int = 0


class Ledger:
    """Parcels that are not confirmed, and the SEQ up to which everything is confirmed."""

    def __init__(self) -> None:
        self._blocks: deque[OpenBlock] = deque()
        self._unsettled: dict[str, Parcel] = {}
        self._failed: list[Parcel] = []
        self._order = 0
        self.bytes = 0
        """Bytes of all parcels that are not confirmed."""
        self.confirmed_upto = 0
        """All datagrams up to this SEQ are confirmed."""
        self.confirmed_whole = 0
        """Datagrams in the blocks up to there."""

    @property
    def unsettled(self) -> int:
        """Parcels that were sent and have no outcome."""
        return len(self._unsettled)

    @property
    def failed(self) -> int:
        """Parcels that the bus refused or returned, to be sent again."""
        return len(self._failed)

    def open(self, block: Block) -> OpenBlock:
        """A block that was read, in order."""
        opened = OpenBlock(block.last, len(block.datagrams))
        self._blocks.append(opened)
        return opened

    def sending(self, parcels: Iterable[Parcel]) -> None:
        """These are about to be sent (called before sending, so that none is forgotten when sending fails)."""
        for parcel in parcels:
            if not parcel.order:
                self._order += 1
                parcel.order = self._order
                self.bytes += len(parcel.message.body)
            self._unsettled[parcel.message.id] = parcel

    def settle(self, outcomes: Iterable[Outcome]) -> tuple[bool, list[tuple[Outcome, Parcel]]]:
        """(whether `confirmed_upto` grew, failed parcels with the reason). The failed ones are kept for `again`."""
        failed = []
        for outcome in outcomes:
            parcel = self._unsettled.pop(outcome.id, None)
            if parcel is None:
                continue  # of a connection that was given up; the parcel was sent again
            if outcome.status == "confirmed":
                self.bytes -= len(parcel.message.body)
                for block, _remote, number in parcel.parts:
                    block.remaining -= number
            else:
                self._failed.append(parcel)
                failed.append((outcome, parcel))
        grew = False
        while self._blocks and not self._blocks[0].remaining:
            block = self._blocks.popleft()
            self.confirmed_upto = block.last
            self.confirmed_whole += block.count
            grew = True
        return grew, failed

    def again(self, *, all_unsettled: bool) -> list[Parcel]:
        """What to send again, in the old order: failed parcels, and after a reconnect also those without an outcome."""
        parcels, self._failed = self._failed, []
        if all_unsettled:
            parcels += self._unsettled.values()
            self._unsettled.clear()
        return sorted(parcels, key=lambda parcel: parcel.order)


class Courier:
    """Sends the spool to the bus. One thread; `step` does what can be done now and returns how long it may rest.

    `confirmed` is called with the new SEQ each time the head of the spool is confirmed, `returned` with the senders
    whose datagrams were returned because no queue was bound.
    """

    def __init__(
        self,
        reader: SpoolReader,
        framer: Framer,
        connect: Callable[[], Publisher],
        *,
        confirmed: Callable[[int], None],
        returned: Callable[[dict[str, int]], None],
        health: Health,
        linger: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reader = reader
        self.framer = framer
        self.connect = connect
        self._confirmed = confirmed
        self._returned = returned
        self._health = health
        self.linger = linger
        self._clock = clock
        self._publisher: Publisher | None = None
        self.ledger = Ledger()
        self.committed = 0
        """SEQ of the newest datagram known to be in the spool."""
        self._read_upto = 0
        self._waiting: deque[Parcel] = deque()
        self._unread_since: float | None = None
        self._delays: Iterator[float] = delays()
        self._not_before = 0.0
        self._rotate_by: float | None = None
        self._flushing = False
        self._look_at_token = 0.0
        self.reconnects = 0
        self.trouble = "not connected yet"
        self._said = ""
        self._warn = RateLimited(_log, _TROUBLE_INTERVAL, clock=clock)
        self._health.problem("bus", self.trouble)

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""
        return self._publisher is not None

    @property
    def done(self) -> bool:
        """Whether everything that is known to be in the spool is confirmed."""
        return self.ledger.confirmed_upto >= self.committed

    def step(self) -> float:
        """Do what can be done without waiting long; returns the seconds that it may rest unless something is committed.

        Raises SpoolError when the spool cannot be read any more.
        """
        now = self._clock()
        if self._publisher is None:
            if now < self._not_before:
                return min(self._not_before - now, _IDLE)
            if not self._open():
                return 0.0
        try:
            self._send(now)
            return self._settle()
        except BusError as error:
            self._lost(error)
            return 0.0
        except SpoolFullError as error:
            self._warn.warning("spool", "! %s", error)
            return _IDLE

    def rotate(self) -> None:
        """Reconnect (new credentials, new settings) as soon as everything in transit has an outcome."""
        self._rotate_by = self._clock() + _ROTATE_WAIT
        self._not_before = min(self._not_before, self._clock())  # a new token may be exactly what it is waiting for

    def flush(self) -> None:
        """Stop lingering, since the shoveler is about to stop."""
        self._flushing = True

    def close(self) -> None:
        """Close the connection. What has no outcome stays in the spool."""
        if self._publisher is not None:
            self._publisher.close()
            self._publisher = None

    # ---------------------------------------------------------------- the connection

    def _open(self) -> bool:
        try:
            self._publisher = self.connect()
        except BusError as error:
            self._trouble(error)
            return False
        self._rotate_by = None
        self._waiting.extendleft(reversed(self.ledger.again(all_unsettled=True)))
        _log.info("= connected to the bus")
        self._warn.forget("bus")
        self._well()
        return True

    def _lost(self, error: BusError) -> None:
        self.close()
        self.reconnects += 1
        self._trouble(error)

    def _trouble(self, error: BusError) -> None:
        now = self._clock()
        if now >= self._not_before:  # many parcels that are returned together are one problem
            self._not_before = now + next(self._delays)
            if str(error) != self._said:
                self._said = str(error)
                self._warn.forget("bus")  # another problem than the last: whoever fixed that one must see this one
        delay = self._not_before - now
        self.trouble = str(error)
        self._health.problem("bus", self.trouble)
        level = logging.ERROR if isinstance(error, BusRefusedError) else logging.WARNING
        self._warn.log(
            level, "bus", "! %s; datagrams stay in the spool, next try in %.1f s", self.trouble, delay
        )  # fmt: skip

    def _well(self) -> None:
        self.trouble = ""
        self._health.fine("bus")

    # ---------------------------------------------------------------- sending and settling

    def _send(self, now: float) -> None:
        publisher = self._publisher
        assert publisher is not None
        if now >= self._look_at_token:
            self._look_at_token = now + _TOKEN_INTERVAL
            if self._rotate_by is None and publisher.token_changed():
                self.rotate()
        if self._rotate_by is not None:
            if self.ledger.unsettled and now < self._rotate_by:
                return
            _log.info("= reconnecting to the bus with the current token and settings")
            self.close()
            if not self._open():
                return
            publisher = self._publisher
        if self.ledger.failed:
            # Wait for outcomes first: then what failed is sent again before anything newer.
            if self.ledger.unsettled or now < self._not_before:
                return
            self._waiting.extendleft(reversed(self.ledger.again(all_unsettled=False)))
        if not self._waiting:
            self._read(now)
        while publisher is not None and (piece := self._next_piece(publisher.room)):
            self.ledger.sending(piece)
            publisher.send([parcel.message for parcel in piece])

    def _next_piece(self, room: int) -> list[Parcel]:
        """The next parcels to send: no more than can be sent without waiting or before checking `room` again."""
        piece: list[Parcel] = []
        waiting, limit = self._waiting, UNSETTLED_BYTES - self.ledger.bytes
        size = new = 0
        while waiting and len(piece) < room and size < _PIECE and new < limit:
            parcel = waiting.popleft()
            length = len(parcel.message.body)
            size += length
            if not parcel.order:
                new += length
            piece.append(parcel)
        if not piece and self._waiting and room and not self.ledger.unsettled:
            piece.append(self._waiting.popleft())  # parcels sent again may fill the limit alone
        return piece

    def _read(self, now: float) -> None:
        """Turn newly read blocks into waiting parcels."""
        if self.committed <= self._read_upto:
            return
        if self.linger and not self._flushing and self.committed - self._read_upto < _PLENTY:
            if self._unread_since is None:
                self._unread_since = now
            if now - self._unread_since < self.linger:
                return
        self._unread_since = None
        blocks = self._reader.blocks(self._read_upto, READ_BYTES)
        if blocks:
            self._read_upto = blocks[-1].last
            self._waiting.extend(self.framer.frame([(block, self.ledger.open(block)) for block in blocks]))

    def _settle(self) -> float:
        publisher = self._publisher
        if publisher is None:
            return 0.0
        unsettled = self.ledger.unsettled
        if publisher.blocked:
            self.trouble = publisher.blocked
            self._health.problem("bus", self.trouble)
            self._warn.warning("blocked", "! the bus accepts nothing for now: %s", self.trouble)
        elif self.trouble and not unsettled and not self.ledger.failed:
            self._well()
        held_up = unsettled or self._waiting or self._rotate_by is not None
        grew, failed = self.ledger.settle(publisher.outcomes(_AWAIT if held_up else 0.0))
        if failed:
            self._came_back(failed)
        elif not self.ledger.failed and (grew or self.ledger.unsettled < unsettled):
            self._delays = delays()
            if self.trouble:
                _log.info("= the bus accepts datagrams again")
                self._well()
        if grew:
            self._confirmed(self.ledger.confirmed_upto)
        now = self._clock()
        if self.ledger.failed and not self.ledger.unsettled:
            return max(0.0, min(self._not_before - now, _IDLE))
        if self.ledger.unsettled or self._waiting or self._rotate_by is not None:
            return 0.0
        if self.committed > self._read_upto:
            since = self._unread_since
            return 0.0 if since is None else max(0.001, since + self.linger - now)
        return _IDLE

    def _came_back(self, failed: list[tuple[Outcome, Parcel]]) -> None:
        counts: dict[str, int] = {}
        for outcome, parcel in failed:
            if outcome.status == "returned":
                for _block, remote, number in parcel.parts:
                    counts[remote] = counts.get(remote, 0) + number
        if counts:
            self._returned(counts)
        outcome = failed[-1][0]
        if outcome.status == "returned":
            text = (
                f"datagrams came back: {outcome.reason or 'no queue is bound'}; start the collector or bind its queue"
            )
        else:
            text = f"datagrams were refused: {outcome.reason or 'a queue is full'}; is the collector running?"
        self._trouble(BusUnavailableError(text))
