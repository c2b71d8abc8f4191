"""What an XRootD server's configuration will and will not send, reported before anything is missing.

No I/O: a configuration's text goes in, `Finding`s come out. Each combination of branches of its ``if``s is checked
separately (`agent.server.configfile.readings`), and a finding that does not apply to all of them says where it applies.

*error*: xrootd does not start, or file records are missing, wrong or cannot be attributed. *warning*: some are lost
under load or at a restart, or lack something; or some release of XRootD does not accept the line. *info*: more
information could be monitored.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from agent.messages import Finding
from agent.server import mend
from agent.server.configfile import Directive, Follow, Place, Reading, not_followed, plain_seconds, readings
from agent.server.configfile import whole as whole_number
from agent.server.monitor import (
    ALL_GSTREAMS,
    DEFAULT_GBUFF,
    DEFAULT_RBUFF,
    GSTREAM,
    SINCE,
    Gstream,
    MonitorLine,
    found,
    gstreams,
    monitor_line,
    since,
    summaries,
)

MAX_DATAGRAM: Final = 65507
LEAST_FBUFF: Final = 1200
"""A record is never split: below this, one with a long path does not fit into an empty buffer."""
LONG_IDENT: Final = 900
LONG_FSTAT: Final = 30
DEFAULT_IDENT: Final = 3600
ETHERNET_MTU: Final = 1500
LEAST_RBUFF: Final = 2048
PATHS: Final = frozenset({"files", "io", "iov"})
"""The events with which a destination gets a d record, with path and user, for each open."""

PathMtu = Callable[[str], int]
"""Host of a destination → MTU of the path there, in bytes."""
Release = tuple[int, ...]
_RELEASE = re.compile(r"v?(\d{1,8}(?:\.\d{1,8})+)")


def ethernet(_host: str) -> int:
    """The MTU to assume if the path is unknown."""
    return ETHERNET_MTU


def site_name(directives: Sequence[Directive]) -> str:
    """``all.sitename``, "" if there is none."""
    return next((d.words[1] for d in directives if d.name == "all.sitename" and len(d.words) > 1), "")


def server_port(directives: Sequence[Directive]) -> int:
    """``xrd.port``, 1094 if there is none."""
    for directive in directives:
        if directive.name in ("xrd.port", "all.port") and len(directive.words) > 1:
            port = whole_number(directive.words[1])
            if port is not None:
                return port
    return 1094


def lint(
    text: str,
    *,
    path_mtu: PathMtu = ethernet,
    follow: Follow = not_followed,
    host: str | None = None,
    instance: str | None = None,
    environment: Mapping[str, str] | None = None,
    release: Release | None = None,
) -> list[Finding]:
    """The problems of a configuration's monitoring, and possible improvements; the worst first. `host`, `instance`,
    `environment` and `release` are those of the server, if known."""
    read = readings(text, follow, host=host, instance=instance, environment=environment)
    return together([(reading, judged(reading, path_mtu=path_mtu, release=release)) for reading in read])


def together(judgements: Sequence[tuple[Reading, list[Finding]]]) -> list[Finding]:
    """The findings of all readings as one list, each with where it applies."""
    holding: dict[tuple[str, ...], tuple[Finding, list[int]]] = {}
    for number, (_, findings) in enumerate(judgements):
        for f in dict.fromkeys(findings):
            key = (f.severity, f.what, f.why, f.file, str(f.line))
            holding.setdefault(key, (f, []))[1].append(number)
    made = []
    for f, numbers in holding.values():
        severity, where = f.severity, ""
        if len(numbers) < len(judgements):
            where = _where([judgements[n][0] for n in numbers], [reading for reading, _ in judgements])
        if f.what.startswith(NOTHING) and all(judgements[n][0].strangers for n in numbers):
            # The configuration names its instances or hosts, and others may never be started with it.
            severity = "info"
        made.append(Finding(severity, (where + f.what)[:2000], f.why, f.line, f.fixed, f.file))
    order = ("error", "warning", "info")
    return sorted(made, key=lambda finding: (order.index(finding.severity), finding.file, finding.line))


def _where(here: Sequence[Reading], everywhere: Sequence[Reading]) -> str:
    """Words that describe exactly the readings in which something applies."""
    shared = [item for item in here[0].choices.items() if all(r.choices.get(item[0]) == item[1] for r in here)]
    for place, choice in shared:
        if sum(r.choices.get(place) == choice for r in everywhere) == len(here):
            return f"With {choice}: "
    if shared and sum(all(r.choices.get(p) == c for p, c in shared) for r in everywhere) == len(here):
        return "With " + " and ".join(choice for _, choice in shared) + ": "
    return (
        "With some of the branches ("
        + "; ".join(" and ".join(r.choices.values()) or "none" for r in here[:3])
        + ("; …" if len(here) > 3 else "")
        + "): "
    )


NOTHING: Final = "There is no xrootd.monitor line"


def release_in(version: str) -> Release | None:
    """The release in a server's version text, such as "v5.8.1" or "v5.7.0-rc2"; None if there is none."""
    found = _RELEASE.match(version)
    return tuple(int(number) for number in found[1].split(".")) if found else None


