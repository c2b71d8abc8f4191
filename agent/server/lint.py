"""What an XRootD server's monitoring line will and will not send, said before it is missed.

Arithmetic: a configuration's text goes in, `Finding`s come out. The grammar is that of XRootD 5 and 6: options come
before the first ``dest``; a later ``xrootd.monitor`` replaces an earlier one unless it begins with ``...``; a word that
is no event is taken for HOST:PORT; what is unknown is skipped with a warning in the server's log that nobody reads.

*error* means that file records are missing, wrong or cannot be attributed; *warning*, that some are lost under load or
at a restart, or lack something; *info*, that more could be had.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from agent.messages import Finding
from agent.server.configfile import Directive, directives, plain_seconds, seconds, size, whole

EVENTS: Final = (
    "ccm", "files", "fstat", "http", "info", "io", "iov", "oss", "pfc", "redir", "tcpmon", "throttle", "tpc", "user",
)  # fmt: skip
GSTREAM: Final = ("ccm", "http", "oss", "pfc", "tcpmon", "throttle", "tpc")
TIMES: Final = ("ident", "window", "flush")
BUFFERS: Final = ("fbuff", "fbsz", "gbuff", "mbuff", "rbuff")
DEFAULT_FBUFF: Final = 65472
DEFAULT_GBUFF: Final = 32768
DEFAULT_RBUFF: Final = 32768
DEFAULT_IDENT: Final = 3600
MAX_DATAGRAM: Final = 65507
ETHERNET_MTU: Final = 1500
SAFE_BUFFER: Final = 1452
"""Fits one Ethernet frame over IPv6 as well, and leaves room for most tunnels over IPv4."""
LEAST_RBUFF: Final = 2048
LEAST_FBUFF: Final = 1200
"""A record is never split: below this, one with a long path does not fit an empty buffer."""
LONG_IDENT: Final = 900
LONG_FSTAT: Final = 30

PathMtu = Callable[[str], int]
"""Host of a destination → MTU on the way there, in bytes."""


@dataclass
class Destination:
    """One ``dest``: its events and where they go."""

    events: list[str]
    address: str

    @property
    def host(self) -> str:
        return self.address.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> str:
        return self.address.rpartition(":")[2]


@dataclass
class MonitorLine:
    """What the ``xrootd.monitor`` lines come to."""

    line: int = 0
    text: str = ""
    flags: set[str] = field(default_factory=set)
    """``all``, ``auth``."""
    times: dict[str, int] = field(default_factory=dict)
    """Seconds by option; ident -1 means off; "flush io" beside "flush"."""
    buffers: dict[str, int] = field(default_factory=dict)
    rnums: str = ""
    fstat: int | None = None
    fstat_options: set[str] = field(default_factory=set)
    xfr: int | None = None
    destinations: list[Destination] = field(default_factory=list)

    @property
    def fbuff(self) -> int:
        """Bytes of an f-stream datagram at most: XRootD takes ``mbuff`` where there is no ``fbuff``."""
        return self.buffers.get("fbuff") or self.buffers.get("mbuff") or DEFAULT_FBUFF

    def events(self) -> set[str]:
        return {event for destination in self.destinations for event in destination.events}


def ethernet(_host: str) -> int:
    """The MTU to assume when nobody knows the way."""
    return ETHERNET_MTU


def site_name(text: str) -> str:
    """``all.sitename`` of a configuration, "" when there is none."""
    return next((d.words[1] for d in directives(text) if d.name == "all.sitename" and len(d.words) > 1), "")


def server_port(text: str) -> int:
    """``xrd.port`` of a configuration, 1094 when it names none."""
    for directive in directives(text):
        if directive.name in ("xrd.port", "all.port") and len(directive.words) > 1:
            port = whole(directive.words[1])
            if port is not None:
                return port
    return 1094


def monitor_line(text: str) -> MonitorLine | None:
    """The monitoring that a configuration asks for, None when it asks for none."""
    return _parse([d for d in directives(text) if d.name == "xrootd.monitor"], [])


def lint(text: str, *, path_mtu: PathMtu = ethernet) -> list[Finding]:
    """What is wrong with a configuration's monitoring, or could be better; the worst first."""
    everything = list(directives(text))
    findings: list[Finding] = []
    line = _parse([d for d in everything if d.name == "xrootd.monitor"], findings)
    if line is None:
        findings.append(
            Finding(
                "error",
                "There is no xrootd.monitor line: this server sends no monitoring at all.",
                "Put the line in, with the address of your shoveler for SHOVELER:9993.",
                fixed="xrootd.monitor " + _written(_mended(MonitorLine(), ethernet), "SHOVELER:9993"),
            )
        )
    else:
        fixed = "xrootd.monitor " + _written(_mended(line, path_mtu))
        findings += [
            Finding(f.severity, f.what, f.why, f.line or line.line, f.fixed or (fixed if line.destinations else ""))
            for f in (*_records(line), *_sizes(line, path_mtu), *_times(line), *_destinations(line))
        ]
        findings = [Finding(f.severity, f.what, f.why, f.line, f.fixed or fixed) for f in findings]
    findings += _surroundings(everything, line)
    order = ("error", "warning", "info")
    return sorted(findings, key=lambda finding: (order.index(finding.severity), finding.line))


