"""The board of a workspace's hub, kept up to date."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gui.hub.roster import AgentView
from gui.runner.machine import workspace_options
from gui.runner.workspace import Workspace
from gui.statuspage import publisher, render
from gui.statuspage.publisher import Publisher, status_page
from gui.store import StoreUnavailableError

pytestmark = pytest.mark.usefixtures("own_settings")


def here(tmp_path: Path) -> Any:
    """Options of a workspace of this machine."""
    options = workspace_options(tmp_path, environ={})
    return replace(options, hub=replace(options.hub, host="127.0.0.1", port=0, insecure=True))


async def test_a_look_gets_what_is_known_now(tmp_path: Path) -> None:
    async with Workspace.open(here(tmp_path)) as workspace, status_page(workspace):
        board = workspace.hub.board
        assert board.part("run") == ""  # nobody has looked
        board.look()
        assert "No run yet" in board.part("run")
        assert "default" in board.part("workspace")
        workspace.hub.roster.put(AgentView("id", "shared", "c1", "client", "up", host="wn1"))
        board.look()
        assert "wn1" in board.part("fleet")
    assert board.on_look is None


async def test_it_follows_while_a_page_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "BEAT_SECONDS", 0.01)
    async with Workspace.open(here(tmp_path)) as workspace, status_page(workspace):
        board = workspace.hub.board
        event = board.watch()
        await event.wait()
        workspace.hub.roster.put(AgentView("id", "shared", "c1", "client", "up", host="wn1"))
        while "wn1" not in board.part("fleet"):
            event.clear()
            await event.wait()
        board.unwatch(event)


async def test_a_database_that_does_not_answer(tmp_path: Path, caplog: Any) -> None:
    async with Workspace.open(here(tmp_path)) as workspace:
        now = [1000.0]
        page = Publisher(workspace, lambda: now[0])

        def broken() -> Any:
            raise StoreUnavailableError("it is locked")

        real, page._reader.read = page._reader.read, broken  # type: ignore[method-assign]
        await page._read_history()
        page.publish()
        assert "The hub&#x27;s database does not answer" in workspace.hub.board.part("run")
        assert "the page cannot read results: it is locked" in caplog.text
        caplog.clear()
        page._reader.read = real  # type: ignore[method-assign]
        await page._read_history()
        page.publish()
        assert "database" not in workspace.hub.board.part("run")


async def test_the_list_of_all_runs_is_not_written_at_every_beat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[float] = []
    real = render.all_runs

    def all_runs(status: Any) -> Any:
        written.append(status.now)
        return real(status)

    monkeypatch.setattr(publisher, "all_runs", all_runs)
    async with Workspace.open(here(tmp_path)) as workspace:
        now = [1000.0]
        page = Publisher(workspace, lambda: now[0])
        await page._read_history()
        for _ in range(40):
            now[0] += 1
            page.publish()
        assert written == [1001.0, 1031.0]
