"""The faults of the chosen test: a head with Add, the lanes, and a row for the chosen one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QMenu, QVBoxLayout, QWidget

from gui.campaign.effects import effect
from gui.campaign.plan import LOSS_KINDS, SERVER_KINDS, Fault, FaultKind, Test
from gui.campaign.preview import Preview
from gui.models import faults as model
from gui.models.faults import LANES
from gui.models.plans import FaultPlace
from gui.pages.plans.lanes import FaultLanes
from gui.widgets.fields import ChoiceField, ClockField, NumberField
from gui.widgets.parts import Elided, button, label, line

NONE = "No fault. The pipeline is tested as it is."
HOW = "in every repeat; drag a bar to move it, its ends to stretch it"


class FaultsPane(QWidget):
    """`changed` carries the faults as they are now, and which is chosen."""

    changed = Signal(object, int)

    def __init__(self) -> None:
        super().__init__()
        self._test: Test | None = None
        self._preview: Preview | None = None
        self._settle = 0.0
        self._place = FaultPlace()
        self._current = -1
        self._filling = False
        self._open = True
        self.title = label("Faults", "section")
        self.hint = Elided(NONE, "secondary")
        self.error = Elided("", "error", least=80)
        self.add_button = button("Add fault", "plus")
        self._menu = QMenu(self.add_button)
        self._menu.setToolTipsVisible(True)
        for number, (title, kinds) in enumerate(LANES):
            if number:
                self._menu.addSeparator()
            for do in kinds:
                action = self._menu.addAction(do)
                action.setData(do)
                action.setToolTip(title)
                action.triggered.connect(lambda _on=False, do=do: self.add(do))
        self.add_button.setMenu(self._menu)
        head = QHBoxLayout()
        head.setContentsMargins(16, 8, 16, 8)
        head.setSpacing(8)
        head.addWidget(self.title)
        head.addWidget(self.hint, 1)
        head.addWidget(self.error)
        head.addWidget(self.add_button)

        self.lanes = FaultLanes()
        self.lanes.chosen.connect(self.choose)
        self.lanes.moved.connect(lambda number, fault: self._replace(number, fault))
        self.lanes.add_wanted.connect(self._add_on_lane)
        self.lanes.remove_wanted.connect(self.remove)

        self.row = QWidget()
        self.kind = label("", "section")
        self.percent = NumberField(100, "%", most_decimals=6, width=84)
        self.of = label("of the datagrams of", "secondary")
        self.server = ChoiceField()
        self.server.setFixedWidth(120)
        self.at = ClockField(model.LATEST)
        self.lasts_label = label("for", "secondary")
        self.lasts = NumberField(model.LONGEST, "s", decimals=0, width=96)
        self.effect = Elided("", "secondary", least=80)
        self.remove_button = button("Remove", "trash", lambda: self.remove(self._current), kind="plain")
        self._on_server = label("on", "secondary")
        row = QHBoxLayout(self.row)
        row.setContentsMargins(16, 8, 16, 8)
        row.setSpacing(8)
        for widget in (
            self.kind, self.percent, self.of, self._on_server, self.server, label("at", "secondary"), self.at,
            self.lasts_label, self.lasts,
        ):  # fmt: skip
            row.addWidget(widget)
        row.addWidget(self.effect, 1)
        row.addWidget(self.remove_button)
        named: tuple[tuple[QWidget, str], ...] = (
            (self.percent, "Share of the datagrams"), (self.server, "Server"), (self.at, "Begin of the fault"),
            (self.lasts, "Duration of the fault"),
        )  # fmt: skip
        for field, name in named:
            field.setAccessibleName(name)
        for figure in (self.percent, self.at, self.lasts):
            figure.valueChanged.connect(self._edited)
        self.server.currentIndexChanged.connect(self._edited)
        self._row_line = line()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(line())
        column.addLayout(head)
        column.addWidget(self.lanes)
        column.addWidget(self._row_line)
        column.addWidget(self.row)
        self._show()

    # ---- called by the owner

    def show_test(self, test: Test, preview: Preview, settle: float, *, current: int | None = None) -> None:
        """Show the faults of this test. `current`: the fault to choose."""
        self._test, self._preview, self._settle = test, preview, settle
        if current is not None:
            self._current = current
        self._current = min(self._current, len(test.faults) - 1)
        self._show()

    def set_place(self, place: FaultPlace) -> None:
        """Where the faults would be injected: what is possible there."""
        if place != self._place:
            self._place = place
            self._show()

    def set_open(self, *, on: bool) -> None:
        """Whether the plan can be edited at all."""
        if on != self._open:
            self._open = on
            self._show()

    def set_error(self, text: str) -> None:
        """Say what is wrong with a fault that cannot be in a plan."""
        self.error.setText(text)
        self.error.setVisible(bool(text))

    # ---- what is done with them

    def choose(self, number: int) -> None:
        """Edit this fault below the lanes; −1: none."""
        self._current = number
        self._show()

    def add(self, do: FaultKind, at: float | None = None) -> None:
        """Add a fault, in the middle of the requests if no time is given."""
        if self._test is None or self._preview is None or not self._editable():
            return
        middle = self._preview.seconds / self._preview.repeats / 2
        faults = (*self._test.faults, model.new_fault(do, middle if at is None else at))
        self.changed.emit(faults, len(faults) - 1)
        self.lanes.setFocus()

    def remove(self, number: int) -> None:
        """Remove a fault; also where none could be injected."""
        if self._test is not None and self._open and 0 <= number < len(self._test.faults):
            left = model.without(self._test.faults, number)
            self.changed.emit(left, min(number, len(left) - 1))

    # ---- inside

    def _editable(self) -> bool:
        return self._open and not self._place.reason

    def _add_on_lane(self, lane: int, at: float) -> None:
        do = next((kind for kind in LANES[lane][1] if not self._place.refused.get(kind)), LANES[lane][1][0])
        self.add(do, at)

    def _replace(self, number: int, fault: Fault) -> None:
        if self._test is not None and fault != self._test.faults[number]:
            self.changed.emit(model.replaced(self._test.faults, number, fault), number)

    def _edited(self) -> None:
        if self._filling or self._test is None or self._current < 0:
            return
        fault = self._test.faults[self._current]
        values: dict[str, object] = {"at": self.at.value(), "lasts": self.lasts.value()}
        if fault.do in LOSS_KINDS:
            values["percent"] = self.percent.value()
        if fault.do in SERVER_KINDS:
            values["server"] = str(self.server.currentData() or "")
        # What was not touched stays as it is in the file, to the last digit.
        touched = {name: value for name, value in values.items() if value != self._filled.get(name)}
        self._replace(self._current, replace(fault, **touched))  # type: ignore[arg-type]

    _filled: Mapping[str, object] = {}

    def _show(self) -> None:
        test, preview = self._test, self._preview
        faults: Sequence[Fault] = test.faults if test is not None else ()
        chosen = faults[self._current] if 0 <= self._current < len(faults) else None
        self.lanes.setVisible(bool(faults))
        for widget in (self.row, self._row_line):
            widget.setVisible(chosen is not None)
        self.add_button.setEnabled(self._editable() and test is not None)
        self.add_button.setToolTip(self._place.reason)
        for action in self._menu.actions():
            reason = self._place.refused.get(action.data(), "") if action.data() else ""
            action.setEnabled(not reason)
            action.setText(f"{action.data()} ({reason})" if reason else str(action.data() or ""))
        self._show_hint(faults)
        if test is None or preview is None:
            return
        refused = [n for n, fault in enumerate(faults) if self._reason(fault)]
        axis = model.axis_of(test, preview, self._settle)
        self.lanes.show_faults(faults, axis, current=self._current, refused=refused, editable=self._editable())
        if chosen is not None:
            self._fill(chosen, test, preview)

    def _reason(self, fault: Fault) -> str:
        """Why this fault cannot be injected here."""
        if self._place.reason:
            return self._place.reason
        if reason := self._place.refused.get(fault.do, ""):
            return f"not possible here: {reason}"
        if fault.server and self._place.servers and fault.server not in self._place.servers:
            return f"the lab has no server {fault.server}"
        return ""

    def _show_hint(self, faults: Sequence[Fault]) -> None:
        if self._place.reason:
            count = f"{len(faults)} in the plan. " if faults else ""
            self.hint.setText(count + self._place.reason)
        elif faults:
            self.hint.setText(f"{len(faults)} on the local lab, {HOW}")
        else:
            self.hint.setText(NONE)

    def _fill(self, fault: Fault, test: Test, preview: Preview) -> None:
        self._filling = True
        on = self._editable()
        loss, of_server = fault.do in LOSS_KINDS, fault.do in SERVER_KINDS
        self.kind.setText(fault.do)
        for widget, shown in (
            (self.percent, loss), (self.of, loss), (self._on_server, of_server and not loss), (self.server, of_server),
            (self.lasts, model.can_last(fault.do)), (self.lasts_label, model.can_last(fault.do)),
        ):  # fmt: skip
            widget.setVisible(shown)
        names = ["", *self._place.servers]
        if fault.server not in names:
            names.append(fault.server)
        with QSignalBlocker(self.server):
            self.server.clear()
            for name in names:
                self.server.addItem(name or ("all servers" if loss else "any server"), name)
            self.server.setCurrentIndex(names.index(fault.server))
        for number, value in ((self.percent, fault.percent), (self.at, fault.at), (self.lasts, fault.lasts)):
            if number.value() != value:  # writing it again would take a point away that was just typed
                number.setValue(value)
        for field in (self.percent, self.server, self.at, self.lasts):
            field.setEnabled(on)
        self.remove_button.setEnabled(self._open)
        self._filled = {
            "at": self.at.value(),
            "lasts": self.lasts.value(),
            "percent": self.percent.value(),
            "server": str(self.server.currentData() or ""),
        }
        reason = self._reason(fault)
        what = reason or effect(fault, test, preview, settle=self._settle).text
        self.effect.setText(what)
        self.effect.setProperty("kind", "error" if reason else "secondary")
        self.effect.style().polish(self.effect)
        self._filling = False

    def focus(self) -> None:
        """Put the keys on the lanes."""
        self.lanes.setFocus(Qt.FocusReason.OtherFocusReason)