def judged(reading: Reading, *, path_mtu: PathMtu = ethernet, release: Release | None = None) -> list[Finding]:
    """The problems of one reading of a configuration."""
    findings: list[Finding] = [found(fault.severity, fault.place, fault.what, fault.why) for fault in reading.faults]
    report = findings.append
    directives = reading.directives
    on_line: list[Finding] = []
    line = monitor_line(directives, on_line.append)
    streams = gstreams(directives, report)
    reports = summaries(directives, report, release)
    redirector = is_redirector(directives)
    if line is None and reading.whole:
        findings += _nothing(reports, streams, redirector=redirector)
    if line is not None:
        on_line += _records(line, redirector=redirector)
        on_line += _sizes(line, path_mtu)
        on_line += _times(line)
        on_line += _destinations(line)
        on_line += _releases(line, release)
        fixed = "xrootd.monitor " + mend.written(mend.mended(line, path_mtu, redirector=redirector, release=release))
        findings += [
            Finding(f.severity, f.what, f.why, f.line or line.place.line, fixed, f.file or line.place.file)
            for f in on_line
        ]
    findings += _streams(streams, line, path_mtu, release)
    findings += _surroundings(directives, line, streams, redirector=redirector, whole=reading.whole)
    findings += _lookalikes(directives)
    return findings


def is_redirector(directives: Sequence[Directive]) -> bool:
    """Whether this server only redirects clients: it has no files of its own to report."""
    role = [d.words[1:] for d in directives if d.name == "all.role" and len(d.words) > 1][-1:]
    return bool(role) and bool({"manager", "meta", "supervisor"} & set(role[0]))


# ---------------------------------------------------------------- judging


def _nothing(reports: Sequence[str], streams: Mapping[str, Gstream], *, redirector: bool) -> Iterator[Finding]:
    sent = [
        *(["the summaries of xrd.report"] if reports else []),
        *(["the g-streams of xrootd.mongstream"] if any(s.address for s in streams.values()) else []),
    ]
    rest = f"only {' and '.join(sent)} are sent" if sent else "this server sends no monitoring at all"
    missing = "no record of any redirection" if redirector else "no record of any file access"
    yield Finding(
        "warning" if redirector else "error",
        f"{NOTHING}: {rest}" + (f", {missing}." if sent else "."),
        "Add the line, with the address of your shoveler in place of SHOVELER:9993.",
        fixed="xrootd.monitor " + mend.written(mend.recommended(redirector=redirector)),
    )


