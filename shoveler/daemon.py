"""The main process of a shoveler: starts the receiver, sends the spool to the bus, reports the state.

It owns the sockets and the spool's lock and passes both to the receiver. So a receiver that dies is restarted without
losing a datagram in the kernel, and no second shoveler can start while either process lives.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry

from shoveler import config, control
from shoveler.bus import BusError, Consumer, Outgoing, Publisher, Requests, open_publisher, open_subscription
from shoveler.expiry import token_expiry
from shoveler.listeners import check_inherited, listeners, name_of
from shoveler.publisher import BatchFramer, Courier, Framer, SingleFramer
from shoveler.receiver import Task, command
from shoveler.service import (
    ASK,
    STORED,
    Capped,
    ConfigError,
    Counts,
    Gauges,
    Health,
    MonitorServer,
    Notifier,
    RateLimited,
    ShovelerStatus,
    Signals,
    delays,
    encode_status,
    named_sockets,
    new_registry,
    routing_key,
    setup_logging,
    show_build,
)
from shoveler.spool.errors import SpoolError
from shoveler.spool.lock import SpoolLock
from shoveler.spool.reader import SpoolReader

_log = logging.getLogger("shoveler")

_BEAT = 1.0
_FLUSH = 0.02
_HEAR = 0.2
"""Maximum seconds until a request for the status is noticed."""
_STATUS_RETRY = 60.0
_OPENING = 60.0
"""Seconds a receiver may take to open the spool; after an unclean end SQLite reads the whole WAL again."""
_DRAIN = 4.0
"""Seconds after SIGTERM in which the spool is still sent to the bus; the rest of 10 s is for writing the books and
closing connections."""
_BOOKS = 1.0
_ENDING = 3.0
_LOCK_WAIT = 3.0
"""A receiver whose main process was killed needs a moment to commit and release the spool."""
_SILENT = 30.0


class DaemonError(Exception):
    """The daemon cannot continue; one sentence for an operator. Exit code 1."""


class ReceiverProcess:
    """The receiver as seen from here: starting, restarting, and talking to it."""

    def __init__(self, task: Task, sockets: list[socket.socket], lock: SpoolLock) -> None:
        self._task = task
        self._sockets = sockets
        self._lock = lock
        self._process: subprocess.Popen[bytes] | None = None
        self.control: socket.socket | None = None
        self._upto = 0
        self._returned: dict[str, int] = {}
        self._unsent_upto = 0
        self._unsent_options = False
        self._unsent_stop = False
        self.options = task.options

    def start(self) -> None:
        """Start it, after the last one ended."""
        if self.control is not None:
            self.control.close()
        self.control, theirs = control.socket_pair()
        self._task.control = theirs.fileno()
        self._task.sockets = [sock.fileno() for sock in self._sockets]
        self._task.options = self.options
        fds = (theirs.fileno(), self._lock.fd, *self._task.sockets)
        self._process = subprocess.Popen(command(self._task), pass_fds=fds)
        theirs.close()
        self._task.again = False  # that was for the first start; after a crash it continues where it was
        self._unsent_upto = self._upto
        self._unsent_options = False  # it has them from its command line

    def hear(self) -> list[control.FromReceiver] | None:
        """Its messages; None when it has ended."""
        assert self.control is not None
        return control.heard_by_main(self.control)

    def confirm(self, upto: int) -> None:
        """Everything up to this SEQ is confirmed; sent with the next `flush`."""
        self._upto = self._unsent_upto = upto

    def returned(self, counts: dict[str, int]) -> None:
        """These were returned; sent with the next `flush`."""
        for remote, number in counts.items():
            self._returned[remote] = self._returned.get(remote, 0) + number

    @property
    def unsaid(self) -> bool:
        """Whether `flush` has something to send."""
        return bool(self._unsent_upto or self._returned or self._unsent_options or self._unsent_stop)

    def flush(self) -> None:
        """Send what was not sent yet, as far as it fits: a receiver that waits for its disk reads nothing."""
        if self._unsent_options and self._say(self.options):
            self._unsent_options = False
        if self._unsent_stop and self._say(control.Stop()):
            self._unsent_stop = False
        if self._unsent_upto and self._say(control.Confirm(self._unsent_upto)):
            self._unsent_upto = 0
        while self._returned:
            some = dict(list(self._returned.items())[:500])  # a message has room for a thousand addresses or so
            if not self._say(control.Returned(some)):
                break
            for remote in some:
                del self._returned[remote]

    def use(self, options: control.Options) -> None:
        """New settings, now and at the next start."""
        self.options = options
        self._unsent_options = True
        self.flush()

    def stop(self) -> None:
        """Take what is waiting and nothing more; it sends `Finished`."""
        self._unsent_stop = True
        self.flush()

    def ended(self) -> int:
        """Its exit status, waiting a moment for it; it has closed its end."""
        assert self._process is not None
        try:
            return self._process.wait(timeout=_ENDING)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def close(self) -> None:
        """Release it: it commits what it knows and ends. Killed if it does not end within a few seconds."""
        if self.control is not None:
            self.control.close()
            self.control = None
        if self._process is not None:
            self.ended()
            self._process = None

    def _say(self, message: control.ToReceiver) -> bool:
        if self.control is None:
            return False
        try:
            return control.say(self.control, message)
        except OSError:
            return False  # it is gone; `hear` notices


_SENDERS_SHOWN = 100
"""Senders with series of their own: anybody can send from another port, and each would make some."""


class Metrics:
    """The daemon's metrics, filled once a second from the spool."""

    def __init__(self, registry: CollectorRegistry) -> None:
        show_build(registry, "shoveler", config.version())

        def count(name: str, text: str, *labels: str) -> Counts:
            return Counts(registry, f"shoveler_{name}", text, labels)

        def gauge(name: str, text: str, *labels: str) -> Gauges:
            return Gauges(registry, f"shoveler_{name}", text, labels)

        self.received = count("packets_received", "Datagrams received, taken or rejected")
        self.invalid = count("validations_failed", "Datagrams whose header check failed")
        self.queue = gauge("queue_size", "Datagrams in the spool: taken and not confirmed")
        self.reconnects = count("rabbitmq_reconnects", "Connections to the bus that were lost")
        self.rejected = count("packets_rejected_total", "Datagrams not taken, by reason", "reason")
        self.kernel_drops = count("kernel_drops_total", "Datagrams that the kernel dropped at the shoveler's sockets")
        self.oversize = count("oversize_total", "Datagrams larger than one packet of the path, by sender", "sender")
        self.confirmed = count("confirmed_total", "Datagrams confirmed by the bus and removed from the spool")
        self.returned = count("returned_total", "Times the bus had no queue for a datagram")
        self.spool_bytes = gauge("spool_bytes", "Bytes of datagrams in the spool")
        self.oldest = gauge("spool_oldest_seconds", "Age of the oldest datagram in the spool")
        self.pending = gauge("confirms_pending", "Messages sent whose outcome is not known")
        self.token = gauge("token_expires_seconds", "Seconds until the token of the bus expires; absent without one")
        self.held = gauge("held_bytes", "Bytes in memory because the disk is full")
        self.buffer = gauge("receive_buffer_ratio", "How full the fullest receive buffer is, 0 to 1")
        self.connected = gauge("connected", "1 while there is a connection to the bus")
        self.sender_packets = count(
            "sender_packets_total", "Datagrams taken, by sender; from the 101st on: other", "sender"
        )
        self.capped = {name: Capped(_SENDERS_SHOWN) for name in ("oversize", "packets")}
        self.forward_failed = count("forward_failed_total", "Copies that could not be sent to a forward target")


