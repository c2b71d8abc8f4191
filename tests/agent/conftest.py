"""A hub to test against: a real websocket server that checks what a hub checks, and does what the test says."""

from __future__ import annotations

import asyncio
import http
import os
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from agent import connection, keys
from agent.lab.authority import Authority, write_private
from agent.messages import (
    AUDIENCE,
    SUBPROTOCOL,
    Acknowledge,
    Done,
    Journal,
    Message,
    PersonalKey,
    Registered,
    Welcome,
    certificate_pin,
    decode_from_agent,
    encode,
)
from tests.ports import free_port

KEY = "the shared key of the tests, long enough"
DEADLINE = 30.0


def make_certificate(directory: Path, name: str = "hub") -> tuple[Path, str]:
    """(PEM file with key and certificate, pin)."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = directory / f"{name}.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path, certificate_pin(certificate.public_bytes(serialization.Encoding.DER))


class HubDouble:
    """Speaks the hub's side. `received` is all that came in sessions, `lines` the journal as a hub stores it."""

    def __init__(self) -> None:
        self.port = 0
        self.secure = False
        self.received: list[Message] = []
        self.registrations: list[tuple[dict[str, Any], Message]] = []
        self.journal_id = ""
        self.lines: list[Any] = []
        self.acknowledging = True
        self.refuse: tuple[int, str] | None = None
        self.refuse_headers: dict[str, str] = {}
        self.personal_key: PersonalKey | None = None
        self.keys: dict[str, str] = {"": KEY}
        self.invitations: set[str] = set()
        self.sockets: list[ServerConnection] = []
        self.sessions = 0
        self.bytes_before_tls = 0
        self.welcome_acknowledged: int | None = None
        self._ids: dict[str, str] = {}
        self._news = asyncio.Condition()

    @property
    def url(self) -> str:
        return f"{'wss' if self.secure else 'ws'}://127.0.0.1:{self.port}"

    async def _gate(self, connection: ServerConnection, request: Any) -> Any:
        if self.refuse is not None:
            response = connection.respond(http.HTTPStatus(self.refuse[0]), self.refuse[1])
            for name, value in self.refuse_headers.items():
                response.headers.pop(name, None)
                response.headers[name] = value
            return response
        parts = urlsplit(request.path)
        if parts.path == "/register":
            bearer = request.headers["Authorization"].removeprefix("Bearer ")
            if bearer in self.invitations:
                self.invitations.discard(bearer)
                connection.claims = {"scope": "join"}  # type: ignore[attr-defined]
                return None
            try:
                kid = jwt.get_unverified_header(bearer).get("kid", "")
                connection.claims = jwt.decode(  # type: ignore[attr-defined]
                    bearer,
                    self.keys[kid].encode(),
                    algorithms=["HS256"],
                    audience=AUDIENCE,
                    options={"require": ["exp", "iat", "jti", "sub"]},
                ) | {"kid": kid}
            except (jwt.PyJWTError, KeyError) as error:
                return connection.respond(http.HTTPStatus.UNAUTHORIZED, f"bad token: {error}\n")
        elif self._ids.pop(parse_qs(parts.query).get("client_id", [""])[0], None) is None:
            return connection.respond(http.HTTPStatus.UNAUTHORIZED, "unknown or used client_id\n")
        return None

    async def _handle(self, connection: ServerConnection) -> None:
        if connection.request.path == "/register":
            register = decode_from_agent(await connection.recv())
            self.registrations.append((connection.claims, register))  # type: ignore[attr-defined]
            self._ids["secret id/+"] = register.journal
            await connection.send(encode(Registered("secret id/+")).decode())
            return
        register = self.registrations[-1][1]  # type: ignore[assignment]
        known = self.lines[-1].n if self.lines and register.journal == self.journal_id else 0
        self.sessions += 1
        self.sockets.append(connection)
        if self.welcome_acknowledged is not None:
            known = self.welcome_acknowledged
        await connection.send(
            encode(
                Welcome(
                    "public", "0", time.time(), heartbeat=0.2, journal=register.journal, acknowledged=known,
                    personal_key=self.personal_key,
                )
            ).decode()
        )  # fmt: skip
        self.personal_key = None
        try:
            async for data in connection:
                await self._take(connection, decode_from_agent(data))
        except ConnectionClosed:
            pass
        finally:
            self.sockets.remove(connection)
            async with self._news:
                self._news.notify_all()

    async def _take(self, connection: ServerConnection, message: Message) -> None:
        if isinstance(message, Journal):
            if message.journal != self.journal_id:
                self.journal_id, self.lines = message.journal, []
            for line in message.lines:
                expected = self.lines[-1].n + 1 if self.lines else line.n
                assert line.n <= expected, f"line {line.n} leaves a hole after {expected - 1}"
                if line.n == expected:
                    self.lines.append(line)
            if self.acknowledging:
                await connection.send(encode(Acknowledge(message.journal, message.lines[-1].n)).decode())
        async with self._news:
            self.received.append(message)
            self._news.notify_all()

    async def say(self, message: Message) -> None:
        await self.sockets[-1].send(encode(message).decode())

    async def until(self, true: Callable[[], object], what: str) -> Any:
        """Wait until `true()` is; fails with `what` at the deadline."""
        async with self._news:
            try:
                async with asyncio.timeout(DEADLINE):
                    while not (value := true()):
                        await self._news.wait()
            except TimeoutError:
                pytest.fail(f"no {what} within {DEADLINE:.0f} s; received: {self.received[-10:]}")
        return value

    async def next(self, kind: type, **fields: Any) -> Any:
        """The first message of a kind with these fields, waiting for it."""

        def found() -> Message | None:
            for message in self.received:
                if isinstance(message, kind) and all(getattr(message, k) == v for k, v in fields.items()):
                    return message
            return None

        return await self.until(found, f"{kind.__name__} {fields}")

    async def in_session(self) -> None:
        await self.until(lambda: self.sockets, "session")

    def done(self) -> list[Done]:
        return [line for line in self.lines if isinstance(line, Done)]

    def cut(self) -> None:
        """The network goes, without a goodbye."""
        for one in self.sockets:
            one.transport.abort()

    @asynccontextmanager
    async def up(self, pem: Path | None = None) -> AsyncIterator[HubDouble]:
        context = None
        if pem is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pem)
        self.secure = pem is not None
        async with serve(
            self._handle,
            "127.0.0.1",
            self.port,
            ssl=context,
            subprotocols=[SUBPROTOCOL],  # type: ignore[list-item]
            process_request=self._gate,
            max_size=4 * 1024 * 1024,
            close_timeout=0.5,
        ) as server:
            self.port = server.sockets[0].getsockname()[1]
            yield self


