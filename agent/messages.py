"""The messages between agents and the hub (subprotocol ``tally.1``), and the file in which a lab describes itself.

Every message is one JSON object with a ``type``, decoded into a declared struct with limits on every number and
text. Times are Unix seconds (float), sizes bytes, durations seconds. This module imports nothing else of Tally.

    agent → hub   Register (on /register), then on /agent: Heartbeat, Journal, Sample, RepeatReady, RepeatDone,
                  Probed, ServerReport, Notice
    hub → agent   Registered, then Welcome, Acknowledge, StartRepeat, Renew, Round, EndRepeat, Abort, Probe, Ask,
                  Goodbye

A *job* is one repeat of one test of one run on one agent: ``RUN.TEST.REPEAT``. A *journal* is the agent's own file of
what it requested and got; its lines are numbered from 1 without holes, sent in order, and acknowledged cumulatively.

**After a cut**, the agent reconnects by itself and both sides repeat what the other may have missed: the agent sends a
Heartbeat (with the jobs that it has workers for), its unacknowledged journal lines from ``Welcome.acknowledged`` on,
and again the RepeatReady of its jobs and the RepeatDone of jobs that ended recently; the hub may send StartRepeat,
Round and EndRepeat again. Both sides treat a repetition as the same message. An agent that was
restarted has no jobs: it reports what it had started as ``interrupted`` and answers a Round of an unknown job with
``RepeatReady(error=…)``. The hub never hands out a request again that has a Started line.

Below the messages is what both sides must compute in the same way: tokens, certificate pins and join strings.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

SUBPROTOCOL = "tally.1"
MAX_MESSAGE = 4 * 1024 * 1024
"""Maximum size of one websocket message, in both directions."""

Count = Annotated[int, Meta(ge=0, le=2**53)]
Small = Annotated[int, Meta(ge=0, le=1_000_000)]
Time = Annotated[float, Meta(ge=0, le=1e11)]
Seconds = Annotated[float, Meta(ge=0, le=1e9)]
Name = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z")]
Text = Annotated[str, Meta(max_length=2000)]
Short = Annotated[str, Meta(max_length=256)]
Path = Annotated[str, Meta(min_length=1, max_length=4096)]
Url = Annotated[str, Meta(min_length=1, max_length=1024)]
Tag = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9]{7}\Z")]
JobId = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[0-9]+\.[0-9]+\.[0-9]+\Z")]
Percent = Annotated[float, Meta(ge=0, le=100_000)]
Amount = Annotated[float, Meta(ge=0, le=1e18)]
MAX_SERVERS = 500
"""How many servers one server agent stands beside."""
Check = Annotated[str, Meta(max_length=64, pattern=r"^(adler32:[0-9a-f]{8}|content:[0-9]+)?\Z")]


class Message(Struct, frozen=True, tag_field="type", forbid_unknown_fields=False):
    """Base of all messages."""


# ---------------------------------------------------------------- registration


class Register(Message, frozen=True, tag="register"):
    """First message on /register: who this agent is. `server` is the root:// URL of the first XRootD server beside
    it."""

    role: Literal["client", "server"]
    version: Short
    host: Short
    name: Annotated[str, Meta(max_length=64, pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]*)?\Z")] = ""
    """The agent's name. Needed with an invitation, whose token has no name; otherwise the token's ``sub`` counts."""
    pid: Count = 0
    platform: Short = ""
    cpus: Small = 0
    xrootd: Short = ""
    """Version of the XRootD client library (role client) or server (role server)."""
    curl: Short = ""
    """Version of libcurl (role client); empty: it can make no HTTP requests."""
    server: Annotated[str, Meta(max_length=1024)] = ""
    servers: Annotated[list[Url], Meta(max_length=MAX_SERVERS)] = []
    """All servers that a server agent stands beside; empty: only `server`, or it does not know yet."""
    labels: Annotated[list[Name], Meta(max_length=32)] = []
    journal: Short = ""
    """Id of the agent's journal; `Welcome.acknowledged` is how much of it the hub has. Empty: no journal."""
    journal_last: Count = 0


class Registered(Message, frozen=True, tag="registered"):
    """Answer on /register: the secret, single-use id that opens the session within `expires_in` seconds."""

    client_id: Short
    expires_in: Small = 30


class PersonalKey(Struct, frozen=True):
    """Given once to an agent that joined by invitation; from then on the agent signs its own tokens with it."""

    kid: Short
    secret: Short


