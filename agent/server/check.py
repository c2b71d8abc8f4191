"""``tally-agent check-config FILE``."""

from __future__ import annotations

from pathlib import Path


def run(file: Path, *, as_json: bool) -> int:
    """Print the findings; returns the exit code."""
    raise NotImplementedError(file, as_json)
