"""A real `tally-shoveler` under a supervisor that holds its socket, for tests of the whole daemon.

Used from here and from tests/faults, which put this folder on the path: under this repository's import mode, test
modules cannot import one another.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import psutil

from shoveler.bus import BusError, open_consumer, open_topology, parse_bus_address
from shoveler.envelope import decode
from shoveler.service import with_sockets
from shoveler.spool.errors import SpoolError
from shoveler.spool.reader import SpoolReader
from tests.ports import free_port


def eventually(condition, seconds=20.0, what="it"):
    """Wait for a condition; its value."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"{what} did not come to pass within {seconds} s"
        time.sleep(0.02)


def binary(number, size=100):
    """A datagram that passes the header check and carries a number."""
    return b"f\x00" + size.to_bytes(2, "big") + number.to_bytes(4, "big") + b"x" * (size - 8)


def number_of(datagram):
    return int.from_bytes(datagram[4:8], "big")


class Supervisor:
    """Holds the socket and starts the daemon on it, as systemd or the lab would."""

    def __init__(self, directory, bus, *options, held=True, env=None):
        self.spool = directory / "spool"
        self.log = directory / "log"
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)
        self.socket.bind(("127.0.0.1", 0))
        self.target = self.socket.getsockname()
        self.held = held
        if not held:
            self.socket.close()
        self.metrics_port = free_port()
        listen = [] if held else ["--listen", f"127.0.0.1:{self.target[1]}"]
        self.command = [
            sys.executable, "-m", "shoveler.cli", *listen, "--bus", bus, "--spool", str(self.spool),
            "--metrics", f"127.0.0.1:{self.metrics_port}", *options,
        ]  # fmt: skip
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("TALLY_")} | (env or {})
        self.process = None

    def start(self):
        command, fds = with_sockets(self.command, [self.socket] if self.held else [])
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, pass_fds=fds, stderr=log, stdout=log, env=self.env)
        return self

    def ready(self):
        def answers():
            assert self.process.poll() is None, self.log.read_text()
            with contextlib.suppress(OSError):
                return self.health()
            return None

        eventually(answers, 30, "the shoveler's health page")
        return self

    def receiver(self):
        """The receiver process, or None while there is none."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.process.pid).children():
                with contextlib.suppress(psutil.NoSuchProcess):
                    if "shoveler.receiver" in " ".join(child.cmdline()):
                        return child
        return None

    def health(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/healthz", timeout=5) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return json.loads(error.read())

    def metric(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((name + " ", name + "{")))

    def kill(self):
        """kill -9 of the main process; what the receiver does then is its own business."""
        receiver = self.receiver()
        self.process.kill()
        self.process.wait()
        if receiver is not None:
            with contextlib.suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
                receiver.wait(10)

    def stop(self):
        """SIGTERM; (exit code, seconds it took)."""
        start = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(200), time.monotonic() - start

    def audit(self):
        reader = SpoolReader(self.spool)
        try:
            return reader.audit()
        finally:
            reader.close()

    def in_spool(self):
        """The numbers of the datagrams that lie in the spool."""
        reader = SpoolReader(self.spool)
        try:
            return [number_of(d) for block in reader.blocks(0, 1 << 40) for d in block.datagrams]
        finally:
            reader.close()

    def totals(self):
        try:
            reader = SpoolReader(self.spool)
        except SpoolError:
            return None
        try:
            return reader.totals()[0]
        finally:
            reader.close()

    def said(self):
        return self.log.read_text()

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.kill()
        if self.held:
            self.socket.close()


class Traffic(threading.Thread):
    """Sends numbered datagrams at a steady rate until told to stop."""

    def __init__(self, target, rate=500, size=200):
        super().__init__(daemon=True)
        self.sent = 0
        self._target, self._rate, self._size = target, rate, size
        self._over = threading.Event()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))

    def run(self):
        start = time.monotonic()
        while not self._over.wait(0.005):
            while self.sent < (time.monotonic() - start) * self._rate:
                self._socket.sendto(binary(self.sent, self._size), self._target)
                self.sent += 1

    def stop(self):
        self._over.set()
        self.join()
        self._socket.close()
        return self.sent


class Queue:
    """A queue of a test's own on a broker, and the envelopes in it."""

    def __init__(self, url, name, bind=True):
        self.name = name
        self.url = url
        self.publish = url if "://" not in url else f"{url}?exchange={name}"
        topology = open_topology(parse_bus_address(url))
        topology.declare_exchange(name)
        if bind:
            topology.declare_queue(name, exchange=name)
        topology.close()

    def bind(self):
        topology = open_topology(parse_bus_address(self.url))
        topology.declare_queue(self.name, exchange=self.name)
        topology.close()

    def take(self, number, seconds=30.0):
        """At least so many envelopes, in the order the queue has them."""
        found = []
        deadline = time.monotonic() + seconds
        while len(found) < number and time.monotonic() < deadline:
            with contextlib.suppress(BusError):
                self._take(found, number, lambda: time.monotonic() < deadline)
        return found

    def rest(self):
        """What is left in the queue, until it has been silent for a moment."""
        found = []
        silent = [0]

        def more():
            silent[0] = 0 if len(found) > silent[-1] else silent[0] + 1
            silent[1:] = [len(found)]
            return silent[0] < 4

        self._take(found, 1 << 30, more)
        return found

    def _take(self, found, number, more):
        consumer = open_consumer(parse_bus_address(self.url), exchange=self.name, queue=self.name, reader="test")
        try:
            while len(found) < number and more():
                messages = consumer.take(500, 0.2)
                for message in messages:
                    found += decode(message.body, message.content_type, message.id)
                if messages:
                    consumer.acknowledge(messages[-1].delivery)
        finally:
            consumer.close()

    def delete(self):
        with contextlib.suppress(BusError):
            topology = open_topology(parse_bus_address(self.url))
            topology.delete_queue(self.name, exchange=self.name)
            topology.delete_exchange(self.name)
            topology.close()


class Proxy(threading.Thread):
    """A TCP proxy in front of a broker that can stop forwarding without closing anything, as a firewall would."""

    def __init__(self, url):
        super().__init__(daemon=True)
        address = parse_bus_address(url)
        self._broker = (address.host, address.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self.url = url.replace(f":{address.port}/", f":{self._listener.getsockname()[1]}/")
        self._open = threading.Event()
        self._open.set()
        self._over = False
        self._pairs = []
        self._lock = threading.Lock()
        self.start()

    def freeze(self):
        """Forward nothing more, in either direction, on present and later connections."""
        self._open.clear()

    def heal(self):
        """Cut what was frozen; later connections work."""
        with self._lock:
            for one, other in self._pairs:
                for sock in (one, other):
                    with contextlib.suppress(OSError):
                        sock.shutdown(socket.SHUT_RDWR)
            self._pairs.clear()
        self._open.set()

    def run(self):
        while not self._over:
            with contextlib.suppress(TimeoutError):
                one, _ = self._listener.accept()
                other = socket.create_connection(self._broker)
                with self._lock:
                    self._pairs.append((one, other))
                for source, target in ((one, other), (other, one)):
                    threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    def _pump(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._open.wait()
                target.sendall(data)
        for sock in (source, target):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        source.close()

    def close(self):
        self._over = True
        self.heal()
        self.join()
        self._listener.close()
