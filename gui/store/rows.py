"""The values that the store takes and returns. Times are Unix seconds, sizes bytes; all are immutable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal

from msgspec import Struct

from agent.messages import Phases, Workload

RunState = Literal[
    "preparing", "running", "passed", "failed", "inconclusive", "stopped", "aborted", "interrupted", "error"
]
RepeatState = Literal["running", "settling", "settled", "stopped"]
ScoringKind = Literal["settle", "late", "recheck"]

PROBLEMS = 5
"""A load explains at most this many records that could not be read."""


class RequestState(IntEnum):
    """How far a request has come, according to its agent's journal."""

    PENDING = 0
    """Handed out; its agent has not reported it yet."""
    STARTED = 1
    DONE = 2
    INTERRUPTED = 3


class VerdictKind(IntEnum):
    """What became of one request. The numbers are stored and never change."""

    MATCHED = 0
    WRONG_BYTES = 1
    MISSING = 2
    DUPLICATE = 3
    CLIENT_FAILED = 4
    LATE = 5
    """Matched by a record that came after settling had ended."""
    NOT_WAITED = 6
    """No final record, and the run was stopped before settling ended; never counted as a loss."""

    @property
    def word(self) -> str:
        """As in docs/results.md: ``wrong_bytes``."""
        return self.name.lower()


PERSON = "person"
"""The source of a server that a person has put on the workspace's list."""


@dataclass(frozen=True, slots=True)
class ServerEntry:
    """A server of the directory. `url` is ``root://HOST:PORT``; `source`: who named it (lab, agent, plan, person)."""

    url: str
    name: str
    labels: tuple[str, ...] = ()
    source: str = ""
    id: int = 0


@dataclass(frozen=True, slots=True)
class HandedRequest:
    """A request as it was handed out. `agent` is ``KID/SUB``; `done`: it has its last journal line."""

    tag: str
    agent: str
    slot: int
    server: str
    path: str
    round: int
    size: int
    seed: int
    share: int
    done: bool


@dataclass(frozen=True, slots=True)
class AgentEntry:
    """An agent that connected at least once. `identity` is ``KID/SUB``; `facts` is what it reported about itself."""

    identity: str
    name: str
    role: str
    first_seen: float
    last_seen: float
    facts: Mapping[str, Any] = field(default_factory=dict)
    id: int = 0


@dataclass(frozen=True, slots=True)
class TestSpec:
    """A test with everything resolved: how many servers actually take part. O = servers × files_per_server."""

    servers: int
    files_per_server: int
    per_round: int
    wait: float = 1.0
    repeats: int = 1
    seed: int = 1
    pass_at: float = 100.0
    name: str = ""
    workload: Workload = field(default_factory=Workload)
    mix: tuple[Workload, ...] = ()
    """Several workloads, in place of `workload`."""

    __test__ = False  # not something for pytest to collect

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """All of them, in the order of a request's `share`."""
        return self.mix or (self.workload,)

    @property
    def total(self) -> int:
        """O: files requested in one repeat."""
        return self.servers * self.files_per_server


class Seal(Struct, frozen=True, omit_defaults=True):
    """Who made the bundle that a run was imported from, and what was found wrong with it.

    `key` and `known`: the public key that it was signed with, and the name of that key here; empty: not signed, not
    known. `by` and `made`: what its maker stated. `checksum`: of the whole bundle; empty for a bundle without one.
    `changed`: parts that have changed since it was made. `differs`: sentences about figures that came out differently
    when they were computed here."""

    checksum: str = ""
    by: str = ""
    made: float = 0.0
    key: str = ""
    known: str = ""
    changed: list[str] = []
    differs: list[str] = []


@dataclass(frozen=True, slots=True)
class RunEntry:
    """A run. `environment` and `versions` are free-form JSON objects; `origin` is empty or names the imported bundle,
    and `seal` has more about it."""

    id: int
    uid: str
    name: str
    plan_text: str
    settle: float
    state: str
    created: float
    started: float | None
    ended: float | None
    message: str
    environment: Mapping[str, Any]
    versions: Mapping[str, Any]
    baseline: bool
    origin: str
    seal: Seal | None = None


@dataclass(frozen=True, slots=True)
class TestEntry:
    """A test of a run; `number` counts from 1."""

    id: int
    run_id: int
    number: int
    spec: TestSpec

    __test__ = False


