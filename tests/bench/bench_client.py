"""Requests a second of one client agent against one local XRootD server: journal, workers, samples and all, no network.

    python tests/bench/bench_client.py [--requests 20000] [--size 1024] [--slots 16] [--per-process 32]

One line of JSON per figure. The server shares the machine with the client; no monitoring is configured in it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent import client
from agent.journal import Journal
from agent.messages import Done, EndRepeat, RepeatDone, RepeatReady, Request, Round, StartRepeat, Welcome, Workload
from agent.messages import Journal as JournalMessage
from agent.workloads import pool

PER_ROUND = 5000
BARE = """
import sys, threading, time
from XRootD import client
server, threads, files, requests, size = sys.argv[1], *map(int, sys.argv[2:])
def work(slot):
    for i in range(slot, requests, threads):
        file = client.File()
        assert file.open(f"{server[:7]}x{slot:05d}@{server[7:]}//f{i // threads % files}", timeout=30)[0].ok
        assert len(file.read(0, size, timeout=30)[1]) == size
        file.close(timeout=30)
began = time.monotonic()
all_threads = [threading.Thread(target=work, args=(slot,)) for slot in range(threads)]
[t.start() for t in all_threads]
[t.join() for t in all_threads]
print(requests / (time.monotonic() - began))
"""
"""What the same number of threads reach with nothing but the XRootD client: the yardstick for ours."""


@contextmanager
def xrootd(base: Path, files: int, size: int) -> Iterator[str]:
    """A server with files /f0, /f1, …"""
    (base / "data").mkdir()
    (base / "adm").mkdir()
    for number in range(files):
        (base / "data" / f"f{number}").write_bytes(os.urandom(size))
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    (base / "xrootd.cfg").write_text(
        f"all.role server\nxrd.port {port}\noss.localroot {base}/data\nall.export /\n"
        f"all.adminpath {base}/adm\nall.pidpath {base}/adm\nxrootd.async off\n"
    )
    base.chmod(0o755)
    if os.getuid() == 0:
        account = pwd.getpwnam("xrootd")
        for path in (base, *base.rglob("*")):
            os.chown(path, account.pw_uid, account.pw_gid)
    command = ["xrootd", *(["-R", "xrootd"] if os.getuid() == 0 else []), "-c", str(base / "xrootd.cfg"), "-n", "b"]
    process = subprocess.Popen([*command, "-l", str(base / "log")], stdout=-3, stderr=-3)
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"root://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


class Sink:
    """A session that keeps what is said and acknowledges the journal at once."""

    def __init__(self, role: client.ClientRole) -> None:
        self.role = role
        self.said: list[Any] = []
        self.news = asyncio.Event()
        self.lines = 0
        self.done = self.failed = 0

    async def send(self, message: Any) -> None:
        from agent.messages import Acknowledge, encode

        encode(message)
        if isinstance(message, JournalMessage):
            self.lines += len(message.lines)
            done = [line for line in message.lines if isinstance(line, Done)]
            self.done += len(done)
            self.failed += sum(not line.ok for line in done)
            self.news.set()
            await self.role.obey(Acknowledge(message.journal, message.lines[-1].n), self)  # type: ignore[arg-type]
        else:
            self.said.append(message)
            self.news.set()

    async def until(self, kind: type, count: int = 1) -> Any:
        while True:
            self.news.clear()
            found = [m for m in self.said if isinstance(m, kind)]
            if len(found) >= count:
                return found[-1]
            await self.news.wait()

    async def made(self, count: int) -> None:
        """Wait until so many requests are done."""
        while self.done < count:
            self.news.clear()
            await self.news.wait()


def bare(server: str, options: argparse.Namespace) -> float:
    """Requests/s of the bare loop."""
    numbers = (options.slots, options.files, options.requests, options.size)
    command = [sys.executable, "-c", BARE, server, *map(str, numbers)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


async def measure(server: str, options: argparse.Namespace, directory: Path) -> tuple[float, float, int]:
    """(requests/s, per cent of a core of the agent process itself, failed)"""
    pool.SLOTS_PER_PROCESS = options.per_process  # type: ignore[misc]
    journal = Journal(directory)
    role = client.ClientRole(name="bench", labels=[], journal=journal)
    sink = Sink(role)
    role.welcomed(Welcome("bench", "0", time.time()))
    attend = asyncio.get_running_loop().create_task(role.attend(sink), name="attend")  # type: ignore[arg-type]
    await role.obey(StartRepeat("1.1.1", Workload(options.kind), options.slots), sink)  # type: ignore[arg-type]
    ready = await sink.until(RepeatReady)
    assert not ready.error, ready.error
    rounds = -(-options.requests // PER_ROUND)
    cpu, began = time.process_time(), time.monotonic()
    for number in range(rounds):
        requests = []
        for i in range(number * PER_ROUND, min(options.requests, (number + 1) * PER_ROUND)):
            slot = i % options.slots
            generation = i // (options.slots * options.files)  # a tag never asks for the same path twice
            path = f"/f{(i // options.slots) % options.files}"
            requests.append(Request(f"b{generation:04d}{slot:03d}", slot, server, path, options.size, i))
        await role.obey(Round("1.1.1", number, requests), sink)  # type: ignore[arg-type]
        await sink.made(min(options.requests, (number + 1) * PER_ROUND))
    seconds = time.monotonic() - began
    cpu = time.process_time() - cpu
    await role.obey(EndRepeat("1.1.1"), sink)  # type: ignore[arg-type]
    await sink.until(RepeatDone)
    assert sink.lines == 2 * options.requests, sink.lines
    attend.cancel()
    await asyncio.gather(attend, return_exceptions=True)
    await role.close()
    journal.close()
    return options.requests / seconds, 100 * cpu / seconds, sink.failed


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--slots", type=int, default=16)
    parser.add_argument("--per-process", type=int, default=pool.SLOTS_PER_PROCESS)
    parser.add_argument("--kind", default="full")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    base = Path(tempfile.mkdtemp(prefix="tally-bench-client-"))
    try:
        with xrootd(base, options.files, options.size) as server:
            bare_runs = []
            runs = []
            for number in range(options.repeats):
                bare_runs.append(bare(server, options))
                runs.append(asyncio.run(measure(server, options, base / f"agent{number}")))
    finally:
        shutil.rmtree(base, ignore_errors=True)
    rate, cpu, failed = sorted(runs)[len(runs) // 2]
    peer = sorted(bare_runs)[len(bare_runs) // 2]
    what = f"{options.kind} {options.size} B, {options.slots} slots, {options.per_process} a process"
    figures = (
        ("client requests", round(rate), "1/s", f"{peer:.0f}/s: bare open-read-close, same threads, no journal"),
        ("client agent's own CPU", round(cpu), "% of a core", "beside its workers"),
    )
    for name, value, unit, limit in figures:
        print(json.dumps({"name": f"{name}: {what}", "value": value, "unit": unit, "limit_or_peer": limit}))
    if failed:
        print(f"{failed} requests failed", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
