"""The settings of tally-collector, declared once, and what follows from them: input, outputs, shards.

`SCHEMA` is the declaration: command line, environment (``TALLY_COLLECTOR_…``), file and documentation come from it.
`plan` turns settings into a `Plan`: parsed, checked against each other, without opening anything.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import metadata
from pathlib import Path
from typing import Literal

from collector.correlate import Options
from collector.correlate.options import LOGICAL_DIRECTORIES
from collector.sinks import STREAMS
from shoveler.bus import BusAddress, BusError, BusOptions, check_tls, parse_bus_address, unpaired
from shoveler.service import Address, ConfigError, Mistake, Schema, Setting, Settings, Value, parse_address

PACKETS = "shoveled-xrd"
SHARD_QUEUE = "xrd.shard."
STATUS = "tally-status"
LARGEST_SHARDS = 256
SAMPLE_HEADING = """Settings of tally-collector. Everything has a default but `from`.

Each can also be given on the command line (tally-collector --help), or in the environment: state.ttl is
TALLY_COLLECTOR_STATE_TTL. The order is: command line, environment, this file, default. `tally-collector -c FILE
--check-config` reports its problems, or shows the settings in effect. docs/collector.md explains them all."""


def program_version() -> str:
    """The version of this program, for users and status messages."""
    try:
        return metadata.version("xrootd-tally")
    except metadata.PackageNotFoundError:
        return "0"  # run from a plain checkout


def parse_shards(text: str, count: int) -> list[int]:
    """The shards in ``all`` or ``0-3,6``, ascending. Raises ValueError with a sentence."""
    if text.strip() == "all":
        return list(range(count))
    shards: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise ValueError(f'expected "all" or shards such as "0-3,6", got {text!r}')
        low, high = int(first), int(last or first)
        if low > high or high >= count:
            raise ValueError(f"{part.strip()} is not a range of shards; they are numbered 0 to {count - 1}")
        shards.update(range(low, high + 1))
    return sorted(shards)


def _is_list_of_shards(text: str) -> None:
    parse_shards(text, LARGEST_SHARDS)


class CollectorSettings(Settings):
    """The settings that this program asks for, with their types."""

    bus_ca_file = Value("bus.ca_file", Settings.optional_path)
    bus_cert_file = Value("bus.cert_file", Settings.optional_path)
    bus_connect_timeout = Value("bus.connect_timeout", Settings.duration)
    bus_heartbeat = Value("bus.heartbeat", Settings.duration)
    bus_key_file = Value("bus.key_file", Settings.optional_path)
    bus_max_bytes = Value("bus.max_bytes", Settings.size)
    bus_prefetch = Value("bus.prefetch", Settings.integer)
    bus_token_file = Value("bus.token_file", Settings.optional_path)
    exchanges_packets = Value("exchanges.packets", Settings.text)
    exchanges_status = Value("exchanges.status", Settings.text)
    filter_drop_path_prefixes: Value[list[str]] = Value("filter.drop_path_prefixes", Settings.entries)
    filter_drop_vos: Value[list[str]] = Value("filter.drop_vos", Settings.entries)
    follow = Value("follow", Settings.boolean)
    framing = Value("framing", Settings.text)
    log_format = Value("log.format", Settings.text)
    log_level = Value("log.level", Settings.text)
    logical_directories: Value[dict[str, int]] = Value("logical_directories", Settings.table)
    metrics_listen = Value("metrics.listen", Settings.optional_address)
    metrics_peer_names = Value("metrics.peer_names", Settings.boolean)
    must_arrive: Value[list[str]] = Value("must_arrive", Settings.entries)
    names_enabled = Value("names.enabled", Settings.boolean)
    names_keep = Value("names.keep", Settings.duration)
    names_keep_failure = Value("names.keep_failure", Settings.duration)
    names_workers = Value("names.workers", Settings.integer)
    oss_interval = Value("oss_interval", Settings.duration)
    shards_count = Value("shards.count", Settings.integer)
    shards_prefix = Value("shards.prefix", Settings.text)
    shards_serve = Value("shards.serve", Settings.text)
    source = Value("from", Settings.text)
    standby = Value("standby", Settings.boolean)
    state_dir = Value("state.dir", Settings.optional_path)
    state_grace = Value("state.grace", Settings.duration)
    state_max_age = Value("state.max_age", Settings.duration)
    state_max_bytes = Value("state.max_bytes", Settings.size)
    state_max_servers = Value("state.max_servers", Settings.integer)
    state_settle = Value("state.settle", Settings.duration)
    state_synchronous = Value("state.synchronous", Settings.text)
    state_ttl = Value("state.ttl", Settings.duration)
    to: Value[list[str]] = Value("to", Settings.entries)
    udp_receive_buffer = Value("udp.receive_buffer", Settings.size)
    wlcg_enabled = Value("wlcg.enabled", Settings.boolean)
    wlcg_only = Value("wlcg.only", Settings.boolean)
    wlcg_path_prefixes: Value[list[str]] = Value("wlcg.path_prefixes", Settings.entries)
    wlcg_vos: Value[list[str]] = Value("wlcg.vos", Settings.entries)
    workers = Value("workers", Settings.integer)


SCHEMA = Schema(
    "tally-collector",
    [
        Setting("from", "text", None, "Where datagrams come from: amqp(s)://USER:PASSWORD@HOST/VHOST (the shards) or "
                "…?queue=Q (one queue), udp://HOST:PORT, file:PATH (JSON lines, - is standard input), or the directory "
                "of a local bus.", needs_restart=True, credential=True, metavar="URL",
                example="amqp://guest:guest@localhost/"),
        Setting("to", "list", None, "Where records go: amqp(s)://… (?exchange=E for file records), file:PATH (JSON "
                "lines, - is standard output), or the directory of a local bus. Default: the bus they come from, "
                "standard output for a file.", needs_restart=True, credential=True, metavar="URL",
                example=["amqp://guest:guest@localhost/"]),
        Setting("framing", "choice", "single", "One record per message, or batches of records as JSON lines.",
                choices=("single", "batch"), needs_restart=True),
        Setting("follow", "boolean", False, "With file:PATH, wait for more lines at the end of the file.",
                needs_restart=True),
        Setting("state.dir", "path", None, "Directory of the checkpoints. Default: STATE_DIRECTORY (systemd), else "
                "/var/lib/tally-collector for root, else ~/.local/state/tally-collector; for a file: none, and "
                    "a replay starts from the beginning.", flags=("--state",), needs_restart=True, metavar="DIR"),
        Setting("state.synchronous", "choice", "full", "full: a checkpoint survives a power cut; normal: it survives "
                "only a kill, but waits for the disk less often.", choices=("full", "normal"), needs_restart=True),
        Setting("state.ttl", "duration", "24h", "An open file is given up after this long without progress and without "
                "any sign of life of its server.", flags=("--ttl",), minimum=1, needs_restart=True),
        Setting("state.max_age", "duration", "30d", "An open file is given up after this long in any case.", minimum=1,
                needs_restart=True),
        Setting("state.max_bytes", "size", "512MiB", "Memory for open files; beyond it, the files idle for longest are "
                "given up.", minimum=1 << 20, needs_restart=True),
        Setting("state.max_servers", "integer", 10_000, "Maximum number of server processes remembered at the same "
                "time.", minimum=1, needs_restart=True),
        Setting("state.grace", "duration", "20s", "How long to wait for a datagram that may only be late.",
                needs_restart=True),
        Setting("state.settle", "duration", "5s", "How long a new session may still be missing its application info.",
                needs_restart=True),
        Setting("oss_interval", "duration", "60s", "Storage statistics, which servers send every second, are written "
                "as differences over this interval.", minimum=1, needs_restart=True),
        Setting("standby", "boolean", False, "When another collector uses the state, wait and take over when it ends.",
                needs_restart=True),
        Setting("workers", "integer", 1, "Number of processes; the shards, or the servers in a capture, are "
                "distributed over them.", minimum=1, maximum=256, needs_restart=True),
        Setting("shards.count", "integer", 8, "Total number of shards. Fixed for the life of the queues.",
                flags=("--shards",), minimum=1, maximum=LARGEST_SHARDS, needs_restart=True),
        Setting("shards.serve", "text", "all", "The shards that this collector serves: all, or for example 0-3,6.",
                flags=("--serve",), check=_is_list_of_shards, needs_restart=True, metavar="SHARDS"),
        Setting("shards.prefix", "text", SHARD_QUEUE, "Prefix of the names of the shards' queues.",
                needs_restart=True),
        Setting("exchanges.packets", "text", PACKETS, "Exchange of the datagrams.", needs_restart=True),
        Setting("exchanges.records", "text", STREAMS["records"], "Exchange of file records and of all kinds without "
                "their own exchange.", needs_restart=True),
        Setting("exchanges.cache", "text", STREAMS["cache"], "Exchange of cache events.", needs_restart=True),
        Setting("exchanges.tcp", "text", STREAMS["tcp"], "Exchange of TCP events.", needs_restart=True),
        Setting("exchanges.tpc", "text", STREAMS["tpc"], "Exchange of third-party copies.", needs_restart=True),
        Setting("exchanges.wlcg", "text", STREAMS["wlcg"], "Exchange of records in WLCG form.", needs_restart=True),
        Setting("exchanges.wlcg_cache", "text", STREAMS["wlcg-cache"], "Exchange of cache events in WLCG form.",
                needs_restart=True),
        Setting("exchanges.wlcg_tpc", "text", STREAMS["wlcg-tpc"], "Exchange of third-party copies in WLCG form.",
                needs_restart=True),
        Setting("exchanges.status", "text", STATUS, "Exchange of status messages; empty: none are sent.",
                needs_restart=True),
        Setting("must_arrive", "list", ["file"], "Kinds of records that are kept until a queue is bound for them; "
                "other kinds are dropped and counted when no queue is bound or the bus refuses their exchange.",
                needs_restart=True, metavar="KIND"),
        Setting("bus.token_file", "path", None, "File whose content replaces the password of every amqp URL; read "
                "again at each connect and when it changes.", needs_restart=True, credential=True),
        Setting("bus.ca_file", "path", None, "CA certificates to trust for amqps instead of the system's.",
                needs_restart=True, credential=True),
        Setting("bus.cert_file", "path", None, "Your own TLS certificate, for brokers that require one.",
                needs_restart=True, credential=True),
        Setting("bus.key_file", "path", None, "Key of that certificate.", needs_restart=True, credential=True),
        Setting("bus.heartbeat", "duration", "60s", "AMQP heartbeat.", minimum=1, maximum=3600, needs_restart=True),
        Setting("bus.connect_timeout", "duration", "10s", "Maximum time for a connect.", minimum=0.1,
                needs_restart=True),
        Setting("bus.prefetch", "integer", 0, "Number of unacknowledged messages that the broker may send ahead; 0: "
                "chosen by their size.", minimum=0, maximum=65535, needs_restart=True),
        Setting("bus.max_bytes", "size", "1GiB", "Local bus: maximum size of our file of records; it then refuses "
                "more.", minimum=1 << 20, needs_restart=True),
        Setting("udp.receive_buffer", "size", "32MiB", "Kernel buffer for datagrams (udp://).", minimum=4096,
                needs_restart=True),
        Setting("wlcg.enabled", "boolean", True, "Also send the WLCG form of matching records to its exchanges "
                "(never to a file, unless wlcg.only).", needs_restart=True),
        Setting("wlcg.only", "boolean", False, "Send matching records in WLCG form only, as the OSG collectors do.",
                needs_restart=True),
        Setting("wlcg.vos", "list", ["cms"], "VOs whose records have a WLCG form.", needs_restart=True, metavar="VO"),
        Setting("wlcg.path_prefixes", "list", ["/store", "/user/dteam"], "Paths whose records have a WLCG form.",
                needs_restart=True, metavar="PATH"),
        Setting("filter.drop_vos", "list", None, "Records of these VOs are dropped and counted.", needs_restart=True,
                metavar="VO"),
        Setting("filter.drop_path_prefixes", "list", None, "Records of paths that begin with these prefixes are "
                "dropped and counted.", needs_restart=True, metavar="PATH"),
        Setting("logical_directories", "table", dict(LOGICAL_DIRECTORIES), "Path prefix → number of its components "
                "that are the logical directory; replaces the default table.", items="integer", minimum=1,
                needs_restart=True, metavar="PREFIX=N"),
        Setting("names.enabled", "boolean", False, "Look up host names of servers and clients in the DNS, in the "
                "background; records do not wait for it.", needs_restart=True),
        Setting("names.keep", "duration", "24h", "How long a name is kept.", needs_restart=True),
        Setting("names.keep_failure", "duration", "1h", "How long to wait before a failed look-up is tried again.",
                needs_restart=True),
        Setting("names.workers", "integer", 4, "Maximum number of simultaneous look-ups.", minimum=1, maximum=64,
                needs_restart=True),
        Setting("metrics.listen", "address", None, "Where /metrics and /healthz are served; empty: nowhere.",
                flags=("--metrics",), optional=True, needs_restart=True),
        Setting("metrics.peer_names", "boolean", False, "Also show metrics under the OSG collector's names."),
        Setting("log.level", "choice", "info", "How much is logged.", choices=("debug", "info", "warning", "error")),
        Setting("log.format", "choice", "text", "Log lines as text or JSON.", choices=("text", "json")),
    ],
    kind=CollectorSettings,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FileInput:
    """JSON lines; `path` None is standard input."""

    path: Path | None
    follow: bool


@dataclass(frozen=True, slots=True)
class UdpInput:
    """A socket of our own."""

    address: Address


@dataclass(frozen=True, slots=True)
class BusInput:
    """A bus. `queue` None: the shards (AMQP only); on the local bus it is the cursor."""

    address: BusAddress
    exchange: str
    queue: str | None


Input = FileInput | UdpInput | BusInput


@dataclass(frozen=True, slots=True)
class FileOutput:
    """JSON lines; `path` None is standard output."""

    path: Path | None


@dataclass(frozen=True, slots=True)
class BusOutput:
    """A bus, with the exchange of each stream."""

    address: BusAddress
    exchanges: Mapping[str, str]


Output = FileOutput | BusOutput


@dataclass(frozen=True, slots=True)
class Lookups:
    """Host names from the DNS: seconds for which a name, and a failure, is good; look-ups at the same time."""

    keep: float
    keep_failure: float
    workers: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a collector with these settings does."""

    source: Input
    sinks: tuple[Output, ...]
    batch: bool
    shards: tuple[int, ...]
    """The shards served here; empty when the input is not sharded."""
    shard_count: int
    shard_prefix: str
    workers: int
    state: Path | None
    """None: no checkpoint."""
    synchronous: Literal["full", "normal"]
    standby: bool
    must_arrive: frozenset[str]
    status_exchange: str
    status_address: BusAddress | None
    """The bus for status messages; None: none are sent."""
    bus: BusOptions
    prefetch: int
    receive_buffer: int
    correlator: Options
    names: Lookups | None
    """How to look up host names; None: they are not looked up."""


