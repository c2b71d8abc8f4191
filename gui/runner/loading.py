"""Loads a file of records from the window: `tally load --json` in a process of its own.

Decoding a million records takes a core for half a minute. In a thread of the window each painted line would wait for
that thread (5 ms at a time, hundreds of times); another process does not disturb it, and Ctrl-C ends it cleanly: what
is loaded by then stays, and the file can be loaded again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from gui.runner.record_file import FileProgress
from gui.store import PRODUCERS, LoadResult
from shoveler.service.programs import program_command

END_SECONDS = 2.0
"""How long a loading may take to end when the window closes; then it is killed, and its last transaction undone."""
MAX_LINE = 2**20
KEPT_ERRORS = 20


class LoadError(Exception):
    """A file could not be loaded; one sentence says why."""


class LoadLine(msgspec.Struct, frozen=True, tag="progress"):
    """How far it is: bytes read of the file's size, and records so far."""

    read: int
    size: int
    records: int

    @classmethod
    def of(cls, progress: FileProgress) -> LoadLine:
        return cls(progress.read, progress.size, records_in(progress.result))


class LoadEnd(msgspec.Struct, frozen=True, tag="end"):
    """What was loaded: counts as in `LoadResult`. `scored`: repeats that were scored again."""

    final: int = 0
    provisional: int = 0
    repeated: int = 0
    foreign: int = 0
    other: int = 0
    bad: int = 0
    sealed: int = 0
    producers: dict[str, int] = {}
    scored: int = 0
    stopped: bool = False
    problems: tuple[str, ...] = ()
    """Sentences about the first records that could not be read."""

    @classmethod
    def of(cls, result: LoadResult, scored: int, *, stopped: bool) -> LoadEnd:
        return cls(
            final=result.final, provisional=result.provisional, repeated=result.repeated, foreign=result.foreign,
            other=result.other, bad=result.bad, sealed=result.sealed, producers=dict(result.producers), scored=scored,
            stopped=stopped,
        )  # fmt: skip

    def words(self) -> list[str]:
        """What was loaded, in sentences."""
        own = self.final + self.provisional
        said = [
            f"{own:,} records of Tally's tests loaded, {self.repeated:,} were there already; {self.foreign:,} of "
            f"others counted, {self.other:,} of other kinds, {self.bad:,} could not be read."
        ]
        if self.scored:
            said.append(f"{self.scored:,} repeat{'s' if self.scored > 1 else ''} got new records: scored again.")
        if self.sealed:
            said.append(f"{self.sealed:,} of days that are no longer remembered were not counted.")
        for producer, count in sorted(self.producers.items()):
            if producer in PRODUCERS:
                said.append(f"{count:,} came from {PRODUCERS[producer][0]}.")
        if self.stopped:
            said.append("The loading was stopped; load the file again to get the rest.")
        return said


_decode = msgspec.json.Decoder(LoadLine | LoadEnd).decode


def records_in(result: LoadResult) -> int:
    """All records of a result, whatever became of them."""
    return result.stored + result.repeated + result.foreign + result.other + result.bad + result.sealed


class FileLoading:
    """The loading of one file. `load` once; `stop` whenever."""

    def __init__(self, database: str, path: Path) -> None:
        self._database = database
        self._path = path
        self._process: asyncio.subprocess.Process | None = None
        self._stopped = False
        self._interrupted = False

    async def load(self, progressed: Callable[[LoadLine], None]) -> LoadEnd:
        """Load the file; `progressed` is called after each transaction. Raises LoadError.

        The address of the database goes through the environment: it may have a password."""
        if not self._path.is_file():
            raise LoadError(f"{self._path} is not a file.")
        process = self._process = await asyncio.create_subprocess_exec(
            *program_command("tally"),
            "load",
            "--json",
            "--from",
            str(self._path),
            env=os.environ | {"TALLY_DB": self._database},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=MAX_LINE,
            start_new_session=True,  # Ctrl-C in the window's terminal must not end it before the window does
        )
        if self._stopped:
            self.stop()
        assert process.stdout is not None
        assert process.stderr is not None
        errors: deque[str] = deque(maxlen=KEPT_ERRORS)
        end: LoadEnd | None = None
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_keep(process.stderr, errors), name="errors of a loading")
                async for line in process.stdout:
                    said = _read(line)
                    if isinstance(said, LoadLine):
                        progressed(said)
                    elif said is not None:
                        end = said
            await process.wait()
        except BaseException:
            await self._end(process)
            raise
        if end is None and self._stopped:  # before it had begun
            return LoadEnd(stopped=True)
        if end is None:
            last = errors[-1].removeprefix("tally: ") if errors else f"tally load ended with {process.returncode}."
            raise LoadError(f"{self._path.name} was not loaded: {last}")
        complaints = tuple(text.removeprefix("tally load: ") for text in errors if text.startswith("tally load: "))
        return msgspec.structs.replace(end, problems=complaints)

    def stop(self) -> None:
        """End it after the transaction under way. Only once: a second Ctrl-C would end it without its last word."""
        self._stopped = True
        if self._process is not None and self._process.returncode is None and not self._interrupted:
            self._interrupted = True
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGINT)  # `send_signal` would take its exit code from the loop

    async def _end(self, process: Any) -> None:
        self.stop()
        try:
            async with asyncio.timeout(END_SECONDS):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _read(line: bytes) -> LoadLine | LoadEnd | None:
    try:
        said: LoadLine | LoadEnd = _decode(line)
    except msgspec.DecodeError:
        return None  # something that Python or a library printed
    return said


async def _keep(stream: asyncio.StreamReader, lines: deque[str]) -> None:
    async for line in stream:
        text = line.decode(errors="replace").strip()
        if text:
            lines.append(text)
