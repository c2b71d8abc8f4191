"""The course of a request in words: facts, stages, how sure, what to do. No toolkit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from agent.messages import Workload
from gui.campaign.mix import workload_words
from gui.models import figures
from gui.models.faults import Met
from gui.models.verdicts import verdict_state
from gui.reconcile import Course, CourseStage, StageState, Sure, sentence
from gui.reconcile.facts import Fault
from gui.report import numbers
from gui.store import RecordEntry, RequestEntry, RequestState, VerdictKind

STAGES: dict[str, tuple[str, str]] = {
    "client": ("client", "client"),
    "server": ("server sent", "wire"),
    "shoveler read": ("shoveler read", "import"),
    "confirmed": ("broker confirmed", "check"),
    "consumed": ("collector consumed", "queue"),
    "recorded": ("recorded", "box"),
    "loaded": ("loaded", "db"),
}
"""What a stage is called here, and its icon."""
STATES: dict[StageState, tuple[str, str, str]] = {
    "passed": ("ok", "passed", "ok"),
    "lost": ("bad", "lost here", "bad"),
    "not reached": ("ring", "not reached", "mute"),
    "unknown": ("unreq", "unknown", "mute"),
    "not watched": ("unreq", "not watched", "mute"),
}
"""Icon, word and colour of a stage."""
SURE: dict[Sure, str] = {
    "certain": "counted where it was lost",
    "proven": "by numbers and a counter",
    "probably": "only this rule fits",
    "unknown": "no report decides it",
}


@dataclass(frozen=True, slots=True)
class Fact:
    """One column of the line of facts."""

    name: str
    value: str
    bold: bool = False
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class StageRow:
    """One stage as it is shown. `who`: which program, on which host."""

    name: str
    symbol: str
    who: str
    state: StageState
    time: str
    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """Something to copy, and where it belongs."""

    text: str
    where: str = ""


@dataclass(frozen=True, slots=True)
class Advice:
    """What it means, and what to do. `bold`: the first words."""

    bold: str
    text: str
    more: str = ""
    commands: tuple[Command, ...] = ()
    injected: bool = False


@dataclass(frozen=True, slots=True)
class StripRow:
    """Sequence numbers of one server process: (number, whether it came)."""

    server: str
    sid: str
    mine: bool
    numbers: tuple[tuple[int, bool], ...]
    more: int
    missing: int


@dataclass(frozen=True, slots=True)
class Span:
    """A bar on the time axis, in seconds since the start of the repeat. `kind`: fault, came, lost."""

    row: str
    kind: str
    begin: float
    end: float
    text: str


@dataclass(frozen=True, slots=True)
class Axis:
    """When it was lost. `closed`: of the request; `drops`: (seconds, dropped by the kernel so far)."""

    begin: float
    end: float
    spans: tuple[Span, ...]
    closed: float | None
    drops: tuple[tuple[float, int], ...]


@dataclass(frozen=True, slots=True)
class CourseView:
    """Everything that the page Evidence shows of a request. `axis` None: it has no times to be shown."""

    run: int
    request: int
    path: str
    server: str
    verdict: tuple[str, str, str]
    injected: str
    facts: tuple[Fact, ...]
    stages: tuple[StageRow, ...]
    advice: Advice
    strips: tuple[StripRow, ...]
    strips_title: tuple[str, str]
    axis: Axis | None
    axis_title: tuple[str, str]
    together: tuple[tuple[int, str, str, int, float | None], ...]
    """(id, path, tag, bytes, closed) of the requests that were lost with the same datagram."""
    together_count: int
    group: str
    """The filter for these."""
    met: tuple[Met, ...] = ()
    """The plan's own faults that can have caused the loss."""
    injected_count: int = 0
    """Missing requests of the run that the plan injected."""

    @property
    def text(self) -> str:
        """Everything as plain text, to be copied."""
        lines = [f"Run {self.run}, request {self.request}: {self.path}", f"Verdict: {self.verdict[1]}"]
        lines += [f"{fact.name}: {fact.value}" for fact in self.facts]
        lines.append("")
        for stage in self.stages:
            lines.append(f"{stage.name:<20} {STATES[stage.state][1]:<12} {stage.time:<13} {stage.text}".rstrip())
        lines += ["", f"{self.advice.bold} {self.advice.text}".strip()]
        lines += [each for each in (self.advice.more,) if each]
        lines += [f"  {command.text}  {command.where}".rstrip() for command in self.advice.commands]
        if self.together_count > 1:
            lines += ["", f"Lost with the same datagram: {self.together_count:,} requests"]
            lines += [f"  {tag}  {path}" for _, path, tag, _, _ in self.together]
        return "\n".join(lines) + "\n"


