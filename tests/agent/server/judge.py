"""What a real xrootd does with a configuration: the judge of the linter.

A configuration is one text, or several files in one text that ``#@ NAME`` lines part; the first is the one that xrootd
is started with. In it @BASE@ stands for the site's directory, @PORT@ for the server's port, @SINK@ for HOST:PORT of the
monitoring sink and @SINKPORT@ for its port, @ORIGIN@ for another server with the same files, @CR@ and @BOM@ for a
carriage return and a byte order mark. ``TALLY_XROOTD=PREFIX`` takes another installation than the machine's.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.ports import free_port

START_SECONDS = 30.0
FILLING = 90.0
"""Seconds within which one datagram must have become full."""
LONG = "/store/" + "long-" * 50 + "/file"
"""A path that fills a datagram with few opens: the largest must be full before the server's interval is over."""
CONTENT = 400_000
PIECE = 200_000
"""More than the 98,304 bytes from which on a proxy reads asynchronously."""
PATIENCE = 10.0
SILENCE = 3.0
"""How long to listen for closes that are not expected; they would come within two seconds."""
ROOM = 400
"""No record here is longer."""


def program() -> str | None:
    """The xrootd to ask, None when this machine has none."""
    prefix = os.environ.get("TALLY_XROOTD")
    return str(Path(prefix, "bin", "xrootd")) if prefix else shutil.which("xrootd")


def environment() -> dict[str, str]:
    prefix = os.environ.get("TALLY_XROOTD")
    if not prefix:
        return dict(os.environ)
    libraries = [str(Path(prefix, name)) for name in ("lib", "lib64") if Path(prefix, name).is_dir()]
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(libraries)}


def release() -> tuple[int, ...]:
    """The release of the xrootd that is asked: (5, 5, 3)."""
    found = subprocess.run([program() or "", "-v"], env=environment(), capture_output=True, text=True, check=False)
    numbers = re.search(r"(\d+)\.(\d+)\.(\d+)", found.stdout + found.stderr)
    assert numbers, f"{program()} -v says no release: {found.stdout}{found.stderr}"
    return tuple(int(n) for n in numbers.groups())


@dataclass
class Judgement:
    """What one server did. `largest` are the bytes of its largest f datagram."""

    starts: bool
    dies: bool = False
    asked: int = 0
    """Bytes that the client read."""
    opens: int = 0
    closes: int = 0
    read: int = 0
    """Bytes in close records."""
    largest: int = 0
    nameless: int = 0
    """Opens without a name, neither their own nor a d record's."""
    log: str = ""

    def take(self, datagrams: list[bytes]) -> None:
        named = {datagram[8:12] for datagram in list(datagrams) if datagram[:1] == b"d"}
        for datagram in list(datagrams):
            if datagram[:1] != b"f":
                continue
            self.largest = max(self.largest, len(datagram))
            at = 8
            while at + 4 <= len(datagram):
                kind, flags, size = struct.unpack_from(">BBH", datagram, at)
                if kind == 0:
                    self.closes += 1
                    self.read += int(struct.unpack_from(">Q", datagram, at + 8)[0])
                elif kind == 1:
                    self.opens += 1
                    self.nameless += not flags & 1 and datagram[at + 4 : at + 8] not in named
                at += max(size, 4)

    def words(self, asked: set[str]) -> set[str]:
        """The same as words of the corpus, as many as were asked for."""
        if not self.starts:
            return {"does not start"}
        if self.dies:
            return {"dies"}
        made = {"starts"}
        if "redirects" in asked:
            return made | {"redirects"}
        made.add("closes" if self.closes else "no closes")
        if asked & {"named", "nameless"}:
            made.add("named" if self.opens and not self.nameless else "nameless")
        if asked & {"counted", "not counted"}:
            made.add("counted" if self.read == self.asked else "not counted")
        for word in asked:
            if word.startswith("largest"):
                most = int(word.split()[1])
                # A datagram is full when the next record does not fit: one is never much smaller than it may be.
                made.add(word if most - ROOM <= self.largest <= most else f"largest {self.largest}")
        return made


class Sink:
    """Takes monitoring datagrams on a loopback port, in a thread of its own."""

    def __init__(self) -> None:
        self.datagrams: list[bytes] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.1)
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._take, daemon=True)
        self._thread.start()

    def _take(self) -> None:
        while not self._ended.is_set():
            try:
                self.datagrams.append(self._socket.recv(65536))
            except TimeoutError:
                continue

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        self._socket.close()


def files_of(text: str) -> list[tuple[str, str]]:
    """The files of a configuration's text: name and text, that of the server's own file first."""
    parts = re.split(r"(?m)^#@ (\S+)\n", text)
    return [("xrootd.cfg", parts[0]), *zip(parts[1::2], parts[2::2], strict=True)]


