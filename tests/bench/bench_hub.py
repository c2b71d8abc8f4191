"""The hub with 1,000 agents: joins over TLS, the event loop's lag under samples, and a rejoin after a restart.

    .venv/bin/python tests/bench/bench_hub.py [--agents 1000] [--seconds 20] [--db URL]

The agents live in a process of their own, speak the real protocol over TLS (two handshakes for each join), and send a
sample of 50 servers every second and a heartbeat every two. The hub stores keys, tokens and agents in a real
workspace: SQLite, or with `--db` an empty database elsewhere (postgresql://…). *Lag* is by how much a timer of 5 ms
came late in the hub's event loop.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import resource
import ssl
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from agent.messages import (
    SUBPROTOCOL,
    Heartbeat,
    Register,
    Sample,
    ServerSample,
    decode_from_hub,
    encode,
    sign_token,
)
from gui.hub import Hub, HubOptions
from gui.hub.keys import ensure_shared_key
from gui.store import Store

SERVERS = 50
JOINS_AT_ONCE = 32
LAG_BEAT = 0.005
REJOIN_SPREAD = 10.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--agents", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--db", default="")
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4 * options.agents + 1000)), hard))
    with tempfile.TemporaryDirectory(prefix="tally-bench-hub-") as directory:
        asyncio.run(measure(Path(directory), options.agents, options.seconds, options.db))


async def measure(directory: Path, agents: int, seconds: float, database: str) -> None:
    store = Store(database or directory / "bench.db")
    secret = ensure_shared_key(store, time.time()).secret
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process: Any = None
    try:
        async with Hub(store, HubOptions(directory=directory, host="127.0.0.1", port=0)) as hub:
            port = hub.port
            process = context.Process(target=be_agents, args=(theirs, port, secret, agents), daemon=True)
            process.start()
            await asyncio.to_thread(ours.recv)  # it has signed its tokens
            ours.send("join")
            cpu, began = time.process_time(), time.monotonic()
            lag = asyncio.get_running_loop().create_task(lags(), name="lag while joining")
            await until_up(hub, agents)
            taken = time.monotonic() - began
            figure("hub.cpu_per_join", 1000 * (time.process_time() - cpu) / agents, "ms")
            figure("hub.joins_per_second", agents / taken, "joins/s", at_least=100)
            lag_figures("hub.lag_joining", await ended(lag), at_most_p99=None)
            ours.send("work")
            await asyncio.sleep(3)  # all have begun
            lag = asyncio.get_running_loop().create_task(lags(), name="lag under samples")
            cpu, began = time.process_time(), time.monotonic()
            await asyncio.sleep(seconds)
            lag_figures("hub.lag", await ended(lag), at_most_p99=50)
            used = (time.process_time() - cpu) / (time.monotonic() - began)
            figure("hub.cpu_1000_agents", 100 * used, "% of a core")
            missing = sum(not view.live for view in hub.roster.agents)
            figure("hub.missing_under_load", missing, "agents", at_most=0)
        began = time.monotonic()
        async with Hub(store, HubOptions(directory=directory, host="127.0.0.1", port=port)) as hub:
            await until_up(hub, agents)
            figure("hub.rejoin_after_restart", time.monotonic() - began, "s", at_most=30)
            ours.send("end")
            await asyncio.to_thread(process.join, 20)
    finally:
        if process is not None and process.is_alive():
            process.kill()
        store.close()


async def until_up(hub: Hub, agents: int) -> None:
    async with asyncio.timeout(180):
        while sum(view.live for view in hub.roster.agents) < agents:  # noqa: ASYNC110 - a poll with a deadline
            await asyncio.sleep(0.02)


async def lags() -> list[float]:
    """How late each beat of a timer came, in milliseconds, until cancelled."""
    late: list[float] = []
    loop = asyncio.get_running_loop()
    try:
        while True:
            due = loop.time() + LAG_BEAT
            await asyncio.sleep(LAG_BEAT)
            late.append(1000 * (loop.time() - due))
    except asyncio.CancelledError:
        return sorted(late)


async def ended(task: asyncio.Task[list[float]]) -> list[float]:
    task.cancel()
    return await task


def lag_figures(name: str, late: list[float], *, at_most_p99: float | None) -> None:
    figure(f"{name}_p50", late[len(late) // 2], "ms")
    figure(f"{name}_p99", late[int(len(late) * 0.99)], "ms", at_most=at_most_p99)
    figure(f"{name}_max", late[-1], "ms")


def figure(name: str, value: float, unit: str, *, at_least: float | None = None, at_most: float | None = None) -> None:
    limit = f">= {at_least:g}" if at_least is not None else f"<= {at_most:g}" if at_most is not None else None
    print(json.dumps({"name": name, "value": round(value, 2), "unit": unit, "limit_or_peer": limit}), flush=True)


# ---------------------------------------------------------------- the agents' process


def be_agents(pipe: Connection, port: int, secret: str, agents: int) -> None:
    asyncio.run(Agents(pipe, port, secret, agents).run())


class Agents:
    """Many agents in one process, none of which does anything."""

    def __init__(self, pipe: Connection, port: int, secret: str, agents: int) -> None:
        self.pipe, self.url, self.secret, self.agents = pipe, f"wss://127.0.0.1:{port}", secret, agents
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_NONE  # what is measured is the hub, not the check of its pin
        self.joining = asyncio.Semaphore(JOINS_AT_ONCE)
        self.work = asyncio.Event()
        self.end = asyncio.Event()
        urls = [f"root://server{number:02d}.example.org:1094" for number in range(SERVERS)]
        figures = {url: ServerSample(10**9, 800, 1, 801) for url in urls}
        self.sample = encode(Sample(job="1.1.1", t=time.time(), servers=figures))

    async def run(self) -> None:
        self.pipe.send("ready")
        assert await asyncio.to_thread(self.pipe.recv) == "join"
        async with asyncio.TaskGroup() as tasks:
            for number in range(self.agents):
                tasks.create_task(self.live(f"a{number:04d}"), name=f"agent {number}")
            assert await asyncio.to_thread(self.pipe.recv) == "work"
            self.work.set()
            assert await asyncio.to_thread(self.pipe.recv) == "end"
            self.end.set()

    async def live(self, name: str) -> None:
        while not self.end.is_set():
            try:
                async with self.joining:
                    socket = await self.join(name)
                await self.session(socket)
            except (OSError, ConnectionClosed, InvalidHandshake, TimeoutError):
                await asyncio.sleep(0.5)
            if not self.end.is_set():
                await asyncio.sleep(random.random() * REJOIN_SPREAD)

    async def join(self, name: str) -> ClientConnection:
        token = sign_token(self.secret, sub=name, scope="agent:client")
        async with await self.open("/register", {"Authorization": f"Bearer {token}"}) as socket:
            await socket.send(encode(Register(role="client", version="bench", host="bench")), text=True)
            registered: Any = decode_from_hub(await socket.recv())
        socket = await self.open(f"/agent?client_id={registered.client_id}", {})
        await socket.recv()
        await socket.send(encode(Heartbeat(t=time.time())), text=True)
        return socket

    async def open(self, target: str, headers: dict[str, str]) -> ClientConnection:
        return await connect(
            self.url + target,
            additional_headers=headers,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            ssl=self.context,
            proxy=None,
            compression=None,
            open_timeout=60,
            ping_interval=None,
        )

    async def session(self, socket: ClientConnection) -> None:
        async with asyncio.TaskGroup() as tasks:
            beat = tasks.create_task(self.beat(socket), name="beat")
            reading = tasks.create_task(self.read(socket), name="read")
            ending = tasks.create_task(self.end.wait(), name="end")
            await asyncio.wait([reading, ending], return_when=asyncio.FIRST_COMPLETED)
            await socket.close()
            for task in (beat, reading, ending):
                task.cancel()

    async def read(self, socket: ClientConnection) -> None:
        async for _ in socket:
            pass

    async def beat(self, socket: ClientConnection) -> None:
        await asyncio.sleep(random.random())  # not all at the same moment
        try:
            for second in range(10**9):
                if self.work.is_set():
                    await socket.send(self.sample, text=True)
                if second % 2 == 0:
                    await socket.send(encode(Heartbeat(t=time.time(), jobs=["1.1.1"])), text=True)
                await asyncio.sleep(1)
        except ConnectionClosed:
            return


if __name__ == "__main__":
    main()
