"""Summary reports of the servers (``xrd.report HOST:PORT every 30s all``), when they are sent to the agent."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable

from agent.messages import MAX_SERVERS
from agent.server.statistics import MAX_TEXT, Counters, counters_in
from shoveler.service import Address

_log = logging.getLogger(__name__)


class Summaries(asyncio.DatagramProtocol):
    """The newest counters of each server process that reports here, and when they came; of so many processes as an
    agent can have servers."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._newest: OrderedDict[tuple[int, int, int], tuple[float, Counters]] = OrderedDict()
        self.rejected = 0
        """Datagrams without counters."""

    def datagram_received(self, data: bytes, addr: object) -> None:
        counters = counters_in(data[:MAX_TEXT].decode("utf-8", "replace"))
        if counters is None:
            self.rejected += 1
            _log.debug("< %s sent a datagram that is no summary report (%d so far)", addr, self.rejected)
            return
        key = counters.port, counters.pid, counters.started
        self._newest[key] = self._clock(), counters
        self._newest.move_to_end(key)
        while len(self._newest) > MAX_SERVERS:
            self._newest.popitem(last=False)

    def of(self, process: tuple[int, int, int] | None, port: int) -> tuple[float, Counters] | None:
        """The newest of this process; without one, the newest of any process at this port."""
        if process is not None and process in self._newest:
            return self._newest[process]
        return next((one for key, one in reversed(self._newest.items()) if key[0] == port), None)


async def listen(address: Address, summaries: Summaries) -> asyncio.DatagramTransport:
    """Receive them at this address. Raises OSError."""
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: summaries, local_addr=(address.host, address.port)
    )
    return transport
