"""What the machine says about the server on it."""

from __future__ import annotations

import asyncio
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from agent.server import surround
from agent.server.monitor import Destination
from agent.workloads.inquiry import Heard


async def asked(url: str, timeout: float = 10.0) -> Heard:
    """The answer of one server."""
    (answer,) = [heard async for heard in surround.ask([url], timeout)]
    return answer


@pytest.mark.xrootd
async def test_a_running_server_is_found_and_asked(xrootd: Any) -> None:
    running = {one.pid: one for one in surround.running_servers()}
    port = int(xrootd.url.rpartition(":")[2])
    mine = next(one for pid, one in running.items() if pid in surround.listeners()[port])
    assert mine.config == xrootd.root.parent / "xrootd.cfg"
    assert mine.instance == "t"
    answer = await asked(xrootd.url)
    assert answer.answering, answer.problem
    assert answer.version.startswith("v")
    assert not answer.problem


@pytest.mark.xrootd
async def test_without_the_python_client_xrdfs_is_asked(xrootd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surround, "xrootd_client_version", lambda: "")
    assert (await asked(xrootd.url)).version.startswith("v")


@pytest.mark.xrootd
async def test_with_neither_it_is_connected_to(xrootd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surround, "xrootd_client_version", lambda: "")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    answer = await asked(xrootd.url)
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
    answer = await asked(url, timeout=2)
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
            answer = await asked(f"root://127.0.0.1:{s.getsockname()[1]}", timeout=1)
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


def test_what_the_kernel_dropped_is_counted_for_each_socket(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when … uid timeout inode ref pointer drops\n"
    (tmp_path / "net" / "udp").write_text(
        head
        + " 1: 0100007F:23A1 00000000:0000 07 00000000:00000240 00:00000000 00000000     0        0 1 2 0 17\n"
        + " 2: 00000000:23A1 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0 3\n"
        + " 3: 0100007F:23A1 0100007F:0035 01 00000000:00000000 00:00000000 00000000     0        0 1 2 0 99\n"
        + " 4: garbage\n"
    )
    (tmp_path / "net" / "udp6").write_text(
        head
        + " 1: 00000000000000000000000001000000:23A1 00000000000000000000000000000000:0000 07 0:10 00:0 0 0 0 1 2 0 5\n"
    )
    found = surround.udp_sockets(tmp_path)
    assert [(one.address, one.drops, one.waiting) for _, _, one in found] == [
        ("127.0.0.1:9121", 17, 576), ("0.0.0.0:9121", 3, 0), ("[::1]:9121", 5, 16),
    ]  # fmt: skip
    assert surround.udp_sockets(tmp_path / "no") == []

    def at(address: str) -> list[str]:
        return [one.address for one in surround.sockets_at([Destination([], address)], found)]

    assert at("127.0.0.1:9121") == ["127.0.0.1:9121", "0.0.0.0:9121"]
    assert at("[::1]:9121") == ["[::1]:9121"]
    assert at("192.0.2.1:9121") == [], "on another machine"
    assert at("127.0.0.1:9122") == at("mon.example.invalid:9121") == at("nonsense") == []


def test_the_drops_of_a_real_socket_are_seen() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as full, socket.socket(type=socket.SOCK_DGRAM) as sender:
        full.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        full.bind(("127.0.0.1", 0))
        for _ in range(100):
            sender.sendto(b"x" * 1000, full.getsockname())
        address = f"127.0.0.1:{full.getsockname()[1]}"
        mine = next(one for _, _, one in surround.udp_sockets() if one.address == address)
    assert 50 < mine.drops < 100
    assert mine.waiting > 0
