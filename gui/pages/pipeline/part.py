"""Pipeline: the page and its presenter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from gui.models.finder import Found
from gui.models.lost import LostThere
from gui.models.runs import RunView
from gui.pages.part import Limited, WindowDesk
from gui.pages.part import Part as Base
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
        page.lost_wanted.connect(self._show_lost)
        page.load_wanted.connect(presenter.load)
        page.stop_loading_wanted.connect(presenter.stop_loading)
        page.warning_of = presenter.warning
        page.drill_wanted.connect(presenter.start_drill)
        page.drill_stop_wanted.connect(presenter.stop_drill)
        desk.frame.add_action("Tools", "load-records", "Load records…", "Ctrl+L", self.load, symbol="import")

    def limited(self) -> Limited:
        return Limited(here=(self.page.side.load_button,))

    def attach(self, workspace: Workspace) -> None:
        self.presenter.attach(workspace)

    def detach(self) -> None:
        self.presenter.detach()

    def look(self) -> None:
        self.presenter.look()

    def shown(self) -> None:
        self.presenter.show()

    def refresh(self) -> None:
        self.page.refresh.click()

    def runs_read(self, views: Sequence[RunView]) -> None:  # noqa: ARG002
        self.presenter.read_lost()

    def _show_lost(self, lost: LostThere) -> None:
        self._desk.go("result", run=lost.run, test=lost.test, tab="requests", filter=lost.filter)

    def visit(self, **place: object) -> None:
        """`stage`: open its details and choose its `row` (an id). `load`: a file of records (Path), or True to
        choose one."""
        stage = place.get("stage")
        if isinstance(stage, str):
            self.page.choose(stage)
            if stage in self.page.tables and (row := place.get("row")) is not None:
                self.page.tables[stage].select_key(row)
        wanted = place.get("load")
        if isinstance(wanted, Path):
            self.presenter.load(wanted)
        elif wanted:
            self.page.ask_for_file()

    def found(self, words: str) -> Iterable[Found]:
        """The shovelers and collectors of this name."""
        pipeline = self.page.pipeline
        wanted = words.lower()
        if pipeline is None or not wanted:
            return
        for stage, symbol, rows in (
            ("shovelers", "drain", pipeline.shovelers),
            ("collectors", "box", pipeline.collectors),
        ):
            for row in rows:
                if wanted in row.name.lower():
                    call = partial(self._desk.go, "pipeline", stage=stage, row=row.id)
                    yield Found(row.name, f"{stage.removesuffix('s')}, {row.state}", symbol, call)

    def load(self) -> None:
        """Choose a file of records and load it."""
        self._desk.go("pipeline", load=True)
