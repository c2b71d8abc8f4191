"""``tally-collector``: the composition root and the command line. Exit codes: 0 done, 1 failed, 2 invalid usage.

Commands besides running: ``inspect`` (`collector.inspection`), ``status`` (`collector.standing`) and ``import-config``
(`collector.migration`).
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import socket
import sys
import time
from collections.abc import Mapping, Sequence

from collector.config import (
    SCHEMA,
    BusInput,
    CollectorSettings,
    FileInput,
    FileOutput,
    Plan,
    UdpInput,
    plan,
    program_version,
    unusable,
)
from collector.engine import Snapshot, collect_garbage_seldom, parts
from collector.metrics import Metrics
from collector.serving import Crew, ThreadCrew
from collector.sinks import SinkError
from collector.sinks.direct import gather
from collector.workers import WorkerCrew, worst
from shoveler.service import (
    ConfigError,
    Health,
    MonitorServer,
    Notifier,
    Signals,
    listen_fds,
    new_registry,
    setup_logging,
)
from shoveler.service.importing import SERVICE_USER, as_service_user
from shoveler.service.output import printing
from shoveler.service.streams import open_standard_streams

_log = logging.getLogger(__name__)

_BEAT = 0.25
_SHOW_EVERY = 1.0
_SILENT = 60.0
"""Seconds without a snapshot after which an engine counts as stuck, and the watchdog is not fed."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `tally-collector`; the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["inspect"]:
        from collector import inspection

        return printing("tally-collector", lambda: inspection.main(arguments[1:]), ends=True)
    if arguments[:1] == ["status"]:
        from collector import standing

        return printing("tally-collector", lambda: standing.main(arguments[1:]))
    if arguments[:1] == ["import-config"]:
        from collector import migration

        return printing("tally-collector", lambda: migration.main(arguments[1:]))
    if {"--check-config", "--help", "-h", "--version"} & set(arguments):
        return printing("tally-collector", lambda: _serve(arguments))
    open_standard_streams()
    multiprocessing.freeze_support()  # workers and receivers of a frozen build start here
    return _serve(arguments)


def _parser() -> argparse.ArgumentParser:
    """The daemon's own options."""
    parser = argparse.ArgumentParser(
        "tally-collector",
        description="Reads XRootD monitoring datagrams, joins them, and publishes one record per file access.",
        epilog="Other commands: tally-collector inspect CAPTURE|SPOOL, status, import-config FILE (--help).",
    )
    parser.add_argument("--version", action="version", version=f"tally-collector {program_version()}")
    SCHEMA.add_arguments(parser)
    return parser


def parsers() -> list[argparse.ArgumentParser]:
    """The program's options and those of its commands, for manual pages and completion."""
    from collector import inspection, migration, standing

    return [_parser(), inspection.parser(), standing.parser(), migration.parser()]


def _serve(arguments: Sequence[str]) -> int:
    """What the daemon's own options say: serve, or print what they mean."""
    options = _parser().parse_args(arguments)
    try:
        settings = load(options)
        what = plan(settings)
        problems, as_user = as_service_user(lambda: unusable(what, settings)) if options.check_config else ([], False)
        if as_user:
            print(f"note: checked as the user {SERVICE_USER}, as which the service runs", file=sys.stderr)
        if problems:
            raise ConfigError(problems)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    if options.check_config:
        print("\n".join(settings.describe()))
        for note in _notes(what):
            print(f"note: {note}")
        return 0
    return run(options, settings, what)


def _notes(what: Plan) -> list[str]:
    """What a check of the settings cannot detect, but the operator should know."""
    notes = []
    if isinstance(what.source, BusInput) and what.source.address.kind == "amqp":
        queue = what.source.queue or f"{what.shard_prefix}N"
        notes.append(
            "a policy of the broker may discard confirmed messages (max-length, message-ttl, expires), which cannot be "
            f"checked from here; `rabbitmqctl list_queues name effective_policy_definition` shows what "
            f"applies to {queue}"
        )
    return notes


def load(options: argparse.Namespace, environ: Mapping[str, str] | None = None) -> CollectorSettings:
    """The settings, with ``TALLY_COLLECTOR_METRICS`` for the address as ``TALLY_SHOVELER_METRICS`` is for shovelers."""
    env = dict(os.environ if environ is None else environ)
    short, full = SCHEMA.prefix + "METRICS", SCHEMA.variable("metrics.listen")
    if short in env:
        env.setdefault(full, env[short])
        del env[short]
    return SCHEMA.load(options, env)


