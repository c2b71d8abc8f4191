"""Host names of IP addresses, for records that lack one; looked up in the background, without waiting.

`Names.name` answers at once from memory. An unknown address is put on a list that a few threads work through; the
record that asked is sent without the name, and later ones have it. Failures are remembered like names, so that an
address without a name costs one look-up and not one for each record. List, memory and age of entries are all bounded.
"""

from __future__ import annotations

import ipaddress
import logging
import queue
import socket
import threading
import time
from collections.abc import Callable

_log = logging.getLogger(__name__)

_MOST_KNOWN = 100_000
_MOST_WAITING = 10_000


def reverse_lookup(ip: str) -> str | None:
    """The name of an address by the system's resolver, or None. Blocks for as long as the resolver does."""
    try:
        name = socket.getnameinfo((ip, 0), socket.NI_NAMEREQD)[0]
    except (OSError, UnicodeError):
        return None
    return name.rstrip(".").lower() or None


class Names:
    """A cache of names. Any thread may ask; `close` ends the look-up threads."""

    def __init__(
        self,
        *,
        keep: float = 86_400.0,
        keep_failure: float = 3_600.0,
        workers: int = 4,
        lookup: Callable[[str], str | None] = reverse_lookup,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Durations in seconds. `lookup` may block."""
        self._keep = keep
        self._keep_failure = keep_failure
        self._lookup = lookup
        self._clock = clock
        self._known: dict[str, tuple[str | None, float]] = {}  # address → (name, good until)
        self._asked: set[str] = set()
        self._waiting: queue.Queue[str | None] = queue.Queue(_MOST_WAITING)
        self._lock = threading.Lock()
        self.lookups = 0
        """Look-ups made so far."""
        self._threads = [
            threading.Thread(target=self._work, name=f"names-{number}", daemon=True) for number in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def name(self, ip: str) -> str | None:
        """The name if it is known now; else None, and a look-up is started."""
        known = self._known.get(ip)
        if known is not None and self._clock() < known[1]:
            return known[0]
        with self._lock:
            if ip not in self._asked:
                self._ask(ip)
        return known[0] if known is not None else None  # an old name is better than none

    def _ask(self, ip: str) -> None:
        try:
            ipaddress.ip_address(ip)
        except ValueError:
            return  # already a name, or nonsense; text from the wire never reaches the resolver as a name
        try:
            self._waiting.put_nowait(ip)
        except queue.Full:
            return  # the next record asks again
        self._asked.add(ip)

    def _work(self) -> None:
        while (ip := self._waiting.get()) is not None:
            name = self._lookup(ip)
            with self._lock:
                self.lookups += 1
                if len(self._known) >= _MOST_KNOWN and ip not in self._known:
                    del self._known[next(iter(self._known))]  # the one known for longest
                self._known[ip] = (name, self._clock() + (self._keep if name else self._keep_failure))
                self._asked.discard(ip)

    def close(self) -> None:
        """Let the threads end after their current look-ups; does not wait for a resolver that hangs."""
        try:
            while True:
                self._waiting.get_nowait()
        except queue.Empty:
            pass
        for _ in self._threads:
            self._waiting.put(None)
