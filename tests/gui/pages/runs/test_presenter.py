"""Runs: what was read for a workspace is shown while that is the open one; a report that cannot be written is a
sentence."""

from __future__ import annotations

from pathlib import Path
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


READS = [
    ("read_runs", ("refresh",), "set_runs"),
    ("read_run", ("show_run", 3), "show_run"),
    ("read_test", ("show_test", "a test"), "show_test"),
    ("ladder_of", ("show_evidence", 5), "show_evidence"),
]


@pytest.mark.parametrize(("reads", "asked", "shows"), READS, ids=[read[0] for read in READS])
async def test_what_was_read_is_shown(desk, page, presenter, monkeypatch, reads, asked, shows) -> None:
    monkeypatch.setattr(module, reads, lambda *arguments: ("read", *arguments))
    name, *arguments = asked
    await getattr(presenter, name)(*arguments)
    ((called, *_, shown),) = page.calls
    assert (called, shown) == (shows, ("read", "store", *arguments))


@pytest.mark.parametrize(("reads", "asked", "shows"), READS, ids=[read[0] for read in READS])
async def test_a_workspace_that_was_left_meanwhile_is_not_shown(
    desk, page, presenter, seen, monkeypatch, reads, asked, shows
) -> None:
    def leave(*_: Any) -> None:
        desk.workspace = None

    monkeypatch.setattr(module, reads, leave)
    name, *arguments = asked
    await getattr(presenter, name)(*arguments)
    await getattr(presenter, name)(*arguments)
    assert (page.calls, seen) == ([], [])


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(13, "Permission denied"), "The report cannot be written to r.pdf: Permission denied."),
        (ValueError("No such format."), "The report cannot be written to r.pdf: No such format."),
    ],
)
async def test_a_report_that_cannot_be_written_is_a_sentence(desk, presenter, monkeypatch, error, said) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(module, "write_report", refuse)
    await presenter.write_report(1, Path("r.pdf"))
    assert [text for _, text, _ in desk.said] == [said]


async def test_f5_reads_in_the_background(desk, page, presenter, seen, monkeypatch) -> None:
    monkeypatch.setattr(module, "read_runs", lambda store: ["run 1"])
    presenter.read()
    assert await desk.settle() == ["read runs"]
    assert page.calls == [("set_runs", ["run 1"])]
    assert seen == [["run 1"]]
