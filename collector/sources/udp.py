"""Datagrams from a UDP socket, received by a separate process so that a burst is not lost while we compute.

A thread is not enough: every receive call releases the interpreter lock, and a busy cycle returns it only every 5 ms,
so 200 datagrams a second instead of tens of thousands. The *receiver* process only reads the socket and passes
datagrams on over a socket pair, at most `_BACKLOG` bytes of them waiting.

UDP cannot be acknowledged: what was received but not committed when this machine or process dies is lost, and what the
kernel or the backlog drops is lost too, but counted. If that matters, put a shoveler in front.

The socket belongs to the parent. When the receiver dies it is restarted on the same socket, and what waits in the
kernel is not lost.
"""

from __future__ import annotations

import logging
import multiprocessing
import select
import signal
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator

import msgspec

from collector.sources import NOTHING, Datagram, SourceError, Taken
from shoveler.service import Address, delays
from shoveler.values.addresses import host_port, plain_ip

_log = logging.getLogger(__name__)

_DATAGRAM = 65_536
_PER_MESSAGE = 256
_FLUSH = 0.01
"""Seconds that a datagram may wait in the receiver for others."""
_BACKLOG = 128 * 2**20
_PER_TAKE = 64
_MANY = 4096
_SO_MEMINFO = 55
_MEMINFO = struct.Struct("=9I")
_DROPS = 8
"""SK_MEMINFO_DROPS: kernel drops at this socket: the count of SO_RXQ_OVFL, without waiting for a datagram."""
_LENGTH = struct.Struct("=I")


class Batch(msgspec.Struct, array_like=True, gc=False):
    """What the receiver passes on. `lost` counts what it had to drop itself, `dropped` the kernel drops."""

    datagrams: list[tuple[float, str, bytes]]
    lost: int
    dropped: int


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Batch)


def format_remote(address: tuple[object, ...]) -> str:
    """``IP:PORT`` of a socket address, IPv6 in brackets, an IPv4 address seen through an IPv6 socket as IPv4."""
    return host_port(plain_ip(str(address[0])), str(address[1]))


def bind(address: Address, receive_buffer: int) -> socket.socket:
    """A bound UDP socket with a receive buffer of this size, or as large as the kernel allows (logged)."""
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)
        family, _, _, _, where = found[0]
        udp = socket.socket(family, socket.SOCK_DGRAM)
    except OSError as error:
        raise SourceError(f"cannot listen on udp://{address}: {error.strerror}") from error
    try:
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            udp.setsockopt(socket.SOL_SOCKET, 33, receive_buffer)  # SO_RCVBUFFORCE, if permitted
        except OSError:
            pass
        granted = udp.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2  # the kernel reports twice the usable size
        if granted < receive_buffer:
            _log.warning(
                "the kernel gives udp://%s a receive buffer of %d bytes instead of %d; raise net.core.rmem_max "
                    "so that bursts are not lost",
                address, granted, receive_buffer,
            )  # fmt: skip
        udp.bind(where)
    except OSError as error:
        udp.close()
        raise SourceError(f"cannot listen on udp://{address}: {error.strerror}") from error
    udp.setblocking(False)
    return udp