def plan(settings: CollectorSettings, environ: Mapping[str, str] | None = None) -> Plan:
    """Settings → `Plan`. Raises ConfigError with all problems."""
    problems: list[Mistake] = []
    source = _input(settings, problems)
    sinks = _outputs(settings, source, problems)
    alone = unpaired(settings.bus_cert_file, settings.bus_key_file)
    if alone is not None:
        problems.append(Mistake(settings.origin(alone[0]), alone[1]))
    shards: list[int] = []
    count = settings.shards_count
    if isinstance(source, BusInput) and source.queue is None:
        try:
            shards = parse_shards(settings.shards_serve, count)
        except ValueError as error:
            problems.append(Mistake(settings.origin("shards.serve"), str(error)))
    if settings.workers > 1 and isinstance(source, FileInput):
        count = settings.workers
        shards = _shares(settings, source, sinks, problems)
    elif settings.workers > 1 and not shards:
        problems.append(
            Mistake(
                settings.origin("workers"),
                "several workers need shards to share; give --from amqp://… without ?queue=, or --workers 1",
            )
        )
    if len(shards) > 1 and isinstance(source, BusInput) and any(isinstance(sink, FileOutput) for sink in sinks):
        problems.append(
            Mistake(
                settings.origin("to"),
                "a file takes the records of one queue: serve one shard (--serve 3), or send records to a bus",
            )
        )
    if problems or source is None:
        raise ConfigError(problems)
    return Plan(
        source=source,
        sinks=tuple(sinks),
        batch=settings.framing == "batch",
        shards=tuple(shards),
        shard_count=count,
        shard_prefix=settings.shards_prefix,
        workers=min(settings.workers, max(1, len(shards))),
        state=_state(settings, source, os.environ if environ is None else environ),
        synchronous="full" if settings.state_synchronous == "full" else "normal",
        standby=settings.standby,
        must_arrive=_must_arrive(settings),
        status_exchange=settings.exchanges_status,
        status_address=_status_address(source, sinks),
        bus=_bus_options(settings),
        prefetch=settings.bus_prefetch,
        receive_buffer=settings.udp_receive_buffer,
        correlator=correlator_options(settings, sinks),
        names=Lookups(settings.names_keep, settings.names_keep_failure, settings.names_workers)
        if settings.names_enabled
        else None,
    )