def _records(line: MonitorLine, *, redirector: bool) -> list[Finding]:
    """What prevents file records from being sent at all, or from being attributed."""
    findings: list[Finding] = []

    def error(what: str, why: str) -> None:
        findings.append(Finding("error", what, why))

    if not line.destinations:
        error("There is no dest: nothing is sent.", "Add dest fstat info user HOST:PORT.")
        if line.fstat:
            error(
                "fstat without any dest: xrootd starts, but crashes when the first file is opened.",
                "Add dest fstat info user HOST:PORT, or remove fstat.",
            )
        return findings
    events = line.events()
    if not redirector or "fstat" in events:
        _file_records(line, events, findings.append)
    if "user" not in events:
        error(
            "No dest has the event user: accesses cannot be attributed to users.",
            "Tally attributes requests by the user name, and all accounting needs it.",
        )
    elif "auth" not in line.flags:
        findings.append(
            Finding(
                "warning",
                "auth is missing: the records of users have only the name given by the client, not their identity.",
                "With it they have the authenticated name, the VO and its roles. Put it before dest.",
            )
        )
    return findings


def _file_records(line: MonitorLine, events: set[str], report: Callable[[Finding], None]) -> None:
    def error(what: str, why: str) -> None:
        report(Finding("error", what, why))

    if "fstat" not in events:
        error(
            "No dest has the event fstat: no record of any file access is sent.",
            "Without event words, dest means `files`, which is the old detailed stream.",
        )
    if line.fstat is None:
        error("The option fstat is missing: no record of any file access is sent.", "dest fstat alone is not enough.")
    elif line.fstat == 0:
        error("fstat 0 turns the file records off.", "The number is the seconds between two datagrams.")
    else:
        if line.xfr is None:
            error(
                "xfr is missing: close records will never be sent, and with them no byte counts.",
                "A server without it reports opens and disconnects only. Add xfr to fix that.",
            )
        if "lfn" not in line.fstat_options:
            report(_nameless(line))


def _nameless(line: MonitorLine) -> Finding:
    """Without lfn, names come from the d records, which a destination gets with `files`, `io` or `iov` only."""
    told: dict[str, set[str]] = {}  # by address: the server merges two dest with the same one
    for destination in line.destinations:
        told.setdefault(destination.address, set()).update(destination.events)
    without = [address for address, events in told.items() if "fstat" in events and not events & PATHS]
    with_names = [address for address, events in told.items() if "fstat" in events and events & PATHS]
    if with_names and not without:
        return Finding(
            "warning",
            "lfn is missing: names and users of files come only from separate d records, which are lost separately.",
            "A file whose d record is lost has neither. With lfn each open record has its own.",
        )
    what = "lfn is missing: open records have neither the file's name nor its user."
    if with_names:
        them = ", ".join(without)
        what = f"lfn is missing: the file records that {them} gets have neither the file's name nor its user."
    return Finding(
        "error", what, "Names would have to come from separate d records, which need `files` in the same dest."
    )


def _sizes(line: MonitorLine, path_mtu: PathMtu) -> list[Finding]:
    findings: list[Finding] = []
    events = line.events()
    if not line.destinations:
        return findings
    room = mend.room([d.host for d in line.destinations], path_mtu)
    if "fstat" in events:
        findings += _datagram("fbuff", line.fbuff, "fbuff" in line.buffers, room)
        if line.fbuff < LEAST_FBUFF:
            findings.append(
                Finding(
                    "warning",
                    f"fbuff {line.fbuff} is too small for files with long paths.",
                    "A record is never split, and the server does not check that it fits.",
                )
            )
    if events & set(GSTREAM):
        findings += _datagram("gbuff", line.buffers.get("gbuff", DEFAULT_GBUFF), "gbuff" in line.buffers, room)
    if "redir" in events:
        rbuff = line.buffers.get("rbuff", DEFAULT_RBUFF)
        if rbuff > max(room, LEAST_RBUFF):
            findings += _datagram("rbuff", rbuff, "rbuff" in line.buffers, room)
    return findings


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
            f"{origin} is more than fits into one packet on the path ({room} bytes): datagrams are fragmented.",
            f"Up to {pieces} fragments each; if one is lost, all are lost, and many firewalls drop fragments.",
        )
    ]


