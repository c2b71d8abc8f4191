"""The parts of a bundle as declared types, and every limit on what a bundle may hold.

Numbers are bounded so that no sum over a bundle leaves 64 bits, names so that they can be shown in one line. Free text
(what a server or a person said) is any text; whoever shows it makes it harmless.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from agent.messages import Phases, Tag, Workload
from gui.store import LostDatagram, VerdictKind

FORMAT = "tally-bundle"
SCHEMA = 4
"""Grows when a part changes its form; older ones are still read, newer ones declined."""

MANIFEST, SIGNATURE, RUN = "manifest.json", "signature.json", "run.json"
REQUESTS, RECORDS, VERDICTS, SAMPLES = "requests.ndjson", "records.ndjson", "verdicts.ndjson", "samples.ndjson"
CONTENT = (RUN, REQUESTS, RECORDS, VERDICTS, SAMPLES)
"""What the manifest speaks of."""
PARTS = (MANIFEST, *CONTENT)
"""What every bundle has; `SIGNATURE` may be there beside."""

MAX_FILE = 4 * 2**30
MAX_UNPACKED = 8 * 2**30
"""Bytes of all parts together."""
MAX_RUN = 64 * 2**20
MAX_SMALL = 64 * 2**10
"""Bytes of manifest and signature."""
MAX_STEPS = 24 * 2**20
"""Bytes of ``run.json`` for what daemons said in the middle of the run; the newest are kept."""
MAX_LINE = 300 * 1024
MAX_RATIO = 400
"""A part that claims to be more times smaller than this is no bundle but a bomb (records shrink about thirtyfold)."""
RATIO_FROM = 2**20
"""Bytes from which on the ratio is looked at."""
MAX_FREE = 2**20
"""Bytes of an object of free form: environment, versions."""
MAX_DEPTH = 20
"""Levels of a value of free form, and of a status message."""
MAX_TEXT = 20_000
"""Characters of what somebody said."""
MAX_SUM = 2**62
"""What bytes of all requests or records together may come to: no sum leaves 64 bits."""

_LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*\Z"
_SHA256 = r"^[0-9a-f]{64}\Z"
_RUN = r"^[0-9a-f]{32}\Z"

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Sum = Annotated[int, Meta(ge=0, le=MAX_SUM)]
Small = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Some = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Flag = Annotated[int, Meta(ge=0, le=1)]
Moment = Annotated[float, Meta(ge=0, le=1e11)]
Text = Annotated[str, Meta(max_length=MAX_TEXT)]
Word = Annotated[str, Meta(max_length=32, pattern=_LINE)]
Name = Annotated[str, Meta(max_length=256, pattern=_LINE)]
LongName = Annotated[str, Meta(max_length=1024, pattern=_LINE)]
FilePath = Annotated[str, Meta(min_length=1, max_length=8192, pattern=r"^[^\x00\r\n]*\Z")]
"""Whatever XRootD can be asked for; file lists may have such names."""
Long = Annotated[str, Meta(max_length=2**20)]
Seconds = Annotated[float, Meta(ge=0, le=1e9)]
Share = Annotated[float, Meta(ge=0, le=100)]
StatusBody = Annotated[str, Meta(max_length=16 * 2**20)]


class BundleError(Exception):
    """A file is no bundle that can be read, or says things that cannot be; one sentence says what."""


class PartSum(Struct, frozen=True):
    """What a part comes to, as it is when it is unpacked."""

    lines: Count
    bytes: Count
    sha256: Annotated[str, Meta(pattern=_SHA256)]


class Manifest(Struct, frozen=True):
    """What this file is. Schemas 1 and 2 had no sums: nothing could tell whether such a bundle was changed."""

    format: str
    schema: Count
    tally: Name
    run: Annotated[str, Meta(pattern=_RUN)]
    requests: Small
    records: Small
    verdicts: Small
    samples: Small
    by: Name = ""
    """What its maker calls itself."""
    made: Moment = 0.0
    parts: dict[str, PartSum] = {}


class Signature(Struct, frozen=True):
    """Who stands for the manifest, and with it for everything."""

    key: Annotated[str, Meta(max_length=128, pattern=r"^ed25519:[A-Za-z0-9_-]{43}\Z")]
    signature: Annotated[str, Meta(max_length=128, pattern=r"^[A-Za-z0-9_-]{86}\Z")]


class BundleTest(Struct, frozen=True):
    """A test, as `gui.store.TestSpec`."""

    name: Name
    servers: Annotated[int, Meta(ge=1, le=100_000)]
    files_per_server: Some
    per_round: Some
    wait: Seconds
    repeats: Annotated[int, Meta(ge=1, le=100_000)]
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
    pass_at: Share
    workload: Workload
    mix: Annotated[tuple[Workload, ...], Meta(max_length=64)] = ()


class BundleScoring(Struct, frozen=True):
    """A scoring, as `gui.store.ScoringEntry`; its verdicts are those that name its place in the list."""

    kind: Literal["settle", "late", "recheck"]
    t: Moment
    total: Small
    recorded: Small
    matched: Small
    late: Small
    wrong_bytes: Small
    missing: Small
    duplicate: Small
    client_failed: Small
    unreported: Small
    unrequested: Small
    recovered: Small
    bytes_asked: Sum
    bytes_got: Sum
    bytes_recorded: Sum
    first_open: Moment | None
    last_close: Moment | None
    not_waited: Small = 0


class BundleRepeat(Struct, frozen=True):
    """A repeat of the test with this number (from 1), with its scorings, oldest first."""

    test: Small
    number: Small
    state: Literal["running", "settling", "settled", "stopped"]
    started: Moment | None
    ended: Moment | None
    settled: Moment | None
    settle_complete: bool | None
    settle_reason: Text
    scorings: Annotated[list[BundleScoring], Meta(max_length=1000)]


class BundleServer(Struct, frozen=True):
    """A server that was asked."""

    url: Annotated[str, Meta(min_length=1, max_length=1024, pattern=_LINE)]
    name: LongName
    labels: Annotated[list[Name], Meta(max_length=100)]


class BundleMarker(Struct, frozen=True):
    """An event on the time axis."""

    t: Moment
    kind: Word
    text: Text


class BundleNote(Struct, frozen=True):
    """A remark."""

    t: Moment
    author: Name
    text: Text


class BundleStatus(Struct, frozen=True):
    """First and last status message of a daemon, as JSON text."""

    program: Literal["shoveler", "collector"]
    member: Name
    started: Moment
    first_t: Moment
    first: StatusBody
    last_t: Moment
    last: StatusBody


class BundleStep(Struct, frozen=True):
    """What a status message in the middle of the run added to the one before, as JSON text."""

    program: Literal["shoveler", "collector"]
    member: Name
    body: StatusBody


class BundleRun(Struct, frozen=True):
    """The part ``run.json``. `environment` and `versions` are JSON objects of free form."""

    number: Count
    name: Name
    plan: Long
    settle: Seconds
    state: Literal[
        "preparing", "running", "passed", "failed", "inconclusive", "stopped", "aborted", "interrupted", "error"
    ]
    created: Moment
    started: Moment | None
    ended: Moment | None
    message: Text
    environment: Raw
    versions: Raw
    tests: Annotated[list[BundleTest], Meta(max_length=10_000)]
    repeats: Annotated[list[BundleRepeat], Meta(max_length=100_000)]
    servers: Annotated[list[BundleServer], Meta(max_length=100_000)]
    agents: Annotated[list[Name], Meta(max_length=100_000)]
    markers: Annotated[list[BundleMarker], Meta(max_length=1_000_000)]
    notes: Annotated[list[BundleNote], Meta(max_length=100_000)]
    statuses: Annotated[list[BundleStatus], Meta(max_length=10_000)]
    steps: Annotated[list[BundleStep], Meta(max_length=1_000_000)] = []


class BundleRequest(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A line of ``requests.ndjson``; `repeat`, `server` and `agent` are places in the lists of ``run.json``, from 0."""

    repeat: Small
    server: Small
    agent: Small
    slot: Small
    round: Small
    tag: Tag
    path: FilePath
    size: Sum
    seed: Count
    state: Annotated[int, Meta(ge=0, le=3)]
    ok: Flag
    t_started: Moment | None
    t_open: Moment | None
    t_close: Moment | None
    read_asked: Sum
    read_got: Sum
    readv_asked: Sum
    readv_got: Sum
    written: Sum
    read_ops: Small
    readv_ops: Small
    write_ops: Small
    reached: Text
    status: Count
    error: Text
    share: Annotated[int, Meta(ge=0, le=63)] = 0
    phases: Phases = Phases()


