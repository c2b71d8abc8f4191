"""A private RabbitMQ node for a lab or a test: its own directory, ports, user and cookie; it leaves nothing behind.

It runs Debian's ``rabbitmq-server`` from RabbitMQ's own ``bin`` directory, because the wrapper on ``PATH`` insists on
the users root or rabbitmq. The node never touches the machine's own broker: it has a different node name, different
ports, its own epmd, and listens on the loopback interface only. `PrivateBroker.attach` finds a node that another
process started.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from agent.lab.pids import start_ticks

_log = logging.getLogger(__name__)

INSTALL_HINT = "RabbitMQ is not installed; install the Debian package rabbitmq-server (apt-get install rabbitmq-server)"
_STATE_FILE = "broker.json"
_LOOPBACK_ONLY = "-kernel inet_dist_use_interface {127,0,0,1}"
_POLL = 0.02
_LOWEST_PORT = 10_240


class BrokerError(Exception):
    """The private broker cannot do what was requested. The text is one sentence for the operator."""


@dataclass(frozen=True, slots=True)
class _Settings:
    """What must stay the same across restarts, and what another process needs to attach."""

    node: str
    port: int
    dist_port: int
    epmd_port: int
    user: str
    password: str


class PrivateBroker:
    """One RabbitMQ node living in `directory`, which is created and holds its data, logs, configuration and secrets.

    `port` 0 takes a free one and keeps it across restarts. With `die_with_parent` the node is killed by the kernel when
    the thread that called `start` ends, however it ends (for tests; Linux with util-linux's ``setpriv``).
    `extra_config` is appended to rabbitmq.conf; `plugins` are enabled.
    """

    def __init__(
        self,
        directory: Path,
        port: int = 0,
        *,
        die_with_parent: bool = False,
        extra_config: str = "",
        plugins: Sequence[str] = (),
    ) -> None:
        self.directory = Path(directory).resolve()
        self._port_wish = port
        self._die_with_parent = die_with_parent
        self._extra_config = extra_config
        self._plugins = tuple(plugins)
        self._settings: _Settings | None = None
        self._broker = _Process("RabbitMQ")
        self._epmd = _Process("epmd")

    @classmethod
    def attach(cls, directory: Path) -> PrivateBroker:
        """The broker that some process started in `directory`. Raises BrokerError when there is none."""
        broker = cls(directory)
        try:
            state = json.loads((broker.directory / _STATE_FILE).read_text())
        except FileNotFoundError:
            raise BrokerError(f"no private broker was started in {broker.directory}") from None
        broker._settings = _Settings(**state["settings"])
        broker._broker.adopt(state["pid"], state["started"])
        broker._epmd.adopt(state["epmd_pid"], state["epmd_started"])
        return broker

    # -- what callers need to know ---------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """``amqp://USER:PASSWORD@127.0.0.1:PORT/``. Valid once `start` was called, and the same after each restart."""
        s = self._known()
        return f"amqp://{s.user}:{s.password}@127.0.0.1:{s.port}/"

    @property
    def port(self) -> int:
        return self._known().port

    @property
    def user(self) -> str:
        return self._known().user

    @property
    def password(self) -> str:
        return self._known().password

    @property
    def pid(self) -> int | None:
        """The Erlang machine, or None if it is not running."""
        return self._broker.pid

    @property
    def pids(self) -> list[int]:
        """Every process that must be gone when the node is stopped (children of these end with them)."""
        return [pid for pid in (self._broker.pid, self._epmd.pid) if pid is not None]

    @property
    def running(self) -> bool:
        """Whether it answers AMQP now."""
        return self._broker.pid is not None and self._settings is not None and _speaks_amqp(self._settings.port)

    @property
    def log_directory(self) -> Path:
        return self.directory / "log"

    # -- life ------------------------------------------------------------------------------------------------------

    def start(self, timeout: float = 120.0) -> None:
        """Start the node and wait until it speaks AMQP. Data of an earlier run in the same directory is kept.

        Raises BrokerError when RabbitMQ is missing, dies, is not ready after `timeout` seconds, or has no room.
        """
        if self._broker.pid is not None:
            raise BrokerError(f"the private broker in {self.directory} is already running (pid {self._broker.pid})")
        try:
            self._start(time.monotonic() + timeout)
        except OSError as error:
            self.kill()
            raise BrokerError(f"its files in {self.directory} cannot be written ({error.strerror})") from error
        except BrokerError:
            self.kill()
            raise

    def _start(self, deadline: float) -> None:
        server = _bin_directory() / "rabbitmq-server"
        self._prepare()
        if _accepts(self.port):  # or the other program's answer would be mistaken for ours
            raise BrokerError(f"port {self.port} is taken by another program; choose another one for the broker")
        if self._epmd.pid is None:
            self._start_epmd(deadline)
        self._broker.start(self._command([str(server)]), self._environment(), self.directory / "start.log")
        self._write_state()
        self._wait_ready(deadline)

    def stop(self, timeout: float = 20.0) -> None:
        """Stop the node normally (kill it if that takes longer than `timeout` seconds), and its epmd."""
        self._broker.end(signal.SIGTERM, timeout)
        self._epmd.end(signal.SIGTERM, 5.0)
        self._note_the_end()

    def kill(self) -> None:
        """``kill -9``: the node has no chance to write anything. `start` restarts it with what was on disk."""
        self._broker.end(signal.SIGKILL, 5.0)
        self._epmd.end(signal.SIGKILL, 5.0)
        self._note_the_end()

    def restart(self, timeout: float = 120.0) -> None:
        """`stop`, then `start`."""
        self.stop()
        self.start(timeout)

    def stop_app(self) -> None:
        """Stop RabbitMQ inside the Erlang machine: connections are closed and refused, as when a broker is upgraded."""
        self.ctl("stop_app")

    def start_app(self, timeout: float = 180.0) -> None:
        """Undo `stop_app`, and wait until it speaks AMQP."""
        deadline = time.monotonic() + timeout
        self.ctl("start_app", timeout=timeout)
        self._wait_ready(deadline)

    def ctl(self, *arguments: str, timeout: float = 180.0) -> str:
        """``rabbitmqctl ARGUMENTS`` on this node; returns its output. Raises BrokerError with the error output if it
        fails."""
        command = [str(_bin_directory() / "rabbitmqctl"), "--quiet", *arguments]
        try:
            done = subprocess.run(
                command,
                env=self._environment(),
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise BrokerError(f"rabbitmqctl {arguments[0]} did not end within {timeout:g} s") from None
        if done.returncode != 0:
            said = " ".join((done.stderr or done.stdout).split())
            raise BrokerError(f"rabbitmqctl {arguments[0]} failed with code {done.returncode}: {said}")
        return done.stdout

    def __enter__(self) -> PrivateBroker:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    # -- how -------------------------------------------------------------------------------------------------------

    def _known(self) -> _Settings:
        if self._settings is None:
            raise BrokerError("the private broker was never started, so its address is not known yet")
        return self._settings

    def _prepare(self) -> None:
        """Directory, secrets and configuration; on a restart only the configuration is written again."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        if self._settings is None:
            port, dist_port, epmd_port = _free_ports(3)
            self._settings = _Settings(
                node=f"tally-{secrets.token_hex(4)}@localhost",
                port=self._port_wish or port,
                dist_port=dist_port,
                epmd_port=epmd_port,
                user="tally",
                password=secrets.token_hex(12),
            )
        settings = self._settings
        _write_secret(
            self.directory / "rabbitmq.conf",
            f"listeners.tcp.1 = 127.0.0.1:{settings.port}\n"
            f"default_user = {settings.user}\n"
            f"default_pass = {settings.password}\n"
            "default_user_tags.administrator = true\n"
            "log.console = false\n"
            "log.file.level = info\n"
            f"{self._extra_config}\n",
        )
        (self.directory / "enabled_plugins").write_text(f"[{','.join(self._plugins)}].\n")
        (self.directory / "rabbitmq-env.conf").write_text("")  # else the machine's own one would be read
        self._choose_plugins()
        cookie = self.directory / ".erlang.cookie"
        if not cookie.exists():  # the VM requires that nobody else can read it
            _write_secret(cookie, secrets.token_hex(20))

    def _choose_plugins(self) -> None:
        """A plugin directory with RabbitMQ itself alone, unless plugins are wanted: parsing what 50 unused ones declare
        takes 1.5 s."""
        chosen = self.directory / "plugins"
        chosen.mkdir(exist_ok=True)
        for old in chosen.iterdir():
            old.unlink()
        for core in ((_bin_directory() / "rabbitmq-env").resolve().parent.parent / "plugins").glob(
            "*" if self._plugins else "rabbit-[0-9]*"
        ):
            (chosen / core.name).symlink_to(core)

    def _environment(self) -> dict[str, str]:
        """The node's whole environment: no RABBITMQ_… or ERL_… variable of the caller reaches it."""
        s = self._known()
        at = self.directory
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("RABBITMQ_", "ERL_", "NOTIFY_"))}
        return inherited | {
            "HOME": str(at),  # where the Erlang cookie is
            "ERL_EPMD_PORT": str(s.epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_CRASH_DUMP_SECONDS": "0",  # a dump takes seconds and is useless to a site admin
            "RABBITMQ_NODENAME": s.node,
            "RABBITMQ_DIST_PORT": str(s.dist_port),
            "RABBITMQ_CONF_ENV_FILE": str(at / "rabbitmq-env.conf"),
            "RABBITMQ_CONFIG_FILE": str(at / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(at / "enabled_plugins"),
            "RABBITMQ_PLUGINS_DIR": str(at / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(at / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.log_directory),
            "RABBITMQ_PID_FILE": str(at / "rabbitmq.pid"),
            # The start script then execs the VM instead of forking it, so that our child's pid is the VM's.
            "RABBITMQ_ALLOW_INPUT": "1",
            "RABBITMQ_SERVER_START_ARGS": "-noinput",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": _LOOPBACK_ONLY,
            "RABBITMQ_CTL_ERL_ARGS": _LOOPBACK_ONLY,
        }

    def _command(self, command: list[str]) -> list[str]:
        setpriv = shutil.which("setpriv") if self._die_with_parent else None
        return [setpriv, "--pdeathsig", "KILL", *command] if setpriv else command

    def _start_epmd(self, deadline: float) -> None:
        """Our own epmd as our own child: the one that Erlang starts by itself is a daemon that never ends."""
        port = self._known().epmd_port
        epmd = shutil.which("epmd")
        if epmd is None:
            raise BrokerError(INSTALL_HINT)
        command = [epmd, "-port", str(port), "-address", "127.0.0.1"]
        self._epmd.start(self._command(command), self._environment(), self.directory / "epmd.log")
        while not _accepts(port):
            self._epmd.must_live(self.directory / "epmd.log")
            if time.monotonic() > deadline:
                raise BrokerError("epmd did not start in time")
            time.sleep(_POLL)

    def _wait_ready(self, deadline: float) -> None:
        port = self._known().port
        while not _speaks_amqp(port):
            self._broker.must_live(self.directory / "start.log")
            if time.monotonic() > deadline:
                raise BrokerError(f"RabbitMQ was not ready in time; its logs are in {self.log_directory}")
            time.sleep(_POLL)

    def _note_the_end(self) -> None:
        """It must be possible to stop it even when the disk is full: a reader of the old file sees that its pids are
        gone."""
        if self._settings is None:
            return
        try:
            self._write_state()
        except OSError as error:
            _log.warning("! the broker's state file is not up to date: %s", error)

    def _write_state(self) -> None:
        state = {
            "settings": asdict(self._known()),
            "pid": self._broker.pid,
            "started": self._broker.started,
            "epmd_pid": self._epmd.pid,
            "epmd_started": self._epmd.started,
        }
        _write_secret(self.directory / _STATE_FILE, json.dumps(state))


class _Process:
    """A child of ours, or a process that an earlier run of ours left: ended by pid, never by name."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._child: subprocess.Popen[bytes] | None = None
        self._pid: int | None = None
        self.started: int | None = None
        """Start time in kernel ticks: distinguishes our process from a later one with the same pid."""

    @property
    def pid(self) -> int | None:
        if self._child is not None and self._child.poll() is not None:
            self._child = self._pid = self.started = None
        if self._pid is not None and self._child is None and start_ticks(self._pid) != self.started:
            self._pid = self.started = None
        return self._pid

    def adopt(self, pid: int | None, started: int | None) -> None:
        self._pid, self.started = pid, started

    def start(self, command: list[str], environment: dict[str, str], log: Path) -> None:
        with log.open("wb") as out:
            self._child = subprocess.Popen(
                command,
                env=environment,
                cwd=log.parent,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in a terminal is for us; we stop it in our own order
            )
        self._pid = self._child.pid
        self.started = start_ticks(self._pid)

    def must_live(self, log: Path) -> None:
        if self.pid is None:
            said = " ".join(log.read_text(errors="replace").split())[-400:]
            raise BrokerError(f"{self._name} ended while it was starting; it said: {said or 'nothing'}")

    def end(self, sig: signal.Signals, timeout: float) -> None:
        pid = self.pid
        if pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, sig)
        if not self._gone(timeout):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            if not self._gone(10.0):
                raise BrokerError(f"{self._name} (pid {pid}) does not end, even after kill -9")

    def _gone(self, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        while self.pid is not None:
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL)
        return True


def _bin_directory() -> Path:
    """RabbitMQ's own scripts. Raises BrokerError, naming the package, when they are not there."""
    candidates = [Path("/usr/lib/rabbitmq/bin"), *sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin"))]
    on_path = shutil.which("rabbitmq-server")
    if on_path is not None:
        candidates.append(Path(on_path).resolve().parent)
    for candidate in candidates:
        # rabbitmq-env beside it distinguishes RabbitMQ's own directory from that of a distribution's wrapper.
        if (candidate / "rabbitmq-server").exists() and (candidate / "rabbitmq-env").exists():
            return candidate
    raise BrokerError(INSTALL_HINT)


def _free_ports(count: int) -> list[int]:
    """Free ports below those that the kernel uses for outgoing connections: while a node is away for a minute, one of
    these would sooner or later get its port, even that of a client that tries to reach it (seen)."""
    try:
        first_given = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        first_given = 32768  # Linux's own
    candidates = list(range(_LOWEST_PORT, first_given)) or list(range(_LOWEST_PORT, 65536))
    found: list[int] = []
    with contextlib.ExitStack() as stack:
        for port in random.sample(candidates, len(candidates)):
            s = stack.enter_context(socket.socket())
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue  # in use
            found.append(port)
            if len(found) == count:
                return found
    raise BrokerError(f"no {count} ports of 127.0.0.1 are free")


def _accepts(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0):
            return True
    except OSError:
        return False


def _speaks_amqp(port: int) -> bool:
    """Whether the start of an AMQP 0-9-1 connection is answered by a method frame (type 1)."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2.0) as s:
            s.sendall(b"AMQP\x00\x00\x09\x01")
            return s.recv(1) == b"\x01"
    except OSError:
        return False


def _write_secret(path: Path, text: str) -> None:
    """Written to a temporary file and renamed, so that a reader sees all of it or nothing, and 0600 from the start."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(text)
    new.replace(path)
