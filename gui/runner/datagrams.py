"""Datagrams to look at: from a capture, a spool, a local bus, or live from the bus.

The decoder is the collector's: `tally-collector inspect --json` runs beside the window and prints a line for each
datagram. Their bytes go into a temporary capture, so that a million of them do not fill the memory; the fields of one
datagram, and the story of one file, are asked of the same program when somebody wants to see them.

- `Inspection` reads a source to its end, or a live one until it is stopped.
- `Tap` is a subscription to the packets on the bus, with its own queue that goes away with it. It takes copies: nothing
  is taken from a collector. What cannot be shown in time is dropped and counted.
"""

from __future__ import annotations

import asyncio
import binascii
import contextlib
import logging
import os
import signal
import tempfile
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from shoveler.bus import BusAddress, BusError, BusOptions, open_subscription
from shoveler.service import delays, redact
from shoveler.service.programs import program_command
from shoveler.service.tasks import start_task

log = logging.getLogger("tally.runner")

CHUNK = 128 * 1024
MAX_LIVE = 100_000
"""Datagrams of a live feed; it stops by itself after that many."""
MAX_SHOWN = 2_000_000
"""Datagrams of a file that are listed."""
WAITING = 20_000
"""Lines of a tap that wait to be decoded; more are dropped and counted."""
TAKE = 256
AT_ONCE = 200
"""Lines that are copied from the capture between two turns of the loop."""
ANSWER_SECONDS = 20.0
END_SECONDS = 5.0
KEPT_ERRORS = 20


class InspectionError(Exception):
    """Datagrams cannot be shown; one sentence says why."""


class Seen(msgspec.Struct, gc=False):
    """One line of the inspector, see `collector.digest`."""

    number: int = 0
    t: float | None = None
    remote: str = ""
    server: str = ""
    sid: int | None = None
    stod: int = 0
    cls: str = msgspec.field(name="class", default="")
    stream: str = ""
    kind: str = ""
    seq: int | None = None
    bytes: int = 0
    what: str = ""
    problems: list[str] = []
    files: list[int] = []
    sequence_note: str = ""
    set_aside: str = ""
    id: str | None = None
    place: str = ""
    data: str = ""
    unreadable: str = ""
    reason: str = ""


class DatagramRow(msgspec.Struct, frozen=True, gc=False):
    """A datagram in the list. `number` counts what was read, from 1; `at`: where its line is in the capture, None if
    it cannot be read as a datagram at all.

    OPTIMISATION: not a dataclass, so that the garbage collector does not look at 100,000 of them (170 ms in one turn).
    """

    number: int
    t: float | None
    remote: str
    server: str
    sid: int | None
    stod: int
    cls: str
    stream: str
    kind: str
    seq: int | None
    size: int | None
    what: str
    problems: tuple[str, ...]
    files: tuple[int, ...]
    note: str
    """What is unexpected about its sequence number."""
    source: str
    at: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class DecodedField:
    """A field in the bytes [first, end) of a datagram; `problem` names what is wrong with it."""

    name: str
    value: str
    first: int
    end: int
    problem: str = ""
    inside: tuple[DecodedField, ...] = ()


@dataclass(frozen=True, slots=True)
class Decoded:
    """A datagram with its bytes and fields."""

    row: DatagramRow
    data: bytes
    fields: tuple[DecodedField, ...]


class _Fields(msgspec.Struct):
    fields: list[Any] = []
    data: str = ""


_decode = msgspec.json.Decoder(Seen).decode
_decode_fields = msgspec.json.Decoder(_Fields).decode


@dataclass(slots=True)
class Counts:
    """What became of a source so far."""

    datagrams: int = 0
    broken: int = 0
    """With a named problem, or unreadable."""
    dropped: int = 0
    """Of a live feed: not shown, because they came faster than they can be decoded."""
    complete: bool = False
    """Whether the source was read to its end."""
    errors: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_ERRORS))


