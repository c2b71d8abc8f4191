"""Result: what was read for a workspace is shown while that is the open one; a report that cannot be written is a
sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import gui.pages.result.presenter as module
from gui.pages.result.presenter import ResultPresenter


@pytest.fixture
def presenter(desk, page, make_workspace) -> ResultPresenter:
    desk.workspace = make_workspace(store="store")
    return ResultPresenter(desk, page)


READS = [
    ("read_run", ("show_run", 3), ("show_run", ("read", "store", 3), None)),
    ("read_test", ("show_test", "a test"), ("show_test", ("read", "store", "a test"))),
]


@pytest.mark.parametrize(("reads", "asked", "shows"), READS, ids=[read[0] for read in READS])
async def test_what_was_read_is_shown(desk, page, presenter, monkeypatch, reads, asked, shows) -> None:
    monkeypatch.setattr(module, reads, lambda *arguments: ("read", *arguments))
    name, *arguments = asked
    await getattr(presenter, name)(*arguments)
    assert page.calls == [shows]


@pytest.mark.parametrize(("reads", "asked", "shows"), READS, ids=[read[0] for read in READS])
async def test_a_workspace_that_was_left_meanwhile_is_not_shown(
    desk, page, presenter, monkeypatch, reads, asked, shows
) -> None:
    def leave(*_: Any) -> None:
        desk.workspace = None

    monkeypatch.setattr(module, reads, leave)
    name, *arguments = asked
    await getattr(presenter, name)(*arguments)
    await getattr(presenter, name)(*arguments)
    assert page.calls == []


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
