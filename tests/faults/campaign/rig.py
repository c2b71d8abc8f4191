"""The pipeline as a site runs it: shoveler, broker and collector as processes, traffic of known truth, and readers.

`Pipeline` starts them, lets a fault do its worst, brings everything to rest and closes the books. It restarts what a
fault kills, as systemd would, and holds the shoveler's socket meanwhile. What dies unasked is a fault of its own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import psutil
from campaign import books
from campaign.fleet import Load
from campaign.proxy import Proxy

from agent.lab.broker import PrivateBroker
from shoveler.bus import (
    BusAddress,
    BusError,
    BusOptions,
    Incoming,
    declare_shards,
    open_consumer,
    open_topology,
    parse_bus_address,
)
from shoveler.envelope import decode
from shoveler.listeners import fill_of
from shoveler.service import with_sockets
from shoveler.spool.errors import SpoolError
from shoveler.spool.reader import SpoolReader
from tests.promises import within

_RCVBUF = 128 << 20
_SO_RCVBUFFORCE = 33
_POLL = 0.05
_STOP_WITHIN = 10.0  # as the design promises
_KEEP_PREFETCH = BusOptions(prefetch=2000)


class Broker:
    """A private node whose life is in the hands of one thread, so that it can start while other things happen.

    (The kernel ends the node with the thread that started it: it must be one that lives as long as the campaign.)
    """

    def __init__(self, directory: Path) -> None:
        self.node = PrivateBroker(directory, die_with_parent=True)
        self._thread = ThreadPoolExecutor(1, "broker")
        self._busy: Future[None] = self._thread.submit(self.node.start)
        self._busy.result()

    @property
    def up(self) -> bool:
        """Whether it runs and nobody is busy with it. Raises what went wrong, if something did."""
        if not self._busy.done():
            return False
        self._busy.result()
        return self.node.running

    def kill(self) -> None:
        """kill -9, now."""
        self._thread.submit(self.node.kill).result()

    def stop(self) -> None:
        """In an orderly way; returns when it is gone."""
        self._thread.submit(self.node.stop).result()

    def start(self) -> None:
        """Begin to start it; see `up`."""
        self._busy = self._thread.submit(self.node.start)

    def close(self) -> None:
        """kill -9, for good."""
        self._thread.submit(self.node.kill).result()
        self._thread.shutdown()


class Daemon:
    """One of our programs, under our supervision."""

    def __init__(
        self, name: str, command: Sequence[str], log: Path, sockets: Sequence[socket.socket] = (), **env: str
    ) -> None:
        self.name = name
        self.log = log
        self._command = [sys.executable, "-m", *command]
        self._sockets = list(sockets)
        self._env = {k: v for k, v in os.environ.items() if not k.startswith("TALLY_")} | env
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command, fds = with_sockets(self._command, self._sockets)
        setpriv = shutil.which("setpriv")
        if setpriv:  # should the campaign itself be killed, nothing of it stays behind
            command = [setpriv, "--pdeathsig", "KILL", *command]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, pass_fds=fds, env=self._env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def children(self) -> list[psutil.Process]:
        """Its helper processes: the shoveler's receiver, a collector's workers."""
        if self.process is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                return list(psutil.Process(self.process.pid).children())
        return []

    def kill(self) -> None:
        """kill -9 of the main process."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> tuple[int, float]:
        """SIGTERM: (exit code, seconds it took)."""
        assert self.process is not None
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(200), time.monotonic() - begun
        except subprocess.TimeoutExpired:
            self.kill()
            return -9, time.monotonic() - begun

    def end(self) -> None:
        """Gone, with its children, whatever state it is in."""
        children = self.children()
        if self.alive:
            self.kill()
        _, left = psutil.wait_procs(children, 10)
        for child in left:
            child.kill()

    def said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""


class Reader(threading.Thread):
    """Reads one queue for as long as it lives, over any number of reconnects; `handle` gets each message."""

    def __init__(self, address: BusAddress, exchange: str, queue: str, handle: Callable[[Incoming], None]) -> None:
        super().__init__(name=queue, daemon=True)
        self._address, self._exchange, self._queue, self._take = address, exchange, queue, handle
        self._over = threading.Event()
        self.last = time.monotonic()
        """When the last message came."""
        self.failure: Exception | None = None

    def run(self) -> None:
        while not self._over.is_set():
            try:
                self._read()
            except BusError:
                self._over.wait(0.2)
            except Exception as error:  # shown by the pipeline: nothing else looks at this thread
                self.failure = error
                return

    def _read(self) -> None:
        consumer = open_consumer(
            self._address, exchange=self._exchange, queue=self._queue, reader="campaign", options=_KEEP_PREFETCH
        )
        try:
            while not self._over.is_set():
                messages = consumer.take(1000, 0.2)
                for message in messages:
                    self._take(message)
                if messages:
                    self.last = time.monotonic()
                    consumer.acknowledge(messages[-1].delivery)
        finally:
            consumer.close()

    def finish(self) -> None:
        self._over.set()
        self.join()


