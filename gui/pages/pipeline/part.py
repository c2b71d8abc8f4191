"""Pipeline: the page and its presenter."""

from __future__ import annotations

from pathlib import Path

from gui.pages.part import Part as Base
from gui.pages.part import WindowDesk
from gui.pages.pipeline.page import PipelinePage
from gui.pages.pipeline.presenter import PipelinePresenter
from gui.runner.workspace import Workspace


class Part(Base):
    """See the module."""

    page: PipelinePage

    def __init__(self, desk: WindowDesk) -> None:
        self._desk = desk
        self.page = page = PipelinePage(desk.try_here)
        self.presenter = presenter = PipelinePresenter(desk, page)
        page.refresh_wanted.connect(presenter.refresh)
        page.settings_wanted.connect(lambda: desk.go("settings", section="bus"))
        page.fleet_wanted.connect(lambda: desk.go("fleet"))
        page.inspector_wanted.connect(lambda: desk.go("inspector"))
        page.load_wanted.connect(presenter.load)
        page.stop_loading_wanted.connect(presenter.stop_loading)
        page.warning_of = presenter.warning
        page.drill_wanted.connect(presenter.start_drill)
        page.drill_stop_wanted.connect(presenter.stop_drill)
        desk.frame.add_action("Tools", "load-records", "Load records…", "Ctrl+L", self.load, symbol="import")

    def attach(self, workspace: Workspace) -> None:
        self.presenter.attach(workspace)

    def detach(self) -> None:
        self.presenter.detach()

    def look(self) -> None:
        self.presenter.look()

    def shown(self) -> None:
        self.presenter.show()

    def visit(self, **place: object) -> None:
        """`stage`: open its details. `load`: a file of records to load (a Path), or True to choose one."""
        stage = place.get("stage")
        if isinstance(stage, str):
            self.page.choose(stage)
        wanted = place.get("load")
        if isinstance(wanted, Path):
            self.presenter.load(wanted)
        elif wanted:
            self.page.ask_for_file()

    def load(self) -> None:
        """Choose a file of records and load it."""
        self._desk.go("pipeline", load=True)
