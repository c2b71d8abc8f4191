"""The collector's metrics: the names that dashboards know, filled from the engines' snapshots.

Names and meanings are a public interface and never change. With `peer_names`, metrics that the OSG collector also has
are repeated under its names.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from prometheus_client import CollectorRegistry

from collector.config import program_version
from collector.engine import Snapshot
from shoveler.service import Counts, Gauges, show_build

_LABELLED = re.compile(r"(\w+)\{(.*)\}")

_PEERS = {
    "packets_parsed_ok": "Datagrams that were decoded.",
    "parse_errors": "Datagrams and messages that could not be decoded.",
    "ttl_evictions": "Open files given up after too long without activity.",
    "records_emitted": "Records written to the outbox, of every kind.",
}
"""Counters without a label that the OSG collector has, under its prefix ``shoveler_``."""

_OWN = {
    "datagrams_total": "Datagrams taken, before any was dropped as a duplicate.",
    "reused_ids_total": "Datagrams taken although their id was already seen, because their content differs.",
    "duplicates_total": "Datagrams dropped because they had been taken before.",
    "source_drops_total": "Datagrams lost before they were taken, as far as that can be counted (UDP).",
    "checkpoints_total": "Checkpoints written.",
    "checkpointing_seconds_total": "Time spent writing them.",
    "quarantine_forgotten_total": "Quarantine entries removed to make room for newer ones.",
    "seen_forgotten_total": "Runs of message ids forgotten because there were too many.",
}
_OWN_LABELLED = {
    "records_total": ("kind", "Records written to the outbox."),
    "rejected_total": ("reason", "Input that was not a datagram, or not a monitoring datagram."),
    "set_aside_total": ("what", "What the collector could not process because of a bug in it (see its quarantine)."),
    "gaps_total": ("class", "Datagrams that never came, by class of sequence."),
    "incomplete_total": ("reason", "Records that lack something, by what is missing."),
}
_GAUGES = {
    "state_bytes": "Memory used by the state of servers (estimated).",
    "outbox_size": "Chunks of records that are not confirmed and cleared yet.",
    "checkpoint_seconds": "Duration of the last checkpoint (of the slowest shard).",
    "lag_seconds": "From taking the last acknowledged input to its records being confirmed (of the slowest shard).",
    "seen_runs": "Runs of message ids that are remembered.",
    "standby": "Shards for which this collector is on standby.",
}


class Metrics:
    """Fills a registry from snapshots. `show` may be called from any one thread at a time."""

    def __init__(self, registry: CollectorRegistry, *, peer_names: bool) -> None:
        self._registry = registry
        show_build(registry, "collector", program_version())
        self._problems = Gauges(
            registry, "collector_problems", "Parts with a problem now: input, output, state.", ("part",)
        )
        self._prefixes = ["collector_"]
        self._counts: dict[str, list[Counts]] = {}
        self._gauges: dict[str, list[Gauges]] = {}
        self._add("collector_")
        for name, text in _OWN.items():
            self._counts[name] = [Counts(registry, f"collector_{name}", text)]
        for name, (label, text) in _OWN_LABELLED.items():
            self._counts[name] = [Counts(registry, f"collector_{name}", text, (label,))]
        for name, text in _GAUGES.items():
            self._gauges[name] = [Gauges(registry, f"collector_{name}", text)]
        self.use_peer_names(peer_names)

    def use_peer_names(self, wanted: bool) -> None:
        """Also show them under the peers' names from now on. Names once shown stay until a restart."""
        if wanted and "shoveler_" not in self._prefixes:
            self._prefixes.append("shoveler_")
            self._add("shoveler_")

    def _add(self, prefix: str) -> None:
        for name, text in _PEERS.items():
            self._counts.setdefault(name, []).append(Counts(self._registry, prefix + name, text))
        dropped = Counts(self._registry, prefix + "records_dropped", "Records deliberately not sent.", ("reason",))
        self._counts.setdefault("records_dropped", []).append(dropped)
        size = Gauges(self._registry, prefix + "state_size", "Servers, sessions and open files that are remembered.")
        self._gauges.setdefault("state_size", []).append(size)

    def show(self, snapshots: Iterable[Snapshot]) -> None:
        """The metrics are now the sums over these."""
        working = [snapshot for snapshot in snapshots if not snapshot.waiting]
        troubles = Counter(part for snapshot in working for part in snapshot.trouble)
        self._problems.replace({(part,): float(troubles[part]) for part in {"input", "output", "state", *troubles}})
        values: Counter[str] = Counter()
        labelled: dict[str, Counter[str]] = {}
        for snapshot in working:
            values.update(snapshot.values)
            for name, by_label in snapshot.labelled.items():
                labelled.setdefault(name, Counter()).update(by_label)
        core, core_labelled = _split(labelled.get("core", Counter()))
        rejected = labelled.get("rejected", Counter()) + core_labelled.get("rejected", Counter())
        records = labelled.get("records", Counter())
        dropped = labelled.get("dropped", Counter()) + core_labelled.get("dropped", Counter())
        incomplete = core_labelled.get("incomplete", Counter())
        self._set("packets_parsed_ok", core["decoded"])
        self._set("parse_errors", rejected.total())
        self._set("ttl_evictions", core["expired"])
        self._set("records_emitted", records.total())
        self._set("datagrams_total", values["datagrams"])
        self._set("reused_ids_total", values["reused_ids"])
        self._set("duplicates_total", values["duplicates"] + core["duplicates"])
        self._set("source_drops_total", values["source_drops"])
        self._set("checkpoints_total", values["commits"])
        self._set("checkpointing_seconds_total", values["commit_seconds"])
        self._set("seen_forgotten_total", values["seen_forgotten"])
        self._set("quarantine_forgotten_total", values["quarantine_forgotten"])
        self._set_labelled("set_aside_total", labelled.get("set_aside", Counter()))
        self._set_labelled("records_dropped", dropped)
        self._set_labelled("records_total", records)
        self._set_labelled("rejected_total", rejected)
        self._set_labelled("gaps_total", core_labelled.get("missing", Counter()))
        self._set_labelled("incomplete_total", incomplete)
        self._gauge("state_size", core["state_servers"] + core["state_sessions"] + core["state_files"])
        self._gauge("state_bytes", core["state_bytes"])
        self._gauge("outbox_size", values["outbox"])
        self._gauge("seen_runs", values["seen_runs"])
        self._gauge("checkpoint_seconds", _worst(working, "last_commit_seconds"))
        self._gauge("lag_seconds", _worst(working, "lag_seconds"))
        self._gauge("standby", sum(snapshot.waiting for snapshot in snapshots))

    def _set(self, name: str, value: float) -> None:
        for series in self._counts[name]:
            series.set(value)

    def _set_labelled(self, name: str, values: Counter[str]) -> None:
        for series in self._counts[name]:
            series.replace({(label,): float(value) for label, value in values.items()})

    def _gauge(self, name: str, value: float) -> None:
        for series in self._gauges[name]:
            series.set(value)


def _worst(snapshots: list[Snapshot], name: str) -> float:
    return max((snapshot.values.get(name, 0.0) for snapshot in snapshots), default=0.0)


def _split(counters: Counter[str]) -> tuple[Counter[str], dict[str, Counter[str]]]:
    """Names without a label, and those of the form ``name{label}``."""
    plain: Counter[str] = Counter()
    labelled: dict[str, Counter[str]] = {}
    for name, value in counters.items():
        match = _LABELLED.fullmatch(name)
        if match is None:
            plain[name] += value
        else:
            labelled.setdefault(match[1], Counter())[match[2]] += value
    return plain, labelled