class Pipeline:
    """Everything between a server and a consumer of records, for one fault. Close it with `finish` or `end`."""

    def __init__(
        self,
        directory: Path,
        broker: Broker,
        name: str,
        *,
        seed: int,
        rate: float = 2100.0,
        framing: str = "single",
        records_framing: str = "batch",
        shards: int = 0,
        workers: int = 1,
        proxied: bool = False,
        heartbeat: str = "",
        token: bool = False,
        tap: bool = True,
        grace: float = 20.0,
        path_padding: int = 0,
        spool: Path | None = None,
        state: Path | None = None,
        reserve: str = "64MiB",
        keep: bool = True,
    ) -> None:
        """`directory`: ours alone. `name`: of exchanges and queues. `shards` 0: one queue. `grace`: seconds that the
        collector waits for what may be late. `heartbeat`: instead of the default (5 s when `proxied`, the least there
        is). `token`: user and token file of their own. `keep` False: only counts."""
        self.directory, self.broker, self.name = directory, broker, name
        self.packets, self.records, self.status = f"{name}-packets", f"{name}-records", f"{name}-status"
        self.queue, self.out, self._tap_queue = f"{name}-packets-q", f"{name}-records-q", f"{name}-tap-q"
        self.prefix, self.shards, self.grace = f"{name}.shard.", shards, grace
        self.address = parse_bus_address(broker.node.url)
        self.spool = spool or directory / "spool"
        self.state = state or directory / "state"
        self.proxies = {who: Proxy(broker.node.port) for who in ("shoveler", "collector")} if proxied else {}
        self.token_file = directory / "token" if token else None
        self.user = f"{name}-user" if token else broker.node.user
        self.events: list[books.Event] = []
        self.trouble: list[str] = []
        self.sink = Sink(keep=keep)
        self.tapped: dict[int, int] | None = {} if tap else None
        self._tap_conflicts = 0
        self.socket = _held_socket()
        self._framing, self._reserve = framing, reserve
        self._heartbeat = heartbeat or ("5s" if proxied else "")
        self.shoveler = self._make_shoveler()
        self.collector = self._make_collector(records_framing, workers)
        self.load = Load(self.socket.getsockname(), rate=rate, seed=seed, path_padding=path_padding, keep=keep)
        self._readers: list[Reader] = []
        self._seq_checked: set[str] = set()

    # -- composing

    def _url(self, who: str) -> str:
        port = self.proxies[who].port if self.proxies else self.broker.node.port
        password = "see-the-token" if self.token_file else self.broker.node.password
        return f"amqp://{self.user}:{password}@127.0.0.1:{port}/"

    def _make_shoveler(self) -> Daemon:
        command = [
            "shoveler.cli", "--bus", f"{self._url('shoveler')}?exchange={self.packets}", "--spool", str(self.spool),
            "--framing", self._framing, "--status-exchange", self.status, "--spool-reserve", self._reserve,
        ]  # fmt: skip
        if self.token_file:
            command += ["--bus-token-file", str(self.token_file)]
        if self._heartbeat:
            command += ["--bus-heartbeat", self._heartbeat]
        return Daemon("shoveler", command, self.directory / "shoveler.log", [self.socket])

    def _make_collector(self, framing: str, workers: int) -> Daemon:
        url = self._url("collector")
        env = {
            "FROM": url if self.shards else f"{url}?queue={self.queue}",
            "TO": url,
            "STATE_DIR": str(self.state),
            "STATE_GRACE": f"{self.grace:g}s",
            "FRAMING": framing,
            "EXCHANGES_PACKETS": self.packets,
            "EXCHANGES_RECORDS": self.records,
            "EXCHANGES_STATUS": self.status,
            "SHARDS_PREFIX": self.prefix,
            "SHARDS_COUNT": str(self.shards or 8),
            "WORKERS": str(workers),
        }
        if self.token_file:
            env["BUS_TOKEN_FILE"] = str(self.token_file)
        if self._heartbeat:
            env["BUS_HEARTBEAT"] = self._heartbeat
        env = {f"TALLY_COLLECTOR_{name}": value for name, value in env.items()}
        return Daemon("collector", ["collector.cli"], self.directory / "collector.log", **env)  # type: ignore[arg-type]

    def declare(self) -> None:
        """Exchanges and queues, before the first datagram."""
        topology = open_topology(self.address)
        for exchange in (self.packets, self.records, self.status):
            topology.declare_exchange(exchange)
        if self.shards:
            declare_shards(self.address, exchange=self.packets, prefix=self.prefix, count=self.shards)
        else:
            topology.declare_queue(self.queue, exchange=self.packets)
        if self.tapped is not None:
            topology.declare_queue(self._tap_queue, exchange=self.packets)
        topology.declare_queue(self.out, exchange=self.records)
        topology.close()

    @property
    def queues(self) -> list[str]:
        """What the collector consumes."""
        return [f"{self.prefix}{number}" for number in range(self.shards)] if self.shards else [self.queue]

    # -- life

    def start(self) -> Pipeline:
        """Everything runs, and records come out of it."""
        self.declare()
        self._readers = [Reader(self.address, self.records, self.out, self.sink.take)]
        if self.tapped is not None:
            self._readers.append(Reader(self.address, self.packets, self._tap_queue, self._tap))
        for reader in self._readers:
            reader.start()
        self.collector.start()
        self.shoveler.start()
        self.load.start()
        self.wait(lambda: len(self.sink) > 100, 150, "the first records")
        return self

    def _tap(self, message: Incoming) -> None:
        assert self.tapped is not None
        for envelope in decode(message.body, message.content_type, message.id):
            assert envelope.id is not None
            seq = int(envelope.id.rpartition(":")[2])
            number = self.load.number_of.get(hash(envelope.data), -1)
            if self.tapped.setdefault(seq, number) != number:
                self._tap_conflicts += 1

    def run(self, seconds: float) -> None:
        """Let it work for a while; what dies meanwhile is started again, and written down."""
        deadline = time.monotonic() + seconds
        while True:
            self.look_after()
            left = deadline - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, _POLL))

    def wait(self, condition: Callable[[], Any], seconds: float, what: str) -> bool:
        """Until it is true. When it does not become so in time, that is written down as trouble."""
        deadline = time.monotonic() + seconds
        while not condition():
            self.look_after()
            if time.monotonic() > deadline:
                self.trouble.append(f"{what}: not within {seconds:g} s")
                return False
            time.sleep(_POLL)
        return True

    def look_after(self) -> None:
        """As systemd would: start again what has died; unlike systemd, complain."""
        for daemon in (self.shoveler, self.collector):
            if daemon.process is not None and not daemon.alive:
                self.trouble.append(f"{daemon.name} ended by itself with code {daemon.process.returncode}")
                daemon.start()
        for reader in self._readers:
            if reader.failure is not None:
                raise reader.failure

    def happened(self, what: str, **more: Any) -> None:
        """Write down what was done."""
        self.events.append(books.Event(time.time(), what, **more))

    def lasted(self) -> None:
        """What happened last is over now."""
        self.events[-1] = self.events[-1]._replace(until=time.time())

    # -- looking at it

    def totals(self) -> books.Spool | None:
        """What the spool says; None while there is none."""
        try:
            reader = SpoolReader(self.spool)
        except SpoolError:
            return None
        try:
            counted, audit = reader.totals()[0], reader.audit()
        finally:
            reader.close()
        return books.Spool(audit.received, audit.confirmed, audit.spooled, counted.rejected, counted.kernel_drops)

    def consumed(self) -> list[tuple[int, int]]:
        """The collector's seen-set as it lies on disk: runs of SEQs, first and last, that do not overlap. Each is of a
        generation of our spool, and of what that one took."""
        runs: list[tuple[str, int, int]] = []
        for path in self.state.glob("*.db"):
            with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
                runs += db.execute("SELECT spool, lo, hi FROM seen").fetchall()
        with contextlib.closing(SpoolReader(self.spool)) as reader:
            generations = reader.positions()
        for word, low, high in runs:
            taken = generations.get(word)
            assert taken is not None, f"the collector knows {word}, but the spool only {sorted(generations)}"
            assert taken.first <= low <= high <= taken.received_upto, (word, low, high, taken)
        return [(low, high) for _, low, high in runs]

    # -- the end

    def finish(self, seconds: float = 150.0) -> books.Books:
        """Bring everything to rest, stop it in an orderly way, and close the books."""
        self.settle(seconds)
        self.stop()
        spool = self.totals()
        assert spool is not None
        evidence = books.Evidence(
            times=self.load.times,
            truth=self.load.truth,
            spool=spool,
            tapped=self.tapped,
            tap_conflicts=self._tap_conflicts,
            consumed={seq for low, high in self.consumed() for seq in range(low, high + 1)},
            records=self.sink.records,
            differing=self.sink.differing,
            repeats=self.sink.repeats,
            events=self.events,
            trouble=self.trouble,
        )
        closed = books.close(evidence)
        self.end()
        return closed

    def settle(self, seconds: float) -> None:
        """No more load; everything that was sent goes all the way."""
        self.wait(lambda: self.broker.up, 150, "a running broker")
        self.load.finish()
        self.wait(self._quiet_intake, seconds, "the shoveler reading what the kernel has")
        self.wait(lambda: self._spool_is_empty(), seconds, "an empty spool")
        if self.tapped is None:
            # What the deleted queue took nobody knows here, so neither which records are still to come.
            self.wait(self._queue_is_empty, seconds, "a collector that has acknowledged everything")
            self.wait(lambda: self._silent(within(self.grace + 3)), seconds, "silence in the records")
            return
        totals = self.totals()
        assert totals is not None
        self.wait(lambda: len(self.tapped or ()) >= totals.received, seconds, "all envelopes in the tap")
        delivered = set(self.tapped.values())
        due = {access.key for access in self.load.truth if access.closed in delivered}
        self.wait(lambda: due <= self.sink.final_keys, seconds, "all records that are due")
        self.wait(lambda: self._silent(1.0), seconds, "silence in the records")

    def stop(self) -> None:
        """SIGTERM, and what they say to it."""
        for daemon in (self.shoveler, self.collector):
            code, took = daemon.stop()
            if code:
                self.trouble.append(f"{daemon.name} stopped with code {code}")
            if took > within(_STOP_WITHIN):
                self.trouble.append(f"{daemon.name} took {took:.1f} s to stop")
            daemon.process = None
            if "Traceback" in daemon.said():
                self.trouble.append(f"{daemon.name} wrote a traceback")
        self.wait(lambda: self._silent(1.0), 150, "the last records")

    def end(self) -> None:
        """Whatever state it is in: gone, and nothing of it left on the broker."""
        for daemon in (self.shoveler, self.collector):
            daemon.end()
            daemon.process = None
        for reader in self._readers:
            reader.finish()
        self._readers = []
        if self.load.is_alive():
            self.load.finish()
        self.socket.close()
        for proxy in self.proxies.values():
            proxy.close()
        self.proxies = {}
        if self.broker.up:
            self._delete()

    def _delete(self) -> None:
        topology = open_topology(self.address)
        for queue in (*self.queues, self.out, self._tap_queue):
            with contextlib.suppress(BusError):
                topology.delete_queue(queue, exchange=self.packets)
        for exchange in (self.packets, self.records, self.status, f"{self.prefix}s", f"{self.prefix}s.rest"):
            with contextlib.suppress(BusError):
                topology.delete_exchange(exchange)
        topology.close()

    def _quiet_intake(self) -> bool:
        totals = self.totals()
        if totals is None or fill_of(self.socket).used:
            return False
        time.sleep(0.5)  # longer than the receiver's nap: what it read last is committed
        again = self.totals()
        return again is not None and again.received == totals.received and not fill_of(self.socket).used

    def _spool_is_empty(self) -> bool:
        totals = self.totals()
        return totals is not None and totals.spooled == 0

    def _queue_is_empty(self) -> bool:
        topology = open_topology(self.address)
        try:
            return not sum(topology.depth(queue, exchange=self.packets) for queue in self.queues)
        finally:
            topology.close()

    def _silent(self, seconds: float) -> bool:
        return time.monotonic() - self._readers[0].last > seconds


