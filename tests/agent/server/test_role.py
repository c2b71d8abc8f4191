"""The server agent in session."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from agent.messages import MAX_SERVERS, Ask, Heartbeat, ServerReport
from agent.server import Beside, ServerRole, surround
from agent.server import role as role_module
from agent.workloads.inquiry import Heard
from shoveler.service import Address, Counts, Health, MonitorServer, new_registry


def one(server: str, config: Path | None = None) -> ServerRole:
    return ServerRole(name="s1", labels=["EU"], beside=[Beside(server, config)])


async def report_of(role: ServerRole) -> ServerReport:
    (report,) = await role.look()
    return report


@pytest.mark.xrootd
async def test_reports_what_it_sees(
    hub: Any, linked: Any, xrootd: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(role_module, "LOOK_SECONDS", 0.2)
    config = tmp_path / "xrootd.cfg"
    config.write_text("all.sitename SITE-A\n")
    role = one(xrootd.url, config)
    async with linked(hub, role, "s1", "server"):
        report = await hub.next(ServerReport)
        assert (report.server, report.answering, report.site) == (xrootd.url, True, "SITE-A")
        assert report.xrootd.startswith("v")
        assert report.config_file == str(config)
        assert "sends no monitoring at all" in report.findings[0].what
        assert report.monitor_line == ""
        assert report.throughput.connections > 0

        # Nothing changes: nothing is said. It changes: that is said.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{s.getsockname()[1]}"
            line = f"xrootd.monitor all auth ident 5m fstat 2s lfn ops xfr 1 dest fstat info user {address}"
            config.write_text(f"all.sitename SITE-A\n{line}\n")
            better = await hub.next(ServerReport, monitor_line=line)
            assert better.findings == []
            assert better.mtu > 9000
            assert [(one.address, one.drops) for one in better.sockets] == [(address, 0)]
        moved = {m.throughput.sent_total for m in hub.received if isinstance(m, ServerReport)}
        assert len([m for m in hub.received if isinstance(m, ServerReport)]) <= 3 + len(moved)

        before = time.time()
        await hub.say(Ask("report"))
        await hub.until(lambda: any(isinstance(m, ServerReport) and m.t >= before for m in hub.received), "report")
        await hub.say(Ask("time"))
        await hub.until(lambda: any(isinstance(m, Heartbeat) and m.t >= before for m in hub.received), "heartbeat")
    claims, register = hub.registrations[0]
    assert (claims["scope"], claims["sub"]) == ("agent:server", "s1")
    assert (register.role, register.server, register.labels) == ("server", xrootd.url, ["EU"])
    assert register.servers == [xrootd.url]


@pytest.mark.xrootd
async def test_one_agent_stands_beside_many_servers(
    hub: Any, linked: Any, start_xrootd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is found by its port, and judged by its own configuration; one that is ended is told of at once, and the
    others go on."""
    monkeypatch.setattr(role_module, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(surround, "ANSWER_SECONDS", 1.0)
    servers = [start_xrootd(f"s{n}", f"all.sitename SITE-{n}\n") for n in (1, 2)]
    servers.append(start_xrootd("s3", "all.sitename SITE-3\n", words=""))
    role = ServerRole(name="all", labels=[], beside=[Beside(server.url) for server in servers])
    async with linked(hub, role, "all", "server"):
        for number, server in enumerate(servers, 1):
            report = await hub.next(ServerReport, server=server.url)
            assert (report.answering, report.site, report.instance) == (True, f"SITE-{number}", f"s{number}")
            assert any(finding.severity == "error" for finding in report.findings) == (number == 3)
            assert number == 3 or report.sockets, "the kernel's counters of the socket at which its datagrams arrive"
        servers[1].process.kill()
        servers[1].process.wait()
        gone = await hub.next(ServerReport, server=servers[1].url, answering=False)
        assert gone.findings[0].what.startswith(f"{servers[1].url} does not answer: ")
        await hub.say(Ask("report"))
        await hub.next(ServerReport, server=servers[0].url, answering=True)
    assert hub.registrations[0][1].servers == [server.url for server in servers]
    assert role.figures() == {"server_answering": 0.0, "servers": 3, "servers_answering": 2}


@pytest.mark.xrootd
async def test_a_servers_own_throughput_is_what_was_read_from_it(xrootd: Any) -> None:
    """XRootD counts the bytes of a connection when it ends."""
    xrootd.add("/store/own", 3_000_000)
    role = one(xrootd.url)
    before = (await report_of(role)).throughput
    assert before.seconds == 0
    await asyncio.to_thread(subprocess.run, [sys.executable, "-c", READ, f"{xrootd.url}//store/own"], check=True)
    async with asyncio.timeout(60):
        while (after := (await report_of(role)).throughput).sent_total < 3_000_000:
            before = after
            await asyncio.sleep(0.1)
    moved = after.sent_total - before.sent_total
    assert 3_000_000 <= moved < 3_100_000
    assert after.sent == pytest.approx(moved / after.seconds)


READ = """
import sys
from XRootD import client
with client.File() as file:
    assert file.open(sys.argv[1])[0].ok
    assert len(file.read()[1]) == 3_000_000
    if len(sys.argv) > 2:
        print("read", flush=True)
        sys.stdin.read()
"""


@pytest.mark.xrootd
async def test_summary_reports_tell_what_goes_through_open_connections(
    hub: Any, linked: Any, start_xrootd: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        address = Address("127.0.0.1", s.getsockname()[1])
    server = start_xrootd("s1", f"xrd.report {address} every 1s all sync\n")
    server.add("/store/own", 3_000_000)

    async def silent(servers: Sequence[str], _timeout: float = 0) -> AsyncIterator[Heard]:
        for url in servers:
            yield Heard(url, True, "v5.5.3")

    monkeypatch.setattr(surround, "ask", silent)
    monkeypatch.setattr(role_module, "LOOK_SECONDS", 0.2)
    role = ServerRole(name="s", labels=[], beside=[Beside(server.url)], summaries=address)
    reading = await asyncio.create_subprocess_exec(
        sys.executable, "-c", READ, f"{server.url}//store/own", "stay", stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        async with linked(hub, role, "s", "server"):
            assert await reading.stdout.readline() == b"read\n"
            await hub.until(lambda: any(_sent(m) >= 3_000_000 for m in hub.received), "a summary report")
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.sendto(b"\xff" * 60_000, (address.host, address.port))
            await eventually(lambda: role._summaries.rejected, "what is none is counted")
            second = ServerRole(name="t", labels=[], beside=[Beside(server.url)], summaries=address)
            await second._receive_summaries()
            assert "name another address with --summaries" in second.broken.result()
    finally:
        await reading.communicate(b"")
        await role.close()


def _sent(message: object) -> int:
    throughput = message.throughput if isinstance(message, ServerReport) else None
    return throughput.sent_total if throughput is not None and throughput.by == "summary" else 0


@pytest.mark.xrootd
async def test_the_shoveler_beside_a_server_is_reported(xrootd: Any) -> None:
    registry, health = new_registry(), Health()
    Counts(registry, "shoveler_packets_received", "d").set(12)
    monitor = MonitorServer(Address("127.0.0.1", 0), registry, health)
    try:
        address = monitor.address
        assert address is not None
        role = ServerRole(name="s", labels=[], beside=[Beside(xrootd.url)], daemons=[address])
        first = await report_of(role)
        health.problem("spool", "the disk is full")
        second = await report_of(role)
    finally:
        monitor.close()
    assert [(one.kind, one.healthy, one.counts) for one in first.daemons] == [("shoveler", True, {"received": 12.0})]
    assert second.daemons[0].problem == "spool: the disk is full"
    assert role_module._differ(first, second)
    assert not role_module._differ(first, first)


@pytest.mark.xrootd
async def test_finds_the_server_by_its_port(xrootd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    report = await report_of(one(xrootd.url))
    assert report.config_file == str(xrootd.root.parent / "xrootd.cfg")
    assert report.instance == "t"
    monkeypatch.setattr(surround, "listeners", dict)
    assert (await report_of(one(xrootd.url))).instance == "t", "by its file, where we may not see who listens"


@pytest.mark.xrootd
async def test_without_an_address_it_stands_beside_all_that_run(start_xrootd: Any) -> None:
    servers = [start_xrootd("s1"), start_xrootd("s2")]
    found = {report.instance: report for report in await ServerRole(name="s", labels=[]).look()}
    for name, server in zip(("s1", "s2"), servers, strict=True):
        assert found[name].server.rpartition(":")[2] == server.url.rpartition(":")[2]


@pytest.mark.parametrize(("version", "severity"), [("v5.5.3", ["error"]), ("v5.8.1", []), ("", ["warning"])])
async def test_its_configuration_is_judged_for_the_release_that_it_says_it_is(
    version: str, severity: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer(servers: Sequence[str], _timeout: float = 0) -> AsyncIterator[Heard]:
        for url in servers:
            yield Heard(url, True, version)

    monkeypatch.setattr(surround, "ask", answer)
    config = tmp_path / "xrootd.cfg"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        to = f"127.0.0.1:{s.getsockname()[1]}"
        config.write_text(
            f"xrootd.monitor all auth ident 5m fstat 2s lfn ops xfr 1 dest fstat info throttle user {to}\n"
        )
        report = await report_of(one("root://s1:1094", config))
    assert [finding.severity for finding in report.findings if "throttle" in finding.what] == severity


async def test_a_server_that_is_away_and_no_configuration() -> None:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        url = f"root://127.0.0.1:{s.getsockname()[1]}"
    report = await report_of(one(url, Path("/no/such.cfg")))
    assert not report.answering
    assert report.findings[0].what.startswith(f"{url} does not answer: ")
    assert report.findings[1].what == (
        "The server's configuration /no/such.cfg cannot be read: No such file or directory."
    )


async def test_five_hundred_servers_are_as_many_as_one_agent_looks_at(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(servers: Sequence[str], _timeout: float = 0) -> AsyncIterator[Heard]:
        for url in servers:
            yield Heard(url, False, problem="away")

    monkeypatch.setattr(surround, "ask", answer)
    role = ServerRole(name="s", labels=[], beside=[Beside(f"root://s{n}.example.org:1094") for n in range(600)])
    assert len(await role.look()) == MAX_SERVERS == len(role.details().servers)
