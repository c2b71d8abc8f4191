"""Session tags: their allocation, and which request gets which tag.

A *tag* belongs to one (run, repeat, agent, slot, server) and never requests the same path twice; if a slot would, it
uses another tag. So (tag, path) is the complete key of a request. `TagBook` enforces this rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class TagAllocator(Protocol):
    """Allocates session tags that are unique in its database forever. Blocking; call it in a thread."""

    def allocate_tags(self, count: int) -> list[str]:
        """`count` new tags: 8 characters of ``[a-z0-9]``, starting with a letter, never allocated before."""


@dataclass(frozen=True, slots=True)
class TagUse:
    """What a tag was allocated for: the `ordinal`-th tag (from 0) of one agent's slot at one server, in one repeat."""

    agent: str
    slot: int
    server: str
    ordinal: int


class TagBook:
    """Which tag requests which path, within one repeat. Pure: tags come in through `supply`."""

    def __init__(self) -> None:
        self._asked: dict[tuple[str, int, str, str], int] = {}
        self._tags: dict[TagUse, str] = {}

    def use(self, agent: str, slot: int, server: str, path: str) -> TagUse:
        """The tag use under which this slot may request this path: the first one that has not requested it yet."""
        key = (agent, slot, server, path)
        ordinal = self._asked.get(key, 0)
        self._asked[key] = ordinal + 1
        return TagUse(agent, slot, server, ordinal)

    def missing(self, uses: Sequence[TagUse]) -> list[TagUse]:
        """Those of `uses` that have no tag yet, each once, in order."""
        return [use for use in dict.fromkeys(uses) if use not in self._tags]

    def supply(self, uses: Sequence[TagUse], tags: Sequence[str]) -> None:
        """Set newly allocated tags for these uses."""
        self._tags.update(zip(uses, tags, strict=True))

    def tag(self, use: TagUse) -> str:
        """The tag of a use. Raises KeyError if none was supplied."""
        return self._tags[use]
