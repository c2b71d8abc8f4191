"""``tally-agent check-config FILE``: the findings, and the recommended line."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from agent.messages import Finding
from agent.server.configfile import Reading, Source, kept, readings
from agent.server.lint import Release, judged, server_port, site_name, together
from agent.server.monitor import Destination, Gstream, MonitorLine, gstreams, monitor_line
from agent.server.surround import path_mtu, unheard


class Checked(NamedTuple):
    """A configuration as seen from this machine; where branches differ, `line` and the following fields are those of
    the first."""

    findings: list[Finding]
    line: MonitorLine | None
    site: str
    port: int


def check(
    text: str,
    *,
    host: str | None = None,
    instance: str | None = None,
    environment: Mapping[str, str] | None = None,
    release: Release | None = None,
) -> Checked:
    """A configuration and all the files it continues in, checked on this machine. Reads files."""
    return judged_here(readings(text, follow, host=host, instance=instance, environment=environment), release=release)


def judged_here(read: Sequence[Reading], *, release: Release | None = None) -> Checked:
    """The readings of a configuration (by `follow`), checked on this machine."""
    judgements = []
    for reading in read:
        line = monitor_line(reading.directives)
        streams = gstreams(reading.directives)
        here = unheard([*_destinations(line), *_of_streams(streams)])
        judgements.append((reading, [*judged(reading, path_mtu=path_mtu, release=release), *here]))
    first = read[0].directives
    return Checked(together(judgements), monitor_line(first), site_name(first), server_port(first))


def _destinations(line: MonitorLine | None) -> list[tuple[Destination, int, str]]:
    return [(d, line.place.line, line.place.file) for d in line.destinations] if line else []


def _of_streams(streams: Mapping[str, Gstream]) -> list[tuple[Destination, int, str]]:
    return [
        (Destination([name], stream.address), stream.place.line, stream.place.file)
        for name, stream in streams.items()
        if stream.address
    ]


def text_of(file: Path) -> str:
    """The text of a configuration file. Line ends stay as they are: xrootd takes carriage returns as text."""
    return decoded(file.read_bytes())


def decoded(content: bytes) -> str:
    return content.decode("utf-8", "replace")


def follow(path: str, suffixes: Sequence[str]) -> list[Source] | str | None:
    """The files that ``continue`` leads to, as xrootd reads them, or the sentence that says why it does not start; None
    if we may not read files that xrootd may read."""
    here = Path(path)
    try:
        if not here.is_dir():
            return [Source(path, text_of(here))]
        names = sorted(os.fsencode(one.name) for one in here.iterdir() if kept(one.name, suffixes) and _plain(one))
        files = [here / os.fsdecode(name) for name in names]
        return [Source(str(file), text_of(file)) for file in files]
    except PermissionError:
        return None
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else "the name is none"
        return f"The configuration continues in {path}, which cannot be read: {said}; xrootd does not start."


def _plain(file: Path) -> bool:
    """A file, and not executable: xrootd skips what looks like a program."""
    mode = file.stat().st_mode
    return stat.S_ISREG(mode) and not mode & 0o111


def findings(text: str) -> list[Finding]:
    """The problems of a configuration, as seen from this machine."""
    return check(text, environment=None).findings


def run(file: Path, *, as_json: bool, instance: str | None = None, release: Release | None = None) -> int:
    """Print the problems of a configuration file. Returns 0, 1 if there is an error, 2 if it cannot be read."""
    try:
        text = decoded(sys.stdin.buffer.read()) if str(file) == "-" else text_of(file)
    except OSError as error:
        print(f"tally-agent: {file} cannot be read: {error.strerror}.", file=sys.stderr)
        return 2
    found = check(text, instance=instance, release=release).findings
    if as_json:
        print(json.dumps([msgspec.to_builtins(finding) for finding in found], indent=1, ensure_ascii=False))
    else:
        print("\n".join(_described(file, found)))
    return 1 if any(finding.severity == "error" for finding in found) else 0


def _described(file: Path, found: Sequence[Finding]) -> list[str]:
    if not found:
        return [f"{file}: no problems found in the monitoring."]
    lines = []
    fixed = dict.fromkeys(finding.fixed for finding in found if finding.fixed)
    for finding in found:
        where = finding.file or str(file)
        if finding.line:
            where += f":{finding.line}"
        lines.append(f"{where}: {finding.severity}: {finding.what}")
        if finding.why:
            lines.append(f"    {finding.why}")
    if fixed:
        lines.append("Recommended:")
        lines += [f"    {line}" for line in fixed]
    return lines
