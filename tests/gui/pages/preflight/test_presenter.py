"""Preflight: the chosen plan is checked line by line, again for one line, and the run keeps what was found."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest

from gui.campaign.plan import File, Plan, Test
from gui.campaign.planfile import format_plan
from gui.campaign.selection import Server
from gui.models.checklist import Line, counts, totals
from gui.models.plans import ChosenPlan
from gui.pages.preflight.presenter import PreflightPresenter
from gui.runner.checklist import Check, Fix, Item, State
from gui.runner.lab import LabMissingError

PLAN = Plan("night", (Test(2, 40, 10, repeats=3),))
CHOSEN = ChosenPlan(PLAN, "# mine\n" + format_plan(PLAN), Path("plans"), "tally preflight night.toml")
ITEMS = (Item("a", "A", "Why a."), Item("b", "B", "Why b.", ("a",)), Item("c", "C", "Why c."))


class FakeList:
    """Finds what the test says, in `states`; waits for `gate` before the line of its name."""

    states: ClassVar[dict[str, State]] = {"a": "ok", "b": "warning", "c": "failed"}
    gate: asyncio.Event | None = None
    reached = asyncio.Event()

    def __init__(self, workspace, plan, *, directory) -> None:
        self.items = ITEMS
        self.plan = plan
        self.directory = directory
        self.asked: list[object] = []

    async def look(self, names=None):
        self.asked.append(names)
        for item in ITEMS:
            if names is None or item.name in names or any(item.name in i.needs for i in ITEMS if i.name in names):
                yield item
                if self.gate is not None and item.name == "b":
                    FakeList.reached.set()
                    await self.gate.wait()
                yield Check(item.name, item.title, self.states[item.name], f"{item.name} was seen")


@pytest.fixture
def made(desk, page, make_workspace, recorder):
    """Presenter, page, lists that were made, what was copied, and who begins runs."""
    desk.workspace = make_workspace(
        hub=SimpleNamespace(roster=SimpleNamespace(agents=())),
        lab=None,
        servers=lambda: [Server("s1", "root://s1"), Server("s2", "root://s2")],
    )
    desk.chosen = CHOSEN
    desk.page = "preflight"
    FakeList.reached = asyncio.Event()
    lists: list[FakeList] = []
    copied: list[str] = []
    starter = recorder()

    def make(*arguments, **named):
        lists.append(FakeList(*arguments, **named))
        return lists[-1]

    presenter = PreflightPresenter(desk, page, starter, copied.append, make)
    return SimpleNamespace(presenter=presenter, page=page, lists=lists, copied=copied, starter=starter)


def shown(page) -> list[tuple[str, str]]:
    """The lines as the page has them now."""
    lines = next(call[1] for call in reversed(page.calls) if call[0] == "show_lines")
    return [(line.item.name, line.state) for line in lines]


def last(page, name: str) -> tuple:
    return next(call[1:] for call in reversed(page.calls) if call[0] == name)


async def test_the_chosen_plan_is_checked_when_the_page_is_shown_and_once(desk, made) -> None:
    made.presenter.shown()
    assert shown(made.page) == [("a", "waiting"), ("b", "waiting"), ("c", "waiting")]
    assert last(made.page, "set_busy") == (True,)
    await desk.settle()
    assert shown(made.page) == [("a", "ok"), ("b", "warning"), ("c", "failed")]
    assert last(made.page, "set_busy") == (False,)
    assert (made.lists[0].plan, made.lists[0].directory) == (PLAN, Path("plans"))
    made.presenter.shown()
    assert len(made.lists) == 1, "what was found stays while the plan is the same"
    desk.chosen = replace(CHOSEN, plan=replace(PLAN, name="other"))
    made.presenter.shown()
    assert len(made.lists) == 2
    await desk.settle()


async def test_each_line_is_seen_while_it_is_looked_at(desk, made, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = asyncio.Event()
    monkeypatch.setattr(FakeList, "gate", gate)
    made.presenter.shown()
    await FakeList.reached.wait()
    assert shown(made.page) == [("a", "ok"), ("b", "checking"), ("c", "waiting")]
    assert last(made.page, "set_run") == ("night", False, "The checks are not over yet.")
    made.presenter.run()
    assert made.starter.calls == []
    gate.set()
    await desk.settle()


async def test_looking_can_be_stopped_and_the_rest_is_not_checked(desk, made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeList, "gate", asyncio.Event())
    made.presenter.shown()
    await FakeList.reached.wait()
    made.presenter.stop()
    with pytest.raises(asyncio.CancelledError):
        await desk.settle()
    assert shown(made.page) == [("a", "ok"), ("b", "skipped"), ("c", "skipped")]
    assert [check.text for check in made.presenter.checks()][1] == "Stopped before it was looked at."
    assert last(made.page, "set_busy") == (False,)


async def test_one_line_is_looked_at_again_with_what_it_needs(desk, made, monkeypatch: pytest.MonkeyPatch) -> None:
    made.presenter.shown()
    await desk.settle()
    monkeypatch.setattr(FakeList, "states", {"a": "ok", "b": "ok", "c": "ok"})
    made.presenter.begin(["b"])
    assert shown(made.page) == [("a", "waiting"), ("b", "waiting"), ("c", "failed")]
    await desk.settle()
    assert shown(made.page) == [("a", "ok"), ("b", "ok"), ("c", "failed")]
    assert made.lists[0].asked == [None, ["b"]]


async def test_a_run_keeps_what_was_found_and_the_text_with_its_comments(desk, made) -> None:
    made.presenter.shown()
    await desk.settle()
    made.presenter.run()
    ((name, plan, text, directory, checks),) = made.starter.calls
    assert (name, plan, text, directory) == ("run_plan", PLAN, CHOSEN.text, Path("plans"))
    assert [(check.name, check.state) for check in checks] == [("a", "ok"), ("b", "warning"), ("c", "failed")]
    made.presenter.set_running(running=True)
    assert last(made.page, "set_run") == ("night", False, "A run is under way.")
    made.presenter.run()
    assert len(made.starter.calls) == 1


async def test_a_fix_changes_the_plan_for_this_run_only(desk, made) -> None:
    made.presenter.shown()
    await desk.settle()
    fewer = replace(PLAN, tests=(replace(PLAN.tests[0], servers=("s1",)),))
    made.presenter.fix(Fix("plan", "Leave s2 out", plan=fewer))
    await desk.settle()
    assert made.lists[1].plan == fewer
    assert last(made.page, "show_plan")[:2] == ("night", "changed for this run")
    made.presenter.run()
    assert made.starter.calls[0][1:3] == (fewer, format_plan(fewer))
    made.presenter.shown()
    assert len(made.lists) == 2, "going away and back does not undo it"


async def test_a_fault_is_ended_and_its_line_looked_at_again(desk, made, monkeypatch) -> None:
    ended: list[tuple[object, str]] = []

    async def end(lab: object, do: str) -> None:
        if do == "wire-loss":
            raise LabMissingError("The lab did not do wire-loss.")
        ended.append((lab, do))

    monkeypatch.setattr("gui.pages.preflight.presenter.end_fault", end)
    desk.workspace.lab = "lab"
    monkeypatch.setattr("gui.pages.preflight.presenter.lab_files", lambda _lab: ())
    made.presenter.shown()
    await desk.settle()
    for do in ("udp-loss", "wire-loss"):
        made.presenter.fix(Fix("end", f"End {do}", do))
        await desk.settle()
        await desk.settle()
    assert ended == [("lab", "udp-loss")]
    assert desk.said == [("lab", "The lab did not do wire-loss.", "")]
    assert made.lists[-1].asked == [None, ["lab"], ["lab"]]


async def test_fixes_copy_and_lead_elsewhere(desk, made) -> None:
    made.presenter.shown()
    await desk.settle()
    made.presenter.fix(Fix("copy", "Copy fixed line", "xrootd.monitor all"))
    made.presenter.copy_text()
    made.presenter.copy_command()
    assert made.copied[0] == "xrootd.monitor all"
    assert "failed       C" in made.copied[1]
    assert "1 check of 3 failed." in made.copied[1]
    assert made.copied[2] == "tally preflight night.toml"
    made.presenter.fix(Fix("go", "Open Settings", "settings", {"section": "bus"}))
    assert (desk.page, desk.place) == ("settings", {"section": "bus"})


async def test_without_workspace_or_plan_it_says_why(desk, made) -> None:
    desk.chosen = None
    made.presenter.shown()
    assert made.page.calls[-1][2] == "plans"
    desk.workspace = None
    made.presenter.shown()
    assert made.page.calls[-1][2] == "welcome"
    made.presenter.run()
    made.presenter.begin()
    assert made.starter.calls == []


async def test_what_was_found_in_a_workspace_is_over_with_it(desk, made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeList, "gate", asyncio.Event())
    made.presenter.shown()
    await FakeList.reached.wait()
    desk.workspace = None
    made.presenter.detach()
    with pytest.raises(asyncio.CancelledError):
        await desk.settle()
    assert made.page.calls[-1][0] == "show_nothing"
    assert made.presenter.checks() == ()


def test_a_plan_in_figures() -> None:
    here = [Server("s1", "root://s1"), Server("s2", "root://s2")]
    found = totals(PLAN, here, [File("/a", 1000)], 1)
    assert (found.tests, found.repeats, found.requests, found.bytes) == (1, 3, 240, 240_000)
    assert found.seconds is not None
    assert found.seconds > 270
    unknown = totals(PLAN, here[:1], [File("/a", 1000)], 1)
    assert (unknown.repeats, unknown.requests, unknown.bytes, unknown.seconds) == (3, None, None, None)
    assert totals(PLAN, here, [], 1).bytes is None, "nobody knows the files yet"


def test_lines_say_what_was_measured_and_a_dash_where_nothing_was() -> None:
    item = Item("a", "A", "Why.")
    assert (Line(item).figure, Line(item).detail) == ("", "")
    assert Line(item, "skipped", Check("a", "A", "skipped", "Nobody knows.")).figure == "–"
    assert Line(item, "ok", Check("a", "A", "ok", "Fine.", figure="3 of 3")).figure == "3 of 3"
    assert counts([Line(item), Line(item, "checking")])["waiting"] == 1
