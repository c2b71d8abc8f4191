"""Welcome without a screen: what each step says, and the lab that is offered."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from agent.messages import LAB_SCHEMA, LabFile, LabProcess, LabServer, LabState
from gui.campaign.selection import Server
from gui.models.setup import FIRST_STEPS, next_step
from gui.pages.welcome.presenter import WelcomePresenter
from gui.runner.consume import ConsumerState
from gui.runner.settings import FILE, MachineSettings, read_settings, write_settings


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.delenv("TALLY_BUS", raising=False)


@pytest.fixture
def guide(desk, page, tmp_path) -> WelcomePresenter:
    desk.opened = []
    desk.open_workspace = desk.opened.append
    return WelcomePresenter(desk, page, tmp_path, clock=lambda: 0.0)


@pytest.fixture
def workspace(make_workspace) -> Any:
    """An open workspace where nothing is set up; the test changes it."""
    return make_workspace(
        hub=SimpleNamespace(address="wss://h:8765", roster=SimpleNamespace(agents=())),
        lab=None,
        options=SimpleNamespace(bus_url=lambda _lab: "", database="w.db", secrets=None),
        records_state=ConsumerState(),
        servers=list,
        store=SimpleNamespace(runs=list),
    )


def states(guide: WelcomePresenter) -> dict[str, str]:
    return {step.name: step.state for step in guide.steps()}


def text(guide: WelcomePresenter, name: str) -> str:
    return next(step.text for step in guide.steps() if step.name == name)


def agent(name: str, *, live: bool = True, role: str = "client") -> SimpleNamespace:
    return SimpleNamespace(name=name, live=live, role=role)


async def test_at_the_first_start_every_step_is_missing_and_the_bus_is_next(desk, guide) -> None:
    guide.look()
    await desk.settle()
    assert guide.steps() == FIRST_STEPS
    assert next_step(guide.steps()) == "bus"


async def test_a_bus_that_is_named_is_done_before_anything_is_open(desk, guide, tmp_path) -> None:
    write_settings(tmp_path / FILE, MachineSettings({"bus.address": "amqp://mq.example.org", "bus.user": "ada"}))
    guide.shown()
    await desk.settle()
    assert states(guide)["bus"] == "done"
    assert text(guide, "bus") == "amqp://ada:***@mq.example.org:5672/; it is connected with the hub"
    assert next_step(guide.steps()) == "hub"


async def test_each_step_says_what_is_there(desk, guide, workspace) -> None:
    desk.workspace = workspace
    assert text(guide, "bus") == "none is named yet, so no record can be loaded"
    assert (text(guide, "hub"), states(guide)["hub"]) == ("agents join wss://h:8765", "done")
    workspace.bus_shown = "amqp://ada:***@mq.example.org:5672/"
    workspace.records_state = ConsumerState(trouble="mq.example.org cannot be reached")
    assert states(guide)["bus"] == "trouble"
    assert text(guide, "bus") == "mq.example.org cannot be reached"
    workspace.records_state = ConsumerState(connected=True)
    assert "secret" not in text(guide, "bus")
    assert states(guide)["bus"] == "done"
    workspace.hub.roster.agents = (agent("s", role="server"),)
    assert states(guide)["agent"] == "missing", "a server agent reads no files"
    workspace.hub.roster.agents = (agent("c1", live=False),)
    assert (states(guide)["agent"], text(guide, "agent")) == ("trouble", "c1 is missing")
    workspace.hub.roster.agents = tuple(agent(f"c{number}") for number in range(1, 6))
    assert text(guide, "agent") == "5 clients up: c1, c2, c3 and 2 more"
    workspace.servers = lambda: [Server("s1", "root://s1:1094")]
    assert text(guide, "servers") == "1 server: s1"
    assert next_step(guide.steps()) == "plan"


async def test_a_run_ends_the_set_up_and_a_plan_of_ones_own_is_told(desk, guide, workspace, tmp_path) -> None:
    desk.workspace = workspace
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans" / "mine.toml").write_text("")
    guide.shown()
    await desk.settle()
    assert (states(guide)["plan"], text(guide, "plan")) == ("missing", "1 plan of yours; choose one and run it")
    workspace.store.runs = lambda: [1, 2]
    guide.shown()
    await desk.settle()
    assert (states(guide)["plan"], text(guide, "plan")) == ("done", "2 runs in this workspace")


async def test_nothing_is_looked_for_while_another_page_is_shown(desk, page, guide) -> None:
    desk.page = "fleet"
    guide.look()
    assert await desk.settle() == []
    assert page.calls == []


def lab(tmp_path: Path) -> Path:
    directory = tmp_path / "run" / "tally-lab"
    directory.mkdir(parents=True)
    state = LabState(
        schema=LAB_SCHEMA,
        directory=str(directory),
        started=1.0,
        state="up",
        bus="/bus",
        broker="local",
        packets_exchange="p",
        records_exchange="r",
        status_exchange="s",
        packets_queue="q",
        servers=[LabServer(f"s{n}", f"root://127.0.0.1:{n}", "LAB", 7, "127.0.0.1:2") for n in range(1, 5)],
        files=[LabFile("/store/test/f", 9)],
        processes=[LabProcess("supervisor", "supervisor", os.getpid())],
        fstat_seconds=1.0,
        flush_seconds=1.0,
    )
    (directory / "state.json").write_bytes(msgspec.json.encode(state))
    return directory


async def test_a_lab_that_runs_is_offered_and_used(desk, page, guide, tmp_path) -> None:
    directory = lab(tmp_path)
    guide.shown()
    await desk.settle()
    assert page.calls[-1] == ("show_lab", "A lab with 4 servers runs here", f"1 test files, {directory}")
    guide.use_lab()
    await desk.settle()
    settings = read_settings(tmp_path / FILE)[0]
    assert (settings["bus.kind"], settings.lab()) == ("lab", directory)
    assert desk.opened == [""]
    assert guide.leading, "the steps stay in front"


async def test_a_lab_that_is_used_already_is_not_offered(desk, page, guide, workspace, tmp_path) -> None:
    lab(tmp_path)
    workspace.lab = object()
    desk.workspace = workspace
    guide.shown()
    await desk.settle()
    assert page.calls[-1] == ("show_lab", "", "")
    guide.use_lab()
    assert desk.opened == []


async def test_settings_that_cannot_be_written_are_a_problem(desk, page, guide, tmp_path) -> None:
    lab(tmp_path)
    (tmp_path / FILE).write_text("[bus\n")
    guide.shown()
    await desk.settle()
    guide.use_lab()
    await desk.settle()
    assert desk.said[0][0] == "lab"
    assert desk.opened == []
