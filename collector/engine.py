"""One collector at work: a part of the input (a queue, a shard, a socket, a file) with everything that it needs.

`open_engine` composes source, sink, checkpoint, correlator and cycle for one part of a plan; `Engine.run` repeats the
cycle until it is told to stop or the input ends. A process runs one engine per shard, each in its own thread, sharing
nothing. An engine's latest `Snapshot`, made by its own thread, shows its state to the outside.
"""

from __future__ import annotations

import functools
import gc
import logging
import socket
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from collector.advice import Advice
from collector.checkpoint import CheckpointBusyError, NoCheckpoint, Store, check_shards, open_checkpoint, shard_name
from collector.config import BusInput, BusOutput, FileInput, FileOutput, Output, Plan
from collector.correlate import Correlator
from collector.cycle import Cycle
from collector.names import Names
from collector.quarantine import Quarantine, quarantine_path
from collector.sinks import Sink
from collector.sinks.bus import BusSink
from collector.sinks.direct import DirectFile, can_be_direct
from collector.sinks.file import FileSink
from collector.sinks.several import SeveralSinks
from collector.sources import Source
from collector.sources.bus import BusSource
from collector.sources.file import LINES_PER_TAKE, MANY_LINES, FileSource, Share
from collector.sources.udp import UdpSource
from collector.status import StatusReporter
from shoveler.bus import (
    Consumer,
    Publisher,
    Requests,
    declare_shards,
    open_consumer,
    open_publisher,
    open_subscription,
    open_topology,
)
from shoveler.service import ASK

_log = logging.getLogger(__name__)

_STEP = 0.25
"""Seconds a step may wait when there is nothing to do: also how soon a stop is noticed."""
_SNAPSHOT_EVERY = 1.0
_ADVISE_EVERY = 5.0
_WIND_DOWN = 5.0
"""Seconds for what is in flight when we are told to stop. A stop may take ten in total, even when the broker is silent,
and then the last status message and closing each connection also take as long as they may."""
_IN_USE_FOR = 3.0
"""A refusal at the start is final after this long: a broker may need a moment to notice that our predecessor died."""
_STANDBY_LOOK = 0.5
_DECLARED_FOR = 10.0
_IN_WLCG_FORM = frozenset({"wlcg", "wlcg-cache", "wlcg-tpc"})


class Part(msgspec.Struct, frozen=True):
    """A part of the input, by which a checkpoint is named."""

    name: str
    shard: int | None = None


class Snapshot(msgspec.Struct, kw_only=True):
    """An engine's report on itself, once a second: for metrics and health, and from a worker to its parent."""

    part: str
    values: dict[str, float] = {}
    """Values without a label, by name."""
    labelled: dict[str, dict[str, float]] = {}
    """Name → value of its one label → number."""
    trouble: dict[str, str] = {}
    """Part with a problem (input, output, state) → one sentence."""
    waiting: bool = False
    """On standby: another collector uses the state."""
    at: float = 0.0
    """When it was made, on the machine's monotonic clock."""