class Daemon:
    """Composed and run by `run`."""

    def __init__(
        self,
        settings: config.ShovelerSettings,
        reload: Callable[[], config.ShovelerSettings],
        signals: Signals,
        notifier: Notifier,
    ) -> None:
        """`reload` reads the settings again (raising ConfigError)."""
        self._settings = settings
        self._reload = reload
        self._signals = signals
        self._notifier = notifier
        self._health = Health()
        self._registry = new_registry()
        self._warn = RateLimited(_log, 60.0)
        self._receiver: ReceiverProcess
        self._courier: Courier
        self._reader: SpoolReader
        self._status: StatusSender
        self._last_beat = 0.0
        self._last_flush = 0.0
        self._senders_due = 0.0
        self._heard = time.monotonic()
        self._open_since = 0.0
        self._finished: int | None = None
        self._input_problem = ""
        self._restarts: Iterator[float] = delays(0.1, 5.0)
        self._restart_at: float | None = None

    # ---------------------------------------------------------------- from start to stop

    def run(self) -> None:
        """Until a signal, or the end of the input file. Raises DaemonError, ConfigError, SpoolError, OSError."""
        settings = self._settings
        lock = SpoolLock(settings.spool_dir, wait=_LOCK_WAIT)
        sockets = self._open_sockets()
        self._metrics = Metrics(self._registry)
        self._receiver = ReceiverProcess(self._task(), sockets, lock)
        self._receiver.start()
        try:
            first_words = self._await_opened()
            if first_words is None:
                return
            opened, early = first_words
            self._reader = SpoolReader(settings.spool_dir)
            self._courier = self._make_courier(opened)
            self._take(early)
            self._status = StatusSender(
                settings, self._reader, config.version(), lambda: self._courier.ledger.confirmed_upto
            )
            self._describe(opened, sockets)
            with MonitorServer(settings.metrics, self._registry, self._health):
                self._notifier.ready("receiving")
                self._serve()
                self._finish_file()
                self._notifier.stopping("draining")
                self._drain()
            if self._input_problem:
                raise DaemonError(self._input_problem)
        finally:
            self._receiver.close()
            for sock in sockets:
                sock.close()
            lock.close()

    def _serve(self) -> None:
        while not self._signals.stopping.is_set() and self._finished is None:
            self._turn(self._courier.step())
            if self._signals.take_reload():
                self._read_settings_again()

    def _finish_file(self) -> None:
        """A file was read to its end: the work is done when everything is confirmed, however long that takes."""
        self._courier.flush()
        while self._finished is not None and not self._courier.done and not self._signals.stopping.is_set():
            self._turn(self._courier.step())
            if self._signals.take_reload():
                self._read_settings_again()  # they may be what is needed to reach the bus

    def _drain(self) -> None:
        """Take what the kernel has, publish what the bus accepts in time, write the books, report it, stop."""
        _log.info("= stopping: reading what is waiting, publishing what is in the spool")
        until = time.monotonic() + _DRAIN
        self._courier.flush()
        if self._finished is None:
            self._receiver.stop()
        while time.monotonic() < until and self._receiver.control is not None:
            if self._finished is not None and (self._courier.done or not self._courier.connected):
                break
            self._turn(min(self._courier.step() if self._courier.connected else 1.0, 0.05))
        books = min(until, time.monotonic()) + _BOOKS
        while time.monotonic() < books and not self._booked():
            self._receiver.flush()
            self._turn(0.02)
        if not self._courier.ledger.unsettled:  # else the bus is silent, and closing properly would only wait for it
            self._status.send(self._health, last=True)
            self._status.close()
            self._courier.close()
        left = self._reader.totals()[0]
        _log.info("= stopped: %d datagrams received, %d confirmed, %d left in the spool for the next start",
                  left.received, left.confirmed, left.received - left.confirmed)  # fmt: skip
        self._reader.close()

    def _booked(self) -> bool:
        """Whether the receiver has written everything that is confirmed. (If not, it does so when we disconnect.)"""
        return self._reader.totals()[0].confirmed >= self._confirmed_before + self._courier.ledger.confirmed_whole

    # ---------------------------------------------------------------- one turn of the loop

    def _turn(self, wait: float) -> None:
        """Wait for the receiver or a signal, at most `wait` seconds, then do what is due."""
        if self._receiver.unsaid:
            # Not with every confirm: each message wakes the receiver.
            wait = min(wait, _FLUSH)
            if time.monotonic() - self._last_flush >= _FLUSH:
                self._last_flush = time.monotonic()
                self._receiver.flush()
        ends: list[int] = [self._signals.fileno()]
        if self._receiver.control is not None:
            ends.append(self._receiver.control.fileno())
        ready, _, _ = select.select(ends, [], [], min(wait, _HEAR))
        if self._signals.fileno() in ready:
            self._signals.drain()
        if self._receiver.control is not None and len(ready) > (self._signals.fileno() in ready):
            self._listen()
        now = time.monotonic()
        if self._restart_at is not None and now >= self._restart_at:
            self._restart_at = None
            _log.warning("= restarting the receiver")
            self._receiver.start()
        if now - self._last_beat >= _BEAT:
            self._last_beat = now
            self._beat(now)
        try:
            self._status.answer(self._health)
        except SpoolError as error:
            self._warn.warning("measure", "! %s", error)

    def _listen(self) -> None:
        messages = self._receiver.hear()
        if messages is None:
            self._receiver_ended()
            return
        self._heard = time.monotonic()
        self._take(messages)

    def _take(self, messages: Iterable[control.FromReceiver]) -> None:
        for message in messages:
            match message:
                case control.Opened():
                    self._restarts = delays(0.1, 5.0)
                    self._health.fine("receiver")
                    self._courier.committed = max(self._courier.committed, message.last)
                    self._receiver.flush()
                case control.Committed(last=last):
                    self._courier.committed = max(self._courier.committed, last)
                case control.Finished(last=last, problem=problem):
                    self._courier.committed = max(self._courier.committed, last)
                    if problem and not self._input_problem:
                        _log.error("! %s; what was taken from it is published first", problem)
                    self._input_problem = problem
                    self._finished = last
                case control.State():
                    self._note(message)
                case control.Failed(text=text):
                    raise DaemonError(text)

    def _note(self, state: control.State) -> None:
        self._metrics.held.set(state.held)
        self._metrics.buffer.set(state.buffer)
        self._metrics.forward_failed.set(state.forward_failed)
        if self._restart_at is None:
            self._health.fine("receiver")
        if state.problem:
            self._health.problem("spool", state.problem)
        else:
            self._health.fine("spool")

    def _receiver_ended(self) -> None:
        status = self._receiver.ended()
        if self._receiver.control is not None:
            self._receiver.control.close()
            self._receiver.control = None
        if self._finished is not None:
            return
        delay = next(self._restarts)
        self._restart_at = time.monotonic() + delay
        text = f"the receiver ended unexpectedly ({_ending(status)}); the kernel holds what arrives meanwhile"
        self._health.problem("receiver", text)
        self._warn.log(logging.ERROR, "receiver", "! %s", text)

    def _beat(self, now: float) -> None:
        if self._restart_at is None and now - self._heard > _SILENT:
            self._health.problem("receiver", f"the receiver has been silent for {now - self._heard:.0f} s")
        try:
            self._measure()
            if now >= self._senders_due:
                self._measure_senders(now)
            self._status.beat(now, self._health, connected=self._courier.connected)
        except SpoolError as error:
            self._warn.warning("measure", "! %s", error)
        self._notifier.watchdog()

    def _measure(self) -> None:
        totals, size = self._reader.totals()
        oldest = self._reader.oldest()
        m = self._metrics
        m.received.set(totals.received + totals.rejected)
        m.queue.set(totals.received - totals.confirmed)
        m.reconnects.set(self._courier.reconnects)
        m.connected.set(float(self._courier.connected))
        m.kernel_drops.set(totals.kernel_drops)
        m.confirmed.set(totals.confirmed)
        m.returned.set(totals.returned)
        m.spool_bytes.set(size)
        m.oldest.set(max(0.0, time.time() - oldest) if oldest is not None else 0.0)
        m.pending.set(self._courier.ledger.unsettled)
        expires = token_expiry(self._settings.bus_token_file)
        m.token.replace({} if expires is None else {(): expires - time.time()})

    def _measure_senders(self, now: float) -> None:
        senders = self._reader.senders()
        reasons: dict[str, int] = {}
        for sender in senders.values():
            for reason, number in sender.rejected.items():
                reasons[reason] = reasons.get(reason, 0) + number
        m = self._metrics
        m.invalid.set(sum(reasons.get(reason, 0) for reason in ("empty", "short", "length")))
        m.rejected.replace({(reason,): number for reason, number in reasons.items()})
        oversize = {remote: float(sender.oversize) for remote, sender in senders.items() if sender.oversize}
        m.oversize.replace(m.capped["oversize"].of(oversize))
        m.sender_packets.replace(m.capped["packets"].of({remote: float(s.received) for remote, s in senders.items()}))
        # Thousands of (forged) senders take long to read.
        self._senders_due = now + (0.0 if len(senders) < 500 else 10.0)

    # ---------------------------------------------------------------- composing

    def _open_sockets(self) -> list[socket.socket]:
        if self._settings.source:
            return []
        passed = named_sockets()
        check_inherited([sock for _name, sock in passed])
        from_unit = [sock for name, sock in passed if name != STORED]
        kept = [sock for name, sock in passed if name == STORED]
        if from_unit:
            for sock in kept:
                sock.close()
            self._say_that_listen_does_not_count(from_unit)
            return from_unit
        sockets = listeners(self._settings.listen, kept)
        if not set(sockets) <= set(kept):
            self._open_since = time.time()
        # Datagrams that arrive while this service is restarted wait there, and are taken by its successor.
        self._notifier.store(sockets, afresh=not set(kept) <= set(sockets))
        return sockets

    def _say_that_listen_does_not_count(self, sockets: list[socket.socket]) -> None:
        names = [name_of(sock) for sock in sockets]
        wanted = [str(address) for address in self._settings.listen]
        if self._settings.origin("listen") != "default" and sorted(names) != sorted(wanted):
            _log.warning(
                "! listen is %s, but the socket unit of systemd has passed %s, which is used; change ListenDatagram "
                "there (systemctl edit tally-shoveler.socket), or stop and disable that unit",
                ", ".join(wanted), ", ".join(names),
            )  # fmt: skip

    def _task(self) -> Task:
        s = self._settings
        return Task(
            spool=str(s.spool_dir),
            control=-1,
            receive_buffer=s.receive_buffer,
            reserve=s.spool_reserve,
            synchronous=s["spool.synchronous"],
            options=config.options(s),
            open_since=self._open_since,
            source=s.source.removeprefix("file:"),
            follow=s.follow,
            again=s.again,
            captured_speed=s.speed == "captured",
        )

    def _await_opened(self) -> tuple[control.Opened, list[control.FromReceiver]] | None:
        """The first message of the receiver, and any that already followed it: a short capture may be finished. None
        when we have to stop before that."""
        deadline, tries = time.monotonic() + _OPENING, 5
        while time.monotonic() < deadline:
            assert self._receiver.control is not None
            select.select([self._receiver.control.fileno(), self._signals.fileno()], [], [], 1.0)
            if self._signals.stopping.is_set():
                _log.info("= stopped before the spool was open")
                return None
            self._signals.drain()
            messages = self._receiver.hear()
            if messages is None:
                ending = _ending(self._receiver.ended())
                tries -= 1
                if not tries:
                    raise DaemonError(f"the receiver does not start ({ending})")
                _log.warning("! the receiver ended at once (%s); restarting it", ending)
                self._receiver.start()
                continue
            for number, message in enumerate(messages, 1):
                if isinstance(message, control.Failed):
                    raise DaemonError(message.text)
                if isinstance(message, control.Opened):
                    return message, messages[number:]
        raise DaemonError(f"the receiver did not open the spool within {_OPENING:.0f} s")

    def _make_courier(self, opened: control.Opened) -> Courier:
        courier = Courier(
            self._reader,
            self._framer(opened.spool),
            self._connect,
            confirmed=self._receiver.confirm,
            returned=self._receiver.returned,
            health=self._health,
            linger=self._linger(),
        )
        courier.committed = opened.last
        totals = self._reader.totals()[0]
        self._confirmed_before = totals.confirmed
        if totals.received == totals.confirmed:
            courier.ledger.confirmed_upto = opened.last  # nothing is left to be read, so nothing will say so
        return courier

    def _framer(self, spool: str) -> Framer:
        s = self._settings
        if s.framing == "batch":
            return BatchFramer(spool, config.version(), s.bus_routing_key, max_bytes=s.batch_max_bytes)
        return SingleFramer(spool, config.version(), s.bus_routing_key)

    def _linger(self) -> float:
        return self._settings.batch_linger if self._settings.framing == "batch" else 0.0

    def _connect(self) -> Publisher:
        address = config.bus_address(self._settings)
        return open_publisher(
            address,
            exchange=config.exchange(self._settings, address),
            writer=self._reader.id,
            options=config.bus_options(self._settings),
        )

    def _describe(self, opened: control.Opened, sockets: list[socket.socket]) -> None:
        for warning in opened.warnings:
            _log.warning("! %s", warning)
        address = config.bus_address(self._settings)
        source = self._settings.source or ", ".join(map(name_of, sockets))
        _log.info("= spool %s in %s; from %s to %s, exchange %s, framing %s",
                  opened.spool, self._settings.spool_dir, source, address.redacted,
                  config.exchange(self._settings, address), self._settings.framing)  # fmt: skip
        for name, value in {
            "program": config.PROGRAM, "version": config.version(), "spool": opened.spool,
            "listening": [name_of(sock) for sock in sockets], "bus": address.redacted,
        }.items():  # fmt: skip
            self._health.detail(name, value)

    # ---------------------------------------------------------------- SIGHUP

    def _read_settings_again(self) -> None:
        self._notifier.reloading()
        try:
            new = self._reload()
            options = config.options(new)
        except ConfigError as error:
            _log.error("! the settings are unchanged:\n%s", error)
            self._notifier.ready()
            return
        live, restart = self._settings.differences(new)
        self._settings = new
        setup_logging(new.text("log.format"), new.text("log.level"))
        if live:
            _log.info("= settings changed: %s", ", ".join(live))
        if restart:
            _log.warning("= these settings need a restart to change: %s", ", ".join(restart))
        if not live and not restart:
            _log.info("= settings reloaded: nothing has changed")
        self._receiver.use(options)
        self._status.use(new)
        self._courier.framer = self._framer(self._reader.id)
        self._courier.linger = self._linger()
        if any(name.startswith("bus.") for name in live):
            self._courier.rotate()
        self._notifier.ready("receiving")