class Inspection:
    """The datagrams of one source. Belongs to the event loop; `close` at the end."""

    def __init__(self) -> None:
        self.counts = Counts()
        self._capture: BinaryIO = tempfile.TemporaryFile(prefix="tally-datagrams-")  # noqa: SIM115 - closed in `close`
        self._size = 0
        self._listed = 0
        self._process: asyncio.subprocess.Process | None = None
        self._details: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._closed = False

    # ---- reading

    async def file(self, path: Path) -> AsyncIterator[list[DatagramRow]]:
        """The datagrams of a capture, spool or local bus, some at a time. Raises InspectionError."""
        self._process = process = await _inspector(str(path), "--brief", "--hex")
        async for rows in self._rows(process, MAX_SHOWN):
            yield rows
        if not self.counts.datagrams and not self.counts.broken and self.counts.errors:
            raise InspectionError(self.counts.errors[-1])

    async def live(self, tap: Tap) -> AsyncIterator[list[DatagramRow]]:
        """The datagrams that a tap brings, until it is stopped or `MAX_LIVE` are shown. Raises InspectionError."""
        self._process = process = await _inspector("-", "--brief", "--hex", stdin=asyncio.subprocess.PIPE)
        feeding = start_task(self._feed(process, tap), "feed the inspector")
        try:
            async for rows in self._rows(process, MAX_LIVE):
                self.counts.dropped = tap.dropped
                yield rows
        finally:
            tap.stop()
            feeding.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await feeding

    async def _feed(self, process: asyncio.subprocess.Process, tap: Tap) -> None:
        assert process.stdin is not None
        with contextlib.suppress(ConnectionError):
            while not tap.stopped or tap.lines:
                lines = tap.take()
                if lines:
                    process.stdin.write(b"\n".join(lines) + b"\n")
                    await process.stdin.drain()
                else:
                    await asyncio.sleep(0.1)
            process.stdin.close()

    async def _rows(self, process: asyncio.subprocess.Process, most: int) -> AsyncIterator[list[DatagramRow]]:
        assert process.stdout is not None
        assert process.stderr is not None
        errors = start_task(_keep(process.stderr, self.counts.errors), "errors of the inspector")
        rest = b""
        try:
            while chunk := await process.stdout.read(CHUNK):
                lines = (rest + chunk).split(b"\n")
                rest = lines.pop()
                rows = [row for line in lines if line and (row := self._row(line)) is not None]
                if rows:
                    yield rows
                if self.counts.datagrams >= most:
                    break
            else:
                self.counts.complete = True
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(END_SECONDS):
                        await process.wait()
        finally:
            await _ended(process)
            await errors

    def _row(self, line: bytes) -> DatagramRow | None:
        try:
            seen = _decode(line)
        except msgspec.DecodeError as error:
            log.debug("= a line of the inspector cannot be read: %s", error)
            return None
        counts = self.counts
        self._listed += 1
        if seen.unreadable:
            counts.broken += 1
            return DatagramRow(
                self._listed, None, "", "", None, 0, "", "", "unreadable", None, None,
                seen.unreadable, (seen.reason,), (), "", "", None,
            )  # fmt: skip
        if not seen.data and not seen.number:  # a line of a quarantine without a datagram
            counts.broken += 1
            return DatagramRow(
                self._listed, seen.t, "", "", None, 0, "", "", "set aside", None, None,
                seen.set_aside, ("set_aside",), (), "", "", None,
            )  # fmt: skip
        counts.datagrams += 1
        problems = (*seen.problems, *(("set_aside",) if seen.set_aside else ()))
        counts.broken += bool(problems)
        kept = _capture_line(seen)
        at = (self._size, len(kept))
        self._capture.write(kept)
        self._size += len(kept)
        what = f"set aside: {seen.set_aside}. {seen.what}" if seen.set_aside else seen.what
        return DatagramRow(
            self._listed, seen.t, seen.remote, seen.server, seen.sid, seen.stod, seen.cls, seen.stream, seen.kind,
            seen.seq, seen.bytes, what, problems, tuple(seen.files), seen.sequence_note,
            (seen.id or "").partition(":")[0], at,
        )  # fmt: skip

    async def stop(self) -> None:
        """Read no further. What is listed stays."""
        if self._process is not None:
            await _ended(self._process)

    # ---- looking closer

    async def decoded(self, row: DatagramRow) -> Decoded:
        """The bytes and fields of a datagram. Raises InspectionError."""
        if row.at is None:
            raise InspectionError("This is not a datagram: there are no bytes to show.")
        async with self._turn:
            line = self._line(row)
            answer = await self._ask(line)
        data = binascii.a2b_base64(answer.data)
        return Decoded(row, data, tuple(map(_field, answer.fields)))

    async def _ask(self, line: bytes) -> _Fields:
        if self._details is None or self._details.returncode is not None:
            self._details = await _inspector(
                "-", "--brief", "--fields", "--hex", stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
            )
        process = self._details
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                process.stdin.write(line)
                await process.stdin.drain()
                return _decode_fields(await process.stdout.readline())
        except (TimeoutError, ConnectionError, ValueError, msgspec.DecodeError) as error:
            self._details = None
            await _ended(process)
            raise InspectionError(f"The collector's inspector gave no answer: {error or 'too late'}.") from error

    def _line(self, row: DatagramRow) -> bytes:
        assert row.at is not None
        self._capture.seek(row.at[0])
        line = self._capture.read(row.at[1])
        self._capture.seek(self._size)
        return line

    async def about(self, file_id: int, row: DatagramRow, rows: Sequence[DatagramRow]) -> set[int]:
        """The numbers of all datagrams of `rows` about one file of the server of `row`: login, open, progress, close,
        and the neighbours of each in its sequence. Raises InspectionError."""
        known = [one for one in rows if one.at is not None]
        server = row.remote.rpartition(":")[0] if row.sid is None else str(row.sid)
        with tempfile.NamedTemporaryFile(prefix="tally-follow-", suffix=".jsonl") as file:
            for begin in range(0, self._size, CHUNK * 8):
                self._capture.seek(begin)
                piece = self._capture.read(min(CHUNK * 8, self._size - begin))
                self._capture.seek(self._size)
                await asyncio.to_thread(file.write, piece)
            await asyncio.to_thread(file.flush)
            process = await _inspector(
                file.name, "--brief", "--follow-file", str(file_id), "--server", server.strip("[]")
            )
            assert process.stdout is not None
            assert process.stderr is not None
            out, err = await _communicate(process)
        if process.returncode:
            raise InspectionError(err.decode(errors="replace").strip() or "The collector's inspector failed.")
        found = [known[number - 1] for number in _numbers(out) if 0 < number <= len(known)]
        return {one.number for one in with_neighbours([one for one in found if one.stod == row.stod], known)}

    async def save(self, path: Path, rows: Sequence[DatagramRow]) -> int:
        """Write these datagrams as a capture; returns how many. Raises OSError."""
        kept = [row for row in rows if row.at is not None]
        with await asyncio.to_thread(path.open, "wb") as file:
            for begin in range(0, len(kept), AT_ONCE):
                lines = b"".join(map(self._line, kept[begin : begin + AT_ONCE]))
                await asyncio.to_thread(file.write, lines)
        return len(kept)

    async def close(self) -> None:
        """End the programs and forget the bytes."""
        if self._closed:
            return
        self._closed = True
        for process in (self._process, self._details):
            if process is not None:
                await _ended(process)
        self._capture.close()


