"""What agents and the hub say to each other (subprotocol ``tally.1``), and the file by which a lab tells where it is.

Every message is one JSON object with a ``type``, decoded into a declared struct with bounds on every number and
text. Times are Unix seconds (float), sizes bytes, durations seconds. This module imports nothing else of Tally.

    agent → hub   Register (on /register), then on /agent: Heartbeat, Journal, Sample, RoundDone, RepeatReady,
                  RepeatDone, ServerReport, Notice
    hub → agent   Registered, then Welcome, Acknowledge, StartRepeat, Round, EndRepeat, Abort, Ask, Goodbye

A *job* is one repeat of one test of one run on one agent: ``RUN.TEST.REPEAT``. A *journal* is the agent's own file of
what it asked and got; its lines are numbered from 1 without holes, sent in order, and acknowledged cumulatively.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

SUBPROTOCOL = "tally.1"
MAX_MESSAGE = 4 * 1024 * 1024
"""Bytes of one websocket message, either way."""

Count = Annotated[int, Meta(ge=0, le=2**53)]
Small = Annotated[int, Meta(ge=0, le=1_000_000)]
Time = Annotated[float, Meta(ge=0, le=1e11)]
Seconds = Annotated[float, Meta(ge=0, le=1e9)]
Name = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Text = Annotated[str, Meta(max_length=2000)]
Short = Annotated[str, Meta(max_length=256)]
Path = Annotated[str, Meta(min_length=1, max_length=4096)]
Url = Annotated[str, Meta(min_length=1, max_length=1024)]
Tag = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9]{7}$")]
JobId = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$")]
Percent = Annotated[float, Meta(ge=0, le=100_000)]


class Message(Struct, frozen=True, tag_field="type", forbid_unknown_fields=False):
    """Base of all messages."""


# ---------------------------------------------------------------- registration


class Register(Message, tag="register"):
    """First message on /register: who this agent is. `server` is the root:// URL of the XRootD server beside it."""

    role: Literal["client", "server"]
    version: Short
    host: Short
    pid: Count = 0
    platform: Short = ""
    cpus: Small = 0
    xrootd: Short = ""
    """Version of the XRootD client library (role client) or server (role server)."""
    server: Annotated[str, Meta(max_length=1024)] = ""
    labels: Annotated[list[Name], Meta(max_length=32)] = []


class Registered(Message, tag="registered"):
    """Answer on /register: the secret, single-use id that opens the session within `expires_in` seconds."""

    client_id: Short
    expires_in: Small = 30


class PersonalKey(Struct, frozen=True):
    """Given once to an agent that joined by invitation; it signs its own tokens with it from then on."""

    kid: Short
    secret: Short


class Welcome(Message, tag="welcome"):
    """First message of a session. `acknowledged` is the last line of this agent's journal that the hub has stored."""

    public_id: Short
    hub_version: Short
    hub_time: Time
    heartbeat: Seconds = 2.0
    journal: Short = ""
    acknowledged: Count = 0
    personal_key: PersonalKey | None = None


class Goodbye(Message, tag="goodbye"):
    """The hub ends the session. `again` False: do not reconnect (revoked, replaced, shut down for good)."""

    reason: Text
    again: bool = True


# ---------------------------------------------------------------- liveness


class Heartbeat(Message, tag="heartbeat"):
    """Every `Welcome.heartbeat` seconds, from a task of its own: a busy agent never looks dead."""

    t: Time
    cpu: Percent = 0.0
    """Per cent of one core, the agent with its workers, since the last heartbeat."""
    memory: Count = 0
    requests: Count = 0
    """Requests done since the agent started."""
    journal: Short = ""
    journal_last: Count = 0


class Ask(Message, tag="ask"):
    """The hub's clock question (what = "time": answered at once by a Heartbeat) or an order to drain or resume."""

    what: Literal["time", "drain", "resume", "report"]


class Notice(Message, tag="notice"):
    """Something that a person should know. Data, shown as plain text."""

    severity: Literal["info", "warning", "error"]
    text: Text
    t: Time


# ---------------------------------------------------------------- work


class Workload(Struct, frozen=True):
    """What is done with each file. `bytes` per read or write, `chunks` per vector read, `reads` and `pause` for long."""

    kind: Literal["full", "range", "vector", "long", "write"] = "full"
    bytes: Annotated[int, Meta(ge=0, le=2**40)] = 0
    chunks: Annotated[int, Meta(ge=0, le=1024)] = 0
    reads: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    pause: Seconds = 0.0


class StartRepeat(Message, tag="start_repeat"):
    """Start fresh worker processes for a job; answered by RepeatReady. `timeout` bounds every single XRootD call."""

    job: JobId
    workload: Workload
    slots: Annotated[int, Meta(ge=1, le=1024)]
    timeout: Seconds = 30.0


class Request(Struct, frozen=True, array_like=True):
    """One request: (tag, path) is its whole key. `seed` fixes its offsets; `size` is the catalogue's size."""

    tag: Tag
    slot: Small
    server: Url
    path: Path
    size: Count
    seed: Count


class Round(Message, tag="round"):
    """The requests of one round for this agent. Each slot works through its own in the order given."""

    job: JobId
    round: Small
    requests: Annotated[list[Request], Meta(max_length=20_000)]


