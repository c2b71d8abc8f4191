from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO

import pytest

from agent.lab import sockets
from agent.lab.broker import PrivateBroker
from agent.lab.children import Child
from agent.lab.control import Answer, Fault
from agent.lab.faults import Faults, Parts
from agent.lab.keeper import BrokerKeeper
from agent.lab.ledger import Deed, Entry
from agent.lab.relay import Relay


def spawn(log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "60"], stdout=log, stderr=log)


@pytest.fixture
async def child(tmp_path: Path) -> AsyncIterator[Child]:
    child = Child("shoveler-1", "shoveler", tmp_path / "log", spawn)
    asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, child.reap)
    child.start()
    yield child
    await child.end(1.0)
    asyncio.get_running_loop().remove_signal_handler(signal.SIGCHLD)


async def test_a_killed_daemon_is_held_back_as_long_as_the_fault_lasts(child: Child) -> None:
    pid = child.pid
    before = time.monotonic()
    answer = await Faults(Parts(shovelers=[child])).inject(Fault("kill-shoveler", 20))
    assert (answer.ok, answer.text) == (True, f"killed shoveler-1 (pid {pid}); starts again in 20 s")
    await asyncio.wait_for(child.ended.wait(), 60)
    assert child.how_it_ended == "signal 9"
    assert child.held_until - before >= 20


async def test_nothing_to_kill_is_said() -> None:
    answer = await Faults(Parts()).inject(Fault("kill-collector"))
    assert (answer.ok, answer.text) == (True, "killed nothing, because nothing was running; starts again at once")


@pytest.mark.parametrize("do", ["broker-down", "broker-up", "broker-restart"])
async def test_a_broker_that_is_not_ours_is_not_touched(do: str) -> None:
    faults = Faults(Parts(no_broker="the broker was given"))
    assert await faults.inject(Fault(do)) == Answer(False, "the broker was given")  # type: ignore[arg-type]


async def test_lost_datagrams_come_again_after_the_time() -> None:
    with sockets.receive_socket() as receiver, sockets.receive_socket() as sender:
        faults = Faults(Parts(receivers=[receiver]))
        answer = await faults.inject(Fault("udp-loss", seconds=0.05, percent=100))
        assert (answer.ok, answer.text) == (True, "100 % of all datagrams are lost for 0.05 s, dropped by the kernel")
        sender.sendto(b"lost", receiver.getsockname())
        receiver.settimeout(0.02)
        deadline = time.monotonic() + 10
        while True:
            sender.sendto(b"again", receiver.getsockname())
            try:
                assert receiver.recv(100) == b"again"
                break
            except TimeoutError:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)
        await faults.close()


async def test_the_last_loss_asked_for_decides() -> None:
    with sockets.receive_socket() as receiver, sockets.receive_socket() as sender:
        faults = Faults(Parts(receivers=[receiver]))
        await faults.inject(Fault("udp-loss", percent=100))
        answer = await faults.inject(Fault("udp-loss", percent=0))
        assert (answer.ok, answer.text) == (True, "no datagrams are dropped on purpose any more")
        sender.sendto(b"there", receiver.getsockname())
        receiver.settimeout(5)
        assert receiver.recv(100) == b"there"
        await faults.close()


class PaperBroker(PrivateBroker):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self._up = True

    @property
    def pid(self) -> int | None:
        return 4_000_000 if self._up else None  # above every pid there can be

    @property
    def pids(self) -> list[int]:
        return []

    def start(self, timeout: float = 60.0) -> None:
        self.told.append("start")
        self._up = True

    def stop(self, timeout: float = 20.0) -> None:
        self.told.append("stop")
        self._up = False

    def kill(self) -> None:
        self.told.append("kill")
        self._up = False


async def test_what_the_broker_is_told() -> None:
    broker = PaperBroker()
    keeper = BrokerKeeper(broker, 60, lambda: None)
    faults = Faults(Parts(broker=keeper))

    answer = await faults.inject(Fault("broker-down"))
    assert (answer.ok, answer.text) == (True, "the broker was killed and stays down until `broker-up`")
    assert (await faults.inject(Fault("broker-up"))).text == "the broker is up"
    answer = await faults.inject(Fault("broker-restart"))
    assert (answer.ok, answer.text) == (True, "the broker was stopped and is up again")
    assert broker.told == ["kill", "start", "stop", "start"]
    assert keeper.restarts == 2

    answer = await faults.inject(Fault("broker-restart", seconds=0.01))
    assert (answer.ok, answer.text) == (True, "the broker was stopped and starts again in 0.01 s")
    async with asyncio.timeout(60):
        while broker.told[4:] != ["stop", "start"]:  # noqa: ASYNC110 - another thread's doing
            await asyncio.sleep(0.01)

    answer = await faults.inject(Fault("broker-down", seconds=60))
    assert (answer.ok, answer.text) == (True, "the broker was killed and stays down for 60 s")
    await faults.close()
    assert broker.told[6:] == ["kill"]
    assert await keeper.end() == []


class Log(list[Entry]):
    """What the injector wrote down."""

    @property
    def deeds(self) -> list[tuple[str, str, str, float]]:
        return [(e.fault, e.phase, e.server, e.percent) for e in self if isinstance(e, Deed)]