def placed(text: str, base: Path, *, port: int, sink: str, origin: str) -> Path:
    """Writes a configuration's files below `base`; returns the one to start with."""
    words = {
        "@BASE@": str(base),
        "@BOM@": "\ufeff",
        "@CR@": "\r",
        "@PORT@": str(port),
        "@PORT2@": str(port + 1),
        "@SINKPORT@": sink.rpartition(":")[2],
        "@SINK@": sink,
        "@ORIGIN@": origin,
    }
    for name, content in files_of(text):
        for word, value in words.items():
            content = content.replace(word, value)
        file = base / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return base / "xrootd.cfg"


ORIGIN_CONFIGURATION = """all.role server
xrd.port @PORT@
all.adminpath @BASE@/adm
all.pidpath @BASE@/adm
oss.localroot @BASE@/data
all.export /
"""


class Server:
    """A real xrootd, in a directory of its own, for the length of a `with`; `starts` says whether it did."""

    def __init__(
        self,
        text: str = ORIGIN_CONFIGURATION,
        *,
        sink: str = "127.0.0.1:9",
        origin: str = "127.0.0.1:9",
        instance: str = "t",
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="tally-judge-", ignore_cleanup_errors=True)
        self.base = Path(self._directory.name)
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        config = placed(text, self.base, port=self.port, sink=sink, origin=origin)
        for part in ("data/store", "adm", "cache"):
            (self.base / part).mkdir(parents=True, exist_ok=True)
        for path in ("/store/file", LONG):
            (self.base / f"data{path}").parent.mkdir(exist_ok=True)
            (self.base / f"data{path}").write_bytes(bytes(CONTENT))
        self.base.chmod(0o755)
        user = []
        if os.getuid() == 0:
            account = pwd.getpwnam("xrootd")
            for path in (self.base, *self.base.rglob("*")):  # type: ignore[assignment]
                os.chown(path, account.pw_uid, account.pw_gid)
            user = ["-R", "xrootd"]
        command = [program() or "xrootd", *user, "-c", str(config), "-n", instance, "-l", str(self.base / "xrootd.log")]
        self.process = subprocess.Popen(
            command,
            cwd=self.base,
            env={**environment(), **(env or {})},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.starts = False

    def __enter__(self) -> Server:
        deadline = time.monotonic() + START_SECONDS
        # It listens long before it knows whether it will start.
        while self.process.poll() is None and time.monotonic() < deadline and not self.starts:
            self.starts = re.search(r"-- xrootd \S+ initialization completed", self.log) is not None
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self._directory.cleanup()

    @property
    def log(self) -> str:
        return "\n".join(file.read_text("utf-8", "replace") for file in self.base.rglob("xrootd.log"))


def judge(
    text: str,
    *,
    expected: set[str],
    instance: str = "t",
    origin: str = "127.0.0.1:9",
    env: Mapping[str, str] | None = None,
) -> Judgement:
    """Start a server with this configuration, read a file, and say what came of it.

    `expected` says how long to wait, and whether to open as many files as the largest datagram needs."""
    sink = Sink()
    try:
        with Server(text, sink=sink.address, origin=origin, instance=instance, env=env) as server:
            result = Judgement(server.starts)
            if server.starts and "redirects" not in expected:
                most = [int(word.split()[1]) for word in expected if word.startswith("largest")]
                result.asked = _fill(server.port, sink, most[0]) if most else _read(server.port, "/store/file", PIECE)
                _await_closes(sink, result.asked, PATIENCE if "closes" in expected else SILENCE)
            result.dies = server.starts and server.process.poll() is not None
            result.take(sink.datagrams)
            result.log = server.log
            return result
    finally:
        sink.close()


def _read(port: int, path: str, size: int) -> int:
    """Read from a file; returns the bytes that came."""
    from XRootD import client
    from XRootD.client.flags import OpenFlags

    with client.File() as file:  # type: ignore[attr-defined]
        status, _ = file.open(f"root://127.0.0.1:{port}/{path}", OpenFlags.READ, timeout=5)
        if not status.ok:
            return 0
        status, data = file.read(0, size, timeout=5)
        return len(data or b"")


def _fill(port: int, sink: Sink, most: int) -> int:
    """Read until a datagram is as full as it may be; returns the bytes that came."""
    read = 0
    deadline = time.monotonic() + FILLING
    while time.monotonic() < deadline:
        read += _read(port, LONG, 1000)
        if any(datagram[:1] == b"f" and len(datagram) >= most - ROOM for datagram in list(sink.datagrams)):
            break
    return read


def _await_closes(sink: Sink, asked: int, patience: float) -> None:
    """Until the closes with all bytes that were asked have come, or it is too late for them."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        so_far = Judgement(True)
        so_far.take(sink.datagrams)
        if so_far.closes and so_far.read >= asked:
            return
        time.sleep(0.1)
