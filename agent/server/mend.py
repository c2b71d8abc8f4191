"""The recommended monitoring line: the existing one with its problems fixed, or one to start with."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from typing import Final

from agent.server.configfile import plain_seconds
from agent.server.monitor import (
    DEFAULT_GBUFF,
    DEFAULT_RBUFF,
    GSTREAM,
    SINCE,
    Destination,
    Gstream,
    MonitorLine,
    is_address,
    sends_nowhere,
    unknown,
)

SAFE_BUFFER: Final = 1452
"""Fits into one Ethernet frame also over IPv6, and leaves room for most tunnels over IPv4."""
LEAST_BUFFER: Final = 1024
SMALL_FBUFF: Final = 1200
LEAST_RBUFF: Final = 2048
HEAVY: Final = frozenset({"files", "io", "iov"})
PLACEHOLDER: Final = "SHOVELER:9993"


def room(hosts: Sequence[str], path_mtu: Callable[[str], int]) -> int:
    """Bytes that fit into one packet to every host."""
    return min(path_mtu(host) - (48 if ":" in host else 28) for host in hosts)


def recommended(*, redirector: bool) -> MonitorLine:
    """The line for a server without one."""
    return mended(MonitorLine(), lambda _host: 1500, redirector=redirector)


def mended(
    line: MonitorLine,
    path_mtu: Callable[[str], int],
    *,
    redirector: bool,
    release: tuple[int, ...] | None = None,
) -> MonitorLine:
    """The same line with its problems fixed and everything else unchanged; without events that the release (or, if it
    is not known, some release) does not know."""
    unknown_events = {event for event, first in SINCE.items() if release is None or release < first}
    destinations = _destinations(line, HEAVY | unknown_events, redirector=redirector)
    events = {event for destination in destinations for event in destination.events}
    space = room([d.host for d in destinations], path_mtu)
    times = dict(line.times)
    if not 0 < times.get("ident", 0) <= 900:
        times["ident"] = 300
    times.setdefault("flush", 30)
    times.setdefault("window", 5)
    buffers = {name: value for name, value in line.buffers.items() if name != "mbuff"}
    files = "fstat" in events
    if files and not SMALL_FBUFF <= line.fbuff <= space:
        buffers["fbuff"] = min(SAFE_BUFFER, max(space, LEAST_BUFFER))
    if events & set(GSTREAM) and buffers.get("gbuff", DEFAULT_GBUFF) > space:
        buffers["gbuff"] = min(SAFE_BUFFER, max(space, LEAST_BUFFER))
    if "redir" in events and buffers.get("rbuff", DEFAULT_RBUFF) > space:
        buffers["rbuff"] = LEAST_RBUFF
    return MonitorLine(
        flags={"all", "auth"},
        times=times,
        buffers=buffers,
        rnums=line.rnums,
        fstat=(line.fstat if line.fstat and line.fstat <= 30 else 10) if files else None,
        fstat_options=line.fstat_options | {"lfn", "ops"} | ({"ssq"} if not line.fstat else set()),
        xfr=line.xfr or 3,
        destinations=destinations,
    )


def _destinations(line: MonitorLine, without: Set[str], *, redirector: bool) -> list[Destination]:
    """The destinations without some events, each address once, and with the missing events added."""
    made: list[Destination] = []
    for destination in line.destinations:
        good = is_address(destination.address) and not sends_nowhere(destination.address)
        address = destination.address if good or unknown(destination.address) else PLACEHOLDER
        same = next((d for d in made if d.address == address), None)
        if same is None:
            same = Destination([], address)
            made.append(same)
        same.events += [e for e in destination.events if e not in same.events and e not in without]
    made = made or [Destination([], PLACEHOLDER)]
    events = {event for destination in made for event in destination.events}
    wanted = ("info", "redir", "user") if redirector else ("fstat", "info", "user")
    # Missing events are added to the destination with the file records, or else to the first.
    main = next((d for d in made if wanted[0] in d.events), made[0])
    main.events += [event for event in wanted if event not in events]
    return [d for d in made if d.events]


def written(line: MonitorLine) -> str:
    """The words of a line, in the order that every release accepts."""
    words: list[str] = [flag for flag in ("all", "auth") if flag in line.flags]
    for option in ("ident", "flush", "flush io", "window"):
        if option in line.times:
            words += [option, plain_seconds(line.times[option])]
    for option in ("fbuff", "rbuff", "gbuff"):
        if option in line.buffers:
            words += [option, str(line.buffers[option])]
    if line.rnums:
        words += ["rnums", line.rnums]
    if line.fstat:
        words += ["fstat", plain_seconds(line.fstat)]
        words += [option for option in ("lfn", "ops", "ssq") if option in line.fstat_options]
        words += ["xfr", str(line.xfr)]
    for destination in line.destinations:
        words += ["dest", *destination.events, destination.address]
    return " ".join(words)


def stream_written(names: Sequence[str], stream: Gstream, path_mtu: Callable[[str], int]) -> str:
    """The words of a mongstream line, with datagrams that fit into one packet and a format that every release
    accepts."""
    words = [*names, "use"]
    if stream.flush is not None:
        words += ["flush", plain_seconds(stream.flush)]
    hosts = [stream.address.rpartition(":")[0].strip("[]")] if stream.address else []
    space = room(hosts, path_mtu) if hosts else SAFE_BUFFER
    most = stream.maxlen if stream.maxlen and stream.maxlen <= space else min(SAFE_BUFFER, max(space, LEAST_BUFFER))
    words += ["maxlen", str(most)]
    if stream.address:
        words += ["send", "json" if stream.format == "cgi" else stream.format]
        words += [stream.header] if stream.header else []
        words += ["noident"] if stream.noident else []
        reached = not stream.address.startswith("/") and not sends_nowhere(stream.address)
        words += [stream.address if reached else PLACEHOLDER]
    return " ".join(words)
