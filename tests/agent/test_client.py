"""The client role against a hub double and a real XRootD server, worker processes and all."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import signal
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agent import client as client_module
from agent import job as job_module
from agent.client import ClientRole
from agent.journal import Journal
from agent.messages import (
    Abort,
    Acknowledge,
    Ask,
    Done,
    EndRepeat,
    Heartbeat,
    Notice,
    Probe,
    Probed,
    RepeatDone,
    RepeatReady,
    Request,
    Round,
    Sample,
    Started,
    StartRepeat,
    Workload,
)
from agent.messages import Journal as JournalMessage
from tests.promises import within

JOB = "1.1.1"
MIB = 1024 * 1024


@asynccontextmanager
async def _agent(hub: Any, linked: Any, directory: Path, name: str = "c1") -> AsyncIterator[ClientRole]:
    journal = Journal(directory)
    role = ClientRole(name=name, labels=["EU"], journal=journal)
    try:
        async with linked(hub, role, name, "client"):
            yield role
    finally:
        await role.close()
        journal.close()


@pytest.fixture
def agent(hub: Any, linked: Any, tmp_path: Path) -> Any:
    """``async with agent() as role``: a client agent in this process, its workers in theirs, linked to the hub."""
    return lambda: _agent(hub, linked, tmp_path)


def requests(server: str, paths: list[str], size: int = 1000, *, tag: str = "taga", slots: int = 4) -> list[Request]:
    return [Request(f"{tag}{i % slots:04d}", i % slots, server, path, size, seed=i) for i, path in enumerate(paths)]


async def start(hub: Any, workload: Workload, *, slots: int = 4, timeout: float = 5.0, job: str = JOB) -> None:
    await hub.in_session()
    await hub.say(StartRepeat(job, workload, slots=slots, timeout=timeout))
    assert (await hub.next(RepeatReady, job=job)).error == ""


async def run(hub: Any, workload: Workload, work: list[Request], **options: Any) -> dict[str, Done]:
    """One whole job; path → done line."""
    await start(hub, workload, **options)
    await hub.say(Round(JOB, 0, work))
    await made(hub, len(work))
    await hub.say(EndRepeat(JOB))
    await hub.next(RepeatDone)
    return {line.path: line for line in hub.done()}


async def made(hub: Any, count: int) -> int:
    """Wait until the journal says of so many requests that they are done; returns how many of them failed."""
    await hub.until(lambda: len(hub.done()) >= count, f"{count} done lines")
    return sum(not line.ok for line in hub.done())


def started(hub: Any) -> set[str]:
    return {line.path for line in hub.lines if isinstance(line, Started)}


def notices(hub: Any) -> list[str]:
    return [message.text for message in hub.received if isinstance(message, Notice)]


# ---------------------------------------------------------------- a job


@pytest.mark.xrootd
async def test_a_job_from_start_to_end(hub: Any, xrootd: Any, agent: Any) -> None:
    paths = [f"/store/job/f{i}" for i in range(10)]
    for path in paths:
        xrootd.add(path, 1_500_000)
    async with agent():
        beat = await hub.next(Heartbeat)
        assert beat.jobs == []
        await start(hub, Workload("full"))
        await hub.until(lambda: any(isinstance(m, Heartbeat) and m.jobs == [JOB] for m in hub.received), "jobs")
        await hub.say(Round(JOB, 0, requests(xrootd.url, paths, 1_500_000)))
        assert await made(hub, 10) == 0
        await hub.say(EndRepeat(JOB))
        end = await hub.next(RepeatDone)

    assert end.journal_last == 20
    assert [line.n for line in hub.lines] == list(range(1, 21))
    assert sorted(line.path for line in hub.done()) == paths
    for line in hub.done():
        assert line.ok, line.error
        assert (line.read_asked, line.read_got, line.read_ops, line.readv_ops) == (1_500_000, 1_500_000, 2, 0)
        assert line.server == xrootd.url.removeprefix("root://")
        assert line.t_open <= line.t_close
    sample = [message for message in hub.received if isinstance(message, Sample)][-1]
    assert sample.servers[xrootd.url].bytes == 15_000_000
    assert sample.servers[xrootd.url].done == sample.servers[xrootd.url].started == 10
    # A job is never said to be done before the hub has the lines that it speaks of.
    kinds = [type(message).__name__ for message in hub.received if type(message).__name__ != "Heartbeat"]
    assert kinds.index("RepeatDone") > max(i for i, kind in enumerate(kinds) if kind == "Journal")


@pytest.mark.xrootd
@pytest.mark.parametrize(
    ("workload", "expected"),
    [
        # (read_asked, read_ops, readv_asked, readv_ops, written, write_ops) of a file of 3 MiB + 7 bytes
        (Workload("full"), (3 * MIB + 7, 4, 0, 0, 0, 0)),
        (Workload("range", bytes=12_345), (12_345, 1, 0, 0, 0, 0)),
        (Workload("range", bytes=2 * MIB + 1), (2 * MIB + 1, 3, 0, 0, 0, 0)),
        (Workload("range", bytes=5 * MIB), (3 * MIB + 7, 4, 0, 0, 0, 0)),
        (Workload("vector", bytes=777, chunks=1024), (0, 0, 777 * 1024, 1, 0, 0)),
        (Workload("vector", bytes=2 * MIB - 16, chunks=3), (0, 0, 3 * (2 * MIB - 16), 1, 0, 0)),
        (Workload("long", bytes=1000, reads=3, pause=0.05), (3000, 3, 0, 0, 0, 0)),
        (Workload("write", bytes=MIB + 5), (0, 0, 0, 0, MIB + 5, 2)),
    ],
    ids=lambda value: f"{value.kind}-{value.bytes}" if isinstance(value, Workload) else "",
)
async def test_every_workload_counts_exactly(
    hub: Any, xrootd: Any, agent: Any, workload: Workload, expected: tuple[int, ...]
) -> None:
    path = f"/store/exact/{workload.kind}-{workload.bytes}-{workload.chunks}"
    if workload.kind != "write":
        xrootd.add(path, 3 * MIB + 7)
    async with agent():
        line = (await run(hub, workload, requests(xrootd.url, [path], 3 * MIB + 7)))[path]
    assert line.ok, line.error
    asked = (line.read_asked, line.read_ops, line.readv_asked, line.readv_ops, line.written, line.write_ops)
    assert asked == expected
    assert (line.read_got, line.readv_got) == (line.read_asked, line.readv_asked)
    assert not (xrootd.root / path.lstrip("/")).exists() or workload.kind != "write"  # a test leaves nothing behind


@pytest.mark.xrootd
async def test_the_servers_monitoring_sees_the_tag_once_and_its_end(hub: Any, xrootd: Any, agent: Any) -> None:
    xrootd.datagrams()
    paths = [f"/store/seen/f{i}" for i in range(6)]
    for path in paths:
        xrootd.add(path, 10)
    tags = {"tagm0000", "tagm0001"}
    async with agent():
        await run(hub, Workload("full"), requests(xrootd.url, paths, 10, tag="tagm", slots=2), slots=2)
        logins: list[str] = []
        infos: dict[str, str] = {}
        disconnects = 0
        ids: set[bytes] = set()

        def heard() -> bool:
            nonlocal disconnects
            for data in xrootd.datagrams():
                if data[:1] in b"ui":
                    user, _, text = data[12:].decode().partition("\n")
                    tag = re.fullmatch(r"xroot/(\w+)\.\d+:\d+@.*", user)
                    if tag is None or tag[1] not in tags:
                        continue
                    if data[:1] == b"u":
                        logins.append(tag[1])
                        ids.add(data[8:12])
                    else:
                        infos[tag[1]] = text
                elif data[:1] == b"f":
                    at = 8
                    while at < len(data):
                        disconnects += data[at] == 4 and data[at + 4 : at + 8] in ids
                        at += int.from_bytes(data[at + 2 : at + 4], "big")
            return disconnects >= 2

        deadline = time.monotonic() + 60
        while not heard():
            assert time.monotonic() < deadline, (logins, infos, disconnects)
            await asyncio.sleep(0.1)
    assert sorted(logins) == sorted(tags)  # one connection each, for all their files
    assert infos == {tag: f"tally:{tag}" for tag in tags}
    assert notices(hub) == []


@pytest.mark.xrootd
async def test_several_rounds_and_a_round_in_several_messages(hub: Any, xrootd: Any, agent: Any) -> None:
    paths = [f"/store/rounds/f{i}" for i in range(12)]
    for path in paths:
        xrootd.add(path, 10)
    work = requests(xrootd.url, paths, 10)
    async with agent():
        await start(hub, Workload("full"))
        await hub.say(Round(JOB, 0, work[:4]))
        await made(hub, 4)
        await hub.say(Round(JOB, 1, work[4:8]))
        await hub.say(Round(JOB, 1, work[8:]))
        await made(hub, 12)
    assert {(line.path, line.round) for line in hub.lines if isinstance(line, Started)} == {
        (path, 0 if i < 4 else 1) for i, path in enumerate(paths)
    }


# ---------------------------------------------------------------- what goes wrong on the server's side


@pytest.mark.xrootd
async def test_failures_are_told_with_status_and_text_and_hold_nobody_up(hub: Any, xrootd: Any, agent: Any) -> None:
    xrootd.add("/store/fail/there", 1000)
    xrootd.add("/store/fail/short", 600)
    xrootd.add("/store/fail/empty", 0)
    xrootd.add("/store/fail/range", 600)
    paths = ["/store/fail/there", "/store/fail/none", "/store/fail/short", "/store/fail/empty"]
    work = requests(xrootd.url, paths, 1000, slots=1)
    work[3] = Request(work[3].tag, 0, xrootd.url, "/store/fail/empty", 0, 1)
    async with agent():
        lines = await run(hub, Workload("full"), work, slots=1)
    assert sum(not line.ok for line in lines.values()) == 2
    there, none, short, empty = (lines[path] for path in paths)
    assert there.ok
    assert (none.ok, none.status, none.read_ops) == (False, 3011, 0)
    assert none.error.startswith("open: [ERROR] Server responded with an error: [3011] Unable to open")
    assert (short.ok, short.read_asked, short.read_got, short.read_ops) == (False, 1000, 600, 1)
    assert short.error == "read: the file ends at byte 600, the catalogue says 1000."
    assert (empty.ok, empty.read_asked, empty.read_ops) == (True, 0, 0)


@pytest.mark.xrootd
async def test_a_vector_read_past_the_end_fails(hub: Any, xrootd: Any, agent: Any) -> None:
    xrootd.add("/store/vector/short", 600)
    work = requests(xrootd.url, ["/store/vector/short"], 100_000)
    async with agent():
        line = (await run(hub, Workload("vector", bytes=100, chunks=50), work))["/store/vector/short"]
    assert (line.ok, line.readv_asked, line.readv_got, line.readv_ops) == (False, 5000, 0, 1)
    assert line.error.startswith("vector read: ")


@pytest.mark.xrootd
async def test_a_file_that_is_there_is_not_written_over(hub: Any, xrootd: Any, agent: Any) -> None:
    content = xrootd.add("/store/mine", 100)
    async with agent():
        line = (await run(hub, Workload("write", bytes=5), requests(xrootd.url, ["/store/mine"])))["/store/mine"]
    assert not line.ok
    assert "exists" in line.error
    assert (xrootd.root / "store" / "mine").read_bytes() == content


async def test_servers_that_are_away_or_silent_cost_no_more_than_the_limit(hub: Any, agent: Any) -> None:
    with socket.socket() as silent, socket.socket() as gone:
        for s in (silent, gone):
            s.bind(("127.0.0.1", 0))
        silent.listen()
        urls = {"silent": silent.getsockname()[1], "gone": gone.getsockname()[1]}
        work = [
            Request(f"tag{name[0]}{i:04d}", i, f"root://127.0.0.1:{port}", f"/{name}", 10, 1)
            for i, (name, port) in enumerate(urls.items())
        ]
        # The same tag again: a connection that failed once must be tried anew.
        work += [Request(r.tag, r.slot, r.server, r.path + "2", r.size, r.seed) for r in work]
        gone.close()
        async with agent():
            began = time.monotonic()
            lines = await run(hub, Workload("full"), work, slots=2, timeout=2.0)
            took = time.monotonic() - began
    assert took < within(20)
    assert {path: line.ok for path, line in lines.items()} == dict.fromkeys(
        ["/silent", "/silent2", "/gone", "/gone2"], False
    )
    assert all(line.status for line in lines.values())
    assert "Connection error" in lines["/gone"].error
    assert re.search("expired|timeout", lines["/silent"].error)


@pytest.mark.xrootd
async def test_a_server_that_comes_back_is_used_again(hub: Any, xrootd: Any, agent: Any) -> None:
    """The client refuses a connection that failed for half an hour, unless told otherwise."""
    xrootd.add("/store/back", 10)
    xrootd.add("/store/back2", 10)
    port = int(xrootd.url.rpartition(":")[2])
    up = asyncio.Event()
    upstream: list[asyncio.StreamWriter] = []

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream.append(writer)
        try:
            while data := await reader.read(65536):
                writer.write(data)
        except OSError:
            pass
        writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not up.is_set():
            writer.transport.abort()
            return
        there = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pipe(reader, there[1]), pipe(there[0], writer))

    async with await asyncio.start_server(relay, "127.0.0.1", 0) as server:
        url = f"root://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        first = Request("tagr0000", 0, url, "/store/back", 10, 1)
        second = Request("tagr0000", 0, url, "/store/back2", 10, 1)
        async with agent():
            await start(hub, Workload("full"), slots=1, timeout=2.0)
            await hub.say(Round(JOB, 0, [first]))
            assert await made(hub, 1) == 1
            up.set()
            await hub.say(Round(JOB, 1, [second]))
            assert await made(hub, 2) == 1, hub.done()[-1]
            await hub.say(EndRepeat(JOB))
            await hub.next(RepeatDone)
    for writer in upstream:
        writer.close()


# ---------------------------------------------------------------- stop, death, full disk

LONG = Workload("long", bytes=10, reads=2, pause=600.0)


@pytest.mark.xrootd
async def test_an_abort_ends_a_job_within_seconds(hub: Any, xrootd: Any, agent: Any) -> None:
    paths = [f"/store/abort/f{i}" for i in range(8)]
    for path in paths:
        xrootd.add(path, 100)
    async with agent() as role:
        await start(hub, LONG)
        await hub.say(Round(JOB, 0, requests(xrootd.url, paths, 100)))
        await hub.until(
            lambda: any(isinstance(m, Sample) and m.servers[xrootd.url].bytes == 40 for m in hub.received), ""
        )
        began = time.monotonic()
        await hub.say(Abort(JOB))
        end = await hub.next(RepeatDone)
        assert time.monotonic() - began < within(8)
        assert role.heartbeat().jobs == []
    assert started(hub) == set(paths[:4])  # what was queued behind them was never begun
    assert len(hub.done()) == 4
    for line in hub.done():
        assert (line.ok, line.interrupted, line.read_asked, line.read_got) == (False, True, 10, 10)
    assert end.journal_last == len(hub.lines)


async def test_an_abort_ends_workers_that_hang_in_a_call(hub: Any, agent: Any) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"root://127.0.0.1:{silent.getsockname()[1]}"
        async with agent():
            await start(hub, Workload("full"), timeout=120.0)
            await hub.say(Round(JOB, 0, requests(url, ["/a", "/b"])))
            await hub.until(lambda: len(started(hub)) == 2, "started lines")
            began = time.monotonic()
            await hub.say(Abort(JOB))
            await hub.next(RepeatDone)
            assert time.monotonic() - began < within(8)
    assert {(line.path, line.interrupted) for line in hub.done()} == {("/a", True), ("/b", True)}


@pytest.mark.xrootd
async def test_a_worker_that_dies_is_replaced_and_the_rest_is_done(
    hub: Any, xrootd: Any, agent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.workloads.pool.SLOTS_PER_PROCESS", 2)
    paths = [f"/store/death/f{i}" for i in range(12)]
    for path in paths:
        xrootd.add(path, 100)
    async with agent() as role:
        await start(hub, Workload("long", bytes=10, reads=2, pause=1.0))
        pids = role._work[JOB].pool.pids()
        assert len(pids) == 2
        await hub.say(Round(JOB, 0, requests(xrootd.url, paths, 100)))
        await hub.until(lambda: len(started(hub)) == 4, "started lines")
        os.kill(pids[0], signal.SIGKILL)
        assert await made(hub, len(paths)) == 2
        await hub.say(EndRepeat(JOB))
        await hub.next(RepeatDone)
    lines = hub.done()
    assert sorted(line.path for line in lines) == sorted(paths)  # each once, none forgotten
    cut = [line for line in lines if line.interrupted]
    assert len(cut) == 2
    assert all("The worker process died: it was killed by signal 9" in line.error for line in cut)
    assert all(line.ok for line in lines if not line.interrupted)
    assert notices(hub) == [
        f"Job {JOB}: a worker process died (it was killed by signal 9); its requests in progress are interrupted."
    ]
    last = [message for message in hub.received if isinstance(message, Sample)][-1].servers[xrootd.url]
    assert last.done == 10


async def test_workers_that_cannot_be_kept_alive_end_the_job(
    hub: Any, agent: Any, monkeypatch: pytest.MonkeyPatch, eventually: Any
) -> None:
    monkeypatch.setattr(job_module, "REPLACEMENTS", 1)
    async with agent() as role:
        await start(hub, Workload("full"))
        (first,) = role._work[JOB].pool._workers
        os.kill(first.process.pid, signal.SIGKILL)
        second = await eventually(lambda: [w for w in role._work[JOB].pool._workers if w is not first], "second worker")
        assert await second[0].ready == ""
        os.kill(second[0].process.pid, signal.SIGKILL)
        await hub.next(RepeatDone)
    assert notices(hub)[-1] == f"Job {JOB} is ended because its workers keep dying: too many have died"


@pytest.mark.xrootd
async def test_a_full_disk_stops_the_work_and_loses_nothing(
    hub: Any, xrootd: Any, linked: Any, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "ROOM", 0)
    paths = [f"/store/full/f{i}" for i in range(40)]
    for path in paths:
        xrootd.add(path, 10)
    async with _agent(hub, linked, small_disk):
        await start(hub, Workload("full"))
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file:
            assert file.write(b"x" * 2 * MIB) < MIB  # all that there was room for
        await hub.say(Round(JOB, 0, requests(xrootd.url, paths, 10)))
        said = await hub.until(lambda: notices(hub), "notice")
        assert "No more requests are started until there is room; nothing is lost." in said[0]
        filler.unlink()
        assert await made(hub, len(paths)) == 0
    assert sorted(line.path for line in hub.done()) == sorted(paths)
    assert len(hub.lines) == 80


# ---------------------------------------------------------------- refusing work


@pytest.mark.parametrize(
    ("workload", "sentence"),
    [(Workload("vector", bytes=3 * MIB), "A piece of a vector read can have at most 2097136 bytes")],
)
async def test_a_workload_that_no_server_takes(hub: Any, agent: Any, workload: Workload, sentence: str) -> None:
    async with agent():
        await hub.in_session()
        await hub.say(StartRepeat(JOB, workload, slots=1))
        assert (await hub.next(RepeatReady)).error.startswith(sentence)


async def test_no_room_for_the_journal(hub: Any, agent: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Journal, "room", lambda self: 5 * MIB)
    async with agent():
        await hub.in_session()
        await hub.say(StartRepeat(JOB, Workload(), slots=1))
        assert "has only 5 MiB left; free some space (32 MiB are needed)" in (await hub.next(RepeatReady)).error


async def test_without_the_xrootd_package(
    hub: Any, agent: Any, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path_factory.mktemp("fake")
    (fake / "XRootD").mkdir()
    (fake / "XRootD" / "__init__.py").write_text("raise ImportError('no such package')")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(fake), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setattr(client_module, "xrootd_client_version", lambda: "")
    monkeypatch.setattr(client_module, "curl_version", lambda: "")
    async with agent() as role:
        notice = await hub.next(Notice)
        assert notice.severity == "error"
        assert 'install it with: pip install "xrootd-tally[xrootd]"' in notice.text
        await hub.say(StartRepeat(JOB, Workload(), slots=2))
        assert (await hub.next(RepeatReady)).error == notice.text
        assert role.heartbeat().jobs == []


async def test_a_draining_agent_takes_no_new_job(hub: Any, agent: Any) -> None:
    async with agent():
        await hub.in_session()
        await hub.say(Ask("drain"))
        await hub.next(Heartbeat, draining=True)
        await hub.say(StartRepeat(JOB, Workload(), slots=1))
        assert (await hub.next(RepeatReady)).error == "This agent is draining and accepts no new jobs."
        await hub.say(Ask("resume"))
        await hub.say(StartRepeat("1.1.2", Workload(), slots=1))
        assert (await hub.next(RepeatReady, job="1.1.2")).error == ""


async def test_orders_for_jobs_that_are_not_there(hub: Any, agent: Any) -> None:
    async with agent():
        await hub.in_session()
        for job, order in {
            "2.1.1": Round("2.1.1", 0, []),
            "2.1.2": EndRepeat("2.1.2"),
            "2.1.3": Abort("2.1.3"),
        }.items():
            await hub.say(order)
            assert "(it was restarted, perhaps)" in (await hub.next(RepeatReady, job=job)).error


async def test_a_slot_that_is_not_there(hub: Any, agent: Any) -> None:
    async with agent():
        await start(hub, Workload(), slots=1)
        await hub.say(Round(JOB, 0, [Request("tagaaaaa", 1, "root://s", "/f", 1, 1)]))
        assert "names a slot that is not among its 1" in (await hub.next(Notice)).text
    assert hub.lines == []


@pytest.mark.xrootd
async def test_nothing_is_asked_twice_whatever_the_hub_says(hub: Any, xrootd: Any, agent: Any) -> None:
    for name in ("a", "b"):
        xrootd.add(f"/store/twice/{name}", 10)
    one, other = requests(xrootd.url, ["/store/twice/a", "/store/twice/b"], 10)
    async with agent():
        await start(hub, Workload("full"))
        await hub.say(Round(JOB, 0, [one, one]))
        await made(hub, 1)
        await hub.say(Round(JOB, 1, [one, other, other]))
        await made(hub, 2)
    assert [line.path for line in hub.done()] == ["/store/twice/a", "/store/twice/b"]


@pytest.mark.xrootd
async def test_a_disk_that_is_full_when_it_syncs(
    hub: Any, xrootd: Any, agent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some file systems say it only then."""
    xrootd.add("/store/sync", 10)
    full = True
    real = os.fsync

    def fsync(file: int) -> None:
        if full:
            raise OSError(28, "No space left on device")
        real(file)

    async with agent():
        await start(hub, Workload("full"))
        monkeypatch.setattr(os, "fsync", fsync)
        await hub.say(Round(JOB, 0, requests(xrootd.url, ["/store/sync"], 10)))
        assert "cannot be made safe on disk: No space left on device. The agent waits" in (await hub.next(Notice)).text
        assert hub.lines == []
        full = False
        await made(hub, 1)
    assert [line.ok for line in hub.done()] == [True]
    assert len(notices(hub)) == 1


