"""How the shovelers and the collector of a lab are started: their commands, settings, environment and sockets."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from socket import socket
from typing import IO

from agent.lab.layout import Layout
from agent.lab.names import Names, with_queue
from agent.lab.options import is_amqp
from agent.lab.pids import clean_environment, dies_with_us
from shoveler.service.programs import program_command

_FIRST_FD = 3
_TAKE_SOCKET = 'LISTEN_PID=$$ exec "$@"'


def reserve_socket_number() -> None:
    """Reserve descriptor 3 for the socket that `start` passes. Call it before anything else opens a file."""
    descriptor = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    if descriptor != _FIRST_FD:
        os.dup2(descriptor, _FIRST_FD, inheritable=False)
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Bus:
    """The bus and framing that the daemons use."""

    url: str
    names: Names
    framing: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to start one daemon. Settings are passed in the environment, where other users cannot see a broker's
    password."""

    command: list[str]
    environment: dict[str, str]


def start(recipe: Recipe, handed: socket | None, log: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a daemon of ours, which will die with this thread. Raises OSError.

    `handed` becomes its descriptor 3, as systemd does it (LISTEN_FDS, LISTEN_PID), and stays open here. `pass_fds` is
    not enough, because the number must be 3 and the pid is only known after the fork: hence the reserved descriptor and
    the shell, which becomes the daemon. No Python interpreter is needed, which a frozen build does not have.
    """
    env = {**clean_environment(), **recipe.environment}
    command = recipe.command
    if handed is not None:
        os.dup2(handed.fileno(), _FIRST_FD, inheritable=False)
        env["LISTEN_FDS"] = "1"
        command = ["/bin/sh", "-c", _TAKE_SOCKET, "sh", *command]
    try:
        return subprocess.Popen(
            dies_with_us(command),
            env=env,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=() if handed is None else (_FIRST_FD,),
            start_new_session=True,
        )
    finally:
        if handed is not None:
            reserve_socket_number()


def shoveler(name: str, layout: Layout, bus: Bus, metrics: str, own: Mapping[str, list[str]]) -> Recipe:
    """`metrics` is the HOST:PORT for it; `own` has other commands to start, by program name."""
    return Recipe(
        _command("tally-shoveler", own),
        {
            "TALLY_SHOVELER_BUS_URL": bus.url,
            "TALLY_SHOVELER_BUS_EXCHANGE": bus.names.packets_exchange,
            "TALLY_SHOVELER_STATUS_EXCHANGE": bus.names.status_exchange,
            "TALLY_SHOVELER_SPOOL_DIR": str(layout.spool(name)),
            "TALLY_SHOVELER_FRAMING": bus.framing,
            "TALLY_SHOVELER_METRICS": metrics,
        },
    )


def collector(layout: Layout, bus: Bus, metrics: str, own: Mapping[str, list[str]]) -> Recipe:
    """As `shoveler`. One queue and no shards: all servers of a lab have the same address, and so the same shard."""
    exchanges = {f"TALLY_COLLECTOR_EXCHANGES_{k.upper()}": v for k, v in bus.names.other_exchanges.items()}
    return Recipe(
        _command("tally-collector", own),
        exchanges
        | {
            "TALLY_COLLECTOR_FROM": with_queue(bus.url, bus.names.packets_queue) if is_amqp(bus.url) else bus.url,
            "TALLY_COLLECTOR_TO": bus.url,
            "TALLY_COLLECTOR_EXCHANGES_PACKETS": bus.names.packets_exchange,
            "TALLY_COLLECTOR_EXCHANGES_RECORDS": bus.names.records_exchange,
            "TALLY_COLLECTOR_EXCHANGES_STATUS": bus.names.status_exchange,
            "TALLY_COLLECTOR_STATE_DIR": str(layout.collector),
            "TALLY_COLLECTOR_FRAMING": bus.framing,
            "TALLY_COLLECTOR_METRICS_LISTEN": metrics,
            # Everything of a session arrives within fstat's one second here; a client without info need not wait
            # longer.
            "TALLY_COLLECTOR_STATE_SETTLE": "1s",
            "TALLY_COLLECTOR_WLCG_ENABLED": "false",  # every path is below /store: it would duplicate all records
        },
    )


def _command(program: str, own: Mapping[str, list[str]]) -> list[str]:
    return own.get(program) or program_command(program)
