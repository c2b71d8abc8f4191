"""Commands of remote operators: carried out, or refused with a sentence."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gui.hub import Command, CommandRefusedError
from gui.runner.conductor import RunConductor
from gui.runner.refusal import RunRefusedError

PLAN = 'name = "p"\n[[test]]\nservers = 1\nfiles_per_server = 1\nper_round = 1\n'


class Runs:
    """The runs of a workspace; `refuses` is why it cannot run a plan."""

    def __init__(self) -> None:
        self.session: object | None = None
        self.refuses = ""
        self.told: list[object] = []

    async def run(self, plan: Any, *, text: str, files: str | None, wait: float | None) -> object:
        if self.refuses:
            raise RunRefusedError(self.refuses)
        self.told.append((plan.name, text, files))
        return {"run": 7}

    def stop(self) -> bool:
        self.told.append("stop")
        return self.session is not None

    def abort(self) -> bool:
        self.told.append("abort")
        return self.session is not None


def conductor(runs: Runs) -> RunConductor:
    stand_in: Any = runs
    return RunConductor(stand_in)


def command(do: str, **values: str) -> Command:
    content: Any = SimpleNamespace(**({"do": do, "plan": "", "files": "", "wait": None} | values))
    return content


async def test_a_plan_is_run_with_its_text_and_its_files() -> None:
    runs = Runs()
    assert await conductor(runs)(command("run", plan=PLAN, files="/a 1\n"), "operator anna") == {"run": 7}
    assert await conductor(runs)(command("run", plan=PLAN), "operator anna") == {"run": 7}
    assert runs.told == [("p", PLAN, "/a 1\n"), ("p", PLAN, None)]


async def test_a_run_is_stopped_and_aborted() -> None:
    runs = Runs()
    runs.session = object()
    assert [await conductor(runs)(command(do), "operator anna") for do in ("stop", "abort")] == [None, None]
    assert runs.told == ["stop", "abort"]


@pytest.mark.parametrize(
    ("do", "plan", "under_way", "refuses", "said"),
    [
        ("stop", "", False, "", "No run is under way."),
        ("abort", "", False, "", "No run is under way."),
        ("dance", "", False, "", "The command dance is not known here."),
        ("run", PLAN, True, "", "A run is under way; stop it first."),
        ("run", "name = ", False, "", "line 1"),
        ("run", PLAN, False, "There is no bus.", "There is no bus."),
    ],
)
async def test_what_cannot_be_done_is_refused(do: str, plan: str, under_way: bool, refuses: str, said: str) -> None:
    runs = Runs()
    runs.refuses = refuses
    runs.session = object() if under_way else None
    with pytest.raises(CommandRefusedError, match=said):
        await conductor(runs)(command(do, plan=plan), "operator anna")
