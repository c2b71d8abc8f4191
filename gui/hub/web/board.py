"""What the page shows: fragments of HTML by name, the newest of each. Pure, but for events that wake who waits."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from gui.hub.web.markup import Html

UNSET = Html("")


class Board:
    """The owner of the hub publishes fragments; each watcher is sent those that differ from what it has."""

    def __init__(self) -> None:
        self._parts: dict[str, Html] = {}
        self._waiting: set[asyncio.Event] = set()

    @property
    def parts(self) -> Mapping[str, Html]:
        """The newest fragments."""
        return self._parts

    def part(self, name: str) -> Html:
        """A fragment; empty until it is published."""
        return self._parts.get(name, UNSET)

    def publish(self, parts: Mapping[str, Html]) -> None:
        """Replace these fragments."""
        changed = {name: html for name, html in parts.items() if self._parts.get(name) != html}
        if changed:
            self._parts.update(changed)
            for event in self._waiting:
                event.set()

    def since(self, told: Mapping[str, Html]) -> dict[str, Html]:
        """The fragments that differ from those that a watcher was told."""
        return {name: html for name, html in self._parts.items() if told.get(name) != html}

    @property
    def watched(self) -> bool:
        """Whether anybody looks at the page now."""
        return bool(self._waiting)

    def watch(self) -> asyncio.Event:
        """An event that is set at each change; release it with `unwatch`."""
        event = asyncio.Event()
        self._waiting.add(event)
        return event

    def unwatch(self, event: asyncio.Event) -> None:
        """Release an event."""
        self._waiting.discard(event)