def view_of(course: Course) -> CourseView:
    """A course in words."""
    request = course.request
    return CourseView(
        run=course.run.id,
        request=request.id,
        path=request.path,
        server=request.server,
        verdict=verdict_state(request.verdict),
        injected="the plan asked for this loss" if course.injected else "",
        facts=tuple(_facts(course)),
        stages=tuple(_stage(course, stage) for stage in course.stages),
        advice=_advice(course),
        strips=tuple(
            StripRow(s.server, _short(s.process.server), s.mine, s.numbers, s.more, s.missing) for s in course.strips
        ),
        strips_title=_strips_title(course),
        axis=_axis(course),
        axis_title=("When it was lost" if course.gap else "When", f"since the start of repeat {course.repeat.number}"),
        together=tuple((r.id, r.path, r.tag, r.asked, r.t_close) for r in course.together),
        together_count=course.together_count,
        group=request.lost_with,
        met=tuple(
            Met(course.repeat.test_number, fault.do, fault.server, fault.begin - (course.repeat.started or fault.begin))
            for fault in course.injected
        ),
        injected_count=course.injected_count,
    )


# ---------------------------------------------------------------- facts


def _facts(course: Course) -> list[Fact]:
    request, process = course.request, course.process
    facts = [
        Fact("Server", " ".join(dict.fromkeys((request.server, request.server_url)))),
        Fact("Client", request.agent.rpartition("/")[2]),
        Fact("Session tag", request.tag, fixed=True),
        Fact(
            "Test, repeat, round",
            f"{course.repeat.test_number}, repeat {course.repeat.number}, round {request.round}",
        ),
        Fact("Workload", f"{workload_words(_workload(course))}, {figures.count(request.asked)} B"),
    ]
    if took := _took(request):
        facts.append(Fact("Time", took))
    if process is not None:
        others = f"Told apart from {course.shared} other{'s' if course.shared > 1 else ''} by"
        facts.append(
            Fact(
                others if course.shared else "Server process",
                f"server id {_short(process.server)}, started {figures.clock(float(process.stod), parts=False)}",
            )
        )
    if course.sure:
        why = "injected by the plan" if course.injected and course.sure == "certain" else SURE[course.sure]
        facts.append(Fact("How sure", f"{course.sure}, {why}", bold=True))
    return facts


def _took(request: RequestEntry) -> str:
    """How long the phases of a request took, as far as they are known."""
    named = zip(("name", "connect", "TLS", "open", "first byte"), msgspec.structs.astuple(request.phases), strict=True)
    words = [f"{name} {numbers.latency(seconds)}" for name, seconds in named if seconds]
    if words and request.t_open and request.t_close:
        words.append(f"whole {numbers.latency(max(0.0, request.t_close - request.t_open))}")
    return ", ".join(words)


def _workload(course: Course) -> Workload:
    """That of its request; a test that came in an old bundle may lack it."""
    workloads = course.spec.workloads
    return workloads[course.request.share] if course.request.share < len(workloads) else workloads[0]


def _short(sid: str) -> str:
    """The end of a server id, as in the records' own form."""
    return f"…{int(sid) & 0xFFFF:04x}" if sid.isdecimal() else sid


# ---------------------------------------------------------------- stages


def _stage(course: Course, stage: CourseStage) -> StageRow:
    name, symbol = STAGES[stage.name]
    exact = stage.name in ("client", "loaded")
    return StageRow(
        name,
        symbol,
        _who(course, stage.name),
        stage.state,
        figures.clock(stage.t, parts=exact) if stage.t else figures.UNKNOWN,
        _text(course, stage),
    )


def _who(course: Course, name: str) -> str:
    request, process = course.request, course.process
    match name:
        case "client":
            agent = request.agent.rpartition("/")[2]
            host = _host_of_client(course, agent)
            return f"{agent} on {host}" if host else agent
        case "server":
            return f"{request.server}, f-stream of id {_short(process.server)}" if process else request.server
        case "shoveler read":
            shoveler = course.path.shoveler if course.path else ""
            return f"{shoveler} on {course.shoveler_host}" if course.shoveler_host else shoveler or "no shoveler known"
        case "confirmed":
            return "message bus"
        case "consumed":
            return ", ".join(f"{name} on {host}" for name, host in course.collectors) or "no collector known"
        case "recorded":
            count = len(course.records)
            return "record" if count == 1 else f"{count:,} records" if count else "no record"
        case _:
            return "table record"


