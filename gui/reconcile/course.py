"""The course of one request: all that is known of it, stage by stage, whatever its verdict. For display.

    courses = Courses(store, run_id)      # what the daemons reported during the run, read once
    course = courses.of(request_id)       # values only; `gui.models.course` puts them into words

A stage has *passed* only where somebody watched it: where no daemon reported, it was *not watched*, even though the
record came.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import msgspec

from gui.reconcile.facts import PACKET_SECOND, SLACK, Fault, Figures, LostAt, Path, Process, SequenceGap, Span
from gui.reconcile.gather import Gathered, facts_of, gather
from gui.reconcile.injected import injected_losses
from gui.reconcile.ladder import FAULTS, STAGES, Known, Ladder
from gui.reconcile.rollup import newest
from gui.reconcile.scoring import ladder_of
from gui.store import (
    NoSuchRowError,
    RecordEntry,
    RepeatEntry,
    RequestEntry,
    RequestState,
    RunEntry,
    Store,
    TestSpec,
)

StageState: TypeAlias = Literal["passed", "lost", "not reached", "unknown", "not watched"]
Sure: TypeAlias = Literal["certain", "proven", "probably", "unknown", ""]
"""*Certain*: what lost it counted it itself, or the plan injected it. *Proven*: bracketed by numbers and a counter.
*Probably*: only the rule fits. Empty: nothing was lost."""

TOGETHER = 500
"""Requests lost with the same datagram that are listed."""
NEIGHBOURS = 3
"""Numbers shown before a gap."""
SHOWN_LOST = 5
"""Lost numbers of a gap that are shown one by one."""
NUMBERS = 256
"""Sequence numbers are one byte."""
_COUNTED: frozenset[LostAt] = frozenset({"spool", "collector", "client", "load"})
"""Where what lost a record counted it itself."""


@dataclass(frozen=True, slots=True)
class CourseStage:
    """One stage. `t`: when it passed there, or was lost; `count`: what was counted there during the run."""

    name: str
    state: StageState
    t: float | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Strip:
    """Sequence numbers of one server process around a gap: (number, whether it came)."""

    server: str
    """Its name in the plan, or its own host name."""
    process: Process
    mine: bool
    numbers: tuple[tuple[int, bool], ...]
    more: int
    """Lost numbers of that gap that are not in `numbers`."""
    missing: int
    """All that are missing of this process, of the same class."""


@dataclass(frozen=True, slots=True)
class Course:
    """Everything about one request. `records`: those that it owns, oldest first. `gap`: that of its lost datagram.

    `injected`: the plan's own faults that can have caused the loss, and were on. `drops`: the kernel's counter at the
    shoveler, (time, drops so far), cut to the repeat."""

    run: RunEntry
    repeat: RepeatEntry
    spec: TestSpec
    request: RequestEntry
    ladder: Ladder | None
    stages: tuple[CourseStage, ...]
    sure: Sure
    records: tuple[RecordEntry, ...]
    process: Process | None
    successor: Process | None
    path: Path | None
    shoveler_host: str
    collectors: tuple[tuple[str, str], ...]
    """(id, host) of those that reported during the run."""
    figures: Figures
    gap: SequenceGap | None
    strips: tuple[Strip, ...]
    drops: tuple[tuple[float, int], ...]
    faults: tuple[Fault, ...]
    injected: tuple[Fault, ...]
    injected_count: int
    """Missing requests of the whole run that the plan injected itself."""
    together: tuple[RequestEntry, ...]
    together_count: int
    shared: int
    """How many other server processes send from the same address."""


class Courses:
    """The courses of the requests of one run. Reading what was reported takes a moment; it is kept."""

    def __init__(self, store: Store, run_id: int) -> None:
        self._store = store
        self._run = store.run(run_id)
        self._gathered: Gathered = gather(store, run_id)
        self._specs = {test.id: test.spec for test in store.tests(run_id)}
        self._repeats = {repeat.id: repeat for repeat in store.repeats(run_id)}
        self._injected = sum(injected_losses(store, newest(store.scorings_of_run(run_id))).values())

    def of(self, request_id: int) -> Course:
        """The course of a request. Blocking. Raises NoSuchRowError, StoreError."""
        store, evidence = self._store, self._gathered.evidence
        request = store.request(request_id)
        repeat = self._repeats.get(request.repeat_id) if request is not None else None
        if request is None or repeat is None:
            raise NoSuchRowError(f"Run {self._run.id} has no request {request_id}.")
        records = tuple(store.records_of(request_id))
        ladder = ladder_of(store, request_id, self._gathered)
        with store.database.read() as connection:
            fact = facts_of(connection, [request_id])[request_id]
        known = self._gathered.known(fact)
        injected = _injected(request, ladder, known)
        gap = _gap_of(ladder, known)
        ids = ladder.together if ladder is not None else ()
        shoveler = known.path.shoveler if known.path is not None else ""
        return Course(
            run=self._run,
            repeat=repeat,
            spec=self._specs[repeat.test_id],
            request=request,
            ladder=ladder,
            stages=_stages(request, records, ladder, known, gap),
            sure=_sure(ladder, gap, injected),
            records=records,
            process=known.process,
            successor=known.successor,
            path=known.path,
            shoveler_host=evidence.host_of(shoveler),
            collectors=evidence.collectors,
            figures=known.figures,
            gap=gap,
            strips=_strips(known, gap, self._names(evidence.beside(known.process))),
            drops=evidence.drops_of(shoveler),
            faults=known.faults,
            injected=injected,
            injected_count=self._injected,
            together=tuple(store.requests_of(request.repeat_id, ids[:TOGETHER])),
            together_count=len(ids),
            shared=max(0, len(evidence.beside(known.process)) - 1),
        )

    def _names(self, processes: tuple[Process, ...]) -> list[tuple[str, Process]]:
        by_sid = {sid: self._gathered.names.get(number, "") for number, sids in self._gathered.sids.items()
                  for sid in sids}  # fmt: skip
        return [(by_sid.get(process.server) or process.host or process.sender, process) for process in processes]


# ---------------------------------------------------------------- stages


def _stages(
    request: RequestEntry,
    records: tuple[RecordEntry, ...],
    ladder: Ladder | None,
    known: Known,
    gap: SequenceGap | None,
) -> tuple[CourseStage, ...]:
    counted = known.figures
    counts = dict(zip(STAGES, (None, None, counted.received, counted.confirmed, counted.seen, counted.records,
                               counted.loaded), strict=True))  # fmt: skip
    times = _times(request, records, gap)
    final = any(record.final for record in records)
    states: dict[str, StageState] = (
        {rung.stage: rung.state for rung in ladder.rungs} if ladder is not None else dict.fromkeys(STAGES, "passed")
    )
    told = ladder is not None or final
    stages = []
    for name in STAGES:
        state = states[name] if told else "unknown"
        if name == "client" and request.state in (RequestState.PENDING, RequestState.STARTED):
            state = "unknown"
        elif state == "passed" and name in ("shoveler read", "confirmed", "consumed") and counts[name] is None:
            state = "not watched"
        passed = state in ("passed", "lost")
        stages.append(CourseStage(name, state, times.get(name) if passed else None, counts[name]))
    return tuple(stages)


def _times(request: RequestEntry, records: tuple[RecordEntry, ...], gap: SequenceGap | None) -> dict[str, float | None]:
    final = next((record for record in records if record.final), None)
    times: dict[str, float | None] = {"client": request.t_open or request.t_started}
    if gap is not None:
        times["server"] = times["shoveler read"] = gap.end or gap.t_max
    if final is not None:
        times["server"] = ended(final)
        times["loaded"] = final.loaded
    return times


# ---------------------------------------------------------------- how sure, and by whom


def _sure(ladder: Ladder | None, gap: SequenceGap | None, injected: tuple[Fault, ...]) -> Sure:
    if ladder is None:
        return ""
    if ladder.lost_at == "unknown":
        return "unknown"
    if not ladder.certain:
        return "probably"
    if injected or ladder.lost_at in _COUNTED or gap is None:
        return "certain"
    return "proven"


def _injected(request: RequestEntry, ladder: Ladder | None, known: Known) -> tuple[Fault, ...]:
    """The plan's own faults that were on when this was lost and can be its cause."""
    if ladder is None or request.t_open is None:
        return ()
    if ladder.datagram is not None:
        when = Span(ladder.datagram.begin - SLACK, ladder.datagram.end + PACKET_SECOND + SLACK)
    else:
        when = Span(request.t_open - SLACK, (request.t_close or request.t_open) + PACKET_SECOND + SLACK)
    return tuple(
        fault
        for fault in known.faults
        if not fault.whose
        and fault.befalls(known.name)
        and ladder.lost_at in FAULTS.get(fault.do, ())
        and fault.span.meets(when)
    )


