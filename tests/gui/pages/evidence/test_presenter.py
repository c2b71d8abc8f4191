"""Evidence: the request that is open, the list that it was opened from, and where one goes from there."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

import gui.pages.evidence.presenter as module
from gui.campaign.planfile import parse_plan
from gui.models.faults import Met
from gui.pages.evidence.presenter import NO_DATAGRAMS, EvidencePresenter
from gui.store import NoSuchRowError

PLAN = """name = "drill"
[[test]]
servers = 2
files_per_server = 10
per_round = 5
[[test.fault]]
at = 5
do = "udp-loss"
for = 20
percent = 2
[[test.fault]]
at = 12
do = "kill-collector"
"""
MET = (Met(1, "udp-loss", "", 5.8),)


class Courses:
    """Courses whose views are the numbers of the requests."""

    read: ClassVar[list[int]] = []

    def __init__(self, store: str, run: int) -> None:
        self.run = run
        self.read.append(run)

    def of(self, request: int) -> int:
        if request > 900:
            raise NoSuchRowError(f"Run {self.run} has no request {request}.")
        return request


@pytest.fixture
def started() -> list[tuple[Any, str]]:
    """The plans that were run, with their texts."""
    return []


@pytest.fixture
def presenter(desk, page, make_workspace, started, monkeypatch) -> EvidencePresenter:
    Courses.read = []
    monkeypatch.setattr(module, "Courses", Courses)
    monkeypatch.setattr(module, "view_of", lambda number: SimpleNamespace(request=number, server="s 1", met=MET))
    desk.workspace = make_workspace(store="store", lab=None, running=False, options=SimpleNamespace(lab=None))
    return EvidencePresenter(desk, page, lambda plan, text: started.append((plan, text)))


def places(page: Any) -> list[tuple[int, tuple[int, int], str]]:
    return [(view.request, place, named) for _, view, place, named, _ in page.calls]


async def test_one_steps_through_the_list_that_it_was_opened_from(page, presenter) -> None:
    await presenter.show(3, 50, (40, 50, 60), "verdict:missing")
    await presenter.step(1)
    await presenter.step(1)  # there is no more
    await presenter.step(-1)
    named = "Requests, verdict:missing"
    assert places(page) == [(50, (2, 3), named), (60, (3, 3), named), (50, (2, 3), named)]
    assert Courses.read == [3], "what was reported is read once"


async def test_a_link_keeps_the_list_and_another_run_has_none(page, presenter) -> None:
    await presenter.show(3, 50, (40, 50), "missing")
    await presenter.show(3, 70)
    assert places(page)[-1] == (70, (0, 0), "Requests, missing")
    await presenter.show(3, 40)
    assert places(page)[-1][1] == (1, 2)
    await presenter.show(4, 1)
    assert places(page)[-1] == (1, (0, 0), "Requests")
    assert Courses.read == [3, 4]


async def test_while_a_run_is_under_way_everything_is_read_anew(desk, presenter) -> None:
    desk.workspace.running = True
    await presenter.show(3, 50)
    await presenter.show(3, 51)
    assert Courses.read == [3, 3]
    desk.workspace.running = False
    presenter.changed()
    await presenter.show(3, 51)
    assert Courses.read == [3, 3, 3]


async def test_a_request_that_is_gone_is_a_sentence(desk, page, presenter) -> None:
    await presenter.show(3, 901)
    assert desk.said[0][1] == "Run 3 has no request 901."
    assert page.calls == []


async def test_a_workspace_that_was_left_meanwhile_is_not_shown(desk, page, presenter, monkeypatch) -> None:
    def leave(*_: Any) -> None:
        desk.workspace = None

    monkeypatch.setattr(module, "view_of", leave)
    await presenter.show(3, 5)
    await presenter.show(3, 5)
    assert page.calls == []


async def test_where_one_goes_from_there(desk, presenter) -> None:
    presenter.to_list()
    assert (desk.page, desk.place) == ("runs", {})
    await presenter.show(3, 50, (50,), "missing")
    presenter.to_list()
    assert (desk.page, desk.place) == ("result", {"run": 3, "tab": "requests"})
    presenter.to_together("11:5:F:78:9")
    assert desk.place == {"run": 3, "tab": "requests", "filter": "lost_with:=11:5:F:78:9"}


async def test_datagrams_are_those_of_the_labs_spool(desk, page, presenter, tmp_path) -> None:
    await presenter.show(3, 50)
    assert page.calls[-1][-1] == NO_DATAGRAMS
    desk.workspace.lab, desk.workspace.options = "a lab", SimpleNamespace(lab=tmp_path)
    (tmp_path / "spool" / "shoveler-1").mkdir(parents=True)
    await presenter.show(3, 50)
    assert page.calls[-1][-1] == ""
    presenter.open_datagrams()
    assert (desk.page, desk.place) == ("inspector", {"file": tmp_path / "spool/shoveler-1", "filter": 'server:"s 1"'})


async def test_without_a_workspace_nothing_is_shown(desk, page, presenter) -> None:
    await presenter.show(3, 50, (50,), "missing")
    presenter.detach()
    assert page.calls[-1] == ("clear",)
    assert (presenter.run, presenter.among) == (None, ())


async def test_an_injected_loss_is_left_out_opened_in_its_plan_or_done_without(desk, page, presenter, started) -> None:
    run = SimpleNamespace(plan_text=PLAN)
    desk.workspace.store = SimpleNamespace(run=lambda number: run)
    await presenter.show(3, 50)
    presenter.leave_out()
    assert (desk.page, desk.place) == ("result", {"run": 3, "tab": "requests", "leave_out": True})
    await presenter.open_fault()
    assert (desk.page, desk.place) == ("plans", {"text": PLAN, "fault": MET[0]})
    await presenter.run_without()
    ((plan, text),) = started
    assert plan.name == "drill, without udp-loss"
    assert [fault.do for fault in plan.tests[0].faults] == ["kill-collector"]
    assert parse_plan(text) == plan
    desk.workspace.running = True
    await presenter.run_without()
    assert len(started) == 1
    assert desk.said[-1][1] == "A run is under way."
    run.plan_text = "not a plan"
    await presenter.open_fault()
    assert "The plan of run 3 cannot be read" in desk.said[-1][1]
