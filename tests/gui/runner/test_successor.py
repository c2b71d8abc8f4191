"""The process that goes on with a run: it is ready, or says why not; and it is ended when it is not needed."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest

from gui.runner.handover import Handed, HandedRun
from gui.runner.options import WorkspaceOptions
from gui.runner.successor import Successor, SuccessorError


def program(code: str) -> list[str]:
    return [sys.executable, "-c", code]


async def test_one_that_ends_at_once_is_told_with_its_last_words(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "run.log"
    successor = Successor(log, executable=program("import sys; sys.exit('no room')"))
    with pytest.raises(SuccessorError, match=r"does not go on with the run: no room \(.*run\.log\)"):
        await successor.ready()
    await successor.close()
    assert log.stat().st_mode & 0o777 == 0o600


async def test_one_that_is_not_needed_is_ended(tmp_path: Path) -> None:
    successor = Successor(tmp_path / "log", executable=program("print('ready', flush=True); input()"))
    await successor.ready()
    await successor.close()
    assert not psutil.pid_exists(successor.pid)


async def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SuccessorError, match="cannot be started"):
        Successor(tmp_path / "log", executable=["/nowhere/tally"])


async def test_the_command_takes_what_it_is_told_or_says_why_not(tmp_path: Path, hub_options) -> None:
    """The real one: ready; then a run that has no workspace to go on in."""
    successor = Successor(tmp_path / "log")
    await successor.ready()
    options = WorkspaceOptions(database="mysql://nowhere/x", hub=hub_options)
    await successor.send(Handed(options, HandedRun(None, "", None, tmp_path)))  # type: ignore[arg-type]
    with pytest.raises(SuccessorError, match=r"does not go on with the run"):
        await successor.running()
    await successor.close()
    assert "Traceback" not in (tmp_path / "log").read_text()


async def test_the_command_that_is_told_nothing_ends_with_a_sentence(tmp_path: Path) -> None:
    successor = Successor(tmp_path / "log")
    await successor.ready()
    stdin = successor._process.stdin
    assert stdin is not None
    stdin.close()
    assert successor._process.wait(30) != 0
    assert (tmp_path / "log").read_text().strip().endswith("The window has kept its run.")
    successor._process.stdout.close()


@pytest.fixture
def hub_options(tmp_path: Path):
    from gui.hub import HubOptions

    return HubOptions(directory=tmp_path / "hub", host="127.0.0.1", port=0, insecure=True)
