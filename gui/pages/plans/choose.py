"""The sheet to choose servers or clients by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QDialog, QHBoxLayout, QLineEdit, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from gui.widgets.parts import button, label, plain_tip


@dataclass(frozen=True, slots=True)
class Choosable:
    """One that can be chosen. `detail` stands behind its name; `remark` says what is wrong with it now."""

    name: str
    detail: str = ""
    remark: str = ""


class ChooseSheet(QDialog):
    """Open it with `open()`. `taken` carries what goes into the field: ``all``, or the names with commas."""

    taken = Signal(str)

    def __init__(self, noun: str, entries: Sequence[Choosable], chosen: Sequence[str] | None, parent: QWidget) -> None:
        """`chosen`: the names that are chosen now; None for all."""
        super().__init__(parent)
        self.setWindowTitle(f"Choose {noun}s")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(440, 480)
        self._all = len(entries)
        self.filter = QLineEdit()
        self.filter.setPlaceholderText(f"Filter {noun}s")
        self.filter.setAccessibleName(f"Filter {noun}s")
        self.filter.setClearButtonEnabled(True)
        self.filter.textChanged.connect(self._filter)
        self.list = QListWidget()
        self.list.setAccessibleName(f"{noun.capitalize()}s")
        for entry in entries:
            words = "  ".join(part for part in (entry.name, entry.detail, entry.remark) if part)
            item = QListWidgetItem(words)
            item.setData(Qt.ItemDataRole.UserRole, entry.name)
            item.setToolTip(plain_tip(words))
            item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsSelectable)
            on = chosen is None or entry.name in chosen
            item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
            self.list.addItem(item)
        self.list.itemChanged.connect(self._count)
        self.empty = label(f"There is no {noun} here yet.", "hint")
        self.empty.setVisible(not entries)
        self.count = label("", "secondary")
        foot = QHBoxLayout()
        foot.addWidget(button("All", action=lambda: self._check(Qt.CheckState.Checked), kind="plain"))
        foot.addWidget(button("None", action=lambda: self._check(Qt.CheckState.Unchecked), kind="plain"))
        foot.addWidget(self.count)
        foot.addStretch(1)
        foot.addWidget(button("Cancel", action=self.reject))
        self.ok = button("Choose", action=self._take, kind="primary")
        self.ok.setDefault(True)
        foot.addWidget(self.ok)
        column = QVBoxLayout(self)
        column.addWidget(self.filter)
        column.addWidget(self.list, 1)
        column.addWidget(self.empty)
        column.addLayout(foot)
        self._count()

    def checked(self) -> list[str]:
        """The names that are chosen now."""
        return [
            str(item.data(Qt.ItemDataRole.UserRole))
            for item in self._items()
            if item.checkState() == Qt.CheckState.Checked
        ]

    def _items(self) -> list[QListWidgetItem]:
        return [self.list.item(row) for row in range(self.list.count())]

    def _check(self, state: Qt.CheckState) -> None:
        for item in self._items():
            if not item.isHidden():
                item.setCheckState(state)

    def _filter(self, text: str) -> None:
        for item in self._items():
            item.setHidden(text.strip().lower() not in item.text().lower())

    def _count(self) -> None:
        count = len(self.checked())
        self.count.setText(f"{count:,} of {self._all:,}")
        self.ok.setEnabled(count > 0)

    def _take(self) -> None:
        names = self.checked()
        self.taken.emit("all" if len(names) == self._all else ", ".join(names))
        self.accept()