# ---------------------------------------------------------------- cuts


@pytest.mark.xrootd
async def test_a_cut_in_mid_job_loses_nothing_and_doubles_nothing(hub: Any, xrootd: Any, agent: Any) -> None:
    paths = [f"/store/cut/f{i}" for i in range(40)]
    for path in paths:
        xrootd.add(path, 10)
    work = requests(xrootd.url, paths, 10)
    async with agent():
        await start(hub, Workload("long", bytes=5, reads=2, pause=0.05))
        await hub.say(Round(JOB, 0, work))
        await hub.until(lambda: len(hub.done()) >= 4, "some done lines")
        hub.cut()
        await hub.until(lambda: hub.sessions == 2 and hub.sockets, "second session")
        # The hub cannot know what has arrived, and says it all again.
        await hub.say(StartRepeat(JOB, Workload("long", bytes=5, reads=2, pause=0.05), slots=4))
        await hub.say(Round(JOB, 0, work))
        await made(hub, len(paths))
        hub.cut()
        await hub.until(lambda: hub.sessions == 3 and hub.sockets, "third session")
        await hub.say(EndRepeat(JOB))
        await hub.next(RepeatDone)
        hub.cut()
        await hub.until(lambda: sum(isinstance(m, RepeatDone) for m in hub.received) >= 2, "RepeatDone again")
        await hub.say(EndRepeat(JOB))
        await hub.until(lambda: sum(isinstance(m, RepeatDone) for m in hub.received) >= 3, "RepeatDone once more")
    assert sorted(line.path for line in hub.done()) == sorted(paths)
    assert len(started(hub)) == len([line for line in hub.lines if isinstance(line, Started)]) == 40