class Welcome(Message, frozen=True, tag="welcome"):
    """First message of a session. `acknowledged` is the last line of this agent's journal that the hub has stored."""

    public_id: Short
    hub_version: Short
    hub_time: Time
    heartbeat: Seconds = 2.0
    journal: Short = ""
    acknowledged: Count = 0
    personal_key: PersonalKey | None = None


class Goodbye(Message, frozen=True, tag="goodbye"):
    """The hub ends the session. `again` False: do not reconnect (revoked, replaced, hub shut down)."""

    reason: Text
    again: bool = True


# ---------------------------------------------------------------- liveness


class Heartbeat(Message, frozen=True, tag="heartbeat"):
    """Sent every `Welcome.heartbeat` seconds from a task of its own, so that a busy agent never looks dead."""

    t: Time
    cpu: Percent = 0.0
    """Per cent of one core used by the agent and its workers since the last heartbeat."""
    busiest: Percent = 0.0
    """The same of that one of these processes that used most: one that nears 100 makes no more requests, however many
    cores are idle."""
    memory: Count = 0
    requests: Count = 0
    """Requests done since the agent started."""
    journal: Short = ""
    journal_last: Count = 0
    jobs: Annotated[list[JobId], Meta(max_length=1000)] = []
    """Jobs that this agent has workers for. A job that the hub started and is not listed was lost with its process."""
    draining: bool = False


class Ask(Message, frozen=True, tag="ask"):
    """A question or an order: "time" is answered at once by a Heartbeat, "report" by a ServerReport (role server);
    "drain" means: accept no new job, finish what is in progress; "resume" ends that."""

    what: Literal["time", "drain", "resume", "report"]


class Notice(Message, frozen=True, tag="notice"):
    """A message for a person. Data, shown as plain text."""

    severity: Literal["info", "warning", "error"]
    text: Text
    t: Time


# ---------------------------------------------------------------- work


Protocol = Literal["", "root", "roots", "http", "https"]
"""How a file is asked for; "": by the scheme of the server's URL."""
HTTP: tuple[Protocol, ...] = ("http", "https")
PORTS: dict[str, int] = {"root": 1094, "roots": 1094, "http": 80, "https": 443}
"""The port of a URL that names none, by its scheme."""


class Workload(Struct, frozen=True):
    """What is done with each file, and over which protocol.

    full: all `size` bytes, in reads of 1 MiB. range: one read of `bytes` at a random offset. vector: one vector read
    of `chunks` pieces of `bytes` each, no piece twice (a small file has fewer). long: `reads` reads of `bytes`, `pause`
    seconds between them. past_end: two reads of `bytes`, one across the end of the file and one from its end on.
    write: `bytes` written to a new file. All other reads that would go past the catalogue's size are
    shortened. 0 means the default: 1 MiB of `bytes` (64 KiB in a vector read), 16 `chunks` and 2 `reads`.

    Over HTTP a read is a GET (of one range, or of several for vector) and a write a PUT; long and past_end do not exist
    there."""

    kind: Literal["full", "range", "vector", "long", "past_end", "write"] = "full"
    bytes: Annotated[int, Meta(ge=0, le=2**40)] = 0
    chunks: Annotated[int, Meta(ge=0, le=1024)] = 0
    reads: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    pause: Seconds = 0.0
    protocol: Protocol = ""
    port: Annotated[int, Meta(ge=0, le=65535)] = 0
    """Of the protocol at each server; 0: that of the server's URL."""
    weight: Annotated[int, Meta(ge=1, le=1000)] = 1
    """Its share of a mix's requests."""
    verify: bool = False
    """Compare what was read with what it should be: see `Request.check`, and over HTTP the checksum that the server
    offers."""


class Auth(Struct, frozen=True):
    """With what clients identify themselves. It is kept in memory only, and shown nowhere."""

    ca: Annotated[str, Meta(max_length=1024 * 1024)] = ""
    """Certificates (PEM) of authorities to trust; empty: those of the agent's machine."""
    token: Annotated[str, Meta(max_length=16 * 1024)] = ""
    """A bearer token (SciTokens or WLCG profile); shown to servers over TLS only."""
    cert: Annotated[str, Meta(max_length=1024 * 1024)] = ""
    """The client's certificate (PEM), with those between it and its authority."""
    key: Annotated[str, Meta(max_length=64 * 1024)] = ""
    """Its key (PEM); empty: it stands in `cert`, as in a proxy."""

    def __repr__(self) -> str:
        return "Auth(…)"


