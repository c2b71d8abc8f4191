"""The problems of a workspace, as a list and as lines of a terminal: a flood is counted, and never hides others.

The *source* of a problem is its `where` ("agent c1", "bus"), and the first word of that is the *kind* of source. Each
source, and each kind of sources, has its own places; what finds none is counted in one row that stands for the rest. So
an agent that reports a thousand things, or a thousand agents, take no place from the bus. Pure; times are arguments or
in the problems.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gui.report.words import printable
from gui.runner.progress import Problem

MAX_OF_SOURCE, MAX_SOURCES, MAX_TEXT = 20, 100, 2000
"""Listed problems of one source, listed sources of one kind, and characters of a text."""
OLD_SECONDS = 600.0
"""After this time without repetition a problem gives its place to a new one of its source."""
REST = "more problems than can be listed, which are only counted"


class ProblemList:
    """Problems by place and text: repeated ones are counted, ended ones removed."""

    def __init__(self) -> None:
        self._sources: dict[str, dict[str, Problem]] = {}

    def add(self, problem: Problem) -> None:
        """Add a problem, or count one more of the same."""
        problem = replace(problem, text=shortened(problem.text), remedy=shortened(problem.remedy))
        listed = self._sources.get(problem.where)
        if listed is None:
            if not self._room_for(problem):
                self._count(kind_of(problem.where), problem)
                return
            listed = self._sources.setdefault(problem.where, {})
        known = listed.pop(problem.text, None)
        if known is None and len(listed.keys() - {REST}) >= MAX_OF_SOURCE:
            oldest = min((one for text, one in listed.items() if text != REST), key=lambda one: one.t)
            if problem.t - oldest.t < OLD_SECONDS:
                self._count(problem.where, problem)
                return
            del listed[oldest.text]
        listed[problem.text] = replace(problem, count=known.count + 1) if known else problem

    def over(self, where: str) -> None:
        """The problems at this place are over."""
        self._sources.pop(where, None)

    def quiet(self, kind: str, before: float) -> bool:
        """The problems of this kind of sources that did not happen since then are over; whether some are left."""
        for where, listed in tuple(self._sources.items()):
            if kind_of(where) == kind and max(one.t for one in listed.values()) < before:
                del self._sources[where]
        return any(kind_of(where) == kind for where in self._sources)

    def all(self) -> tuple[Problem, ...]:
        """The problems, the newest last."""
        found = (problem for listed in self._sources.values() for problem in listed.values())
        return tuple(sorted(found, key=lambda problem: problem.t))

    def _room_for(self, problem: Problem) -> bool:
        """Whether one more source of this kind can be listed; a long quiet one makes room."""
        kind = kind_of(problem.where)
        newest = {where: max(one.t for one in listed.values()) for where, listed in self._sources.items()}
        same = {where: t for where, t in newest.items() if kind_of(where) == kind and where != kind}
        if len(same) < MAX_SOURCES:
            return True
        oldest = min(same, key=same.__getitem__)
        if problem.t - same[oldest] < OLD_SECONDS:
            return False
        del self._sources[oldest]
        return True

    def _count(self, where: str, problem: Problem) -> None:
        listed = self._sources.setdefault(where, {})
        known = listed.pop(REST, None)
        listed[REST] = replace(problem, where=where, text=REST, remedy="", count=known.count + 1 if known else 1)


def kind_of(where: str) -> str:
    """The kind of source: ``agent`` of "agent c1"."""
    return where.partition(" ")[0]


def shortened(text: str) -> str:
    """A text of bounded length."""
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


# ---------------------------------------------------------------- lines

BURST, EVERY = 5, 30.0
"""Lines of one source that may come at once, and seconds after which it may have one more."""
KIND_BURST, KIND_EVERY = 20, 3.0
"""The same for all sources of one kind."""


@dataclass(slots=True)
class Purse:
    """Lines that may still be written; one more comes every so often."""

    most: int
    every: float
    left: float
    at: float

    def has(self, now: float) -> bool:
        """Whether one line may be written; then take it: ``left -= 1``."""
        self.left = min(float(self.most), self.left + max(0.0, now - self.at) / self.every)
        self.at = now
        return self.left >= 1


@dataclass(slots=True)
class _Held:
    """What a source has to say and may not yet."""

    times: int
    latest: Problem


class ProblemLines:
    """What to print of the problems: each new one, and from a source that has many, how many they are."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], int] = {}
        self._held: dict[str, _Held] = {}
        self._purses: dict[str, Purse] = {}

    def __call__(self, problems: Sequence[Problem], now: float) -> list[str]:
        """The lines to print now; call it again from time to time, for what had to wait."""
        lines = []
        seen, self._seen = self._seen, {}
        for problem in problems:
            key = (problem.where, problem.text)
            times = problem.count - min(seen.get(key, 0), problem.count)
            self._seen[key] = problem.count
            if not times:
                continue
            held = self._held.get(problem.where)
            if held is None and self._may(problem.where, now):
                lines.append(_line(problem, f" ({times:,} times)" if times > 1 else ""))
            else:
                self._held[problem.where] = _Held(times + (held.times if held else 0), problem)
        for where, held in tuple(self._held.items()):
            if self._may(where, now):
                del self._held[where]
                more = f" ({held.times:,} more from there, this is the latest)" if held.times > 1 else ""
                lines.append(_line(held.latest, more))
        self._forget(now)
        return lines

    def _may(self, where: str, now: float) -> bool:
        own = self._purses.setdefault(where, Purse(BURST, EVERY, BURST, now))
        # All sources of a kind share one as well. No source has this name: it would be two lines.
        kind = self._purses.setdefault(f"{kind_of(where)}\n", Purse(KIND_BURST, KIND_EVERY, KIND_BURST, now))
        if not (own.has(now) and kind.has(now)):
            return False
        own.left -= 1
        kind.left -= 1
        return True

    def _forget(self, now: float) -> None:
        """Full purses are as good as none."""
        full = [name for name, purse in self._purses.items() if purse.has(now) and purse.left >= purse.most]
        for name in full:
            del self._purses[name]


def _line(problem: Problem, more: str) -> str:
    remedy = f" {problem.remedy}" if problem.remedy else ""
    return printable(f"{problem.severity}: {problem.where}: {problem.text}{remedy}{more}")