# ---------------------------------------------------------------- parsing


def _parse(lines: Sequence[Directive], findings: list[Finding]) -> MonitorLine | None:
    result: MonitorLine | None = None
    for directive in lines:
        words = directive.words[1:]
        continued = words[:1] == ["..."]
        if continued:
            words = words[1:]
        elif result is not None:
            findings.append(
                Finding(
                    "warning",
                    f"The xrootd.monitor line {result.line} has no effect: line {directive.line} replaces it.",
                    "Only a line that begins with `xrootd.monitor ...` adds to the one before.",
                    directive.line,
                )
            )
            result = None
        if result is None:
            result = MonitorLine(line=directive.line, text=directive.text)
        else:
            result.text += " " + " ".join(words)
        if directive.conditional:
            findings.append(
                Finding(
                    "info",
                    "The xrootd.monitor line stands inside an if … fi: it holds only where that is true.",
                    line=directive.line,
                )
            )
        _options(words, result, directive, findings, continued=continued)
    return result


def _options(
    words: list[str], line: MonitorLine, directive: Directive, findings: list[Finding], *, continued: bool
) -> None:
    """Take the words before the first dest, then the dests."""

    def wrong(what: str, why: str = "") -> None:
        findings.append(Finding("error", what, why, directive.line))

    if not words:
        wrong("The xrootd.monitor line is empty; xrootd does not start with it.")
    at = 0
    while at < len(words) and words[at] != "dest":
        word = words[at]
        following = words[at + 1] if at + 1 < len(words) else ""
        at += 2
        if word in ("all", "auth"):
            at -= 1
            line.flags.add(word)
            if word == "auth" and continued and line.destinations:
                wrong(
                    "auth in a continued line clears the events of the destinations named before it.",
                    "Write auth before the first dest, in the first line.",
                )
                for destination in line.destinations:
                    destination.events.clear()
        elif word == "flush" and following == "io":
            _time("flush io", words[at] if at < len(words) else "", line, wrong)
            at += 1
        elif word in TIMES:
            _time(word, following, line, wrong)
        elif word in BUFFERS:
            value = size(following)
            if value is None or not 1024 <= value <= 65535:
                wrong(f"{word} wants a size from 1024 to 65535, not {following!r}; xrootd does not start with it.")
            else:
                line.buffers["fbuff" if word == "fbsz" else word] = value
        elif word == "rnums":
            line.rnums = following
        elif word == "fstat":
            at = _fstat(words, at - 1, line, wrong)
        else:
            wrong(
                f"{word!r} is no option of xrootd.monitor: it and everything after it is ignored.",
                "The server says so in its log only, and goes on without what follows"
                + (", the destination included." if "dest" in words[at - 1 :] else "."),
            )
            return
    _dests(words[at:], line, findings, directive)


def _time(option: str, word: str, line: MonitorLine, wrong: Callable[[str], None]) -> None:
    value = -1 if option == "ident" and word == "off" else seconds(word)
    if value is None:
        wrong(f"{option} wants a time such as 30s or 5m, not {word!r}; xrootd does not start with it.")
    else:
        line.times[option] = value


