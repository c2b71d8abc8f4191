"""The allow-list: who may sign in, and as what. Pure.

An entry names a person or a group. Plain entries mean what people expect of the provider: at GitHub a login or
``ORG/TEAM``, at an OIDC issuer a subject or a group. With a word before it an entry says what it is: ``sub:``,
``group:``, ``login:``, ``email:``. Nobody is let in whom no entry names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from gui.hub.persistence import Person

PersonRole = Literal["operator", "observer"]
Kind = Literal["plain", "sub", "group", "login", "email"]
MAX_ENTRY = 512
MAX_ENTRIES = 1000

_WORDS: tuple[Kind, ...] = ("sub", "group", "login", "email")
_is_login = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,98}[A-Za-z0-9])?").fullmatch
_is_team = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,98}/[A-Za-z0-9._-]{1,255}").fullmatch


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of an allow-list."""

    kind: Kind
    value: str

    def names(self, person: Person, *, github: bool) -> bool:
        """Whether it is this person, or a group of theirs. GitHub does not tell upper from lower case."""
        wanted = self.value.casefold() if github else self.value
        login = person.login.casefold() if github else person.login
        groups = {group.casefold() for group in person.groups} if github else set(person.groups)
        match self.kind:
            case "sub":
                return self.value == person.subject
            case "group":
                return wanted in groups
            case "login":
                return bool(login) and wanted == login
            case "email":
                return bool(person.email) and self.value.casefold() == person.email.casefold()
            case "plain" if github:
                return wanted in groups if "/" in wanted else wanted == login
            case "plain":
                return self.value == person.subject or self.value in groups


def parse_entry(text: str, *, github: bool) -> Entry:
    """An entry from its text. Raises ValueError with one sentence."""
    given = text.strip()
    if not given or len(given) > MAX_ENTRY or not given.isprintable():
        raise ValueError(f"expected a name of 1 to {MAX_ENTRY} printable characters, got {text[:80]!r}")
    word, colon, value = given.partition(":")
    for kind in _WORDS:
        if colon and word == kind:
            if not value.strip():
                raise ValueError(f"expected a name after {word}: in {given!r}")
            return Entry(kind, value.strip())
    if github and not _is_login(given) and not _is_team(given):
        raise ValueError(f"expected a GitHub login or ORG/TEAM, got {given!r}")
    return Entry("plain", given)


@dataclass(frozen=True, slots=True)
class AllowList:
    """Who may operate and who may look on. An operator may look on as well."""

    operators: tuple[Entry, ...]
    observers: tuple[Entry, ...]
    github: bool

    @classmethod
    def of(cls, operators: Iterable[str], observers: Iterable[str], *, github: bool) -> AllowList:
        """From the texts of the settings. Raises ValueError."""
        first, second = (tuple(parse_entry(text, github=github) for text in texts) for texts in (operators, observers))
        if max(len(first), len(second)) > MAX_ENTRIES:
            raise ValueError(f"expected at most {MAX_ENTRIES} names; name a group instead")
        return cls(first, second, github)

    @property
    def empty(self) -> bool:
        """Whether it names nobody."""
        return not self.operators and not self.observers

    @property
    def needs_teams(self) -> bool:
        """Whether teams of GitHub have to be asked for."""
        return any(entry.kind == "group" or "/" in entry.value for entry in (*self.operators, *self.observers))

    def role(self, person: Person) -> PersonRole | None:
        """What this person may be here; None: nothing."""
        if any(entry.names(person, github=self.github) for entry in self.operators):
            return "operator"
        if any(entry.names(person, github=self.github) for entry in self.observers):
            return "observer"
        return None
