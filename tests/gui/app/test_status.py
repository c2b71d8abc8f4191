"""What the top bar says of a run: of all of it, and also of one that another program carries out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gui.app.status import run_text, runs_elsewhere, status_parts
from gui.runner.progress import RunProgress


def workspace(other: str = "", **latest: Any) -> Any:
    return SimpleNamespace(other=other, progress=SimpleNamespace(latest=RunProgress(t=1.0, **latest)))


@pytest.mark.parametrize(("requested", "said"), [(0, "Run 7 · 0 %"), (100, "Run 7 · 12 %"), (800, "Run 7 · 100 %")])
def test_the_share_is_that_of_all_tests(requested: int, said: str) -> None:
    """The first of eight tests is done: all of its 100 requests, an eighth of the run."""
    made = workspace(run=7, total=100, requested=100, run_total=800, run_requested=requested, tests=8, test=1)
    assert run_text(made) == said


def test_a_run_that_has_no_number_yet_is_starting() -> None:
    assert run_text(workspace(run=None)) == "starting"


def test_a_run_of_another_program_is_shown_as_one_that_runs() -> None:
    """A second window must not say that nothing runs."""
    made = workspace(other="tally run (process 4711)", run=7, owner="tally run (process 4711)", outcome="running")
    assert runs_elsewhere(made)
    (part,) = status_parts(made)
    assert part.text == "tally run (process 4711) has this workspace; its run is shown here"
    assert not runs_elsewhere(workspace(run=7, owner="", outcome="running"))
    assert not runs_elsewhere(workspace(run=7, owner="tally run (process 4711)", outcome="passed"))
