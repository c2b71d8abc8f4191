"""Preflight: does a server answer, does it have the files, what is in a directory. Like all use of XRootD, this runs in
a process of its own.

The process reads one `Probe` as a frame on standard input and writes one or more `Probed` as frames on standard output.
It introduces itself as ``tally``, which is not a session tag, and opens no file but the one that it may be asked to
write, so that nobody takes its records for those of a test.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, Final, Protocol

import msgspec

from agent.messages import CatalogueFile, Probe, Probed
from agent.workloads.access import MissingClientError, authorization, limit_patience, load_client
from agent.workloads.address import Address, absolute, reach
from agent.workloads.answers import Answers
from agent.workloads.credentials import Kept, without_tokens
from agent.workloads.curl import Errand, Line, MissingCurlError, Reply, load_curl
from agent.workloads.frames import HEAD, framed, length
from agent.workloads.http import HOUSEKEEPING, user_agent
from agent.workloads.outcome import FailedError
from agent.workloads.starting import leave_signals_to_the_agent, process_command
from agent.workloads.webdav import Entry, entries

PART: Final = 2000
"""Files in one Probed."""
THREADS: Final = 16
LIMIT_SECONDS: Final = 600.0
"""A probe that takes longer is ended: the asker has given up by then."""
NOT_FOUND: Final = 3011
USER: Final = "tally"

_decode_probe = msgspec.msgpack.Decoder(Probe).decode
_decode_probed = msgspec.msgpack.Decoder(Probed).decode


async def probe(question: Probe) -> AsyncGenerator[Probed, None]:
    """Probe in a process of its own; the last answer has `more` False, whatever happens. Close it if you leave
    early."""
    process = await asyncio.create_subprocess_exec(
        *process_command("probe"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            process.stdin.write(framed(question))
            while True:
                head = await process.stdout.readexactly(HEAD)
                part = _decode_probed(await process.stdout.readexactly(length(head)))
                yield part
                if not part.more:
                    return
    except (asyncio.IncompleteReadError, BrokenPipeError, ConnectionResetError):
        yield _failure(question, "The probing process ended before it had an answer; its last messages are in the log.")
    except TimeoutError:
        yield _failure(question, f"{question.server} did not answer everything within {LIMIT_SECONDS:.0f} s.")
    finally:
        if process.returncode is None:
            process.kill()
        try:
            await process.wait()
        except asyncio.CancelledError:
            await process.wait()  # it was killed: this takes a moment and leaves nothing behind
            raise


def _failure(question: Probe, sentence: str) -> Probed:
    return Probed(question.id, question.server, answering=False, error=sentence[:2000])


# ---------------------------------------------------------------- the process


def main() -> int:
    """Answer the question on standard input; returns the exit code."""
    leave_signals_to_the_agent()
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    head = sys.stdin.buffer.read(HEAD)
    if len(head) < HEAD:
        return 1
    question = _decode_probe(sys.stdin.buffer.read(length(head)))
    for part in _answer(question):
        output.write(framed(part))
        output.flush()
    return 0


class _UnlistedError(Exception):
    """A directory cannot be listed; the text says why."""


class _Asker(Protocol):
    """A server over one protocol. Methods may be called by several threads at once."""

    def version(self) -> str:
        """Version of the server. Raises FailedError when it does not answer."""

    def size(self, path: str) -> CatalogueFile:
        """The file at this path."""

    def listing(self, folder: str) -> Iterable[Entry]:
        """What the directory holds, by name. Raises _UnlistedError."""

    def unwritable(self, folder: str) -> str:
        """Why no file can be made there; empty if one was made, and removed."""


def _answer(question: Probe) -> Iterator[Probed]:
    kept = Kept(question.auth)
    try:
        yield from _found(question, kept)
    finally:
        kept.close()


def _found(question: Probe, kept: Kept) -> Iterator[Probed]:
    address = reach(question.server, question.protocol, question.port)
    try:
        server: _Asker = _OverHttp(question, address, kept) if address.over_http else _OverRoot(question, address, kept)
        version = server.version()
    except (MissingClientError, MissingCurlError) as error:
        yield _failure(question, str(error))
        return
    except FailedError as error:
        yield _failure(question, f"{question.server} does not answer: {error}")
        return
    unwritable = server.unwritable(question.write) if question.write else ""
    blank = Probed(
        question.id, question.server, answering=True, xrootd=version[:256], unwritable=unwritable[:2000], more=True
    )
    with ThreadPoolExecutor(THREADS) as threads:
        yield from _parts(blank, threads.map(server.size, question.paths), last=not question.directory)
    if question.directory:
        yield from _listing(blank, question, server.listing)


def _parts(blank: Probed, files: Iterator[CatalogueFile], *, last: bool) -> Iterator[Probed]:
    part = list(islice(files, PART))
    while True:
        following = list(islice(files, PART))
        more = bool(following) or not last
        if part or not more:
            yield msgspec.structs.replace(blank, files=part, more=more)
        if not following:
            return
        part = following


def _listing(blank: Probed, question: Probe, listed: Callable[[str], Iterable[Entry]]) -> Iterator[Probed]:
    """The directory and those below it, breadth first and in name order, so that two servers compare line by line."""
    found: list[CatalogueFile] = []
    count = 0
    problem = ""
    folders = deque([question.directory.rstrip("/") or "/"])
    truncated = False
    while folders and not truncated:
        folder = folders.popleft()
        try:
            content = listed(folder)
        except _UnlistedError as error:
            problem = problem or f"{folder}: {error}"
            continue
        for path, is_folder, size in content:
            if is_folder:
                folders.append(path)
                continue
            found.append(CatalogueFile(path, size, "" if size is not None else "The server reports no size for it."))
            count += 1
            if count >= question.limit:
                truncated = True
                break
            if len(found) >= PART:
                yield msgspec.structs.replace(blank, files=found)
                found = []
    yield msgspec.structs.replace(blank, files=found, truncated=truncated, error=problem[:2000], more=False)


def _draft(folder: str) -> str:
    return f"{folder.rstrip('/')}/tally-{secrets.token_hex(8)}"


# ---------------------------------------------------------------- over root


class _OverRoot:
    """The server over root or roots, under a user of its own."""

    def __init__(self, question: Probe, address: Address, kept: Kept) -> None:
        limit_patience(question.timeout)
        kept.into_environment()
        self._client, self._flags = load_client()
        self._timeout = max(1, round(question.timeout))
        self._login = f"{address.scheme}://{USER}@{address.place}"
        self._system = self._client.FileSystem(self._login)
        self._authz = authorization(address, kept.token)

    def version(self) -> str:
        status, answer = self._system.query(self._flags.QueryCode.CONFIG, "version", timeout=self._timeout)
        if not status.ok:
            raise FailedError(_text(status))
        return str(answer.decode("utf-8", "replace")).strip().strip("\0")

    def size(self, path: str) -> CatalogueFile:
        status, info = self._system.stat(path + self._authz, timeout=self._timeout)
        if not status.ok:
            return CatalogueFile(path, None, _text(status))
        if info.flags & 2:  # StatInfoFlags.IS_DIR
            return CatalogueFile(path, None, "This is a directory.")
        return CatalogueFile(path, int(info.size))

    def listing(self, folder: str) -> list[Entry]:
        status, listing = self._system.dirlist(
            folder + self._authz, self._flags.DirListFlags.STAT, timeout=self._timeout
        )
        if not status.ok:
            raise _UnlistedError(_unlisted(status))
        found = []
        for entry in sorted(listing, key=lambda e: str(e.name)):
            path, info = f"{folder.rstrip('/')}/{entry.name}", entry.statinfo
            is_folder = info is not None and bool(info.flags & 2)  # StatInfoFlags.IS_DIR
            found.append(Entry(path, is_folder, None if info is None else int(info.size)))
        return found

    def unwritable(self, folder: str) -> str:
        path = _draft(folder)
        file = self._client.File()
        flags = self._flags.OpenFlags.NEW | self._flags.OpenFlags.MAKEPATH
        status, _ = file.open(f"{self._login}/{absolute(path)}{self._authz}", flags, timeout=self._timeout)
        if not status.ok:
            return _text(status)
        file.close(timeout=self._timeout)
        status, _ = self._system.rm(path + self._authz, timeout=self._timeout)
        return "" if status.ok else f"what was written cannot be removed: {_text(status)}"


def _unlisted(status: Any) -> str:
    """Why a directory cannot be listed. XRootD separates the names of a listing with line breaks and escapes none: one
    in a name makes the client refuse the whole answer, with a message that does not mention it."""
    text = _text(status)
    if "invalid response" in text.lower():
        return f"the listing cannot be read ({text}); most likely a name in it contains a line break: rename that file"
    return text


def _text(status: Any) -> str:
    return without_tokens(" ".join(str(status.message).split()))[:2000]


# ---------------------------------------------------------------- over HTTP


class _OverHttp:
    """The server over http or https."""

    def __init__(self, question: Probe, address: Address, kept: Kept) -> None:
        self._curl = load_curl()
        self._server = question.server
        self._timeout = question.timeout
        self._address = address
        self._kept = kept
        self._answers = Answers()
        self._own = threading.local()
        """`line`: this thread's connection."""

    def _ask(self, method: str, path: str, headers: dict[str, str] | None = None, **more: Any) -> Reply:
        line = getattr(self._own, "line", None)
        if line is None:
            agent = user_agent(HOUSEKEEPING)
            trust, token = self._kept.trust, self._kept.token
            line = self._own.line = Line(self._curl, agent, trust, self._timeout, self._answers, token=lambda: token)
        return line.exchange(Errand(method, method, self._address.url(path), headers or {}, **more), self._server)

    def version(self) -> str:
        """What an XRootD server says of itself; of another one, all that it says."""
        server = self._ask("OPTIONS", "/").headers.get("server", "")
        return server.removeprefix("XrootD/")

    def size(self, path: str) -> CatalogueFile:
        try:
            reply = self._ask("HEAD", path)
        except FailedError as error:
            return CatalogueFile(path, None, str(error)[:2000])
        if not reply.ok:
            return CatalogueFile(path, None, reply.sentence())
        if reply.length is None:
            return CatalogueFile(path, None, "The server reports no size for it.")
        return CatalogueFile(path, reply.length)

    def listing(self, folder: str) -> list[Entry]:
        body = bytearray()
        try:
            reply = self._ask("PROPFIND", folder, {"Depth": "1"}, take=body.extend)
            if not reply.ok:
                raise _UnlistedError(reply.sentence())
            return entries(bytes(body), folder)
        except (FailedError, ValueError) as error:
            raise _UnlistedError(f"the listing cannot be read: {error}") from None

    def unwritable(self, folder: str) -> str:
        path = _draft(folder)
        try:
            put = self._ask("PUT", path, give=lambda _: b"", size=0)
            if not put.ok:
                return put.sentence()
            gone = self._ask("DELETE", path)
        except FailedError as error:
            return str(error)
        return "" if gone.ok else f"what was written cannot be removed: {gone.sentence()}"


if __name__ == "__main__":
    sys.exit(main())
