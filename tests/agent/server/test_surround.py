"""What the machine says about the server on it."""

from __future__ import annotations

import asyncio
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from agent.server import surround


@pytest.mark.xrootd
async def test_a_running_server_is_found_and_asked(xrootd: Any) -> None:
    running = {one.pid: one for one in surround.running_servers()}
    port = int(xrootd.url.rpartition(":")[2])
    mine = next(one for pid, one in running.items() if surround.listens_on(pid, port))
    assert mine.config == xrootd.root.parent / "xrootd.cfg"
    assert mine.instance == "t"
    answer = await surround.ask(xrootd.url)
    assert answer.answering, answer.problem
    assert answer.version.startswith("v")
    assert not answer.problem


@pytest.mark.xrootd
async def test_without_the_python_client_xrdfs_is_asked(xrootd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surround, "xrootd_client_version", lambda: "")
    assert (await surround.ask(xrootd.url)).version.startswith("v")


@pytest.mark.xrootd
async def test_with_neither_it_is_connected_to(xrootd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surround, "xrootd_client_version", lambda: "")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    answer = await surround.ask(xrootd.url)
    assert (answer.answering, answer.version) == (True, "")
    assert "its version is not known" in answer.problem


@pytest.mark.parametrize("client", ["python", "xrdfs", "none"])
async def test_a_server_that_is_away(client: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if client != "python":
        monkeypatch.setattr(surround, "xrootd_client_version", lambda: "")
    if client == "none":
        monkeypatch.setattr(shutil, "which", lambda _: None)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        url = f"root://127.0.0.1:{s.getsockname()[1]}"
    answer = await surround.ask(url, timeout=2)
    assert not answer.answering
    assert url in answer.problem


@pytest.mark.parametrize("client", ["python", "xrdfs"])
async def test_a_server_that_accepts_and_never_answers(client: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if client != "python":
        monkeypatch.setattr(surround, "xrootd_client_version", lambda: "")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        async with asyncio.timeout(15):
            answer = await surround.ask(f"root://127.0.0.1:{s.getsockname()[1]}", timeout=1)
    assert not answer.answering
    assert answer.problem


def test_the_configuration_of_a_process_with_a_relative_name(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "x.cfg").write_text("")
    (tmp_path / "instance").mkdir()

    class Process:
        def cwd(self) -> str:
            return str(tmp_path / "instance")

    assert surround._absolute("etc/x.cfg", Process()) == tmp_path / "etc" / "x.cfg"
    assert surround._absolute("/etc/y.cfg", Process()) == Path("/etc/y.cfg")
    assert surround._absolute("gone.cfg", Process()) is None


def test_options_of_a_command_line() -> None:
    command = ["/usr/bin/xrootd", "-c", "/etc/x.cfg", "-nse1", "--x", "-k"]
    assert surround._argument(command, "-c") == "/etc/x.cfg"
    assert surround._argument(command, "-n") == "se1"
    assert surround._argument(command, "-k") == ""
    assert surround._argument(command, "-l") == ""


def test_mtu() -> None:
    assert surround.path_mtu("127.0.0.1") > 9000
    assert surround.path_mtu("no-such-host.invalid") == 1500


def test_datagrams_that_the_kernel_could_not_send(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "snmp").write_text(
        "Tcp: A\nTcp: 1\nUdp: InDatagrams NoPorts SndbufErrors\nUdp: 10 20 7\nUdpLite: InDatagrams\nUdpLite: 0\n"
    )
    (tmp_path / "net" / "snmp6").write_text("Udp6OutDatagrams 1\nUdp6SndbufErrors                \t5\n")
    assert surround.unsent_datagrams(tmp_path) == 12
    assert surround.unsent_datagrams(tmp_path / "nowhere") == 0
    assert surround.unsent_datagrams() >= 0
