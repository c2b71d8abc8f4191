"""Opening, closing, and what a workspace does between runs."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from pathlib import Path
from typing import Any

import pytest

from agent.lab.broker import PrivateBroker
from gui.hub import HubError, HubOptions
from gui.hub.keys import ensure_shared_key
from gui.hub.persistence import HUB_ADDRESS, HUB_PIN, Key
from gui.reconcile import score
from gui.runner import LabMissingError, Workspace, ownership
from gui.runner import session as session_module
from gui.runner import workspace as workspace_module
from gui.runner.ownership import SETTING
from gui.runner.refusal import RunRefusedError
from gui.store import Store
from shoveler.bus import BusError


async def test_records_are_loaded_between_runs_too(stage: Any) -> None:
    async with stage.open() as workspace:
        await stage.until(lambda: workspace.records_state.connected)
        for number in range(3):
            record = stage.monitoring.record(Done(number), "s")
            stage.monitoring.publish(record)
        await stage.until(lambda: workspace.foreign == 3)
        await stage.until(lambda: stage.now.foreign == 3)
        stage.monitoring.publish({"record_id": "x"})
        await stage.until(lambda: any(problem.where == "records" for problem in stage.now.problems))


class Done:
    """As much of a journal line as a record needs."""

    def __init__(self, number: int) -> None:
        self.tag, self.path = "someone", f"/f{number}"
        self.read_asked, self.readv_asked, self.written, self.t_open, self.t_close = 1, 0, 0, 1.0, 2.0


async def test_a_second_reader_of_the_queue_is_told(stage: Any) -> None:
    async with stage.open() as workspace:
        await stage.until(lambda: workspace.records_state.connected)
        other = stage.options(
            hub=HubOptions(directory=stage.directory / "hub2", host="127.0.0.1", port=0, insecure=True)
        )
        async with Workspace.open(other) as second:
            await stage.until(lambda: second.records_state.trouble)
            assert second.records_state.refused
            assert not second.records_state.connected


async def test_one_that_is_given_up_while_it_opens_has_let_go_of_its_database(stage: Any) -> None:
    opening = asyncio.Event()
    leave, ended = threading.Event(), []

    def slow(store: Store, now: float, key: str | None = None) -> Key:
        loop.call_soon_threadsafe(opening.set)
        assert leave.wait(30)
        made = ensure_shared_key(store, now, key)
        ended.append(made)
        return made

    loop = asyncio.get_running_loop()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workspace_module, "ensure_shared_key", slow)
        stay = asyncio.create_task(contextlib.AsyncExitStack().enter_async_context(Workspace.open(stage.options())))  # noqa: TID251
        await opening.wait()
        stay.cancel()
        await asyncio.sleep(0)
        assert not stay.done(), "a thread still works in the database"
        leave.set()
        with pytest.raises(asyncio.CancelledError):
            await stay
    assert ended, "the thread had come to its end before the database was closed"
    async with stage.open() as workspace:
        assert workspace.problems.all() == ()


async def test_the_workspace_is_given_back(stage: Any) -> None:
    async with stage.open() as workspace:
        assert workspace.store.setting(SETTING) != ""
        assert workspace.problems.all() == ()
    async with stage.open() as workspace:
        assert workspace.problems.all() == ()


async def test_a_run_that_a_crash_left_open_is_closed(stage: Any) -> None:
    async with stage.open() as workspace:
        await stage.join("c1")
        run = (await stage.run()).run
        workspace.store.set_run(run, state="running")
    async with stage.open() as workspace:
        await stage.until(lambda: workspace.store.run(run).state == "interrupted")
        assert workspace.store.run(run).message.startswith("Tally ended during this run")


async def test_a_run_that_is_cancelled_is_scored_and_closed_at_once(stage: Any) -> None:
    async with stage.open() as workspace:
        await stage.join("c1")
        stage.monitoring.lose = lambda done: True  # so that it waits for records
        task = asyncio.create_task(stage.run())  # noqa: TID251 - awaited below
        await stage.until(lambda: workspace.progress.latest.phase == "settling")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        (run,) = workspace.store.runs()
        assert (run.state, run.message) == ("aborted", ownership.STOPPED)
        (repeat,) = workspace.store.repeats(run.id)
        assert [scoring.total for scoring in workspace.store.scorings(repeat.id)] == [12]


async def test_one_that_is_cancelled_while_it_is_scored_is_scored_once(stage: Any) -> None:
    scoring, leave = asyncio.Event(), threading.Event()
    order: list[str] = []

    def slow(*arguments: Any) -> Any:
        loop.call_soon_threadsafe(scoring.set)
        assert leave.wait(30)
        entry = score(*arguments)
        order.append("scored")
        return entry

    def close_run(*arguments: Any) -> None:
        order.append("closed")
        close(*arguments)

    close = ownership.close_run

    loop = asyncio.get_running_loop()
    async with stage.open() as workspace:
        await stage.join("c1")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(session_module, "score", slow)
            patch.setattr(ownership, "close_run", close_run)
            task = asyncio.create_task(stage.run())  # noqa: TID251 - awaited below
            await scoring.wait()
            task.cancel()
            for _ in range(5):  # threads begin in order: it would have begun to close the run, were it not to wait
                await workspace.blocking(workspace.store.runs)
            assert order == []
            leave.set()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert order == ["scored", "closed"]
        (run,) = workspace.store.runs()
        assert run.state == "aborted"
        (repeat,) = workspace.store.repeats(run.id)
        assert [(entry.kind, entry.total) for entry in workspace.store.scorings(repeat.id)] == [("settle", 12)]


async def test_a_run_that_has_its_end_keeps_it_whoever_is_cancelled_then(stage: Any) -> None:
    async with stage.open() as workspace:
        await stage.join("c1")
        result = await stage.run()
        assert result.outcome == "passed"
        before = workspace.store.run(result.run)
        ownership.close_run(workspace.store, result.run, 1.0, ownership.STOPPED)
        assert workspace.store.run(result.run) == before


async def test_where_the_hub_is_stays_known_for_invitations(stage: Any) -> None:
    async with stage.open() as workspace:
        known = (workspace.hub.address, workspace.hub.pin)
        assert (workspace.store.setting(HUB_ADDRESS), workspace.store.setting(HUB_PIN)) == known


async def test_jobs_of_runs_that_are_gone_are_aborted(stage: Any) -> None:
    async with stage.open():
        (c1,) = await stage.join("c1", jobs={"77.1.1": {}})
        await stage.until(lambda: "Abort" in c1.told)
        assert c1.jobs == {}


async def test_a_job_of_an_absurd_number_is_passed_over(stage: Any) -> None:
    async with stage.open() as workspace:
        workspace.late_scoring.score_jobs({f"{10**30}.1.1", f"1.{10**30}.1", "7.1.1"})
        assert workspace.store.runs() == []


@pytest.mark.parametrize(
    ("changes", "kind", "says"),
    [
        ({"lab": Path("/nowhere")}, LabMissingError, "There is no lab in /nowhere"),
        ({"bus": "http://x"}, BusError, "cannot begin with http"),
        ({"shared_key": "short"}, ValueError, "at least 32"),
        ({"hub": HubOptions(directory=Path("/tmp"), host="0.0.0.0", insecure=True)}, HubError, "on this machine only"),
    ],
)
async def test_what_cannot_be_opened_is_said(stage: Any, changes: dict, kind: type, says: str) -> None:
    with pytest.raises(kind, match=says):
        async with stage.open(**changes):
            pass


@pytest.mark.broker
@pytest.mark.parametrize("forget", [True, False])
async def test_only_a_workspace_that_nobody_comes_back_to_forgets_its_queue(
    stage: Any, broker: PrivateBroker, forget: bool
) -> None:
    name = f"forgetting-{forget}"
    async with stage.open(bus=broker.url, name=name, forget_queue=forget) as workspace:
        await stage.until(lambda: workspace.records_state.connected and workspace.bus.status_state.connected)
    queues = broker.ctl("list_queues", "name").split()
    assert [queue for queue in queues if queue.startswith(f"tally.{name}")] == ([] if forget else [workspace.bus.queue])


async def test_another_bus_is_used_from_now_on_without_closing_anything(stage: Any) -> None:
    async with stage.open() as workspace:
        await stage.until(lambda: workspace.records_state.connected)
        address, agents = workspace.hub.address, await stage.join("c1")
        stage.monitoring.publish(stage.monitoring.record(Done(1), "s"))
        await stage.until(lambda: workspace.foreign == 1)
        other = stage.options(bus=str(stage.directory / "bus2"))
        await workspace.use_bus(other)
        await stage.until(lambda: workspace.records_state.connected)
        assert workspace.options.bus == other.bus
        assert (workspace.hub.address, agents[0].session is not None) == (address, True)
        with contextlib.closing(type(stage.monitoring)(stage.directory / "bus2")) as elsewhere:
            elsewhere.publish(elsewhere.record(Done(2), "s"))
            await stage.until(lambda: workspace.foreign == 2)
        await workspace.use_bus(stage.options(bus=""))
        assert not workspace.bus.there
        assert not workspace.records_state.connected


async def test_a_bus_that_cannot_be_used_leaves_the_one_before(stage: Any, tmp_path: Path) -> None:
    async with stage.open() as workspace:
        await stage.until(lambda: workspace.records_state.connected)
        with pytest.raises(BusError, match="cannot begin with"):
            await workspace.use_bus(stage.options(bus="http://x"))
        with pytest.raises(LabMissingError):
            await workspace.use_bus(stage.options(bus="", lab=tmp_path / "nowhere"))
        assert workspace.options.bus == str(stage.bus)
        assert workspace.records_state.connected


async def test_a_run_keeps_its_bus(stage: Any) -> None:
    async with stage.open() as workspace:
        workspace.runs.session = object()
        with pytest.raises(RunRefusedError, match="stop it first"):
            await workspace.use_bus(stage.options(bus=str(stage.directory / "bus2")))
        workspace.runs.session = None


async def test_a_lab_that_is_down_keeps_nobody_from_the_results(stage: Any, tmp_path: Path) -> None:
    gone = tmp_path / "lab"
    with pytest.raises(LabMissingError):
        async with stage.open(bus="", lab=gone):
            pass
    async with stage.open(bus="", lab=gone, lab_must_be_up=False) as workspace:
        (problem,) = workspace.problems.all()
        assert f"There is no lab in {gone}" in problem.text
        assert "Settings > Bus" in problem.remedy
        assert (workspace.lab, workspace.bus.there) == (None, False)
