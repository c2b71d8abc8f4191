"""The receiver: a process of its own that reads the sockets, writes the spool, and does nothing else.

Nothing may delay it: the main process handles the broker, the metrics and the base64. Its loop is: wait for a datagram,
nap a little while more arrive, read all that wait in the kernel, commit each 256 of them (or fewer, when there are no
more) as one block. Unread datagrams are safe in the kernel's buffer; read ones are in the spool milliseconds later.

It alone removes confirmed datagrams from the spool. It does so in the transaction of the next block, or within
`_BOOKS_WAIT` when none comes.

When the disk is full, it keeps up to `HELD_MAX` bytes in memory and continues to remove; beyond that it rejects
datagrams and counts them.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from shoveler.control import (
    Committed,
    Confirm,
    Failed,
    Finished,
    FromReceiver,
    Opened,
    Options,
    Returned,
    State,
    Stop,
    heard_by_receiver,
    say,
)
from shoveler.envelope import encode_single
from shoveler.intake import Intake, SocketAddress
from shoveler.listeners import (
    boot_id,
    enlarge,
    fill_of,
    identity_of,
    name_of,
    reassembly_failures,
    reassembly_wait,
)
from shoveler.replay import Replay, ReplayError, identity
from shoveler.service import Drop, RateLimited, setup_logging
from shoveler.service.programs import part_command
from shoveler.spool.checkpointer import Synchronous
from shoveler.spool.errors import SpoolError, SpoolFullError
from shoveler.spool.values import Books, Draft
from shoveler.spool.writer import Spool

_log = logging.getLogger("shoveler.receiver")

RECEIVE = "receive"
"""The internal command of ``tally-shoveler``: the process becomes the receiver."""

BLOCK_DATAGRAMS = 256
_BLOCK_BYTES = 2**20
_READ = 64  # datagrams between two looks at the block's size
_LARGEST = 65536

HELD_MAX = 48 * 2**20
"""Bytes of datagrams kept in memory while the disk is full; with Python's own share it stays below 64 MiB."""

_NAP = 0.040  # each wake-up, commit and message to the bus has a cost: 25 per second cost a third of 100
_AGE = 0.008
"""Seconds that a datagram may stay in memory before it is committed. If the kernel's buffer is large enough for long
naps, it stays in the kernel instead; with a small buffer it is read at once and waits here for others."""
_FULL_SPEED = 400 * 2**20
"""Bytes of kernel memory that datagrams may fill per second: at this rate a nap never overflows the buffer."""
_CALM = 128  # fewer datagrams than this at once: worth a nap before the next read
_MAX_DRAIN = 16 * BLOCK_DATAGRAMS  # then it is the turn of the other sockets and the main process
_BOOKS_WAIT = 0.1
_REPLAY_WAIT = 0.02
_STRUGGLE = 0.25
_BEAT = 1.0
_NICE = -10  # before everything that can wait: what is late here is lost
_LAST_READ = 2.0
"""Maximum seconds that a stopping receiver reads, however much keeps arriving."""


class Task(msgspec.Struct, kw_only=True):
    """What the main process passes to a receiver, as JSON on the command line. Numbers are descriptors."""

    spool: str
    control: int
    sockets: list[int] = []
    receive_buffer: int = 64 * 2**20
    reserve: int = 64 * 2**20
    synchronous: Synchronous = "normal"
    options: Options
    source: str = ""
    follow: bool = False
    again: bool = False
    captured_speed: bool = False
    open_since: float = 0.0
    """When the sockets were created (Unix seconds); 0: another program created them at an unknown time."""


class Counter:
    """The drop counter of one socket, which continues across restarts of the shoveler."""

    def __init__(self, sock: socket.socket, spool: Spool, open_since: float) -> None:
        self._sock = sock
        self.name = identity_of(sock)
        self.drops = spool.sockets.get(self.name, 0)
        self._looked = max(open_since, spool.looked if self.name in spool.sockets else 0.0)

    def look(self, now: float) -> Drop | None:
        """Drops since the last look, even if an earlier process looked last."""
        drops = fill_of(self._sock).drops
        new, since = (drops - self.drops) % 2**32, self._looked
        self.drops, self._looked = drops, now
        return Drop(listen=name_of(self._sock), t_from=since, t_to=now, count=new) if new else None