def _host_of_client(course: Course, agent: str) -> str:
    clients = course.run.environment.get("clients")
    for client in clients if isinstance(clients, list) else ():
        if isinstance(client, dict) and client.get("name") == agent:
            return str(client.get("host") or "")
    return ""


def _text(course: Course, stage: CourseStage) -> str:
    if stage.name == "client":
        return _client_text(course)
    if stage.state == "lost":
        return _lost_text(course)
    if stage.state == "not watched":
        who = "collector" if stage.name == "consumed" else "shoveler"
        return f"no {who} reported on this server during the run"
    match stage.name:
        case "server":
            return _server_text(course, stage)
        case "recorded":
            return _recorded_text(course, stage)
        case "loaded":
            return _loaded_text(course)
    if stage.state != "passed" or stage.count is None:
        return ""
    what = {
        "shoveler read": "datagrams of this server taken",
        "confirmed": "of its datagrams confirmed by the broker",
        "consumed": "of its datagrams seen",
    }[stage.name]
    return f"{stage.count:,} {what} during the run"


def _client_text(course: Course) -> str:
    request = course.request
    if request.state == RequestState.PENDING:
        return "handed out, and not reported by its client"
    got = request.read_got + request.readv_got + request.written
    operations = request.read_ops + request.readv_ops + request.write_ops
    words = [f"asked {figures.count(request.asked)} B", f"read {figures.count(got)} B"]
    if request.written:
        words[1] = f"transferred {figures.count(got)} B"
    words.append(f"{operations:,} operation{'s' if operations != 1 else ''}")
    if request.t_close is not None:
        words.append(f"closed {figures.clock(request.t_close)}")
    else:
        words.append("never closed")
    words.append(f"status {request.status}")
    text = ", ".join(words)
    return f"{text}: {request.error}" if request.error else text


def _server_text(course: Course, stage: CourseStage) -> str:
    gap = course.gap
    if gap is not None and course.ladder is not None and course.ladder.datagram is not None:
        held, number = course.ladder.datagram.held, numbers_of(gap.after, gap.missing)
        after = (gap.after + gap.missing + 1) % 256
        before = f"{gap.after} and {after}" if gap.after >= 0 else f"{after}"
        came = "of the same id were" if gap.after >= 0 else "of the same id was"
        return f"its {held} falls in the window of datagram {number}; {before} {came} read, so {number} was sent"
    final = _final(course.records)
    if final is not None:
        return f"it reported the close; {_bytes_of(final)} by its count"
    return "datagrams are numbered by the server; none of its is missing" if stage.state == "passed" else ""


def _lost_text(course: Course) -> str:
    ladder = course.ladder
    assert ladder is not None
    words = ladder.answer
    if course.path is not None and ladder.lost_at in ("wire", "fragmentation", "spool", "queue") and course.drops:
        dropped = course.drops[-1][1] - course.drops[0][1]
        words += f"; the kernel dropped {dropped:,} at this shoveler in the whole run"
    return words


def _recorded_text(course: Course, stage: CourseStage) -> str:
    final = _final(course.records)
    if final is not None:
        more = f"; {len(course.records):,} records of it" if len(course.records) > 1 else ""
        return f"{_bytes_of(final)}{more}"
    if course.records:
        lacking = ", ".join(course.records[0].flags.incomplete) or "no close"
        return f"its open was seen and held; the close never came ({lacking})"
    if stage.state != "passed" or stage.count is None:
        return ""
    return f"{stage.count:,} records of this server during the run"


def _loaded_text(course: Course) -> str:
    repeat = course.repeat
    final = _final(course.records)
    if final is not None:
        late = repeat.settled is not None and final.loaded > repeat.settled
        return "after settling had ended" if late else "while the repeat ran or settled"
    if repeat.settled is None:
        return ""
    why = f", {repeat.settle_reason}" if repeat.settle_reason else ""
    return f"looked for until {figures.clock(repeat.settled, parts=False)}{why}"


def _final(records: Sequence[RecordEntry]) -> RecordEntry | None:
    return next((record for record in records if record.final), None)


def _bytes_of(record: RecordEntry) -> str:
    parts = [("read", record.read), ("readv", record.readv), ("write", record.write)]
    told = [f"{figures.count(count)} B {name}" for name, count in parts if count]
    return " and ".join(told) or "0 B"


def numbers_of(after: int, missing: int) -> str:
    """``79``, or ``79 to 81``."""
    first, last = (after + 1) % 256, (after + missing) % 256
    return f"{first}" if missing == 1 else f"{first} to {last}"


