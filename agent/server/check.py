"""``tally-agent check-config FILE``: the findings, and the line as it should be."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from agent.messages import Finding
from agent.server.lint import lint, monitor_line
from agent.server.surround import path_mtu, unheard


def findings(text: str) -> list[Finding]:
    """What is wrong with a configuration, seen from this machine."""
    line = monitor_line(text)
    return [*lint(text, path_mtu=path_mtu), *(unheard(line) if line else [])]


def run(file: Path, *, as_json: bool) -> int:
    """Print what is wrong with a configuration file. Returns 0, 1 when there is an error, 2 when it cannot be read."""
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text("utf-8", "replace")
    except OSError as error:
        print(f"tally-agent: {file} cannot be read: {error.strerror}.", file=sys.stderr)
        return 2
    found = findings(text)
    if as_json:
        print(json.dumps([msgspec.to_builtins(finding) for finding in found], indent=1, ensure_ascii=False))
    else:
        print("\n".join(_described(file, found)))
    return 1 if any(finding.severity == "error" for finding in found) else 0


def _described(file: Path, found: Sequence[Finding]) -> list[str]:
    if not found:
        return [f"{file}: nothing is wrong with the monitoring."]
    lines = []
    fixed = dict.fromkeys(finding.fixed for finding in found if finding.fixed)
    for finding in found:
        where = f"{file}:{finding.line}" if finding.line else str(file)
        lines.append(f"{where}: {finding.severity}: {finding.what}")
        if finding.why:
            lines.append(f"    {finding.why}")
    if fixed:
        lines.append("As it should be:")
        lines += [f"    {line}" for line in fixed]
    return lines
