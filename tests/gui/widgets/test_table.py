"""The table of every page: filter, copy, selection, empty states."""

from __future__ import annotations

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QLabel, QPushButton

from gui.models.rows import Column
from gui.widgets.table import Empty, Table

COLUMNS = [
    Column[tuple[str, int]]("name", "Name", lambda r: r[0], stretch=True),
    Column[tuple[str, int]]("n", "N", lambda r: r[1], align="right"),
]


def table(qtbot, empty: Empty | None = None) -> Table:
    made = Table("test", "Things", COLUMNS, key=lambda r: r[0], hint="n:>5", empty=empty)
    qtbot.addWidget(made)
    made.resize(600, 300)
    made.show()
    qtbot.waitExposed(made)
    return made


def visible_texts(widget) -> list[str]:
    return [label.text() for label in widget.findChildren(QLabel) if label.isVisible() and label.text()]


def test_typing_a_filter_hides_rows_and_a_wrong_one_says_why(qtbot) -> None:
    made = table(qtbot)
    made.set_rows([("a", 1), ("b", 9)])
    made.filter_box.setText("n:>5")
    assert made.model.rowCount() == 1
    made.filter_box.setText("m:>5")
    assert any("no column 'm'" in text for text in visible_texts(made))
    assert made.model.rowCount() == 1
    made.filter_box.setText("")
    assert made.model.rowCount() == 2
    assert not any("no column" in text for text in visible_texts(made))


def test_names_that_look_like_html_are_painted_as_they_are(qtbot) -> None:
    made = table(qtbot)
    made.set_rows([("<b>bold</b><img src=x>", 1)])
    made.view.selectAll()
    made.copy_rows()
    assert QGuiApplication.clipboard().text() == "Name\tN\n<b>bold</b><img src=x>\t1"


def test_selection_survives_rows_that_come_and_go(qtbot) -> None:
    made = table(qtbot)
    made.set_rows([("a", 1), ("b", 2), ("c", 3)])
    made.select_key("b")
    made.set_rows([("0", 0), ("a", 1), ("b", 5), ("c", 3)])
    assert made.current() == ("b", 5)
    made.set_rows([("a", 1)])
    assert made.current() is None


def test_an_empty_table_says_why_and_offers_what_to_do(qtbot) -> None:
    called: list[str] = []
    made = table(
        qtbot,
        Empty("client", "No client has joined", "One is enough.", (("Add…", "plus", lambda: called.append("add")),)),
    )
    assert "No client has joined" in visible_texts(made)
    button = next(b for b in made.findChildren(QPushButton) if b.text() == "Add…")
    button.click()
    assert called == ["add"]
    made.set_rows([("a", 1)])
    assert "No client has joined" not in visible_texts(made)
    made.filter_box.setText("zzz")
    assert "Nothing passes the filter" in visible_texts(made)


def test_widths_and_hidden_columns_are_remembered(qtbot) -> None:
    first = table(qtbot)
    first.view.setColumnHidden(1, True)
    first.remember()
    second = table(qtbot)
    assert second.view.isColumnHidden(1)


def test_a_hundred_thousand_rows_filter_and_sort(qtbot) -> None:
    made = table(qtbot)
    made.set_rows([(f"file{n:06}", n) for n in range(100_000)])
    made.sort_by("n", descending=True)
    made.filter_box.setText("n:<10")
    assert [row[1] for row in made.model.rows.visible] == list(range(9, -1, -1))
