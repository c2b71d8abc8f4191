"""Pipeline as the window and other pages reach it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gui.models.lost import LostRequests
from gui.models.pipeline import PipelineWatch
from gui.pages.pipeline.part import Part
from tests.gui.pipelines import World


@pytest.fixture
def part(desk, qtbot) -> Part:
    actions: dict[str, Any] = {}
    desk.frame = SimpleNamespace(add_action=lambda menu, name, text, key, call, symbol="": actions.update({name: call}))
    desk.try_here = lambda: None
    desk.actions = actions
    made = Part(desk)
    qtbot.addWidget(made.page)
    return made


def fill(part: Part) -> World:
    world, watch = World(servers=4, shovelers=2), PipelineWatch()
    for facts in world.go(3):
        part.page.show_pipeline(watch.look(facts), watch)
    return world


def test_shovelers_and_collectors_are_found_by_name_and_gone_to(part, desk) -> None:
    assert list(part.found("mon2")) == []
    world = fill(part)
    (found,) = part.found("MON2")
    assert (found.title, found.detail) == (world.hosts[1], "shoveler, up")
    found.call()
    assert (desk.page, desk.place) == ("pipeline", {"stage": "shovelers", "row": world.shovelers[1]})
    part.visit(**desk.place)
    assert part.page.tables["shovelers"].current().id == world.shovelers[1]
    part.visit(stage="nonsense", row="x")


def test_load_records_from_the_menu(part, desk) -> None:
    desk.actions["load-records"]()
    assert (desk.page, desk.place) == ("pipeline", {"load": True})
    part.visit(load=True)
    assert part.page.side.chooser is not None
    part.page.side.chooser.close()
    part.visit(load=Path("/r.jsonl"))  # without a workspace nothing is loaded
    assert not part.presenter.loading


def test_what_a_stage_and_a_drill_lost_leads_to_the_requests(part, desk) -> None:
    fill(part)
    part.page.show_lost(LostRequests(4, {(1, "kernel"): 3, (2, "kernel"): 17, (2, "spool"): 1, (1, "wire"): 2}))
    part.page.lost_button.click()
    assert desk.page == "result"
    assert desk.place == {"run": 4, "test": 2, "tab": "requests", "filter": "lost_at:=kernel,spool"}
    part.page.choose("servers")
    part.page.lost_button.click()
    assert desk.place == {"run": 4, "test": 1, "tab": "requests", "filter": "lost_at:=server,wire,fragmentation"}
    part.page.side.drills["drop-udp"].lost.click()
    assert desk.place == {"run": 4, "test": 2, "tab": "requests", "filter": "lost_at:=kernel"}


def test_buttons_lead_to_other_pages(part, desk) -> None:
    part.page.settings_wanted.emit()
    assert (desk.page, desk.place) == ("settings", {"section": "bus"})
    part.page.fleet_wanted.emit()
    assert desk.page == "fleet"
    part.page.inspector_wanted.emit()
    assert desk.page == "inspector"
