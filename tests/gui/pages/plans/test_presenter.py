"""Plans: the federation follows the roster; the command runs the open plan in the open workspace."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from gui.campaign.around import mistakes
from gui.campaign.plan import Fault, File, Files, Plan, Test
from gui.campaign.planfile import format_plan
from gui.campaign.selection import Client, Server
from gui.models.plans import NEW_PLAN, FaultPlace, PlanEditor, PlanEntry
from gui.pages.plans.presenter import NO_LAB, PlansPresenter


@pytest.fixture
def page(recorder, tmp_path: Path):
    editor = PlanEditor(PlanEntry("new plan", "# mine\n" + format_plan(NEW_PLAN), Path("my plan.toml")))
    page = recorder(editor=editor)
    page.directory = lambda: tmp_path
    return page


def agent(name: str, *, role: str = "client", state: str = "up") -> SimpleNamespace:
    return SimpleNamespace(name=name, id=f"id-{name}", role=role, state=state, labels=())


@pytest.fixture
def workspace(desk, make_workspace):
    agents = (agent("c1"), agent("c2", state="missing"), agent("s1", role="server"))
    known = [agent("c2"), agent("c7"), agent("s1", role="server")]
    desk.workspace = make_workspace(
        hub=SimpleNamespace(roster=SimpleNamespace(version=0, agents=agents)),
        lab=None,
        local_clients=None,
        servers=lambda: [Server("s1", "root://s1:1094")],
        store=SimpleNamespace(agents=lambda: known),
    )
    return desk.workspace


async def test_the_federation_is_told_once_for_each_change(desk, page, workspace) -> None:
    presenter = PlansPresenter(desk, page)
    presenter.look()
    presenter.look()
    ((name, around, place),) = page.calls
    assert name == "set_around"
    assert around.servers == (Server("s1", "root://s1:1094"),)
    assert around.clients == (Client("c1", "id-c1"), Client("c2", "id-c2", ready=False))
    assert around.lab_files is None
    assert place == FaultPlace(reason=NO_LAB)
    presenter.detach()
    assert page.calls[1:] == [("set_around", None, FaultPlace()), ("set_running", False)]
    presenter.look()
    assert len(page.calls) == 4, "another workspace may have a roster of the same version"


async def test_a_client_that_was_ever_here_is_no_mistake(desk, page, workspace) -> None:
    presenter = PlansPresenter(desk, page)
    presenter.attach(workspace)
    await desk.settle()
    around = page.calls[-1][1]
    assert [(client.name, client.ready) for client in around.clients] == [("c1", True), ("c2", False), ("c7", False)]


async def test_faults_are_judged_by_the_lab_and_the_same_is_told_as_the_same(desk, page, workspace) -> None:
    lab = SimpleNamespace(
        servers=[SimpleNamespace(name="s1")],
        caches=[SimpleNamespace(name="k1")],
        faults={"wire-loss": "no relay"},
        files=[],
    )
    workspace.lab = lab
    presenter = PlansPresenter(desk, page)
    presenter.show()
    presenter.show()
    (_, around, place), (_, again, same) = page.calls
    assert (around, place) == (again, same)
    assert place.servers == ("s1", "k1")
    assert place.refused["wire-loss"] == "no relay"
    assert "this program has started" in place.refused["kill-agent"]
    test = Test(1, 1, 1, faults=(Fault(1, "wire-loss", 5.0),))
    assert mistakes(test, around)["faults"] == "The lab cannot do wire-loss: no relay."


async def test_file_lists_are_read_and_their_mistakes_are_known(desk, page, workspace, tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text("/store/a 1MiB\n")
    (tmp_path / "bad.txt").write_text("what\n")
    tests = tuple(Test(1, 1, 1, files=Files(list=name)) for name in ("good.txt", "bad.txt", "gone.txt"))
    page.editor.set_plan(Plan("lists", tests))
    presenter = PlansPresenter(desk, page)
    presenter.plan_changed()
    presenter.plan_changed()
    assert len(await desk.settle()) == 3, "each is read once"
    around = page.calls[-1][1]
    assert around.files_of(tests[0]) == (File("/store/a", 2**20),)
    assert 'expected "PATH SIZE"' in mistakes(tests[1], around)["files"]
    assert "cannot be read: No such file" in mistakes(tests[2], around)["files"]
    (tmp_path / "gone.txt").write_text("/store/b 1\n")
    presenter.forget_lists()
    await desk.settle()
    assert mistakes(tests[2], page.calls[-1][1]) == {}


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
    assert presenter.command(what="preflight") == "tally preflight 'my plan.toml' --db 'a b.db'"
    desk.workspace.options.lab = Path("/run/lab")
    assert presenter.command() == f"{plain} --db 'a b.db' --lab /run/lab"
