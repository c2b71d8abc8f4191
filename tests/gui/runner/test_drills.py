"""Drills: asked for by name, with what happens, and how they end."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import pytest

from agent.messages import LabFault
from gui.campaign.plan import Fault
from gui.runner import drills, lab
from gui.runner.drills import DRILLS, LOSS_SECONDS, NO_LAB, Drills, why_not
from gui.runner.lab import LabMissingError
from tests.gui.runner.test_lab import STATE, write

CUT, DROP, RESTART = DRILLS


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `tally-agent` that writes down what it was asked."""
    program, log = tmp_path / "agent", tmp_path / "asked"
    program.write_text(f"""#!/bin/sh\necho "$@" >> {log}\necho '{{"text":"done","t":7.5}}'\n""")
    program.chmod(0o755)
    monkeypatch.setattr(lab, "program_command", lambda _name: [str(program)])
    return log


def test_each_is_the_fault_that_it_says() -> None:
    assert CUT.fault(60) == Fault(0.0, "broker-down", lasts=60)
    assert DROP.fault(2.5) == Fault(0.0, "udp-loss", lasts=LOSS_SECONDS, percent=2.5)
    assert RESTART.fault(0) == Fault(0.0, "kill-collector")
    assert "60 s" in CUT.what(60)
    assert DROP.what(2.5).startswith("2.5 % of all datagrams")
    assert "lost for good" in DROP.what(1)
    assert "killed" in RESTART.what(0)


def test_without_a_lab_and_where_the_lab_cannot() -> None:
    assert why_not(CUT, None) == NO_LAB
    assert why_not(CUT, STATE) == ""
    cannot = msgspec.structs.replace(STATE, faults={"broker-down": "the bus is a directory"})
    assert why_not(CUT, cannot) == "The lab cannot do broker-down: the bus is a directory."


async def test_a_drill_ends_by_itself_and_can_be_stopped(asked: Path, tmp_path: Path) -> None:
    now = [100.0]
    running = Drills(tmp_path, lambda: now[0])
    assert await running.start(CUT, 30) == "done"
    assert running.left(CUT) == 30
    assert running.left(DROP) is None
    now[0] = 131.0
    assert running.left(CUT) is None
    await running.start(DROP, 1.0)
    assert running.left(DROP) == drills.LOSS_SECONDS
    await running.stop(DROP)
    assert running.left(DROP) is None
    await running.start(RESTART, 0)
    assert running.left(RESTART) is None
    assert asked.read_text().splitlines() == [
        f"lab fault broker-down --json --dir {tmp_path} --for 30s",
        f"lab fault udp-loss --json --dir {tmp_path} --for 60s --percent 1",
        f"lab fault udp-loss --json --dir {tmp_path} --percent 0",
        f"lab fault kill-collector --json --dir {tmp_path}",
    ]


async def test_what_is_on_is_what_the_lab_says(asked: Path, tmp_path: Path) -> None:
    running = Drills(tmp_path, lambda: 100.0)
    await running.start(DROP, 1.0)
    await running.listen()
    assert running.left(DROP) == drills.LOSS_SECONDS, "a lab that says nothing changes nothing"
    write(tmp_path, msgspec.structs.replace(STATE, active=[LabFault("broker-down", 90.0)]))
    await running.listen()
    assert running.left(DROP) is None, "somebody else has ended it"
    assert running.left(CUT) == math.inf
    write(tmp_path, msgspec.structs.replace(STATE, active=[LabFault("udp-loss", 90.0, until=130.0)]))
    await running.listen()
    assert (running.left(CUT), running.left(DROP)) == (None, 30.0)


async def test_a_lab_that_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "agent"
    program.write_text("#!/bin/sh\necho no supervisor answers >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(lab, "program_command", lambda _name: [str(program)])
    running = Drills(tmp_path, lambda: 0.0)
    with pytest.raises(LabMissingError, match="no supervisor answers"):
        await running.start(CUT, 60)
    assert running.left(CUT) is None