class StartRepeat(Message, frozen=True, tag="start_repeat"):
    """Start new worker processes for a job; answered by RepeatReady. `timeout` limits every single call (the connect,
    and each wait for an answer or for more data), `request_timeout` a whole request (0: nothing does)."""

    job: JobId
    workload: Workload
    slots: Annotated[int, Meta(ge=1, le=1024)]
    timeout: Seconds = 30.0
    request_timeout: Seconds = 0.0
    mix: Annotated[list[Workload], Meta(max_length=64)] = []
    """The workloads that `Request.share` counts; empty: only `workload`."""
    protocols: Annotated[list[Protocol], Meta(max_length=8)] = []
    """Those that the requests will use; empty: root."""
    auth: Auth = Auth()

    @property
    def workloads(self) -> list[Workload]:
        """All workloads, in the order of `Request.share`."""
        return self.mix or [self.workload]


class Request(Struct, frozen=True, array_like=True):
    """One request: (tag, path) is its whole key. `seed` fixes its offsets; `size` is the catalogue's size."""

    tag: Tag
    slot: Small
    server: Url
    path: Path
    size: Count
    seed: Count
    share: Small = 0
    """The place of its workload in the mix."""
    own: bool = False
    """The file is the client's own: it is written before the request begins, and removed after it. For servers that
    report nothing of an HTTP client: the tag is then a part of the path."""
    check: Check = ""
    """What is known of the file's bytes: ``adler32:HEX`` of the whole, or ``content:SEED``, from which each byte
    follows (`agent.workloads.known`); empty: nothing."""


class Round(Message, frozen=True, tag="round"):
    """Requests for this agent, of one or more servers. Each slot makes its requests in the order given, from message to
    message; only servers that do not answer are left behind. What is done is told by the journal.

    `round` counts what is handed out, for journals and logs: a request is known by its tag and path. Repeated after a
    cut."""

    job: JobId
    round: Count
    requests: Annotated[list[Request], Meta(max_length=20_000)]


class Renew(Message, frozen=True, tag="renew"):
    """With what the clients of a job identify themselves from now on."""

    job: JobId
    auth: Auth


class EndRepeat(Message, frozen=True, tag="end_repeat"):
    """No more rounds: finish what is in progress, stop the workers, answer with RepeatDone."""

    job: JobId


class Abort(Message, frozen=True, tag="abort"):
    """Stop the job now; requests in progress become interrupted."""

    job: JobId


class RepeatReady(Message, frozen=True, tag="repeat_ready"):
    """The workers of a job are ready; or `error` says in one sentence why they are not."""

    job: JobId
    error: Text = ""


class RepeatDone(Message, frozen=True, tag="repeat_done"):
    """The workers of a job have ended. `journal_last` is the number of the last line that the job wrote."""

    job: JobId
    journal: Short
    journal_last: Count


class Started(Struct, frozen=True, tag="s", array_like=True):
    """Journal line: a request is about to open its file."""

    n: Count
    job: JobId
    round: Count
    tag: Tag
    server: Url
    path: Path
    t: Time


class Phases(Struct, frozen=True, array_like=True):
    """How long the parts of a request took, in seconds; 0: there was no such part, or it was not measured."""

    name: Seconds = 0.0
    """Looking up the server's address."""
    connect: Seconds = 0.0
    tls: Seconds = 0.0
    open: Seconds = 0.0
    """Opening the file, with all that was needed for it (root and roots)."""
    first: Seconds = 0.0
    """From the beginning of the request to the first byte of the file; over root, to the answer of the first read."""


class Done(Struct, frozen=True, tag="d", array_like=True):
    """Journal line: what became of a request. *asked* is what the server should count, *got* what arrived (bytes)."""

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
    """`host:port` of the data server actually reached (XRootD's DataServer property)."""
    status: Count = 0
    """XRootD or HTTP status code; 0 on success, and when no answer came."""
    error: Text = ""
    interrupted: bool = False
    phases: Phases = Phases()


Line = Started | Done


class Journal(Message, frozen=True, tag="journal"):
    """Consecutive journal lines. The hub stores each once (by journal and n) and then acknowledges."""

    journal: Short
    lines: Annotated[list[Line], Meta(max_length=5_000)]


class Acknowledge(Message, frozen=True, tag="acknowledge"):
    """All lines of this journal up to n are stored; the agent may delete them."""

    journal: Short
    n: Count


class ServerSample(Struct, frozen=True, array_like=True):
    """Figures of one server within a job: cumulative, and those of this `Sample`."""

    bytes: Count
    done: Count
    failed: Count
    started: Count
    within: Count = 0
    """Bytes transferred between `Sample.since` and `Sample.t`."""