# ---------------------------------------------------------------- numbers


def _gap_of(ladder: Ladder | None, known: Known) -> SequenceGap | None:
    if ladder is None or ladder.datagram is None or known.process is None:
        return None
    datagram = ladder.datagram
    same = [gap for gap in known.process.gaps
            if (gap.kind, gap.after, gap.missing) == (datagram.cls, datagram.after, datagram.missing)]  # fmt: skip
    return min(same, key=lambda gap: abs(gap.window.begin + SLACK - datagram.begin), default=None)


def _strips(known: Known, gap: SequenceGap | None, processes: list[tuple[str, Process]]) -> tuple[Strip, ...]:
    """Its own process and those that send from the same address: numbers around what is missing then."""
    if gap is None or known.process is None:
        return ()
    strips = []
    for name, process in processes:
        mine = process.key == known.process.key
        here = gap if mine else _nearest(process, gap)
        missing = sum(each.missing for each in process.gaps if each.kind == gap.kind)
        numbers, more = _around(here) if here is not None else ((), 0)
        strips.append(Strip(known.name if mine and known.name else name, process, mine, numbers, more, missing))
    return tuple(sorted(strips, key=lambda strip: strip.server))


def _nearest(process: Process, gap: SequenceGap) -> SequenceGap | None:
    """The gap of another process at that time."""
    near = [each for each in process.gaps if each.kind == gap.kind and each.window.meets(gap.window)]
    return near[0] if near else None


def _around(gap: SequenceGap) -> tuple[tuple[tuple[int, bool], ...], int]:
    """The numbers before a gap, those of it, and the one after it: these came, or there would be no gap."""
    first = gap.after + 1
    before = [number for number in range(first - NEIGHBOURS, first) if gap.after >= 0]
    lost = list(range(first, first + min(gap.missing, SHOWN_LOST)))
    numbers = [
        *((number % NUMBERS, True) for number in before),
        *((number % NUMBERS, False) for number in lost),
        ((first + gap.missing) % NUMBERS, True),
    ]
    return tuple(numbers), gap.missing - len(lost)


class _Ended(msgspec.Struct):
    end_time: float | None = None


def ended(record: RecordEntry) -> float | None:
    """When the server closed the file, by its own clock; None: the record does not say."""
    try:
        return msgspec.json.decode(record.body, type=_Ended).end_time
    except msgspec.MsgspecError:
        return None
