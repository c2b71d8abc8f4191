"""What a campaign that can be interrupted keeps: the rounds that are done, for one commit."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def commit() -> str:
    """What is measured."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude=*"], cwd=HERE, capture_output=True, text=True, check=False
    )
    return described.stdout.strip() or "unknown"


class Progress:
    """The rounds that are done, in a file."""

    def __init__(self, path: Path, about: dict[str, Any], *, afresh: bool) -> None:
        self._path, self._about = path, about
        self.done: dict[str, dict[str, Any]] = {}
        if not afresh and path.exists():
            known = json.loads(path.read_text())
            if known["about"] == about:
                self.done = known["rounds"]

    def note(self, name: str, result: dict[str, Any]) -> None:
        self.done[name] = result
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps({"about": self._about, "rounds": self.done}, indent=1))
        new.replace(self._path)

    def forget(self) -> None:
        """All rounds are done: the next campaign starts from the beginning."""
        self._path.unlink(missing_ok=True)
