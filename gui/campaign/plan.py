"""The plan: the checked values that a plan file declares, with times in seconds and sizes in bytes.

A *plan* (or campaign) is a list of *tests*; a test is done in *repeats*; a repeat consists of *rounds*: N random files
from each of the M servers, then a wait, until every server was asked for `files_per_server` files. Tests, repeats and
rounds are numbered from 1 wherever they are shown, stored or sent.

Values here are immutable. `gui.campaign.planfile` reads them from TOML and writes them back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple, get_args

import msgspec

from agent.messages import Protocol, Workload

FaultKind = Literal[
    "broker-down",
    "broker-restart",
    "udp-loss",
    "wire-loss",
    "fragment-loss",
    "kill-shoveler",
    "kill-collector",
    "kill-agent",
    "kill-server",
    "stop-server",
    "cut-transfer",
]
FAULT_KINDS: tuple[FaultKind, ...] = get_args(FaultKind)
LOSS_KINDS: tuple[FaultKind, ...] = ("udp-loss", "wire-loss", "fragment-loss")
"""Faults that drop a share of the datagrams."""
SERVER_KINDS: tuple[FaultKind, ...] = (*LOSS_KINDS, "kill-server", "stop-server", "cut-transfer")
"""Faults for which a server can be given."""

Everyone = Literal["all"]

WRITE_DIRECTORY = "/store/write"
"""Where clients write, unless a plan names another directory."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """All that have this label; written ``"label:EU"`` in a plan."""

    label: str

    def __str__(self) -> str:
        return f"label:{self.label}"


Choice = int | Everyone | Labelled | tuple[str, ...]
"""The first K in name order, all, those with a label, or these names (for servers also root:// URLs)."""


class File(NamedTuple):
    """A test file; size in bytes. `check`: what is known of its bytes, as in `agent.messages.Request.check`."""

    path: str
    size: int
    check: str = ""


@dataclass(frozen=True, slots=True)
class Files:
    """Where the test files come from: a list file, a directory on the servers, or (both None) the lab's own files."""

    list: str | None = None
    dir: str | None = None
    write: str | None = None
    """The directory in which clients may write; None: see `Test.write_directory`."""


@dataclass(frozen=True, slots=True)
class Means:
    """With what clients identify themselves: names of files, and of a variable of the environment; never the secrets
    themselves."""

    token_file: str | None = None
    token: str | None = None
    """``env:NAME``."""
    cert: str | None = None
    key: str | None = None
    """None: it stands in `cert`, as in a proxy."""

    def __bool__(self) -> bool:
        return self != Means()


@dataclass(frozen=True, slots=True)
class Who:
    """Which clients take part, and the number of worker threads (slots) of each."""

    clients: Choice = "all"
    slots: int = 16


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong on a lab: `do` starts `at` seconds after the first round, and lasts `lasts` seconds."""

    at: float
    do: FaultKind
    lasts: float = 0.0
    percent: float = 1.0
    """For loss faults: the share of the datagrams."""
    server: str = ""
    """The affected server; "" means every server for a loss, and one chosen by the lab for other faults."""

    @property
    def text(self) -> str:
        """The fault as text on the time axis of its run; `read_fault` reads it."""
        lasts = f" for {self.lasts:g} s" if self.lasts else ""
        share = f"{self.percent:g} % of " if self.do in LOSS_KINDS else ""
        whose = self.server or ("all" if share else "")
        return f"{self.do}{lasts}{f' ({share}{whose})' if whose else ''}"


_FAULT_TEXT = re.compile(
    rf"({'|'.join(FAULT_KINDS)})(?: for ([0-9.e+-]+) s)?(?: \((?:([0-9.e+-]+) % of )?(\S+)\))?", re.ASCII
)


def read_fault(text: str, at: float = 0.0) -> Fault | None:
    """The fault whose `Fault.text` is `text`; None for any other text, such as a lab's report on a fault."""
    match = _FAULT_TEXT.fullmatch(text)
    if match is None:
        return None
    word, lasts, percent, server = match.groups()
    (do,) = (kind for kind in FAULT_KINDS if kind == word)
    return Fault(at, do, float(lasts or 0), float(percent or 1), "" if server in (None, "all") else server)


@dataclass(frozen=True, slots=True)
class Test:
    """One test of a plan. `pass_at` is the success percentage that the worst repeat must reach."""

    __test__: ClassVar[bool] = False  # pytest must not collect it

    servers: Choice
    files_per_server: int
    per_round: int
    wait: float = 1.0
    repeats: int = 1
    seed: int = 1
    pass_at: float = 100.0
    name: str = ""
    timeout: float = 30.0
    """Maximum seconds for a single XRootD call."""
    request_timeout: float = 0.0
    """Maximum seconds for a whole request; 0: as `gui.campaign.limits` says."""
    barrier: bool = False
    """All servers begin each round together. Otherwise each has rounds of its own."""
    files: Files = field(default_factory=Files)
    who: Who = field(default_factory=Who)
    auth: Means = field(default_factory=Means)
    workload: Workload = field(default_factory=Workload)
    faults: tuple[Fault, ...] = ()
    protocol: Protocol = ""
    """Of all workloads that name none themselves; "": that of each server's URL."""
    port: int = 0
    verify: bool = False
    """Compare what was read with what it should be."""
    mix: tuple[Workload, ...] = ()
    """Several workloads, in place of `workload`, each with its weight."""

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """What clients do, each workload with all that is said of it in the test."""
        return tuple(
            msgspec.structs.replace(
                one, protocol=one.protocol or self.protocol, port=one.port or self.port, verify=self.verify
            )
            for one in self.mix or (self.workload,)
        )

    @property
    def reads(self) -> bool:
        """Whether any request reads a file of the catalogue."""
        return any(one.kind != "write" for one in self.workloads)

    @property
    def write_directory(self) -> str:
        """Where clients write, without a slash at the end."""
        directory = self.files.write or (None if self.reads else self.files.dir) or WRITE_DIRECTORY
        return directory.rstrip("/")

    @property
    def rounds(self) -> int:
        """Number of rounds of a repeat; the last one may be short."""
        return -(-self.files_per_server // self.per_round)

    def round_size(self, number: int) -> int:
        """Files requested from each server in round `number` (from 1)."""
        return min(self.per_round, self.files_per_server - (number - 1) * self.per_round)


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole plan. `settle`: maximum seconds to wait for monitoring after the last request of a repeat."""

    name: str
    tests: tuple[Test, ...]
    settle: float = 90.0
