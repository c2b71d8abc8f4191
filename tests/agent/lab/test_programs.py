from __future__ import annotations

import sys

import pytest

from agent.lab import programs


def test_from_an_environment_the_same_interpreter_runs_the_module() -> None:
    assert programs.command("tally-shoveler") == [sys.executable, "-m", "shoveler.cli"]


def test_in_a_frozen_build_the_programs_lie_beside_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", "/opt/tally/bin/tally")
    assert programs.command("tally-collector") == ["/opt/tally/bin/tally-collector"]