class Awaited(Struct, frozen=True, array_like=True):
    """A server that does not answer: how many requests wait for it, and for how many seconds. `reached`: it does answer
    a check without the XRootD client, so it is the client's calls that hang."""

    requests: Count
    seconds: Seconds
    reached: bool = False


class Silence(Struct, frozen=True):
    """Servers that do not answer this client, although it waits for them."""

    servers: Annotated[dict[Url, Awaited], Meta(max_length=10_000)]


class Sample(Message, frozen=True, tag="sample"):
    """What this agent's client measured per server URL in one second of its own clock, from `since` to `t`.

    The samples of a job have no gaps and no overlap, whenever they are sent: a late sample still belongs to its second.
    The last minutes are sent again in a new session, in case some were lost with the old one; the same `t` is the same
    sample. `since` 0: not given, so there is no rate."""

    job: JobId
    t: Time
    servers: Annotated[dict[str, ServerSample], Meta(max_length=10_000)]
    since: Time = 0.0
    silence: Silence | None = None
    """The state when this sample was made; None when all servers answer."""


# ---------------------------------------------------------------- preflight


class CatalogueFile(Struct, frozen=True, array_like=True):
    """A file on a server. `size` None: the server has no such file; `error` is then its answer."""

    path: Path
    size: Count | None
    error: Text = ""


class Probe(Message, frozen=True, tag="probe"):
    """Preflight from a client agent: does this server answer, do these files exist, what is in this directory?

    `directory` is listed with all its subdirectories, up to `limit` files. In `write`, a directory, a small file is
    made and removed. The answer is one or more Probed with this `id`."""

    id: Count
    server: Url
    paths: Annotated[list[Path], Meta(max_length=10_000)] = []
    directory: Annotated[str, Meta(max_length=4096)] = ""
    limit: Annotated[int, Meta(ge=1, le=1_000_000)] = 100_000
    timeout: Seconds = 30.0
    protocol: Protocol = ""
    port: Annotated[int, Meta(ge=0, le=65535)] = 0
    write: Annotated[str, Meta(max_length=4096)] = ""
    auth: Auth = Auth()


class Probed(Message, frozen=True, tag="probed"):
    """Part of the answer to a Probe; the last part has `more` False. `error`: one sentence if the server gave no
    answer."""

    id: Count
    server: Url
    answering: bool
    xrootd: Short = ""
    files: Annotated[list[CatalogueFile], Meta(max_length=10_000)] = []
    more: bool = False
    truncated: bool = False
    """The directory has more files than `limit`."""
    error: Text = ""
    unwritable: Text = ""
    """Why no file can be made in `Probe.write`."""


# ---------------------------------------------------------------- role server


class Finding(Struct, frozen=True):
    """A problem, or a possible improvement, in a server's monitoring configuration."""

    severity: Literal["info", "warning", "error"]
    what: Text
    why: Text = ""
    line: Count = 0
    fixed: Text = ""
    """The corrected configuration line, if changing one line fixes the problem."""
    file: Annotated[str, Meta(max_length=4096)] = ""
    """The file that contains `line`, empty for the one that xrootd is started with."""


class Throughput(Struct, frozen=True):
    """What a server counts itself, by its answer to a query, or by a summary report that came."""

    received: Amount = 0.0
    """Bytes per second from its clients, since the report before."""
    sent: Amount = 0.0
    seconds: Seconds = 0.0
    """Over how long; 0: this is the first look, or the server was restarted, so that there is no rate yet."""
    received_total: Count = 0
    """Bytes since the server started."""
    sent_total: Count = 0
    connections: Count = 0
    """Open now."""
    by: Literal["query", "summary"] = "query"


class UdpSocket(Struct, frozen=True):
    """A socket on the agent's machine at which the server's datagrams arrive, as its kernel shows it."""

    address: Short
    drops: Count = 0
    """Datagrams that did not fit into its buffer, since it was opened."""
    waiting: Count = 0
    """Bytes in its buffer now."""


class Daemon(Struct, frozen=True):
    """A shoveler or collector beside the server, by its own health and metrics."""

    address: Short
    kind: Literal["", "shoveler", "collector"] = ""
    """Empty: it said neither."""
    healthy: bool = False
    problem: Text = ""
    """What is wrong, or why it could not be asked."""
    counts: Annotated[dict[Short, Amount], Meta(max_length=32)] = {}


