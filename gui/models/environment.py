"""What was there when a run began, as rows: versions, settings, kernel values, sites, and who reported. No toolkit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gui.models import figures
from gui.store import RunEntry, StatusPair, Store
from shoveler.service import StatusError, decode_status

DEEPEST = 8
"""Levels of a value that get rows of their own; a bundle may have more."""
GROUPS = {
    "clients": "client",
    "server_agents": "server",
    "kernel": "kernel of this machine",
    "flush_seconds": "intervals",
    "fstat_seconds": "intervals",
    "foreign_faults": "fault still on",
}
"""What a part of the environment is called here."""
NAMES = {
    "host": "host",
    "hub": "hub address",
    "lab": "local lab",
    "broker": "broker of the lab",
    "servers": "servers",
    "files": "files of each test",
    "fstat_seconds": "fstat interval, s",
    "flush_seconds": "flush, s",
    "clock_offset": "clock offset",
    "rtt": "round trip",
    "cpus": "CPUs",
    "mtu": "MTU",
    "udp_drops": "datagrams not sent since boot",
    "monitoring": "monitoring line",
    "findings": "findings in its configuration",
    "xrootd": "XRootD",
    "t": "since",
    "run": "of run",
    "do": "what",
    "curl": "libcurl",
}
MOMENTS = ("t", "until")
ORDER = (
    "version",
    "settings",
    "fault still on",
    "intervals",
    "kernel of this machine",
    "client",
    "server",
    "shoveler",
    "collector",
)
SECONDS = ("clock_offset", "rtt")


@dataclass(frozen=True, slots=True)
class Fact:
    """One value. `group`: version, settings, client, server, kernel …; `of`: whose it is; empty: the run's."""

    group: str
    of: str
    name: str
    value: str


def read_environment(store: Store, run_id: int) -> tuple[Fact, ...]:
    """Everything that was recorded when this run began. Blocking. Raises StoreError."""
    run = store.run(run_id)
    facts = facts_of(run)
    if not facts:
        return ()
    return tuple(sorted((*facts, *_daemons(store.statuses(run_id))), key=lambda fact: _place(fact.group)))


def _place(group: str) -> int:
    return ORDER.index(group) if group in ORDER else len(ORDER)


def facts_of(run: RunEntry) -> tuple[Fact, ...]:
    """Versions and environment of a run; empty for one of an older version."""
    return (*_facts("version", run.versions), *_facts("settings", run.environment))


def _facts(group: str, values: Mapping[str, Any]) -> Iterator[Fact]:
    for name, value in values.items():
        own = GROUPS.get(name, group)
        if isinstance(value, Sequence) and not isinstance(value, str) and any(isinstance(v, Mapping) for v in value):
            for number, each in enumerate(value, 1):
                member = str(each.get("name", number)) if isinstance(each, Mapping) else str(number)
                for key, inner in _flat("", each, 0):
                    if key != "name":
                        yield Fact(GROUPS.get(name, name), member, NAMES.get(key, key), inner)
        elif isinstance(value, Mapping):
            for key, inner in _flat("", value, 0):
                yield Fact(GROUPS.get(name, name), "", NAMES.get(key, key), inner)
        else:
            yield Fact(own, "", NAMES.get(str(name), str(name)), _words(str(name), value))


def _daemons(statuses: Sequence[StatusPair]) -> Iterator[Fact]:
    """Shovelers and collectors that reported: their host and version."""
    for pair in statuses:
        try:
            first = decode_status(f"{pair.program}.{pair.member}", pair.first)
        except StatusError:
            continue  # of a newer version
        for name, value in (("host", first.host), ("version", first.version)):
            yield Fact(pair.program, pair.member, name, _words(name, value))
        yield Fact(pair.program, pair.member, "running since", figures.day_and_time(first.started))


def _flat(name: str, value: Any, level: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and level < DEEPEST:
        for key, inner in value.items():
            yield from _flat(f"{name} {key}".strip(), inner, level + 1)
    else:
        yield name, _words(name, value)


def _words(name: str, value: Any) -> str:
    if value is None or value == "" or value == []:
        return figures.UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name in SECONDS and isinstance(value, int | float):
        return figures.milliseconds(float(value), signed=name == "clock_offset")
    if name in MOMENTS and isinstance(value, int | float):
        return figures.day_and_time(float(value)) if value else figures.UNKNOWN
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, int):
        return figures.count(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_words(name, each) for each in value)
    return str(value)