class EndRepeat(Message, tag="end_repeat"):
    """No more rounds: finish what is under way, stop the workers, answer RepeatDone."""

    job: JobId


class Abort(Message, tag="abort"):
    """Stop the job now; requests under way become interrupted."""

    job: JobId


class RepeatReady(Message, tag="repeat_ready"):
    """The workers of a job stand ready; or `error` says in one sentence why they cannot."""

    job: JobId
    error: Text = ""


class RoundDone(Message, tag="round_done"):
    """Every request of the round has its done line in the journal."""

    job: JobId
    round: Small
    seconds: Seconds
    failed: Count = 0


class RepeatDone(Message, tag="repeat_done"):
    """The workers of a job have ended. `journal_last` is the number of the last line that the job wrote."""

    job: JobId
    journal: Short
    journal_last: Count


class Started(Struct, frozen=True, tag="s", array_like=True):
    """Journal line: a request is about to open its file."""

    n: Count
    job: JobId
    round: Small
    tag: Tag
    server: Url
    path: Path
    t: Time


class Done(Struct, frozen=True, tag="d", array_like=True):
    """Journal line: what became of a request. Bytes *asked* are what the server should charge; *got* is what arrived."""

    n: Count
    job: JobId
    tag: Tag
    path: Path
    ok: bool
    t_open: Time
    t_close: Time
    read_asked: Count
    read_got: Count
    readv_asked: Count
    readv_got: Count
    written: Count
    read_ops: Count
    readv_ops: Count
    write_ops: Count
    server: Short = ""
    """`host:port` of the data server really reached (XRootD's DataServer property)."""
    status: Count = 0
    """XRootD status code, 0 when all was well."""
    error: Text = ""
    interrupted: bool = False


Line = Started | Done


class Journal(Message, tag="journal"):
    """Consecutive journal lines. The hub stores each once (by journal and n) and then acknowledges."""

    journal: Short
    lines: Annotated[list[Line], Meta(max_length=5_000)]


class Acknowledge(Message, tag="acknowledge"):
    """All lines of this journal up to n are stored; the agent may forget them."""

    journal: Short
    n: Count


class ServerSample(Struct, frozen=True, array_like=True):
    """Cumulative figures of one server within a job."""

    bytes: Count
    done: Count
    failed: Count
    started: Count


class Sample(Message, tag="sample"):
    """Once a second while a job runs: cumulative figures per server URL, as this agent's client measured them."""

    job: JobId
    t: Time
    servers: dict[str, ServerSample]


# ---------------------------------------------------------------- role server


class Finding(Struct, frozen=True):
    """One thing that is wrong, or could be better, in a server's monitoring configuration."""

    severity: Literal["info", "warning", "error"]
    what: Text
    why: Text = ""
    line: Count = 0
    fixed: Text = ""
    """The whole configuration line as it should be, where one line mends it."""


class ServerReport(Message, tag="server_report"):
    """What a server agent sees beside its XRootD server."""

    t: Time
    server: Annotated[str, Meta(max_length=1024)] = ""
    answering: bool = False
    xrootd: Short = ""
    site: Short = ""
    instance: Short = ""
    config_file: Annotated[str, Meta(max_length=4096)] = ""
    monitor_line: Text = ""
    findings: Annotated[list[Finding], Meta(max_length=100)] = []
    udp_drops: Count = 0
    mtu: Count = 0


FromAgent = Register | Heartbeat | Journal | Sample | RoundDone | RepeatReady | RepeatDone | ServerReport | Notice
FromHub = Registered | Welcome | Acknowledge | StartRepeat | Round | EndRepeat | Abort | Ask | Goodbye

encode = msgspec.json.Encoder().encode
decode_from_agent = msgspec.json.Decoder(FromAgent).decode
decode_from_hub = msgspec.json.Decoder(FromHub).decode


# ---------------------------------------------------------------- the lab's state file


class LabServer(Struct, frozen=True):
    """One XRootD server of a lab."""

    name: str
    url: str
    site: str
    pid: int
    udp: str
    """HOST:PORT of the shoveler that its monitoring line points to."""


class LabFile(Struct, frozen=True):
    """A test file that every server of the lab has."""

    path: str
    size: int


class LabProcess(Struct, frozen=True):
    """One supervised process: shoveler, collector or broker."""

    name: str
    kind: Literal["supervisor", "shoveler", "collector", "broker", "xrootd"]
    pid: int
    restarts: int = 0
    metrics: str = ""
    """HOST:PORT of /metrics and /healthz, where the process has one."""


class LabState(Struct, frozen=True):
    """``DIR/state.json``, replaced whole at each change: what `lab up` made and where. Read by `status`, `down`, `tally`."""

    schema: int
    directory: str
    started: float
    state: Literal["starting", "up", "stopping", "failed"]
    bus: str
    """Bus URL (amqp://… with credentials of the lab's own private broker, or a directory); the file is mode 0600."""
    broker: Literal["given", "private", "local"]
    packets_exchange: str
    records_exchange: str
    status_exchange: str
    packets_queue: str
    servers: list[LabServer]
    files: list[LabFile]
    processes: list[LabProcess]
    fstat_seconds: float
    flush_seconds: float
    error: str = ""


LAB_SCHEMA = 1
decode_lab_state = msgspec.json.Decoder(LabState).decode
