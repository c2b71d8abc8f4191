"""A running agent: its settings, what follows from them, and the run from start to stop."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import re
import signal
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol
from urllib.parse import urlsplit

import msgspec

from agent import connection, keys, owner
from agent.client import ClientRole
from agent.journal import Journal
from agent.messages import MAX_SERVERS, PORTS, CredentialError, Invitation, Name, PersonalKey, Welcome
from agent.server import Beside, ServerRole
from shoveler.service import (
    Address,
    ConfigError,
    Counts,
    Gauges,
    Health,
    MonitorServer,
    Notifier,
    Schema,
    Setting,
    Settings,
    Value,
    new_registry,
    setup_logging,
)
from shoveler.service.tasks import start_task
from shoveler.values.addresses import host_port

_log = logging.getLogger(__name__)

DRAIN_SECONDS: Final = 3.0
DELIVER_SECONDS: Final = 1.0
"""Together with the grace period of the workers this stays below the 10 s that a SIGTERM allows."""


class AgentSettings(Settings):
    """The settings that this program asks for, with their types."""

    ca_file = Value("ca_file", Settings.optional_path)
    hub = Value("hub", Settings.text)
    insecure = Value("insecure", Settings.boolean)
    join_string = Value("join_string", Settings.text)
    key = Value("key", Settings.text)
    key_file = Value("key_file", Settings.optional_path)
    kid = Value("kid", Settings.text)
    labels: Value[list[str]] = Value("labels", Settings.entries)
    log_format = Value("log.format", Settings.text)
    log_level = Value("log.level", Settings.text)
    metrics = Value("metrics", Settings.optional_address)
    name = Value("name", Settings.text)
    owner = Value("owner", Settings.optional_path)
    pin = Value("pin", Settings.text)
    role = Value("role", Settings.text)
    servers: Value[list[str]] = Value("server", Settings.entries)
    daemons: Value[list[Address]] = Value("daemons", Settings.entries)
    summaries = Value("summaries", Settings.optional_address)
    state = Value("state", Settings.optional_path)
    xrootd_configs: Value[list[Path]] = Value("xrootd_config", Settings.entries)


SCHEMA = Schema(
    "tally-agent",
    [
        Setting("hub", "text", "", "The hub's address, wss://HOST:PORT.", needs_restart=True, metavar="URL"),
        Setting(
            "role",
            "choice",
            "client",
            "client makes the requests; server runs beside an XRootD server and watches it.",
            choices=("client", "server"),
            needs_restart=True,
        ),
        Setting("name", "text", "", "This agent's name at the hub. Default: the host's name.", needs_restart=True),
        Setting(
            "key_file",
            "path",
            None,
            "File with the hub's shared key, mode 0600.",
            needs_restart=True,
            credential=True,
        ),
        Setting(
            "key",
            "text",
            "",
            "The shared key itself. Every user of this machine can see it in ps; prefer --key-file or TALLY_KEY.",
            flags=("--key",),
            secret=True,
            needs_restart=True,
        ),
        Setting(
            "join_string",
            "text",
            "",
            "The join string of an invitation, as with the command join, for services: they join at their first start.",
            secret=True,
            credential=True,
            needs_restart=True,
        ),
        Setting(
            "kid",
            "text",
            "",
            "Name of that key at the hub, unless it is the shared key (tally key create prints it).",
            needs_restart=True,
        ),
        Setting(
            "pin",
            "text",
            "",
            "Pin of the hub's certificate, sha256:HEX. Without a pin a CA must have signed the certificate.",
            needs_restart=True,
        ),
        Setting("ca_file", "path", None, "CA certificates (PEM) to trust instead of the system's.", needs_restart=True),
        Setting(
            "insecure",
            "boolean",
            False,
            "Allow ws:// without encryption, to a hub on this machine only (or TALLY_INSECURE=1).",
            needs_restart=True,
        ),
        Setting(
            "server",
            "list",
            [],
            "Role server: root:// URL of an XRootD server beside it. Default: all that run on this machine.",
            needs_restart=True,
            metavar="URL",
        ),
        Setting(
            "xrootd_config",
            "list",
            [],
            "Role server: configuration file of a server, in the order of the servers. Default: that of the running "
            "xrootd.",
            items="path",
            needs_restart=True,
            metavar="FILE",
        ),
        Setting(
            "daemons",
            "list",
            [],
            "Role server: where a tally-shoveler or tally-collector beside it serves its metrics.",
            items="address",
            flags=("--daemon",),
            needs_restart=True,
            metavar="HOST:PORT",
        ),
        Setting(
            "summaries",
            "address",
            "",
            "Role server: where its servers send summary reports (xrd.report), for their throughput.",
            optional=True,
            needs_restart=True,
        ),
        Setting(
            "labels",
            "list",
            [],
            "A label by which plans can select this agent.",
            flags=("--label",),
            needs_restart=True,
            metavar="LABEL",
        ),
        Setting("state", "path", None, "Directory of the journal and the personal key.", needs_restart=True),
        Setting(
            "owner",
            "path",
            None,
            "End together with the program that is named in this file; for agents that Tally starts itself.",
            needs_restart=True,
        ),
        Setting("metrics", "address", "", "Where /metrics and /healthz are served.", optional=True, needs_restart=True),
        Setting("log.format", "choice", "text", "Log lines as text or JSON.", choices=("text", "json")),
        Setting("log.level", "choice", "info", "How much is logged.", choices=("debug", "info", "warning", "error")),
    ],
    kind=AgentSettings,
)


class CannotRunError(Exception):
    """The settings are valid, but the agent cannot run now: one sentence; exit code 1."""


class _Role(connection.Role, Protocol):
    """What the command needs from a role, in addition to what the link needs."""

    broken: asyncio.Future[str]

    async def drain(self, seconds: float) -> None: ...
    async def delivered(self) -> None: ...
    async def close(self) -> None: ...
    def figures(self) -> dict[str, float]: ...


@dataclass
class Agent:
    """All that a run needs, checked."""

    settings: AgentSettings
    name: str
    state: Path
    address: connection.HubAddress
    trust: connection.Trust
    credentials: keys.Credentials
    pin: str
    beside: list[Beside]


def prepare(settings: AgentSettings, invitation: Invitation | None) -> Agent:
    role = invitation.role if invitation else settings.role
    if role != settings.role and settings.origin("role") != "default":
        raise CredentialError(
            f"This join string is for the role {role}, and {settings.origin('role')} says {settings.role}."
        )
    name = settings.name or _host_name()
    labels = settings.labels
    for text in (name, *labels):
        try:
            msgspec.convert(text, Name)
        except msgspec.ValidationError as error:
            raise CredentialError(
                f"{text!r} is not a valid name: names and labels have up to 64 letters, digits, dots, dashes and "
                "underscores, and begin with a letter or digit."
            ) from error
    state = settings.state or _state_directory(os.environ) / f"{name}-{role}"
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise CannotRunError(
            f"The state directory {state} cannot be created: {error.strerror}; name another with --state."
        ) from error

    personal = keys.load_personal(state)
    insecure = settings.insecure or os.environ.get("TALLY_INSECURE", "") == "1"
    hub = invitation.hub if invitation else settings.hub or (personal.hub if personal else "")
    if not hub:
        raise CredentialError("No hub is named: give --hub wss://HOST:PORT, or join with a string from the hub.")
    address = connection.parse_hub(hub, insecure=insecure)
    mine = personal if personal and personal.hub == address.url and personal.role == role else None
    pin = invitation.pin if invitation else settings.pin or (mine.pin if mine else "")
    trust = connection.Trust(address, pin=pin, ca_file=settings.ca_file)
    credentials = _credentials(settings, name, role, mine, invitation)
    return Agent(settings, name, state, address, trust, credentials, pin, _beside(settings))


def _beside(settings: AgentSettings) -> list[Beside]:
    """The servers of a server agent, each with its file if that was given."""
    servers, configs = settings.servers, settings.xrootd_configs
    if len(servers) > MAX_SERVERS:
        raise CredentialError(
            f"One agent stands beside {MAX_SERVERS} servers at most, not {len(servers)}; start another."
        )
    for server in servers:
        if (why := _why_no_server(server)) is not None:
            raise CredentialError(f"--server {server!r} is no server's address: {why}.")
    if configs and servers and len(configs) != len(servers):
        raise CredentialError(
            f"There are {len(servers)} servers and {len(configs)} configuration files: give one --xrootd-config for "
            "each --server, in the same order, or none."
        )
    urls = [_normal(server) for server in servers]
    if len(set(urls)) < len(urls):
        raise CredentialError(f"The server {max(urls, key=urls.count)} is named twice; name each once.")
    if configs:
        return [Beside(url, config) for url, config in zip(urls or [""] * len(configs), configs, strict=True)]
    return [Beside(url) for url in urls]


def _normal(server: str) -> str:
    """With its port, as the hub writes it."""
    parts = urlsplit(server)
    return f"{parts.scheme}://{host_port(parts.hostname or '', parts.port or PORTS[parts.scheme])}"


def _why_no_server(server: str) -> str | None:
    try:
        parts = urlsplit(server)
        port = parts.port
    except ValueError as error:
        return str(error)
    if parts.scheme not in ("root", "roots") or not parts.hostname:
        return "it must be root://HOST or root://HOST:PORT"
    if port == 0:
        return "0 is no port"
    if parts.username is not None or parts.path.strip("/") or parts.query or parts.fragment:
        return "it has a user or a path; root://HOST:PORT is all that is needed"
    return None


def _credentials(
    settings: AgentSettings, name: str, role: str, mine: keys.PersonalFile | None, invitation: Invitation | None
) -> keys.Credentials:
    """A key or an invitation that is given now takes precedence over a stored one."""
    known = mine is not None and mine.name == name
    if invitation is not None:
        # With the join string that the stored personal key came from, that key is used, so a service file may keep
        # `join STRING`. Another string is a new invitation, such as a revoked agent needs.
        if mine is not None and known and mine.invitation in ("", keys.fingerprint(invitation.token)):
            return keys.Credentials(name, role, key=mine.secret, kid=mine.kid)
        return keys.Credentials(name, role, invitation=invitation.token)
    kid = settings.kid
    if kid == "shared":
        raise CredentialError("The shared key needs no name: leave out --kid.")
    if key := keys.given_key(key_file=settings.key_file, key=settings.key):
        return keys.Credentials(name, role, key=key, kid=kid)
    if kid:
        raise CredentialError(f"--kid {kid} names a key, and none is given: add --key-file FILE, or set TALLY_KEY.")
    if mine is not None and known:
        return keys.Credentials(name, role, key=mine.secret, kid=mine.kid)
    if key := keys.kept_key():
        return keys.Credentials(name, role, key=key)
    raise CredentialError(
        "This agent has no key: give --key-file FILE or TALLY_KEY, or join with a string from the hub "
        "(tally-agent join STRING)."
    )


def _host_name() -> str:
    name = re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname().partition(".")[0]).lstrip("._-")[:64]
    return name or "agent"


def _state_directory(environ: Mapping[str, str]) -> Path:
    given = environ.get("STATE_DIRECTORY", "").partition(":")[0]  # systemd's StateDirectory=
    if given:
        return Path(given)
    home = environ.get("XDG_STATE_HOME") or str(Path(environ.get("HOME", "/var/lib")) / ".local" / "state")
    return Path(home) / "tally-agent"


# ---------------------------------------------------------------- the run


class _Keeping:
    """Wraps a role's `welcomed`: a personal key is written to disk before anything else happens in the session."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def welcomed(self, welcome: Welcome) -> None:
        if welcome.personal_key is not None:
            self._keep(welcome.personal_key)

    def _keep(self, personal: PersonalKey) -> None:
        agent = self._agent
        invitation = keys.fingerprint(agent.credentials.invitation)
        agent.credentials.adopt(personal)
        record = keys.PersonalFile(
            keys.FORMAT,
            agent.address.url,
            agent.pin,
            agent.name,
            agent.credentials.role,
            personal.kid,
            personal.secret,
            invitation,
        )
        try:
            keys.save_personal(agent.state, record)
        except OSError as error:
            _log.error(
                "! the personal key cannot be saved in %s (%s): make room before this agent is restarted, or invite it "
                "anew",
                agent.state,
                error.strerror,
            )
        else:
            _log.info("= joined; the personal key is saved in %s", agent.state)


