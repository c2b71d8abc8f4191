"""A TCP proxy that can turn into a black hole: the connections stay, and nothing comes through them any more.

That is what a firewall which forgot its table, a pulled cable or a paused virtual machine look like to a program: no
error, no end, only silence. What the sender's kernel took before is delivered when the link heals, as TCP would.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
from typing import Literal

Direction = Literal["up", "down"]
"""``up``: from the program to the broker; ``down``: from the broker to the program."""

_HOLD = 64 << 10  # bytes in hand for each direction: the rest stays with the sender's kernel, as on a wire
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends a reset


class _Pair:
    """One connection through the proxy: both ends, and what is on its way to each."""

    def __init__(self, program: socket.socket, broker: socket.socket) -> None:
        self.ends: dict[Direction, tuple[socket.socket, socket.socket]] = {
            "up": (program, broker),
            "down": (broker, program),
        }
        self.held: dict[Direction, bytearray] = {"up": bytearray(), "down": bytearray()}
        self.over: dict[Direction, bool] = {"up": False, "down": False}
        """The sender of this direction has said that it is done."""

    def close(self, *, reset: bool = False) -> None:
        for end in self.ends["up"]:
            if reset:
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            end.close()


class Proxy(threading.Thread):
    """Forwards 127.0.0.1:`port` to 127.0.0.1:`target`. `hole`, `heal` and `cut` may be called from any thread."""

    def __init__(self, target: int) -> None:
        super().__init__(name=f"proxy to {target}", daemon=True)
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._wake, self._woken = socket.socketpair()
        self._woken.setblocking(False)
        self._lock = threading.Lock()
        self._closed: set[Direction] = set()
        self._cut = self._over = False
        self._pairs: list[_Pair] = []
        self.connections = 0
        """Connections that were ever made through it."""
        self.start()

    # -- for the test

    def hole(self, *directions: Direction) -> None:
        """From now on nothing passes in these directions (both, when none is named)."""
        with self._lock:
            self._closed = set(directions or ("up", "down"))
        self._wake.send(b"!")

    def heal(self, *, cut: bool = False) -> None:
        """Everything passes again. With `cut` the connections of the past are reset first."""
        with self._lock:
            self._closed = set()
            self._cut = self._cut or cut
        self._wake.send(b"!")

    def close(self) -> None:
        """Stop, and reset what is there."""
        self._over = True
        self._wake.send(b"!")
        self.join()
        for pair in self._pairs:
            pair.close(reset=True)
        self._listener.close()
        self._wake.close()
        self._woken.close()

    # -- the thread

    def run(self) -> None:
        while not self._over:
            with self._lock:
                closed, cut, self._cut = set(self._closed), self._cut, False
            if cut:
                for pair in self._pairs:
                    pair.close(reset=True)
                self._pairs.clear()
            self._turn(closed)

    def _turn(self, closed: set[Direction]) -> None:
        readers: dict[socket.socket, tuple[_Pair, Direction]] = {}
        writers: dict[socket.socket, tuple[_Pair, Direction]] = {}
        for pair in self._pairs:
            for direction, (source, sink) in pair.ends.items():
                if direction in closed:
                    continue
                if not pair.over[direction] and len(pair.held[direction]) < _HOLD:
                    readers[source] = (pair, direction)
                if pair.held[direction]:
                    writers[sink] = (pair, direction)
        with selectors.DefaultSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ)
            if not closed:  # in a black hole nobody answers a SYN either; here the kernel's backlog does, and no more
                selector.register(self._listener, selectors.EVENT_READ)
            for end in {*readers, *writers}:
                events = (selectors.EVENT_READ if end in readers else 0) | (
                    selectors.EVENT_WRITE if end in writers else 0
                )
                selector.register(end, events)
            ready = selector.select(1.0)
        for key, events in ready:
            end = key.fileobj  # type: ignore[assignment]
            if end is self._woken:
                self._woken.recv(4096)
            elif end is self._listener:
                self._accept()
            else:
                assert isinstance(end, socket.socket)
                if events & selectors.EVENT_READ and end in readers:
                    self._read(*readers[end])
                if events & selectors.EVENT_WRITE and end in writers:
                    self._write(*writers[end])

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            program, _ = self._listener.accept()
            try:
                broker = socket.create_connection(("127.0.0.1", self._target), timeout=5)
            except OSError:
                program.close()  # the broker is away: so are we
                return
            for end in (program, broker):
                end.setblocking(False)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._pairs.append(_Pair(program, broker))
            self.connections += 1

    def _read(self, pair: _Pair, direction: Direction) -> None:
        source, _ = pair.ends[direction]
        try:
            data = source.recv(_HOLD)
        except BlockingIOError:
            return
        except OSError:
            self._drop(pair, reset=True)
            return
        if data:
            pair.held[direction] += data
        else:
            pair.over[direction] = True
        self._write(pair, direction)

    def _write(self, pair: _Pair, direction: Direction) -> None:
        _, sink = pair.ends[direction]
        held = pair.held[direction]
        try:
            if held:
                del held[: sink.send(held)]
        except BlockingIOError:
            return
        except OSError:
            self._drop(pair, reset=True)
            return
        if pair.over[direction] and not held:
            self._drop(pair, reset=False)  # AMQP has no half-closed connections

    def _drop(self, pair: _Pair, *, reset: bool) -> None:
        pair.close(reset=reset)
        if pair in self._pairs:
            self._pairs.remove(pair)
