"""Fault injection: the faults of `tally-agent lab fault` and a plan's ``[[test.fault]]``, and how they end."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from socket import socket

from agent.lab import connections, control, sockets
from agent.lab.broker import BrokerError
from agent.lab.children import Child
from agent.lab.control import Answer, Fault
from agent.lab.errors import LabError
from agent.lab.keeper import BrokerKeeper
from agent.lab.ledger import Deed, Entry
from agent.lab.relay import IP_AND_UDP, PATH_MTU, Loss, Relay
from agent.messages import LabFault
from shoveler.service.tasks import start_task

_log = logging.getLogger(__name__)

NO_RELAY = (
    "there is no relay between the servers and the shovelers of this lab; start it with `tally-agent lab up --relay`"
)


@dataclass(frozen=True)
class Parts:
    """The parts of a running lab that faults can affect."""

    shovelers: Sequence[Child] = ()
    collectors: Sequence[Child] = ()
    servers: Mapping[str, tuple[Child, int]] = field(default_factory=dict)
    """By name, caches among them: the process and its TCP port."""
    caches: Sequence[str] = ()
    """Servers that no fault affects unless they are named."""
    receivers: Sequence[socket] = ()
    """The shovelers' UDP sockets."""
    broker: BrokerKeeper | None = None
    no_broker: str = ""
    """If `broker` is None: the sentence that says why."""
    relay: Relay | None = None
    largest: int = 0
    """The largest f-stream datagram that the servers send."""
    write: Callable[[Entry], None] = lambda _: None
    """Receives the lines of the injector's log."""
    changed: Callable[[], None] = lambda: None
    """Called when a fault that lasts has begun or ended."""