def _shares(settings: CollectorSettings, source: FileInput, sinks: list[Output], problems: list[Mistake]) -> list[int]:
    """A capture for several workers: each reads all of it, and processes its share of the servers."""
    where = settings.origin("workers")
    if source.path is None or source.follow:
        problems.append(
            Mistake(where, "several workers each read the whole file: it cannot be standard input, or be followed")
        )
    if any(isinstance(sink, FileOutput) for sink in sinks) and not (
        len(sinks) == 1 and isinstance(sinks[0], FileOutput) and sinks[0].path is not None
    ):
        problems.append(
            Mistake(where, "several workers write to one file (--to file:PATH and nothing else), or to buses only")
        )
    return list(range(settings.workers))


def _must_arrive(settings: CollectorSettings) -> frozenset[str]:
    kinds = frozenset(settings.must_arrive)
    # With wlcg.only those file records are sent in the WLCG form only.
    return kinds | {"wlcg"} if settings.wlcg_only and "file" in kinds else kinds


def _input(settings: CollectorSettings, problems: list[Mistake]) -> Input | None:
    text = settings.source
    where = settings.origin("from")
    if not text:
        problems.append(
            Mistake("--from", "say where datagrams come from: amqp://…, udp://HOST:PORT, file:PATH or a directory")
        )
        return None
    if settings.follow and not text.startswith("file:"):
        problems.append(Mistake(settings.origin("follow"), "only a file can be followed; --from is not file:PATH"))
    if text.startswith("file:"):
        path = _file_path(text, where, problems)
        return FileInput(path, settings.follow)
    if text.startswith("udp:"):
        try:
            return UdpInput(parse_address(text.removeprefix("udp:").removeprefix("//")))
        except ValueError as error:
            problems.append(Mistake(where, str(error)))
            return None
    try:
        _check_scheme(text, "amqp://…, amqps://…, udp://HOST:PORT, file:PATH or a directory")
        address = parse_bus_address(text, role="source")
    except (BusError, ValueError) as error:
        problems.append(Mistake(where, str(error)))
        return None
    queue = address.queue
    if address.kind == "local":
        queue = "tally-collector"
    return BusInput(address, address.exchange or settings.exchanges_packets, queue)


