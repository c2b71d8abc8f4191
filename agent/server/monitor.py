"""XRootD's directives of monitoring, ``xrootd.monitor``, ``xrootd.mongstream`` and ``xrd.report``: their grammar.

No I/O: directives go in; their meaning and `Finding`s about their words come out. The grammar is that of
XRootD 5 and 6: options come before the first ``dest``; a later ``xrootd.monitor`` replaces an earlier one unless it
begins with ``...``; a word that is not an event is taken for HOST:PORT; unknown words are skipped with a warning in the
server's log. A word with ``$(`` in it comes from the environment of xrootd and is not checked.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from agent.messages import Finding
from agent.server.configfile import Directive, Place, seconds, size, whole

EVENTS: Final = (
    "ccm", "files", "fstat", "http", "info", "io", "iov", "pfc", "redir", "tcpmon", "throttle", "tpc", "user",
)  # fmt: skip
GSTREAM: Final = ("ccm", "http", "oss", "pfc", "tcpmon", "throttle", "tpc")
"""The streams of ``mongstream``; also events of ``dest``, except oss."""
ALL_GSTREAMS: Final = tuple(stream for stream in GSTREAM if stream != "oss")
SINCE: Final = {"throttle": (5, 7, 0), "oss": (5, 8, 0), "http": (6, 0, 0)}
"""The first release that knows a g-stream; an older one does not start."""
TIMES: Final = ("ident", "window", "flush")
BUFFERS: Final = ("fbuff", "fbsz", "gbuff", "mbuff", "rbuff")
REPORTS: Final = (
    "addons", "all", "buff", "info", "json", "link", "off", "plugins", "poll", "process", "prot", "protocols", "sched",
    "sgen", "sync", "syncwp",
)  # fmt: skip
JSON_SINCE: Final = (5, 9, 0)
"""The first release whose ``xrd.report`` knows json."""
HEADERS: Final = ("dflthdr", "sitehdr", "hosthdr", "insthdr", "fullhdr")
DEFAULT_FBUFF: Final = 65472
DEFAULT_GBUFF: Final = 32768
DEFAULT_RBUFF: Final = 32768

NOWHERE: Final = Place(0)
_HOST: Final = re.compile(r"[A-Za-z0-9_.-]+")

Report = Callable[[Finding], None]


def unreported(_finding: Finding) -> None:
    """A `Report` for callers that only need the meaning."""


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
    """The meaning of all ``xrootd.monitor`` lines."""

    place: Place = NOWHERE
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
        """Maximum bytes of an f-stream datagram; ``mbuff`` does not affect it."""
        return self.buffers.get("fbuff", DEFAULT_FBUFF)

    def events(self) -> set[str]:
        return {event for destination in self.destinations for event in destination.events}


@dataclass
class Gstream:
    """The settings of one stream in the ``xrootd.mongstream`` lines."""

    place: Place
    maxlen: int | None = None
    flush: int | None = None
    format: str = ""
    header: str = ""
    noident: bool = False
    address: str = ""
    """Its destination; empty: that of the ``dest`` with its event."""


def is_address(word: str) -> bool:
    """Whether a word is HOST:PORT as XRootD accepts it: the port is a number (0 or none: see `sends_nowhere`), never a
    service's name."""
    host, colon, port = word.rpartition(":")
    number = whole(port) if port else 0
    if not colon or number is None or number > 65535:
        return False
    if host.startswith("[") and host.endswith("]"):
        try:
            return "%" not in host and ipaddress.ip_address(host[1:-1]).version == 6
        except ValueError:
            return False
    return _HOST.fullmatch(host) is not None


def sends_nowhere(address: str) -> bool:
    """Whether an address has no port to send to. XRootD accepts it."""
    return is_address(address) and not whole(address.rpartition(":")[2])


def unknown(word: str) -> bool:
    """Whether a word has a part that comes from xrootd's environment."""
    return "$(" in word


def since(stream: str) -> str:
    return ".".join(str(n) for n in SINCE[stream])


def found(severity: str, place: Place, what: str, why: str = "", fixed: str = "") -> Finding:
    """A `Finding` at a place."""
    return Finding(severity, what, why, place.line, fixed, place.file)  # type: ignore[arg-type]


# ---------------------------------------------------------------- xrootd.monitor


