"""Pages of the window with something on them: run 2 of the workspace has 80 requests, 3 of them missing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from PySide6.QtWidgets import QWidget

from gui.app import PAGES
from gui.app.window import Window
from gui.models.fleet import FleetServer
from gui.models.pipeline import PipelineWatch
from gui.runner.progress import RunProgress
from tests.gui.extremes import progress
from tests.gui.parts import page, part
from tests.gui.pipelines import World as PipelineWorld

TABS = ("servers", "requests", "timeline", "environment", "notes")
PLACES = [
    "welcome",
    *(entry.name for entry in PAGES if entry.name != "result"),
    *(f"result/{tab}" for tab in TABS),
]


async def fill(window: Window, shown: str, until: Any, text: str = "") -> QWidget:
    """Show a page (or a tab of Result) with something on it; `text` is in all names that agents and daemons say."""
    shown, _, tab = shown.partition("/")
    if shown == "result":
        window.go("result", run=2, tab=tab, filter="")
        page(window, "result").show_tab(tab)
        result = page(window, "result")
        await until(lambda: result.requests.model.rowCount() == 80)
        if tab == "timeline":
            await until(lambda: result.timeline.timeline is not None)
    elif shown == "evidence":
        window.go("result", run=2, tab="requests", filter="verdict:missing")
        result = page(window, "result")
        await until(lambda: result.requests.model.rowCount() == 3)
        part(window, "result")._open_evidence(result.visible_requests()[0])
        await until(lambda: page(window, "evidence").view is not None and page(window, "evidence").isVisible())
    elif shown == "compare":
        window.go("compare", a=1, b=2)
        await until(lambda: page(window, "compare").course_chart.unit.text().startswith("success, %, runs"))
    else:
        window.go(shown)
    if shown == "live":
        await asyncio.sleep(0.5)  # it reads what the last run was
        page(window, "live").show_progress(named(progress(8, 60), text))
    if shown == "fleet":
        page(window, "fleet").set_servers([FleetServer(f"s{n}{text}", f"root://s{n}{text}", "up") for n in range(3)])
        page(window, "fleet").servers.view.selectRow(0)
    if shown == "plans":
        plans = page(window, "plans")
        plans.new_plan()
        plans.faults.add("udp-loss", 1.0)
        plans.faults.choose(0)
    if shown == "pipeline":
        watch, world = PipelineWatch(), PipelineWorld(servers=4, shovelers=2, name=f"s{text}")
        world.hosts = [f"{host}{text}" for host in world.hosts]
        world.lose(0, 3)
        for facts in world.go(6):
            page(window, "pipeline").show_pipeline(watch.look(facts), watch)
    await asyncio.sleep(0.2)
    widget = window.frame.stack.currentWidget()
    assert widget is not None
    return widget


def named(moment: RunProgress, text: str) -> RunProgress:
    """The same moment with this text in the names of plan, servers and flags."""
    return replace(
        moment, plan=f"{moment.plan}{text}", series=tuple(f"{name}{text}" for name in moment.series),
        servers=tuple(replace(row, name=f"{row.name}{text}") for row in moment.servers),
        markers=tuple(replace(marker, text=f"{marker.text}{text}") for marker in moment.markers),
    )  # fmt: skip
