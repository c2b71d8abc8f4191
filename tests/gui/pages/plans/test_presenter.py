"""Plans: the federation follows the roster; the command runs the open plan in the open workspace."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from gui.campaign.planfile import format_plan
from gui.campaign.selection import Server
from gui.models.plans import NEW_PLAN, PlanEditor, PlanEntry
from gui.pages.plans.presenter import PlansPresenter


@pytest.fixture
def page(recorder):
    return recorder(editor=PlanEditor(PlanEntry("new plan", "# mine\n" + format_plan(NEW_PLAN), Path("my plan.toml"))))


def agent(name: str, *, role: str = "client", live: bool = True) -> SimpleNamespace:
    return SimpleNamespace(name=name, role=role, live=live)


def test_the_federation_is_told_once_for_each_change(desk, page, make_workspace) -> None:
    agents = (agent("c1"), agent("c2", live=False), agent("s1", role="server"))
    roster = SimpleNamespace(version=0, agents=agents)
    server = Server("s1", "root://s1:1094")
    desk.workspace = make_workspace(hub=SimpleNamespace(roster=roster), lab=None, servers=lambda: [server])
    presenter = PlansPresenter(desk, page)
    presenter.look()
    presenter.look()
    assert page.calls == [("set_federation", [server], (), ["c1"])]
    presenter.detach()
    assert page.calls[1:] == [("set_federation", (), (), ()), ("set_running", False)]
    presenter.look()
    assert len(page.calls) == 4, "another workspace may have a roster of the same version"


def test_the_text_of_the_open_plan_keeps_its_comments(desk, page) -> None:
    presenter = PlansPresenter(desk, page)
    assert presenter.text_of(NEW_PLAN).startswith("# mine\n")
    other = replace(NEW_PLAN, name="other")
    assert presenter.text_of(other) == format_plan(other)


def test_the_command_names_plan_workspace_and_lab(desk, page, make_workspace) -> None:
    presenter = PlansPresenter(desk, page)
    plain = "tally run 'my plan.toml' --headless"
    assert presenter.command() == plain
    desk.workspace = make_workspace(options=SimpleNamespace(database="a b.db", lab=None))
    assert presenter.command() == f"{plain} --db 'a b.db'"
    desk.workspace.options.lab = Path("/run/lab")
    assert presenter.command() == f"{plain} --db 'a b.db' --lab /run/lab"
