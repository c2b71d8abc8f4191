"""What the page shows: fragments of HTML by name, the newest of each. Pure, but for events that wake who waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Mapping

from gui.hub.web.markup import Html

UNSET = Html("")


class Board:
    """The owner of the hub publishes fragments; each watcher is sent those that differ from what it has."""

    def __init__(self) -> None:
        self._parts: dict[str, Html] = {}
        self._waiting: set[asyncio.Event] = set()
        self.on_look: Callable[[], None] | None = None
        """Called before a browser gets the whole page, to publish what is new."""

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

    def look(self) -> None:
        """A browser is about to get the whole page."""
        if self.on_look is not None:
            self.on_look()

    def since(self, told: Mapping[str, Html], names: Container[str]) -> dict[str, Html]:
        """Of the fragments with these names, those that differ from what a watcher was told."""
        return {name: html for name, html in self._parts.items() if name in names and told.get(name) != html}

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