def with_neighbours(found: Sequence[DatagramRow], rows: Sequence[DatagramRow]) -> list[DatagramRow]:
    """These datagrams, and those before and after each in its own sequence: between them something may be missing."""
    wanted = {row.number for row in found}
    of_f = {(row.remote, row.stod, row.cls) for row in found if row.cls == "F"}
    last: dict[tuple[str, int, str], DatagramRow] = {}
    keep = set(wanted)
    for row in rows:
        key = (row.remote, row.stod, row.cls)
        if key not in of_f:
            continue
        before = last.get(key)
        if before is not None:
            if row.number in wanted:
                keep.add(before.number)
            if before.number in wanted:
                keep.add(row.number)
        last[key] = row
    return [row for row in rows if row.number in keep]


class Tap:
    """Copies of the packets on the bus, as lines of a capture. `start`, then `take` until `stop`; both at once."""

    def __init__(
        self, address: BusAddress, *, exchange: str, options: BusOptions, clock: Callable[[], float] = time.time
    ) -> None:
        self._address = address
        self._exchange = exchange
        self._options = options
        self._clock = clock
        self._stopping = threading.Event()
        self.lines: deque[bytes] = deque()
        self.dropped = 0
        self.connected = False
        self.trouble = ""
        self._thread = threading.Thread(target=self._run, name="tap", daemon=True)

    def start(self) -> None:
        """Connect."""
        self._thread.start()

    def stop(self) -> None:
        """Disconnect; the queue goes away."""
        self._stopping.set()

    @property
    def stopped(self) -> bool:
        """Whether it was told to stop."""
        return self._stopping.is_set()

    def join(self, seconds: float = 10.0) -> None:
        """Wait until it has disconnected. Blocking."""
        self._thread.join(seconds)

    def take(self, most: int = 1000) -> list[bytes]:
        """The oldest lines that wait."""
        return [self.lines.popleft() for _ in range(min(most, len(self.lines)))]

    def _run(self) -> None:
        waits = delays(0.5, 15.0)
        while not self._stopping.is_set():
            try:
                self._subscribe()
            except BusError as error:
                self.connected, self.trouble = False, redact(str(error))
                log.info("! the live feed of datagrams: %s", error)
                self._stopping.wait(next(waits))

    def _subscribe(self) -> None:
        consumer = open_subscription(
            self._address, exchange=self._exchange, binding="#", reader="datagram inspector", options=self._options
        )
        with contextlib.closing(consumer):
            self.connected, self.trouble = True, ""
            while not self._stopping.is_set():
                messages = consumer.take(TAKE, 0.25)
                now = self._clock()
                for message in messages:
                    for line in message.body.split(b"\n"):
                        self._put(line, now)
                if messages:
                    consumer.acknowledge(messages[-1].delivery)
        self.connected = False

    def _put(self, line: bytes, now: float) -> None:
        text = line.strip()
        if not text:
            return
        if len(self.lines) >= WAITING:
            self.dropped += 1
            return
        # An envelope lacks only the time; what is none stays as it is, and the inspector says so.
        self.lines.append(b'{"t":%.6f,%b' % (now, text[1:]) if text.startswith(b"{") else text)


