"""The window on a remote hub, over its real door: every page shows it, an observer may only look on and is told why, a
connection that breaks is shown and comes back, and a run is started, paused and stopped from there."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from gui.app import PAGES, make_window
from gui.app.window import Window
from gui.campaign.planfile import parse_plan
from gui.hub import HubOptions
from gui.hub.keys import new_key
from gui.runner.hubs import HubKey
from tests.gui.parts import page
from tests.gui.runner.conftest import Stage


@dataclass
class Far:
    """A hub elsewhere, and this machine's window."""

    stage: Stage
    workspace: Any
    window: Window

    def key(self, scope: str) -> HubKey:
        key = new_key([scope], time.time(), sub="anna")
        self.workspace.store.put_key(key)
        file = self.stage.directory / f"{key.kid}.key"
        file.write_text(key.secret)
        hub = self.workspace.hub
        return HubKey(hub.local_address, key.kid, file, "anna", hub.pin)

    async def open(self, scope: str) -> bool:
        return await self.window.home.open_hub(self.key(scope))

    @property
    def said(self) -> str:
        return " ".join(entry.text for entry in self.window.problems.history.entries)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gui.campaign.settle.MINIMUM_QUIET", 0.3)
    monkeypatch.setattr("gui.runner.recorder.LOOK_SECONDS", 0.05)
    monkeypatch.setattr("gui.runner.consume.WAIT_SECONDS", 0.05)
    monkeypatch.setattr("gui.runner.remote.delays", lambda *_: iter([0.2] * 1000))
    monkeypatch.setattr("gui.runner.afar.RENEW_SECONDS", 0.3)
    monkeypatch.setattr("gui.runner.afar.LOOK_SECONDS", 0.1)


@contextlib.asynccontextmanager
async def far_away(place: Path) -> AsyncIterator[Far]:
    place.mkdir()
    stage = Stage(place)
    tls = HubOptions(directory=place / "hub", host="127.0.0.1", port=0, heartbeat=0.2)
    window = make_window(place / "here")
    window.frame.resize(1280, 800)
    window.frame.show()
    try:
        async with stage.open(hub=tls) as workspace:
            try:
                yield Far(stage, workspace, window)
            finally:
                window.frame.close_at_once()
                await window.done.wait()
    finally:
        stage.monitoring.close()


def test_an_observer_sees_everything_and_is_told_what_is_not_allowed(qapp, drive, until, tmp_path, quick) -> None:
    async def story() -> None:
        async with far_away(tmp_path / "far") as far:
            stage, window = far.stage, far.window
            stage.monitoring.lose = lambda done: done.path.endswith(("1", "3", "5"))
            await stage.join("c1", "c2")
            first = (await stage.run()).run
            stage.monitoring.lose = lambda _done: False
            second = (await stage.run()).run
            assert await far.open("observer"), far.said
            remote = far.workspace.hub.local_address
            assert window.frame.workspace_where == remote
            fleet, runs, result = page(window, "fleet"), page(window, "runs"), page(window, "result")
            await until(lambda: {row.name for row in fleet.clients.model.rows.all} == {"c1", "c2"})
            await until(lambda: [view.run.id for view in runs.runs.model.rows.all] == [second, first])
            window.go("result", run=first)
            await until(
                lambda: result.view is not None and result.view.run.id == first and result.requests.model.rows.all
            )
            missing = [row for row in result.requests.model.rows.all if not row.record]
            assert missing
            window.go("evidence", run=first, request=missing[0].id)
            evidence = page(window, "evidence")
            await until(
                lambda: evidence.isVisible() and missing[0].tag in evidence.window().windowTitle() + _text(evidence)
            )
            window.go("compare", a=first, b=second)
            compare = page(window, "compare")
            await until(lambda: compare.report_button.isEnabled())
            for entry in PAGES:
                window.go(entry.name)
                await until(lambda entry=entry: window.current_page() == entry.name)
                window._look()
            window.go("result", run=first)
            for button in (
                window.frame.run_button, window.frame.stop_button, window.frame.pause_button, fleet.add_button,
                fleet.drain_button, fleet.revoke_button, page(window, "plans").run_button,
            ):  # fmt: skip
                assert not button.isEnabled()
                assert "observer's key" in unescape(button.toolTip())
            await until(lambda: result.view is not None)
            for button in (result.baseline_button, result.recheck_button, result.bundle_button, runs.open_button):
                assert not button.isEnabled()
                assert "can be changed only where that hub runs" in button.toolTip()
            assert result.report_button.isEnabled()
            assert any(part.text == "observer" for part in window.frame._shown_status)
            window.run_plan(parse_plan(stage.plan_text), stage.plan_text, stage.directory)
            (stage.directory / "files.txt").write_text(stage.files)
            await until(lambda: "look on only" in far.said or "files.txt" in far.said)
            assert len(far.workspace.store.runs()) == 2

    drive(story())


