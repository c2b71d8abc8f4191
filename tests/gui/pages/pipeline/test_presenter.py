"""Pipeline without a window: what is asked of the workspace, drills, loading a file."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from gui.models.pipeline import Pipeline
from gui.pages.pipeline import presenter as module
from gui.pages.pipeline.presenter import DrillState, PipelinePresenter
from gui.runner.drills import DRILLS, NO_LAB
from gui.runner.lab import LabMissingError
from gui.runner.loading import LoadEnd, LoadError, LoadLine
from tests.gui.pipelines import World
from tests.gui.runner.test_lab import STATE

CUT, DROP, RESTART = DRILLS


@pytest.fixture
def world() -> World:
    return World(servers=2)


def open_workspace(make_workspace, world: World, *, lab=None, running=False):
    facts = next(world.go())

    async def ask_for_status(seconds: float) -> None:
        asked.append(seconds)

    asked: list[float] = []
    return make_workspace(
        options=SimpleNamespace(
            lab=Path("/lab") if lab else None, bus_url=lambda _lab: "amqp://u:secret@mq/", packets_queue="",
        ),
        bus_shown="amqp://u:***@mq/", lab=lab, members=lambda: facts.members, servers=list,
        hub=SimpleNamespace(roster=SimpleNamespace(agents=())),
        problems=SimpleNamespace(all=lambda: ()), records_state=facts.records,
        bus=SimpleNamespace(queue="tally.q", there=True), loaded=7, last_load=None, running=running,
        progress=SimpleNamespace(latest=SimpleNamespace(run=37)), ask_for_status=ask_for_status, asked=asked,
        store=SimpleNamespace(
            database=SimpleNamespace(shown="/w.db", address="/w.db", is_sqlite=True, used_bytes=lambda: 4096),
            origin_facts=list, runs=list,
        ),
        changed=lambda: None,
    )  # fmt: skip


def last(page, name: str):
    return next(call for call in reversed(page.calls) if call[0] == name)


async def test_the_watch_goes_on_while_another_page_is_shown(desk, page, make_workspace, world) -> None:
    desk.workspace = open_workspace(make_workspace, world)
    presenter = PipelinePresenter(desk, page, clock=lambda: world.t)
    presenter.attach(desk.workspace)
    shown = len(page.calls)
    desk.page = "live"
    presenter.look()
    assert len(page.calls) == shown
    assert presenter.watch.series("shovelers").last is not None
    desk.page = "pipeline"
    presenter.look()
    pipeline = last(page, "show_pipeline")[1]
    assert isinstance(pipeline, Pipeline)
    assert "secret" not in pipeline.bus
    assert await desk.settle() == ["read what was lost", "ask the database"]
    assert last(page, "show_lost") == ("show_lost", None)
    presenter.look()
    assert "4.0 KiB" in last(page, "show_pipeline")[1].stage("database").reason


async def test_refresh_asks_all_daemons(desk, page, make_workspace, world) -> None:
    presenter = PipelinePresenter(desk, page)
    presenter.refresh()
    desk.workspace = open_workspace(make_workspace, world)
    presenter.refresh()
    await desk.settle()
    assert desk.workspace.asked == [module.STATUS_SECONDS]


def test_without_a_workspace_nothing_is_shown_and_no_drill_can_be_started(desk, page) -> None:
    presenter = PipelinePresenter(desk, page)
    presenter.detach()
    presenter.look()
    assert [call[0] for call in page.calls] == ["show_lost", "show_nothing", "show_drills"]
    assert {state.why_not for state in page.calls[2][1]} == {NO_LAB}


class FakeDrills:
    def __init__(self, directory: Path, clock) -> None:
        self.orders: list[tuple] = []
        self.error: str = ""
        self.on: set[str] = set()

    def left(self, drill):
        return 12.0 if drill.name in self.on else None

    async def start(self, drill, amount):
        if self.error:
            raise LabMissingError(self.error)
        self.orders.append((drill.name, amount))
        self.on.add(drill.name)
        return "the broker was killed"

    async def stop(self, drill):
        self.orders.append((drill.name, None))
        self.on.discard(drill.name)
        return "the broker is up"


async def test_drills_on_a_lab(desk, page, make_workspace, world, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "Drills", FakeDrills)
    desk.workspace = open_workspace(make_workspace, world, lab=STATE, running=True)
    presenter = PipelinePresenter(desk, page, clock=lambda: world.t)
    presenter.attach(desk.workspace)
    assert [state.why_not for state in last(page, "show_drills")[1]] == ["", "", ""]
    assert presenter.warning(CUT, 30).endswith("Run 37 is under way and meets it.")
    presenter.start_drill(CUT, 30)
    presenter.start_drill(DROP, 1)  # one after the other
    assert [state.busy for state in last(page, "show_drills")[1]] == [True, False, False]
    await desk.settle()
    assert last(page, "show_drills")[1][0] == DrillState(CUT, "", 12.0, False, "the broker was killed")
    assert [event.text for event in presenter.watch.events] == ["drill: cut the broker"]
    presenter.stop_drill(CUT)
    await desk.settle()
    assert last(page, "show_drills")[1][0].left is None
    assert presenter.watch.events[-1].text == "drill: cut the broker ended"


async def test_a_drill_that_fails_is_a_problem(desk, page, make_workspace, world, monkeypatch) -> None:
    monkeypatch.setattr(module, "Drills", FakeDrills)
    desk.workspace = open_workspace(make_workspace, world, lab=STATE)
    presenter = PipelinePresenter(desk, page)
    presenter.attach(desk.workspace)
    presenter._drills.error = "no supervisor answers"
    presenter.start_drill(RESTART, 0)
    await desk.settle()
    assert desk.said == [
        ("drill", "Restart the collector: no supervisor answers", "tally-agent lab status says what the lab has.")
    ]
    assert last(page, "show_drills")[1][2].said == "no supervisor answers"


class FakeLoading:
    def __init__(self, database: str, path: Path) -> None:
        self.database, self.path, self.stopped = database, path, False

    async def load(self, progressed):
        if self.path.name == "bad":
            raise LoadError("bad is not a file.")
        progressed(LoadLine(5, 10, 3))
        return LoadEnd(foreign=3, stopped=self.stopped)

    def stop(self) -> None:
        self.stopped = True


async def test_a_file_is_loaded_with_progress(desk, page, make_workspace, world) -> None:
    desk.workspace = open_workspace(make_workspace, world)
    presenter = PipelinePresenter(desk, page, loading=FakeLoading)
    presenter.load(Path("/r.jsonl"))
    assert presenter.loading
    presenter.load(Path("/other"))  # one at a time
    presenter.stop_loading()
    await desk.settle()
    shown = [call for call in page.calls if call[0] in ("show_loading", "show_loaded")]
    assert shown[0] == ("show_loading", "r.jsonl", 0, 0, 0)
    assert shown[1] == ("show_loading", "r.jsonl", 5, 10, 3)
    assert shown[2][1][-1].startswith("The loading was stopped")
    assert shown[2][2] is False
    assert not presenter.loading
    presenter.load(Path("/bad"))
    await desk.settle()
    assert last(page, "show_loaded") == ("show_loaded", ("bad is not a file.",), True)