class Faults:
    """Injects faults into a running lab."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._dice = random.Random()
        self._mending: dict[str, asyncio.Task[None]] = {}
        self._mends: dict[str, Callable[[], None]] = {}
        self._active: dict[str, LabFault] = {}
        """By what they affect (as `_mending`; of a process, by its name): the faults that are on."""

    def active(self) -> list[LabFault]:
        """The faults that are on now, the oldest first."""
        now = time.time()
        self._active = {what: fault for what, fault in self._active.items() if not fault.until or fault.until > now}
        return sorted(self._active.values(), key=lambda fault: fault.t)

    def available(self) -> dict[str, str]:
        """By name of a fault: "" if this lab can inject it, else the sentence that says why not."""
        reasons: dict[str, str] = dict.fromkeys(control.FAULTS, "")
        if self._parts.broker is None:
            reasons |= dict.fromkeys(("broker-down", "broker-up", "broker-restart"), self._parts.no_broker)
        if self._parts.relay is None:
            reasons |= dict.fromkeys(("wire-loss", "fragment-loss"), NO_RELAY)
        elif self._parts.largest + IP_AND_UDP <= PATH_MTU:
            reasons["fragment-loss"] = (
                f"no server of this lab sends datagrams above {PATH_MTU - IP_AND_UDP} bytes, so none is "
                "fragmented; start it with `tally-agent lab up --relay --fbuff 8192`"
            )
        return reasons

    async def inject(self, fault: Fault) -> Answer:
        """Inject it now; a fault that ends later is ended in the background."""
        if reason := self.available()[fault.do] or self._wrong(fault):
            return Answer(False, reason)
        try:
            match fault.do:
                case "kill-shoveler":
                    return self._kill(fault, self._parts.shovelers)
                case "kill-collector":
                    return self._kill(fault, self._parts.collectors)
                case "kill-server" | "stop-server" | "cut-transfer":
                    return self._treat_server(fault)
                case "udp-loss" | "wire-loss" | "fragment-loss":
                    return self._lose(fault)
                case "broker-down" | "broker-restart" | "broker-up":
                    assert self._parts.broker is not None  # else it is not available
                    return await self._treat_broker(self._parts.broker, fault)
        except (BrokerError, LabError) as error:
            return Answer(False, str(error))

    async def close(self) -> None:
        """Cancel the faults that end later."""
        tasks = list(self._mending.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _wrong(self, fault: Fault) -> str:
        if fault.server and fault.do not in control.OF_A_SERVER:
            return f"{fault.do} is not a fault of a single server; leave the server out"
        if fault.server and fault.server not in self._parts.servers:
            names = list(self._parts.servers)
            return f"there is no server {fault.server} in this lab; it has {names[0]} to {names[-1]}"
        if fault.codes and fault.do not in control.LOSSES:
            return f"{fault.do} does not drop datagrams by their first byte; leave --codes out"
        if (fault.server or fault.codes) and self._parts.relay is None and fault.do in control.LOSSES:
            return f"the kernel cannot choose whose datagrams it drops: {NO_RELAY}"
        return ""

    # -- processes -------------------------------------------------------------------------------------------------

    def _kill(self, fault: Fault, children: Sequence[Child]) -> Answer:
        victims = ", ".join(f"{child.name} (pid {child.pid})" for child in children if child.pid)
        for child in children:
            child.held_until = time.monotonic() + fault.seconds
            child.kill()
        text = f"killed {victims or 'nothing, because nothing was running'}; {_again(fault.seconds)}"
        return self._done(fault, text, what=fault.do)

    def _treat_server(self, fault: Fault) -> Answer:
        running = [name for name, (child, _) in self._parts.servers.items() if child.pid]
        drawn = [name for name in running if name not in self._parts.caches]
        if fault.server and fault.server not in running:
            return Answer(False, f"{fault.server} is not running")
        if not fault.server and not drawn:
            return Answer(False, "no server is running")
        name = fault.server or self._dice.choice(drawn)
        child, port = self._parts.servers[name]
        pid = child.pid
        stod = 0 if self._parts.relay is None else self._parts.relay.stod(name)
        if fault.do == "cut-transfer":
            count = connections.cut(pid, port)
            text = f"cut {count} connection{'' if count == 1 else 's'} of {name}; its clients may reconnect"
            return self._done(fault, text, name, stod)  # it is over at once
        child.held_until = time.monotonic() + fault.seconds
        if fault.do == "kill-server":
            child.kill()
            return self._done(fault, f"killed {name} (pid {pid}); {_again(fault.seconds)}", name, stod, what=name)
        child.terminate()
        text = f"stopped {name} (pid {pid}), which drops what it has not sent yet; {_again(fault.seconds)}"
        return self._done(fault, text, name, stod, what=name)

    def _done(
        self, fault: Fault, text: str, server: str = "", stod: int = 0, *, t: float = 0.0, what: str = ""
    ) -> Answer:
        """`what`: what is affected for as long as the fault lasts; empty: it is over at once."""
        t = t or time.time()
        self._parts.write(Deed(t, fault.do, "begin", text, server, seconds=fault.seconds, stod=stod))
        if what and fault.seconds:
            self._begun(what, LabFault(fault.do, t, t + fault.seconds, server, text=text))
        elif what:
            self._over(what)
        return Answer(True, text, t)

    def _begun(self, what: str, fault: LabFault) -> None:
        self._active[what] = fault
        self._parts.changed()

    def _over(self, what: str) -> None:
        if what in self._active:
            del self._active[what]
            self._parts.changed()

    # -- losses ----------------------------------------------------------------------------------------------------

    def _lose(self, fault: Fault) -> Answer:
        self._forget(fault.do)
        if not fault.percent:
            return Answer(True, "no datagrams are dropped on purpose any more")
        dropped = [sockets.drops(receiver) for receiver in self._parts.receivers]
        relay = self._parts.relay
        if relay is not None:
            relay.lose(fault.do, Loss(fault.percent, fault.server, fault.codes))
        else:
            for receiver in self._parts.receivers:
                sockets.lose(receiver, fault.percent)
        which = f"datagrams that begin with one of {', '.join(fault.codes)}" if fault.codes else "datagrams"
        if fault.do == "fragment-loss":
            which += f" above {PATH_MTU - IP_AND_UDP} bytes"
        whose = f" of {fault.server}" if fault.server else ""
        where = ", dropped by the kernel" if fault.do == "udp-loss" else ", before the shoveler's socket"
        until = f"for {fault.seconds:g} s" if fault.seconds else f"until `{fault.do} --percent 0`"
        text = f"{fault.percent:g} % of all {which}{whose} are lost {until}{where}"

        def note(phase: str, said: str, count: int = 0) -> None:
            now = time.time()
            self._parts.write(
                Deed(now, fault.do, phase, said, fault.server, fault.percent, fault.seconds, dropped=count)
            )

        def mend() -> None:
            if relay is not None:
                relay.lose(fault.do, None)
                note("end", f"{fault.do} is over")
                return
            for receiver in self._parts.receivers:
                sockets.lose_nothing(receiver)
            now = [sockets.drops(receiver) for receiver in self._parts.receivers]
            note("end", f"{fault.do} is over", sum(now) - sum(dropped))

        note("begin", text)
        began = time.time()
        self._mends[fault.do] = mend
        ends = began + fault.seconds if fault.seconds else 0.0
        self._begun(fault.do, LabFault(fault.do, began, ends, fault.server, fault.percent, text))
        self._mend_later(fault.do, fault.seconds, self._mend_loss(fault.do))
        return Answer(True, text, began)

    def _mend_loss(self, what: str) -> Callable[[], Awaitable[object]]:
        async def mend() -> None:
            self._mends.pop(what)()

        return mend

    # -- the broker ------------------------------------------------------------------------------------------------

    async def _treat_broker(self, broker: BrokerKeeper, fault: Fault) -> Answer:
        self._forget("broker")
        if fault.do == "broker-up":
            problem = await broker.up()
            return self._done(fault, "the broker is up") if not problem else Answer(False, problem)
        if fault.do == "broker-down":
            began = time.time()
            await broker.kill()
            self._mend_later("broker", fault.seconds, broker.up)
            until = f"for {fault.seconds:g} s" if fault.seconds else "until `broker-up`"
            answer = self._done(fault, f"the broker was killed and stays down {until}", t=began)
            ends = began + fault.seconds if fault.seconds else 0.0
            self._begun("broker", LabFault(fault.do, began, ends, text=answer.text))
            return answer
        await broker.stop()
        stopped = time.time()
        if not fault.seconds:
            problem = await broker.up()
            return (
                self._done(fault, "the broker was stopped and is up again", t=stopped)
                if not problem
                else Answer(False, problem)
            )
        self._mend_later("broker", fault.seconds, broker.up)
        text = f"the broker was stopped and starts again in {fault.seconds:g} s"
        return self._done(fault, text, t=stopped, what="broker")

    def _forget(self, what: str) -> None:
        """The last fault of a kind decides when it ends; the effect of the previous one on datagrams is over."""
        if task := self._mending.pop(what, None):
            task.cancel()
        if mend := self._mends.pop(what, None):
            mend()
        self._over(what)

    def _mend_later(self, what: str, seconds: float, mend: Callable[[], Awaitable[object]]) -> None:
        async def later() -> None:
            await asyncio.sleep(seconds)
            await mend()
            self._over(what)
            _log.info("= %s has ended", what)

        if seconds:
            self._mending[what] = start_task(later(), f"mend {what}")


def _again(seconds: float) -> str:
    return f"starts again {f'in {seconds:g} s' if seconds else 'at once'}"