def _fstat(words: list[str], at: int, line: MonitorLine, wrong: Callable[[str], None]) -> int:
    """``fstat T [lfn] [ops] [ssq] [xfr N]``; returns where it ends."""
    value = seconds(words[at]) if at < len(words) else None
    if value is None:
        wrong("fstat wants the time between two datagrams, such as 10s, as its first word; xrootd does not start so.")
        return at
    line.fstat = value
    at += 1
    while at < len(words):
        if words[at] in ("lfn", "ops", "ssq"):
            line.fstat_options.add(words[at])
        elif words[at] == "xfr":
            at += 1
            word = words[at] if at < len(words) else ""
            count = whole(word)
            if count:
                line.xfr = count
            else:
                wrong(f"xfr wants a whole number from 1 on, not {word!r}; xrootd does not start with it.")
        else:
            break
        at += 1
    return at


def _dests(words: list[str], line: MonitorLine, findings: list[Finding], directive: Directive) -> None:
    at = 0
    for slot in range(2):
        if at >= len(words) or words[at] != "dest":
            break
        at += 1
        events = []
        while at < len(words) and words[at] in EVENTS:
            events.append(words[at])
            at += 1
        if at >= len(words):
            findings.append(Finding("error", "dest names no HOST:PORT; xrootd does not start so.", "", directive.line))
            return
        destination = Destination(events, words[at])
        if not is_address(words[at]):
            findings.append(
                Finding(
                    "error",
                    f"{words[at]!r} after dest is neither an event nor HOST:PORT; xrootd does not start so.",
                    f"The events are: {', '.join(EVENTS)}; older releases know fewer.",
                    directive.line,
                )
            )
        at += 1
        line.destinations[slot : slot + 1] = [destination]
    if at < len(words):
        rest = " ".join(words[at:])
        if words[at] == "dest":
            what = f"A third dest is ignored: {rest}."
        else:
            what = f"{rest!r} after dest is ignored: options come before the first dest."
        findings.append(Finding("error", what, "The server says so in its log only.", directive.line))


def is_address(word: str) -> bool:
    """Whether a word is HOST:PORT as XRootD takes it; the port may be a service's name."""
    host, colon, port = word.rpartition(":")
    if not colon or not host or not port:
        return False
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        return False
    number = whole(port)
    return (not port.isdigit()) if number is None else 0 < number <= 65535


# ---------------------------------------------------------------- judging


def _records(line: MonitorLine) -> list[Finding]:
    """What keeps file records from being sent at all, or from being attributed."""
    found = []

    def error(what: str, why: str) -> None:
        found.append(Finding("error", what, why))

    if not line.destinations:
        error("There is no dest: nothing is sent to anybody.", "Add dest fstat info user HOST:PORT.")
        return found
    events = line.events()
    if "fstat" not in events:
        error(
            "No dest has the event fstat: no record of any file access is sent.",
            "Without event words, dest means `files`, which is the old detailed stream.",
        )
    if line.fstat is None:
        error("The option fstat is missing: no record of any file access is sent.", "dest fstat alone is not enough.")
    elif line.fstat == 0:
        error("fstat 0 turns the file records off.", "Its number is the seconds between two datagrams.")
    else:
        if line.xfr is None:
            error(
                "xfr is missing: close records will never be sent, and with them no byte counts.",
                "A server without it reports opens and disconnects only; one word mends that.",
            )
        if "lfn" not in line.fstat_options:
            error(
                "lfn is missing: open records carry neither the file's name nor its user.",
                "Names would have to come from the separate d records, which need `files` and get lost apart.",
            )
    if "user" not in events:
        error(
            "No dest has the event user: nobody can tell whose accesses these are.",
            "Tally attributes requests by the user name, and every accounting needs it.",
        )
    return found