def _check_scheme(text: str, possible: str) -> None:
    """Raises ValueError for a URL of none of the `possible` kinds; the error of a bus would only name its own kinds."""
    scheme, separator, _ = text.partition("://")
    if separator and not get_close_matches(scheme.lower(), ("amqp", "amqps"), n=1):
        raise ValueError(f"{scheme}:// is not known here; use {possible}")


def _outputs(settings: CollectorSettings, source: Input | None, problems: list[Mistake]) -> list[Output]:
    texts = settings.to
    where = settings.origin("to")
    if not texts:
        if isinstance(source, BusInput):
            return [_bus_output(settings, source.address, None, source, problems, where)]
        if isinstance(source, UdpInput):
            problems.append(Mistake("--to", "say where records go: amqp://…, file:PATH or a directory"))
        return [FileOutput(None)]
    sinks: list[Output] = []
    for text in texts:
        if text.startswith("file:"):
            path = _file_path(text, where, problems)
            if isinstance(source, FileInput) and path is not None and path == source.path:
                problems.append(Mistake(where, f"records cannot go to {path}, the file that they come from"))
            sinks.append(FileOutput(path))
            continue
        try:
            _check_scheme(text, "amqp://…, amqps://…, file:PATH or a directory")
            address = parse_bus_address(text, role="sink")
        except (BusError, ValueError) as error:
            problems.append(Mistake(where, str(error)))
            continue
        sinks.append(_bus_output(settings, address, address.exchange, source, problems, where))
    if len(sinks) != len(set(map(str, sinks))):
        problems.append(Mistake(where, "the same output is given twice"))
    return sinks


