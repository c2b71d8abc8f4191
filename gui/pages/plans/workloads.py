"""What clients do, in the form of a test: a row for each workload of its mix, with its share of the requests.

A test with one row has a workload; with several, a mix. A row that was not touched leaves its workload as it is in the
file, to the last digit, and with what it cannot show (a port).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
from PySide6.QtCore import QRectF, QSignalBlocker, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from agent.messages import Protocol, Workload
from gui.campaign.plan import Test
from gui.widgets.fields import ChoiceField, LargeField, NumberField, WholeField
from gui.widgets.parts import Elided, button, label
from gui.widgets.theme import theme

KINDS = ("full", "range", "vector", "long", "past_end", "write")
PROTOCOLS: tuple[tuple[Protocol, str], ...] = (
    ("", "as its URL"), ("root", "root"), ("roots", "roots"), ("http", "http"), ("https", "https"),
)  # fmt: skip
UNITS = (("B", 1), ("KiB", 2**10), ("MiB", 2**20), ("GiB", 2**30))
MOST = 64
_TAKES = {"range": "b", "vector": "cb", "long": "rpb", "past_end": "b", "write": "b"}
_HINTS = {
    "full": "every byte of each file",
    "range": "at a random offset; 0 means 1 MiB",
    "vector": "at random offsets; 0 means 16 chunks of 64 KiB",
    "long": "",
    "past_end": "across the end of each file, and from its end on; 0 means 1 MiB",
    "write": "to new files; 0 means 1 MiB",
}
BAR = 8
SHARE_WIDTH = 52


class WorkloadRows(QWidget):
    """The rows, the bar of their shares above them, and what adds one."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._test = Test(servers=1, files_per_server=1, per_round=1)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(8)
        self._bar = _Bar()
        self._column.addWidget(self._bar)
        self.rows: list[WorkloadRow] = []
        self.add_button = button("Add workload", "plus", self.add)
        foot = QHBoxLayout()
        foot.addWidget(self.add_button)
        self._note = Elided("", "secondary")
        foot.addWidget(self._note)
        foot.addStretch(1)
        self._column.addLayout(foot)

    def fill(self, test: Test) -> None:
        """Show the workloads of this test, without emitting a signal."""
        self._test = test
        self._set([_shown(one, test) for one in test.mix or (test.workload,)])

    def accept(self) -> None:
        """What is shown is now in the plan."""
        self._test = self.test(self._test)
        for row, base in zip(self.rows, self._test.mix or (self._test.workload,), strict=True):
            row.accept(_shown(base, self._test))

    def values(self) -> tuple[tuple[Any, ...], ...]:
        """What the rows show."""
        return tuple(row.values() for row in self.rows)

    def test(self, base: Test) -> Test:
        """The test with these workloads; what was not touched comes from `base`."""
        made = [row.workload() for row in self.rows]
        if made == [_shown(one, base) for one in base.mix or (base.workload,)]:
            return base
        if len(made) == 1:
            plain = msgspec.structs.replace(made[0], protocol="", port=0, weight=1)
            return replace(base, workload=plain, mix=(), protocol=made[0].protocol, port=made[0].port)
        return replace(base, workload=Workload(), mix=tuple(made), protocol="", port=0)

    def add(self) -> None:
        """One more, like the last."""
        if len(self.rows) < MOST:
            self._set([*(row.workload() for row in self.rows), self.rows[-1].workload()], touched=True)
            self._changed()

    def remove(self, gone: WorkloadRow) -> None:
        """Without this row; one stays."""
        self._set([row.workload() for row in self.rows if row is not gone], touched=True)
        self._changed()

    def beyond(self) -> str:
        """What a row cannot show, as a sentence; empty if it shows everything."""
        return next((text for row in self.rows if (text := row.beyond())), "")

    def _set(self, workloads: Sequence[Workload], *, touched: bool = False) -> None:
        while len(self.rows) > len(workloads):
            row = self.rows.pop()
            self._column.removeWidget(row)
            row.deleteLater()
        while len(self.rows) < len(workloads):
            row = WorkloadRow(len(self.rows))
            row.changed.connect(self._changed)
            row.removed.connect(lambda row=row: self.remove(row))
            self._column.insertWidget(1 + len(self.rows), row)
            self.rows.append(row)
        for row, workload in zip(self.rows, workloads, strict=True):
            row.fill(workload, alone=len(workloads) == 1)
        if not touched:
            for row in self.rows:
                row.accept(row.workload())
        self._show()

    def _changed(self) -> None:
        self._show()
        self.changed.emit()

    def _show(self) -> None:
        weights = [row.weight.value() for row in self.rows]
        for row in self.rows:
            row.show_share(sum(weights))
        several = len(self.rows) > 1
        self._bar.setVisible(several)
        self._bar.set(weights)
        self.add_button.setEnabled(len(self.rows) < MOST)
        self._note.setText("each request draws its row from the seed; reports keep them apart" if several else "")