def _times(line: MonitorLine) -> list[Finding]:
    findings = []
    ident = line.times.get("ident", DEFAULT_IDENT)
    if ident <= 0:
        findings.append(
            Finding(
                "warning",
                "Without a repeated ident, a collector that starts later never learns this server's name and site.",
                "It is one small datagram every few minutes.",
            )
        )
    elif ident > LONG_IDENT:
        given = f"ident {plain_seconds(ident)}" if "ident" in line.times else "ident is not given: it is 1h, which"
        findings.append(
            Finding(
                "warning",
                f"{given} is long: a collector that starts later lacks this server's name and site until then.",
                "5m is enough.",
            )
        )
    if line.fstat is not None and line.fstat > LONG_FSTAT:
        findings.append(
            Finding(
                "warning",
                f"fstat {plain_seconds(line.fstat)} keeps records in the server for that long.",
                "When it stops or dies, these records are never sent, including closes with their bytes.",
            )
        )
    if line.fstat and "ops" not in line.fstat_options and "ssq" not in line.fstat_options:
        findings.append(
            Finding(
                "info", "Without ops, records have bytes but no numbers and sizes of reads.", "ssq adds deviations."
            )
        )
    return findings


def _destinations(line: MonitorLine) -> list[Finding]:
    findings = []
    events = line.events()
    addresses = [d.address for d in line.destinations]
    if len(addresses) == 2 and addresses[0] == addresses[1]:
        findings.append(Finding("warning", f"Both dest are {addresses[0]}: the server merges them.", "Write one dest."))
    both = [set(d.events) & {"fstat"} for d in line.destinations]
    if len(both) == 2 and all(both) and addresses[0] != addresses[1]:
        findings.append(
            Finding(
                "info",
                "Two dest get the same file records: a collector that receives both must recognise the duplicates.",
                "Tally's does; others count every access twice.",
            )
        )
    heavy = sorted(events & PATHS)
    if heavy:
        findings.append(
            Finding(
                "warning",
                f"{', '.join(heavy)}: one record for every open and close"
                + (", and for every single read" if events & {"io", "iov"} else "")
                + ", in addition to the file records that already have it.",
                "It multiplies the datagrams and adds nothing to the accounting.",
            )
        )
    if line.destinations and "info" not in events:
        findings.append(
            Finding("info", "Without the event info the server does not forward the application info of clients.")
        )
    return findings


def _releases(line: MonitorLine, release: Release | None) -> Iterator[Finding]:
    for stream in sorted(line.events() & set(SINCE)):
        if release is None or release < SINCE[stream]:
            yield Finding(
                "warning" if release is None else "error",
                f"XRootD before {since(stream)} does not know the event {stream}, and does not start with this line.",
                "Use the event only if the server has that release.",
            )


def _streams(
    streams: Mapping[str, Gstream], line: MonitorLine | None, path_mtu: PathMtu, release: Release | None
) -> Iterator[Finding]:
    """The problems of mongstream lines; one finding for all streams of a line."""
    events = line.events() if line else set()
    shared = line.buffers.get("gbuff") if line else None
    by_line: dict[Place, list[str]] = {}
    for name, stream in streams.items():
        by_line.setdefault(stream.place, []).append(name)
    for place, names in by_line.items():
        stream = streams[names[0]]
        fixed = f"xrootd.mongstream {mend.stream_written(names, stream, path_mtu)}"

        def say(severity: str, what: str, why: str = "", *, place: Place = place, fixed: str = fixed) -> Finding:
            return found(severity, place, what, why, fixed)

        # `all` has the streams that a release knows, so only a stream named by itself requires a release.
        for name in names if set(names) != set(ALL_GSTREAMS) else []:
            if name in SINCE and (release is None or release < SINCE[name]):
                yield found(
                    "warning" if release is None else "error",
                    place,
                    f"XRootD before {since(name)} does not know the g-stream {name}, and does not start with "
                    f"this line.",
                )
        if not stream.address:
            dead = [name for name in names if name not in events]
            if dead:
                yield found(
                    "warning",
                    place,
                    f"Nothing is sent for {', '.join(dead)}: this line has no send, and no dest has the event.",
                    "Add send json HOST:PORT to it, or the event to a dest of xrootd.monitor.",
                )
        elif stream.format == "cgi" and (release is None or release >= (6,)):
            yield say(
                "warning" if release is None else "error",
                "With send cgi XRootD 6.1.0 exits as soon as it is started.",
                "Older releases accept it; send json works in all.",
            )
        hosts = [stream.address.rpartition(":")[0].strip("[]")] if stream.address else []
        if not hosts and line:
            hosts = [d.host for d in line.destinations if set(d.events) & set(names)]
        if hosts:
            room = mend.room(hosts, path_mtu)
            most = stream.maxlen or shared or DEFAULT_GBUFF
            option = "maxlen" if stream.maxlen else "gbuff" if shared else ""
            own = stream.maxlen is not None or stream.address
            if own and most > room:
                yield _fragments(say, option, most, room)


