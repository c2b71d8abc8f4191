"""Plans: the page and its presenter."""

from __future__ import annotations

import logging
from pathlib import Path

from PySide6.QtGui import QGuiApplication

from gui.models.plans import PlanLibrary
from gui.pages.part import Part as Base
from gui.pages.part import WindowDesk
from gui.pages.plans.page import PlansPage
from gui.pages.plans.presenter import PlansPresenter

log = logging.getLogger("tally.window")


class Part(Base):
    """See the module."""

    page: PlansPage

    def __init__(self, desk: WindowDesk) -> None:
        self._desk = desk
        self.page = page = PlansPage(PlanLibrary(desk.data / "plans"))
        self.presenter = PlansPresenter(desk, page)
        page.run_wanted.connect(lambda plan: desk.run_plan(plan, self.presenter.text_of(plan)))
        page.problem.connect(lambda text: desk.problem("error", "plans", text))
        page.changed.connect(self._show_can_run)
        action = desk.frame.add_action
        action("Edit", "undo", "Undo in the plan", "Ctrl+Z", page.undo, symbol="undo")
        action("Edit", "redo", "Redo in the plan", "Ctrl+Shift+Z", page.redo, symbol="redo")
        action("Plan", "new-plan", "New plan", "Ctrl+N", self._new_plan, symbol="plus")
        action("Plan", "save-plan", "Save plan", "Ctrl+S", page.save)
        action("Plan", "import-plan", "Import plan…", "", page.import_plan, symbol="import")
        action("Run", "run", "Run the plan", "Ctrl+R", page.run, symbol="play")
        action("Tools", "command", "Copy as command", "", self.copy_command, symbol="term")
        desk.frame.run_button.clicked.connect(lambda: page.run())
        desk.frame.copy_command.clicked.connect(lambda: self.copy_command())

    def detach(self) -> None:
        self.presenter.detach()

    def look(self) -> None:
        self.presenter.look()

    def running(self, *, on: bool) -> None:
        self.page.set_running(running=on)

    def _show_can_run(self) -> None:
        self._desk.frame.can_run(self.page.editor.plan is not None)

    def visit(self, **place: object) -> None:
        """`plan`: the path of a plan file to import; `new`: begin a new plan."""
        if isinstance(path := place.get("plan"), Path):
            self.page.import_file(path)
        if place.get("new"):
            self.page.new_plan()

    def close(self) -> None:
        if not self.page.keep():
            log.error("! the changes of the plan that was open could not be saved")

    def copy_command(self) -> None:
        """Put the command that runs the open plan on the clipboard."""
        QGuiApplication.clipboard().setText(self.presenter.command())

    def _new_plan(self) -> None:
        self._desk.go("plans", new=True)
