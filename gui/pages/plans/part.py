"""Plans: the page and its presenter."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from PySide6.QtGui import QGuiApplication

from gui.models.faults import Met
from gui.models.finder import Found, rank
from gui.models.plans import PlanEntry, PlanLibrary, plan_in_words
from gui.pages.part import Limited, WindowDesk
from gui.pages.part import Part as Base
from gui.pages.plans.page import PlansPage
from gui.pages.plans.presenter import PlansPresenter
from gui.runner.workspace import Workspace
from gui.widgets.parts import plain_tip, short_caption

NAME_SHOWN = 24
"""Characters of a plan's name on the button in the top bar."""

log = logging.getLogger("tally.window")


class Part(Base):
    """See the module."""

    page: PlansPage

    def __init__(self, desk: WindowDesk) -> None:
        self._desk = desk
        self.page = page = PlansPage(PlanLibrary(desk.data / "plans"))
        self.presenter = PlansPresenter(desk, page)
        page.run_wanted.connect(lambda plan: desk.run_plan(plan, self.presenter.text_of(plan), page.directory()))
        page.preflight_wanted.connect(lambda: desk.go("preflight"))
        page.problem.connect(lambda text: desk.problem("error", "plans", text))
        page.changed.connect(self._plan_changed)
        action = desk.frame.add_action
        action("Edit", "undo", "Undo in the plan", "Ctrl+Z", page.undo, symbol="undo")
        action("Edit", "redo", "Redo in the plan", "Ctrl+Shift+Z", page.redo, symbol="redo")
        action("Plan", "new-plan", "New plan", "Ctrl+N", self._new_plan, symbol="plus")
        action("Plan", "save-plan", "Save plan", "Ctrl+S", page.save)
        action("Plan", "delete-plan", "Delete the plan that is open", "Ctrl+Shift+D", page.delete, symbol="trash")
        action("Plan", "import-plan", "Import plan…", "Ctrl+Shift+P", page.import_plan, symbol="import")
        action("Run", "run", "Run the plan", "Ctrl+R", self._run, symbol="play")
        action("Run", "preflight", "Preflight", "Ctrl+Shift+R", lambda: desk.go("preflight"), symbol="plans")
        action("Tools", "command", "Copy as command", "Ctrl+Shift+C", self.copy_command, symbol="term")
        desk.frame.run_button.clicked.connect(lambda: self._run())
        desk.frame.copy_command.clicked.connect(lambda: self.copy_command())

    def limited(self) -> Limited:
        return Limited((self.page.run_button,), (self.page.preflight_button,))

    def attach(self, workspace: Workspace) -> None:
        self.presenter.attach(workspace)

    def shown(self) -> None:
        self.presenter.forget_lists()

    def detach(self) -> None:
        self.presenter.detach()

    def look(self) -> None:
        self.presenter.look()

    def running(self, *, on: bool) -> None:
        self.page.set_running(running=on)

    def _plan_changed(self) -> None:
        """Run, wherever it is, names the plan that it starts, or says why it cannot."""
        page, frame = self.page, self._desk.frame
        plan, why = page.editor.plan, page.why_not()
        words = plan_in_words(plan) if plan is not None else ""
        name = short_caption(plan.name, NAME_SHOWN) if plan is not None else ""
        tip = plain_tip(f"Cannot run {words}: {why}" if why else f"Run {words}  Ctrl+R")
        frame.can_run(plan is not None, what=name, tip=tip)
        frame.actions_by_name["run"].setText(f"Run {name}" if name else "Run the plan")
        self._desk.chosen = self.presenter.chosen()
        self.presenter.plan_changed()

    def _run(self) -> None:
        """Run the open plan; what keeps it from that is shown where it is."""
        if self.page.why_not():
            self._desk.go("plans")
            self.page.show_mistake()
        else:
            self.page.run()

    def visit(self, **place: object) -> None:
        """`plan`: the path of a plan file to import; `new`: begin a new plan; `text`: that of the plan of a run, and
        `fault`: one that this run has met (`Met`)."""
        if isinstance(path := place.get("plan"), Path):
            self.page.import_file(path)
        if place.get("new"):
            self.page.new_plan()
        text, met = place.get("text"), place.get("fault")
        if isinstance(text, str) and isinstance(met, Met):
            self.page.open_fault(text, met)

    def found(self, words: str) -> Iterable[Found]:
        """Presets and plans of one's own."""
        plans = [
            Found(entry.title, "preset plan" if entry.preset else f"plan {entry.path}", "plans",
                  partial(self._open, entry))
            for entry in self.page.list.entries()
        ]  # fmt: skip
        return rank(words, plans, lambda found: f"{found.title} {found.detail}")

    def _open(self, entry: PlanEntry) -> None:
        self._desk.go("plans")
        self.page.open_entry(entry)

    def close(self) -> None:
        if not self.page.keep():
            log.error("! the changes of the plan that was open could not be saved")

    def copy_command(self) -> None:
        """Put the command that runs the open plan on the clipboard."""
        QGuiApplication.clipboard().setText(self.presenter.command())

    def _new_plan(self) -> None:
        self._desk.go("plans", new=True)