def _fragments(say: Callable[[str, str, str], Finding], option: str, most: int, room: int) -> Finding:
    origin = f"{option} {most}" if option else f"maxlen is not given, so that datagrams have up to {most} bytes: it"
    what = f"{origin} is more than fits into one packet on the path ({room} bytes): datagrams are fragmented"
    if most & ~7 > MAX_DATAGRAM:
        what += f", and of more than {MAX_DATAGRAM} bytes are never sent"
    return say(
        "warning",
        what + ".",
        f"Up to {-(-most // room)} fragments each; if one is lost, all are lost, and many firewalls drop fragments.",
    )


def _lookalikes(directives: Sequence[Directive]) -> Iterator[Finding]:
    """Lines that look like monitoring but that xrootd does not read as such."""
    for directive in directives:
        parts = directive.text.split("\t")
        first = parts[0] or next((part for part in parts if part), "")
        name = first.split(" ")[0]
        if "\t" in directive.name and name in ("xrootd.monitor", "xrootd.mongstream", "xrd.report"):
            yield found(
                "error",
                directive.place,
                f"This {name} line has a tab, so xrootd ignores it: only blanks separate words.",
                "Replace tabs by blanks.",
                " ".join(directive.text.split()),
            )
        elif directive.name in ("xrd.monitor", "xrd.mongstream", "all.monitor", "all.mongstream"):
            right = "xrootd." + directive.name.partition(".")[2]
            yield found(
                "error" if right == "xrootd.monitor" else "warning",
                directive.place,
                f"{directive.name} is not a directive of XRootD: the line has no effect.",
                f"It is called {right}.",
            )
        elif directive.name == "xrootd.report":
            yield found(
                "warning",
                directive.place,
                "xrootd.report is not a directive of XRootD: the line has no effect.",
                "It is called xrd.report.",
            )


def _surroundings(
    directives: Sequence[Directive],
    line: MonitorLine | None,
    streams: Mapping[str, Gstream],
    *,
    redirector: bool,
    whole: bool,
) -> Iterator[Finding]:
    names = {directive.name for directive in directives}
    if "all.sitename" not in names and whole:
        yield Finding(
            "warning",
            "all.sitename is missing: records do not name their site.",
            fixed="all.sitename YOUR-SITE",
        )
    events = line.events() if line else set()
    # without this plug-in no pss or pfc directive is read
    proxy = any("libXrdPss" in d.text for d in directives)
    cache = proxy and "pss.cachelib" in names
    if (
        whole
        and proxy
        and not redirector
        and not any(d.name == "xrootd.async" and "off" in d.words for d in directives)
    ):
        yield Finding(
            "error",
            f"This is a {'cache' if cache else 'proxy'} without `xrootd.async off`: plain reads of 98,304 bytes and "
            "more are not counted.",
            "The asynchronous path adds neither their bytes nor their number to the records (5.5.3 to 6.1.0).",
            fixed="xrootd.async off",
        )
    if line and cache and "pfc" not in events and not (streams.get("pfc") and streams["pfc"].address):
        yield Finding("info", "This is a cache, but the event pfc is missing: hits and misses are not reported.")
    if line and redirector and "redir" not in events:
        yield Finding("info", "This is a redirector, but the event redir is missing: it reports no redirection.")