def monitor_line(directives: Sequence[Directive], report: Report = unreported) -> MonitorLine | None:
    """The monitoring that directives request, None if none. Problems with words are reported."""
    result: MonitorLine | None = None
    swallowing: Directive | None = None
    for directive in directives:
        if swallowing is not None:
            if directive.name.startswith(("xrootd.", "all.export", "all.seclib")):
                report(
                    found(
                        "error",
                        swallowing.place,
                        f"xrootd treats line {directive.place.line} as part of this one, and ignores it.",
                        "It does this with the line after one that ends in fstat's options: write dest in the "
                        "same line.",
                    )
                )
            swallowing = None
            continue
        if directive.name != "xrootd.monitor":
            continue
        words = directive.words[1:]
        continued = words[:1] == ["..."]
        if continued:
            words = words[1:]
        elif result is not None:
            report(
                found(
                    "warning",
                    directive.place,
                    f"The xrootd.monitor line {_named(result.place)} has no effect: line {_named(directive.place)} "
                    "replaces it.",
                    "Only a line that begins with `xrootd.monitor ...` adds to the one before.",
                )
            )
            result = None
        if result is None:
            result = MonitorLine(place=directive.place, text=directive.text)
        else:
            result.text += " " + " ".join(words)
        swallowing = directive if _options(words, result, directive, report, continued=continued) else None
    return result


def _named(place: Place) -> str:
    return f"{place.line}" + (f" of {place.file}" if place.file else "")


def _options(words: list[str], line: MonitorLine, directive: Directive, report: Report, *, continued: bool) -> bool:
    """Parse the words before the first dest, then the dests. Returns whether xrootd continues into the next line."""

    cut = False  # after a word that xrootd does not know, we read what was intended

    def wrong(what: str, why: str = "") -> None:
        if not cut:
            report(found("error", directive.place, what, why))

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
            _buffer(word, following, line, wrong)
        elif word == "rnums":
            count = whole(following)
            if unknown(following) or (count is not None and 1 <= count <= 8):
                line.rnums = following
            else:
                wrong(f"rnums needs a whole number from 1 to 8, not {following!r}; xrootd does not start with it.")
        elif word == "fstat":
            at = _fstat(words, at - 1, line, wrong)
            if at >= len(words):
                return not cut
        else:
            at -= 1
            wrong(
                f"{word!r} is not an option of xrootd.monitor: it and everything after it is ignored.",
                "The server says so in its log only, and continues without what follows"
                + (", including the destination." if "dest" in words[at:] else "."),
            )
            if line.fstat and not line.destinations and "dest" in words[at:]:
                wrong("fstat without the ignored dest: xrootd starts, but crashes when the first file is opened.")
            cut = True
    _dests(words[at:], line, unreported if cut else report, directive)
    return False


def _time(option: str, word: str, line: MonitorLine, wrong: Callable[[str], None]) -> None:
    if unknown(word):
        return
    value = -1 if option == "ident" and word == "off" else seconds(word)
    if value is None:
        wrong(f"{option} needs a time such as 30s or 5m, not {word!r}; xrootd does not start with it.")
    elif value == 0 and option != "ident":
        wrong(f"{option} needs at least one second; xrootd does not start with {word}.")
    else:
        line.times[option] = value


def _buffer(option: str, word: str, line: MonitorLine, wrong: Callable[[str], None]) -> None:
    value = size(word)
    if value is not None and 1024 <= value <= 65535:
        line.buffers["fbuff" if option == "fbsz" else option] = value
    elif not unknown(word):
        wrong(f"{option} needs a size from 1024 to 65535, not {word!r}; xrootd does not start with it.")


def _fstat(words: list[str], at: int, line: MonitorLine, wrong: Callable[[str], None]) -> int:
    """``fstat T [lfn] [ops] [ssq] [xfr N]``; returns where it ends."""
    word = words[at] if at < len(words) else ""
    value = 10 if unknown(word) else seconds(word)
    if value is None:
        wrong("fstat needs the time between two datagrams, such as 10s, as its first word; xrootd does not start.")
        return at
    line.fstat = value
    at += 1
    while at < len(words):
        if words[at] in ("lfn", "ops", "ssq"):
            line.fstat_options.add(words[at])
        elif words[at] == "xfr":
            at += 1
            word = words[at] if at < len(words) else ""
            count = 3 if unknown(word) else whole(word)
            if count:
                line.xfr = count
            else:
                wrong(f"xfr needs a whole number of at least 1, not {word!r}; xrootd does not start with it.")
        else:
            break
        at += 1
    return at


