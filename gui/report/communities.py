"""Who uses a federation: how many researchers, collaborations and campuses the records name.

The OSDF counts itself so ("92 researchers, 9 collaborations & 1 campus"), by its namespaces. Records that name a person
or an organisation are better evidence; where they name none, the directory tells whose the data are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from gui.store import UsageNames

Kind = Literal["researcher", "collaboration", "campus"]

OTHER = "(other)"
"""Under this name the store sums up what is beyond its number of groups."""

_NAMESPACES: tuple[tuple[str, int, Kind, str], ...] = (
    # prefix, components that name the owner, kind of owner, the owner's name where it is not the directory
    ("/osgconnect/public", 3, "researcher", ""),
    ("/osgconnect/protected", 3, "researcher", ""),
    ("/ospool/PROTECTED", 3, "researcher", ""),
    ("/ospool/uc-shared", 4, "collaboration", ""),
    ("/ospool", 4, "researcher", ""),
    ("/path-facility", 3, "researcher", ""),
    ("/user/dteam", 2, "collaboration", "dteam"),
    ("/user", 2, "researcher", ""),
    ("/pnfs/fnal.gov/usr", 4, "collaboration", ""),
    ("/gwdata", 1, "collaboration", ""),
    ("/icecube", 1, "collaboration", "icecube"),
    ("/igwn", 2, "collaboration", ""),
    ("/store", 1, "collaboration", "cms"),
    ("/chtc", 1, "campus", ""),
    ("/hcc", 1, "campus", ""),
)
"""The namespaces of docs/records.md (``logical_dirname``) whose owners are known, the more particular ones first."""

_NOBODY = frozenset({"nobody", "unknown", "anonymous", "anon"})
"""Logins that stand for no person."""


class Communities(NamedTuple):
    """How many there are. `more`: that some were summed under `OTHER`, so that there may be more."""

    researchers: int
    collaborations: int
    campuses: int
    more: bool


def communities(names: UsageNames) -> Communities:
    """Count those who own or ask for what the records are about. Organisations are the same whatever their case."""
    found: dict[Kind, set[str]] = {"researcher": set(), "collaboration": set(), "campus": set()}
    for person, org, directory in names.owners:
        kind, owner = owner_of(directory)
        if person and person != OTHER and person.lower() not in _NOBODY:
            found["researcher"].add(person)
        elif kind == "researcher":
            found["researcher"].add(owner)
        if org and org != OTHER:
            found["collaboration"].add(org.lower())
        elif kind == "collaboration":
            found["collaboration"].add(owner)
        if kind == "campus":
            found["campus"].add(owner)
    more = any(OTHER in owner for owner in names.owners)
    return Communities(len(found["researcher"]), len(found["collaboration"]), len(found["campus"]), more)


def owner_of(directory: str) -> tuple[Kind | None, str]:
    """Whose a directory is; (None, "") where that is not known."""
    parts = [part for part in directory.split("/") if part]
    for prefix, kept, kind, name in _NAMESPACES:
        wanted = prefix.strip("/").split("/")
        if parts[: len(wanted)] == wanted and len(parts) >= kept:
            return kind, name or "/" + "/".join(parts[:kept])
    return None, ""


def plural(count: int, one: str, several: str = "") -> str:
    """``1 campus``, ``9 collaborations``."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def told(parts: Iterable[str]) -> str:
    """``a, b & c``."""
    *first, last = parts
    return f"{', '.join(first)} & {last}" if first else last