@pytest.mark.xrootd
async def test_a_hub_that_does_not_acknowledge_holds_up_the_sending_not_the_work(
    hub: Any, xrootd: Any, agent: Any, monkeypatch: pytest.MonkeyPatch, eventually: Any
) -> None:
    monkeypatch.setattr(client_module, "IN_FLIGHT", 10)
    monkeypatch.setattr("agent.journal.MAX_BATCH_LINES", 4)
    hub.acknowledging = False
    paths = [f"/store/slow/f{i}" for i in range(20)]
    for path in paths:
        xrootd.add(path, 10)
    async with agent() as role:
        await start(hub, Workload("full"))
        await hub.say(Round(JOB, 0, requests(xrootd.url, paths, 10)))
        await eventually(lambda: role.heartbeat().requests == 20, "all done")
        assert len(hub.lines) <= 12
        hub.acknowledging = True
        await hub.say(Acknowledge(hub.journal_id, hub.lines[-1].n))
        await made(hub, len(paths))
    assert len(hub.lines) == 40


@pytest.mark.xrootd
async def test_a_restarted_agent_reports_what_it_had_started(
    hub: Any, linked: Any, xrootd: Any, tmp_path: Path
) -> None:
    xrootd.add("/store/crash", 100)
    journal = Journal(tmp_path)
    role = ClientRole(name="c1", labels=[], journal=journal)
    async with linked(hub, role, "c1", "client"):
        await start(hub, LONG)
        await hub.say(Round(JOB, 0, requests(xrootd.url, ["/store/crash"], 100)))
        await hub.until(lambda: len(started(hub)) == 1, "started line")
    # The agent dies, and its workers with it, before they have written anything more.
    work = role._work[JOB]
    assert work.job.stop()
    for pid in work.pool.pids():
        os.kill(pid, signal.SIGKILL)
    await role.close()
    journal.close()

    hub.received.clear()
    async with _agent(hub, linked, tmp_path):
        await hub.until(lambda: hub.done(), "done line")
        beat = await hub.next(Heartbeat)
        assert beat.jobs == []
        assert "died with 1 requests in progress" in (await hub.next(Notice)).text
    (line,) = hub.done()
    assert (line.n, line.path, line.interrupted) == (2, "/store/crash", True)


