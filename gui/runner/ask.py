"""Asks all shovelers and collectors on the bus for a status message now, instead of within five seconds."""

from __future__ import annotations

import contextlib
import logging
import threading
import time

from shoveler.bus import BusAddress, BusError, BusOptions, Outgoing, Publisher, open_publisher
from shoveler.service import ASK

log = logging.getLogger("tally.runner")

CONFIRM_SECONDS = 2.0


class Asker:
    """Publishes the request on the status exchange. Blocking; any thread may ask."""

    def __init__(self, address: BusAddress, *, exchange: str, writer: str, options: BusOptions) -> None:
        self._address = address
        self._exchange = exchange
        self._writer = writer
        self._options = options
        self._lock = threading.Lock()
        self._publisher: Publisher | None = None

    def ask(self) -> bool:
        """Ask. False if the bus is unreachable; no answer could arrive then either."""
        with self._lock:
            for last_try in (False, True):
                fresh = self._publisher is None
                try:
                    if self._publisher is None:
                        self._publisher = open_publisher(
                            self._address, exchange=self._exchange, writer=self._writer, options=self._options
                        )
                    self._publisher.send([Outgoing(b"{}", f"ask-{time.time_ns()}", ASK)])
                    self._publisher.outcomes(CONFIRM_SECONDS)
                except BusError as error:
                    self._close()
                    if last_try or fresh:  # an old connection may have broken unnoticed
                        log.debug("= daemons could not be asked for their status: %s", error)
                        return False
                else:
                    return True
        return False

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._publisher is not None:
            with contextlib.suppress(BusError):
                self._publisher.close()
            self._publisher = None
