from __future__ import annotations

import sys

import pytest

from shoveler.service import programs


def test_from_an_environment_the_same_interpreter_runs_the_module() -> None:
    assert programs.program_command("tally-shoveler") == [sys.executable, "-m", "shoveler.cli"]


def test_in_a_frozen_build_the_programs_lie_beside_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", "/opt/tally/bin/tally")
    assert programs.program_command("tally-collector") == ["/opt/tally/bin/tally-collector"]


def test_a_part_of_a_program_is_a_module_or_the_program_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    assert programs.part_command("shoveler.receiver", "receive") == [sys.executable, "-m", "shoveler.receiver"]
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", "/opt/tally/bin/tally-shoveler")
    assert programs.part_command("shoveler.receiver", "receive") == ["/opt/tally/bin/tally-shoveler", "receive"]