class FragmentCounter:
    """Datagrams of this host that the kernel could not reassemble. Those before our first start do not count."""

    def __init__(self, spool: Spool, now: float) -> None:
        self.name = f"{boot_id()}:fragments"
        known = spool.sockets.get(self.name)
        self.failures = reassembly_failures() if known is None else known
        self._looked = now if known is None else spool.looked
        self._waits = reassembly_wait()

    def look(self, now: float) -> Drop | None:
        """Those since the last look. The kernel waits for the missing fragment before it counts."""
        failures = reassembly_failures()
        new, since = failures - self.failures, self._looked
        self.failures, self._looked = failures, now
        return Drop(listen="", t_from=since - self._waits, t_to=now, count=new) if new > 0 else None


class Receiver:
    """Composed by `main`; tests compose it with their own spool and call `step` themselves."""

    def __init__(
        self,
        spool: Spool,
        sockets: Sequence[socket.socket],
        control: socket.socket,
        options: Options,
        *,
        replay: Replay | None = None,
        open_since: float = 0.0,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.spool = spool
        self._sockets = {sock.fileno(): sock for sock in sockets}
        self._control = control
        self._replay = replay
        self._clock = clock
        self._sleep = sleep
        self._draft = Draft()
        self._books = Books()
        self._held: deque[Draft] = deque()
        self._held_bytes = 0
        self._problem = ""
        self._said_last = 0
        self._books_since = 0.0
        self._commit_by = 0.0
        self._struggled = 0.0
        self._beat = 0.0
        self._calm = True
        self._stopping = False
        self._finished = False
        self._input_problem = ""
        self._alone = False
        self._counters = [Counter(sock, spool, open_since) for sock in sockets]
        self._fragments = FragmentCounter(spool, clock())
        # If they are not known: so that after a kill the next receiver knows that they were read.
        self._books.sockets = {counter.name: counter.drops for counter in self._counters}
        self._books.sockets[self._fragments.name] = self._fragments.failures
        self._warn = RateLimited(_log, 10.0)
        self._forward_socket: dict[int, socket.socket] = {}
        self._forward_failed = 0
        self._log_form = (options.log_format, options.log_level)
        self._use(options)
        self._poll = select.poll()
        self._poll.register(control.fileno(), select.POLLIN)
        for fd, sock in self._sockets.items():
            sock.setblocking(False)
            self._poll.register(fd, select.POLLIN)
        sizes = [fill_of(sock).size for sock in sockets]
        self._nap = min([_NAP, *(size / _FULL_SPEED for size in sizes)])

    @property
    def counters(self) -> list[str]:
        """The names of the kernel's counters that are read."""
        return [*(counter.name for counter in self._counters), self._fragments.name]

    def _use(self, options: Options) -> None:
        form = (options.log_format, options.log_level)
        if form != self._log_form:
            setup_logging(*form)
            self._log_form = form
        self.intake = Intake(verify=options.verify, ip_map=options.ip_map, path_mtu=options.path_mtu)
        self.spool.max_bytes = options.max_bytes
        self._envelopes, self._version = options.forward_envelopes, options.version
        self._forward = [
            (socket.AF_INET6 if ":" in host else socket.AF_INET, (host, port)) for host, port in options.forward
        ]

    # ---------------------------------------------------------------- the loop

    def run(self) -> None:
        """Run until the main process closes its end. Raises SpoolError when the spool can no longer be used."""
        while not self._alone:
            self.step(self._timeout())
        # Nothing is published any more; save what was read, then another process may take over.
        self._commit(urgent=True)
        if self._held:
            self._struggle(time.monotonic())
        self._mourn()

    def close(self) -> None:
        """Close what was opened here; the listening sockets belong to the main process and stay open."""
        for sock in self._forward_socket.values():
            sock.close()
        if self._replay is not None:
            self._replay.close()

    def _timeout(self) -> float:
        if self._replay is not None and not self._finished:
            return 0.0 if self._replay.due(self._clock()) and not self._held and not self._no_room() else _REPLAY_WAIT
        if self._draft.datagrams:
            return max(0.0, self._commit_by - time.monotonic())
        if self._held or self.spool.tight:
            return _STRUGGLE
        return _BOOKS_WAIT if self._books else _BEAT

    def step(self, timeout: float) -> None:
        """Wait at most `timeout` seconds for events, and handle all of them."""
        ready = [fd for fd, _event in self._poll.poll(timeout * 1000)]
        if self._control.fileno() in ready:
            self._listen()
            ready.remove(self._control.fileno())
        if ready and not self._finished:
            if self._calm and not self._stopping:
                waiting = self._draft.datagrams  # what is already in memory must not get older during the nap
                self._sleep(min(self._nap, max(0.0, self._commit_by - time.monotonic())) if waiting else self._nap)
            self._calm = sum(self._drain(self._sockets[fd]) for fd in ready) < _CALM
        if self._draft.datagrams and (self._nap > _AGE or time.monotonic() >= self._commit_by):
            self._commit()
        if self._replay is not None and not self._finished:
            self._play(self._replay)
        now = time.monotonic()
        if (self._held or self.spool.tight) and now - self._struggled >= _STRUGGLE:
            self._struggle(now)
        if self._books and (now - self._books_since >= _BOOKS_WAIT or self._finished):
            self._commit(urgent=True)
        if now - self._beat >= _BEAT:
            self._beat = now
            self._look_at_kernel()
            self._say_state()
            if not ready:
                self._tidy()
        if self._stopping and not self._finished:
            self._finish()

    def _listen(self) -> None:
        messages = heard_by_receiver(self._control)
        if messages is None:
            self._alone = True
            return
        for message in messages:
            match message:
                case Confirm(upto=upto):
                    self._books.confirmed_upto = max(self._books.confirmed_upto, upto)
                case Returned(counts=counts):
                    for remote, number in counts.items():
                        self._books.of(remote).returned += number
                case Options():
                    self._use(message)
                case Stop():
                    self._stopping = True

    # ---------------------------------------------------------------- taking datagrams

    def _drain(self, sock: socket.socket, until: float | None = None) -> int:
        """Read what waits in a socket: `_MAX_DRAIN` at most, or all there is until a time. How many there were."""
        recvfrom = sock.recvfrom
        total = 0
        while True:
            burst = []
            more = True
            try:
                for _ in range(_READ):
                    burst.append(recvfrom(_LARGEST))  # noqa: PERF401 - the exception must keep what was read
            except BlockingIOError:
                more = False
            except OSError as error:
                # Out of kernel memory, for example: there is nothing to fix here, and the next try may succeed.
                self._warn.warning("recvfrom", "! cannot read %s: %s", name_of(sock), error.strerror)
                more = False
            if burst:
                total += len(burst)
                self._take(burst)
            if not more or (total >= _MAX_DRAIN if until is None else time.monotonic() >= until):
                return total

    def _take(self, burst: Sequence[tuple[bytes, SocketAddress]]) -> None:
        draft = self._draft
        no_room = self._no_room()
        refused = self._books.refused
        if no_room:
            self.intake.reject(burst, self._books, no_room)
            self._warn.warning(no_room, "! dropping and counting datagrams: %s", self._why(no_room))
        else:
            if not draft.datagrams:
                draft.arrived = self._clock()
                self._commit_by = time.monotonic() + _AGE
            before = len(draft)
            self.intake.add(burst, draft, self._books)
            if self._forward:
                self._send_on(draft, before)
        if self._books.refused != refused:
            self._note_refusal()
        if len(draft) > BLOCK_DATAGRAMS - _READ or draft.size >= _BLOCK_BYTES:
            self._commit()

    def _note_refusal(self) -> None:
        now = self._clock()
        self._books.refused_from = self._books.refused_from or now
        self._books.refused_to = now

    def _no_room(self) -> str:
        """The reason under which datagrams are rejected now, or nothing."""
        if self._held_bytes + self._draft.size >= HELD_MAX:
            return "disk_full"
        if self.spool.size + self._held_bytes + self._draft.size >= self.spool.max_bytes:
            return "spool_full"
        return ""

    def _why(self, reason: str) -> str:
        if reason == "disk_full":
            return f"the disk of the spool is full, and {HELD_MAX >> 20} MiB are in memory"
        return f"the spool has reached its maximum of {self.spool.max_bytes} bytes (spool.max_bytes)"

    def _send_on(self, draft: Draft, first: int) -> None:
        """Copies of what is in a draft from `first` on, to the forward targets."""
        datagrams = draft.datagrams[first:]
        if self._envelopes:
            remotes = list(draft.remotes)
            senders = (remotes[index] for index in draft.senders[first:])
            datagrams = [encode_single(*each, self._version) for each in zip(senders, datagrams, strict=True)]
        for family, target in self._forward:
            sock = self._forward_socket.get(family)
            if sock is None:
                sock = self._forward_socket[family] = socket.socket(family, socket.SOCK_DGRAM)
                sock.setblocking(False)
            for datagram in datagrams:
                try:
                    sock.sendto(datagram, target)
                except OSError as error:
                    self._forward_failed += 1
                    self._warn.warning("forward", "! cannot forward to %s:%d: %s", *target, error.strerror)

    def _play(self, replay: Replay) -> None:
        if self._held or self._no_room():
            return  # a file waits, and does not end before its last datagram is on disk; nothing is dropped
        try:
            burst, rejected = replay.take(BLOCK_DATAGRAMS, self._clock())
        except ReplayError as error:  # what was taken from it is published nevertheless
            self._input_problem = str(error)
            self._stopping = True
            return
        for reason, number in rejected.items():
            for _ in range(number):
                self._books.reject("file", reason)
            self._note_refusal()
        if burst:
            self._draft.arrived = self._clock()
            self.intake.add(burst, self._draft, self._books)
            self._draft.input = replay.place()
            if self._forward:
                self._send_on(self._draft, 0)
            self._commit()
        if replay.ended and not self._held:
            self._stopping = True

    # ---------------------------------------------------------------- writing

    def _commit(self, *, urgent: bool = False) -> None:
        """Write the draft, if there is one, with the books; only the books when `urgent`."""
        draft = None
        if self._draft.datagrams:
            draft, self._draft = self._draft, Draft()
        elif not (urgent and self._books):
            return
        if draft is not None and (self._held or self.spool.tight):
            self._hold(draft)
            return
        try:
            self.spool.commit(draft, self._books)
        except SpoolFullError as error:
            if draft is not None:
                self._hold(draft)
            self._enter_struggle(error)
            return
        self._new_books()
        self._say_committed()

    def _new_books(self) -> None:
        self._books = Books(confirmed_upto=self.spool.left_to_remove)
        self._books_since = 0.0 if self._books else time.monotonic()

    def _hold(self, draft: Draft) -> None:
        self._held.append(draft)
        self._held_bytes += draft.size

    def _enter_struggle(self, error: SpoolFullError) -> None:
        self._books_since = time.monotonic()
        self._problem = str(error)
        self._warn.log(
            logging.ERROR, "full", "! %s; up to %d MiB are kept in memory, then datagrams are dropped and counted",
            error, HELD_MAX >> 20,
        )  # fmt: skip
        if not self.spool.tight:
            self.spool.tighten()

    def _struggle(self, now: float) -> None:
        """The disk is or was full: write what fits, oldest first."""
        self._struggled = now
        try:
            if self.spool.tight:
                self.spool.loosen()
            while self._books:
                self.spool.commit(None, self._books)
                self._new_books()
            while self._held and (not self.spool.tight or self.spool.fits(self._held[0].size)):
                self.spool.commit(self._held[0], self._books)
                self._new_books()
                self._held_bytes -= self._held.popleft().size
        except SpoolFullError as error:
            self._enter_struggle(error)
        self._say_committed()
        if not self._held and not self.spool.tight:
            self._problem = ""
            self._warn.forget("full")
            _log.warning("= the spool accepts datagrams again")

    def _tidy(self) -> None:
        try:
            while self.spool.tidy() and not self._poll.poll(0):
                pass
        except SpoolFullError as error:
            _log.debug("= %s", error)

    # ---------------------------------------------------------------- telling

    def _say(self, message: FromReceiver) -> None:
        try:
            say(self._control, message)
        except OSError:
            self._alone = True

    def _say_committed(self) -> None:
        if self.spool.last > self._said_last:
            self._said_last = self.spool.last
            self._say(Committed(self.spool.last))

    def _say_state(self) -> None:
        self._say(
            State(
                held=self._held_bytes,
                buffer=max((self._fill(sock) for sock in self._sockets.values()), default=0.0),
                forward_failed=self._forward_failed,
                problem=self._problem or (self._why(full) if (full := self._no_room()) else ""),
            )
        )
        # The next message includes what did not fit; but without `Finished` the other end would wait for ever.
        last = self.spool.last
        self._say(Finished(last, self._input_problem) if self._finished else Committed(last))

    @staticmethod
    def _fill(sock: socket.socket) -> float:
        fill = fill_of(sock)
        return fill.used / fill.size if fill.size else 0.0

    def _look_at_kernel(self) -> None:
        """Changes of the kernel's counters since the last look. Each drop belongs to one socket and is reported
        once."""
        now = self._clock()
        for counter in self._counters:
            drop = counter.look(now)
            if drop is not None:
                self._books.drops.append(drop)
                self._books.sockets[counter.name] = counter.drops
                self._warn.warning(
                    "kernel", "! the kernel dropped %d datagrams at %s: its receive buffer was full",
                    drop.count, drop.listen,
                )  # fmt: skip
        lost = self._fragments.look(now)
        if lost is not None:
            self._books.fragments.append(lost)
            self._books.sockets[self._fragments.name] = self._fragments.failures
        self._books.looked = now

    # ---------------------------------------------------------------- the end

    def _finish(self) -> None:
        """Take what the kernel holds, and nothing more."""
        until = time.monotonic() + _LAST_READ
        for sock in self._sockets.values():
            self._drain(sock, until)
        self._look_at_kernel()
        self._commit(urgent=True)
        if self._held:
            self._struggle(time.monotonic())
        self._mourn()
        for fd in self._sockets:
            self._poll.unregister(fd)
        self._finished = True
        self._say_state()

    def _mourn(self) -> None:
        if self._held:
            _log.error("! the disk is full: %d bytes of datagrams in memory are lost by stopping", self._held_bytes)
            self._held.clear()
            self._held_bytes = 0


def main(argv: Sequence[str] | None = None) -> int:
    """The receiver process. 0: stopped normally, 1: cannot continue (reported on `control`)."""
    task = msgspec.json.decode((sys.argv[1:] if argv is None else argv)[0], type=Task)
    # Only the main process handles signals; a terminal sends Ctrl-C to both.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    setup_logging(task.options.log_format, task.options.log_level)
    try:
        os.setpriority(os.PRIO_PROCESS, 0, _NICE)
    except PermissionError:
        pass  # then the systemd unit may set Nice=
    control = socket.socket(fileno=task.control)
    control.setblocking(False)
    sockets = [socket.socket(fileno=fd) for fd in task.sockets]
    directory = Path(task.spool)
    warnings = [warning for sock in sockets if (warning := enlarge(sock, task.receive_buffer))]
    try:
        with Spool(
            directory, max_bytes=task.options.max_bytes, reserve=task.reserve, synchronous=task.synchronous
        ) as spool:
            replay = None
            if task.source:
                if task.again:
                    spool.start_over(identity(task.source))
                start = spool.position(identity(task.source))
                if start:
                    _log.info("= the capture %s was taken up to byte %d before; continuing there (--again starts over)",
                              task.source, start)  # fmt: skip
                replay = Replay(task.source, start, follow=task.follow, captured_speed=task.captured_speed)
            receiver = Receiver(spool, sockets, control, task.options, replay=replay, open_since=task.open_since)
            spool.keep_sockets(receiver.counters)
            try:
                say(control, Opened(spool.id, spool.last, warnings))
            except OSError:
                return 0  # main was killed while the spool was being opened; nothing was read, the next one continues
            receiver.run()
    except (SpoolError, ReplayError) as error:
        try:
            heard = say(control, Failed(str(error)))
        except OSError:
            heard = False
        if not heard:
            _log.error("! %s", error)  # main, which would report it, is gone or busy
        return 1
    return 0


def command(task: Task) -> list[str]:
    """The command line that starts a receiver."""
    return [*part_command("shoveler.receiver", RECEIVE), msgspec.json.encode(task).decode()]


if __name__ == "__main__":
    sys.exit(main())
