"""The lab's state file, and how its faults are asked for."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import msgspec
import pytest

from agent.messages import LAB_SCHEMA, LabFile, LabProcess, LabServer, LabState
from gui.campaign.plan import Fault, File
from gui.campaign.selection import Server
from gui.runner import lab
from gui.runner.lab import (
    Injected,
    LabMissingError,
    cannot,
    default_lab,
    inject,
    lab_files,
    lab_servers,
    read_lab,
    running_lab,
)

STATE = LabState(
    schema=LAB_SCHEMA,
    directory="/d",
    started=1.0,
    state="up",
    bus="/bus",
    broker="local",
    packets_exchange="p",
    records_exchange="r",
    status_exchange="s",
    packets_queue="q",
    servers=[LabServer("s01", "root://127.0.0.1:1", "LAB-01", 7, "127.0.0.1:2")],
    files=[LabFile("/store/test/f", 9)],
    processes=[],
    fstat_seconds=1.0,
    flush_seconds=1.0,
)


def write(directory: Path, state: object) -> None:
    (directory / "state.json").write_bytes(state if isinstance(state, bytes) else msgspec.json.encode(state))


def test_a_lab_that_is_up(tmp_path: Path) -> None:
    write(tmp_path, STATE)
    state = read_lab(tmp_path)
    assert state == STATE
    assert lab_servers(state) == [Server("s01", "root://127.0.0.1:1", ("LAB-01",))]
    assert lab_files(state) == (File("/store/test/f", 9),)


def test_a_running_lab_is_found_and_one_that_was_killed_is_not(tmp_path: Path, monkeypatch) -> None:
    assert running_lab(tmp_path / "nowhere") is None
    own = LabProcess("supervisor", "supervisor", os.getpid())
    write(tmp_path, msgspec.structs.replace(STATE, processes=[own]))
    found = running_lab(tmp_path)
    assert found is not None
    assert len(found.servers) == 1
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path.parent))
    assert default_lab() == tmp_path.parent / "tally-lab"
    ended = subprocess.Popen(["true"])
    ended.wait()
    write(tmp_path, msgspec.structs.replace(STATE, processes=[msgspec.structs.replace(own, pid=ended.pid)]))
    assert running_lab(tmp_path) is None
    write(tmp_path, msgspec.structs.replace(STATE, state="stopping", processes=[own]))
    assert running_lab(tmp_path) is None


def test_a_lab_that_somebody_else_left_in_tmp_is_not_offered(tmp_path: Path, monkeypatch) -> None:
    own = LabProcess("supervisor", "supervisor", os.getpid())
    write(tmp_path, msgspec.structs.replace(STATE, processes=[own]))
    assert running_lab(tmp_path) is not None
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    assert running_lab(tmp_path) is None


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (None, "There is no lab in"),
        (b"{", "is not the state of a lab"),
        (msgspec.structs.replace(STATE, schema=99), "another version"),
        (
            msgspec.structs.replace(STATE, state="failed", error="No port is free."),
            "is failed, not up: No port is free.",
        ),
    ],
)
def test_what_is_no_lab(tmp_path: Path, state: object, says: str) -> None:
    if state is not None:
        write(tmp_path, state)
    with pytest.raises(LabMissingError, match=says):
        read_lab(tmp_path)


@pytest.fixture
def fake_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in place of tally-agent, which writes down how it was called."""
    program = tmp_path / "tally-agent"
    answer = '{"text":"It was done.","t":7.5}'
    program.write_text(
        f'#!/bin/sh\necho "$@" > "$0.called"\necho "${{SAID-$(echo \'{answer}\')}}"\nexit ${{CODE:-0}}\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(lab, "program_command", lambda _name: [str(program)])
    return program


async def test_a_fault_is_the_labs_business(fake_agent: Path) -> None:
    assert await inject(Path("/d"), Fault(1.0, "broker-down", 60.0)) == Injected("It was done.", 7.5)
    assert Path(f"{fake_agent}.called").read_text() == "lab fault broker-down --json --dir /d --for 60s\n"
    await inject(Path("/d"), Fault(1.0, "kill-shoveler"))
    assert Path(f"{fake_agent}.called").read_text() == "lab fault kill-shoveler --json --dir /d\n"
    await inject(Path("/d"), Fault(1.0, "wire-loss", 5.0, 2.5, "s07"))
    said = Path(f"{fake_agent}.called").read_text()
    assert said == "lab fault wire-loss --json --dir /d --for 5s --percent 2.5 --server s07\n"


def test_faults_that_cannot_be_done_here() -> None:
    state = msgspec.structs.replace(STATE, faults={"kill-server": "", "wire-loss": "there is no relay"})
    faults = [
        Fault(1.0, "wire-loss", 5.0),
        Fault(2.0, "wire-loss", 5.0),
        Fault(3.0, "kill-server", server="s02"),
        Fault(3.0, "kill-server", server="s01"),
        Fault(4.0, "kill-agent"),
    ]
    assert cannot(faults, state, local_clients=False) == [
        "The lab cannot do wire-loss: there is no relay.",
        "The fault kill-server names s02, and the lab has no server of that name.",
        "The fault kill-agent needs clients that this program has started (--local-clients).",
    ]
    assert cannot(faults[3:], state, local_clients=True) == []
    assert cannot(faults[:1], None, local_clients=True) == ["The fault wire-loss needs a lab."]


async def test_a_fault_that_is_not_done(fake_agent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "CODE", "1")
    monkeypatch.setitem(os.environ, "SAID", "It was done.")
    with pytest.raises(LabMissingError, match="The lab did not do udp-loss: It was done"):
        await inject(Path("/d"), Fault(1.0, "udp-loss", 1.0))


async def test_an_answer_that_nobody_can_read(fake_agent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "SAID", "It was done.")
    with pytest.raises(LabMissingError, match="its answer cannot be read"):
        await inject(Path("/d"), Fault(1.0, "udp-loss", 1.0))


async def test_a_lab_that_hangs(fake_agent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_agent.write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(lab, "FAULT_SECONDS", 0.2)
    with pytest.raises(LabMissingError, match="did not answer"):
        await inject(Path("/d"), Fault(1.0, "udp-loss", 1.0))


def test_redirector_and_caches_are_there_by_name() -> None:
    def server(name: str) -> LabServer:
        return LabServer(name, f"root://127.0.0.1:{len(name)}{name[1:]}", name.upper(), 1, "127.0.0.1:9")

    state = msgspec.structs.replace(STATE, servers=[server("s01")], redirector=server("r02"), caches=[server("c03")])
    assert [(one.name, one.front) for one in lab_servers(state)] == [("s01", False), ("r02", True), ("c03", True)]