class ServerReport(Message, frozen=True, tag="server_report"):
    """What a server agent observes beside one of its XRootD servers. An agent beside several sends one for each."""

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
    """Datagrams that this host's kernel could not send since it booted (send errors of all processes together)."""
    mtu: Count = 0
    """MTU of the interface to the monitoring destination, 0 when unknown."""
    throughput: Throughput | None = None
    """None: the server was not asked, or does not say."""
    sockets: Annotated[list[UdpSocket], Meta(max_length=64)] = []
    """Those of its monitoring destinations that are on the agent's machine."""
    daemons: Annotated[list[Daemon], Meta(max_length=16)] = []


FromAgent = Register | Heartbeat | Journal | Sample | RepeatReady | RepeatDone | Probed | ServerReport | Notice
FromHub = Registered | Welcome | Acknowledge | StartRepeat | Renew | Round | EndRepeat | Abort | Probe | Ask | Goodbye

encode = msgspec.json.Encoder().encode
_decode_from_agent: Callable[[bytes | str], FromAgent] = msgspec.json.Decoder(FromAgent).decode
_decode_from_hub: Callable[[bytes | str], FromHub] = msgspec.json.Decoder(FromHub).decode
_TOO_DEEP = "the JSON is nested too deeply"


def decode_from_agent(data: bytes | str) -> FromAgent:
    """Decode a websocket message from an agent. Raises only msgspec.DecodeError, whatever the bytes are."""
    try:
        return _decode_from_agent(data)
    except RecursionError:  # what msgspec raises for a hundred thousand brackets in an unknown field
        raise msgspec.DecodeError(_TOO_DEEP) from None
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(str(error)) from None


def decode_from_hub(data: bytes | str) -> FromHub:
    """Decode a websocket message from the hub. Raises only msgspec.DecodeError, whatever the bytes are."""
    try:
        return _decode_from_hub(data)
    except RecursionError:
        raise msgspec.DecodeError(_TOO_DEEP) from None
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(str(error)) from None


# ---------------------------------------------------------------- tokens, pins, join strings

AUDIENCE = "xrootd-tally"
SCOPES = ("agent:client", "agent:server", "observer", "operator", "join")
TOKEN_SECONDS = 300
"""Default lifetime of a token that a program signs for itself."""
MAX_TOKEN_SECONDS = 3600
MAX_INVITATION_SECONDS = 24 * 3600
MIN_KEY_BYTES = 32
KEYRING_SERVICE = "xrootd-tally"
KEYRING_SHARED = "shared-key"
"""The shared key's entry in the OS keyring: service and user name."""


class CredentialError(ValueError):
    """A key, pin or join string that cannot be used; the text is one sentence for a person and contains no secret."""


def key_bytes(text: str) -> bytes:
    """The HMAC key of a key text: its UTF-8 bytes without surrounding white space. CredentialError below 32 bytes."""
    key = text.strip().encode()
    if len(key) < MIN_KEY_BYTES:
        raise CredentialError(
            f"The key has {len(key)} bytes, but at least {MIN_KEY_BYTES} are needed; make one with `tally key create`."
        )
    return key


def sign_token(
    key: str,
    *,
    sub: str,
    scope: str,
    kid: str = "",
    lifetime: float = TOKEN_SECONDS,
    now: float | None = None,
    claims: Mapping[str, Any] | None = None,
) -> str:
    """A signed JWT (HS256) with a fresh `jti`. `kid` empty: signed with the shared key. `lifetime` in seconds.

    `claims` are added (an invitation's role and uses). Raises CredentialError for a short key."""
    import jwt  # here, because the window imports this module but needs no token

    issued = int(time.time() if now is None else now)
    payload = {
        **(claims or {}),
        "aud": AUDIENCE,
        "sub": sub,
        "scope": scope,
        "iat": issued,
        "exp": issued + int(lifetime),
        "jti": secrets.token_urlsafe(16),
    }
    return jwt.encode(payload, key_bytes(key), algorithm="HS256", headers={"kid": kid} if kid else None)


