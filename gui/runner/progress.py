"""Immutable snapshots of a run, which the command line prints and the window paints.

A *request* is asked for by the plan; it is *read* when the client has closed the file without error, and *recorded*
when a final record of it is in the database. The *gap* are those read and not recorded. Snapshots are published
at most ten times a second, on the event loop, by `ProgressFeed`; a subscriber keeps the last one and paints on its own
beat. Times are Unix seconds, rates per second, sizes bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Phase = Literal[
    "idle", "preparing", "waiting_clients", "starting", "round", "pause", "paused", "ending", "settling", "reconciling",
    "done",
]  # fmt: skip
"""*pause*: between two rounds; *paused*: by somebody, until it is resumed."""
Outcome = Literal["running", "passed", "failed", "inconclusive", "stopped", "aborted", "interrupted", "error"]
"""*interrupted*: the program with the run ended, and no other could go on with it."""
Severity = Literal["info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that the user should know: what, where, and what to do about it."""

    t: float
    severity: Severity
    where: str
    text: str
    remedy: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True)
class Marker:
    """An event on the time axis: a fault, an agent lost or back, the start of a round, a server that does not answer
    (*hold*, *held*), a client at its limit (*busy*, *limited*)."""

    t: float
    kind: Literal["fault", "agent", "round", "phase", "hold", "held", "busy", "limited"]
    text: str


@dataclass(frozen=True, slots=True)
class ServerRow:
    """One server of the running repeat."""

    name: str
    url: str
    requested: int = 0
    read: int = 0
    recorded: int = 0
    gap: int = 0
    """Requests that were read and have no record yet."""
    gap_oldest: float | None = None
    """When the oldest of them was closed; None: there is none."""
    failed: int = 0
    wrong: int = 0
    duplicate: int = 0
    bytes_read: int = 0
    bytes_recorded: int = 0
    rate: float | None = None
    """Bytes per second measured by clients in the newest point of the time axis; None: not measured."""
    recorded_rate: float | None = None
    """Bytes per second according to the records (over the last ten seconds); None: unknown."""
    last_record: float | None = None
    silent_since: float | None = None
    """When it last answered, if requests wait for it and it does not answer; None: it answers, or nobody waits."""


@dataclass(frozen=True, slots=True)
class ClientRow:
    """One client in the running repeat."""

    name: str
    public_id: str
    state: str
    requested: int = 0
    done: int = 0
    failed: int = 0
    cpu: float = 0.0
    busy: bool = False
    """It may be what limits the test: it uses nearly all it can."""
    rate: float | None = None
    offered: float | None = None
    """Requests per second: its share of what the test offers. None: no limit, or nothing was handed out."""
    achieved: float | None = None
    """Requests per second that it has made over the last ten seconds; None: not measured."""


@dataclass(frozen=True, slots=True)
class SamplePoint:
    """The second that began at `t`. None means not measured.

    `rates` (bytes/s by clients) and `said` are in the order of `RunProgress.series`, and as long as that was at the
    time: servers of later tests come after. `missing` are the indexes of those that should have been measured but were
    not; the other unmeasured ones had nothing to do. The counts are those of the running repeat, as last read from the
    database."""

    t: float
    rates: tuple[float | None, ...]
    missing: tuple[int, ...] = ()
    said: tuple[float | None, ...] = ()
    """Bytes/s by what servers say of themselves: their records that were loaded in the ten seconds before."""
    requested: int | None = None
    read: int | None = None
    recorded: int | None = None


StepState = Literal["waiting", "running", "passed", "failed", "ended"]


@dataclass(frozen=True, slots=True)
class Step:
    """A test of the plan: the state of each of its repeats. *ended*: scored, and neither passed nor failed."""

    name: str
    requests: int
    """Of one repeat."""
    repeats: tuple[StepState, ...]


@dataclass(frozen=True, slots=True)
class RunProgress:
    """A snapshot of a run."""

    t: float
    run: int | None = None
    plan: str = ""
    phase: Phase = "idle"
    outcome: Outcome = "running"
    message: str = ""
    """One sentence about what is being done or waited for."""
    paused: bool = False
    """Nothing is handed out until somebody resumes it; what was handed out may still be under way."""
    owner: str = ""
    """The program that carries the run out, if it is not ours."""
    test: int = 0
    tests: int = 0
    repeat: int = 0
    repeats: int = 0
    round: int = 0
    rounds: int = 0
    total: int = 0
    """O of this repeat."""
    requested: int = 0
    """Handed out so far."""
    read: int = 0
    recorded: int = 0
    failed: int = 0
    wrong: int = 0
    duplicate: int = 0
    pending: int = 0
    """Handed out and not reported yet."""
    gap: int = 0
    """Requests that were read and have no record yet."""
    gap_oldest: float = 0.0
    """Age, in seconds, of the oldest request that was read and has no record; 0 when there is none."""
    offered_rate: float | None = None
    """None: no limit, or nothing is offered yet."""
    achieved_rate: float | None = None
    """None: not measured, as before the first request."""
    eta: float | None = None
    """Seconds until the last round of this repeat is done, if known."""
    steps: tuple[Step, ...] = ()
    """All tests of the plan."""
    run_total: int = 0
    """Requests of all tests and repeats."""
    run_requested: int = 0
    """Handed out so far in all of them."""
    run_eta: float | None = None
    """Seconds until the last repeat of the last test is settled, if known."""
    started: float = 0.0
    late: int = 0
    foreign: int = 0
    queue: int | None = None
    """Messages that wait in the workspace queue, None when unknown."""
    series: tuple[str, ...] = ()
    """Names of all servers of the run so far, in the order of `SamplePoint.rates`."""
    servers: tuple[ServerRow, ...] = ()
    clients: tuple[ClientRow, ...] = ()
    samples: tuple[SamplePoint, ...] = ()
    """The seconds of all repeats so far that are kept, the oldest first."""
    markers: tuple[Marker, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def asked(self) -> bool:
        """Whether the first request of the run was handed out: before it, nothing is measured or counted."""
        return bool(self.requested or self.run_requested)


RING_SECONDS = 3600
"""Number of points of the time axis that are kept: the last hour."""

MAX_MARKERS = 1000
BEAT_SECONDS = 0.1


class ProgressFeed:
    """Publishes the newest snapshot, at most ten times a second. Belongs to one event loop.

    `later(seconds, call)` is the loop's ``call_later``, `build` makes the snapshot when one is due."""

    def __init__(
        self,
        build: Callable[[], RunProgress],
        later: Callable[[float, Callable[[], None]], Any],
        clock: Callable[[], float],
    ) -> None:
        self.latest = RunProgress(t=clock())
        self._build = build
        self._later = later
        self._listeners: list[Callable[[RunProgress], None]] = []
        self._due = False

    def subscribe(self, listener: Callable[[RunProgress], None]) -> Callable[[], None]:
        """Call `listener` with each new snapshot, on the loop; it must return at once. The result unsubscribes it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def touch(self) -> None:
        """Something has changed: a new snapshot follows within a tenth of a second."""
        if not self._due:
            self._due = True
            self._later(BEAT_SECONDS, self.publish)

    def publish(self) -> None:
        """Publish a new snapshot now (at the end of a run, so that nobody misses it)."""
        self._due = False
        self.latest = self._build()
        for listener in tuple(self._listeners):
            listener(self.latest)
