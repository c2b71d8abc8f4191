"""Receiving requests on the bus, beside a program's other work: cheap to check, and never in its way.

A request is any message on a routing key; several that arrive together count as one. Whatever is wrong with the bus,
the program continues as if there were no request, and this tries again later: a user without permission to declare a
queue is no reason to stop working.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from shoveler.bus.messages import BusError, BusRefusedError, Consumer

_log = logging.getLogger(__name__)

_LOOK_EVERY = 0.1
_ANSWER_EVERY = 0.2
"""Seconds between two answers: more frequent requests get one answer for several."""
_AGAIN = 10.0
_REFUSED_AGAIN = 300.0
_MANY = 1000


class Requests:
    """Belongs to one thread."""

    def __init__(
        self, connect: Callable[[], Consumer], what: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`connect` opens a subscription (`open_subscription`); `what` names what is requested, for the log."""
        self._connect = connect
        self._what = what
        self._clock = clock
        self._consumer: Consumer | None = None
        self._asked = False
        self._look = self._answer = self._try = float("-inf")

    def due(self, *, connected: bool = True) -> bool:
        """Whether there is a request to answer now. `connected`: whether the caller knows the bus to be available, so
        that connecting does not wait in vain."""
        now = self._clock()
        if now >= self._look + _LOOK_EVERY:
            self._look = now
            self._hear(now, connected)
        if not self._asked or now < self._answer + _ANSWER_EVERY:
            return False
        self._asked, self._answer = False, now
        return True

    def _hear(self, now: float, connected: bool) -> None:
        try:
            if self._consumer is None:
                if not connected or now < self._try:
                    return
                self._consumer = self._connect()
            messages = self._consumer.take(_MANY, 0.0)
            if messages:
                self._consumer.acknowledge(messages[-1].delivery)
                self._asked = True
            if self._consumer.token_changed():
                self.close()
        except BusError as error:
            self.close()
            refused = isinstance(error, BusRefusedError)
            self._try = now + (_REFUSED_AGAIN if refused else _AGAIN)
            _log.log(logging.INFO if refused else logging.DEBUG, "= cannot be asked for %s: %s", self._what, error)

    def close(self) -> None:
        """Receive nothing more, until `due` is called again."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None