# ---- the collector's program


async def _inspector(
    source: str, *options: str, stdin: int = asyncio.subprocess.DEVNULL, stderr: int = asyncio.subprocess.PIPE
) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *program_command("tally-collector"),
            "inspect",
            "--json",
            *options,
            "--",
            source,
            stdin=stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            limit=2**24,
            start_new_session=True,
        )
    except OSError as error:
        raise InspectionError(f"tally-collector cannot be started: {error.strerror or error}.") from error


async def _communicate(process: asyncio.subprocess.Process) -> tuple[bytes, bytes]:
    try:
        return await process.communicate()
    except asyncio.CancelledError:
        await _ended(process)
        raise


async def _ended(process: asyncio.subprocess.Process) -> None:
    """End a program and wait for it. Not by its `terminate`: that looks whether it has ended, and the loop would then
    not learn how."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGTERM)
    try:
        async with asyncio.timeout(END_SECONDS):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _keep(stream: asyncio.StreamReader, lines: deque[str]) -> None:
    while line := await stream.readline():
        text = line.decode(errors="replace").strip()
        if text:
            lines.append(text)


def _capture_line(seen: Seen) -> bytes:
    identifier = {"id": seen.id} if seen.id is not None else {}
    return msgspec.json.encode({"t": seen.t or 0.0, "remote": seen.remote, "data": seen.data, **identifier}) + b"\n"


def _field(one: list[Any]) -> DecodedField:
    name, value, first, end, problem, inside = one
    return DecodedField(str(name), str(value), int(first), int(end), str(problem), tuple(map(_field, inside)))


def _numbers(out: bytes) -> list[int]:
    return [_decode(line).number for line in out.splitlines() if line]