def _bus_output(
    settings: CollectorSettings,
    address: BusAddress,
    records: str | None,
    source: Input | None,
    problems: list[Mistake],
    where: str,
) -> BusOutput:
    exchanges = {stream: settings.text("exchanges." + stream.replace("-", "_")) for stream in STREAMS}
    if records:
        exchanges["records"] = records
    taken = source.exchange if isinstance(source, BusInput) else settings.exchanges_packets
    for stream, exchange in exchanges.items():
        if not exchange:
            problems.append(Mistake(where, f"the exchange of {stream} has no name"))
        elif isinstance(source, BusInput) and exchange == taken:
            problems.append(
                Mistake(
                    where,
                    f"{stream} would go to the exchange {exchange!r} that the datagrams come from, and come back as "
                    f"input forever; choose another, such as {STREAMS[stream]!r}",
                )
            )
    return BusOutput(address, exchanges)


def _file_path(text: str, where: str, problems: list[Mistake]) -> Path | None:
    name = text.removeprefix("file:")
    if name.startswith("//"):
        name = name[2:]
    if not name:
        problems.append(Mistake(where, "file: needs a path, or - for the standard streams"))
    return None if name in ("-", "") else Path(name).expanduser().absolute()


def _state(settings: CollectorSettings, source: Input, environ: Mapping[str, str]) -> Path | None:
    given = settings.state_dir
    if given is not None:
        return given.absolute()
    return None if isinstance(source, FileInput) else default_state(environ)