class Engine:
    """Runs one cycle. `run` belongs to one thread; `snapshot` may be read from any."""

    def __init__(
        self,
        part: Part,
        cycle: Cycle,
        source: Source,
        correlator: Correlator,
        reporter: StatusReporter,
        *,
        resumable: bool,
    ) -> None:
        """`resumable`: being stopped half way is not a failure, because the next start continues from there."""
        self._part = part
        self._resumable = resumable
        self._cycle = cycle
        self._source = source
        self._correlator = correlator
        self._reporter = reporter
        self._advice = Advice(correlator.warnings)
        self.snapshot = Snapshot(part=part.name)

    def run(self, stopping: threading.Event) -> bool:
        """Until `stopping` is set or the input has ended. True when the next owner has everything. That is false for a
        replay stopped before its end, because its position is not kept. Raises BusInUseError (from the start on, for
        several seconds), CheckpointUnusableError, OutputClosedError.
        """
        cycle = self._cycle
        begun = time.monotonic()
        due = advice_due = 0.0
        try:
            cycle.restore()
            while not stopping.is_set() and not cycle.finished:
                cycle.step(_STEP)
                self._reporter.tick()
                now = time.monotonic()
                if now >= due:
                    due = now + _SNAPSHOT_EVERY
                    self.snapshot = self._look()
                    self._give_up_when_in_use(now - begun)
                if now >= advice_due:
                    advice_due = now + _ADVISE_EVERY
                    self._advice.look()
            safe = cycle.finished or (cycle.wind_down(_WIND_DOWN) and self._resumable)
            self.snapshot = self._look()
            self._advice.look()
            self._reporter.finish()
            if cycle.finished and not self._source.live:
                self._tell_end()
            return safe
        finally:
            cycle.close()
            self._reporter.close()

    def _tell_end(self) -> None:
        """A replay has ended: nobody looks at its metrics, so log here what could not be used."""
        counts = self._cycle.counts
        rejected = Counter(counts.rejected)
        for name, number in self._correlator.counters.items():
            if name.startswith("rejected{"):
                rejected[name[len("rejected{") : -1]] += number
        total = counts.datagrams, sum(counts.records.values())
        if rejected:
            reasons = ", ".join(f"{reason} {number}" for reason, number in sorted(rejected.items()))
            _log.warning("the input has ended: %d datagrams, %d records; could not be used: %s", *total, reasons)
        else:
            _log.info("the input has ended: %d datagrams, %d records", *total)

    def _give_up_when_in_use(self, running: float) -> None:
        if isinstance(self._source, BusSource) and running > _IN_USE_FOR:
            in_use = self._source.taken_by_another
            if in_use is not None:
                raise in_use

    def _look(self) -> Snapshot:
        cycle, counts = self._cycle, self._cycle.counts
        return Snapshot(
            part=self._part.name,
            values={
                "cycles": counts.cycles,
                "datagrams": counts.datagrams,
                "duplicates": counts.duplicates,
                "reused_ids": counts.reused,
                "commits": counts.commits,
                "commit_seconds": counts.commit_seconds,
                "last_commit_seconds": counts.last_commit_seconds,
                "lag_seconds": counts.lag_seconds,
                "outbox": cycle.outbox,
                "seen_runs": cycle.seen_runs,
                "seen_forgotten": cycle.seen_forgotten,
                "quarantine_forgotten": cycle.quarantine_forgotten,
                "source_drops": cycle.source_drops,
            },
            labelled={
                "rejected": dict(counts.rejected),
                "records": dict(counts.records),
                "set_aside": dict(counts.set_aside),
                "dropped": dict(cycle.records_dropped),
                "core": dict(self._correlator.counters),
            },
            trouble=cycle.trouble,
            at=time.monotonic(),
        )


def collect_garbage_seldom() -> None:
    """For a process of engines: look for garbage in cycles after 50,000 objects instead of 700.

    OPTIMISATION. Records, open files and messages are tuples, freed as soon as nothing refers to them; there is next to
    nothing for the collector to find, and searching cost 4 % (tests/bench/bench_collector_core.py, which does the
    same).
    """
    gc.set_threshold(50_000, 20, 20)


def parts(plan: Plan) -> list[Part]:
    """The parts that this plan works on."""
    if not plan.shards:
        return [Part("collector")]
    return [Part(shard_name(shard, plan.shard_count), shard) for shard in plan.shards]


def open_store(plan: Plan, part: Part, stopping: threading.Event) -> Store | None:
    """The checkpoint of a part. On standby: once it is free, or None when told to stop before that.

    Raises CheckpointBusyError (not on standby) or CheckpointUnusableError.
    """
    if plan.state is None:
        return NoCheckpoint()
    if part.shard is not None:
        check_shards(plan.state, plan.shard_count)
    told = False
    while True:
        try:
            return open_checkpoint(plan.state, part.name, synchronous=plan.synchronous)
        except CheckpointBusyError as busy:
            if not plan.standby:
                raise
            if not told:
                told = True
                _log.info("%s: on standby (%s)", part.name, busy)
        if stopping.wait(_STANDBY_LOOK):
            return None


def open_engine(
    plan: Plan, part: Part, store: Store, names: Names | None = None, sockets: Sequence[socket.socket] = ()
) -> Engine:
    """Compose an engine on an open checkpoint, which it closes. `sockets`: passed by whoever started us. Raises
    SourceError or SinkError when the source or sink can never work.
    """
    source: Source | None = None
    try:
        source = _source(plan, part, store, sockets)
        sink = _sinks(plan, part, store)
        correlator = Correlator(replace(plan.correlator, names=names.name if names is not None else None))
        quarantine = Quarantine(quarantine_path(store.directory, part.name) if store.directory is not None else None)
        cycle = Cycle(source, sink, correlator, store, quarantine=quarantine)
    except BaseException:
        if source is not None:
            source.close()
        store.close()
        raise
    reporter = StatusReporter(
        _status_connect(plan, store),
        store.id,
        correlator.status,
        lambda: cycle.duplicates_of,
        correlator.processes,
        host=socket.getfqdn() if plan.names else socket.gethostname(),
        work=cycle,
        requests=_requests(plan, store),
        set_aside=lambda: cycle.counts.set_aside.total(),
        ttl=plan.correlator.ttl,
    )
    resumable = source.live or plan.state is not None
    return Engine(part, cycle, source, correlator, reporter, resumable=resumable)


