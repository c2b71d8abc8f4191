"""The tab Timeline of a result."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from gui.models.runs import RunView, TestRow
from gui.widgets.table import Empty, empty_widget


class TimelineTab(QWidget):
    """What happened when, in the chosen test of a run.

    `evidence_wanted` carries the id of a request, `requests_wanted` a filter for the tab Requests. `wanted` asks the
    owner to read what the tab needs of a test."""

    wanted = Signal(object)
    evidence_wanted = Signal(int)
    requests_wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(empty_widget(Empty("runs", "No test is chosen", "Choose a test above.")))

    def show_test(self, run: RunView, test: TestRow) -> None:
        """Another test is chosen, or its figures have changed."""
        self.wanted.emit((run, test))

    def clear(self) -> None:
        """No run is open any more."""
