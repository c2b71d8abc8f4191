"""What was there when a run began, as rows: versions, settings, kernel values, sites. No toolkit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gui.report.numbers import UNKNOWN
from gui.store import RunEntry

DEEPEST = 8
"""Levels of a value that get rows of their own; a bundle may have more."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One value. `group`: versions, this machine, clients …; `of`: whose it is; empty: the run's."""

    group: str
    of: str
    name: str
    value: str


def facts_of(run: RunEntry) -> tuple[Fact, ...]:
    """Everything that was recorded when this run began; empty for one of an older version."""
    return (*_facts("version", run.versions), *_facts("environment", run.environment))


def _facts(group: str, values: Mapping[str, Any]) -> Iterator[Fact]:
    for name, value in values.items():
        if isinstance(value, Sequence) and not isinstance(value, str) and any(isinstance(v, Mapping) for v in value):
            for number, each in enumerate(value, 1):
                member = str(each.get("name", number)) if isinstance(each, Mapping) else str(number)
                for key, inner in _flat("", each, 0):
                    if key != "name":
                        yield Fact(name, member, key, inner)
        else:
            for key, inner in _flat(str(name), value, 0):
                yield Fact(group, "", key, inner)


def _flat(name: str, value: Any, level: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and level < DEEPEST:
        for key, inner in value.items():
            yield from _flat(f"{name} {key}".strip(), inner, level + 1)
    else:
        yield name, _words(value)


def _words(value: Any) -> str:
    if value is None or value == "" or value == []:
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_words(each) for each in value)
    return str(value)
