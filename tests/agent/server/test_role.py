"""The server agent in session."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

import pytest

from agent.messages import Ask, Heartbeat, ServerReport
from agent.server import ServerRole, surround
from agent.server import role as role_module


@pytest.mark.xrootd
async def test_reports_what_it_sees(
    hub: Any, linked: Any, xrootd: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(role_module, "LOOK_SECONDS", 0.2)
    config = tmp_path / "xrootd.cfg"
    config.write_text("all.sitename SITE-A\n")
    role = ServerRole(name="s1", labels=["EU"], server=xrootd.url, config=config)
    async with linked(hub, role, "s1", "server"):
        report = await hub.next(ServerReport)
        assert (report.server, report.answering, report.site) == (xrootd.url, True, "SITE-A")
        assert report.xrootd.startswith("v")
        assert report.config_file == str(config)
        assert "sends no monitoring at all" in report.findings[0].what
        assert report.monitor_line == ""

        # Nothing changes: nothing is said. It changes: that is said.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{s.getsockname()[1]}"
            line = f"xrootd.monitor all auth ident 5m fstat 2s lfn ops xfr 1 dest fstat info user {address}"
            config.write_text(f"all.sitename SITE-A\n{line}\n")
            better = await hub.next(ServerReport, monitor_line=line)
            assert better.findings == []
            assert better.mtu > 9000
        assert len([m for m in hub.received if isinstance(m, ServerReport)]) <= 3

        before = time.time()
        await hub.say(Ask("report"))
        await hub.until(lambda: any(isinstance(m, ServerReport) and m.t >= before for m in hub.received), "report")
        await hub.say(Ask("time"))
        await hub.until(lambda: any(isinstance(m, Heartbeat) and m.t >= before for m in hub.received), "heartbeat")
    claims, register = hub.registrations[0]
    assert (claims["scope"], claims["sub"]) == ("agent:server", "s1")
    assert (register.role, register.server, register.labels) == ("server", xrootd.url, ["EU"])


@pytest.mark.xrootd
async def test_finds_the_server_by_its_port(xrootd: Any) -> None:
    report = await ServerRole(name="s1", labels=[], server=xrootd.url, config=None).look()
    assert report.config_file == str(xrootd.root.parent / "xrootd.cfg")
    assert report.instance == "t"


@pytest.mark.parametrize(("version", "severity"), [("v5.5.3", ["error"]), ("v5.8.1", []), ("", ["warning"])])
async def test_its_configuration_is_judged_for_the_release_that_it_says_it_is(
    version: str, severity: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer(_server: str) -> surround.Answer:
        return surround.Answer(True, version)

    monkeypatch.setattr(surround, "ask", answer)
    config = tmp_path / "xrootd.cfg"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        to = f"127.0.0.1:{s.getsockname()[1]}"
        config.write_text(
            f"xrootd.monitor all auth ident 5m fstat 2s lfn ops xfr 1 dest fstat info throttle user {to}\n"
        )
        report = await ServerRole(name="s1", labels=[], server="root://s1:1094", config=config).look()
    assert [finding.severity for finding in report.findings if "throttle" in finding.what] == severity


async def test_a_server_that_is_away_and_no_configuration() -> None:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        url = f"root://127.0.0.1:{s.getsockname()[1]}"
    report = await ServerRole(name="s1", labels=[], server=url, config=Path("/no/such.cfg")).look()
    assert not report.answering
    assert report.findings[0].what.startswith(f"{url} does not answer: ")
    assert report.findings[1].what == (
        "The server's configuration /no/such.cfg cannot be read: No such file or directory."
    )
