"""Live: what happens is shown as it comes."""

from __future__ import annotations

from gui.pages.live.presenter import LivePresenter
from gui.runner.progress import RunProgress


def test_stages_progress_and_the_end_are_shown(page) -> None:
    presenter = LivePresenter(page)
    moment = RunProgress(t=1.0)
    presenter.stage("Setting up")
    presenter.stage("")
    presenter.progressed(moment)
    presenter.detach()
    assert page.calls == [
        ("show_stage", "Setting up"),
        ("show_stage", ""),
        ("show_progress", moment),
        ("show_nothing",),
    ]
