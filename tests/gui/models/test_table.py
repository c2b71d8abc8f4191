"""Qt's model over rows: passes Qt's own tester, and tells Qt the least that is true."""

from __future__ import annotations

from PySide6.QtCore import QItemSelectionModel, Qt
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QTableView

from gui.models.rows import Column, Rows
from gui.models.table import TableModel

COLUMNS = [
    Column[tuple[str, int]]("name", "Name", lambda r: r[0]),
    Column[tuple[str, int]]("n", "N", lambda r: r[1], align="right"),
]


def made() -> TableModel[tuple[str, int]]:
    return TableModel(Rows(COLUMNS, key=lambda r: r[0]))


def test_the_model_passes_qts_tester_through_every_kind_of_change(qapp) -> None:
    model = made()
    QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    model.replace([("a", 1), ("b", 2), ("c", 3)])
    model.replace([("a", 4), ("b", 5), ("c", 6)])
    model.sort(1, Qt.SortOrder.DescendingOrder)
    model.filter("n:>4")
    model.replace([])
    model.filter("")
    model.replace([("z", 1)])
    assert model.rowCount() == 1
    assert model.headerData(1, Qt.Orientation.Horizontal) == "N"


def test_new_values_of_the_same_rows_repaint_cells_and_nothing_else(qapp, qtbot) -> None:
    model = made()
    model.replace([("a", 1), ("b", 2)])
    heard: list[str] = []
    model.modelReset.connect(lambda: heard.append("reset"))
    model.layoutChanged.connect(lambda: heard.append("layout"))
    model.dataChanged.connect(lambda *_: heard.append("data"))
    model.replace([("a", 7), ("b", 8)])
    assert heard == ["data"]
    heard.clear()
    model.replace([("a", 7), ("b", 8)])
    assert heard == []


def test_a_selection_follows_its_row_when_the_order_changes(qapp, qtbot) -> None:
    model = made()
    model.replace([("a", 1), ("b", 2), ("c", 3)])
    view = QTableView()
    qtbot.addWidget(view)
    view.setModel(model)
    view.selectionModel().select(
        model.index(0, 0), QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows
    )
    model.sort(1, Qt.SortOrder.DescendingOrder)
    assert [index.row() for index in view.selectionModel().selectedRows()] == [2]
    assert model.row_at(view.selectionModel().selectedRows()[0]) == ("a", 1)
