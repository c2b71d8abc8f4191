"""The supervisor: brings a lab up, keeps it up, injects faults on request, takes it down.

It runs in its own session, so that no terminal's Ctrl-C or hang-up reaches it. It reads its `LabOptions` as one
JSON line from standard input and reports its progress on standard output (`agent.lab.progress`). While standard input
stays open, the process that started it owns the lab: its end without the word ``keep`` takes the lab down, so that
neither Ctrl-C nor a kill of ``lab up`` leaves anything behind.

Everything runs in one thread, except what blocks: the private broker, file making and removing.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from socket import socket
from typing import Any, Literal

import msgspec

from agent.lab import catalogue, control, daemons, health, names, progress, remains, servers, sockets
from agent.lab.authority import Authority
from agent.lab.broker import INSTALL_HINT, BrokerError, PrivateBroker
from agent.lab.children import Child
from agent.lab.claim import claim
from agent.lab.errors import LabError, WishError
from agent.lab.faults import Faults, Parts
from agent.lab.keeper import BrokerKeeper
from agent.lab.layout import Layout, new_work_directory
from agent.lab.ledger import Ledger
from agent.lab.options import LabOptions, is_amqp
from agent.lab.pids import clean_environment, identity
from agent.lab.progress import Down, Failed, Progress, Up
from agent.lab.relay import Relay
from agent.lab.state import write_state
from agent.messages import LAB_SCHEMA, LabFile, LabProcess, LabServer, LabState
from shoveler.locks import FileLock
from shoveler.service import RateLimited, delays, redact, setup_logging
from shoveler.service.tasks import Tasks

_log = logging.getLogger(__name__)
_warn = RateLimited(_log)

READY_SECONDS = 60.0
"""Maximum time for each part to answer while the lab starts."""
_POLL = 0.05
_STEADY_SECONDS = 30.0
"""A process that ran this long is restarted without a growing delay."""
_SERVER_GRACE, _SHOVELER_GRACE, _COLLECTOR_GRACE = 1.0, 3.0, 3.0
"""Seconds between SIGTERM and SIGKILL when the lab goes down; together less than the ten that `down` may take."""


@dataclass(frozen=True, slots=True)
class _Post:
    """One shoveler's place: its socket is ours, so that it outlives every shoveler that reads from it."""

    name: str
    udp: socket
    metrics: socket

    @property
    def address(self) -> str:
        return sockets.address(self.udp)


