"""How the processes that use XRootD are started."""

from __future__ import annotations

import subprocess
import sys

import pytest

from agent import cli
from agent.workloads import starting


def test_from_an_interpreter_and_from_a_frozen_program(monkeypatch: pytest.MonkeyPatch) -> None:
    assert starting.process_command("worker") == [sys.executable, "-m", "agent.workloads.worker"]
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", "/opt/tally/tally-agent")
    assert starting.process_command("probe") == ["/opt/tally/tally-agent", "--process=probe"]


def test_the_program_is_its_own_process_when_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from agent.workloads import probe, worker

    monkeypatch.setattr(worker, "main", lambda: 7)
    monkeypatch.setattr(probe, "main", lambda: 8)
    assert cli.main(["--process=worker"]) == 7
    assert cli.main(["--process=probe"]) == 8


@pytest.mark.parametrize("kind", ["worker", "probe"])
def test_a_process_without_an_agent_ends(kind: starting.Kind) -> None:
    ended = subprocess.run(
        starting.process_command(kind), stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, b"", b"")
