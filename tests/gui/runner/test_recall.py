"""A run goes on when its hub is restarted: the next program has nothing but the database, as after kill -9."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import Any

import pytest

from agent.messages import Round
from gui.runner import session
from gui.runner.kept import NOW, PLAN, kept_now, kept_plan
from gui.runner.recall import recall
from gui.store import Store


class Restarts:
    """A workspace of a hub that is restarted."""

    def __init__(self, stage: Any) -> None:
        self.stage = stage
        self._closing = contextlib.AsyncExitStack()
        self._port = 0
        self._runs: list[asyncio.Task[Any]] = []

    def begin(self, plan: str = "") -> None:
        """Begin to run a plan."""
        self._runs.append(self.stage.start(plan or self.stage.plan_text))

    async def start(self, **changes: Any) -> Any:
        hub = self.stage.options().hub
        workspace = await self._closing.enter_async_context(
            self.stage.open(go_on=True, hub=replace(hub, port=self._port), **changes)
        )
        self._port = workspace.hub.port
        return workspace

    async def end(self) -> None:
        """It ends, and leaves the run as it is; what it had in mind is gone with it."""
        await self._closing.aclose()
        await asyncio.gather(*self._runs, return_exceptions=True)

    def asked(self) -> list[tuple[str, str]]:
        return [(request.tag, request.path) for agent in self.stage.agents.values() for request in agent.requested]

    async def over(self) -> Any:
        """The run, when it has ended."""
        workspace = self.stage.workspace
        await self.stage.until(lambda: workspace.runs.session is None)
        return workspace.store.runs()[0]

    def figures(self) -> Any:
        from gui.reconcile import run_figures

        store = self.stage.workspace.store
        (row, *_) = run_figures(store, store.runs()[0].id)
        return row


@pytest.fixture
async def restarts(stage: Any) -> Any:
    made = Restarts(stage)
    try:
        yield made
    finally:
        await made.end()


async def test_in_the_middle_of_a_round_nothing_is_asked_or_counted_twice(stage: Any, restarts: Restarts) -> None:
    await restarts.start()
    one, two = await stage.join("c1", "c2", hold=lambda request: request.path.endswith(("1", "4", "7")))
    restarts.begin()
    await stage.until(lambda: stage.now.requested == 8 and (one.held or two.held))
    await restarts.end()
    for agent in (one, two):  # finished while nobody listened
        agent.hold = lambda _request: False
    await one.release()
    await two.release()
    other = await restarts.start()
    assert other.running
    assert [run.state for run in other.store.runs()] == ["running"], "it is not closed"
    await stage.join("c1", "c2")
    run = await restarts.over()
    row = restarts.figures()
    assert (run.state, row.total, row.matched, row.missing, row.client_failed) == ("passed", 12, 12, 0, 0)
    assert len(other.store.runs()) == len(other.store.repeats(run.id)) == 1
    assert len(restarts.asked()) == len(set(restarts.asked())) == 12
    texts = {m.text for m in other.store.markers(run.id)}
    assert texts >= {"round 1", "round 2", "the hub was restarted, and goes on with the run"}
    assert (other.store.setting(PLAN), other.store.setting(NOW)) == ("", "")
    assert (stage.now.requested, stage.now.read, stage.now.recorded, stage.now.outcome) == (12, 12, 12, "passed")


async def test_again_and_again(stage: Any, restarts: Restarts) -> None:
    """Each of three rounds of two repeats meets a restart."""
    plan = stage.plan_text.replace("per_round = 4", "per_round = 2").replace("repeats = 1", "repeats = 2")
    await restarts.start()
    (c1,) = await stage.join("c1", hold=lambda _request: True)
    restarts.begin(plan)
    for number in range(1, 7):
        await stage.until(lambda number=number: len(c1.requested) == 4 * number and len(c1.held) == 4)
        await restarts.end()
        await c1.release()
        await restarts.start()
        await stage.join("c1")
    run = await restarts.over()
    row = restarts.figures()
    assert (run.state, row.total, row.matched, row.repeats) == ("passed", 24, 24, 2)
    assert len(set(restarts.asked())) == len(restarts.asked()) == 24


async def test_a_round_that_did_not_arrive_is_sent_again(stage: Any, restarts: Restarts) -> None:
    await restarts.start()
    (agent,) = await stage.join("c1")
    obey, lost = agent._obey, []

    async def hear(message: Any) -> None:
        if isinstance(message, Round):
            lost.append(message)
        else:
            await obey(message)

    agent._obey = hear
    restarts.begin()
    await stage.until(lambda: lost)
    await restarts.end()
    agent._obey = obey
    await restarts.start()
    await stage.join("c1")
    assert (await restarts.over()).state == "passed"
    assert restarts.figures().matched == 12


async def test_a_client_that_was_restarted_too_goes_on_with_new_workers(stage: Any, restarts: Restarts) -> None:
    await restarts.start()
    one, two = await stage.join("c1", "c2", hold=lambda _request: True)
    restarts.begin()
    await stage.until(lambda: one.held and two.held)
    had = len(one.held)
    await restarts.end()
    one.forget()
    one.hold = two.hold = lambda _request: False
    await two.release()
    await restarts.start()
    await stage.join("c1", "c2")
    await restarts.over()
    assert len(one.orders) >= 2, "told to start new ones; a repetition is the same order"
    row = restarts.figures()
    assert (row.total, row.client_failed, row.matched) == (12, had, 12 - had)
    assert one.held == []


async def test_while_it_settles(stage: Any, restarts: Restarts) -> None:
    stage.monitoring.lose = lambda _done: True
    await restarts.start(fstat_seconds=30.0, flush_seconds=30.0)
    await stage.join("c1")
    restarts.begin(stage.plan_text.replace('settle = "10s"', 'settle = "90s"'))
    await stage.until(lambda: stage.now.phase == "settling")
    await restarts.end()
    await restarts.start()
    await stage.join("c1")
    stage.monitoring.find()
    run = await restarts.over()
    assert (run.state, restarts.figures().matched) == ("passed", 12)
    assert len(restarts.asked()) == 12


async def test_what_was_decided_is_remembered(stage: Any, restarts: Restarts) -> None:
    workspace = await restarts.start()
    (c1,) = await stage.join("c1", hold=lambda _request: True)
    restarts.begin()
    await stage.until(lambda: len(c1.held) == 8)
    workspace.pause(on=True, by="anna")
    await stage.until(lambda: kept_now(workspace.store).paused)
    await restarts.end()
    c1.hold = lambda _request: False
    await c1.release()
    other = await restarts.start()
    await stage.join("c1")
    await stage.until(lambda: stage.now.phase == "paused" and stage.now.paused)
    assert stage.now.requested == 8
    other.stop()
    run = await restarts.over()
    assert (run.state, restarts.figures().total) == ("stopped", 8)


@pytest.mark.parametrize("how", ["stop", "abort"])
async def test_a_run_that_was_being_ended_ends(stage: Any, restarts: Restarts, how: str) -> None:
    workspace = await restarts.start()
    (c1,) = await stage.join("c1", hold=lambda _request: True)
    restarts.begin()
    await stage.until(lambda: len(c1.held) == 8)
    if how == "abort":
        c1.silent = True  # it does not hear of it
    getattr(workspace, how)()
    await stage.until(lambda: kept_now(workspace.store).ending == how)
    await restarts.end()
    c1.hold, c1.silent = lambda _request: False, False
    await c1.release()
    await restarts.start()
    await stage.join("c1")
    assert (await restarts.over()).state == {"stop": "stopped", "abort": "aborted"}[how]
    assert restarts.figures().total == 8


async def test_clients_that_do_not_come_back_interrupt_it(stage: Any, restarts: Restarts, monkeypatch: Any) -> None:
    await restarts.start()
    (c1,) = await stage.join("c1", hold=lambda _request: True)
    restarts.begin()
    await stage.until(lambda: len(c1.held) == 8)
    await restarts.end()
    monkeypatch.setattr(session, "REJOIN_SECONDS", 0.1)
    monkeypatch.setattr("gui.runner.recall.limits_of", _short_of_patience)
    await restarts.start()
    run = await restarts.over()
    assert run.state == "interrupted"
    assert "clients could not continue" in run.message
    assert restarts.figures().total == 8


def _short_of_patience(*arguments: Any) -> Any:
    from gui.campaign.limits import limits_of

    return replace(limits_of(*arguments), patience=0.1)


@pytest.mark.parametrize("spoil", [PLAN, NOW])
async def test_what_cannot_go_on_is_called_interrupted(stage: Any, restarts: Restarts, spoil: str) -> None:
    workspace = await restarts.start()
    (c1,) = await stage.join("c1", hold=lambda _request: True)
    restarts.begin()
    await stage.until(lambda: len(c1.held) == 8)
    await restarts.end()
    with Store(workspace.store.database.address) as store:
        store.put_setting(spoil, "of another Tally")
        assert recall(store, 1.0) is None
    other = await restarts.start()
    await stage.until(lambda: other.store.runs()[0].state == "interrupted")
    run = other.store.runs()[0]
    assert run.message.startswith("Tally ended during this run, and could not go on with it")
    assert kept_plan(other.store) is None


async def test_a_program_that_only_runs_its_own_plan_leaves_it_interrupted(stage: Any, restarts: Restarts) -> None:
    await restarts.start()
    (c1,) = await stage.join("c1", hold=lambda _request: True)
    restarts.begin()
    await stage.until(lambda: len(c1.held) == 8)
    await restarts.end()
    async with stage.open() as workspace:
        await stage.until(lambda: workspace.store.runs()[0].state == "interrupted")
        assert workspace.runs.session is None
        await asyncio.sleep(0)