class StatusSender:
    """Sends the status message, at intervals and on request. Best effort: a status that cannot be sent is replaced by
    the next one."""

    def __init__(
        self,
        settings: config.ShovelerSettings,
        reader: SpoolReader,
        version: str,
        confirmed_upto: Callable[[], int] = lambda: 0,
    ) -> None:
        """`confirmed_upto`: the SEQ up to which the bus has confirmed everything; the spool follows a moment later."""
        self._reader = reader
        self._version = version
        self._confirmed_upto = confirmed_upto
        self._requests = Requests(self._subscribe, "the status")
        self._publisher: Publisher | None = None
        self._not_before = 0.0
        self._number = 0
        self._sent = -1e9
        self.use(settings)

    def use(self, settings: config.ShovelerSettings) -> None:
        """New settings."""
        self.close()
        self._settings = settings
        over_stomp = config.bus_address(settings).kind == "stomp"  # nobody could ask there, or tell it from a datagram
        self._exchange = "" if over_stomp else settings.status_exchange
        self._interval = settings.status_interval

    def beat(self, now: float, health: Health, *, connected: bool) -> None:
        """Send one when it is due and the bus is available; called once a second, which keeps heartbeats going."""
        self._keep_alive()
        if not self._exchange or not connected or now < self._not_before:
            return
        if now - self._sent >= self._interval - 0.5 * _BEAT:
            self._sent = now
            self.send(health)

    def send(self, health: Health, *, last: bool = False) -> None:
        """Send one now. The last one is sent only over an open connection, and waits for its outcome."""
        if not self._exchange or (last and self._publisher is None):
            return
        try:
            if self._publisher is None:
                self._publisher = open_publisher(
                    config.bus_address(self._settings),
                    exchange=self._exchange,
                    writer=self._reader.id,
                    options=config.bus_options(self._settings),
                )
            self._number += 1
            message = self.message()
            # Nobody may be listening: whatever the outcome, the next one says more.
            body = encode_status(message)
            if self._publisher.room:
                self._publisher.send([Outgoing(body, f"status:{self._number}", routing_key(message))])
            self._publisher.outcomes(0.5 if last else 0.0)
        except BusError as error:
            self._lost(error)
        health.detail("status_messages", self._number)

    def answer(self, health: Health) -> None:
        """Send one if it was requested. Cheap, to be called often."""
        if self._exchange and self._requests.due(connected=self._publisher is not None):
            self.send(health)

    def _subscribe(self) -> Consumer:
        return open_subscription(
            config.bus_address(self._settings),
            exchange=self._exchange,
            binding=ASK,
            reader=f"{config.PROGRAM} {self._reader.id}",
            options=config.bus_options(self._settings),
        )

    def _keep_alive(self) -> None:
        if self._publisher is None:
            return
        try:
            self._publisher.outcomes(0.0)
            if self._publisher.token_changed():
                self.close()  # the next one is sent with the new token
        except BusError as error:
            self._lost(error)

    def _lost(self, error: BusError) -> None:
        self.close()
        self._not_before = time.monotonic() + _STATUS_RETRY
        _log.warning("! no status messages for now: %s", error)

    def message(self) -> ShovelerStatus:
        """The status as the spool has it."""
        reader = self._reader
        with reader.at_once():
            totals, size = reader.totals()
            return ShovelerStatus(
                id=reader.id,
                started=reader.started,
                t=time.time(),
                host=socket.gethostname(),
                version=self._version,
                senders=reader.senders(),
                kernel_drops=totals.kernel_drops,
                positions=reader.positions(self._confirmed_upto()),
                drops=reader.drops(),
                refusals=reader.refusals(),
                fragments=reader.fragments(),
                spool_bytes=size,
                oldest=reader.oldest(),
                spool_free=_free(self._settings.spool_dir),
            )

    def close(self) -> None:
        """Hang up."""
        self._requests.close()
        if self._publisher is not None:
            self._publisher.close()
            self._publisher = None


def _free(directory: Path) -> int | None:
    """Bytes that the disk of a directory still has; None if it does not say."""
    try:
        disk = os.statvfs(directory)
    except OSError:
        return None
    return disk.f_bavail * disk.f_frsize


def _ending(status: int) -> str:
    return f"killed by signal {-status}" if status < 0 else f"exit code {status}"


def run(settings: config.ShovelerSettings, reload: Callable[[], config.ShovelerSettings]) -> int:
    """Run the daemon in this process; the exit code."""
    setup_logging(settings.log_format, settings.log_level)
    signals, notifier = Signals.install(), Notifier()
    try:
        Daemon(settings, reload, signals, notifier).run()
    except ConfigError as error:
        _log.critical("! %s", error)
        return 2
    except OSError as error:
        _log.critical("! %s", error.strerror or error)  # without its number
        return 1
    except (DaemonError, SpoolError, ValueError) as error:
        _log.critical("! %s", error)
        return 1
    return 0