@pytest.fixture
async def hub() -> AsyncIterator[HubDouble]:
    """A hub on ws://127.0.0.1."""
    async with HubDouble().up() as double:
        yield double


@asynccontextmanager
async def _linked(hub: HubDouble, role: connection.Role, name: str, scope: str) -> AsyncIterator[connection.State]:
    address = connection.parse_hub(hub.url, insecure=True)
    credentials = keys.Credentials(name, scope, key=KEY)
    state = connection.State()

    async def soon(seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.05))

    link = asyncio.get_running_loop().create_task(
        connection.stay(address, connection.Trust(address), credentials.token, role, state=state, sleep=soon),
        name="link",
    )
    try:
        yield state
    finally:
        link.cancel()
        await asyncio.gather(link, return_exceptions=True)


@pytest.fixture
def linked() -> Any:
    """``async with linked(hub, role, "c1", "client")``: the role in session, coming back at once after a cut."""
    return _linked


@pytest.fixture
def eventually() -> Any:
    """``await eventually(lambda: …, "what")``: for what announces itself to nobody."""

    async def wait(true: Callable[[], object], what: str = "") -> Any:
        deadline = time.monotonic() + DEADLINE
        while not (value := true()):
            assert time.monotonic() < deadline, f"not within {DEADLINE:.0f} s: {what}"
            await asyncio.sleep(0.01)
        return value

    return wait


@pytest.fixture
def hub_double() -> type[HubDouble]:
    """The class, for tests that need TLS, or a hub that comes and goes."""
    return HubDouble


