"""Runs: all runs of the workspace, the latest first. Opening one shows its result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent

from gui.models import figures
from gui.models.rows import Column
from gui.models.runs import RunView
from gui.models.states import outcome_state
from gui.widgets.message import MessageBar
from gui.widgets.parts import Page, button
from gui.widgets.table import Empty, Table


def _bad(count: int) -> str:
    return "bad" if count else "text3"


RUN_COLUMNS: list[Column[RunView]] = [
    Column("run", "Run", lambda v: v.run.id, align="right", width=72, bold=True),
    Column(
        "name",
        "Plan",
        lambda v: v.run.name,
        width=220,
        stretch=True,
        icon=lambda v: "pin" if v.run.baseline else None,
        tip=lambda v: "The baseline: other runs are compared with it" if v.run.baseline else "",
    ),
    Column(
        "verdict",
        "Verdict",
        lambda v: outcome_state(v.outcome)[1],
        width=128,
        kind="status",
        icon=lambda v: outcome_state(v.outcome)[0],
        colour=lambda v: outcome_state(v.outcome)[2],
    ),
    Column("success", "Success", lambda v: _share(v), lambda v: v.success, "right", 104, bold=True),
    Column("tests", "Tests", lambda v: len(v.tests), align="right", width=72, fold=1),
    Column(
        "requests",
        "Requests",
        lambda v: sum(t.figures.total for t in v.tests),
        lambda v: figures.count(sum(t.figures.total for t in v.tests)),
        "right",
        104,
    ),
    Column(
        "missing",
        "Missing",
        lambda v: sum(t.figures.missing for t in v.tests),
        lambda v: figures.count(sum(t.figures.missing for t in v.tests)),
        "right",
        88,
        colour=lambda v: _bad(sum(t.figures.missing for t in v.tests)),
    ),
    Column(
        "started",
        "Started",
        lambda v: v.run.started or v.run.created,
        lambda v: figures.day_and_time(v.run.started),
        width=160,
    ),
    Column(
        "took",
        "Took",
        lambda v: None if v.run.started is None or v.run.ended is None else v.run.ended - v.run.started,
        lambda v: figures.duration(
            None if v.run.started is None or v.run.ended is None else v.run.ended - v.run.started
        ),
        "right",
        112,
        colour=lambda _v: "text2",
    ),
    Column("message", "Message", lambda v: v.run.message, width=240, colour=lambda _v: "text2", shown=False),
]


def _share(view: RunView) -> float | None:
    counted = sum(t.figures.counted for t in view.tests)
    return 100 * sum(t.figures.good for t in view.tests) / counted if counted else None


class RunsPage(Page):
    """The page."""

    run_wanted = Signal(int)
    open_wanted = Signal()
    dropped = Signal(object)
    """The path of a file."""

    def __init__(self, actions: tuple[tuple[str, str, Callable[[], object]], ...] = ()) -> None:
        super().__init__("Runs")
        self.runs = Table(
            "runs",
            "History",
            RUN_COLUMNS,
            key=lambda view: view.run.id,
            hint="verdict:FAIL",
            empty=Empty("runs", "No runs in this workspace yet", "Each run is listed here with its verdicts.", actions),
        )
        self.runs.activated.connect(lambda view: self.run_wanted.emit(view.run.id))
        self.open_button = button(
            "Open bundle…",
            "import",
            self.open_wanted.emit,
            tip="A run that was saved on another machine; or drop it here",
        )
        self.add_action(self.open_button)
        self.message = MessageBar()
        self.body.addWidget(self.message)
        self.body.addWidget(self.runs)
        self.setAcceptDrops(True)

    def set_runs(self, views: Sequence[RunView]) -> None:
        """Show all runs, latest first."""
        self.runs.set_rows(views)
        self.runs.set_counts(f"{len(views):,}" if views else "none")

    def busy(self, text: str) -> None:
        """Show that a bundle is being read."""
        self.open_button.setEnabled(False)
        self.message.busy(text)

    def say(self, text: str, colour: str, run: int | None = None) -> None:
        """Say what became of a bundle; `run`: the one that it became."""
        self.open_button.setEnabled(True)
        actions = () if run is None else (("Open it", "right", lambda: self.run_wanted.emit(run)),)
        self.message.say(text, colour=colour, actions=actions)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        for url in event.mimeData().urls():
            if url.isLocalFile():
                event.acceptProposedAction()
                self.dropped.emit(Path(url.toLocalFile()))
