"""Whether requests over HTTP can be recognised in the records, found out before a run: by the version of each server,
and by writing a file where that is what it takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agent.messages import Auth, Probe, Probed
from gui.campaign.doors import Door, doors_of, reports_agent
from gui.campaign.plan import Test
from gui.campaign.selection import Client, Server
from gui.runner.probes import ProbeError, Probes

AT_ONCE = 16
SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Identity:
    """How requests over HTTP are recognised at a server. `own`: by their path, since the files are the client's own.
    `problem`: why they cannot be, as a sentence; empty if they can."""

    server: Server
    version: str = ""
    own: bool = False
    problem: str = ""


async def identify(
    probes: Probes, clients: Sequence[Client], test: Test, servers: Iterable[Server], auth: Auth
) -> list[Identity]:
    """For each of the servers that a test asks over HTTP."""
    few = asyncio.Semaphore(AT_ONCE)
    asked = [(server, door) for server in servers for door in doors_of(test, server.url)[:64] if door.over_http]
    first = {server.url: (server, door) for server, door in reversed(asked)}

    async def look(place: int, server: Server, door: Door) -> Identity:
        async with few:
            return await _look(probes, clients[place % len(clients)], test, server, door, auth)

    async with asyncio.TaskGroup() as tasks:
        looking = [
            tasks.create_task(look(place, *one), name=f"identify {one[0].name}")
            for place, one in enumerate(reversed(first.values()))
        ]
    return [task.result() for task in looking]


async def _look(probes: Probes, client: Client, test: Test, server: Server, door: Door, auth: Auth) -> Identity:
    question = Probe(0, server.url, timeout=SECONDS, protocol=door.protocol, port=door.port, auth=auth)
    try:
        said = await _ask(probes, client, question)
        if not said.answering:
            return Identity(server, problem=f"{server.name} does not answer over {door}: {said.error or 'no reason'}")
        if reports_agent(said.xrootd):
            return Identity(server, said.xrootd)
        directory = test.write_directory
        told = await _ask(probes, client, _with_writing(question, directory))
    except ProbeError as error:
        return Identity(server, problem=f"{server.name} over {door}: {error}")
    if told.unwritable or not told.answering:
        why = (told.unwritable or told.error).rstrip(".")
        return Identity(server, said.xrootd, own=True, problem=_refused(server, said.xrootd, directory, why))
    return Identity(server, said.xrootd, own=True)


def _refused(server: Server, version: str, directory: str, why: str) -> str:
    known = f"XRootD {version}" if reports_agent(version) is not None else f"{version or 'an unknown server'}"
    return (
        f"{server.name} ({known}) reports nothing of a client over HTTP, as all servers before 5.6.3, so the client "
        f"must read files of its own; but it may not write to {directory} ({why}). Let it, name another directory as "
        "write in [test.files], or update the server."
    )


def _with_writing(question: Probe, directory: str) -> Probe:
    return Probe(
        0,
        question.server,
        timeout=question.timeout,
        protocol=question.protocol,
        port=question.port,
        auth=question.auth,
        write=directory,
    )


async def _ask(probes: Probes, client: Client, question: Probe) -> Probed:
    parts = [part async for part in probes.ask(client, question)]
    return parts[-1]
