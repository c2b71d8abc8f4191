"""Preflight: does a server answer, does it have the files, what is in a directory. Like all use of XRootD, this runs in
a process of its own.

The process reads one `Probe` as a frame on standard input and writes one or more `Probed` as frames on standard output.
It logs in as the user ``tally``, which is not a session tag, and opens no file, so that it leaves no file record.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from agent.messages import CatalogueFile, Probe, Probed
from agent.workloads.access import MissingClientError, limit_patience, load_client
from agent.workloads.frames import HEAD, framed, length
from agent.workloads.starting import leave_signals_to_the_agent, process_command

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


def _answer(question: Probe) -> Iterator[Probed]:
    limit_patience(question.timeout)
    try:
        client, flags = load_client()
    except MissingClientError as error:
        yield _failure(question, str(error))
        return
    timeout = max(1, round(question.timeout))
    parts = urlsplit(question.server if "://" in question.server else f"root://{question.server}")
    system = client.FileSystem(f"{parts.scheme}://{USER}@{parts.netloc.rpartition('@')[2]}")
    status, answer = system.query(flags.QueryCode.CONFIG, "version", timeout=timeout)
    if not status.ok:
        yield _failure(question, f"{question.server} does not answer: {_text(status)}")
        return
    version = answer.decode("utf-8", "replace").strip().strip("\0")[:256]

    with ThreadPoolExecutor(THREADS) as threads:
        files = threads.map(lambda path: _stat(system, path, timeout), question.paths)
        yield from _parts(question, version, files, last=not question.directory)
    if question.directory:
        yield from _listing(question, version, system, flags, timeout)


def _parts(question: Probe, version: str, files: Iterator[CatalogueFile], *, last: bool) -> Iterator[Probed]:
    part = list(islice(files, PART))
    while True:
        following = list(islice(files, PART))
        more = bool(following) or not last
        if part or not more:
            yield Probed(question.id, question.server, answering=True, xrootd=version, files=part, more=more)
        if not following:
            return
        part = following


def _stat(system: Any, path: str, timeout: int) -> CatalogueFile:
    status, info = system.stat(path, timeout=timeout)
    if not status.ok:
        return CatalogueFile(path, None, _text(status))
    if info.flags & 2:  # StatInfoFlags.IS_DIR
        return CatalogueFile(path, None, "This is a directory.")
    return CatalogueFile(path, int(info.size))


def _listing(question: Probe, version: str, system: Any, flags: Any, timeout: int) -> Iterator[Probed]:
    """The directory and those below it, breadth first and in name order, so that two servers compare line by line."""
    found: list[CatalogueFile] = []
    count = 0
    problem = ""
    folders = deque([question.directory.rstrip("/") or "/"])
    truncated = False
    while folders and not truncated:
        folder = folders.popleft()
        status, listing = system.dirlist(folder, flags.DirListFlags.STAT, timeout=timeout)
        if not status.ok:
            problem = problem or f"{folder}: {_unlisted(status)}"
            continue
        for entry in sorted(listing, key=lambda e: str(e.name)):
            path = f"{folder.rstrip('/')}/{entry.name}"
            if entry.statinfo is None:
                found.append(CatalogueFile(path, None, "The server reports no size for it."))
            elif entry.statinfo.flags & 2:
                folders.append(path)
                continue
            else:
                found.append(CatalogueFile(path, int(entry.statinfo.size)))
            count += 1
            if count >= question.limit:
                truncated = True
                break
            if len(found) >= PART:
                yield Probed(question.id, question.server, answering=True, xrootd=version, files=found, more=True)
                found = []
    yield Probed(
        question.id,
        question.server,
        answering=True,
        xrootd=version,
        files=found,
        truncated=truncated,
        error=problem[:2000],
    )


def _unlisted(status: Any) -> str:
    """Why a directory cannot be listed. XRootD separates the names of a listing with line breaks and escapes none: one
    in a name makes the client refuse the whole answer, with a message that does not mention it."""
    text = _text(status)
    if "invalid response" in text.lower():
        return f"the listing cannot be read ({text}); most likely a name in it contains a line break: rename that file"
    return text


def _text(status: Any) -> str:
    return " ".join(str(status.message).split())[:2000]


if __name__ == "__main__":
    sys.exit(main())