# ---------------------------------------------------------------- what to do


def _advice(course: Course) -> Advice:
    request, ladder = course.request, course.ladder
    if ladder is not None and request.verdict not in (VerdictKind.CLIENT_FAILED, VerdictKind.NOT_WAITED):
        return _injected_advice(course) if course.injected else _loss_advice(course)
    asked = figures.count(request.asked)
    known = " ".join(sentence(name) for name in request.behaviours)
    recorded = (request.recorded_read or 0) + (request.recorded_readv or 0) + (request.recorded_write or 0)
    match request.verdict:
        case VerdictKind.MATCHED:
            return Advice("Matched.", f"Asked, read and recorded agree: {asked} B.", known)
        case VerdictKind.LATE:
            final = _final(course.records)
            settled = course.repeat.settled
            after = final.loaded - settled if final is not None and settled is not None else None
            when = f" {figures.duration(after)} after settling had ended" if after and after > 0 else " late"
            return Advice("Late.", f"The record agrees with the request ({asked} B); it came{when}.")
        case VerdictKind.WRONG_BYTES:
            text = f"Asked {asked} B, recorded {figures.count(recorded)} B."
            return Advice("Wrong bytes.", text, known or "No known behaviour of servers explains the difference.")
        case VerdictKind.DUPLICATE:
            count = request.accesses or len(course.records)
            text = f"{count:,} records of one request, {figures.count(recorded)} B in all."
            return Advice("Duplicate.", text, known or "A client that recovers opens the file again.")
        case VerdictKind.CLIENT_FAILED:
            text = request.error or "The client did not finish this request."
            return Advice("The client failed.", text, "Not counted: monitoring is judged by what clients completed.")
        case VerdictKind.NOT_WAITED:
            cause = f"{request.cause[:1].upper()}{request.cause[1:]}." if request.cause else ""
            return Advice("Not waited for.", cause, "Not counted as a loss.")
    return Advice("Not scored yet.", "Verdicts come when the repeat has settled.")


def _injected_advice(course: Course) -> Advice:
    names = " and ".join(_fault_words(course, fault) for fault in course.injected)
    ladder = course.ladder
    assert ladder is not None
    return Advice(
        f"Injected by the plan, {course.sure}.",
        f"{names}. {_sentence(ladder.cause)}",
        "Nothing to repair. To judge the pipeline alone, leave injected losses out of the count, or run the plan "
        "without this fault.",
        injected=True,
    )


def _fault_words(course: Course, fault: Fault) -> str:
    whose = f" of {fault.server}" if fault.server else ""
    begun = course.repeat.started or course.run.started or fault.begin
    return f"{fault.do}{whose} was on from {elapsed(fault.begin - begun)} to {elapsed(fault.span.end - begun)}"


def _loss_advice(course: Course) -> Advice:
    ladder = course.ladder
    assert ladder is not None
    shoveler = course.path.shoveler if course.path is not None else "the shoveler"
    bold, more, commands = _REMEDIES[ladder.lost_at]
    return Advice(
        bold.format(shoveler=shoveler, server=course.request.server),
        _sentence(ladder.answer),
        more,
        tuple(Command(text.format(server=course.request.server), where) for text, where in commands),
    )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""