async def serve(agent: Agent, parsed: argparse.Namespace) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, _reload, agent, parsed)

    journal, role = _role(agent)
    state = connection.State()
    health = Health()
    registry = new_registry()
    gauges = {name: Gauges(registry, f"tally_agent_{name}", text) for name, text in _GAUGES.items()}
    counts = {name: Counts(registry, f"tally_agent_{name}", text) for name, text in _COUNTS.items()}

    def show() -> None:
        for name, value in role.figures().items():
            (gauges | counts)[name].set(value)
        gauges["connected"].set(float(state.connected))
        counts["sessions_total"].set(state.sessions)

    try:
        monitor = MonitorServer(agent.settings.metrics, registry, health, before_scrape=show)
    except OSError as error:
        raise CannotRunError(str(error)) from error
    notifier = Notifier()
    link = start_task(
        connection.stay(
            agent.address,
            agent.trust,
            agent.credentials.token,
            role,
            state=state,
            patient=lambda: not agent.credentials.invitation,
        ),
        "link",
    )
    watch = start_task(_watch(state, health, notifier), "watch")
    stopping = start_task(_asked_to_stop(stop, agent.settings.owner), "stop")
    notifier.ready()
    try:
        ends: list[asyncio.Future[Any]] = [link, stopping, role.broken]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        notifier.stopping()
        if stopping.done():
            await _leave(role, state)
            return 0
        _log.error("! %s", role.broken.result() if role.broken.done() else link.result())
        return 1
    finally:
        for task in (link, watch, stopping):
            task.cancel()
        await asyncio.gather(link, watch, stopping, return_exceptions=True)
        await role.close()
        monitor.close()
        if journal is not None:
            journal.close()
        mine = agent.settings.owner
        if mine is not None and owner.is_over(mine):
            owner.clear_up(mine, agent.settings.key_file, agent.state)