def run(options: argparse.Namespace, settings: CollectorSettings, what: Plan) -> int:
    """Start up, serve until told to stop or the input ends, shut down; the exit code."""
    setup_logging(settings.log_format, settings.log_level)
    try:
        sockets = listen_fds() if isinstance(what.source, UdpInput) else []
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    notifier = Notifier()
    health = Health()
    registry = new_registry()
    metrics = Metrics(registry, peer_names=settings.metrics_peer_names)
    try:
        monitor = MonitorServer(settings.metrics_listen, registry, health)
    except OSError as error:
        print(error.strerror, file=sys.stderr)
        return 2
    signals = Signals.install()
    health.detail("version", program_version())
    _log.info("from %s to %s", _shown(what.source), ", ".join(map(_shown, what.sinks)))
    collect_garbage_seldom()
    crew = _crew(what, settings, sockets)
    desk = _Desk(crew, metrics, health, notifier)
    try:
        notifier.ready()
        told = False
        while crew.watch(_BEAT):
            desk.look()
            if signals.stopping.is_set() and not told:
                told = True
                notifier.stopping("draining")
                _log.info("stopping: taking no more input, finishing what is on its way")
                crew.stop()
            if signals.take_reload():
                notifier.reloading()
                settings = _reload(options, settings, metrics, crew)
                notifier.ready()
        return _ended(what, worst(crew.endings()), complete=not told)
    finally:
        monitor.close()
        signals.close()


def _ended(what: Plan, code: int, *, complete: bool) -> int:
    """The exit code, after joining what several workers have written for one file."""
    (only, *others) = what.sinks
    if isinstance(what.source, FileInput) and what.workers > 1 and isinstance(only, FileOutput) and not others:
        assert only.path is not None
        if not complete:
            _log.warning(
                "stopped before the end: the records that the other workers wrote beside %s are not in it", only.path
            )
        elif code == 0:
            try:
                gather(only.path, what.workers)
            except SinkError as error:
                _log.error("%s", error)
                return 1
    return code


def _crew(what: Plan, settings: CollectorSettings, sockets: Sequence[socket.socket]) -> Crew:
    if what.workers > 1:
        return WorkerCrew(what, parts(what), level=settings.log_level, form=settings.log_format)
    return ThreadCrew(what, parts(what), sockets=sockets)


class _Desk:
    """Publishes the crew's snapshots as metrics, health and watchdog messages."""

    def __init__(self, crew: Crew, metrics: Metrics, health: Health, notifier: Notifier) -> None:
        self._crew = crew
        self._metrics = metrics
        self._health = health
        self._notifier = notifier
        self._due = 0.0
        self._watchdog_due = 0.0
        self._sick: set[str] = set()

    def look(self) -> None:
        """Once a second: metrics, health, watchdog."""
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + _SHOW_EVERY
        snapshots = self._crew.snapshots()
        self._metrics.show(snapshots)
        self._show_health(snapshots, now)
        interval = self._notifier.watchdog_interval
        if interval is not None and now >= self._watchdog_due and not _silent(snapshots, now):
            self._watchdog_due = now + interval
            self._notifier.watchdog()

    def _show_health(self, snapshots: Sequence[Snapshot], now: float) -> None:
        sick: dict[str, str] = {}
        for snapshot in snapshots:
            prefix = f"{snapshot.part} " if len(snapshots) > 1 else ""
            sick |= {prefix + part: sentence for part, sentence in snapshot.trouble.items()}
        for snapshot in _silent(snapshots, now):
            sick[f"{snapshot.part} engine"] = f"no sign of life for {now - snapshot.at:.0f} s"
        for part, sentence in sick.items():
            self._health.problem(part, sentence)
        for part in self._sick - set(sick):
            self._health.fine(part)
        if set(sick) != self._sick:
            self._notifier.status("; ".join(sick.values()) or "working")
        self._sick = set(sick)
        self._health.detail("standby", [snapshot.part for snapshot in snapshots if snapshot.waiting])


def _silent(snapshots: Sequence[Snapshot], now: float) -> list[Snapshot]:
    return [snapshot for snapshot in snapshots if snapshot.at and now - snapshot.at > _SILENT]


def _reload(
    options: argparse.Namespace, settings: CollectorSettings, metrics: Metrics, crew: Crew
) -> CollectorSettings:
    """Read the settings again; apply what can change while running, and name the rest in the log."""
    try:
        newer = load(options)
        plan(newer)
    except ConfigError as error:
        _log.error("the old settings stay in use because the new ones have problems: %s", error)
        return settings
    live, restart = settings.differences(newer)
    if "metrics.peer_names" in live:
        metrics.use_peer_names(newer.boolean("metrics.peer_names"))
    level, form = newer.text("log.level"), newer.text("log.format")
    setup_logging(form, level)
    crew.reconfigure(level, form)
    _log.info("settings read again; changed: %s", ", ".join(live) or "nothing")
    if restart:
        _log.warning("these changes need a restart: %s", ", ".join(restart))
    return newer


def _shown(end: object) -> str:
    """An input or output, as shown to users."""
    address = getattr(end, "address", None)
    if address is not None:
        return f"udp://{address}" if isinstance(end, UdpInput) else str(address)
    path = getattr(end, "path", None)
    return f"file {path}" if path is not None else "the standard streams"


if __name__ == "__main__":
    sys.exit(main())