@pytest.mark.parametrize(
    ("do", "how", "said"), [("kill-server", "signal 9", "killed"), ("stop-server", "signal 15", "stopped")]
)
async def test_a_server_ends_and_the_log_says_which(child: Child, do: str, how: str, said: str) -> None:
    log, pid = Log(), child.pid
    faults = Faults(Parts(servers={"s01": (child, 1), "c01": (child, 2)}, caches=["c01"], write=log.append))
    answer = await faults.inject(Fault(do, 20))  # type: ignore[arg-type]
    assert answer.ok
    assert answer.text.startswith(f"{said} s01 (pid {pid})")
    await asyncio.wait_for(child.ended.wait(), 60)
    assert child.how_it_ended == how
    assert log.deeds == [(do, "begin", "s01", 0.0)]
    again = await faults.inject(Fault(do, server="s01"))  # type: ignore[arg-type]
    assert again == Answer(False, "s01 is not running")


async def test_connections_of_a_server_without_any(child: Child) -> None:
    faults = Faults(Parts(servers={"s01": (child, 1)}))
    answer = await faults.inject(Fault("cut-transfer"))
    assert (answer.ok, answer.text) == (True, "cut 0 connections of s01; its clients may reconnect")


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault("wire-loss"), "there is no relay between the servers and the shovelers of this lab; start it with"),
        (Fault("fragment-loss"), "there is no relay"),
        (Fault("udp-loss", server="s01"), "the kernel cannot choose whose datagrams it drops: there is no relay"),
        (Fault("kill-shoveler", server="s01"), "kill-shoveler is not a fault of a single server"),
        (Fault("kill-server", server="s09"), "there is no server s09 in this lab; it has s01 to s01"),
        (Fault("kill-server", codes="u"), "kill-server does not drop datagrams by their first byte"),
    ],
)
async def test_what_this_lab_cannot_do_is_said(child: Child, fault: Fault, says: str) -> None:
    answer = await Faults(Parts(servers={"s01": (child, 1)})).inject(fault)
    assert not answer.ok
    assert answer.text.startswith(says)


async def test_what_is_available_is_told_beforehand() -> None:
    relay = Relay(lambda _: None)
    assert Faults(Parts()).available()["wire-loss"].startswith("there is no relay")
    assert Faults(Parts(relay=relay, largest=1400)).available()["fragment-loss"].startswith("no server of this lab")
    whole = Faults(Parts(relay=relay, largest=1473, no_broker="no broker")).available()
    assert {name: reason for name, reason in whole.items() if reason} == dict.fromkeys(
        ("broker-down", "broker-up", "broker-restart"), "no broker"
    )
    relay.close()


async def test_a_loss_of_the_kernel_is_counted_when_nobody_knows_which_it_was() -> None:
    log = Log()
    with sockets.receive_socket() as receiver, sockets.receive_socket() as sender:
        faults = Faults(Parts(receivers=[receiver], write=log.append))
        await faults.inject(Fault("udp-loss", percent=100))
        for _ in range(7):
            sender.sendto(b"lost", receiver.getsockname())
        await faults.inject(Fault("udp-loss", percent=0))
    assert log.deeds == [("udp-loss", "begin", "", 100.0), ("udp-loss", "end", "", 100.0)]
    assert [entry.dropped for entry in log if isinstance(entry, Deed)] == [0, 7]


async def test_the_faults_that_are_on_are_told_until_they_are_over(
    child: Child, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[list[str]] = []
    broker = PaperBroker()
    keeper = BrokerKeeper(broker, 60, lambda: None)
    with sockets.receive_socket() as receiver:
        parts = Parts(
            receivers=[receiver],
            broker=keeper,
            shovelers=[child],
            changed=lambda: told.append([fault.do for fault in faults.active()]),
        )
        faults = Faults(parts)
        assert faults.active() == []
        answer = await faults.inject(Fault("udp-loss", seconds=60, percent=2))
        (loss,) = faults.active()
        assert (loss.do, loss.t, loss.until, loss.percent, loss.text) == (
            "udp-loss", answer.t, answer.t + 60, 2.0, answer.text
        )  # fmt: skip
        await faults.inject(Fault("broker-down"))
        assert [(fault.do, fault.until) for fault in faults.active()][1:] == [("broker-down", 0.0)]
        await faults.inject(Fault("kill-shoveler", 30))
        await faults.inject(Fault("broker-up"))
        await faults.inject(Fault("udp-loss", percent=0))
        await faults.inject(Fault("broker-restart"))
        assert [fault.do for fault in faults.active()] == ["kill-shoveler"], "what is over at once is never on"
        assert told == [
            ["udp-loss"], ["udp-loss", "broker-down"], ["udp-loss", "broker-down", "kill-shoveler"],
            ["udp-loss", "kill-shoveler"], ["kill-shoveler"],
        ]  # fmt: skip
        await faults.inject(Fault("udp-loss", seconds=0.01))
        async with asyncio.timeout(60):
            while len(told) < 7:  # noqa: ASYNC110 - a task of the faults' own
                await asyncio.sleep(0.01)
        assert told[5:] == [["kill-shoveler", "udp-loss"], ["kill-shoveler"]]
        later = time.time() + 31
        monkeypatch.setattr("agent.lab.faults.time.time", lambda: later)
        assert faults.active() == [], "nobody says when a daemon is back: it is over at its time"
        await faults.close()
    assert await keeper.end() == []
