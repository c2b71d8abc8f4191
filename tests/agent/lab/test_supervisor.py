"""Whole labs of real XRootD servers; our own daemons are stand-ins."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.lab import cli, control, ledger, supervisor
from agent.lab.errors import LabError
from agent.lab.options import LabOptions
from agent.lab.pids import alive
from tests.waiting import until

pytestmark = pytest.mark.xrootd

STAND_IN = Path(__file__).with_name("stand_in.py")
Lab = Any  # of conftest.py


def taken(lab: Lab, shoveler: str = "shoveler-1") -> list[bytes]:
    return (lab.directory / "spool" / shoveler / "taken").read_bytes().splitlines()


def xrdfs(server: str, *command: str) -> subprocess.CompletedProcess[str]:
    arguments = ["xrdfs", server.removeprefix("root://"), *command]
    # A server that is not up yet is asked again by the test: the client itself would wait for two minutes.
    patience = {"XRD_CONNECTIONWINDOW": "2", "XRD_CONNECTIONRETRY": "1"}
    return subprocess.run(arguments, check=False, capture_output=True, text=True, timeout=90, env=os.environ | patience)


def address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


def test_up_serves_files_that_are_as_long_as_the_catalogue_says_and_down_leaves_nothing(
    lab: Lab, capfd: pytest.CaptureFixture[str]
) -> None:
    assert lab.up(servers=4, shovelers=2) == 0
    said = capfd.readouterr()
    assert "The lab is up: 4 servers" in said.out
    assert said.err == ""
    state = lab.state
    assert (state.state, state.broker, state.bus) == ("up", "local", str(lab.bus))
    assert [(s.name, s.site) for s in state.servers] == [(f"s0{n}", f"LAB-0{n}") for n in (1, 2, 3, 4)]
    assert len({s.udp for s in state.servers}) == 2
    assert all(alive(process) for process in state.processes)
    assert lab.directory.stat().st_mode & 0o777 == 0o700

    for server in state.servers:
        listing = xrdfs(server.url, "ls", "-l", "/store/test").stdout.splitlines()
        seen = {line.split()[-1]: int(line.split()[3]) for line in listing}
        assert seen == {file.path: file.size for file in state.files}
    for n in (1, 2):
        assert sum(line.startswith(b"=") for line in taken(lab, f"shoveler-{n}")) >= 2

    assert cli.take_down(lab.directory) == 0
    assert lab.leftovers() == []
    for server in state.servers:
        with socket.socket() as port:
            port.bind(("", address(server.url.removeprefix("root://"))[1]))


def test_each_server_has_its_own_room_to_write_and_nobody_changes_the_shared_files(lab: Lab, tmp_path: Path) -> None:
    assert lab.up() == 0
    here = tmp_path / "here"
    here.write_bytes(b"x" * 1000)
    first, second = (s.url for s in lab.state.servers)
    subprocess.run(["xrdcp", "-s", here, f"{first}//store/write/w"], check=True, timeout=120)
    subprocess.run(["xrdcp", "-s", f"{first}//store/write/w", tmp_path / "back"], check=True, timeout=120)
    assert (tmp_path / "back").read_bytes() == b"x" * 1000
    assert xrdfs(second, "stat", "/store/write/w").returncode != 0
    shared = lab.state.files[0].path
    refused = subprocess.run(["xrdcp", "-s", "-f", here, f"{first}/{shared}"], timeout=120, check=False)
    assert refused.returncode != 0
    assert xrdfs(first, "rm", shared).returncode != 0
    assert [xrdfs(server, "stat", shared).returncode for server in (first, second)] == [0, 0]


def test_a_killed_shoveler_comes_again_and_no_datagram_that_waited_is_lost(lab: Lab) -> None:
    assert lab.up() == 0
    before = lab.process("shoveler-1")
    target = address(lab.state.servers[0].udp)
    # Stopped, it reads nothing: all that arrives from now on waits in the socket that the supervisor holds.
    os.kill(before.pid, signal.SIGSTOP)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for n in range(500):
            sender.sendto(b"datagram %03d" % n, target)
        os.kill(before.pid, signal.SIGKILL)
        until(lambda: not alive(before))
        for n in range(500, 1000):
            sender.sendto(b"datagram %03d" % n, target)
    until(lambda: b"datagram 999" in taken(lab))
    ours = [line for line in taken(lab) if line.startswith(b"datagram")]
    assert ours == [b"datagram %03d" % n for n in range(1000)]
    until(lambda: lab.process("shoveler-1").restarts == 1)
    assert lab.process("shoveler-1").pid not in (0, before.pid)


def test_a_killed_server_comes_again_on_its_port(lab: Lab) -> None:
    assert lab.up() == 0
    before, url = lab.process("s02"), lab.state.servers[1].url
    os.kill(before.pid, signal.SIGKILL)
    until(lambda: lab.process("s02").restarts == 1 and lab.process("s02").pid)
    assert lab.state.servers[1].url == url
    assert lab.state.servers[1].pid == lab.process("s02").pid
    until(lambda: xrdfs(url, "stat", "/store/test").returncode == 0)


def test_faults_by_command(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    assert lab.up() == 0
    victim = lab.process("collector")
    answer = control.ask(lab.directory, control.Fault("kill-collector", seconds=0.3), timeout=10)
    assert answer.text == f"killed collector (pid {victim.pid}); starts again in 0.3 s"
    until(lambda: lab.process("collector").restarts == 1)
    assert not control.ask(lab.directory, control.Fault("broker-down"), timeout=10).ok
    assert control.ask(lab.directory, control.Status(), timeout=10) == control.Answer(True, "the lab is up")


def test_status_and_down_after_the_supervisor_was_killed(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    assert lab.up() == 0
    state = lab.state
    os.kill(lab.process("supervisor").pid, signal.SIGKILL)
    until(lambda: not any(alive(p) for p in state.processes))  # they die with it
    capfd.readouterr()
    assert run("status", lab) == 1
    said = capfd.readouterr().out
    assert f"the supervisor has died; `tally-agent lab down --dir {lab.directory}` removes what it left" in said
    assert run("down", lab) == 0
    assert capfd.readouterr().out == "the supervisor of this lab has died; removing what it left\nthe lab is down\n"
    assert lab.leftovers() == []
    assert run("down", lab) == 0
    assert capfd.readouterr().out == f"there is no lab in {lab.directory}\n"


def test_down_ends_what_outlived_a_killed_supervisor(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    # Without setpriv on PATH the kernel is not asked to end the children. XRootD's user must reach the directory.
    with tempfile.TemporaryDirectory(dir="/tmp") as plain:
        Path(plain).chmod(0o755)
        for name in ("xrootd", "cmsd"):
            program = shutil.which(name)
            assert program is not None
            (Path(plain) / name).symlink_to(program)
        monkeypatch.setenv("PATH", plain)
        assert lab.up() == 0
    supervisor = lab.process("supervisor")
    os.kill(supervisor.pid, signal.SIGKILL)
    until(lambda: not alive(supervisor))
    assert {p.kind for p in lab.state.processes if alive(p)} == {"xrootd", "shoveler", "collector"}
    assert lab.down() == 0
    assert lab.leftovers() == []


def test_up_clears_away_a_lab_that_died(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    assert lab.up() == 0
    os.kill(lab.process("supervisor").pid, signal.SIGKILL)
    until(lambda: not alive(lab.process("supervisor")))
    assert lab.up() == 0
    assert f"removed the remains of a dead lab in {lab.directory}" in capfd.readouterr().out


def test_a_second_lab_in_the_same_directory_is_refused_and_the_first_goes_on(
    lab: Lab, capfd: pytest.CaptureFixture[str]
) -> None:
    assert lab.up() == 0
    capfd.readouterr()
    assert lab.up() == 1
    assert f"a lab is already up in {lab.directory}" in capfd.readouterr().err
    assert all(alive(p) for p in lab.state.processes)
    assert run("status", lab) == 0


def test_a_port_in_use_takes_everything_down_again(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as other:
        other.bind(("", 0))
        other.listen()
        port = other.getsockname()[1]
        assert lab.up(port=port - 1) == 2
    assert f"port {port} for server s02 cannot be used (Address already in use)" in capfd.readouterr().err
    assert lab.leftovers() == []


def test_a_broker_that_does_not_answer_is_named_and_nothing_stays(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    assert lab.up(bus="amqp://me:secret@127.0.0.1:1/") == 2
    said = capfd.readouterr().err
    assert "the broker amqp://me:***@127.0.0.1:1/ cannot be used (Connection refused); check --bus\n" in said
    assert said.count("\n") == 1
    assert not lab.directory.exists()  # nothing of the lab ever was on that broker, so nothing waits to be removed
    assert lab.leftovers() == []


def test_a_reader_that_has_seen_enough_does_not_take_the_lab_down(lab: Lab) -> None:
    options = msgspec.json.encode(lab.options()).decode()
    reader, writer = os.pipe()
    os.close(reader)
    with subprocess.Popen([sys.executable, STAND_IN, "up", options], stdout=writer, stderr=subprocess.PIPE) as up:
        os.close(writer)
        assert up.wait(60) == 0
        assert up.stderr is not None
        assert up.stderr.read() == b""
    assert lab.state.state == "up"
    assert run("status", lab) == 0


def test_a_daemon_that_does_not_start_is_quoted_and_everything_goes(
    lab: Lab, capfd: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    broken = lab.options().programs | {"tally-collector": [sys.executable, str(STAND_IN), "broken"]}
    assert lab.up(programs=broken) == 1
    assert capfd.readouterr().err == (
        "tally-agent lab: collector ended with code 2 while it started; it said: this daemon cannot start today\n"
    )
    assert lab.leftovers() == []


def test_a_program_that_is_not_there(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    assert lab.up(programs=lab.options().programs | {"tally-shoveler": ["/absent/program"]}) == 1
    assert "shoveler-1 ended with code 127 while it started; it said: sh: 1: exec: /absent" in capfd.readouterr().err
    assert lab.leftovers() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_whoever_interrupts_up_gets_rid_of_all_of_it(lab: Lab, number: signal.Signals) -> None:
    # A collector that never is well keeps it starting.
    never = lab.options().programs | {"tally-collector": ["sleep", "60"]}
    options = msgspec.json.encode(lab.options(programs=never)).decode()
    with subprocess.Popen([sys.executable, STAND_IN, "up", options], stderr=subprocess.PIPE, text=True) as up:
        until(lambda: lab.directory.exists() and (lab.directory / "state.json").exists())
        until(lambda: any(p.kind == "collector" and p.pid for p in lab.state.processes))
        up.send_signal(number)
        up.wait(60)
        assert up.stderr is not None
        if number != signal.SIGKILL:
            assert up.returncode == 1
            assert up.stderr.read() == "taking the lab down\n"
    until(lambda: not lab.directory.exists())
    assert lab.leftovers() == []


def test_in_the_foreground_the_lab_ends_with_its_owner(lab: Lab) -> None:
    options = msgspec.json.encode(lab.options()).decode()
    with subprocess.Popen([sys.executable, STAND_IN, "up", options, "--foreground"], stderr=subprocess.PIPE) as up:
        until(lambda: lab.directory.exists() and (lab.directory / "state.json").exists())
        until(lambda: lab.state.state == "up")
        up.send_signal(signal.SIGINT)
        assert up.wait(60) == 0
    assert lab.leftovers() == []


def test_down_from_elsewhere_ends_a_lab_in_the_foreground(lab: Lab) -> None:
    options = msgspec.json.encode(lab.options()).decode()
    with subprocess.Popen([sys.executable, STAND_IN, "up", options, "--foreground"]) as up:
        until(lambda: lab.directory.exists() and (lab.directory / "state.json").exists())
        until(lambda: lab.state.state == "up")
        assert lab.down() == 0
        assert up.wait(60) == 0


def test_status_repeats_what_a_daemon_complains_about(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    assert lab.up() == 0
    (lab.directory / "spool" / "shoveler-1" / "complaint").write_text("the broker cannot be reached")
    until(lambda: run("status", lab) == 0 and "shoveler-1: the broker cannot be reached" in capfd.readouterr().out)


def test_a_full_disk_keeps_the_supervisor_from_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(_state: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(supervisor, "write_state", full)
    one = supervisor.Supervisor(LabOptions(str(tmp_path)), lambda _report: None)
    one._save()
    assert caplog.text == ""  # the directory is not claimed: nothing may be written
    one._lock = 99  # type: ignore[assignment]
    one._save()
    assert "the state file is not up to date: [Errno 28] No space left on device" in caplog.text
    with pytest.raises(LabError, match=r"cannot be written \(No space left on device\): free some space"):
        one._save_or_fail()


def run(command: str, lab: Lab) -> int:
    parser = argparse.ArgumentParser()
    cli.add_parser(parser.add_subparsers())
    return cli.run(parser.parse_args(["lab", command, "--dir", str(lab.directory)]))


def entries(lab: Lab) -> list[ledger.Entry]:
    return [ledger.decode(line) for line in (lab.directory / "faults.jsonl").read_bytes().splitlines()]


def test_a_relay_keeps_servers_apart_and_says_what_it_lost(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    assert lab.up(servers=2, relay=True, ledger=True, fbuff=8192) == 0
    state = lab.state
    assert set(state.faults.values()) == {"", "the local bus has no broker to stop"}
    first = [entry for entry in entries(lab) if isinstance(entry, ledger.Datagram)]
    assert {(entry.server, entry.fate, entry.contents.code) for entry in first} == {
        ("s01", "passed", "="),
        ("s02", "passed", "="),
    }
    assert len({entry.sender for entry in first}) == 2
    parser = argparse.ArgumentParser()
    cli.add_parser(parser.add_subparsers())
    for words in (["wire-loss", "--server", "s02"], ["udp-loss", "--server", "s01"]):
        arguments = ["lab", "fault", *words, "--percent", "100", "--dir", str(lab.directory)]
        assert cli.run(parser.parse_args(arguments)) == 0
    for server in state.servers:
        xrdfs(server.url, "ls", "/store/test")
    until(
        lambda: (
            {entry.server for entry in entries(lab) if getattr(entry, "fate", "passed") != "passed"} == {"s01", "s02"}
        )
    )
    lost = [entry for entry in entries(lab) if isinstance(entry, ledger.Datagram) and entry.fate != "passed"]
    assert {(entry.server, entry.fate) for entry in lost} == {("s02", "wire-loss"), ("s01", "udp-loss")}
    assert any(entry.contents.code == "u" for entry in lost)
    begun = [(entry.fault, entry.server) for entry in entries(lab) if isinstance(entry, ledger.Deed)]
    assert begun == [("wire-loss", "s02"), ("udp-loss", "s01")]
    assert "before the shoveler's socket" in capfd.readouterr().out
