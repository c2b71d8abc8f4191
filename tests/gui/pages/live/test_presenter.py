"""Live: what happens is shown as it comes; while nothing runs, what ran last is offered."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from gui.campaign.planfile import format_plan
from gui.models.plans import NEW_PLAN
from gui.models.series import PlotTable
from gui.pages.live.presenter import LastRun, LivePresenter
from gui.runner.progress import RunProgress
from gui.store import NoSuchRowError


def presenter(desk: Any, page: Any) -> tuple[LivePresenter, list[Any]]:
    started: list[Any] = []
    return LivePresenter(desk, page, lambda plan, text: started.append((plan, text))), started


def entry(**values: Any) -> Any:
    return SimpleNamespace(
        **({"id": 35, "state": "passed", "name": "osdf", "plan_text": format_plan(NEW_PLAN)} | values)
    )


def test_stages_progress_and_the_end_are_shown(desk, page) -> None:
    made, _ = presenter(desk, page)
    moment = RunProgress(t=1.0)
    made.stage("Setting up")
    made.stage("")
    made.progressed(moment)
    made.detach()
    assert page.calls == [
        ("show_stage", "Setting up"),
        ("show_stage", ""),
        ("show_progress", moment),
        ("show_nothing",),
        ("show_last", None),
    ]


async def test_what_ran_last_is_said_and_opened_and_run_again(desk, page, make_workspace) -> None:
    made, started = presenter(desk, page)
    store = SimpleNamespace(runs=lambda _limit: [entry()], run=lambda _run: entry())
    desk.workspace = make_workspace(store=store)
    made.read_last()
    await desk.settle()
    assert page.calls == [("show_last", LastRun(35, "run 35, pass: osdf"))]
    made.show_result(35, 0)
    assert (desk.page, desk.place) == ("result", {"run": 35})
    made.show_result(35, 3)
    assert desk.place == {"run": 35, "test": 3}
    await made.run_again(35)
    assert started == [(NEW_PLAN, format_plan(NEW_PLAN))]


async def test_without_a_run_or_a_workspace_nothing_is_offered(desk, page, make_workspace) -> None:
    made, started = presenter(desk, page)
    await made.show_last()
    await made.run_again(1)
    desk.workspace = make_workspace(store=SimpleNamespace(runs=lambda _limit: []))
    await made.show_last()
    assert (page.calls, started) == ([("show_last", None)], [])


async def test_a_run_that_cannot_be_run_again_is_a_sentence(desk, page, make_workspace) -> None:
    made, started = presenter(desk, page)

    def gone(_run: int) -> Any:
        raise NoSuchRowError("run", 35)

    desk.workspace = make_workspace(store=SimpleNamespace(run=gone))
    await made.run_again(35)
    desk.workspace = make_workspace(store=SimpleNamespace(run=lambda _run: entry(plan_text="[[test]]\nservers = 0")))
    await made.run_again(35)
    assert [text.partition(":")[0] for _, text, _ in desk.said] == [
        "Run 35 is no longer in this workspace.", "The plan of run 35 cannot be run"
    ]  # fmt: skip
    assert started == []


async def test_a_table_is_written_or_not_and_said(desk, page, tmp_path) -> None:
    made, _ = presenter(desk, page)
    table = PlotTable(("s1",), np.array([1.0]), np.array([[2.5]]), np.array([[np.nan]]))
    await made.write_table(tmp_path / "t.csv", table)
    await made.write_table(tmp_path / "nowhere" / "t.csv", table)
    assert (tmp_path / "t.csv").read_text().splitlines()[1:] == ["1,s1,2.5,"]
    assert page.calls == [
        ("show_saved", tmp_path / "t.csv"),
        ("show_saved", tmp_path / "nowhere" / "t.csv", "No such file or directory"),
    ]