@dataclass(frozen=True, slots=True)
class RepeatEntry:
    """A repeat of a test; both numbers count from 1. `ended` is when its last request was done."""

    id: int
    run_id: int
    test_id: int
    test_number: int
    number: int
    state: str
    started: float | None
    ended: float | None
    settled: float | None
    settle_complete: bool | None
    settle_reason: str


@dataclass(frozen=True, slots=True)
class NewRequest:
    """A request to be handed out. `agent` is the identity ``KID/SUB`` whose journal may report it; `round` is that of
    its server."""

    tag: str
    path: str
    server: str
    agent: str
    slot: int
    size: int
    seed: int = 0
    share: int = 0
    """The place of its workload in the test's mix."""
    round: int = 1


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What became of a batch of records. `problems` are sentences about the first few that could not be read."""

    final: int = 0
    provisional: int = 0
    repeated: int = 0
    """Already stored; nothing to do."""
    foreign: int = 0
    other: int = 0
    """Of a kind other than ``file``."""
    bad: int = 0
    sealed: int = 0
    """Foreign records of days whose ids are forgotten: not counted, since they may have been counted before."""
    repeats: Mapping[int, int] = field(default_factory=dict)
    """New final records of each repeat, by its id."""
    problems: tuple[str, ...] = ()
    rejected: tuple[bytes, ...] = ()
    """The bodies that `problems` describe, in the same order."""
    producers: Mapping[str, int] = field(default_factory=dict)
    """How many of all the above came from each kind of foreign collector (`gui.store.peers.PRODUCERS`)."""

    @property
    def stored(self) -> int:
        """Records of ours that are new."""
        return self.final + self.provisional

    def __add__(self, other: LoadResult) -> LoadResult:
        """The sum of two batches; still with problems of the first few only."""
        repeats = dict(self.repeats)
        for repeat, count in other.repeats.items():
            repeats[repeat] = repeats.get(repeat, 0) + count
        return LoadResult(
            final=self.final + other.final,
            provisional=self.provisional + other.provisional,
            repeated=self.repeated + other.repeated,
            foreign=self.foreign + other.foreign,
            other=self.other + other.other,
            bad=self.bad + other.bad,
            sealed=self.sealed + other.sealed,
            repeats=repeats,
            problems=(self.problems + other.problems)[:PROBLEMS],
            rejected=(self.rejected + other.rejected)[:PROBLEMS],
            producers=Counter(self.producers) + Counter(other.producers),
        )


def answer(cause: str, certain: bool, lost_at: str) -> str:
    """A cause as it is shown everywhere: with ``probably`` in front when it is inferred, not proven.

    A cause that is unknown says so itself."""
    return cause if certain or not cause or lost_at == "unknown" else f"probably {cause}"


class RecordFlags(Struct, frozen=True, omit_defaults=True):
    """What the collector noted on a record: server behaviours that apply, and what was not known."""

    known_issue: list[str] = []
    incomplete: list[str] = []


@dataclass(frozen=True, slots=True)
class RecordEntry:
    """A stored record of one of our tags. `loaded` is when it was loaded; `body` is its JSON as received, or as
    converted by `gui.store.peers`."""

    id: int
    tag: str
    path: str
    final: bool
    read: int
    readv: int
    write: int
    loaded: float
    server: str
    flags: RecordFlags
    body: bytes


class LostDatagram(Struct, frozen=True, rename={"cls": "class"}):
    """The datagram that a missing record was lost with: a gap in the sequence numbers of one server process.

    `after`: the number before the gap; `missing`: how many numbers are missing. `begin` and `end`: the gap's window by
    the server's clock (Unix seconds). `held`: what part of the request was in it."""

    server: str
    """The `server_id` of its records."""
    stod: int
    cls: str
    after: int
    missing: int
    begin: float
    end: float
    held: Literal["login", "open", "close"]

    @property
    def group(self) -> str:
        """The same for all requests that were lost with it."""
        return f"{self.server}:{self.stod}:{self.cls}:{self.after}:{self.begin:.0f}"


