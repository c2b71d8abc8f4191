"""The run of another program: shown from the database, and nothing is taken from it."""

from __future__ import annotations

from typing import Any

import pytest

from gui.runner import RunRefusedError, ownership
from gui.runner import workspace as module
from gui.runner.elsewhere import Elsewhere


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workspaces of this process are two programs."""
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.05)
    held = "Another Tally (process 7 on here)"
    monkeypatch.setattr(module, "holder", lambda store, _now: held if store.setting(ownership.SETTING) else "")


@pytest.mark.usefixtures("others")
async def test_a_second_window_shows_the_run_of_the_first_and_then_has_the_workspace(stage: Any) -> None:
    async with module.Workspace.open(stage.options(beside=True)) as first:
        assert first.other == "", "nobody had it"
        stage.workspace = first
        (agent,) = await stage.join("c1", hold=lambda _request: True)
        running = stage.start()
        await stage.until(lambda: agent.held)
        async with module.Workspace.open(stage.options(beside=True)) as second:
            assert second.other == "Another Tally (process 7 on here)"
            await stage.until(lambda: second.progress.latest.requested == 8)
            p = second.progress.latest
            assert (p.run, p.outcome, p.owner, p.total, p.run_total) == (1, "running", second.other, 12, 12)
            assert [step.repeats for step in p.steps] == [("running",)]
            assert {row.requested for row in p.servers} == {4}
            assert not second.running
            with pytest.raises(RunRefusedError, match=r"process 7 on here\) has this workspace"):
                await second.run(object())  # type: ignore[arg-type]
            agent.hold = lambda _request: False
            await agent.release()
            result = await running
            await stage.until(lambda: second.progress.latest.outcome == "passed")
            last = second.progress.latest
            assert (last.phase, last.read, last.recorded, last.run_requested) == ("done", 12, 12, 12)
            assert [run.state for run in second.store.runs()] == [result.outcome], "it has not closed the run"
            assert not second.free.is_set()
            first.store.put_setting(ownership.SETTING, "")  # as when the first one ends
            await stage.until(second.free.is_set)
        await stage.leave("c1")


async def test_rates_are_the_growth_of_what_clients_have_read(stage: Any) -> None:
    async with stage.open() as workspace:
        await stage.join("c1")
        result = await stage.run()
        (repeat,) = workspace.store.repeats(result.run)
        watched = Elsewhere(workspace.store)
        watched._run = result.run
        shown = watched.look(repeat.settled or 0.0, "another")
        assert shown is not None
        assert (shown.outcome, shown.phase) == ("passed", "done")
        again = watched.look(repeat.settled or 0.0, "another")
        assert again is not None
        assert again.samples == shown.samples, "what was read again is not counted twice"
        assert shown.samples[-1].requested in (None, 12)


async def test_without_a_run_there_is_nothing(stage: Any) -> None:
    async with stage.open() as workspace:
        assert Elsewhere(workspace.store).look(1.0, "another") is None
