"""Runs: what was read for a workspace is shown while that is the open one."""

from __future__ import annotations

from typing import Any

import pytest

import gui.pages.runs.presenter as module
from gui.pages.runs.presenter import RunsPresenter


@pytest.fixture
def seen() -> list[object]:
    return []


@pytest.fixture
def presenter(desk, page, seen, make_workspace) -> RunsPresenter:
    desk.workspace = make_workspace(store="store")
    return RunsPresenter(desk, page, lambda workspace, views: seen.append(views))


async def test_f5_reads_in_the_background(desk, page, presenter, seen, monkeypatch) -> None:
    monkeypatch.setattr(module, "read_runs", lambda store: ["run 1"])
    presenter.read()
    assert await desk.settle() == ["read runs"]
    assert page.calls == [("set_runs", ["run 1"])]
    assert seen == [["run 1"]]


async def test_a_workspace_that_was_left_meanwhile_is_not_shown(desk, page, presenter, seen, monkeypatch) -> None:
    def leave(*_: Any) -> None:
        desk.workspace = None

    monkeypatch.setattr(module, "read_runs", leave)
    await presenter.refresh()
    await presenter.refresh()
    assert (page.calls, seen) == ([], [])


def test_without_a_workspace_there_are_no_runs(page, presenter) -> None:
    presenter.detach()
    assert page.calls == [("set_runs", ())]
