"""Pausing a run, and orders to the program that carries it out: from the same database, and from a remote hub."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from gui.hub import HubOptions
from gui.hub.keys import new_key
from gui.runner.hublink import RemoteError
from gui.runner.orders import SETTING, Order, give_order, run_under_way
from gui.runner.refusal import RunRefusedError
from gui.runner.remote import Credentials, RemoteHub
from gui.store import Store


async def paused_in_first_round(stage: Any, pause: Any) -> tuple[Any, Any]:
    """A run whose first round is made after it was paused: nothing of the second is asked."""
    (c1,) = await stage.join("c1", hold=lambda _request: True)
    running = stage.start()
    await stage.until(lambda: len(c1.held) == 8)
    await pause()
    await stage.until(lambda: stage.now.paused)
    c1.hold = lambda _request: False
    await c1.release()
    await stage.until(lambda: stage.now.phase == "paused" and stage.now.read == 8)
    assert (stage.now.requested, stage.now.outcome) == (8, "running")
    return c1, running


async def test_a_paused_run_makes_what_was_asked_and_nothing_more_until_it_is_resumed(stage: Any) -> None:
    async with stage.open() as workspace:

        async def pause() -> None:
            workspace.pause(on=True, by="anna")

        _, running = await paused_in_first_round(stage, pause)
        with pytest.raises(RunRefusedError, match="paused already"):
            workspace.pause(on=True)
        workspace.pause(on=False)
        result = await running
        assert (result.outcome, result.tests[0].matched) == ("passed", 12)
        assert {"paused by anna", "resumed"} <= {m.text for m in workspace.store.markers(result.run)}
        with pytest.raises(RunRefusedError, match="No run is under way"):
            workspace.pause(on=True)


async def test_a_repeat_that_begins_while_paused_waits(stage: Any) -> None:
    plan = stage.plan_text.replace("repeats = 1", "repeats = 2")
    async with stage.open() as workspace:
        (c1,) = await stage.join("c1", hold=lambda _request: True)
        running = stage.start(plan)
        await stage.until(lambda: len(c1.held) == 8)
        c1.hold = lambda request: not c1.held and len(c1.requested) > 8
        await c1.release()
        await stage.until(lambda: c1.held)
        workspace.pause(on=True)
        c1.hold = lambda _request: False
        await c1.release()
        await stage.until(lambda: stage.now.repeat == 2 and stage.now.phase == "paused")
        assert stage.now.requested == 0
        workspace.pause(on=False)
        assert (await running).outcome == "passed"


async def test_a_paused_run_can_be_stopped(stage: Any) -> None:
    async with stage.open() as workspace:

        async def pause() -> None:
            workspace.pause(on=True)

        _, running = await paused_in_first_round(stage, pause)
        workspace.stop()
        result = await running
        assert (result.outcome, result.tests[0].total) == ("stopped", 8)


@pytest.mark.parametrize("end", ["stop", "abort"])
async def test_orders_come_through_the_database(stage: Any, end: Any) -> None:
    async with stage.open() as workspace:
        mine = await asyncio.to_thread(Store, stage.directory / "w.db")  # as another program has it
        try:
            assert run_under_way(mine) is None
            with pytest.raises(RunRefusedError, match="No run is under way in "):
                await asyncio.to_thread(give_order, mine, "pause", time.time())
            me = _as_another_program(mine)

            async def pause() -> None:
                with me:
                    run = await asyncio.to_thread(give_order, mine, "pause", time.time())
                assert run == run_under_way(mine)

            _, running = await paused_in_first_round(stage, pause)
            with _as_another_program(mine):
                await asyncio.to_thread(give_order, mine, end, time.time())
            result = await running
            assert result.outcome == {"stop": "stopped", "abort": "aborted"}[end]
            assert any("paused by the operator of this machine" in m.text for m in workspace.store.markers(result.run))
        finally:
            mine.close()


async def test_a_program_that_has_ended_gets_no_orders(stage: Any, tmp_path: Path) -> None:
    with Store(tmp_path / "left.db") as store:
        run = store.create_run(name="p", plan_text="", settle=1.0, tests=[], now=1.0)
        with pytest.raises(RunRefusedError, match=f"The program that carried out run {run} has ended"):
            give_order(store, "stop", time.time())
        with (
            _as_another_program(store, there=True),
            pytest.raises(RunRefusedError, match="nothing was ordered"),
        ):
            give_order(store, "stop", time.time(), seconds=0.1)
        assert store.setting(SETTING) == ""
        assert Order(1, "stop", 1.0).by == ""


def _as_another_program(store: Store, *, there: bool = False) -> Any:
    """The one who has the workspace is this process: to give orders, it must seem another one."""
    import contextlib
    import os

    from gui.runner import ownership
    from gui.store.programs import this_program

    @contextlib.contextmanager
    def seeming() -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ownership, "this_program", lambda now: _other(this_program(now)))
            if there:
                patch.setattr("gui.runner.orders.holder", lambda *_: f"Another Tally (process {os.getpid()} on here)")
            yield

    return seeming()


def _other(program: Any) -> Any:
    import msgspec

    return msgspec.structs.replace(program, host="elsewhere")


async def test_pausing_from_elsewhere_needs_an_operator(stage: Any) -> None:
    tls = HubOptions(directory=stage.directory / "hub", host="127.0.0.1", port=0, heartbeat=0.2)
    async with stage.open(hub=tls) as workspace:
        keys = {scope: new_key([scope], time.time(), sub="anna") for scope in ("observer", "operator")}
        for key in keys.values():
            workspace.store.put_key(key)
        pin, at = workspace.hub.pin, workspace.hub.local_address
        me, looks = (
            Credentials(keys[scope].secret, keys[scope].kid, "anna", pin=pin) for scope in ("operator", "observer")
        )
        async with RemoteHub.open(at, me) as hub, RemoteHub.open(at, looks) as observer:
            assert (hub.may_command, observer.may_command) == (True, False)
            with pytest.raises(RemoteError, match="No run is under way"):
                await hub.pause()
            _, running = await paused_in_first_round(stage, hub.pause)
            await stage.until(lambda: observer.progress.paused and observer.progress.phase == "paused")
            with pytest.raises(RemoteError, match="look on only"):
                await observer.pause(on=False)
            await hub.pause(on=False)
            result = await running
            assert result.outcome == "passed"
            assert any("paused by operator anna on " in m.text for m in workspace.store.markers(result.run))