class BundleDatagram(Struct, frozen=True, rename={"cls": "class"}):
    """The datagram that a record was lost with, as `gui.store.LostDatagram`."""

    server: Name
    stod: Count
    cls: Word
    after: Count
    missing: Count
    begin: Moment
    end: Moment
    held: Literal["login", "open", "close"]

    @property
    def group(self) -> str:
        """As `gui.store.LostDatagram.group`."""
        return msgspec.convert(self, LostDatagram, from_attributes=True).group


class BundleVerdict(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A line of ``verdicts.ndjson``; `request` is the place of its line in ``requests.ndjson``, from 0. The lines of a
    scoring are in the order of their requests."""

    repeat: Small
    scoring: Small
    request: Small
    verdict: Annotated[int, Meta(ge=0, le=int(max(VerdictKind)))]
    recorded: Flag
    accesses: Small
    read: Sum
    readv: Sum
    write: Sum
    behaviours: Annotated[list[Name], Meta(max_length=100)]
    lost_at: Word
    certain: bool
    cause: Text
    datagram: BundleDatagram | None = None


class BundleSample(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A line of ``samples.ndjson``. The lines of a repeat are in the order of their seconds, then servers."""

    repeat: Small
    second: Small
    server: Small
    requested: Sum | None
    read: Sum | None
    recorded: Sum | None
    failed: Sum | None
    bytes_read: Sum | None
    bytes_recorded: Sum | None
