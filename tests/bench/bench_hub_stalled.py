"""The hub with 1,000 agents beside peers that stall, and beside idle connections: joins, lag, revocation, memory, stop.

    .venv/bin/python tests/bench/bench_hub_stalled.py [--agents N] [--stalled N] [--idle N] [--seconds S] [--db URL]

The hub is this process, with TLS and a real workspace: SQLite, or with `--db` another (postgresql://…, which must be
empty). Then it is a real `tally hub` with the same workspace, which all agents join again; it is ended by SIGTERM
beside as many new peers that stall. All peers live in a process of their own. The stalled ones are `--stalled` of
each kind: operators, observers and agents that stop reading in the middle of what they are sent, agents that stop in
the middle of a message, registrations without a first message, requests without an end, and connections on which
nothing is said.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import resource
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bench_hub import Agents, ended, figure, lag_figures, lags
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from agent.messages import (
    SUBPROTOCOL,
    Heartbeat,
    Register,
    Request,
    Round,
    StartRepeat,
    Workload,
    decode_from_hub,
    encode,
    sign_token,
)
from gui.hub import Hub, HubOptions
from gui.hub.keys import ensure_shared_key, new_key, revoke_key
from gui.hub.operate import RegisterOperator
from gui.store import Store
from shoveler.service.programs import program_command

ROWS = 400
"""Rows of 64 KiB that stalled operators are sent; the kernel takes a few megabytes."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--agents", type=int, default=1000)
    parser.add_argument("--stalled", type=int, default=10)
    parser.add_argument("--idle", type=int, default=1500)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--db", default="")
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 16_384)), hard))
    with tempfile.TemporaryDirectory(prefix="tally-bench-hub-") as directory:
        asyncio.run(measure(Path(directory), options))


