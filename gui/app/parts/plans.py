"""Plans: the page and its presenter."""

from __future__ import annotations

import logging

from PySide6.QtGui import QGuiApplication

from gui.app.part import Part as Base
from gui.app.part import WindowDesk
from gui.models.plans import PlanLibrary
from gui.pages.plans import PlansPage
from gui.presenters.plans import PlansPresenter

log = logging.getLogger("tally.window")


class Part(Base):
    """See the module."""

    page: PlansPage

    def __init__(self, desk: WindowDesk) -> None:
        self._desk = desk
        self.page = page = PlansPage(PlanLibrary(desk.data / "plans"))
        self.presenter = PlansPresenter(desk, page)
        page.run_wanted.connect(desk.run_plan)
        page.problem.connect(lambda text: desk.problem("error", "plans", text))
        page.changed.connect(desk.show_run_buttons)
        action = desk.frame.add_action
        action("Edit", "undo", "Undo in the plan", "Ctrl+Z", page.undo, symbol="undo")
        action("Edit", "redo", "Redo in the plan", "Ctrl+Shift+Z", page.redo, symbol="redo")
        action("Plan", "new-plan", "New plan", "Ctrl+N", self._new_plan, symbol="plus")
        action("Plan", "save-plan", "Save plan", "Ctrl+S", page.save)
        action("Plan", "import-plan", "Import plan…", "", page.import_plan, symbol="import")
        action("Run", "run", "Run the plan", "Ctrl+R", page.run, symbol="play")

    def detach(self) -> None:
        self.presenter.detach()

    def look(self) -> None:
        self.presenter.look()

    def close(self) -> None:
        if not self.page.keep():
            log.error("! the changes of the plan that was open could not be saved")

    def copy_command(self) -> None:
        """Put the command that runs the open plan on the clipboard."""
        QGuiApplication.clipboard().setText(self.presenter.command())

    def _new_plan(self) -> None:
        self._desk.frame.go("plans")
        self.page.new_plan()
