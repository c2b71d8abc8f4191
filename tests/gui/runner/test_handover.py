"""A run that another program goes on with: in the middle of a round, before it began, while it settles."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.messages import Round
from gui.campaign.planfile import parse_plan
from gui.runner import faults, session
from gui.runner.driver import HandedOverError
from gui.runner.handover import Handed, decode_handed


@contextlib.asynccontextmanager
async def gone_on(stage: Any, workspace: Any, closing: Any, running: asyncio.Task[Any], **changes: Any) -> Any:
    """Hand the run of `workspace` over, close it with `closing`, and open another one that has taken the run."""
    assert await workspace.hand_over()
    with pytest.raises(HandedOverError):
        await running
    await closing.aclose()
    handed = Handed(stage.options(hub=replace(workspace.options.hub, port=workspace.hub.port), **changes),
                    workspace.handed())  # fmt: skip
    received = decode_handed(handed.encoded())
    async with stage.open(taken=received.run, hub=received.options.hub, **changes) as other:
        yield other


async def opened(stage: Any, **changes: Any) -> tuple[Any, contextlib.AsyncExitStack]:
    closing = contextlib.AsyncExitStack()
    return await closing.enter_async_context(stage.open(**changes)), closing


def asked(stage: Any) -> list[tuple[str, str]]:
    return [(request.tag, request.path) for agent in stage.agents.values() for request in agent.requested]


async def test_in_the_middle_of_a_round_nothing_is_asked_or_counted_twice(stage: Any) -> None:
    workspace, closing = await opened(stage)
    one, two = await stage.join("c1", "c2", hold=lambda request: request.path.endswith("1"))
    running = stage.start()
    await stage.until(lambda: one.held or two.held)
    await stage.until(lambda: stage.now.requested == 8)
    held = len(one.held) + len(two.held)
    async with gone_on(stage, workspace, closing, running) as other:
        assert other.running
        assert [run.state for run in other.store.runs()] == ["running"], "its new program does not close it"
        going = stage.spawn(other.go_on(on_progress=stage.seen.append))
        for agent in (one, two):  # finished while nobody listened
            agent.hold = lambda _request: False
        await one.release()
        await two.release()
        await stage.join("c1", "c2")
        result = await going
        (row,) = result.tests
        assert held > 0
        assert (result.outcome, row.total, row.matched, row.missing, row.client_failed) == ("passed", 12, 12, 0, 0)
        assert len(other.store.runs()) == len(other.store.repeats(result.run)) == 1
        assert {m.text for m in other.store.markers(result.run)} >= {"round 1", "round 2"}
    assert len(asked(stage)) == len(set(asked(stage))) == 12
    last = stage.seen[-1]
    assert (last.requested, last.read, last.recorded, last.gap) == (12, 12, 12, 0)


async def test_what_was_not_begun_by_a_client_is_sent_again(stage: Any) -> None:
    """A round that went into a session that was being closed."""
    workspace, closing = await opened(stage)
    (agent,) = await stage.join("c1")
    obey, lost = agent._obey, []

    async def hear(message: Any) -> None:
        if isinstance(message, Round):
            lost.append(message)
        else:
            await obey(message)

    agent._obey = hear
    running = stage.start()
    await stage.until(lambda: lost)
    async with gone_on(stage, workspace, closing, running) as other:
        agent._obey = obey
        going = stage.spawn(other.go_on())
        await stage.join("c1")
        result = await going
        assert (result.outcome, result.tests[0].matched) == ("passed", 12)


async def test_a_run_that_has_not_begun_is_begun_by_the_other_program(stage: Any) -> None:
    workspace, closing = await opened(stage)
    running = stage.start()
    await stage.until(lambda: stage.now.phase == "waiting_clients")
    assert await workspace.hand_over()
    with pytest.raises(HandedOverError):
        await running
    await closing.aclose()
    run = workspace.handed()
    assert run.number is None
    assert (run.plan, run.text, run.files) == (parse_plan(stage.plan_text), stage.plan_text, stage.files)


async def test_while_it_settles_the_other_program_waits_for_the_rest(stage: Any) -> None:
    stage.monitoring.lose = lambda _done: True
    workspace, closing = await opened(stage, fstat_seconds=30.0, flush_seconds=30.0)
    await stage.join("c1")
    running = stage.start(stage.plan_text.replace('settle = "10s"', 'settle = "90s"'))
    await stage.until(lambda: stage.now.phase == "settling" and stage.now.read == 12)
    async with gone_on(stage, workspace, closing, running, fstat_seconds=30.0, flush_seconds=30.0) as other:
        going = stage.spawn(other.go_on())
        await stage.join("c1")
        stage.monitoring.find()
        result = await going
        assert (result.outcome, result.tests[0].matched) == ("passed", 12)


async def test_the_repeats_that_are_over_are_not_done_again(stage: Any) -> None:
    workspace, closing = await opened(stage)
    (agent,) = await stage.join("c1", hold=lambda _request: "1.1.2" in stage.agents["c1"].jobs)
    running = stage.start(stage.plan_text.replace("repeats = 1", "repeats = 3"))
    await stage.until(lambda: agent.held)
    async with gone_on(stage, workspace, closing, running) as other:
        going = stage.spawn(other.go_on(on_progress=stage.seen.append))
        await stage.join("c1", hold=lambda _request: False)
        await agent.release()
        result = await going
        assert (result.outcome, result.tests[0].repeats) == ("passed", 3)
        assert [(repeat.number, repeat.state) for repeat in other.store.repeats(result.run)] == [
            (1, "settled"), (2, "settled"), (3, "settled")
        ]  # fmt: skip
    assert len(asked(stage)) == len(set(asked(stage))) == 36
    assert [step.repeats for step in stage.seen[-1].steps] == [("passed",) * 3]
    assert stage.seen[-1].run_requested == 36


async def test_a_client_that_does_not_come_back_is_missing_after_a_while(
    stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "REJOIN_SECONDS", 0.3)
    workspace, closing = await opened(stage)
    one, two = await stage.join("c1", "c2", hold=lambda _request: True)
    running = stage.start()
    await stage.until(lambda: one.held and two.held)
    async with gone_on(stage, workspace, closing, running) as other:
        going = stage.spawn(other.go_on())
        one.hold = lambda _request: False
        await one.release()
        await stage.join("c1")
        result = await going
        assert result.outcome != "passed"
        assert any("c2 is missing" in problem.text for problem in other.problems.all())
        assert len(asked(stage)) == len(set(asked(stage)))


async def test_a_fault_is_not_injected_again(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    injected: list[str] = []

    async def inject(_self: Any, fault: Any) -> str:
        injected.append(fault.do)
        return "done"

    monkeypatch.setattr(faults.Faults, "_inject", inject)
    monkeypatch.setattr(session, "cannot", lambda *_arguments, **_named: [])
    plan = stage.plan_text + '\n[[test.fault]]\nat = "0s"\ndo = "kill-collector"\n'
    workspace, closing = await opened(stage)
    (agent,) = await stage.join("c1", hold=lambda _request: True)
    running = stage.start(plan)
    await stage.until(lambda: injected and agent.held)
    async with gone_on(stage, workspace, closing, running) as other:
        going = stage.spawn(other.go_on())
        agent.hold = lambda _request: False
        await agent.release()
        await stage.join("c1")
        await going
        assert injected == ["kill-collector"]


def test_what_is_no_run_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        decode_handed(b"garbage")
