"""Faults on request: what `tally-agent lab fault` and a plan's ``[[test.fault]]`` break, and how it is mended."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from socket import socket

from agent.lab import sockets
from agent.lab.broker import BrokerError
from agent.lab.children import Child
from agent.lab.control import Answer, Fault
from agent.lab.keeper import BrokerKeeper

_log = logging.getLogger(__name__)


class Faults:
    """Acts on the parts of one lab that is up. `broker` None: `no_broker` is the sentence that says why not."""

    def __init__(
        self,
        shovelers: Sequence[Child],
        collectors: Sequence[Child],
        receivers: Sequence[socket],
        broker: BrokerKeeper | None,
        no_broker: str,
    ) -> None:
        self._shovelers = shovelers
        self._collectors = collectors
        self._receivers = receivers
        self._broker = broker
        self._no_broker = no_broker
        self._mending: dict[str, asyncio.Task[None]] = {}

    async def inject(self, fault: Fault) -> Answer:
        """Break it now; what is to be mended later is mended in the background."""
        match fault.do:
            case "kill-shoveler":
                return self._kill(self._shovelers, fault.seconds)
            case "kill-collector":
                return self._kill(self._collectors, fault.seconds)
            case "udp-loss":
                return self._lose(fault)
            case "broker-down" | "broker-restart" | "broker-up":
                if self._broker is None:
                    return Answer(False, self._no_broker)
                try:
                    return await self._treat_broker(self._broker, fault)
                except BrokerError as error:
                    return Answer(False, str(error))

    async def close(self) -> None:
        """Give up what was to be mended later."""
        tasks = list(self._mending.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _kill(self, children: Sequence[Child], seconds: float) -> Answer:
        victims = ", ".join(f"{child.name} (pid {child.pid})" for child in children if child.pid)
        for child in children:
            child.held_until = time.monotonic() + seconds
            child.kill()
        back = f"in {seconds:g} s" if seconds else "at once"
        return Answer(True, f"killed {victims or 'nothing, since nothing was running'}; starts again {back}")

    def _lose(self, fault: Fault) -> Answer:
        self._forget("udp")
        for receiver in self._receivers:
            sockets.lose_nothing(receiver)
            if fault.percent:
                sockets.lose(receiver, fault.percent)
        if not fault.percent:
            return Answer(True, "no datagram is lost on purpose any more")
        self._mend_later("udp", fault.seconds, self._lose_nothing)
        until = f"for {fault.seconds:g} s" if fault.seconds else "until `udp-loss --percent 0`"
        return Answer(True, f"{fault.percent:g} % of all datagrams are lost {until}")

    async def _lose_nothing(self) -> None:
        for receiver in self._receivers:
            sockets.lose_nothing(receiver)

    async def _treat_broker(self, broker: BrokerKeeper, fault: Fault) -> Answer:
        self._forget("broker")
        if fault.do == "broker-up":
            problem = await broker.up()
            return Answer(not problem, problem or "the broker is up")
        if fault.do == "broker-down":
            await broker.kill()
            self._mend_later("broker", fault.seconds, broker.up)
            until = f"for {fault.seconds:g} s" if fault.seconds else "until `broker-up`"
            return Answer(True, f"the broker was killed and stays down {until}")
        await broker.stop()
        if not fault.seconds:
            problem = await broker.up()
            return Answer(not problem, problem or "the broker was stopped and is up again")
        self._mend_later("broker", fault.seconds, broker.up)
        return Answer(True, f"the broker was stopped and starts again in {fault.seconds:g} s")

    def _forget(self, what: str) -> None:
        """The last fault of a kind decides when it is mended."""
        if task := self._mending.pop(what, None):
            task.cancel()

    def _mend_later(self, what: str, seconds: float, mend: Callable[[], Awaitable[object]]) -> None:
        async def later() -> None:
            await asyncio.sleep(seconds)
            await mend()
            _log.info("= %s is mended", what)

        if seconds:
            self._mending[what] = asyncio.get_running_loop().create_task(later(), name=f"mend {what}")
