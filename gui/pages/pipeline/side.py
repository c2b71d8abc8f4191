"""The right side of Pipeline: the connection to the broker, records of a file, drills on a lab."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from gui.models.lost import LostRequests
from gui.models.pipeline import STATES, Pipeline
from gui.pages.pipeline.lost import LostButton
from gui.pages.pipeline.presenter import DrillState
from gui.reconcile.ladder import FAULTS
from gui.report.numbers import UNKNOWN, count, duration, size
from gui.runner.drills import DRILLS, Drill
from gui.widgets.dress import give_sheet
from gui.widgets.fields import NumberField
from gui.widgets.icons import pixmap
from gui.widgets.parts import Elided, Ground, button, label, line, plain_tip
from gui.widgets.theme import theme


class StateWord(QWidget):
    """Icon and word of a state, in its colour."""

    def __init__(self) -> None:
        super().__init__()
        self._picture, self.word = QLabel(), label()
        self._look = ("ring", "", "mute")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        row.addWidget(self._picture)
        row.addWidget(self.word)
        theme().follow(self._restyle)

    def show_state(self, symbol: str, word: str, colour: str) -> None:
        """Show this state."""
        if (symbol, word, colour) != self._look:
            self._look = (symbol, word, colour)
            self._restyle()

    def _restyle(self) -> None:
        symbol, word, colour = self._look
        self._picture.setPixmap(pixmap(symbol, colour, 14, 2.0))
        self.word.setText(word)
        give_sheet(self.word, f"color: {theme().hex(colour)};")


class Confirm(QDialog):
    """Asks once, by the drill's own name; says what will happen."""

    def __init__(self, drill: Drill, words: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(drill.title)
        self.setModal(True)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 20, 24, 16)
        column.setSpacing(12)
        column.addWidget(label(f"{drill.title}?", "section"))
        text = label(words, "secondary")
        text.setWordWrap(True)
        text.setMinimumWidth(420)
        column.addWidget(text)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addStretch(1)
        self.cancel = button("Cancel", "", self.reject)
        self.go = button(drill.title, "zap", self.accept, kind="primary")
        row.addWidget(self.cancel)
        row.addWidget(self.go)
        column.addLayout(row)
        self.cancel.setDefault(True)


class DrillLine:
    """A drill: its name, its amount, and the button that starts or stops it."""

    def __init__(self, drill: Drill, grid: QGridLayout, row: int, start: Callable[[], None], stop: Callable[[], None]):
        self.drill = drill
        self.name = label(drill.title, "secondary")
        self.amount: NumberField | None = None
        if drill.unit:
            decimals = 0 if drill.unit == "s" else 1
            self.amount = NumberField(drill.most, drill.unit, decimals=decimals, width=96)
            self.amount.setMinimum(1 if drill.unit == "s" else 0.1)
            self.amount.setValue(drill.amount)
            self.amount.setAccessibleName(f"{drill.title}: {'seconds' if drill.unit == 's' else 'per cent'}")
            grid.addWidget(self.amount, row, 1)
        self.start = button("Start…", "zap", start)
        self.stop = button("Stop", "stop", stop)
        self.start.setAccessibleName(f"Start: {drill.title}")
        self.stop.setAccessibleName(f"Stop: {drill.title}")
        self.stop.hide()
        self.said = Elided("", "hint", least=40)
        self.lost = LostButton(kind="link")
        self.lost.hide()
        grid.addWidget(self.name, row, 0)
        grid.addWidget(self.start, row, 2)
        grid.addWidget(self.stop, row, 2)
        grid.addWidget(self.said, row + 1, 0, 1, 3)
        grid.addWidget(self.lost, row + 2, 0, 1, 3, Qt.AlignmentFlag.AlignLeft)
        self.said.hide()

    def value(self) -> float:
        """The amount as set."""
        return self.amount.value() if self.amount is not None else self.drill.amount

    def show_lost(self, lost: LostRequests | None) -> None:
        """Offer what the latest run lost where this drill can lose something."""
        self.lost.show_lost(lost, FAULTS[self.drill.do])
        self.lost.setVisible(self.lost.isEnabled())

    def show_state(self, state: DrillState) -> None:
        """Show whether it can be started, or how long it goes on."""
        can = not state.why_not and not state.busy
        on = state.left is not None and bool(self.drill.stop)
        self.start.setVisible(not on)
        self.stop.setVisible(on)
        self.start.setEnabled(can)
        self.stop.setEnabled(not state.busy)
        self.start.setToolTip(plain_tip(state.why_not or self.drill.what(self.value())))
        if self.amount is not None:
            self.amount.setEnabled(can and not on)
        said = state.said
        if state.busy:
            said = "asking the lab…"
        elif state.left is not None:
            said = (
                "under way until it is stopped" if math.isinf(state.left) else f"under way, {duration(state.left)} left"
            )
        if said != self.said.text():
            self.said.setText(said)
        self.said.setVisible(bool(said))