_REMEDIES: dict[str, tuple[str, str, tuple[tuple[str, str], ...]]] = {
    "client": ("The client failed.", "Look at the error of the client, and at the log of the server.", ()),
    "server": (
        "What to do on {server}.",
        "A server that is stopped drops what it has buffered: let it run idle for an fstat interval first. Check that "
        "its monitoring line has xfr, without which it sends no close.",
        (("tally-agent check-config /etc/xrootd/xrootd.cfg", "says what the configuration lacks"),),
    ),
    "kernel": (
        "What to do on the host of {shoveler}.",
        "The receive buffer of its socket was full. Raise it, and make the same test again.",
        (
            ("sysctl -w net.core.rmem_max=67108864", "until the next boot; keep it in /etc/sysctl.d"),
            ('receive_buffer = "64MiB"', "in shoveler.toml"),
        ),
    ),
    "fragmentation": (
        "What to do on {server}.",
        "Its datagrams are larger than one frame of the path, and one lost fragment loses all of it. Make them fit.",
        (("fbuff 1452", "in its xrootd.monitor line"),),
    ),
    "wire": (
        "Between {server} and {shoveler}.",
        "Nobody counted a drop, so it was lost on the way. A shoveler on the server's own host has no way to lose it.",
        (
            ('listen = ["127.0.0.1:9993"]', "in shoveler.toml on the host of the server"),
            ("dest fstat info user 127.0.0.1:9993", "in its xrootd.monitor line"),
        ),
    ),
    "spool": (
        "What to do on the host of {shoveler}.",
        "It had taken the datagram, or refused it for want of room. See whether the broker takes what it sends, and "
        "whether its spool has room.",
        (("tally-shoveler status", "what waits, and why"), ('spool.max_bytes = "20GiB"', "in shoveler.toml")),
    ),
    "queue": (
        "Between broker and collector.",
        "The broker had confirmed it. See whether a policy discards messages, and whether a collector reads the queue.",
        (("rabbitmqctl list_policies", "on the broker"), ("rabbitmqctl list_queues name messages consumers", "")),
    ),
    "collector": (
        "What to do at the collector.",
        "The datagrams came, and no complete record could be made of them. Its quarantine and its log say which.",
        (("tally-collector status", "what it rejected, and what is incomplete"),),
    ),
    "load": (
        "The records are on the bus.",
        "They were published and are not in this database yet. Load them and score the run again.",
        (("tally load", ""), ("tally runs recheck RUN", "")),
    ),
    "unknown": (
        "Nothing decides where it was lost.",
        "Let shoveler and collector send their status to the bus of this run; then the next loss can be explained.",
        (),
    ),
}


# ---------------------------------------------------------------- when


def elapsed(seconds: float) -> str:
    """``00:18``, from the start of a repeat; negative before it."""
    whole = round(abs(seconds))
    return f"{'−' if seconds < 0 and whole else ''}{whole // 60:02d}:{whole % 60:02d}"


def _strips_title(course: Course) -> tuple[str, str]:
    if not course.strips:
        return ("", "")
    kind = {"F": "f-stream numbers", "M": "numbers of logins and names"}.get(
        course.gap.kind if course.gap else "", "numbers"
    )
    if len(course.strips) > 1 and course.process is not None:
        return (f"{len(course.strips)} servers send from {course.process.address}", f"{kind}, one row each")
    return (f"{kind[:1].upper()}{kind[1:]} of {course.request.server}", "dashed: never came")


def _axis(course: Course) -> Axis | None:
    request, repeat = course.request, course.repeat
    begun = repeat.started
    if begun is None or request.t_open is None:
        return None
    closed = request.t_close
    last = max(filter(None, (repeat.ended, closed, request.t_open)), default=begun)
    spans = []
    for fault in course.faults:
        if fault.span.end >= begun and fault.begin <= last + 60:
            whose = f" of {fault.server}" if fault.server else ""
            spans.append(
                Span(fault.whose or "plan", "fault", fault.begin - begun, fault.span.end - begun, f"{fault.do}{whose}")
            )
    gap = course.gap
    if gap is not None:
        number = numbers_of(gap.after, gap.missing)
        begin, end = gap.begin or gap.t_min, (gap.end + 1.0) if gap.end else gap.t_max
        if gap.after >= 0 and gap.t_min:
            read = figures.clock(gap.t_min, parts=False)
            spans.append(Span(f"datagram {gap.after}", "came", gap.t_min - begun, gap.t_min - begun, f"read {read}"))
        window = f"window {figures.clock(begin, parts=False)} – {figures.clock(end, parts=False)}"
        spans.append(Span(f"{number}, lost", "lost", begin - begun, end - begun, window))
        after = (gap.after + gap.missing + 1) % 256
        read = figures.clock(gap.t_max, parts=False)
        spans.append(Span(f"datagram {after}", "came", gap.t_max - begun, gap.t_max - begun, f"read {read}"))
    else:
        over = closed if closed is not None else request.t_open
        words = f"{figures.clock(request.t_open)} – {figures.clock(over)}"
        spans.append(Span("request", "came", request.t_open - begun, over - begun, words))
        final = _final(course.records)
        if final is not None:
            loaded = figures.clock(final.loaded)
            spans.append(Span("loaded", "came", final.loaded - begun, final.loaded - begun, loaded))
            last = max(last, min(final.loaded, last + 120))
    drops = [(t - begun, count) for t, count in course.drops if begun - 10 <= t <= last + 60]
    first = drops[0][1] if drops else 0
    return Axis(
        0.0,
        max([last - begun, *(span.end for span in spans if span.kind != "fault"), 1.0]),
        tuple(spans),
        None if closed is None else closed - begun,
        tuple((t, count - first) for t, count in drops),
    )