def _dests(words: list[str], line: MonitorLine, report: Report, directive: Directive) -> None:
    def wrong(what: str, why: str = "") -> None:
        report(found("error", directive.place, what, why))

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
            wrong("dest has no HOST:PORT; xrootd does not start.")
            line.destinations[slot : slot + 1] = [Destination(events, "")]
            return
        address = words[at]
        if address == "oss":
            wrong(
                "oss is not an event of dest in any release; xrootd does not start.",
                "Only `xrootd.mongstream oss use send json HOST:PORT` sends it, from XRootD 5.8 on.",
            )
        elif sends_nowhere(address):
            wrong(f"dest {address} has no port: xrootd starts, but nothing arrives anywhere.", "Write HOST:PORT.")
        elif not is_address(address) and not unknown(address):
            wrong(
                f"{address!r} after dest is neither an event nor HOST:PORT; xrootd does not start.",
                f"The events are: {', '.join(EVENTS)}; older releases know fewer. A file or pipe cannot be a "
                f"destination.",
            )
        if not is_address(address) and not unknown(address):
            # The server stops here; the intended meaning is good enough for the recommended line.
            line.destinations[slot:] = _guessed(["dest", *events, *(w.rstrip("\r") for w in words[at:])])[: 2 - slot]
            return
        at += 1
        line.destinations[slot : slot + 1] = [Destination(events, address)]
    if at < len(words) and not words[at].startswith("#") and words[at:] != ["\r"]:
        rest = " ".join(words[at:])
        if words[at] == "dest":
            wrong(f"A third dest is ignored: {rest}.", "The server says so in its log only.")
        elif words[at] == "if":
            what = f"xrootd.monitor takes no condition: the line is in force whether or not {rest[3:]!r} is true."
            report(found("warning", directive.place, what, "Write if … fi around it."))
        else:
            report(
                found(
                    "warning",
                    directive.place,
                    f"{rest!r} after dest is ignored: options come before the first dest.",
                    "The server says so in its log only.",
                )
            )


def _guessed(words: Sequence[str]) -> list[Destination]:
    """The destinations intended by words that xrootd does not accept."""
    made: list[Destination] = []
    for word in words:
        if word == "dest":
            made.append(Destination([], ""))
        elif made and word in EVENTS and not made[-1].address:
            made[-1].events.append(word)
        elif made and is_address(word) and not made[-1].address:
            made[-1].address = word
    return made[:2]


# ---------------------------------------------------------------- xrootd.mongstream


def gstreams(directives: Iterable[Directive], report: Report = unreported) -> dict[str, Gstream]:
    """The settings of ``xrootd.mongstream`` lines, by stream; a later line adds to an earlier one."""
    result: dict[str, Gstream] = {}
    for directive in directives:
        if directive.name == "xrootd.mongstream":
            _gstream(directive, result, report)
    return result


def _gstream(directive: Directive, result: dict[str, Gstream], report: Report) -> None:
    def wrong(what: str, why: str = "") -> None:
        report(found("error", directive.place, what + "; xrootd does not start with it.", why))

    words = directive.words[1:]
    names = [word.lower() for word in words]
    use = next((n for n, word in enumerate(names) if word not in GSTREAM and words[n] != "all"), len(words))
    if use == 0:
        wrong(
            f"mongstream needs a stream, not {words[0]!r}" if words else "mongstream has no stream",
            f"The streams are: all, {', '.join(GSTREAM)}.",
        )
        return
    if words[use : use + 1] != ["use"] or use + 1 >= len(words):
        wrong(
            f"After mongstream's streams comes {words[use]!r}, which is neither a stream nor use"
            if use < len(words) and words[use] != "use"
            else "mongstream has no use",
            f"The streams are: all, {', '.join(GSTREAM)}.",
        )
        return
    made = Gstream(directive.place)
    if not _uses(words[use + 1 :], made, wrong, lambda what: report(found("warning", directive.place, what))):
        return
    for name in dict.fromkeys(s for n in names[:use] for s in (ALL_GSTREAMS if n == "all" else (n,))):
        before = result.get(name, Gstream(directive.place))
        result[name] = Gstream(
            directive.place,
            made.maxlen or before.maxlen,
            before.flush if made.flush is None else made.flush,
            made.format or before.format,
            made.header or before.header,
            made.noident or before.noident,
            made.address or before.address,
        )