def _source(plan: Plan, part: Part, store: Store, sockets: Sequence[socket.socket]) -> Source:
    wanted = plan.source
    if isinstance(wanted, FileInput):
        share = Share(part.shard, plan.shard_count) if part.shard is not None else None
        lines = LINES_PER_TAKE if _direct(plan) is None else MANY_LINES
        return FileSource(wanted.path, follow=wanted.follow, position=store.position, share=share, lines=lines)
    if isinstance(wanted, BusInput):
        queue = wanted.queue if wanted.queue is not None else f"{plan.shard_prefix}{part.shard}"
        connect = functools.partial(_connect_consumer, plan, wanted, queue, store.id)
        return BusSource(connect, f"{wanted.address} queue {queue}", prefetch=plan.prefetch)
    return UdpSource(wanted.address, receive_buffer=plan.receive_buffer, sockets=list(sockets))


def _connect_consumer(plan: Plan, wanted: BusInput, queue: str, collector_id: str, prefetch: int) -> Consumer:
    """Declare the queue if it is missing, and consume it. Raises BusError."""
    sharded = wanted.queue is None
    if sharded:
        _shards_declared.make_sure(plan, wanted)
    else:
        topology = open_topology(wanted.address, plan.bus)
        try:
            topology.declare_exchange(wanted.exchange)
            topology.declare_queue(queue, exchange=wanted.exchange)
        finally:
            topology.close()
    return open_consumer(
        wanted.address,
        exchange=wanted.exchange,
        queue=queue,
        reader=f"tally-collector {collector_id}",
        exclusive=not sharded,
        options=replace(plan.bus, prefetch=prefetch),
    )


class _ShardsDeclared:
    """The engine that connects first declares all shards, because messages for the others must find their queues too.
    The engines of a process connect at the same moment, and each would make the same hundreds of requests."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: dict[str, float] = {}

    def make_sure(self, plan: Plan, wanted: BusInput) -> None:
        """Declare them, unless that was just done. Raises BusError."""
        what = f"{wanted.address} {wanted.exchange} {plan.shard_prefix} {plan.shard_count}"
        with self._lock:
            if time.monotonic() - self._last.get(what, float("-inf")) < _DECLARED_FOR:
                return
            declare_shards(
                wanted.address,
                exchange=wanted.exchange,
                prefix=plan.shard_prefix,
                count=plan.shard_count,
                options=plan.bus,
            )
            self._last[what] = time.monotonic()


_shards_declared = _ShardsDeclared()


def _direct(plan: Plan) -> Path | None:
    """The file that records are written to directly, if any."""
    if isinstance(plan.source, FileInput) and len(plan.sinks) == 1:
        (only,) = plan.sinks
        if isinstance(only, FileOutput) and only.path is not None and can_be_direct(only.path):
            return only.path
    return None


def _sinks(plan: Plan, part: Part, store: Store) -> Sink:
    direct = _direct(plan)
    if direct is not None:
        return DirectFile(direct, store.mark, share=part.shard or 0)
    sinks = [_sink(plan, output, store) for output in plan.sinks]
    return sinks[0] if len(sinks) == 1 else SeveralSinks(sinks)


def _sink(plan: Plan, output: Output, store: Store) -> Sink:
    if isinstance(output, FileOutput):
        skip = frozenset[str]() if plan.correlator.wlcg_only else _IN_WLCG_FORM
        return FileSink(output.path, skip=skip)
    return BusSink(
        functools.partial(_connect_publisher, plan, output, store.id),
        output.exchanges,
        collector_id=store.id,
        batch=plan.batch,
        must_arrive=plan.must_arrive,
    )


def _connect_publisher(plan: Plan, output: BusOutput, collector_id: str, stream: str) -> Publisher:
    return open_publisher(output.address, exchange=output.exchanges[stream], writer=collector_id, options=plan.bus)


def _status_connect(plan: Plan, store: Store) -> functools.partial[Publisher] | None:
    if plan.status_address is None or not plan.status_exchange:
        return None
    return functools.partial(
        open_publisher, plan.status_address, exchange=plan.status_exchange, writer=store.id, options=plan.bus
    )


def _requests(plan: Plan, store: Store) -> Requests | None:
    if plan.status_address is None or not plan.status_exchange:
        return None
    connect = functools.partial(
        open_subscription,
        plan.status_address,
        exchange=plan.status_exchange,
        binding=ASK,
        reader=f"tally-collector {store.id}",
        options=plan.bus,
    )
    return Requests(connect, "the status")


__all__ = ["Engine", "Part", "Snapshot", "open_engine", "open_store", "parts"]
