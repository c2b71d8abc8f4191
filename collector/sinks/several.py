"""Records to several sinks at once: a chunk is safe when it is safe with every one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from collector.checkpoint import Chunk
from collector.sinks import Sink


class SeveralSinks:
    """A `Sink` made of others. The slowest decides."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = tuple(sinks)

    @property
    def trouble(self) -> str:
        """That of the first sink that has any."""
        return next((sink.trouble for sink in self._sinks if sink.trouble), "")

    @property
    def backlog(self) -> int:
        """The largest of them: each holds the same chunks."""
        return max(sink.backlog for sink in self._sinks)

    def send(self, chunk: Chunk) -> None:
        """Hand the chunk to all."""
        for sink in self._sinks:
            sink.send(chunk)

    def poll(self, timeout: float) -> int:
        """See `Sink.poll`."""
        return min(sink.poll(timeout / len(self._sinks)) for sink in self._sinks)

    def dropped(self) -> dict[str, int]:
        """Sums by reason."""
        total: Counter[str] = Counter()
        for sink in self._sinks:
            total.update(sink.dropped())
        return dict(total)

    def close(self) -> None:
        """Close all."""
        for sink in self._sinks:
            sink.close()
