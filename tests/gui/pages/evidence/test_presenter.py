"""Evidence: what was read is shown while that request is the open one."""

from __future__ import annotations

from typing import Any

import pytest

import gui.pages.evidence.presenter as module
from gui.pages.evidence.presenter import EvidencePresenter


@pytest.fixture
def presenter(desk, page, make_workspace) -> EvidencePresenter:
    desk.workspace = make_workspace(store="store")
    return EvidencePresenter(desk, page)


async def test_what_was_read_is_shown(page, presenter, monkeypatch) -> None:
    monkeypatch.setattr(module, "read_evidence", lambda store, request: (f"request {request}", "ladder"))
    await presenter.show(3, 5)
    assert page.calls == [("show_request", 3, "request 5", "ladder")]


async def test_a_workspace_that_was_left_meanwhile_is_not_shown(desk, page, presenter, monkeypatch) -> None:
    def leave(*_: Any) -> tuple[str, None]:
        desk.workspace = None
        return "request", None

    monkeypatch.setattr(module, "read_evidence", leave)
    await presenter.show(3, 5)
    await presenter.show(3, 5)
    assert page.calls == []
