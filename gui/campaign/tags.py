"""Session tags: who allocates them, and which request gets which.

A *tag* belongs to one (run, repeat, agent, slot, server) and never asks for the same path twice; when a slot would,
it takes the next tag. So (tag, path) is the whole key of a request. `TagBook` keeps that rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class TagAllocator(Protocol):
    """Gives out session tags that are unique in its database, now and for ever. Blocking; call it in a thread."""

    def allocate_tags(self, count: int) -> list[str]:
        """`count` new tags: 8 characters of ``[a-z0-9]``, a letter first, never given out before by this database."""


@dataclass(frozen=True, slots=True)
class TagUse:
    """What a tag was allocated for: the `ordinal`-th tag (from 0) of one agent's slot at one server, in one repeat."""

    agent: str
    slot: int
    server: str
    ordinal: int


class TagBook:
    """Which tag asks for which path, within one repeat. Pure: tags come in through `supply`."""

    def __init__(self) -> None:
        self._asked: dict[tuple[str, int, str, str], int] = {}
        self._tags: dict[TagUse, str] = {}

    def use(self, agent: str, slot: int, server: str, path: str) -> TagUse:
        """The tag use under which this slot may ask for this path: the first one that has not asked for it yet."""
        key = (agent, slot, server, path)
        ordinal = self._asked.get(key, 0)
        self._asked[key] = ordinal + 1
        return TagUse(agent, slot, server, ordinal)

    def missing(self, uses: Sequence[TagUse]) -> list[TagUse]:
        """Those of `uses` that have no tag yet, each once, in order."""
        return [use for use in dict.fromkeys(uses) if use not in self._tags]

    def supply(self, uses: Sequence[TagUse], tags: Sequence[str]) -> None:
        """Tags newly allocated for these uses."""
        self._tags.update(zip(uses, tags, strict=True))

    def tag(self, use: TagUse) -> str:
        """The tag of a use; KeyError when none was supplied."""
        return self._tags[use]