class Supervisor:
    """One lab, from its start to its removal. `report` is called with each step; it must not raise."""

    def __init__(self, options: LabOptions, report: Callable[[progress.Report], None]) -> None:
        self._options = options
        self._report = report
        self._layout = Layout(Path(options.directory))
        self._lab = f"lab-{secrets.token_hex(4)}"
        self._started = time.time()
        self._state: Literal["starting", "up", "stopping", "failed"] = "starting"
        self._names = names.Names("")
        self._bus = ""
        self._bus_kind: Literal["given", "private", "local"] = "local"
        self._work: Path | None = None
        self._files: list[LabFile] = []
        self._plans: list[servers.ServerPlan] = []
        """The servers, then their redirector, then their caches."""
        self._ledger: Ledger | None = None
        self._relay: Relay | None = None
        self._posts: list[_Post] = []
        self._held: list[socket] = []
        self._lock: FileLock | None = None
        """Open once the directory is ours to write to and to remove."""

        self._servers: list[Child] = []
        self._clusters: list[Child] = []
        """Each a cmsd beside its server."""
        self._shovelers: list[Child] = []
        self._collectors: list[Child] = []
        self._broker: BrokerKeeper | None = None
        self._faults: Faults | None = None

        self._orders: asyncio.Server | None = None
        self._order_tasks: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        self._stop_flush = False
        self._gone = asyncio.Event()
        self._problems: list[str] = []
        self._tasks = Tasks(_log)

    # -- the story -------------------------------------------------------------------------------------------------

    async def run(self) -> int:
        """Bring up, keep up until told to stop, take down. The program's exit code."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        failure = ""
        wish = False
        try:
            if await self._until_stopped(self._bring_up()):
                self._keep_up()
                self._state = "up"
                self._save_or_fail()
                self._report(Up())
                await self._stop.wait()
        except LabError as error:
            failure, wish = str(error), isinstance(error, WishError)
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing may stay behind
            _log.exception("! the lab failed")
            failure = f"the lab failed with an internal error ({type(error).__name__}: {error})"
        if failure:
            self._report(Failed(failure, wish))
        await self._take_down("failed" if failure else "stopping")
        self._report(Down(self._problems))
        return 1 if failure or self._problems else 0

    def stop(self) -> None:
        """Take the lab down, whatever it is doing."""
        self._stop.set()

    async def _bring_up(self) -> None:
        programs = servers.find_programs(self._options.xrootd)
        account = servers.find_account()
        if self._options.tokens:
            servers.find_tokens_plugin(programs.xrootd)
        self._claim_directory()
        self._choose_bus()
        self._work = new_work_directory(self._lab, account.uid, [account.gid])
        self._files = catalogue.catalogue(self._options)
        self._take_ports()
        self._save()
        await self._listen_for_orders()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._start_bus(), name="bus")
                group.create_task(self._start_servers(programs, account, self._work), name="servers")
        except BaseExceptionGroup as several:
            raise _first(several) from None
        await self._start_daemons()
        await self._identifications_arrived()
        await self._redirector_knows_all()

    def _keep_up(self) -> None:
        for child in (*self._servers, *self._clusters, *self._shovelers, *self._collectors):
            self._tasks.start(self._keep(child), f"keep {child.name}")
        no_broker = "the local bus has no broker to stop"
        if self._bus_kind == "given":
            no_broker = "the broker was given with --bus, and the lab does not stop it; stop it yourself"
        if self._broker is not None:
            self._tasks.start(self._broker.watch(), "watch broker")
        assert self._ledger is not None
        self._faults = Faults(
            Parts(
                shovelers=self._shovelers,
                collectors=self._collectors,
                servers={p.name: (child, p.port) for p, child in zip(self._plans, self._servers, strict=True)},
                caches=[p.name for p in self._plans if p.origin or p.redirects],
                receivers=[post.udp for post in self._posts],
                broker=self._broker,
                no_broker=no_broker,
                relay=self._relay,
                largest=self._options.fbuff,
                write=self._ledger.write,
                changed=self._save,
            )
        )

    async def _take_down(self, state: Literal["stopping", "failed"]) -> None:
        """Caches, servers, shovelers, collector, broker, names, directories: each after what depends on it has
        ended."""
        if self._stop_flush and self._state == "up":
            await asyncio.sleep(servers.FSTAT_SECONDS + servers.FLUSH_SECONDS + 0.5)
        self._state = state
        self._save()
        if self._faults is not None:
            await self._faults.close()
        await self._tasks.close()
        for children, grace in (
            (self._clusters, _SERVER_GRACE),
            (self._servers[self._options.servers :], _SERVER_GRACE),  # what is in front of servers, before them
            (self._servers[: self._options.servers], _SERVER_GRACE),
            (self._shovelers, _SHOVELER_GRACE),
            (self._collectors, _COLLECTOR_GRACE),
        ):
            await asyncio.gather(*(child.end(grace) for child in children))
        if self._relay is not None:
            await asyncio.to_thread(self._relay.close)
        if self._ledger is not None:
            self._ledger.close()
        if self._broker is not None:
            self._problems += await self._broker.end()
        for held in self._held:
            held.close()
        if self._orders is not None:
            self._orders.close()
        if self._lock is not None:
            self._problems += await asyncio.to_thread(remains.remove, self._snapshot())
            self._lock.release()
        self._gone.set()
        await asyncio.gather(*self._order_tasks, return_exceptions=True)  # whoever requested the end is answered first

    # -- coming up -------------------------------------------------------------------------------------------------

    def _claim_directory(self) -> None:
        directory = self._layout.directory
        self._lock, remains_removed = claim(directory)
        if remains_removed:
            self._report(Progress(f"removed the remains of a dead lab in {directory}"))
        self._layout.logs.mkdir()
        with self._layout.log("supervisor").open("ab") as log:
            os.dup2(log.fileno(), sys.stderr.fileno())
        _log.info("= %s in %s", self._lab, directory)
        self._ledger = Ledger(self._layout.ledger)
        if self._options.relay:
            self._relay = Relay(self._ledger.write, everything=self._options.ledger)

    def _choose_bus(self) -> None:
        wish = self._options.bus
        if is_amqp(wish):
            # The bus is noted when it has answered: before that, nothing of ours can be on it to remove later.
            self._bus_kind, self._names = "given", names.Names(f"{self._lab}.")
        elif wish:
            # An existing directory is not ours to remove; one that we create in it is.
            self._bus_kind, self._bus = "local", str(Path(wish) / self._lab if Path(wish).exists() else wish)
        else:
            self._bus_kind = "private"  # until `_start_bus` finds that there is no RabbitMQ

    def _take_ports(self) -> None:
        o = self._options
        for n in range(1, o.shovelers + 1):
            name = f"shoveler-{n}"
            post = _Post(name, sockets.receive_socket(), sockets.keep_port(0, f"the metrics of {name}"))
            self._posts.append(post)
            if self._relay is not None:
                sockets.drop_marked(post.udp)
            self._held += [post.udp, post.metrics]
        manager = 0
        if o.redirector:
            held = sockets.keep_port(0, "the redirector's cmsd", "")
            self._held.append(held)
            manager = held.getsockname()[1]
        width = max(2, len(str(o.servers)))
        for n in range(1, o.servers + 1):
            self._plan(f"s{n:0{width}d}", f"LAB-{n:0{width}d}", n - 1, manager=manager)
        origins = [f"127.0.0.1:{plan.port}" for plan in self._plans]
        if o.redirector:
            self._plan("r01", "LAB-REDIRECTOR", 0, manager=manager, redirects=True)
            origins = [f"localhost:{self._plans[-1].port}"]
        for n in range(1, o.caches + 1):
            self._plan(f"c{n:02d}", f"LAB-CACHE-{n:02d}", n - 1, origin=origins[(n - 1) % len(origins)])

    def _plan(
        self, name: str, site: str, turn: int, *, origin: str = "", manager: int = 0, redirects: bool = False
    ) -> None:
        o, post = self._options, self._posts[turn % self._options.shovelers]
        monitor = post.address if self._relay is None else self._relay.add(name, post.address)
        # XRootD listens everywhere.
        held = sockets.keep_port(o.port and o.port + len(self._plans), f"server {name}", "")
        self._held.append(held)
        self._plans.append(
            servers.ServerPlan(
                name,
                site,
                held.getsockname()[1],
                post.address,
                monitor,
                o.fbuff,
                origin,
                redirects=redirects,
                manager=manager,
                tokens=o.tokens,
                asynchronous=o.cache_async,
            )
        )

    async def _start_bus(self) -> None:
        if self._bus_kind == "given":
            await asyncio.to_thread(names.check_broker, self._options.bus)
            self._bus = self._options.bus
        elif self._bus_kind == "private":
            self._broker = BrokerKeeper(
                PrivateBroker(self._layout.broker, die_with_parent=True), READY_SECONDS, self._save
            )
            try:
                await self._broker.start()
                self._bus = self._broker.broker.url
            except BrokerError as error:
                if str(error) != INSTALL_HINT:
                    raise LabError(f"the private broker did not start: {error}") from None
                self._broker, self._bus_kind, self._bus = None, "local", str(self._layout.bus)
        if self._bus_kind == "local":
            try:
                Path(self._bus).mkdir(mode=0o700, parents=True)
            except OSError as error:
                raise WishError(
                    f"the bus directory {self._bus} cannot be made ({error.strerror}); choose another --bus"
                ) from None
        self._save()
        self._report(Progress(f"bus: {redact(self._bus)} ({self._bus_kind})"))

    async def _start_servers(self, programs: servers.Programs, account: servers.Account, work: Path) -> None:
        try:
            servers.make_work_directory(work, account)
            self._layout.servers_link.symlink_to(work)
            await asyncio.to_thread(catalogue.make_files, self._files, servers.shared_files(work), self._options.seed)
            authority = Authority()
            self._layout.authority.write_bytes(authority.certificate)
            servers.make_certificates(authority, work, account)
            if self._options.tokens:
                servers.make_issuer(self._layout.issuer, work, account)
            for plan in self._plans:
                servers.make_server(plan, work, account)
        except OSError as error:
            raise LabError(f"the servers' files cannot be made: {error}") from None
        if self._relay is not None:
            self._relay.start()
        for plan in self._plans:
            spawn = partial(servers.start, programs, plan, account, work)
            self._servers.append(Child(plan.name, "xrootd", self._layout.log(plan.name), spawn))
            self._start(self._servers[-1])
        for plan in (plan for plan in self._plans if plan.manager):
            name = f"{plan.name}-cmsd"
            spawn = partial(servers.start, programs, plan, account, work, cluster=True)
            self._clusters.append(Child(name, "cmsd", self._layout.log(name), spawn))
            self._start(self._clusters[-1])
        for child, plan in zip(self._servers, self._plans, strict=True):
            await self._answers(child, partial(health.accepts, plan.port))
        self._report(Progress(f"servers: {len(self._servers)} accept connections; {len(self._files)} files each"))

    async def _start_daemons(self) -> None:
        """The collector before the shovelers, because it declares the queue without which a broker returns packets."""
        held = sockets.keep_port(0, "the metrics of the collector")
        self._held.append(held)
        bus = daemons.Bus(self._bus, self._names, self._options.framing)
        address = sockets.address(held)
        recipe = daemons.collector(self._layout, bus, address, self._options.programs)
        spawn = partial(daemons.start, recipe, None)
        self._collectors.append(Child("collector", "collector", self._layout.log("collector"), spawn, address))
        self._start(self._collectors[0])
        await self._answers(self._collectors[0], partial(health.healthy, address))
        for post in self._posts:
            address = sockets.address(post.metrics)
            recipe = daemons.shoveler(post.name, self._layout, bus, address, self._options.programs)
            spawn = partial(daemons.start, recipe, post.udp)
            self._shovelers.append(Child(post.name, "shoveler", self._layout.log(post.name), spawn, address))
            self._start(self._shovelers[-1])
        for child in self._shovelers:
            await self._answers(child, partial(health.healthy, child.metrics))
        self._report(Progress(f"collector and shovelers ({len(self._shovelers)}) are healthy"))

    async def _identifications_arrived(self) -> None:
        """Each server identifies itself when it starts: at least this many datagrams must have come."""
        for post, child in zip(self._posts, self._shovelers, strict=True):
            expected = sum(plan.shoveler == post.address for plan in self._plans)
            await self._answers(child, partial(health.has_received, child.metrics, expected))
        self._report(Progress("monitoring: each server's identification has arrived"))

    async def _redirector_knows_all(self) -> None:
        """Wait until it has sent somebody to each server."""
        plan = next((plan for plan in self._plans if plan.redirects), None)
        if plan is None:
            return
        wanted = {one.port for one in self._plans if one.manager and not one.redirects}
        seen: set[int] = set()

        async def all_seen() -> str:
            seen.update(await health.redirects(plan.port, self._files[0].path))
            return f"it has sent nobody to {len(wanted - seen)} of {len(wanted)} servers" if wanted - seen else ""

        await self._answers(self._servers[self._plans.index(plan)], all_seen)
        self._report(Progress(f"redirector {plan.name}: it knows {len(wanted)} servers"))

    def _start(self, child: Child) -> None:
        try:
            child.start()
        except OSError as error:
            raise LabError(f"{child.name} cannot be started ({error})") from None
        self._save()

    async def _answers(self, child: Child, question: Callable[[], Awaitable[str]]) -> None:
        """Check until the answer is "". Raises LabError if the child ends, or with the answer when time is up."""
        deadline = time.monotonic() + READY_SECONDS
        while wrong := await question():
            if child.ended.is_set():
                raise LabError(
                    f"{child.name} ended with {child.how_it_ended} while it started; it said: {child.last_words}"
                )
            if time.monotonic() > deadline:
                raise LabError(f"{child.name} is not ready after {READY_SECONDS:g} s: {wrong}")
            await asyncio.sleep(_POLL)

    async def _until_stopped(self, work: Coroutine[Any, Any, None]) -> bool:
        """True if the work was done, False if a stop came first; raises what the work raises."""
        async with asyncio.TaskGroup() as group:
            working = group.create_task(_caught(work), name="work")
            stopping = group.create_task(self._stop.wait(), name="stop")
            await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
            working.cancel()
            stopping.cancel()
        if working.cancelled():
            return False
        if error := working.result():
            raise error
        return True

    # -- staying up ------------------------------------------------------------------------------------------------

    async def _keep(self, child: Child) -> None:
        """Restart it whenever it ends, with growing delays after several quick ends in a row."""
        pauses = delays(0.1, 10.0)
        while True:
            await child.ended.wait()
            if child.lived > _STEADY_SECONDS:
                pauses = delays(0.1, 10.0)
            self._save()
            await asyncio.sleep(max(next(pauses), child.held_until - time.monotonic()))
            child.restarts += 1
            try:
                child.start()
            except OSError as error:
                _log.error("! %s cannot be started: %s", child.name, error)
            self._save()

    def _reap(self) -> None:
        for child in (*self._servers, *self._clusters, *self._shovelers, *self._collectors):
            child.reap()

    # -- orders ----------------------------------------------------------------------------------------------------

    async def _listen_for_orders(self) -> None:
        listener = control.listen(self._layout.directory)
        self._orders = await asyncio.start_unix_server(self._on_order, sock=listener, limit=control.LINE_LIMIT)

    async def _on_order(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._order_tasks.add(task)
        try:
            line = await reader.readline()
            writer.write(control.encode(await self._obey(line)) + b"\n")
            await writer.drain()
        except (OSError, ValueError) as error:  # ValueError: a line without end
            _log.warning("! an order was incomplete: %s", error)
        finally:
            writer.close()
            self._order_tasks.discard(task)

    async def _obey(self, line: bytes) -> control.Answer:
        try:
            order = control.decode_order(line)
        except msgspec.DecodeError as error:
            return control.Answer(False, f"that is not an order: {error}")
        _log.info("< %s", order)
        if isinstance(order, control.Stop):
            self._stop_flush = order.flush
            self.stop()
            await self._gone.wait()
            return control.Answer(not self._problems, "; ".join(self._problems) or "the lab is down")
        if isinstance(order, control.Status):
            return control.Answer(True, f"the lab is {self._state}")
        if self._faults is None or self._stop.is_set():
            return control.Answer(False, f"the lab is {self._state}; faults need one that is up")
        answer = await self._faults.inject(order)
        _log.info("= %s", answer.text)
        return answer

    # -- what others see -------------------------------------------------------------------------------------------

    def _save_or_fail(self) -> None:
        try:
            write_state(self._snapshot())
        except OSError as error:
            raise LabError(f"the state file of the lab cannot be written ({error.strerror}): free some space") from None

    def _save(self) -> None:
        """A full disk must not stop the supervisor: the state file is then out of date until there is room."""
        if self._lock is None:
            return
        try:
            write_state(self._snapshot())
        except OSError as error:
            _warn.warning("state", "! the state file is not up to date: %s", error)

    def _snapshot(self) -> LabState:
        processes = [LabProcess("supervisor", "supervisor", os.getpid(), identity=identity(os.getpid()))]
        if self._broker is not None:
            processes.append(self._broker.process())
        processes += [
            child.process() for child in (*self._collectors, *self._shovelers, *self._servers, *self._clusters)
        ]
        pids = {child.name: child.pid for child in self._servers}
        entries = [LabServer(p.name, p.url, p.site, pids.get(p.name, 0), p.shoveler) for p in self._plans]
        return LabState(
            schema=LAB_SCHEMA,
            directory=str(self._layout.directory),
            started=self._started,
            state=self._state,
            bus=self._bus,
            broker=self._bus_kind,
            packets_exchange=self._names.packets_exchange,
            records_exchange=self._names.records_exchange,
            status_exchange=self._names.status_exchange,
            packets_queue=self._names.packets_queue,
            servers=[e for e, p in zip(entries, self._plans, strict=True) if not p.origin and not p.redirects],
            redirector=next((e for e, p in zip(entries, self._plans, strict=True) if p.redirects), None),
            files=self._files,
            processes=processes,
            fstat_seconds=servers.FSTAT_SECONDS,
            flush_seconds=servers.FLUSH_SECONDS,
            prefix=self._names.prefix,
            work_directory="" if self._work is None else str(self._work),
            faults={} if self._faults is None else self._faults.available(),
            caches=[entry for entry, p in zip(entries, self._plans, strict=True) if p.origin],
            active=[] if self._faults is None else self._faults.active(),
            content=f"content:{self._options.seed}",
            ca=str(self._layout.authority),
        )


async def _caught(work: Coroutine[Any, Any, None]) -> Exception | None:
    """What the work raised, as a value, so that a task group does not wrap it."""
    try:
        await work
    except Exception as error:  # noqa: BLE001 - raised again by `_until_stopped`
        return error
    return None


def _first(several: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error of a task group that the user should see: one of ours, if there is any."""
    mine, _ = several.split(LabError)
    error: BaseException = mine or several
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _tell(report: progress.Report) -> None:
    try:
        os.write(sys.stdout.fileno(), progress.encode(report) + b"\n")
    except BrokenPipeError:
        pass  # nobody is left to read it; the state file and the log say the same


async def _supervise(options: LabOptions) -> int:
    supervisor = Supervisor(options, _tell)
    loop = asyncio.get_running_loop()
    stdin = sys.stdin.fileno()

    def on_input() -> None:
        loop.remove_reader(stdin)
        if os.read(stdin, 64).strip() != progress.KEEP:
            supervisor.stop()

    loop.add_reader(stdin, on_input)
    return await supervisor.run()


def main() -> int:
    """The program ``tally-agent lab supervise``, which only `lab up` starts."""
    daemons.reserve_socket_number()
    os.umask(0o077)
    environment = clean_environment()
    os.environ.clear()
    os.environ.update(environment)
    setup_logging()
    # Unbuffered: what follows the first line belongs to `on_input`.
    with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as stdin:
        options = msgspec.json.decode(stdin.readline(), type=LabOptions)
    return asyncio.run(_supervise(options))
