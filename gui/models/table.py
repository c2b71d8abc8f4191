"""Qt's model over `Rows`: a thin adapter. When the same rows come back with new values only cells change, so
selection, scroll position and the row under the pointer stay where they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt, QThread, QTimer, Signal

from gui.models.overrides import guard_overrides
from gui.models.rows import Column, Rows

guard_overrides()

R = TypeVar("R")
Index = QModelIndex | QPersistentModelIndex

ROW_ROLE = int(Qt.ItemDataRole.UserRole) + 1
"""The row itself, for delegates."""
AT_ONCE = 4_000
"""Rows whose text is made at once when a filter needs it (20 ms); that of more is made in the turns of the loop."""
IN_A_TURN = 1_000
"""Rows whose text is made in one turn of the loop (5 ms)."""


class TableModel(QAbstractTableModel, Generic[R]):
    """A table of rows. `counts_changed` follows every change of what is visible."""

    counts_changed = Signal()

    def __init__(self, rows: Rows[R], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.rows = rows
        self._waiting: str | None = None
        self._prepare = QTimer(self)
        self._prepare.setInterval(0)
        self._prepare.timeout.connect(self._prepare_more)

    # ---- called by Qt

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        return 0 if parent.isValid() else len(self.rows.visible)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        return 0 if parent.isValid() else len(self.rows.columns)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or index.row() >= len(self.rows.visible):
            return None
        column = self.rows.columns[index.column()]
        row = self.rows.visible[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.shows(row)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(column)
        if role == Qt.ItemDataRole.ToolTipRole:
            return (column.tip(row) if callable(column.tip) else column.tip) or None
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{column.title}: {column.shows(row)}"
        if role == ROW_ROLE:
            return row
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation != Qt.Orientation.Horizontal or not 0 <= section < len(self.rows.columns):
            return None
        column = self.rows.columns[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.title
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(column)
        if role == Qt.ItemDataRole.InitialSortOrderRole:  # the first click shows the largest count, the first name
            numbers = column.align == "right" or column.kind in ("bar", "interval")
            return Qt.SortOrder.DescendingOrder if numbers else Qt.SortOrder.AscendingOrder
        return None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        self._rearranged(
            lambda: self.rows.sort(column if column >= 0 else None, descending=order == Qt.SortOrder.DescendingOrder),
            same_rows=True,
        )

    # ---- called by pages

    def replace(self, rows: Iterable[R]) -> None:
        """Show these rows. Cells are repainted; the selection follows the rows' keys."""
        new = list(rows)
        self._rearranged(lambda: self.rows.replace(new))
        if len(new) > AT_ONCE:
            self._prepare.start()
        else:
            self._prepare.stop()

    def add(self, rows: Sequence[R]) -> None:
        """Show more rows, after all others. While nothing is sorted, Qt looks at the new ones only."""
        if self.rows.sort_column is not None:
            self._rearranged(lambda: self.rows.add(rows))
        else:
            was, shown = self.rows.visible, len(self.rows.visible)
            self.rows.visible = list(was)
            self.rows.add(rows)
            now, self.rows.visible = self.rows.visible, was
            if len(now) > shown:
                self.beginInsertRows(QModelIndex(), shown, len(now) - 1)
                self.rows.visible = now
                self.endInsertRows()
            self.counts_changed.emit()
        if len(self.rows.all) > AT_ONCE:
            self._prepare.start()

    def filter(self, text: str) -> None:
        """Show only matching rows, a moment later if there are many; raises FilterError for an invalid text."""
        if len(self.rows.all) > AT_ONCE and self.rows.waits_for_text(text):
            self._waiting = text
            self._prepare.start()
            return
        self._waiting = None
        self._rearranged(lambda: self.rows.filter(text))

    def _prepare_more(self) -> None:
        if not self.rows.prepare(IN_A_TURN):
            return
        self._prepare.stop()
        text, self._waiting = self._waiting, None
        if text is not None:
            self._rearranged(lambda: self.rows.filter(text))

    def row_at(self, index: Index) -> R | None:
        return self.row_number(index.row())

    def row_number(self, number: int) -> R | None:
        """The visible row with that number, from 0; None if there is none."""
        visible = self.rows.visible
        return visible[number] if 0 <= number < len(visible) else None

    def index_of(self, key: object) -> QModelIndex:
        """The first cell of the visible row with that key, or an invalid index."""
        for number, row in enumerate(self.rows.visible):
            if self.rows.key(row) == key:
                return self.index(number, 0)
        return QModelIndex()

    def _rearranged(self, change: Callable[[], None], *, same_rows: bool = False) -> None:
        """Apply a change and notify Qt of no more than necessary. `same_rows`: it only orders them or leaves some out.

        OPTIMISATION: keys are made only where rows may be other ones; those of 100,000 rows take 30 ms."""
        assert QThread.currentThread() is self.thread(), "models change only on the thread of the window"
        was = self.rows.visible
        change()
        now = self.rows.visible
        if len(was) == len(now):
            if now == was:  # rows that are the same objects are not compared any further
                self.counts_changed.emit()
                return
            if same_rows:
                self._reordered(was, now, id)
                return
            key = self.rows.key
            before = [key(row) for row in was]
            after = [key(row) for row in now]
            if before == after:
                if now:
                    self.dataChanged.emit(self.index(0, 0), self.index(len(now) - 1, len(self.rows.columns) - 1))
                self.counts_changed.emit()
                return
            if set(before) == set(after):
                self._reordered(was, now, key)
                return
        # Rows were added or removed: the model must show the old rows until the reset has begun.
        self.rows.visible = was
        self.beginResetModel()
        self.rows.visible = now
        self.endResetModel()
        self.counts_changed.emit()

    def _reordered(self, was: list[R], now: list[R], key: Callable[[R], object]) -> None:
        """Notify Qt that the rows `was` are now in this order; `key` tells them apart."""
        self.layoutAboutToBeChanged.emit()
        old = self.persistentIndexList()
        if old:
            wanted = {key(was[index.row()]) for index in old}
            place = {each: number for number, row in enumerate(now) if (each := key(row)) in wanted}
            self.changePersistentIndexList(
                old, [self.index(place[key(was[index.row()])], index.column()) for index in old]
            )
        self.layoutChanged.emit()
        self.counts_changed.emit()


def _alignment(column: Column[Any]) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignRight if column.align == "right" else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter
