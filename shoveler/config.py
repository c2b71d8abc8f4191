"""The settings of the shoveler, and what follows from them."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from shoveler.bus import BusAddress, BusOptions, BusRefusedError, check_tls, parse_bus_address, unpaired
from shoveler.control import Options
from shoveler.intake import check_map
from shoveler.listeners import open_listener
from shoveler.service import Address, ConfigError, Mistake, Schema, Setting, Settings, Value
from shoveler.service.status import EXCHANGE as STATUS_EXCHANGE

PROGRAM = "tally-shoveler"
SAMPLE_HEADING = """\
Settings of tally-shoveler. Each one is shown with its default; remove the # from those you change.
Check them with `tally-shoveler -c FILE --check-config`. Options and TALLY_SHOVELER_… variables take precedence."""
EXCHANGE = "shoveled-xrd"


def version() -> str:
    """The version of this program, as it goes into every envelope."""
    try:
        return metadata.version("xrootd-tally")
    except metadata.PackageNotFoundError:
        return "0"  # run from a plain checkout


def _check_bus(text: str) -> None:
    try:
        parse_bus_address(text, role="sink")
    except BusRefusedError as error:
        raise ValueError(str(error)) from None


def _check_source(text: str) -> None:
    if text and not text.startswith("file:"):
        raise ValueError(f'expected "file:PATH" ("file:-" for standard input), got {text!r}')


class ShovelerSettings(Settings):
    """The settings of this program, with their types."""

    again = Value("again", Settings.boolean)
    batch_linger = Value("batch.linger", Settings.duration)
    batch_max_bytes = Value("batch.max_bytes", Settings.size)
    bus_cert_file = Value("bus.cert_file", Settings.optional_path)
    bus_exchange = Value("bus.exchange", Settings.text)
    bus_heartbeat = Value("bus.heartbeat", Settings.duration)
    bus_key_file = Value("bus.key_file", Settings.optional_path)
    bus_routing_key = Value("bus.routing_key", Settings.text)
    bus_token_file = Value("bus.token_file", Settings.optional_path)
    bus_url = Value("bus.url", Settings.text)
    follow = Value("follow", Settings.boolean)
    forward: Value[list[Address]] = Value("forward", Settings.entries)
    forward_as = Value("forward_as", Settings.text)
    framing = Value("framing", Settings.text)
    listen: Value[list[Address]] = Value("listen", Settings.entries)
    log_format = Value("log.format", Settings.text)
    log_level = Value("log.level", Settings.text)
    ip_map: Value[dict[str, str]] = Value("map", Settings.table)
    metrics = Value("metrics", Settings.optional_address)
    path_mtu = Value("path_mtu", Settings.integer)
    receive_buffer = Value("receive_buffer", Settings.size)
    source = Value("from", Settings.text)
    speed = Value("speed", Settings.text)
    spool_dir = Value("spool.dir", Settings.path)
    spool_max_bytes = Value("spool.max_bytes", Settings.size)
    spool_reserve = Value("spool.reserve", Settings.size)
    status_exchange = Value("status.exchange", Settings.text)
    status_interval = Value("status.interval", Settings.duration)
    verify = Value("verify", Settings.boolean)


SCHEMA = Schema(
    PROGRAM,
    [
        Setting(
            "listen", "list", ["[::]:9993"], "Where XRootD servers send their monitoring (UDP). [::] takes IPv4 and "
            "IPv6, 0.0.0.0 takes IPv4 only. Sockets passed by a socket unit of systemd are used instead.",
            items="address", needs_restart=True,
        ),
        Setting(
            "receive_buffer", "size", "64MiB", "Receive buffer requested from the kernel for each socket.",
            minimum=65536, maximum=2**30, needs_restart=True,
        ),
        Setting("verify", "boolean", True, "Check the header of each datagram; invalid ones are counted and not sent."),
        Setting(
            "path_mtu", "integer", 1500, "Largest IP packet that is not fragmented; larger datagrams are counted.",
            minimum=576, maximum=65535,
        ),
        Setting(
            "forward", "list", [], "Additional UDP targets; each gets a copy of every datagram taken.",
            items="address", metavar="HOST:PORT",
        ),
        Setting(
            "forward_as", "choice", "datagram", "What they get: the datagram itself, or the envelope (JSON) that goes "
            "to the bus, as from the OSG shoveler.", choices=("datagram", "envelope"),
        ),
        Setting(
            "from", "text", "", "Read datagrams from a capture (JSON lines), not from sockets: file:PATH or file:-.",
            metavar="file:PATH", needs_restart=True, check=_check_source,
        ),
        Setting("follow", "boolean", False, "Wait for more lines at the end of the capture.", needs_restart=True),
        Setting("again", "boolean", False, "Start at the beginning of the capture, even if part was taken before.",
                needs_restart=True),
        Setting(
            "speed", "choice", "full", "How fast a capture is replayed: as fast as possible, or as it was captured.",
            choices=("full", "captured"), needs_restart=True,
        ),
        Setting(
            "framing", "choice", "single", "One datagram per message, like the OSG shoveler, or batches (Tally only).",
            choices=("single", "batch"),
        ),
        Setting("metrics", "address", "", "Where /metrics and /healthz are served; empty: nowhere.", optional=True,
                needs_restart=True),
        Setting("spool.dir", "path", "/var/lib/tally-shoveler", "Directory of the spool.", flags=("--spool",),
                metavar="DIR", needs_restart=True),
        Setting("spool.max_bytes", "size", "10GiB", "Maximum size; beyond it datagrams are dropped and counted.",
                minimum=2**20),
        Setting(
            "spool.synchronous", "choice", "normal",
            "When to wait for the disk: normal survives any crash of a program and loses at most a second in a "
            "power cut; full loses nothing but needs one disk flush per commit; off leaves it to the system.",
            choices=("normal", "full", "off"), needs_restart=True,
        ),
        Setting(
            "spool.reserve", "size", "64MiB", "Space reserved on the disk so that a full spool disk can be emptied.",
            maximum=2**32, needs_restart=True,
        ),
        Setting(
            "bus.url", "text", "amqp://guest:guest@localhost:5672/",
            "The message bus: amqp(s)://USER:PASSWORD@HOST:PORT/VHOST, stomp(s)://USER:PASSWORD@HOST:PORT/topic/NAME, "
            "or a directory for the local bus.",
            flags=("--bus",), metavar="URL", check=_check_bus, credential=True,
        ),
        Setting("bus.exchange", "text", "", f"Exchange for the datagrams, if the URL names none [{EXCHANGE}]."),
        Setting("bus.routing_key", "text", "", "Routing key of the messages."),
        Setting("bus.token_file", "path", None, "File with a token that replaces the password; watched for changes.",
                credential=True),
        Setting("bus.ca_file", "path", None, "CA certificates to trust for amqps instead of the system's.",
                credential=True),
        Setting("bus.cert_file", "path", None, "Your own TLS certificate, for brokers that require one.",
                credential=True),
        Setting("bus.key_file", "path", None, "Key of that certificate.", credential=True),
        Setting("bus.heartbeat", "duration", "60s", "Heartbeat of the connection.", minimum=5, maximum=3600),
        # RabbitMQ 4 closes the channel for messages over 16 MiB: the datagrams could then never be published.
        Setting("batch.max_bytes", "size", "512KiB", "Approximate batch size.", minimum=4096, maximum=2**23),
        Setting("batch.linger", "duration", "250ms", "Maximum time that a batch waits for more datagrams.", maximum=60),
        Setting("status.exchange", "text", STATUS_EXCHANGE, "Exchange for status messages; empty: none are sent."),
        Setting("status.interval", "duration", "5s", "Time between two status messages.", minimum=1, maximum=3600),
        Setting("log.format", "choice", "text", "Format of log lines.", choices=("text", "json")),
        Setting("log.level", "choice", "info", "Lowest level of log lines shown.",
                choices=("debug", "info", "warning", "error")),
        Setting("map", "table", {}, 'IP map: sender IP = IP to use instead; "all" maps every sender.',
                metavar="IP=IP", example={"192.168.0.5": "172.0.0.5"}, check=check_map),
    ],
    kind=ShovelerSettings,
)  # fmt: skip


def resolve(settings: ShovelerSettings) -> list[tuple[str, int]]:
    """The forward targets as IP addresses. Raises ConfigError when a name cannot be resolved."""
    targets = []
    problems = []
    for host, port in settings.forward:
        try:
            targets.append((str(ipaddress.ip_address(host)), port))
        except ValueError:
            try:
                found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
                targets.append((str(found[0][4][0]), port))
            except socket.gaierror as error:
                problems.append(
                    Mistake(settings.origin("forward"), f"forward target {Address(host, port)}: {error.strerror}")
                )
        if not port:
            problems.append(Mistake(settings.origin("forward"), f"forward target {Address(host, port)} has no port"))
    if problems:
        raise ConfigError(problems)
    return targets


def options(settings: ShovelerSettings) -> Options:
    """The receiver's options, at start and on reload. Raises ConfigError."""
    return Options(
        verify=settings.verify,
        ip_map=settings.ip_map,
        path_mtu=settings.path_mtu,
        forward=resolve(settings),
        forward_envelopes=settings.forward_as == "envelope",
        version=version(),
        max_bytes=settings.spool_max_bytes,
        log_format=settings.log_format,
        log_level=settings.log_level,
    )


def bus_address(settings: ShovelerSettings) -> BusAddress:
    """The bus."""
    return parse_bus_address(settings.bus_url, role="sink")


def exchange(settings: ShovelerSettings, address: BusAddress) -> str:
    """The exchange for datagrams: from the URL, else from the setting, else the default."""
    return address.exchange or settings.bus_exchange or EXCHANGE


def bus_options(settings: ShovelerSettings) -> BusOptions:
    """How to connect."""
    files: dict[str, Any] = {
        name: settings.optional_path(f"bus.{name}") for name in ("token_file", "ca_file", "cert_file", "key_file")
    }
    return BusOptions(
        **files,
        # Short, so that SIGTERM is handled in time while connecting to a dead broker.
        connect_timeout=5.0,
        heartbeat=int(settings.bus_heartbeat),
        max_bytes=settings.spool_max_bytes,
    )


def problems(settings: ShovelerSettings, *, checking: bool = False) -> list[Mistake]:
    """Problems between settings that are each valid; when `checking`, also problems that depend on the moment and on
    this user. (For example, a token file that does not exist yet: a daemon receives without it, reports it, and
    publishes once it exists.)"""
    found = []
    files = ("bus.ca_file", "bus.cert_file", "bus.key_file")
    for name in (*files, "bus.token_file") if checking else files:
        path: Path | None = settings.optional_path(name)
        if path is not None and _may_be_seen(path) and not path.is_file():
            found.append(Mistake(settings.origin(name), f"{name}: there is no file {path}"))
        elif path is not None and not os.access(path, os.R_OK):
            found.append(Mistake(settings.origin(name), f"{name}: this user cannot read {path}"))
    alone = unpaired(settings.bus_cert_file, settings.bus_key_file)
    if alone is not None:
        found.append(Mistake(settings.origin(alone[0]), alone[1]))
    if not settings.source and not settings.listen:
        found.append(Mistake(settings.origin("listen"), "listen is empty: there is nothing to receive from"))
    if checking:
        found += _surroundings(settings, tls=not found)
    return found


def _may_be_seen(path: Path) -> bool:
    """Whether this user can see if it exists: without permission for a directory above there is no answer."""
    try:
        path.stat()
    except PermissionError:
        return False
    except OSError:
        pass
    return True


def _surroundings(settings: ShovelerSettings, *, tls: bool) -> list[Mistake]:
    """Addresses and directories that would keep the daemon from starting. Ports are not checked: it may be running."""
    found = []
    source = settings.source.removeprefix("file:")
    if source and source != "-" and not os.access(source, os.R_OK):
        found.append(Mistake(settings.origin("from"), f"from: there is no capture {source} that this user can read"))
    metrics = settings.metrics
    addresses = [("listen", address) for address in ([] if source else settings.listen)]
    for name, address in [*addresses, *([("metrics", metrics)] if metrics else [])]:
        probe = Address(address.host, 0)
        try:
            open_listener(probe).close()
        except OSError as error:
            text = (error.strerror or str(error)).replace(str(probe), str(address), 1)
            found.append(Mistake(settings.origin(name), f"{name}: {text}"))
    try:
        if tls:  # otherwise it would report the problems of the files twice
            check_tls(bus_address(settings), bus_options(settings))
    except BusRefusedError as error:
        found.append(Mistake(settings.origin("bus.url"), f"bus.url: {error}"))
    directory = settings.spool_dir
    if not _may_be_seen(directory):
        found.append(Mistake(settings.origin("spool.dir"), f"spool.dir: this user cannot access {directory}"))
    elif directory.exists() and not directory.is_dir():
        found.append(Mistake(settings.origin("spool.dir"), f"spool.dir: {directory} is a file"))
    elif directory.exists() and not os.access(directory, os.W_OK | os.X_OK):
        found.append(Mistake(settings.origin("spool.dir"), f"spool.dir: this user cannot write to {directory}"))
    return found


if __name__ == "__main__":  # what docs/shoveler.md and resources/samples/tally-shoveler.toml are made with
    print(SCHEMA.reference() if "--reference" in sys.argv[1:] else SCHEMA.sample(SAMPLE_HEADING), end="")
