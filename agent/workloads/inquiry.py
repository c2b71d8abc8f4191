"""Many servers are asked at once for their version and their counters. Like all use of XRootD, this runs in a process
of its own: a server that never answers holds up neither the agent nor the other servers.

The process reads one `Inquiry` as a frame on standard input and writes a `Heard` for each server as soon as it is
there. It introduces itself as ``tally``, which is not a session tag, and opens no file.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any, Final

import msgspec
from msgspec import Struct

from agent.workloads.access import MissingClientError, limit_patience, load_client
from agent.workloads.address import reach
from agent.workloads.frames import HEAD, framed, length
from agent.workloads.starting import leave_signals_to_the_agent, process_command

THREADS: Final = 32
LIMIT_SECONDS: Final = 60.0
"""All servers together; who has not answered by then is said not to answer."""
USER: Final = "tally"
COUNTERS: Final = "l"
"""Which counters are asked for: those of the links (``xrdfs HOST query stats l``)."""
MAX_COUNTERS: Final = 64 * 1024


class Inquiry(Struct, frozen=True):
    """`timeout` (seconds) limits every single call."""

    servers: list[str]
    timeout: float


class Heard(Struct, frozen=True):
    """What a server (its URL) has answered. `problem`: one sentence if it did not. `counters`: the text of its
    statistics, empty if it says nothing of them."""

    server: str
    answering: bool
    version: str = ""
    counters: str = ""
    problem: str = ""


_decode_inquiry = msgspec.msgpack.Decoder(Inquiry).decode
_decode_heard = msgspec.msgpack.Decoder(Heard).decode


async def inquire(servers: Sequence[str], timeout: float) -> AsyncGenerator[Heard, None]:
    """Ask them all; one answer for each, whatever happens, in the order in which they come."""
    waiting = dict.fromkeys(servers)
    problem = "The asking process ended before it had an answer; its last messages are in the log."
    process = await asyncio.create_subprocess_exec(
        *process_command("inquiry"), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    ends = asyncio.get_running_loop().time() + LIMIT_SECONDS
    try:
        process.stdin.write(framed(Inquiry(list(waiting), timeout)))
        while waiting:
            async with asyncio.timeout_at(ends):
                head = await process.stdout.readexactly(HEAD)
                heard = _decode_heard(await process.stdout.readexactly(length(head)))
            waiting.pop(heard.server, None)
            yield heard
    except (asyncio.IncompleteReadError, BrokenPipeError, ConnectionResetError):
        pass  # said of those that are left
    except TimeoutError:
        problem = ""
    finally:
        if process.returncode is None:
            process.kill()
        try:
            await process.wait()
        except asyncio.CancelledError:
            await process.wait()  # it was killed: this takes a moment and leaves nothing behind
            raise
    for server in waiting:
        yield Heard(server, False, problem=problem or f"{server} did not answer within {LIMIT_SECONDS:.0f} s.")


def main() -> int:
    """Answer the inquiry on standard input; returns the exit code."""
    leave_signals_to_the_agent()
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    head = sys.stdin.buffer.read(HEAD)
    if len(head) < HEAD:
        return 1
    inquiry = _decode_inquiry(sys.stdin.buffer.read(length(head)))
    limit_patience(inquiry.timeout)
    with ThreadPoolExecutor(THREADS) as threads:
        for answer in as_completed([threads.submit(_ask, server, inquiry.timeout) for server in inquiry.servers]):
            output.write(framed(answer.result()))
            output.flush()
    return 0


def _ask(server: str, timeout: float) -> Heard:
    try:
        client, flags = load_client()
        address = reach(server, "", 0)
        system = client.FileSystem(f"{address.scheme}://{USER}@{address.place}")
        seconds = max(1, round(timeout))
        status, answer = system.query(flags.QueryCode.CONFIG, "version", timeout=seconds)
        if not status.ok:
            return Heard(server, False, problem=f"{server} does not answer: {_words(status)}")
        counted, counters = system.query(flags.QueryCode.STATS, COUNTERS, timeout=seconds)
        return Heard(server, True, _text(answer)[:256], _text(counters)[:MAX_COUNTERS] if counted.ok else "")
    except MissingClientError as error:
        return Heard(server, False, problem=str(error))
    except Exception as error:  # noqa: BLE001 - whatever the library does with one address, the others are asked
        return Heard(server, False, problem=f"{server} cannot be asked: {error}"[:2000])


def _text(answer: Any) -> str:
    return str(bytes(answer or b"").decode("utf-8", "replace")).strip().strip("\0")


def _words(status: Any) -> str:
    return " ".join(str(status.message).split())[:1000]


if __name__ == "__main__":
    sys.exit(main())