def _text(widget: Any) -> str:
    from PySide6.QtWidgets import QLabel

    return " ".join(label.text() for label in widget.findChildren(QLabel))


def test_an_operator_runs_pauses_and_stops_from_here(qapp, drive, until, tmp_path, quick) -> None:
    async def story() -> None:
        async with far_away(tmp_path / "far") as far:
            stage, window = far.stage, far.window
            (c1,) = await stage.join("c1", hold=lambda _request: True)
            (stage.directory / "files.txt").write_text(stage.files)
            assert await far.open("operator"), far.said
            window.run_plan(parse_plan(stage.plan_text), stage.plan_text, stage.directory)
            await until(lambda: len(c1.held) == 8)
            live = page(window, "live")
            await until(lambda: live.badge._state[1] == "running" and window.frame.pause_button.isVisible())
            window.frame.pause_button.click()
            await until(lambda: far.workspace.latest.paused and window.frame.pause_button.accessibleName() == "Resume")
            c1.hold = lambda _request: False
            await c1.release()
            await until(lambda: live.badge._state[1] == "paused")
            window.frame.pause_button.click()
            await until(lambda: len(far.workspace.store.runs()) == 1 and not far.workspace.running)
            await until(lambda: window.current_page() == "result" and page(window, "result").view is not None)
            assert far.workspace.store.runs()[0].state == "passed"
            c1.hold = lambda _request: True
            running = stage.start()  # by somebody else
            await until(lambda: len(c1.held) == 8 and window.frame.stop_button.isEnabled())
            window.frame.stop_button.click()
            await until(lambda: far.workspace.runs.session is None or far.workspace.runs.session._stopping)
            c1.hold = lambda _request: False
            await c1.release()
            assert (await running).outcome == "stopped"
            await until(lambda: [v.run.id for v in page(window, "runs").runs.model.rows.all] == [2, 1])

    drive(story())


def test_a_connection_that_breaks_is_shown_and_comes_back(qapp, drive, until, tmp_path, quick) -> None:
    async def story() -> None:
        async with far_away(tmp_path / "far") as far:
            window = far.window
            await far.stage.join("c1")
            assert await far.open("observer"), far.said
            afar: Any = window.workspace

            connect, afar._remote._connect = afar._remote._connect, _refused
            afar._remote._socket.transport.abort()
            await until(lambda: any("is away; trying again" in part.text for part in window.frame._shown_status))
            await until(lambda: "broke; what is shown is from before" in far.said)
            run = (await far.stage.run()).run  # while nobody looked
            afar._remote._connect = connect
            await until(lambda: any(part.text == "observer" for part in window.frame._shown_status))
            await until(lambda: [v.run.id for v in page(window, "runs").runs.model.rows.all] == [run])

    drive(story())


async def _refused() -> Any:
    from gui.runner.hublink import RemoteError

    raise RemoteError("nobody is there")


@pytest.mark.parametrize(("change", "says"), [(-1, "an older"), (1, "a newer")])
def test_a_hub_of_another_time_is_refused_in_one_sentence(
    qapp, drive, until, tmp_path, quick, monkeypatch, change, says
) -> None:
    from gui.hub import operate

    async def story() -> None:
        async with far_away(tmp_path / "far") as far:
            monkeypatch.setattr("gui.hub.operators.PROTOCOL", operate.PROTOCOL + change)
            assert not await far.open("operator")
            assert f"with {says} protocol or database than this one" in far.said
            assert far.window.workspace is None

    drive(story())


def test_a_key_that_is_revoked_ends_it_with_the_reason(qapp, drive, until, tmp_path, quick) -> None:
    async def story() -> None:
        from gui.hub import keys

        async with far_away(tmp_path / "far") as far:
            key = far.key("operator")
            assert await far.window.home.open_hub(key), far.said
            await far.workspace.blocking(keys.revoke_key, far.workspace.store, key.kid, time.time())
            await until(lambda: far.window.workspace is None)
            assert "the key was revoked" in far.said
            assert far.window.frame.stop_button.toolTip() != ""
            assert "observer" not in far.window.frame.run_button.toolTip()

    drive(story())