def default_state(environ: Mapping[str, str]) -> Path:
    """Where checkpoints are by default."""
    if environ.get("STATE_DIRECTORY"):
        return Path(environ["STATE_DIRECTORY"].partition(":")[0])
    if os.geteuid() == 0:
        return Path("/var/lib/tally-collector")
    base = environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "tally-collector"


def _status_address(source: Input, sinks: list[Output]) -> BusAddress | None:
    for sink in sinks:
        if isinstance(sink, BusOutput):
            return sink.address
    return source.address if isinstance(source, BusInput) else None


def _bus_options(settings: CollectorSettings) -> BusOptions:
    return BusOptions(
        token_file=settings.bus_token_file,
        ca_file=settings.bus_ca_file,
        cert_file=settings.bus_cert_file,
        key_file=settings.bus_key_file,
        connect_timeout=settings.bus_connect_timeout,
        heartbeat=round(settings.bus_heartbeat),
        max_bytes=settings.bus_max_bytes,
    )


def unusable(plan: Plan, settings: CollectorSettings) -> list[Mistake]:
    """Files and directories that the user who asks cannot use: for a check of settings, since they depend on the moment
    and on the user."""
    found = []
    for name in ("bus.token_file", "bus.ca_file", "bus.cert_file", "bus.key_file"):
        path = settings.optional_path(name)
        if path is not None and not os.access(path, os.R_OK):
            found.append(Mistake(settings.origin(name), f"{name}: this user cannot read {path}, or it is not there"))
    ends = (plan.source, *plan.sinks)
    addresses = [end.address for end in ends if isinstance(end, BusInput | BusOutput) and end.address.tls]
    if addresses and not found:
        try:
            check_tls(addresses[0], plan.bus)
        except BusError as error:
            found.append(Mistake(settings.origin("bus.cert_file"), f"bus: {error}"))
    state = plan.state
    if state is not None and state.exists() and not os.access(state, os.W_OK | os.X_OK):
        found.append(Mistake(settings.origin("state.dir"), f"state.dir: this user cannot write to {state}"))
    return found


def correlator_options(settings: CollectorSettings, sinks: list[Output]) -> Options:
    """The correlator's options, except the look-up of host names."""
    only = settings.wlcg_only
    to_exchanges = any(isinstance(sink, BusOutput) for sink in sinks)
    return Options(
        ttl=settings.state_ttl,
        max_age=settings.state_max_age,
        max_bytes=settings.state_max_bytes,
        max_servers=settings.state_max_servers,
        grace=settings.state_grace,
        settle=settings.state_settle,
        oss_interval=settings.oss_interval,
        wlcg=only or (settings.wlcg_enabled and to_exchanges),
        wlcg_only=only,
        wlcg_vos=frozenset(vo.lower() for vo in settings.wlcg_vos),
        wlcg_path_prefixes=tuple(settings.wlcg_path_prefixes),
        drop_vos=frozenset(vo.lower() for vo in settings.filter_drop_vos),
        drop_path_prefixes=tuple(settings.filter_drop_path_prefixes),
        logical_directories=settings.logical_directories,
    )