def receive(udp: socket.socket, pipe: socket.socket) -> None:
    """The receiver process: read `udp`, write length-prefixed `Batch`es to `pipe`, end when its other end is closed."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the parent drains, and closing its end of the pipe ends us
    udp.setblocking(False)
    pipe.setblocking(False)
    poll = select.poll()
    poll.register(udp, select.POLLIN)
    poll.register(pipe, select.POLLHUP | select.POLLERR)
    backlog: deque[memoryview] = deque()
    waiting = lost = reported = 0
    held: list[tuple[float, str, bytes]] = []
    due = 0.0
    dropped = 0
    while True:
        busy = held or backlog
        for fd, event in poll.poll(_FLUSH * 1000 if busy else 250):
            if fd == pipe.fileno() and event & (select.POLLHUP | select.POLLERR):
                return
        now = time.time()
        if not held:
            due = now + _FLUSH
        while len(held) < _PER_MESSAGE:
            try:
                data, address = udp.recvfrom(_DATAGRAM)
            except BlockingIOError:
                break
            except OSError as error:
                _log.warning("receiving: %s", error.strerror)
                break
            held.append((now, format_remote(address), data))
        drops = _MEMINFO.unpack(udp.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size))[_DROPS]
        if (held and (len(held) >= _PER_MESSAGE or now >= due)) or drops != dropped or lost != reported:
            dropped = drops
            if waiting > _BACKLOG:
                lost += len(held)
            else:
                body = _encoder.encode(Batch(held, lost, dropped))
                reported = lost
                backlog.append(memoryview(_LENGTH.pack(len(body)) + body))
                waiting += len(body)
            held = []
        try:
            while backlog:
                sent = pipe.send(backlog[0])
                waiting -= sent
                if sent < len(backlog[0]):
                    backlog[0] = backlog[0][sent:]
                    break
                backlog.popleft()
        except BlockingIOError:
            pass
        except OSError:
            return  # the parent is gone


class UdpSource:
    """A `Source` on a UDP socket. Raises SourceError when the address cannot be used."""

    captured = False
    live = True
    ended = False

    def __init__(
        self,
        address: Address,
        *,
        receive_buffer: int = 32 * 2**20,
        sockets: list[socket.socket] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`sockets`: one passed by whoever started us is used instead of binding a new one."""
        if sockets and len(sockets) > 1:
            raise SourceError(f"expected one socket from the service manager, got {len(sockets)}")
        self._udp = sockets[0] if sockets else bind(address, receive_buffer)
        self._udp.setblocking(False)
        self._name = f"udp://{format_remote(self._udp.getsockname())}"
        self._monotonic = monotonic
        self._pipe: socket.socket | None = None
        self._process: multiprocessing.process.BaseProcess | None = None
        self._buffer = bytearray()
        self._lost = 0
        self._lost_before = 0
        self._kernel = 0
        self._next_try = 0.0
        self._delays: Iterator[float] = delays()
        self.trouble = ""
        self._start()

    @property
    def port(self) -> int:
        """The actual port, if 0 was requested."""
        return int(self._udp.getsockname()[1])

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * 2**20)
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=receive, args=(self._udp, theirs), name="udp-receiver", daemon=True)
        process.start()
        theirs.close()
        ours.setblocking(False)
        self._pipe, self._process = ours, process
        self._buffer.clear()

    def take(self, timeout: float) -> Taken:
        """Datagrams passed on by the receiver."""
        if self._pipe is None and not self._restarted(timeout):
            return NOTHING
        datagrams: list[Datagram] = []
        deadline = self._monotonic() + timeout
        while not datagrams:
            if not self._fill(max(0.0, deadline - self._monotonic())):
                break
            self._unpack(datagrams)
        return Taken(datagrams, more=len(datagrams) > _MANY) if datagrams else NOTHING

    def _fill(self, timeout: float) -> bool:
        """Read what has arrived, a few megabytes at most. False if there is nothing."""
        pipe = self._pipe
        if pipe is None or not select.select([pipe], [], [], timeout)[0]:
            return False
        for _ in range(_PER_TAKE):
            try:
                piece = pipe.recv(1 << 18)
            except BlockingIOError:
                break
            except OSError:
                piece = b""
            if not piece:
                self._died()
                return False
            self._buffer += piece
        return True

    def _unpack(self, datagrams: list[Datagram]) -> None:
        buffer, at = self._buffer, 0
        with memoryview(buffer) as view:
            while len(buffer) - at >= _LENGTH.size:
                (length,) = _LENGTH.unpack_from(buffer, at)
                if len(buffer) - at - _LENGTH.size < length:
                    break
                batch = _decoder.decode(view[at + _LENGTH.size : at + _LENGTH.size + length])
                at += _LENGTH.size + length
                datagrams.extend(Datagram(data, remote, t) for t, remote, data in batch.datagrams)
                self._lost, self._kernel = self._lost_before + batch.lost, batch.dropped
        del buffer[:at]

    def _died(self) -> None:
        wait = next(self._delays)
        self.trouble = f"{self._name}: the receiver process ended; restarting it"
        _log.error("%s", self.trouble)
        self._lost_before = self._lost
        self._end_process()
        self._next_try = self._monotonic() + wait

    def _restarted(self, timeout: float) -> bool:
        wait = self._next_try - self._monotonic()
        if wait > 0:
            time.sleep(min(wait, timeout))
            return False
        self._start()
        self.trouble = ""
        return True

    def keep_alive(self) -> None:
        """The receiver continues by itself, up to its backlog."""

    def acknowledge(self, token: int) -> None:
        """UDP has no acknowledgements."""

    def drops(self) -> int:
        """Datagrams dropped by the kernel and by the receiver's backlog."""
        return self._kernel + self._lost

    def _end_process(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
        if self._process is not None:
            self._process.join(2.0)
            if self._process.is_alive():
                self._process.kill()
                self._process.join()
            self._process.close()
            self._process = None

    def close(self) -> None:
        """End the receiver and close the socket."""
        self._end_process()
        self._udp.close()