class Sink:
    """The consumer of the records, keyed on record_id."""

    def __init__(self, *, keep: bool = True) -> None:
        self._keep = keep
        self._decode = msgspec.json.Decoder(books.Record).decode
        self._texts: dict[str, int] = {}
        self.records: dict[str, books.Record] = {}
        self.final_keys: set[tuple[str, int, int]] = set()
        self.repeats = self.differing = self.deliveries = 0
        self.read = 0
        """Bytes of all final records (only without `keep`)."""
        self.flags: dict[str, bytearray] = {}
        """Without `keep`: for each server one byte for each file id, the number of its final records."""

    def __len__(self) -> int:
        return len(self.records) if self._keep else self.deliveries

    def take(self, message: Incoming) -> None:
        for line in message.body.split(b"\n"):
            self.deliveries += 1
            record = self._decode(line)
            if self._keep:
                self._note(record, hash(line))
            else:
                self._count(record)

    def _note(self, record: books.Record, text: int) -> None:
        known = self._texts.setdefault(record.record_id, text)
        if record.record_id in self.records:
            self.repeats += known == text
            self.differing += known != text
            return
        self.records[record.record_id] = record
        if record.final:
            self.final_keys.add(record.key)

    def _count(self, record: books.Record) -> None:
        if not record.final:
            return
        flags = self.flags.setdefault(record.server_id, bytearray())
        if record.file_id >= len(flags):
            flags.extend(bytes(record.file_id + 100_000 - len(flags)))
        if flags[record.file_id]:
            self.repeats += 1
        else:
            flags[record.file_id] = 1
            self.read += record.read or 0


def _held_socket() -> socket.socket:
    """The socket that outlives the shoveler, as systemd or the lab would hold it."""
    held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        held.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RCVBUF)
    except PermissionError:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RCVBUF)
    held.bind(("127.0.0.1", 0))
    return held