def certificate_pin(der: bytes) -> str:
    """``sha256:HEX`` of the public key (SubjectPublicKeyInfo) in a DER certificate. ValueError when it is none."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = x509.load_der_x509_certificate(der).public_key()
    return "sha256:" + hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def why_untrusted(error: ssl.SSLCertVerificationError) -> str:
    """What is wrong with a certificate, and the requirement if only the strict checks of Python 3.13 fail."""
    reason: str = error.verify_message
    if error.verify_code in range(80, 95):  # OpenSSL's X509_V_ERR_… of strict checks
        reason += (
            ": Python 3.13 and newer accept only certificates that follow RFC 5280, the CA's with "
            "basicConstraints=critical,CA:TRUE and keyUsage=critical,keyCertSign,cRLSign"
        )
    return reason


def normal_pin(text: str) -> str:
    """The pin as `certificate_pin` writes it, also from one with capitals or colons. CredentialError when it is
    invalid."""
    kind, _, value = text.strip().partition(":")
    digits = value.replace(":", "").lower()
    if kind.lower() != "sha256" or len(digits) != 64 or set(digits) - set("0123456789abcdef"):
        raise CredentialError(
            f'A pin is "sha256:" and 64 hexadecimal digits, not {text.strip()[:100]!r}; the hub shows its own.'
        )
    return "sha256:" + digits


class Invitation(Struct, frozen=True):
    """The content of a join string.

    `hub` is the hub's address (``wss://HOST:PORT``), `pin` its certificate's pin (empty: signed by an ordinary CA),
    `token` the invitation: a JWT of the hub with scope ``join``, opaque to the agent. The agent sends it as the bearer
    token of its first registration, with its name in `Register.name`; the Welcome contains its personal key."""

    hub: Annotated[str, Meta(min_length=1, max_length=512)]
    token: Annotated[str, Meta(min_length=1, max_length=4096)]
    role: Literal["client", "server"]
    pin: Annotated[str, Meta(max_length=128)] = ""
    v: Literal[1] = 1


def encode_join_string(invitation: Invitation) -> str:
    """The text after ``tally-agent join``: base64url of the invitation's JSON, without padding."""
    return base64.urlsafe_b64encode(msgspec.json.encode(invitation)).decode().rstrip("=")


def decode_join_string(text: str) -> Invitation:
    """The inverse of `encode_join_string`; CredentialError when the text is not a join string, or only part of one."""
    compact = "".join(text.split())
    try:
        raw = base64.b64decode(compact + "=" * (-len(compact) % 4), altchars=b"-_", validate=True)
        invitation = msgspec.json.decode(raw, type=Invitation)
        if invitation.pin:
            normal_pin(invitation.pin)
    except (binascii.Error, ValueError) as error:
        raise CredentialError(
            "This is not a complete join string; copy it again from the hub, from the first character to the last."
        ) from error
    return invitation


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
    """One process of a lab; an XRootD server is listed here and, with its address, as a `LabServer` of the same
    name."""

    name: str
    kind: Literal["supervisor", "shoveler", "collector", "broker", "xrootd", "cmsd"]
    pid: int
    """0 while it is not running."""
    restarts: int = 0
    metrics: str = ""
    """HOST:PORT of /metrics and /healthz, where the process has one."""
    identity: str = ""
    """Boot and start time of the process: distinguishes it from a later process with the same pid."""


class LabFault(Struct, frozen=True):
    """A fault that is on in a lab. `t` and `until` are Unix seconds: when it began, as the injector has said, and when
    it ends by itself (0: when somebody ends it)."""

    do: str
    t: float
    until: float = 0.0
    server: str = ""
    """The one affected; empty: not a fault of a single server."""
    percent: float = 0.0
    text: str = ""
    """What the injector has said of it."""


class LabState(Struct, frozen=True):
    """``DIR/state.json``, replaced completely at each change: what `lab up` created, and where."""

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
    """Why the lab failed, or what `down` could not remove; empty when all is well."""
    prefix: str = ""
    """Prefix of the names of all exchanges and queues on a given broker; empty on the lab's own bus."""
    work_directory: str = ""
    """Directory of the XRootD servers; not below `directory`, which their user cannot enter."""
    faults: dict[str, str] = {}
    """By name of a fault: "" when this lab supports it, else a sentence that says why not."""
    redirector: LabServer | None = None
    """In front of all servers; not among `servers`."""
    caches: list[LabServer] = []
    """Caches in front of the servers; not among `servers`, since clients have to choose them explicitly."""
    active: list[LabFault] = []
    """The faults that are on, of whoever began them. One whose `until` is past is over, whatever stands here."""
    content: str = ""
    """What determines the bytes of the test files, as in `Request.check`; empty: nobody knows."""
    ca: str = ""
    """Path of the certificate (PEM) of the authority that has signed the servers' certificates."""


LAB_SCHEMA = 1
decode_lab_state = msgspec.json.Decoder(LabState).decode
