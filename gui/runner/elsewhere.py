"""The run of another program in the same database, as far as the database tells of it: for a window that only looks on.

What only that program knows (its clients, its rounds, what it waits for) is not here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from gui.reconcile import STATES, LiveCounts, LiveTotals, figures, newest
from gui.runner.ownership import UNDER_WAY
from gui.runner.progress import (
    MAX_MARKERS,
    RING_SECONDS,
    Marker,
    Outcome,
    RunProgress,
    SamplePoint,
    ServerRow,
    Step,
    StepState,
)
from gui.store import RepeatEntry, RunEntry, SampleRow, Store, TestEntry

LOOK_BACK = 30
"""Seconds before the newest sample that are read again: samples change while reports of clients are late."""


@dataclass(slots=True)
class _Watched:
    """A repeat that is looked at."""

    entry: RepeatEntry
    counts: LiveCounts
    read: dict[tuple[int, int], int | None]
    """Bytes that clients had read, by second and server."""
    counted: dict[int, list[int]]
    """Requested, read, recorded, by second."""


class Elsewhere:
    """`look` blocks; call it about once a second."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._run: int | None = None
        self._watched: _Watched | None = None

    def look(self, now: float, owner: str) -> RunProgress | None:
        """The run under way, or the end of the one that was last under way; None if there was none."""
        runs = self._store.runs(20)
        run = next((one for one in runs if one.state in UNDER_WAY), None)
        if run is None:
            run = next((one for one in runs if one.id == self._run), None)
        if run is None:
            return None
        if run.id != self._run:
            self._run, self._watched = run.id, None
        tests, repeats = self._store.tests(run.id), self._store.repeats(run.id)
        base = replace(self._base(now, run, tests, repeats), owner=owner)
        if not repeats:
            return replace(base, phase="preparing")
        current = max(repeats, key=lambda repeat: repeat.id)
        test = next(one for one in tests if one.id == current.test_id)
        return self._with_repeat(base, now, test, current)

    def _base(
        self, now: float, run: RunEntry, tests: Sequence[TestEntry], repeats: Sequence[RepeatEntry]
    ) -> RunProgress:
        under_way = run.state in UNDER_WAY
        markers = [Marker(m.t, m.kind, m.text) for m in self._store.markers(run.id)]  # type: ignore[arg-type]
        outcome: Outcome = "running" if under_way else run.state  # type: ignore[assignment]
        return RunProgress(
            t=now,
            run=run.id,
            plan=run.name,
            phase="round" if under_way else "done",
            outcome=outcome,
            message=run.message,
            tests=len(tests),
            started=run.started or run.created,
            markers=tuple(markers[-MAX_MARKERS:]),
            steps=tuple(self._step(test, repeats) for test in tests),
            run_total=sum(test.spec.total * test.spec.repeats for test in tests),
        )

    def _step(self, test: TestEntry, repeats: Iterable[RepeatEntry]) -> Step:
        states: list[StepState] = ["waiting"] * test.spec.repeats
        for repeat in repeats:
            if repeat.test_id == test.id:
                states[repeat.number - 1] = self._state(test, repeat)
        name = test.spec.name or f"{test.spec.servers} × {test.spec.files_per_server}"
        return Step(name, test.spec.total, tuple(states))

    def _state(self, test: TestEntry, repeat: RepeatEntry) -> StepState:
        entries = self._store.scorings(repeat.id)
        if not entries:
            return "running"
        conclusion = figures(replace(test.spec, repeats=1), newest(entries)).conclusion
        outcome = STATES[conclusion]
        return outcome if outcome in ("passed", "failed") else "ended"

    def _with_repeat(self, base: RunProgress, now: float, test: TestEntry, repeat: RepeatEntry) -> RunProgress:
        watched = self._watched
        if watched is None or watched.entry.id != repeat.id:
            watched = self._watched = _Watched(repeat, LiveCounts(self._store, repeat.id), {}, {})
        totals = watched.counts.look(now)
        over = sum(step.requests * sum(s in ("passed", "failed", "ended") for s in step.repeats) for step in base.steps)
        scored = repeat.settled is not None
        servers = tuple(server.name for server in totals.servers)
        points = self._points(watched, totals)
        rates = points[-1].rates if points else (None,) * len(servers)
        done = totals.read + totals.failed
        seconds = (repeat.ended or now) - (repeat.started or now)
        phase = base.phase
        if base.outcome == "running":
            phase = "settling" if repeat.ended is not None else phase if totals.requested else "starting"
        return replace(
            base,
            phase=phase,
            test=repeat.test_number,
            repeat=repeat.number,
            repeats=test.spec.repeats,
            total=test.spec.total,
            run_requested=over + (0 if scored else totals.requested),
            requested=totals.requested,
            read=totals.read,
            recorded=totals.recorded,
            failed=totals.failed,
            wrong=totals.wrong,
            duplicate=totals.duplicate,
            pending=totals.pending,
            gap=totals.gap,
            gap_oldest=max(0.0, now - totals.gap_oldest) if totals.gap_oldest is not None else 0.0,
            achieved_rate=done / seconds if seconds > 0 and totals.requested else None,
            series=servers,
            servers=tuple(
                ServerRow(
                    name=server.name,
                    url=server.url,
                    requested=server.requested,
                    read=server.read,
                    recorded=server.recorded,
                    gap=server.gap,
                    gap_oldest=server.gap_oldest,
                    failed=server.failed,
                    wrong=server.wrong,
                    duplicate=server.duplicate,
                    bytes_read=server.bytes_read,
                    bytes_recorded=server.bytes_recorded,
                    rate=rate,
                    last_record=server.last_record,
                )
                for server, rate in zip(totals.servers, rates, strict=True)
            ),
            samples=points,
        )

    def _points(self, watched: _Watched, totals: LiveTotals) -> tuple[SamplePoint, ...]:
        """The seconds that are stored, with the rates of each: the growth of what clients had read."""
        known = max(watched.counted, default=0) - LOOK_BACK
        for second in [second for second in watched.counted if second >= known]:
            del watched.counted[second]
        for row in self._store.samples(watched.entry.id, since=known):
            watched.read[row.t, row.server_id] = row.bytes_read
            counts = watched.counted.setdefault(row.t, [0, 0, 0])
            for place, value in enumerate(_counts(row)):
                counts[place] += value or 0
        places = [server.id for server in totals.servers]
        asked = min((second for second, counts in watched.counted.items() if counts[0]), default=math.inf)
        seconds = sorted(watched.counted)[-RING_SECONDS:]
        return tuple(
            SamplePoint(
                float(second),
                tuple(None if second < asked else _rate(watched.read, second, place) for place in places),
                requested=watched.counted[second][0] or None,
                read=watched.counted[second][1] if watched.counted[second][0] else None,
                recorded=watched.counted[second][2] if watched.counted[second][0] else None,
            )
            for second in seconds
        )


def _counts(row: SampleRow) -> tuple[int | None, int | None, int | None]:
    return row.requested, row.read, row.recorded


def _rate(read: dict[tuple[int, int], int | None], second: int, server: int) -> float | None:
    now, before = read.get((second, server)), read.get((second - 1, server))
    return None if now is None or before is None else float(max(0, now - before))