def _role(agent: Agent) -> tuple[Journal | None, _Role]:
    labels = agent.settings.labels
    keeping = _Keeping(agent)
    if agent.credentials.role == "client":
        journal = Journal(agent.state)
        return journal, ClientRole(name=agent.name, labels=labels, journal=journal, on_welcome=keeping.welcomed)

    return None, ServerRole(
        name=agent.name,
        labels=labels,
        beside=agent.beside,
        daemons=agent.settings.daemons,
        summaries=agent.settings.summaries,
        on_welcome=keeping.welcomed,
    )


async def _asked_to_stop(stop: asyncio.Event, owner_file: Path | None) -> None:
    """Wait for a signal, or for the end of the program that started us."""
    waits = [start_task(stop.wait(), "signal")]
    if owner_file is not None:
        waits.append(start_task(_outlived(owner_file), "owner"))
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


async def _outlived(owner_file: Path) -> Literal[True]:
    await owner.ended(owner_file)
    return True


_GAUGES = {
    "connected": "1 while this agent is in session with its hub.",
    "jobs": "Jobs that this agent has workers for.",
    "journal_last": "Number of the journal's last line.",
    "journal_acknowledged": "Number of the last line that the hub has stored.",
    "server_answering": "Role server: 1 while all XRootD servers beside it answer.",
    "servers": "Role server: XRootD servers beside it.",
    "servers_answering": "Role server: those that answer.",
}
_COUNTS = {
    "requests_total": "Requests done since the agent started.",
    "sessions_total": "Sessions opened since the agent started.",
}


