"""Runs: the list and its presenter."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from PySide6.QtWidgets import QFileDialog

from gui.models.finder import Found, rank
from gui.pages.part import Limited, WindowDesk
from gui.pages.part import Part as Base
from gui.pages.runs.page import RunsPage
from gui.pages.runs.presenter import RunsPresenter
from gui.runner.bundles import ENDING
from gui.runner.workspace import Workspace


class Part(Base):
    """See the module."""

    page: RunsPage

    def __init__(self, desk: WindowDesk) -> None:
        self._desk = desk
        self.page = page = RunsPage((("Try it on this machine", "play", desk.try_here),))
        self.presenter = RunsPresenter(desk, page, desk.runs_seen, desk.data / "hub")
        page.open_wanted.connect(self._ask)
        page.dropped.connect(self._take_in)
        page.run_wanted.connect(lambda run: desk.go("result", run=run))
        desk.frame.add_action("File", "open-bundle", "Open bundle…", "", self._ask, symbol="import")

    def limited(self) -> Limited:
        return Limited(here=(self.page.open_button, self._desk.frame.actions_by_name["open-bundle"]))

    def attach(self, workspace: Workspace) -> None:  # noqa: ARG002
        self.presenter.read()

    def detach(self) -> None:
        self.presenter.detach()

    def shown(self) -> None:
        self.presenter.read()

    def refresh(self) -> None:
        self.presenter.read()

    def found(self, words: str) -> Iterable[Found]:
        """Runs by their number, plan or verdict."""
        runs: list[Found] = [
            Found(f"Run {view.run.id}", f"{view.run.name}, {view.outcome}", "runs",
                  partial(self._desk.go, "result", run=view.run.id))
            for view in self.page.runs.model.rows.all
        ]  # fmt: skip
        return rank(words, runs, lambda found: f"{found.title} {found.detail}")

    def running(self, *, on: bool) -> None:
        if not on:
            self.presenter.read()

    def visit(self, **place: object) -> None:
        """`bundle`: the path of one to take in; into the default workspace if none is open."""
        if isinstance(path := place.get("bundle"), Path):
            self._take_in(path)

    def _ask(self) -> None:
        dialog = QFileDialog(self._desk.frame, "Open bundle", str(Path.home()), f"Bundles (*{ENDING})")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(lambda name: self._take_in(Path(name)))
        dialog.open()

    def _take_in(self, path: Path) -> None:
        self._desk.background(self._open_and_take_in(path), "open a bundle")

    async def _open_and_take_in(self, path: Path) -> None:
        if self._desk.workspace is not None or await self._desk.open_default():
            await self.presenter.take_in(path)