async def test_another_hub_gets_another_journal(hub: Any, linked: Any, tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal._appender.write(Started(0, JOB, 0, "tagaaaaa", "root://s", "/f", 1.0))
    journal.collect()
    journal.close()  # now one line, and at the next start a done line
    async with _agent(hub, linked, tmp_path) as role:
        await hub.until(lambda: len(hub.lines) == 2, "both lines")
        await role.delivered()
        first = hub.journal_id
    hub.lines, hub.journal_id = [], ""  # another hub: it knows nothing
    hub.received.clear()
    async with _agent(hub, linked, tmp_path):
        notice = await hub.until(lambda: [n for n in notices(hub) if "starts a new journal" in n], "notice")
        assert notice[0].startswith("The hub has 0 lines of this agent's journal, the agent has 1 to 2")
        await hub.until(lambda: any(isinstance(m, Heartbeat) and m.journal != first for m in hub.received), "new id")
    assert hub.lines == []


async def test_a_hub_that_knows_more_than_we_do(hub: Any, agent: Any) -> None:
    hub.welcome_acknowledged = 500
    async with agent():
        assert "The hub has 500 lines" in (await hub.next(Notice)).text
        assert not [m for m in hub.received if isinstance(m, JournalMessage)]


async def test_a_hub_that_lost_its_last_lines_gets_them_again(hub: Any, linked: Any, tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for number in range(10):
        journal._appender.write(Started(0, JOB, 0, "tagaaaaa", "root://s", f"/{number}", 1.0))
    journal.interrupt([], "")
    journal.collect()
    journal.close()
    async with _agent(hub, linked, tmp_path):
        await hub.until(lambda: len(hub.lines) == 20, "all lines")
    del hub.lines[15:]  # a power cut on the hub's side
    async with _agent(hub, linked, tmp_path):
        await hub.until(lambda: len(hub.lines) == 20, "all lines again")
    assert [line.n for line in hub.lines] == list(range(1, 21))


# ---------------------------------------------------------------- probes, the end


@pytest.mark.xrootd
async def test_a_probe_is_answered(hub: Any, xrootd: Any, agent: Any) -> None:
    xrootd.add("/store/probed", 42)
    async with agent():
        await hub.in_session()
        await hub.say(Probe(9, xrootd.url, ["/store/probed"]))
        answer = await hub.next(Probed, id=9)
    assert answer.answering
    assert [(file.path, file.size) for file in answer.files] == [("/store/probed", 42)]


@pytest.mark.xrootd
async def test_draining_finishes_what_is_under_way(hub: Any, xrootd: Any, agent: Any) -> None:
    paths = [f"/store/drain/f{i}" for i in range(8)]
    for path in paths:
        xrootd.add(path, 100)
    async with agent() as role:
        await start(hub, Workload("long", bytes=10, reads=2, pause=1.0))
        await hub.say(Round(JOB, 0, requests(xrootd.url, paths, 100)))
        await hub.until(lambda: len(started(hub)) == 4, "started lines")
        await role.drain(10)
        await role.delivered()
        await hub.next(RepeatDone)
    assert {line.path: line.ok for line in hub.done()} == dict.fromkeys(paths[:4], True)
    assert started(hub) == set(paths[:4])


@pytest.mark.xrootd
async def test_draining_cuts_what_takes_too_long(hub: Any, xrootd: Any, agent: Any) -> None:
    xrootd.add("/store/drain/long", 100)
    async with agent() as role:
        await start(hub, LONG)
        await hub.say(Round(JOB, 0, requests(xrootd.url, ["/store/drain/long"], 100)))
        await hub.until(lambda: started(hub), "started line")
        await role.drain(0.2)
        await role.delivered()
    assert [(line.ok, line.interrupted) for line in hub.done()] == [(False, True)]


async def test_a_failing_disk_ends_the_agent(hub: Any, agent: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with agent() as role:
        await start(hub, Workload())
        monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        role._journal._appender.write(Started(0, JOB, 0, "tagaaaaa", "root://s", "/f", 1.0))
        sentence = await asyncio.wait_for(asyncio.shield(role.broken), 60)
        monkeypatch.undo()
    assert "cannot be made safe on disk: Input/output error." in sentence


# ---------------------------------------------------------------- samples


def _chained(samples: list[Sample]) -> bool:
    return all(before.t == after.since for before, after in itertools.pairwise(samples))


@pytest.mark.xrootd
async def test_samples_follow_one_another_and_tell_each_byte_once(hub: Any, xrootd: Any, agent: Any) -> None:
    paths = [f"/store/sample/f{i}" for i in range(4)]
    for path in paths:
        xrootd.add(path, 100_000)
    async with agent():
        await run(hub, Workload("long", bytes=10_000, reads=8, pause=0.4), requests(xrootd.url, paths, 100_000))
        samples = [message for message in hub.received if isinstance(message, Sample)]
    assert len(samples) >= 3
    assert _chained(samples)
    assert all(sample.t == int(sample.t) for sample in samples[:-1]), "but for the last, they end with a second"
    within = [sample.servers[xrootd.url].within for sample in samples if xrootd.url in sample.servers]
    assert sum(within) == samples[-1].servers[xrootd.url].bytes == 4 * 8 * 10_000
    assert max(within) < sum(within), "they are spread over the seconds in which they came"


@pytest.mark.xrootd
async def test_samples_of_a_time_without_a_session_come_later(hub: Any, xrootd: Any, agent: Any) -> None:
    paths = [f"/store/later/f{i}" for i in range(4)]
    for path in paths:
        xrootd.add(path, 100_000)
    async with agent():
        await start(hub, Workload("long", bytes=10_000, reads=10, pause=0.4))
        await hub.say(Round(JOB, 0, requests(xrootd.url, paths, 100_000)))
        await hub.until(lambda: any(isinstance(m, Sample) and m.servers for m in hub.received), "a sample")
        hub.cut()
        await hub.until(lambda: hub.sessions == 2 and hub.sockets, "second session")
        await hub.say(EndRepeat(JOB))
        await hub.next(RepeatDone)
        taken = {m.t: m for m in hub.received if isinstance(m, Sample)}
    samples = [taken[t] for t in sorted(taken)]
    assert _chained(samples)
    assert sum(s.servers[xrootd.url].within for s in samples if s.servers) == 4 * 10 * 10_000
