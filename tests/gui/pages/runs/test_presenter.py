"""Runs: what was read for a workspace is shown while that is the open one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import gui.pages.runs.presenter as module
from gui.pages.runs.presenter import RunsPresenter
from gui.report import BundleError
from gui.store import Seal


@pytest.fixture
def seen() -> list[object]:
    return []


@pytest.fixture
def presenter(desk, page, seen, make_workspace) -> RunsPresenter:
    desk.workspace = make_workspace(store="store")
    return RunsPresenter(desk, page, lambda workspace, views: seen.append(views), Path("keys"))


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


BUNDLE = Path("run-7.tally.zip")


async def test_a_bundle_becomes_a_run_and_says_who_made_it(page, presenter, monkeypatch) -> None:
    monkeypatch.setattr(module, "read_runs", lambda store: [])
    seal = Seal(checksum="c", key="ed25519:x", known="ada")
    monkeypatch.setattr(
        module, "take_in_bundle", lambda store, path, keys: SimpleNamespace(run=9, seal=seal, sound=True)
    )
    await presenter.take_in(BUNDLE)
    busy, said, shown = page.calls
    assert busy == ("busy", "Checking run-7.tally.zip…")
    assert said[0] == "say"
    assert said[1].startswith("Run 9 was taken in from run-7.tally.zip. ")
    assert "ada" in said[1]
    assert said[2:] == ("ok", 9)
    assert shown == ("set_runs", [])


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (BundleError("Refused: run.json in run-7.tally.zip has more than 20 levels."), "has more than 20 levels."),
        (PermissionError(13, "Permission denied"), "run-7.tally.zip cannot be read: Permission denied."),
    ],
)
async def test_a_bundle_that_is_refused_is_one_sentence(page, presenter, monkeypatch, error, said) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(module, "take_in_bundle", refuse)
    await presenter.take_in(BUNDLE)
    assert page.calls[-1][1].endswith(said)
    assert page.calls[-1][2] == "bad"
    assert len(page.calls) == 2


async def test_a_bundle_needs_a_workspace(desk, page, presenter) -> None:
    desk.workspace = None
    await presenter.take_in(BUNDLE)
    assert page.calls == [("say", "No workspace is open: a bundle is taken into one.", "warn")]
