"""The history of problems: when each came first and last, how often, and what has happened since. No toolkit.

Problems of a workspace are a list that changes: what is no longer in it is *gone*, and may come *again*. Those of the
window are events without an end. The history survives a restart as a text file of bounded size, a JSON line for each
problem; what was there before this start is *earlier*: whether it still is so nobody knows.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import msgspec

from gui.models import figures
from gui.runner.progress import Problem, Severity
from shoveler.service import redact

log = logging.getLogger("tally.window")

MOST = 500
"""Problems that are kept; the oldest are forgotten."""
LONGEST = 4000
"""Characters of a text in the file."""
MAX_FILE = 8 * 2**20

State = Literal["now", "event", "gone", "closed", "earlier"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One problem. Times are Unix seconds. `again`: how often it came back after it was gone; `ended`: when it was last
    seen to be over."""

    first: float
    last: float
    severity: Severity
    where: str
    text: str
    remedy: str = ""
    count: int = 1
    state: State = "event"
    again: int = 0
    ended: float | None = None

    @property
    def open(self) -> bool:
        """Whether it may still be so: these are counted in the status bar."""
        return self.state in ("now", "event")

    @property
    def since(self) -> str:
        """What has happened since it came."""
        back = f", came back {'once' if self.again == 1 else f'{self.again:,} times'}" if self.again else ""
        match self.state:
            case "now":
                return f"still so{back}"
            case "gone":
                lasted = (
                    f" after {figures.duration(max(0.0, (self.ended or self.last) - self.first))}"
                    if not self.again
                    else ""
                )
                return f"gone at {moment(self.ended)}{lasted}{back}"
            case "closed":
                return f"workspace closed at {moment(self.ended)}; not known since"
            case "earlier":
                return "before this start; not known since"
            case "event":
                return "happened" if self.count == 1 else "happened again"

    @property
    def full(self) -> str:
        """All of it, as text."""
        when = moment(self.last, day=True)
        times = f", {self.count:,} times since {moment(self.first, day=True)}" if self.count > 1 else ""
        remedy = f"\nWhat to do: {self.remedy}" if self.remedy else ""
        return f"{self.severity} · {self.where} · {when}{times} · {self.since}\n{self.text}{remedy}"


def moment(t: float | None, *, day: bool = False) -> str:
    """The time of day; with the day if wanted."""
    return figures.day_and_time(t) if day else figures.clock(t, parts=False)


class ProblemHistory:
    """See the module."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], Entry] = {}
        self._seen: dict[tuple[str, str], int] = {}
        """Of the workspace's current problems: how often each was counted by it."""

    @property
    def entries(self) -> list[Entry]:
        """The newest first."""
        return sorted(self._entries.values(), key=lambda entry: -entry.last)

    @property
    def open(self) -> int:
        """How many may still be so."""
        return sum(entry.open for entry in self._entries.values())

    def add(self, problem: Problem) -> None:
        """Something happened in the window."""
        key = (problem.where, problem.text)
        known = self._entries.get(key)
        if known is None:
            self._put(key, _entry(problem, "event"))
        else:
            self._put(key, replace(known, last=problem.t, count=known.count + 1, state="event", remedy=problem.remedy,
                                   severity=problem.severity))  # fmt: skip

    def of_workspace(self, problems: Sequence[Problem], now: float) -> None:
        """The problems of the open workspace now."""
        current = {(problem.where, problem.text): problem for problem in problems}
        for key, problem in current.items():
            self._still(key, problem)
        for key in set(self._seen) - set(current):
            del self._seen[key]
            known = self._entries.get(key)
            if known is not None and known.state == "now":
                self._entries[key] = replace(known, state="gone", ended=now)

    def _still(self, key: tuple[str, str], problem: Problem) -> None:
        before = self._seen.get(key)
        if before == problem.count:
            return
        self._seen[key] = problem.count
        known = self._entries.get(key)
        if known is None:
            if before is None:  # cleared ones come back only when they happen again
                self._put(key, _entry(problem, "now"))
            else:
                self._put(key, replace(_entry(problem, "now"), count=problem.count - before, first=problem.t))
            return
        more = problem.count - (before or 0)
        again = known.again + (before is None and known.state in ("gone", "closed", "earlier"))
        self._put(key, replace(known, last=problem.t, count=known.count + more, state="now", again=again, ended=None,
                               remedy=problem.remedy, severity=problem.severity))  # fmt: skip

    def closed(self, now: float) -> None:
        """The workspace was closed: what it had is not known any more."""
        self._seen.clear()
        for key, entry in self._entries.items():
            if entry.state == "now":
                self._entries[key] = replace(entry, state="closed", ended=now)

    def clear(self) -> None:
        """Forget all. What is still so comes back only when it happens again."""
        self._entries.clear()

    def _put(self, key: tuple[str, str], entry: Entry) -> None:
        self._entries[key] = entry
        while len(self._entries) > MOST:
            del self._entries[min(self._entries, key=lambda k: (self._entries[k].open, self._entries[k].last))]

    # ---- the file

    def load(self, path: Path) -> None:
        """Add what a file has from before this start; a file that cannot be read is left out."""
        try:
            with path.open("rb") as file:
                lines = file.read(MAX_FILE).split(b"\n")
        except FileNotFoundError:
            return
        except OSError as error:
            log.warning("! the history of problems cannot be read: %s", error)
            return
        for line in lines[-MOST - 1 :]:
            try:
                entry = _decode(line) if line else None
            except msgspec.DecodeError:
                continue  # the end of a file that was cut
            if entry is not None:
                state: State = "earlier" if entry.open else entry.state
                self._entries.setdefault((entry.where, entry.text), replace(entry, state=state))

    def save(self, path: Path) -> None:
        """Write the history; the file is replaced as a whole. An error is only logged: nothing depends on it."""
        new = path.with_suffix(".new")
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.writelines(_line(entry) for entry in sorted(self._entries.values(), key=lambda e: e.last))
            new.replace(path)
        except OSError as error:
            log.warning("! the history of problems cannot be written: %s", error)


def as_text(entries: Iterable[Entry]) -> str:
    """Problems as text to paste, each with everything that is known."""
    return "\n\n".join(entry.full for entry in entries)


def _entry(problem: Problem, state: State) -> Entry:
    return Entry(
        problem.t, problem.t, problem.severity, problem.where, problem.text, problem.remedy, problem.count, state
    )


def _line(entry: Entry) -> bytes:
    kept = replace(entry, text=redact(entry.text)[:LONGEST], remedy=redact(entry.remedy)[:LONGEST])
    return msgspec.json.encode(kept) + b"\n"


_decode = msgspec.json.Decoder(Entry).decode