@dataclass(frozen=True, slots=True)
class RequestEntry:
    """A request with what its agent reported, and the verdict of the newest scoring (None before the first one)."""

    id: int
    repeat_id: int
    round: int
    tag: str
    path: str
    server: str
    server_url: str
    agent: str
    slot: int
    size: int
    state: RequestState
    ok: bool
    t_started: float | None
    t_open: float | None
    t_close: float | None
    read_asked: int
    read_got: int
    readv_asked: int
    readv_got: int
    written: int
    read_ops: int
    readv_ops: int
    write_ops: int
    reached: str
    status: int
    error: str
    share: int = 0
    phases: Phases = field(default_factory=Phases)
    verdict: VerdictKind | None = None
    accesses: int | None = None
    recorded_read: int | None = None
    recorded_readv: int | None = None
    recorded_write: int | None = None
    behaviours: tuple[str, ...] = ()
    lost_at: str = ""
    certain: bool = True
    cause: str = ""
    datagram: LostDatagram | None = None
    lost_with: str = ""
    """The same for all requests that were lost with one datagram; empty when no lost datagram is known."""

    @property
    def answer(self) -> str:
        """The cause as it is shown everywhere: with ``probably`` in front when it is inferred, not proven."""
        return answer(self.cause, self.certain, self.lost_at)

    @property
    def asked(self) -> int:
        """Bytes of all kinds that the server should have counted."""
        return self.read_asked + self.readv_asked + self.written


@dataclass(frozen=True, slots=True)
class VerdictRow:
    """The verdict of a request that is not simply matched by one access. `recorded`: it has a final record."""

    request_id: int
    verdict: VerdictKind
    recorded: bool
    accesses: int
    read: int
    readv: int
    write: int
    behaviours: tuple[str, ...] = ()
    lost_at: str = ""
    certain: bool = True
    cause: str = ""
    datagram: LostDatagram | None = None


@dataclass(frozen=True, slots=True)
class ScoringEntry:
    """The figures of one scoring of a repeat. A later scoring never changes an earlier one.

    `client_failed` includes `unreported`; `matched` excludes `late`. `record_mark` is the newest record that the
    scoring saw."""

    repeat_id: int
    kind: ScoringKind
    t: float
    record_mark: int
    total: int
    recorded: int
    matched: int
    late: int
    wrong_bytes: int
    missing: int
    duplicate: int
    client_failed: int
    unreported: int
    unrequested: int
    recovered: int
    bytes_asked: int
    bytes_got: int
    bytes_recorded: int
    first_open: float | None = None
    last_close: float | None = None
    id: int = 0
    not_waited: int = 0

    @property
    def counted(self) -> int:
        """Requests by which monitoring is judged: all that clients completed and whose records were waited for."""
        return self.total - self.client_failed - self.not_waited

    @property
    def good(self) -> int:
        """Matched in time or late."""
        return self.matched + self.late


@dataclass(frozen=True, slots=True)
class SampleRow:
    """One second of one server within a repeat, cumulative since its begin. None: not measured in that second.

    `bytes_read` is what the clients measured, by time of arrival; the others are the database's counts in that
    second."""

    t: int
    server_id: int
    requested: int | None = None
    read: int | None = None
    recorded: int | None = None
    failed: int | None = None
    bytes_read: int | None = None
    bytes_recorded: int | None = None


@dataclass(frozen=True, slots=True)
class MarkerRow:
    """An event on the time axis of a run: a fault, an agent lost or back, the start of a round."""

    t: float
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class StatusPair:
    """First and last status message of one incarnation of a shoveler or collector within a run, as JSON text."""

    program: Literal["shoveler", "collector"]
    member: str
    started: float
    first_t: float
    first: bytes
    last_t: float
    last: bytes


@dataclass(frozen=True, slots=True)
class StatusStep:
    """What a later status message added to the one before, as the JSON text of a status message."""

    program: Literal["shoveler", "collector"]
    member: str
    body: bytes


@dataclass(frozen=True, slots=True)
class LoadedRow:
    """How many records of one server process were loaded; `facts` are its names and addresses."""

    server: str
    server_id: str
    stod: int
    loaded: int
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NoteRow:
    """A remark on a run, by a person or by Tally itself (``author`` = "tally")."""

    t: float
    author: str
    text: str
    id: int = 0


@dataclass(frozen=True, slots=True)
class UsageRow:
    """A group of the federation summary. `accesses` counts final records; `provisional` those that were never closed
    (whose bytes are not in the sums). `then`: the second group, where there are two."""

    group: str
    accesses: int
    provisional: int
    read: int
    readv: int
    write: int
    seconds: float
    first_day: int
    last_day: int
    then: str = ""


@dataclass(frozen=True, slots=True)
class UsageNames:
    """Who and what the records of a federation summary name. Empty names are what the records do not say."""

    owners: frozenset[tuple[str, str, str]]
    """(person, organisation, directory), as records have them together."""
    servers: frozenset[str]
    sites: frozenset[str]


@dataclass(frozen=True, slots=True)
class CacheUse:
    """What cache events say of one cache; bytes."""

    server: str
    events: int
    hit: int
    miss: int
    bypass: int