@pytest.fixture
def certificate(tmp_path: Path) -> Callable[[str], tuple[Path, str]]:
    return lambda name="hub": make_certificate(tmp_path, name)  # type: ignore[misc]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB; the test is skipped where none can be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


# ---------------------------------------------------------------- a real server


@dataclass
class XrootdServer:
    """A real XRootD server with files under /store."""

    url: str
    root: Path
    process: subprocess.Popen[bytes]
    monitoring: socket.socket
    """Where its datagrams arrive."""
    ca: str
    """The certificate (PEM) of the authority that has signed its own."""

    def over(self, protocol: str) -> str:
        """Its URL over another protocol: all are at one port."""
        return f"{protocol}://{self.url.partition('://')[2]}"

    def datagrams(self) -> list[bytes]:
        """The monitoring datagrams that have arrived since the last call."""
        found = []
        try:
            while True:
                found.append(self.monitoring.recv(65536))
        except BlockingIOError:
            return found

    def add(self, path: str, size: int) -> bytes:
        """A file of this size; returns its content."""
        content = os.urandom(size)
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        if os.getuid() == 0:
            for one in (file, *file.parents):
                if one == self.root:
                    break
                shutil.chown(one, "xrootd")
        return content


@contextmanager
def running_xrootd(instance: str = "t", more: str = "", words: str = "xfr 1") -> Iterator[XrootdServer]:
    """A server of this name, with these further lines in its configuration, and these `words` in its monitoring
    line."""
    with tempfile.TemporaryDirectory(prefix="tally-agent-test-") as name:
        base = Path(name)
        for part in ("data/store", "adm"):
            (base / part).mkdir(parents=True)
        port = free_port()
        monitoring = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        monitoring.bind(("127.0.0.1", 0))
        monitoring.setblocking(False)
        config = base / "xrootd.cfg"
        authority = Authority()
        certificate, key = authority.sign("test", server=True)
        (base / "ca.pem").write_bytes(authority.certificate)
        (base / "server.pem").write_bytes(certificate)
        write_private(base / "server.key", key)
        config.write_text(
            f"all.role server\nxrd.port {port}\noss.localroot {base}/data\nall.export /\n"
            f"all.adminpath {base}/adm\nall.pidpath {base}/adm\nxrootd.async off\n"
            f"xrd.tls {base}/server.pem {base}/server.key\nxrd.tlsca certfile {base}/ca.pem\n"
            "xrd.protocol http libXrdHttp.so\nxrootd.chksum adler32\n"
            f"xrootd.monitor all flush 1s window 1s ident 1h fstat 1s lfn ops {words} "
            f"dest fstat info user 127.0.0.1:{monitoring.getsockname()[1]}\n{more}"
        )
        base.chmod(0o755)
        as_root = os.getuid() == 0
        if as_root:
            account = pwd.getpwnam("xrootd")
            for path in (base, *base.rglob("*")):
                os.chown(path, account.pw_uid, account.pw_gid)
        log = base / "xrootd.log"
        command = ["xrootd", *(["-R", "xrootd"] if as_root else []), "-c", str(config), "-n", instance, "-l", str(log)]

        def start() -> subprocess.Popen[bytes]:
            return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        process = start()
        try:
            deadline = time.monotonic() + DEADLINE
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    if process.poll() == -signal.SIGSEGV:  # seen of XRootD 5.5.3, rarely
                        process = start()
                    assert process.poll() is None, f"xrootd ended at start: {log.read_text()[-2000:]}"
                    assert time.monotonic() < deadline, "xrootd does not listen"
                    time.sleep(0.05)
            ca = authority.certificate.decode()
            yield XrootdServer(f"root://127.0.0.1:{port}", base / "data", process, monitoring, ca)
        finally:
            monitoring.close()
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture(scope="module")
def xrootd() -> Iterator[XrootdServer]:
    with running_xrootd() as server:
        yield server


@pytest.fixture
def start_xrootd() -> Iterator[Callable[..., XrootdServer]]:
    """``start_xrootd("s2", "all.sitename A\n")``: more servers, each with a name and further lines of configuration."""
    with ExitStack() as stack:
        yield lambda *said, **named: stack.enter_context(running_xrootd(*said, **named))