def _uses(words: list[str], made: Gstream, wrong: Callable[[str], None], report: Callable[[str], None]) -> bool:
    """``[flush T] [maxlen L] [send FORMAT [HEADER] [noident] HOST:PORT]``; returns whether they are valid. `wrong`: it
    keeps xrootd from starting; `report`: it does not."""
    left = list(words)
    while left:
        option = left.pop(0)
        word = left.pop(0) if left else ""
        if option == "flush":
            made.flush = seconds(word)
            if made.flush is None and not unknown(word):
                wrong(f"mongstream's flush needs a time, not {word!r}")
                return False
        elif option == "maxlen":
            made.maxlen = size(word)
            if not unknown(word) and (made.maxlen is None or not 1024 <= made.maxlen <= 65535):
                wrong(f"mongstream's maxlen needs a size from 1024 to 65535, not {word!r}")
                return False
        elif option == "send":
            if word not in ("cgi", "json", "nohdr"):
                wrong(f"mongstream sends json, cgi or nohdr, not {word!r}")
                return False
            made.format = word
            if word != "nohdr" and left and left[0] in HEADERS:
                made.header = left.pop(0)
            if left and left[0] == "noident":
                made.noident = bool(left.pop(0))
            made.address = left.pop(0) if left else ""
            if made.address.startswith("/"):
                report(f"mongstream sends to the local socket {made.address}, and nothing by UDP.")
            elif sends_nowhere(made.address):
                report(f"mongstream's {made.address} has no port: xrootd starts, but nothing arrives anywhere.")
            elif not is_address(made.address) and not unknown(made.address):
                wrong(f"mongstream sends to HOST:PORT, not {made.address!r}")
                return False
        else:
            wrong(f"{option!r} is not an option of mongstream")
            return False
    return True


# ---------------------------------------------------------------- xrd.report


def summaries(
    directives: Iterable[Directive], report: Report = unreported, release: tuple[int, ...] | None = None
) -> list[str]:
    """Where ``xrd.report`` sends summaries."""
    result: list[str] = []
    for directive in directives:
        if directive.name == "xrd.report":
            result = _report(directive, report, release)
    return result


def _report(directive: Directive, report: Report, release: tuple[int, ...] | None) -> list[str]:
    def wrong(what: str) -> None:
        report(found("error", directive.place, what + "; xrootd does not start with it."))

    words = directive.words[1:]
    if not words:
        wrong("xrd.report has no destination")
        return []
    addresses = words[0].split(",", 1)
    for address in addresses:
        port = address.partition(":")[2]
        if not (address.startswith("/") or unknown(address) or re.match("0*[1-9]", port)):
            wrong(f"xrd.report sends to HOST:PORT, not {address!r}")
            return []
    options = words[1:]
    if options[:1] == ["every"]:
        word = options[1] if len(options) > 1 else ""
        if not seconds(word) and not unknown(word):
            wrong(f"every needs a time such as 60s, not {word!r}")
            return []
        options = options[2:]
    strange = [word for word in options if word.removeprefix("-") not in REPORTS and not unknown(word)]
    if strange:
        report(
            found(
                "warning",
                directive.place,
                f"xrd.report does not know {', '.join(strange)}, and ignores it.".replace("\r", "\\r"),
                f"The words are: {', '.join(REPORTS)}.",
            )
        )
    if "json" in options:
        after = options[options.index("json") + 1 :]
        for word in after:
            if word in REPORTS and word not in ("addons", "all", "json", "off", "plugins", "sync", "syncwp"):
                report(
                    found(
                        "error" if release is not None and release >= JSON_SINCE else "warning",
                        directive.place,
                        f"With {word} after json XRootD 5.9 and later does not start; an older release ignores json.",
                        "As JSON there are addons, all and plugins only; write the other words before json.",
                    )
                )
    return addresses
