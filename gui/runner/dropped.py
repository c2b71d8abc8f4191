"""How many records were dropped from the workspace's queue before they could be loaded, counted exactly.

A queue is capped: while nobody takes from it, the broker drops the oldest messages when it is full. The broker does not
say how many; but each collector says in its messages how many records of a stream there were before (`at`), so that a
hole in what arrives is a number. Messages without `at` belong to the chunk of the one before them. The position in each
stream is kept in the workspace before messages are acknowledged: so nothing is counted twice, whatever is killed.

What another collector sends says nothing of this, and is not counted.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gui.store import Store
from shoveler.bus import Incoming

_SETTING = "workspace.dropped"
MAX_STREAMS = 1000
"""Streams that are remembered; those that were quiet for longest are forgotten."""
BATCH = "application/x-ndjson"


class Dropped(msgspec.Struct):
    """Of one workspace. `next` is by collector and stream: how many records of it there were, up to the last taken."""

    records: int = 0
    """Dropped so far."""
    since: float = 0.0
    """When the first of these was noticed (Unix seconds)."""
    next: dict[str, int] = {}

    def take(self, messages: Sequence[Incoming], now: float) -> int:
        """Take messages in their order; returns how many records before or among them were dropped."""
        dropped = 0
        for message in messages:
            collector, stream, at = (message.headers.get(name) for name in ("collector", "stream", "at"))
            if not isinstance(collector, str) or not isinstance(stream, str):
                continue
            key = f"{collector} {stream}"
            known = self.next.pop(key, None)
            if isinstance(at, int):
                if known is not None and at > known:
                    dropped += at - known
            elif known is None:
                continue  # in the middle of the first chunk that we see
            else:
                at = known
            self.next[key] = at + records_in(message)  # last: it was heard of now
        while len(self.next) > MAX_STREAMS:
            del self.next[next(iter(self.next))]
        if dropped:
            self.records += dropped
            self.since = self.since or now
        return dropped


def records_in(message: Incoming) -> int:
    """How many records a message has."""
    if message.content_type != BATCH:
        return 1
    return sum(bool(line.strip()) for line in message.body.split(b"\n"))


_decode = msgspec.json.Decoder(Dropped).decode


def read_dropped(store: Store) -> Dropped:
    """What is kept in the workspace. Blocking."""
    kept = store.setting(_SETTING)
    return _decode(kept) if kept else Dropped()


def keep_dropped(store: Store, dropped: Dropped) -> None:
    """Keep it. Blocking."""
    store.put_setting(_SETTING, msgspec.json.encode(dropped).decode())
