"""What the command palette finds: every page has something, and choosing it leads there."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any

import pytest

from gui.app import PAGES, make_window
from gui.app.window import Window
from gui.hub import HubOptions
from gui.hub.roster import AgentView
from gui.pages.part import Part
from gui.runner.options import WorkspaceOptions
from tests.gui.extremes import progress
from tests.gui.models.test_datagrams import row
from tests.gui.parts import page, part


@pytest.fixture
def in_window(drive, tmp_path):
    """Tell a story in a window with an open workspace."""

    def tell(story) -> None:
        async def work() -> None:
            window = make_window(tmp_path / "data")
            window.frame.show()
            bus = str(tmp_path / "bus")
            hub = HubOptions(directory=tmp_path / "hub", host="127.0.0.1", port=0, insecure=True)
            assert await window.open(WorkspaceOptions(database=tmp_path / "found.db", hub=hub, bus=bus))
            try:
                await story(window)
            finally:
                window.frame.close()
                await window.done.wait()

        drive(work())

    return tell


def choose(window: Window, words: str, title: str, detail: str = "") -> None:
    """Take what the palette offers for these words under this title."""
    found = [each for each in window.finding.find(words) if each.title == title and detail in each.detail]
    assert len(found) == 1, [(each.title, each.detail) for each in window.finding.find(words)]
    found[0].call()


@pytest.mark.parametrize("name", [entry.name for entry in PAGES])
def test_every_page_is_asked(name: str) -> None:
    assert importlib.import_module(f"gui.pages.{name}.part").Part.found is not Part.found


def test_what_pages_have_in_memory_is_found_and_leads_there(in_window) -> None:
    async def story(window: Window) -> None:
        window.workspace.hub.roster.put(AgentView("k/1", "k", "worker-3", "client", "up", host="node7"))
        choose(window, "worker-3 facts", "Agent worker-3")
        assert window.frame.current_page() == "agent"
        assert part(window, "agent").presenter.agent == "k/1"

        window.frame.go("live")
        live = page(window, "live")
        live.show_progress(progress(60))
        live.paint_latest()
        live.paint_table()
        wanted = live.table.model.rows.all[41].name
        live.table.filter_box.setText("nothing")
        choose(window, wanted, wanted, "server in Run ")
        assert window.frame.current_page() == "live"
        assert live.table.current().name == wanted

        view = SimpleNamespace(run=SimpleNamespace(id=7, name="osdf"), outcome="PASS", success="100.00 %")
        workspace: Any = window.workspace
        seen: Any = [view]
        window.runs_seen(workspace, seen)
        choose(window, "compare 7", "Compare run 7", "osdf")
        assert window.frame.current_page() == "compare"
        assert part(window, "compare").presenter.b == 7

        inspector = page(window, "inspector")
        inspector.add([row(number, server="xrd-9") for number in range(1, 4)])
        choose(window, "xrd-9", "xrd-9", "datagrams")
        assert window.frame.current_page() == "inspector"
        assert inspector.table.filter_box.text() == "server:xrd-9"
        assert len(inspector.table.model.rows.visible) == 3

        evidence = page(window, "evidence")
        evidence.together.set_rows([(3, "/store/lost.root", "tag3", 10, 1.0)])
        assert [found.title for found in window.finding.find("lost.root")] == ["/store/lost.root"]

        window.frame.go("preflight")
        title = part(window, "preflight").presenter.lines[2].item
        window.frame.go("runs")
        choose(window, f"{title.title} preflight", title.title, "Preflight: ")
        assert window.frame.current_page() == "preflight"
        assert page(window, "preflight").current() == title.name

    in_window(story)


def test_what_a_page_can_do_by_keys_is_found_on_that_page_only(in_window) -> None:
    async def story(window: Window) -> None:
        window.frame.go("evidence")
        assert [found.key for found in window.finding.find("next request")][:1] == ["Alt+Down"]
        window.frame.go("fleet")
        assert "Next request" not in [found.title for found in window.finding.find("next request")]

    in_window(story)