def _sizes(line: MonitorLine, path_mtu: PathMtu) -> list[Finding]:
    found: list[Finding] = []
    events = line.events()
    if not line.destinations:
        return found
    room = _room(line, path_mtu)
    if "fstat" in events:
        found += _datagram("fbuff", line.fbuff, "fbuff" in line.buffers, room)
        if line.fbuff < LEAST_FBUFF:
            found.append(
                Finding(
                    "warning",
                    f"fbuff {line.fbuff} is too small for files with long paths.",
                    "A record is never split, and the server does not check that it fits.",
                )
            )
    if events & set(GSTREAM):
        gbuff = line.buffers.get("gbuff", DEFAULT_GBUFF)
        found += _datagram("gbuff", gbuff, "gbuff" in line.buffers, room)
    if "redir" in events:
        rbuff = line.buffers.get("rbuff", DEFAULT_RBUFF)
        if rbuff > max(room, LEAST_RBUFF):
            found += _datagram("rbuff", rbuff, "rbuff" in line.buffers, room)
    return found


def _datagram(option: str, value: int, given: bool, room: int) -> list[Finding]:
    if value <= room:
        return []
    origin = f"{option} {value}" if given else f"{option} is not given, so that datagrams have up to {value} bytes: it"
    if value > MAX_DATAGRAM:
        return [
            Finding(
                "error",
                f"{origin} is more than any datagram can carry ({MAX_DATAGRAM} bytes): full ones are never sent.",
            )
        ]
    pieces = -(-value // room)
    return [
        Finding(
            "warning",
            f"{origin} is above what fits one packet on the way ({room} bytes): datagrams are fragmented.",
            f"Up to {pieces} fragments each; when one is lost all is lost, and many firewalls drop fragments.",
        )
    ]


def _room(line: MonitorLine, path_mtu: PathMtu) -> int:
    """Bytes that fit one packet to every destination."""
    return min(path_mtu(d.host) - (48 if ":" in d.host else 28) for d in line.destinations)


def _times(line: MonitorLine) -> list[Finding]:
    found = []
    ident = line.times.get("ident", DEFAULT_IDENT)
    if ident <= 0:
        found.append(
            Finding(
                "warning",
                "Without repeated ident a collector that starts later never learns this server's name and site.",
                "It is one small datagram every few minutes.",
            )
        )
    elif ident > LONG_IDENT:
        given = f"ident {plain_seconds(ident)}" if "ident" in line.times else "ident is not given: it is 1h, which"
        found.append(
            Finding(
                "warning",
                f"{given} is long: a collector that starts later lacks this server's name and site until then.",
                "5m is enough.",
            )
        )
    if line.fstat is not None and line.fstat > LONG_FSTAT:
        found.append(
            Finding(
                "warning",
                f"fstat {plain_seconds(line.fstat)} keeps records in the server for that long.",
                "When it is stopped or dies, whatever it holds is never sent: closes with their bytes included.",
            )
        )
    if line.fstat and "ops" not in line.fstat_options and "ssq" not in line.fstat_options:
        found.append(
            Finding(
                "info", "Without ops, records have bytes but no numbers and sizes of reads.", "ssq adds deviations."
            )
        )
    return found


def _destinations(line: MonitorLine) -> list[Finding]:
    found = []
    events = line.events()
    addresses = [d.address for d in line.destinations]
    if len(addresses) == 2 and addresses[0] == addresses[1]:
        found.append(
            Finding("warning", f"Both dest are {addresses[0]}: the server makes one of them.", "Write one dest.")
        )
    both = [set(d.events) & {"fstat"} for d in line.destinations]
    if len(both) == 2 and all(both) and addresses[0] != addresses[1]:
        found.append(
            Finding(
                "info",
                "Two dest get the same file records: a collector that hears of both must recognise the pairs.",
                "Tally's does; others count every access twice.",
            )
        )
    heavy = sorted(events & {"io", "iov", "files"})
    if heavy:
        found.append(
            Finding(
                "warning",
                f"{', '.join(heavy)}: one record for every open and close"
                + (", and for every single read" if events & {"io", "iov"} else "")
                + ", beside the file records that already have it.",
                "It multiplies the datagrams and adds nothing to the accounting.",
            )
        )
    if line.destinations and "info" not in events:
        found.append(
            Finding("info", "Without the event info the server does not pass on what clients say of themselves.")
        )
    return found


def _surroundings(everything: Sequence[Directive], line: MonitorLine | None) -> list[Finding]:
    found = []
    names = {directive.name for directive in everything}
    if "all.sitename" not in names:
        found.append(
            Finding(
                "warning",
                "all.sitename is missing: no record says at which site it was made.",
                fixed="all.sitename YOUR-SITE",
            )
        )
    events = line.events() if line else set()
    streams = {
        word
        for directive in everything
        if directive.name in ("xrootd.mongstream", "xrd.mongstream")
        for word in directive.words[1:]
    }
    cache = any(name.startswith("pfc.") for name in names) or any(
        d.name == "pss.cachelib" or ("libXrdPfc" in d.text) for d in everything
    )
    if line and cache and "pfc" not in events and not streams & {"pfc", "all"}:
        found.append(
            Finding("info", "This is a cache, but the event pfc is missing: hits and misses are not reported.")
        )
    roles = [d.words[1] for d in everything if d.name == "all.role" and len(d.words) > 1]
    if line and any(role in ("manager", "meta", "supervisor") for role in roles) and "redir" not in events:
        found.append(
            Finding("info", "This is a redirector, but the event redir is missing: it reports no redirection.")
        )
    found += [
        Finding(
            "info",
            f"The configuration goes on in {' '.join(directive.words[1:])}, which was not looked at.",
            line=directive.line,
        )
        for directive in everything
        if directive.name == "continue"
    ]
    return found


# ---------------------------------------------------------------- mending


def _mended(line: MonitorLine, path_mtu: PathMtu) -> MonitorLine:
    """The same line with its faults mended and everything else left as it was."""
    room = _room(line, path_mtu) if line.destinations else SAFE_BUFFER
    events = line.events()
    times = dict(line.times)
    if not 0 < times.get("ident", DEFAULT_IDENT) <= LONG_IDENT:
        times["ident"] = 300
    times.setdefault("flush", 30)
    times.setdefault("window", 5)
    buffers = dict(line.buffers)
    if line.fbuff > room or line.fbuff < LEAST_FBUFF:
        buffers["fbuff"] = min(SAFE_BUFFER, room)
    if events & set(GSTREAM) and buffers.get("gbuff", DEFAULT_GBUFF) > room:
        buffers["gbuff"] = min(SAFE_BUFFER, room)
    if "redir" in events and buffers.get("rbuff", DEFAULT_RBUFF) > room:
        buffers["rbuff"] = LEAST_RBUFF
    destinations = [Destination(list(d.events), d.address) for d in line.destinations]
    if destinations:
        # What is missing goes to the destination that has the file records, or else to the first.
        main = next((d for d in destinations if "fstat" in d.events), destinations[0])
        main.events += [event for event in ("fstat", "info", "user") if event not in events]
    return MonitorLine(
        flags=line.flags | {"all"},
        times=times,
        buffers=buffers,
        rnums=line.rnums,
        fstat=line.fstat if line.fstat and line.fstat <= LONG_FSTAT else 10,
        fstat_options=line.fstat_options | {"lfn", "ops"} | ({"ssq"} if not line.fstat else set()),
        xfr=line.xfr or 3,
        destinations=destinations,
    )


def _written(line: MonitorLine, placeholder: str = "") -> str:
    """The words of a line, in the order that every release understands."""
    words: list[str] = [flag for flag in ("all", "auth") if flag in line.flags]
    for option in ("ident", "flush", "flush io", "window"):
        if option in line.times:
            words += [option, plain_seconds(line.times[option])]
    for option in ("fbuff", "mbuff", "rbuff", "gbuff"):
        if option in line.buffers:
            words += [option, str(line.buffers[option])]
    if line.rnums:
        words += ["rnums", line.rnums]
    words += ["fstat", plain_seconds(line.fstat or 10)]
    words += [option for option in ("lfn", "ops", "ssq") if option in line.fstat_options]
    words += ["xfr", str(line.xfr)]
    for destination in line.destinations:
        words += ["dest", *destination.events, destination.address]
    if not line.destinations:
        words += ["dest", "fstat", "info", "user", placeholder or "HOST:PORT"]
    return " ".join(words)
