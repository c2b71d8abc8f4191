"""The tab Timeline of a result: lanes of one repeat or of all, what was selected in them, and an overview.

The tab asks its owner to read (`wanted`) when it is first looked at and when another repeat is chosen; it receives an
immutable `Timeline`.
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

from PySide6.QtCore import QSettings, Qt, Signal
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QMenu,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from gui.models import figures
from gui.models.rows import filter_word
from gui.models.runs import RunView, TestRow
from gui.models.timeline import LANES, Group, LaneKey, Miss, Part, Timeline, csv_of, group_of
from gui.pages.result.lanes import Lanes, Overview, TimeView
from gui.pages.result.selected import SelectedPanel
from gui.report import numbers
from gui.widgets.fields import ChoiceField
from gui.widgets.parts import Button, Elided, Ground, button, label, line, segments
from gui.widgets.table import Empty, empty_widget

MOST_REPEATS = 8
"""Repeats that have a button each; more are in a list."""
PARTS = "PNG (*.png)"
FIGURES = "CSV (*.csv)"


class TimelineTab(Ground):
    """What happened when, in the chosen test of a run.

    `evidence_wanted` carries the id of a request, `requests_wanted` a filter for the tab Requests. `wanted` asks the
    owner to read a test: number of the run and the test, and of the repeat (0: all, -1: the one that says most)."""

    wanted = Signal(int, int, int)
    evidence_wanted = Signal(int)
    requests_wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._of: tuple[int, int, object] | None = None
        self._repeat = -1
        self._asked: tuple[object, ...] | None = None
        self.timeline: Timeline | None = None
        self.view = TimeView()
        self.canvases: list[Lanes] = []
        self._chosen: Part | None = None
        stored = str(QSettings().value("timeline/hidden", "") or "").split()
        self._hidden: frozenset[LaneKey] = frozenset(key for key in LANES if key in stored)
        self.selected = SelectedPanel()
        self.selected.closed.connect(self.clear_selection)
        self.selected.evidence_wanted.connect(self.evidence_wanted)
        self.selected.filter_wanted.connect(self._filter)
        self.selected.hide()
        self.overview = Overview(self.view)
        self._stack = QVBoxLayout()
        self._stack.setContentsMargins(0, 0, 0, 0)
        self._stack.setSpacing(0)
        self._holder = holder = QWidget()
        holder.setLayout(self._stack)
        self.area = QScrollArea()
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.area.setWidgetResizable(True)
        self.area.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the drawings in it have it
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setWidget(holder)
        left = QWidget()
        column = QVBoxLayout(left)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(self._make_bar())
        column.addWidget(self.area, 1)
        column.addWidget(line())
        column.addWidget(self.overview)
        whole = QWidget()
        row = QHBoxLayout(whole)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(left, 1)
        row.addWidget(self.selected)
        self._empty = QWidget()
        QVBoxLayout(self._empty).setContentsMargins(0, 0, 0, 0)
        self.inner = QStackedWidget()
        self.inner.addWidget(self._empty)
        self.inner.addWidget(whole)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self.inner)
        self._say("No test is chosen", "Choose a test above.")

    def _make_bar(self) -> QHBoxLayout:
        bar = QHBoxLayout()
        bar.setContentsMargins(16, 6, 16, 6)
        bar.setSpacing(8)
        bar.addWidget(label("Repeat", "secondary"))
        self._switch_row = QHBoxLayout()
        self._switch_row.setSpacing(0)
        bar.addLayout(self._switch_row)
        self.words = Elided("", "secondary", least=80)
        bar.addWidget(self.words, 1)
        self.lanes_button = button("All lanes", "eye", self._choose_lanes, tip="Which lanes are shown")
        self.fit_button = button("Fit  Home", "reset", self.view.fit, tip="Show the whole repeat")
        self.export_button = button("Export", "export", self._export)
        for widget in (self.lanes_button, self.fit_button, self.export_button):
            bar.addWidget(widget)
        self._switch: QWidget | None = None
        self._switched: tuple[int, ...] | None = None
        self.repeat_buttons: dict[int, Button] = {}
        return bar

    # ---- called by the owner

    def show_test(self, run: RunView, test: TestRow) -> None:
        """Another test is chosen, or its figures have changed."""
        mine = (run.run.id, test.number, tuple(scoring.id for scoring in test.scorings))
        if mine == self._of:
            return
        if self._of is None or mine[:2] != self._of[:2]:
            self._repeat = -1
            self.timeline = None
            self._say("Reading the timeline", "")
        self._of = mine
        self._ask()

    def show_timeline(self, timeline: Timeline) -> None:
        """What was read. One of another test is not shown any more."""
        if self._of is None or (timeline.run, timeline.test) != self._of[:2]:
            return
        if not timeline.parts:
            self.timeline = None
            self._say("This test has not begun", "Its repeats are shown here while and after they run.")
            return
        same = self.timeline is not None and (self.timeline.run, self.timeline.test, self.timeline.shown) == (
            timeline.run, timeline.test, timeline.shown,
        )  # fmt: skip
        before = (self.view.low, self.view.high)
        self.timeline = timeline
        self._repeat = timeline.shown
        self._show_switch()
        self.clear_selection()
        for canvas in self.canvases:
            self._stack.removeWidget(canvas)
            canvas.hide()
            canvas.deleteLater()
        many = len(timeline.parts) > 1
        self.canvases = [Lanes(part, self.view, named=many) for part in timeline.parts]
        self.view.set_whole(max(part.span for part in timeline.parts))
        busy = max(part.busy for part in timeline.parts)
        self.view.show_range(*(before if same else (0.0, 1.06 * busy + 2)))  # settling can take most of the axis
        for canvas in self.canvases:
            self._connect(canvas)
            self._stack.addWidget(canvas, 1)
        self._apply_hidden()
        self._take(timeline.parts[0])
        self.inner.setCurrentIndex(1)

    def clear(self) -> None:
        """No run is open any more."""
        self._of = self._asked = self.timeline = None
        self._repeat = -1
        self._say("No test is chosen", "Choose a test above.")

    # ---- reading

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._ask()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        for canvas in self.canvases:
            canvas.show_cross(math.nan)

    def _ask(self) -> None:
        """Ask for what is shown, once, and only while somebody looks."""
        wanted = None if self._of is None else (*self._of, self._repeat)
        if self.isVisible() and self._of is not None and wanted != self._asked:
            self._asked = wanted
            self.wanted.emit(self._of[0], self._of[1], self._repeat)

    def choose_repeat(self, repeat: int) -> None:
        """Show this repeat; 0: all of them under each other."""
        self._repeat = repeat
        self._ask()

    # ---- the bar

    def _show_switch(self) -> None:
        """A button for each repeat, or a list of them; the same ones stay, and keep the keyboard."""
        timeline = self.timeline
        assert timeline is not None
        if timeline.repeats != self._switched:
            self._switched = timeline.repeats
            if self._switch is not None:
                self._switch_row.removeWidget(self._switch)
                self._switch.hide()
                self._switch.deleteLater()
            few = len(timeline.repeats) <= MOST_REPEATS
            self._switch = self._make_buttons(timeline.repeats) if few else self._make_list(timeline.repeats)
            self._switch_row.addWidget(self._switch)
            self._switch.show()
        chosen = self.repeat_buttons.get(timeline.shown)
        if chosen is not None:
            chosen.setChecked(True)
        elif isinstance(self._switch, QComboBox):
            self._switch.setCurrentIndex(max(0, self._switch.findData(timeline.shown)))

    def _make_buttons(self, repeats: tuple[int, ...]) -> QWidget:
        self.repeat_buttons = {}
        for text, number in [*((str(number), number) for number in repeats), ("All", 0)]:
            one = button(text, action=partial(self.choose_repeat, number), kind="segment")
            one.setAccessibleName(f"Repeat {text}" if number else "All repeats")
            self.repeat_buttons[number] = one
        return segments(*self.repeat_buttons.values(), group=QButtonGroup(self))

    def _make_list(self, repeats: tuple[int, ...]) -> QWidget:
        self.repeat_buttons = {}
        box = ChoiceField()
        box.setAccessibleName("Repeat")
        for text, number in [*((f"{number} of {len(repeats)}", number) for number in repeats), ("All", 0)]:
            box.addItem(text, number)
        box.activated.connect(lambda place: self.choose_repeat(box.itemData(place)))
        return box

    def _take(self, part: Part) -> None:
        """The repeat that overview and words are about."""
        self._chosen = part
        self.overview.show_part(part)
        took = f" in {figures.duration(part.took)}" if part.took is not None else ""
        settled = f", settled {_time(part.settled)}" if part.settled is not None else f", {part.state}"
        many = self.timeline is not None and len(self.timeline.parts) > 1
        which = f"repeat {part.number}: " if many else ""
        self.words.setText(f"{which}began {_time(part.began)}, {part.requests:,} requests{took}{settled}")

    def _choose_lanes(self) -> None:
        menu = QMenu(self)
        names = {lane.key: lane.title for lane in self.canvases[0].part.lanes} if self.canvases else {}
        for key in LANES:
            action = menu.addAction(names.get(key, key))
            action.setCheckable(True)
            action.setChecked(key not in self._hidden)
            action.toggled.connect(lambda on, key=key: self.hide_lane(key, hidden=not on))
        menu.popup(self.lanes_button.mapToGlobal(self.lanes_button.rect().bottomLeft()))

    def hide_lane(self, key: LaneKey, *, hidden: bool) -> None:
        """Show a lane or leave it out; one always stays."""
        now = self._hidden | {key} if hidden else self._hidden - {key}
        if len(now) < len(LANES):
            self._hidden = now
            QSettings().setValue("timeline/hidden", " ".join(sorted(now)))
            self._apply_hidden()

    def _apply_hidden(self) -> None:
        for canvas in self.canvases:
            canvas.set_hidden(self._hidden)
        shown = len(LANES) - len(self._hidden)
        self.lanes_button.setText("All lanes" if not self._hidden else f"{shown} of {len(LANES)} lanes")

    def _export(self) -> None:
        menu = QMenu(self)
        menu.addAction("Picture (PNG)…", lambda: self._save("png", PARTS))
        menu.addAction("Figures (CSV)…", lambda: self._save("csv", FIGURES))
        menu.popup(self.export_button.mapToGlobal(self.export_button.rect().bottomLeft()))

    def _save(self, ending: str, kinds: str) -> None:
        part = self._chosen
        if part is None or self.timeline is None:
            return
        name = f"run-{self.timeline.run}-test-{self.timeline.test}-repeat-{part.number}.{ending}"
        dialog = QFileDialog(self, "Export the timeline", name, kinds)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.fileSelected.connect(lambda chosen: self.write(Path(chosen)))
        dialog.open()

    def write(self, path: Path) -> None:
        """Write what is shown to a file: a picture, or the figures as CSV."""
        part = self._chosen
        if part is None:
            return
        try:
            if path.suffix.lower() == ".csv":
                path.write_text(csv_of(part), encoding="utf-8")
            elif not self._holder.grab().save(str(path), "PNG"):
                raise OSError(None, "it cannot be written")
        except OSError as error:
            self.words.setText(f"{path} was not written: {error.strerror or type(error).__name__}.")
        else:
            self.words.setText(f"Written: {path}")

    # ---- selecting

    def _connect(self, canvas: Lanes) -> None:
        canvas.group_chosen.connect(lambda number: self.select_group(canvas, number))
        canvas.miss_chosen.connect(lambda miss: self._select_miss(canvas, miss))
        canvas.range_chosen.connect(lambda low, high: self.select_range(canvas, low, high))
        canvas.cleared.connect(self.clear_selection)
        canvas.evidence_wanted.connect(self.selected.open_evidence)
        canvas.filter_wanted.connect(self._filter)
        canvas.hovered.connect(self._hover)

    def _hover(self, seconds: float) -> None:
        for canvas in self.canvases:
            canvas.show_cross(seconds)

    def select_group(self, canvas: Lanes, number: int) -> None:
        """Show a group at the side, and bring it into view."""
        group = canvas.part.groups[number]
        self._mark(canvas, (group.begin, group.end), number)
        if not self.view.low <= group.begin <= self.view.high:
            half = (self.view.high - self.view.low) / 2
            self.view.show_range(group.begin - half, group.begin + half)
        self.selected.show_group(canvas.part, group)

    def select_range(self, canvas: Lanes, low: float, high: float) -> None:
        """Show what was lost in a range of time at the side."""
        self._mark(canvas, (low, high), None)
        misses = canvas.part.between(low, high)
        self.selected.show_range(canvas.part, low, high, group_of(misses, canvas.part.began) if misses else None)

    def _select_miss(self, canvas: Lanes, miss: Miss) -> None:
        self._mark(canvas, (miss.at, miss.at), None)
        self.selected.show_group(canvas.part, group_of([miss], canvas.part.began))

    def _mark(self, canvas: Lanes, selected: tuple[float, float], number: int | None) -> None:
        for other in self.canvases:
            other.show_selection(selected if other is canvas else None, number if other is canvas else None)
        self._take(canvas.part)
        self.selected.show()

    def clear_selection(self) -> None:
        """Nothing is selected."""
        for canvas in self.canvases:
            canvas.show_selection(None)
        self.selected.show_nothing()
        self.selected.hide()

    def _filter(self) -> None:
        group = self.selected.group
        if group is not None:
            self.requests_wanted.emit(filter_of(group))

    def _say(self, title: str, reason: str) -> None:
        layout = self._empty.layout()
        assert layout is not None
        while (item := layout.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        shown = empty_widget(Empty("runs", title, reason))
        layout.addWidget(shown)
        shown.show()
        self.inner.setCurrentIndex(0)


def filter_of(group: Group) -> str:
    """The filter of the tab Requests for a group: its datagram, else its verdict and server."""
    requests = [miss.request for miss in group.misses]
    datagrams = {request.lost_with for request in requests}
    if len(datagrams) == 1 and "" not in datagrams:
        return filter_word("lost_with", datagrams.pop(), exact=True)
    words = []
    verdicts = {request.verdict.word.replace("_", " ") for request in requests if request.verdict is not None}
    if len(verdicts) == 1:
        words.append(filter_word("verdict", verdicts.pop()))
    servers = {request.server for request in requests}
    if len(servers) == 1:
        words.append(filter_word("server", servers.pop(), exact=True))
    return " ".join(words) or "verdict:missing"


def _time(t: float) -> str:
    return numbers.clock(t)[:-4]