class WorkloadRow(QWidget):
    """One workload."""

    changed = Signal()
    removed = Signal()

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number
        self._base = Workload()
        self._was: tuple[Any, ...] = ()
        self.weight = WholeField(1, 1000, width=72)
        self.share = label("", "secondary")
        self.share.setFixedWidth(SHARE_WIDTH)
        self.kind = ChoiceField()
        self.kind.addItems([kind.replace("_", " ").capitalize() for kind in KINDS])
        self.kind.setFixedWidth(96)
        self.protocol = ChoiceField()
        self.protocol.addItems([text for _, text in PROTOCOLS])
        self.protocol.setFixedWidth(112)
        self.hint = Elided("", "secondary")
        self.remove_button = button("", "x", self.removed.emit, tip="Remove this workload")
        self.chunks = WholeField(0, 1024, width=88)
        self.reads = WholeField(0, 1_000_000, width=88)
        self.bytes = LargeField(2**40, width=96)
        self.unit = ChoiceField()
        self.unit.addItems([name for name, _ in UNITS])
        self.unit.setFixedWidth(72)
        self.pause = NumberField(86_400, "s", width=96)
        self._weighed = [self.weight, self.share]
        self._vector = [self.chunks, label("chunks of", "secondary")]
        self._long = [self.reads, label("reads of", "secondary")]
        self._sized = [self.bytes, self.unit]
        self._paused = [label("pause", "secondary"), self.pause]
        self._lay_out()
        for field, text in (
            (self.weight, "Share"), (self.kind, "Kind"), (self.protocol, "Protocol"), (self.bytes, "Size"),
            (self.unit, "Unit of the size"), (self.chunks, "Chunks"), (self.reads, "Reads"), (self.pause, "Pause"),
            (self.remove_button, "Remove this workload"),
        ):  # fmt: skip
            field.setAccessibleName(text if not number else f"{text} of workload {number + 1}")
        for choice in (self.kind, self.protocol, self.unit):
            choice.currentIndexChanged.connect(self._changed)
        for spin in (self.weight, self.chunks, self.reads):
            spin.valueChanged.connect(self._changed)
        for number_field in (self.bytes, self.pause):
            number_field.valueChanged.connect(self._changed)

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        first, second = QHBoxLayout(), QHBoxLayout()
        for row in (first, second):
            row.setSpacing(8)
            column.addLayout(row)
        for widget in (*self._weighed, self.kind, self.protocol, self.hint):
            first.addWidget(widget)
        first.addStretch(1)
        first.addWidget(self.remove_button)
        for widget in (*self._vector, *self._long, *self._sized, *self._paused):
            second.addWidget(widget)
        second.addStretch(1)

    def fill(self, workload: Workload, *, alone: bool) -> None:
        """Show a workload, without emitting a signal. `alone`: it is the only one."""
        with QSignalBlocker(self):
            self._base = workload
            self.weight.setValue(workload.weight)
            self.kind.setCurrentIndex(KINDS.index(workload.kind))
            self.protocol.setCurrentIndex([name for name, _ in PROTOCOLS].index(workload.protocol))
            amount, unit = _split_size(workload.bytes)
            self.bytes.setValue(amount)
            self.unit.setCurrentIndex(unit)
            self.chunks.setValue(workload.chunks)
            self.reads.setValue(workload.reads)
            self.pause.setValue(workload.pause)
            self._was = self.values()
        for widget in (*self._weighed, self.remove_button):
            widget.setVisible(not alone)
        self._show()

    def accept(self, workload: Workload) -> None:
        """What is shown is this workload."""
        self._base, self._was = workload, self.values()

    def values(self) -> tuple[Any, ...]:
        """What the fields show."""
        return (
            self.weight.value(),
            KINDS[self.kind.currentIndex()],
            PROTOCOLS[self.protocol.currentIndex()][0],
            self.chunks.value(),
            self.reads.value(),
            self.bytes.whole() * UNITS[self.unit.currentIndex()][1],
            self.pause.value(),
        )

    def workload(self) -> Workload:
        """The workload as shown; what was not touched is as it was."""
        values = self.values()
        if values == self._was:
            return self._base
        weight, kind, protocol, chunks, reads, size, pause = values
        takes = _TAKES.get(kind, "")
        if pause == self._was[-1] and kind == self._base.kind:
            pause = self._base.pause
        return Workload(
            kind=kind,
            bytes=size if "b" in takes else 0,
            chunks=chunks if "c" in takes else 0,
            reads=reads if "r" in takes else 0,
            pause=pause if "p" in takes else 0.0,
            protocol=protocol,
            port=self._base.port,
            weight=weight,
        )

    def beyond(self) -> str:
        """What it cannot show."""
        if self.pause.value() != self._base.pause and self.values() == self._was:
            return f"Exactly a pause of {self._base.pause!r} s; more digits than this field has, so edit it as TOML."
        return ""

    def show_share(self, whole: int) -> None:
        """Say which part of all requests are of this workload."""
        self.share.setText(f"{100 * self.weight.value() / whole:.4g} %")

    def _changed(self) -> None:
        self._show()
        self.changed.emit()

    def _show(self) -> None:
        kind = KINDS[self.kind.currentIndex()]
        for widgets, on in (
            (self._sized, kind != "full"),
            (self._vector, kind == "vector"),
            (self._long, kind == "long"),
            (self._paused, kind == "long"),
        ):
            for widget in widgets:
                widget.setVisible(on)
        port = f"at port {self._base.port}; " if self._base.port else ""
        self.hint.setText(port + _HINTS[kind])


class _Bar(QWidget):
    """The shares, side by side."""

    def __init__(self) -> None:
        super().__init__()
        self._weights: list[int] = []
        self.setFixedHeight(BAR)
        self.setAccessibleName("Shares of the workloads")
        theme().follow(self.update)

    def set(self, weights: list[int]) -> None:
        self._weights = weights
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        begin, whole = 0.0, sum(self._weights)
        for number, weight in enumerate(self._weights):
            width = self.width() * weight / whole
            painter.fillRect(QRectF(begin, 0, max(1.0, width - 1), BAR), theme().series(number))
            begin += width


def _shown(workload: Workload, test: Test) -> Workload:
    """A workload with what its test says for all."""
    return msgspec.structs.replace(
        workload, protocol=workload.protocol or test.protocol, port=workload.port or test.port
    )


def _split_size(size: int) -> tuple[int, int]:
    """A size in the largest unit that keeps it whole: (amount, number of the unit)."""
    unit = 0
    while size and size % 1024 == 0 and unit < len(UNITS) - 1:
        size, unit = size // 1024, unit + 1
    return size, unit if size else 2