def memory() -> float:
    """Megabytes of this process that are in memory now."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1000


async def measure(directory: Path, options: argparse.Namespace) -> None:
    store = Store(options.db or directory / "bench.db")
    now = time.time()
    secret = ensure_shared_key(store, now).secret
    named = {}
    scopes = {"operator": "operator", "observer": "observer", "deaf": "agent:client"}
    names = [(f"{kind}{number}", scope) for kind, scope in scopes.items() for number in range(2 * options.stalled)]
    for name, scope in (*names, ("honest", "agent:client"), ("honest-again", "agent:client")):
        named[name] = key = new_key([scope], now, sub=name)
        store.put_key(key)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    try:
        await with_hub(store, directory, options, secret, named, context, ours, theirs)
    finally:
        store.close()
        for child in multiprocessing.active_children():
            child.kill()


async def with_hub(
    store: Store, directory: Path, options: argparse.Namespace, secret: str, named: dict[str, Any], context: Any,
    ours: Connection, theirs: Connection,
) -> None:  # fmt: skip
    async def tell(*words: Any) -> Any:
        ours.send(words)
        return await asyncio.to_thread(ours.recv)

    # Everything comes from this machine; on the internet these would be many addresses.
    hub = Hub(store, HubOptions(directory=directory, host="127.0.0.1", port=0, max_waiting_each=0))
    await hub.__aenter__()
    secrets = {name: (key.kid, key.secret) for name, key in named.items()}
    arguments = (theirs, hub.port, secret, options.agents, secrets)
    context.Process(target=be_peers, args=arguments, daemon=True).start()
    await asyncio.to_thread(ours.recv)
    before = memory()
    figure("hub.memory_empty", before, "MB")

    # ---- idle connections before sign-in
    await tell("idle", options.idle)
    figure("hub.idle_connections_kept", hub.counts().waiting, "connections", at_most=1000)
    figure("hub.memory_beside_idle", memory(), "MB")
    await asyncio.sleep(1.5)  # they have waited for longer than an honest join
    times = sorted(await tell("joins", 50))
    figure("hub.join_beside_idle_median", times[len(times) // 2], "s", at_most=0.2)
    figure("hub.join_beside_idle_max", times[-1], "s")
    await tell("leave")
    async with asyncio.timeout(60):
        while hub.counts().waiting:  # noqa: ASYNC110 - a poll with a deadline
            await asyncio.sleep(0.05)
    await asyncio.sleep(12)  # it looks every 5 s
    figure("hub.memory_after_idle", memory(), "MB")

    # ---- a thousand agents beside peers that stall
    rows = {str(number): {"text": f"{number}" + "x" * 64_000} for number in range(ROWS)}
    hub.topics.publish("run", lambda: rows)
    await tell("stall", 0, options.stalled, "honest")
    deaf = [view for view in hub.roster.agents if view.name.startswith("deaf")]
    requests = [Request("tag00001", 0, "root://s1//", f"/{n:0200}", 1, 1) for n in range(8000)]
    for view in deaf:
        hub.send(view.id, StartRepeat(job="1.1.1", workload=Workload(), slots=1))
        for number in range(6):
            hub.send(view.id, Round(job="1.1.1", round=number, requests=requests))
    began = time.monotonic()
    lag = asyncio.get_running_loop().create_task(lags(), name="lag while joining")
    ours.send(("join",))
    await until_joined(hub, options.agents)
    figure("hub.joins_per_second_beside_stalled", options.agents / (time.monotonic() - began), "joins/s", at_least=100)
    lag_figures("hub.lag_joining_beside_stalled", await ended(lag), at_most_p99=None)
    assert await asyncio.to_thread(ours.recv) == "joined"
    ours.send(("work",))
    await asyncio.sleep(3)
    lag = asyncio.get_running_loop().create_task(lags(), name="lag under samples")
    await asyncio.sleep(options.seconds)
    lag_figures("hub.lag_beside_stalled", await ended(lag), at_most_p99=50)
    assert await asyncio.to_thread(ours.recv) == "working"
    figure("hub.memory_1000_agents_beside_stalled", memory(), "MB")

    # ---- revocation, as `tally key revoke` does it: in the database, by another connection
    for kind in ("honest", "deaf", "operator", "observer"):
        chosen = [key for name, key in named.items() if name.startswith(kind) and name != "honest-again"]
        taken = []
        for key in chosen[:3]:
            sessions = sum(1 for one in everybody(hub) if one.kid == key.kid)
            assert sessions == 1, (kind, sessions)
            began = time.monotonic()
            await asyncio.to_thread(revoke_key, store, key.kid, time.time())
            async with asyncio.timeout(30):
                while any(one.kid == key.kid for one in everybody(hub)):  # noqa: ASYNC110 - a poll with a deadline
                    await asyncio.sleep(0.005)
            taken.append(time.monotonic() - began)
        figure(f"hub.revocation_{kind}_max", max(taken), "s", at_most=1)

    # ---- the end
    port = hub.port
    began = time.monotonic()
    await hub.__aexit__()
    figure("hub.stop_beside_stalled", time.monotonic() - began, "s", at_most=10)
    await real_hub(directory, options, port, tell)


async def real_hub(directory: Path, options: argparse.Namespace, port: int, tell: Any) -> None:
    """The program itself, with the agents that come back and peers that stall anew, until SIGTERM."""
    log = directory / "hub.log"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        metrics = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [*program_command("tally"), "hub", "--db", str(options.db or directory / "bench.db"),
               "--listen", f"127.0.0.1:{port}", "--bus", str(directory / "bus"), "--metrics", metrics,
               "--max-waiting-each", "0"]  # fmt: skip
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: ASYNC220 - ended by a signal and waited for below
            command, stdout=out, stderr=out, env=os.environ | {"HOME": str(directory), "XDG_DATA_HOME": str(directory)}
        )
    try:
        began = time.monotonic()
        await until_counted(process, log, metrics, "tally_hub_agents", options.agents)
        figure("tally_hub.rejoin_after_restart", time.monotonic() - began, "s", at_most=30)
        await tell("stall", options.stalled, options.stalled, "honest-again")
        await until_counted(process, log, metrics, "tally_hub_operators", 2 * options.stalled)
        await asyncio.sleep(options.seconds)  # what they are sent fills what is between them
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(process.wait, 60)
        figure("tally_hub.sigterm_beside_stalled", time.monotonic() - began, "s", at_most=10)
        assert code == 0, log.read_text()[-2000:]
    finally:
        if process.poll() is None:
            process.kill()


async def until_counted(process: subprocess.Popen[bytes], log: Path, metrics: str, name: str, least: int) -> None:
    """Wait until a metric of the hub, all its labels together, has this value."""
    async with asyncio.timeout(300):
        while await asyncio.to_thread(counted, metrics, name) < least:
            assert process.poll() is None, log.read_text()[-2000:]
            await asyncio.sleep(0.2)


def counted(metrics: str, name: str) -> float:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{metrics}/metrics", timeout=10) as reply:
        lines = reply.read().decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines
                   if line.startswith(name) and 'state="missing"' not in line)  # fmt: skip
    return 0.0


async def until_joined(hub: Hub, agents: int) -> None:
    async with asyncio.timeout(300):
        while sum(view.live and view.name.startswith("a") for view in hub.roster.agents) < agents:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def everybody(hub: Hub) -> list[Any]:
    """All sessions, of agents and of operators."""
    return [*hub._sessions.live(), *hub._operators._live]


# ---------------------------------------------------------------- the peers' process


def be_peers(pipe: Connection, port: int, secret: str, agents: int, named: dict[str, tuple[str, str]]) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 16_384)), hard))
    asyncio.run(Peers(pipe, port, secret, agents, named).run())


class Peers(Agents):
    """The agents of the other benchmark, and peers that stall."""

    def __init__(
        self, pipe: Connection, port: int, secret: str, agents: int, named: dict[str, tuple[str, str]]
    ) -> None:
        super().__init__(pipe, port, secret, agents)
        self.port, self.named = port, named
        self.kept: list[Any] = []

    async def run(self) -> None:
        self.pipe.send("ready")
        async with asyncio.TaskGroup() as tasks:
            while True:
                try:
                    what, *words = await asyncio.to_thread(self.pipe.recv)
                except EOFError:
                    break
                match what:
                    case "idle":
                        await self.idle(words[0])
                        self.pipe.send("idle")
                    case "joins":
                        self.pipe.send([await self.timed(f"timed{number}") for number in range(words[0])])
                    case "leave":
                        for writer in self.kept:
                            writer.transport.abort()
                        self.kept.clear()
                        self.pipe.send("left")
                    case "stall":
                        await self.stall(*words)
                        self.pipe.send("stalled")
                    case "join":
                        for number in range(self.agents):
                            tasks.create_task(self.live(f"a{number:04d}"), name=f"agent {number}")
                        self.pipe.send("joined")
                    case "work":
                        self.work.set()
                        self.pipe.send("working")

    async def idle(self, count: int) -> None:
        """Connections with TLS, as far as the hub lets them, on which nothing is said."""
        for _ in range(count):
            try:
                async with asyncio.timeout(20):
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.context)
            except (OSError, TimeoutError):
                continue
            self.kept.append(writer)

    async def timed(self, name: str) -> float:
        """The seconds of one whole join."""
        began = time.monotonic()
        connection = await self.join(name)
        took = time.monotonic() - began
        await connection.close()
        return took

    async def stall(self, first: int, count: int, honest: str) -> None:
        for number in range(first, first + count):
            for kind in ("operator", "observer"):
                await self.deaf(f"{kind}{number}", kind, "/operate", RegisterOperator(host="h", version="1"))
            await self.deaf(f"deaf{number}", "agent:client", "/agent", Register("client", "1", "h"))
            half = await self.join(f"half{number}")
            half.transport.write(b"\x81\xfe\xff\xff\x00\x00\x00\x00{")
            token = sign_token(self.secret, sub=f"silent{number}", scope="agent:client")
            silent = await self.open("/register", {"Authorization": f"Bearer {token}"})
            _, request = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.context)
            request.write(b"GET /register HTTP/1.1\r\nHost:")
            _, nothing = await asyncio.open_connection("127.0.0.1", self.port)
            self.kept += [half, silent, request, nothing]
        kid, secret = self.named[honest]
        hello = Register("client", "1", "h")
        self.kept.append(await self.joined(honest, "agent:client", "/agent", hello, kid, secret))

    async def deaf(self, name: str, scope: str, door: str, hello: Any) -> None:
        """A session that reads its welcome and nothing more; its window is small."""
        kid, secret = self.named[name]
        connection = await self.joined(name, scope, door, hello, kid, secret, window=4096)
        connection.transport.pause_reading()
        self.kept.append(connection)

    async def joined(
        self, name: str, scope: str, door: str, hello: Any, kid: str, secret: str, window: int = 0
    ) -> ClientConnection:
        token = sign_token(secret, sub=name, scope=scope, kid=kid)
        async with await self.open("/register", {"Authorization": f"Bearer {token}"}) as registering:
            await registering.send(encode(hello), text=True)
            registered: Any = decode_from_hub(await registering.recv())
        plain = socket.socket()
        if window:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        plain.setblocking(False)
        await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", self.port))
        connection = await connect(
            f"{self.url}{door}?client_id={registered.client_id}",
            sock=plain, subprotocols=[Subprotocol(SUBPROTOCOL)], ssl=self.context, server_hostname="127.0.0.1",
            proxy=None, compression=None, open_timeout=60, ping_interval=None, max_size=2**26,
        )  # fmt: skip
        await connection.recv()
        if door == "/agent":
            await connection.send(encode(Heartbeat(t=time.time())), text=True)
        return connection


if __name__ == "__main__":
    main()