class Side(QScrollArea):
    """See the module."""

    settings_wanted = Signal()
    load_wanted = Signal(Path)
    stop_loading_wanted = Signal()
    drill_wanted = Signal(object, float)
    drill_stop_wanted = Signal(object)
    lost_wanted = Signal(object)
    """What was lost where a drill acts, a `LostThere`."""
    try_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setMinimumWidth(320)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.warning_of: Callable[[Drill, float], str] = lambda drill, amount: drill.what(amount)
        self.confirm: Confirm | None = None
        self.chooser: QFileDialog | None = None
        holder = Ground()
        self.setWidget(holder)
        column = QVBoxLayout(holder)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._make_connection())
        column.addWidget(line())
        column.addWidget(self._make_records())
        column.addWidget(line())
        column.addWidget(self._make_drills())
        column.addStretch(1)

    # ---- the broker

    def _make_connection(self) -> QWidget:
        part, column = _part()
        head = QHBoxLayout()
        head.addWidget(label("Broker connection", "section"))
        head.addStretch(1)
        self.state = StateWord()
        head.addWidget(self.state)
        column.addLayout(head)
        grid = QGridLayout()
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        self.facts: dict[str, Elided] = {}
        for number, name in enumerate(("Address", "Queue", "Says")):
            fact = Elided(UNKNOWN, least=80)
            fact.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            self.facts[name] = fact
            grid.addWidget(label(name, "secondary"), number, 0)
            grid.addWidget(fact, number, 1)
        column.addLayout(grid)
        self.set_up = button("Set up the bus…", "settings", self.settings_wanted.emit)
        row = QHBoxLayout()
        row.addWidget(self.set_up)
        row.addStretch(1)
        column.addLayout(row)
        return part

    def show_pipeline(self, pipeline: Pipeline | None) -> None:
        """Show how it stands with the broker and the queue of records."""
        if pipeline is None:
            self.state.show_state("ring", "nothing is open", "mute")
            for fact in self.facts.values():
                fact.setText(UNKNOWN)
            self.load_button.setEnabled(False)
            self.queue.setText("Open a workspace to load records.")
            return
        broker = pipeline.stage("broker")
        word = "connected" if broker.state in ("up", "check") else broker.state
        symbol, colour = STATES["up" if word == "connected" else broker.state]
        self.state.show_state(symbol, word, colour)
        own = pipeline.queues[-1] if pipeline.queues else None
        _put(self.facts["Address"], pipeline.bus or UNKNOWN)
        _put(self.facts["Queue"], own.id if own else UNKNOWN)
        _put(self.facts["Says"], broker.reason if broker.state not in ("up", "check") else "takes and delivers")
        waiting = own.waiting if own else None
        loaded = next((row.value for row in pipeline.database if row.id.startswith("Loaded since")), UNKNOWN)
        _put(self.queue, f"{count(waiting)} waiting in the queue; {loaded} loaded since the workspace was opened")
        self.load_button.setEnabled(not self.bar.isVisible())

    # ---- records

    def _make_records(self) -> QWidget:
        part, column = _part()
        head = QHBoxLayout()
        head.addWidget(label("Records", "section"))
        head.addStretch(1)
        self.load_button = button("Load records…", "import", self.ask_for_file)
        self.load_button.setToolTip("From a file of JSON lines or a JSON array, also compressed by gzip")
        head.addWidget(self.load_button)
        column.addLayout(head)
        self.queue = label("", "secondary")
        self.queue.setWordWrap(True)
        column.addWidget(self.queue)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName("How much of the file is loaded")
        self.bar.hide()
        self.loading = Elided("", "secondary", least=80)
        self.file = Elided("", "section", least=80)
        self.stop_button = button("Stop", "stop", self.stop_loading_wanted.emit)
        self.stop_button.setToolTip("What is loaded by then stays")
        row = QHBoxLayout()
        row.addWidget(self.loading, 1)
        row.addWidget(self.stop_button)
        column.addWidget(self.file)
        column.addWidget(self.bar)
        column.addLayout(row)
        self.loaded = label("", "secondary")
        self.loaded.setWordWrap(True)
        self.loaded.setAccessibleName("What was loaded")
        column.addWidget(self.loaded)
        for widget in (self.file, self.loading, self.stop_button, self.loaded):
            widget.hide()
        return part

    def ask_for_file(self) -> None:
        """Choose a file of records."""
        self.chooser = chooser = QFileDialog(self, "Load records")
        chooser.setFileMode(QFileDialog.FileMode.ExistingFile)
        chooser.setNameFilters(["Records (*.json *.jsonl *.ndjson *.gz)", "All files (*)"])
        chooser.fileSelected.connect(lambda name: self.load_wanted.emit(Path(name)))
        chooser.open()

    def show_loading(self, name: str, read: int, total: int, records: int) -> None:
        """Show how far it is."""
        self.bar.setRange(0, 1000 if total else 0)
        self.bar.setValue(round(1000 * min(1.0, read / total)) if total else 0)
        of = f", {size(read)} of {size(total)}" if total else ""
        self.file.setText(name)
        self.loading.setText(f"{records:,} records{of}" if records else "reading…")
        for widget in (self.file, self.bar, self.loading, self.stop_button):
            widget.show()
        self.loaded.hide()
        self.load_button.setEnabled(False)

    def show_loaded(self, words: tuple[str, ...], *, bad: bool) -> None:
        """Show what was loaded, or why nothing was."""
        for widget in (self.bar, self.loading, self.stop_button):
            widget.hide()
        self.file.show()
        self.loaded.setText("\n".join(words))
        self.loaded.setProperty("kind", "error" if bad else "secondary")
        self.loaded.style().polish(self.loaded)
        self.loaded.show()
        self.load_button.setEnabled(True)

    # ---- drills

    def _make_drills(self) -> QWidget:
        part, column = _part()
        head = QHBoxLayout()
        head.addWidget(label("Drills", "section"))
        head.addStretch(1)
        head.addWidget(label("local lab only", "hint"))
        column.addLayout(head)
        grid = QGridLayout()
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(0, 1)
        self.drills: dict[str, DrillLine] = {}
        for number, drill in enumerate(DRILLS):
            self.drills[drill.name] = DrillLine(
                drill,
                grid,
                3 * number,
                lambda drill=drill: self._ask(drill),  # type: ignore[misc]
                lambda drill=drill: self.drill_stop_wanted.emit(drill),  # type: ignore[misc]
            )
            self.drills[drill.name].lost.wanted.connect(self.lost_wanted)
        column.addLayout(grid)
        self.no_drills = label("", "hint")
        self.no_drills.setWordWrap(True)
        column.addWidget(self.no_drills)
        self.try_button = button("Try it on this machine", "play", self.try_wanted.emit, kind="link")
        self.try_button.setToolTip("Open the demonstration: a workspace of its own with a lab")
        row = QHBoxLayout()
        row.addWidget(self.try_button)
        row.addStretch(1)
        column.addLayout(row)
        return part

    def show_lost(self, lost: LostRequests | None) -> None:
        """Show what the latest run lost where the drills act."""
        for each in self.drills.values():
            each.show_lost(lost)

    def show_drills(self, states: tuple[DrillState, ...]) -> None:
        """Show which can be started, and which are under way."""
        for state in states:
            self.drills[state.drill.name].show_state(state)
        reasons = list(dict.fromkeys(state.why_not for state in states if state.why_not))
        _put(self.no_drills, "\n".join(reasons))
        self.no_drills.setVisible(bool(reasons))
        self.try_button.setVisible(len(reasons) == 1 and all(state.why_not for state in states))

    def _ask(self, drill: Drill) -> None:
        amount = self.drills[drill.name].value()
        self.confirm = confirm = Confirm(drill, self.warning_of(drill, amount), self.window())
        confirm.accepted.connect(lambda: self.drill_wanted.emit(drill, amount))
        confirm.open()


def _part() -> tuple[QWidget, QVBoxLayout]:
    part = QWidget()
    column = QVBoxLayout(part)
    column.setContentsMargins(16, 12, 16, 12)
    column.setSpacing(8)
    return part, column


def _put(widget: QLabel, text: str) -> None:
    if widget.text() != text:
        widget.setText(text)