async def _watch(state: connection.State, health: Health, notifier: Notifier) -> None:
    while True:
        if state.connected:
            health.fine("hub")
        else:
            health.problem("hub", state.sentence)
        notifier.status(state.sentence)
        notifier.watchdog()
        await asyncio.sleep(min(1.0, notifier.watchdog_interval or 1.0))


async def _leave(role: _Role, state: connection.State) -> None:
    """A SIGTERM: finish what is in progress, report to the hub, and end."""
    _log.info("= stopping: finishing what is in progress first")
    await role.drain(DRAIN_SECONDS)
    if state.connected:
        try:
            await asyncio.wait_for(role.delivered(), DELIVER_SECONDS)
        except TimeoutError:
            _log.info("= not everything has been reported to the hub; the journal keeps it for the next start")


def _reload(agent: Agent, parsed: argparse.Namespace) -> None:
    """SIGHUP: the log's format and level change at once; for the others a warning says that they need a restart."""
    try:
        fresh = SCHEMA.load(parsed)
    except ConfigError as error:
        _log.error("! the settings are unchanged: %s", error)
        return
    _, restart = agent.settings.differences(fresh)
    setup_logging(fresh.text("log.format"), fresh.text("log.level"))
    if restart:
        _log.warning("! these settings need a restart to change: %s", ", ".join(restart))
    _log.info("= settings reloaded")
