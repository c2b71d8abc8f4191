"""The table of every page: filter, copy, selection, empty states."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, QSettings, Qt
from PySide6.QtGui import QColor, QContextMenuEvent, QGuiApplication, QHelpEvent
from PySide6.QtWidgets import QApplication, QLabel, QMenu, QPushButton, QToolTip

from gui.models.rows import Column
from gui.widgets.parts import plain_tip
from gui.widgets.table import LEAST_STRETCH, ROW_HEIGHT, Empty, Table
from gui.widgets.theme import theme
from tests.gui.parts import wear

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


def test_the_edges_follow_columns_that_are_moved_or_hidden(qtbot) -> None:
    made = table(qtbot)
    made.set_rows([("a", 1)])

    def edges() -> tuple[int, int]:
        made.view.viewport().grab()
        return made.view.edges()

    assert edges() == (0, 1)
    made.view.setColumnHidden(1, True)
    assert edges() == (0, 0)
    made.view.setColumnHidden(1, False)
    made.view.horizontalHeader().moveSection(0, 1)
    assert edges() == (1, 0)


def test_a_selected_row_is_painted_as_one(qtbot) -> None:
    made = table(qtbot)
    made.set_rows([("a", 1), ("b", 2)])
    made.select_key("b")

    def ground(row: int) -> str:
        picture = made.view.viewport().grab().toImage()
        return str(picture.pixelColor(made.view.viewport().width() // 2, row * ROW_HEIGHT + 3).name())

    assert ground(1) in (theme().hex("select").lower(), theme().hex("select_off").lower())
    assert ground(0) == theme().hex("surface").lower()
    made.view.clearSelection()
    assert ground(1) == theme().hex("surface").lower()


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
    assert "Hidden by the filter: 1 row" in visible_texts(made)
    next(b for b in made.findChildren(QPushButton) if b.text() == "Clear" and b.isVisible()).click()
    assert made.model.rowCount() == 1


def test_widths_and_hidden_columns_are_remembered(qtbot) -> None:
    first = table(qtbot)
    first.view.setColumnHidden(1, True)
    first.remember(QSettings())
    second = table(qtbot)
    assert second.view.isColumnHidden(1)


def test_a_hundred_thousand_rows_filter_and_sort(qtbot) -> None:
    made = table(qtbot)
    made.set_rows([(f"file{n:06}", n) for n in range(100_000)])
    made.sort_by("n", descending=True)
    made.filter_box.setText("n:<10")
    assert [row[1] for row in made.model.rows.visible] == list(range(9, -1, -1))


def test_a_narrow_table_leaves_out_what_can_be_missed_and_takes_it_back(qtbot) -> None:
    columns = [
        Column("path", "Path", lambda r: r, width=200, stretch=True, cut="left"),
        Column("a", "A", lambda r: r, width=100, fold=2),
        Column("b", "B", lambda r: r, width=100, fold=1),
        Column("c", "C", lambda r: r, width=100),
    ]
    made = Table("narrow", "Narrow", columns, key=lambda r: r)
    qtbot.addWidget(made)
    made.set_rows(["/store/x"])
    made.bar_holder.hide()  # it needs room of its own
    made.show()
    qtbot.waitExposed(made)

    def shown(width: int) -> list[str]:
        made.resize(width, 300)
        return [columns[number].key for number in made._visible_columns()]

    assert shown(600) == ["path", "a", "b", "c"]
    assert shown(420) == ["path", "a", "c"]
    assert shown(320) == ["path", "c"]
    assert shown(150) == ["path", "c"]
    assert made.view.columnWidth(0) == LEAST_STRETCH  # it scrolls sideways rather than show nothing
    assert shown(600) == ["path", "a", "b", "c"]
    assert made.view.columnWidth(0) > 200

    assert shown(180) == ["path", "c"]  # at one go: what is left out keeps no room
    QApplication.processEvents()
    assert made.view.horizontalHeader().sectionPosition(3) == made.view.columnWidth(0)
    shown(600)

    shown(320)
    made._show_column(2, on=True)  # asked for: it stays
    assert shown(320) == ["path", "b", "c"]
    made.remember(QSettings())
    again = Table("narrow", "Narrow", columns, key=lambda r: r)
    qtbot.addWidget(again)
    again.resize(600, 300)
    again.show()
    qtbot.waitExposed(again)
    assert [columns[number].key for number in again._visible_columns()] == ["path", "a", "b", "c"]
    again.resize(320, 300)
    assert [columns[number].key for number in again._visible_columns()] == ["path", "b", "c"]


def test_a_cell_that_is_cut_has_its_whole_text_in_the_tooltip_as_plain_text(qtbot) -> None:
    long = "<b>host</b>." + "n" * 90
    columns = [Column("name", "Name", lambda r: r, width=120), Column("other", "Other", lambda _r: "x", tip="why")]
    made = Table("tips", "Tips", columns, key=lambda r: r)
    qtbot.addWidget(made)
    made.set_rows([long, "short"])
    made.show()
    qtbot.waitExposed(made)
    delegate = made.view.itemDelegate()

    def tip(row: int, column: int) -> str:
        index = made.model.index(row, column)
        return delegate.tip_of(made.view, made.view.visualRect(index), index)  # type: ignore[attr-defined]

    assert [tip(0, 0), tip(1, 0), tip(0, 1)] == [long, "", "why"]
    rect = made.view.visualRect(made.model.index(0, 0))
    QApplication.sendEvent(
        made.view.viewport(),
        QHelpEvent(QHelpEvent.Type.ToolTip, rect.center(), made.view.viewport().mapToGlobal(rect.center())),
    )
    assert QToolTip.text() == plain_tip(long)


def test_a_selection_that_the_filter_hides_is_said_to_be_gone(qtbot) -> None:
    made = Table("gone", "Gone", [Column("name", "Name", lambda r: r)], key=lambda r: r)
    qtbot.addWidget(made)
    made.set_rows(["one", "two"])
    made.select_key("two")
    said: list[object] = []
    made.selected.connect(said.append)
    made.filter_box.setText("name:one")
    assert said == [None]
    assert made.current() is None


@pytest.mark.parametrize(("height", "shown"), [(300, 4), (110, 2)])
def test_an_empty_table_with_little_room_still_says_what_and_what_to_do(qtbot, height: int, shown: int) -> None:
    empty = Empty("runs", "Nothing was run", "Each run is kept here.", (("Try it", "play", lambda: None),))
    made = Table("low", "Low", [Column("name", "Name", lambda r: r)], key=lambda r: r, empty=empty)
    qtbot.addWidget(made)
    made.bar_holder.hide()
    made.resize(500, height)
    made.show()
    qtbot.waitExposed(made)
    panel = made._empty_panel
    parts = [w for w in (*panel.findChildren(QLabel), *panel.findChildren(QPushButton)) if w.isVisible()]
    assert len(parts) == shown
    qtbot.waitUntil(lambda: all(part.height() >= part.sizeHint().height() for part in parts))


def press_header(qtbot, made: Table, column: int) -> list[str]:
    """Click a column's header; the first cell of each row as it is shown then."""
    header = made.view.horizontalHeader()
    place = QPoint(header.sectionViewportPosition(column) + 20, header.height() // 2)
    qtbot.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=place)
    return [str(row[0]) for row in made.model.rows.visible]


def test_the_first_click_on_a_count_shows_the_largest_and_on_a_name_the_first(qtbot) -> None:
    made = table(qtbot)
    made.set_rows([("b", 5), ("a", 70), ("c", 9)])
    assert press_header(qtbot, made, 1) == ["a", "c", "b"]
    assert press_header(qtbot, made, 1) == ["b", "c", "a"]
    assert press_header(qtbot, made, 1) == ["b", "a", "c"]  # as they came
    assert press_header(qtbot, made, 0) == ["a", "b", "c"]


def test_columns_do_not_jump_when_rows_come(qtbot) -> None:
    made = table(qtbot)
    widths = []
    for count in (0, 3, 12, 200, 3):
        made.set_rows([(f"name {number}", number) for number in range(count)])
        QApplication.processEvents()
        widths.append([made.view.columnWidth(0), made.view.columnWidth(1)])
    assert widths == widths[:1] * 5


def test_nothing_moves_when_the_filter_gets_the_focus(qtbot) -> None:
    made = table(qtbot)
    before = made.view.geometry()
    made.activateWindow()
    made.focus_filter()
    qtbot.waitUntil(made.filter_box.hasFocus)
    assert made.view.geometry() == before
    made.saved_button.setFocus()
    QApplication.processEvents()
    assert made.view.geometry() == before


def test_the_track_of_a_bar_is_seen_on_a_selected_row_too(qtbot) -> None:
    made = Table("bars", "Bars", [Column("cpu", "CPU", lambda r: r, kind="bar", width=200)], key=lambda r: r)
    qtbot.addWidget(made)
    made.set_rows([0, 1])
    made.resize(400, 200)
    made.show()
    qtbot.waitExposed(made)
    made.select_key(0)
    for mode in ("light", "dark"):
        wear(mode, made)
        picture = made.view.viewport().grab().toImage()
        for row in (0, 1):
            track = picture.pixelColor(20, row * ROW_HEIGHT + ROW_HEIGHT // 2)
            ground = picture.pixelColor(150 if row else 70, row * ROW_HEIGHT + 3)
            assert contrast(track, ground) > 1.12, (mode, row, track.name(), ground.name())


def contrast(first: QColor, second: QColor) -> float:
    """WCAG 2 contrast."""

    def light(colour: QColor) -> float:
        shares = (colour.redF(), colour.greenF(), colour.blueF())
        parts = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in shares]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    high, low = sorted((light(first), light(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_a_table_knows_the_height_that_its_rows_need(qtbot) -> None:
    made = table(qtbot)
    made.set_rows([(f"name {number}", number) for number in range(50)])
    made.resize(600, made.height_for(7))
    qtbot.waitUntil(lambda: made.view.viewport().height() == 7 * ROW_HEIGHT)


def test_a_free_word_in_many_rows_is_applied_when_their_text_is_made(qtbot) -> None:
    made = table(qtbot)
    made.set_rows([(f"file{n:06}", n) for n in range(30_000)])
    made.filter_box.setText("file00012")
    qtbot.waitUntil(lambda: len(made.model.rows.visible) == 10)
    made.filter_box.setText("file0001")
    assert len(made.model.rows.visible) == 100  # made already: at once


def test_a_column_gets_the_room_that_its_text_needs_unless_its_width_was_chosen(qtbot) -> None:
    made = Table(
        "test-width",
        "Things",
        [
            Column[tuple[str, str]]("path", "Path", lambda r: r[0], width=200),
            Column[tuple[str, str]]("cause", "Cause", lambda r: r[1], stretch=True),
        ],
        key=lambda r: r[0],
    )
    qtbot.addWidget(made)
    made.resize(600, 300)
    made.show()
    qtbot.waitExposed(made)
    made.set_rows([("/store/f1", "kernel")])
    made.suggest_width("path", "/store/f1")
    short, cause = made.view.columnWidth(0), made.view.columnWidth(1)
    assert short < 140
    made.suggest_width("path", "/store/" + "x" * 300)
    assert short < made.view.columnWidth(0) <= 336
    assert made.view.columnWidth(1) < cause
    made.chose_width(0)
    made.view.setColumnWidth(0, 150)
    made.suggest_width("path", "/store/" + "x" * 300)
    assert made.view.columnWidth(0) == 150
    made.remember(QSettings())
    again = Table("test-width", "Things", made.model.rows.columns, key=lambda r: r[0])
    qtbot.addWidget(again)
    again.suggest_width("path", "/store/" + "x" * 300)
    assert again.view.columnWidth(0) == 150


def test_columns_without_anything_in_them_are_left_out_and_the_users_choice_is_kept(qtbot) -> None:
    columns = [
        Column[tuple[str, str]]("name", "Name", lambda r: r[0], stretch=True),
        Column[tuple[str, str]]("more", "More", lambda r: r[1], fold=1),
        Column[tuple[str, str]]("rest", "Rest", lambda r: r[1]),
    ]
    made = Table("test-absent", "Things", columns, key=lambda r: r[0])
    qtbot.addWidget(made)
    made.resize(600, 300)
    made.show()
    qtbot.waitExposed(made)
    made._show_column(2, on=False)
    made.set_absent(["more", "rest"])
    made.resize(620, 300)  # with more room it does not come back
    assert made._visible_columns() == [0]
    made.remember(QSettings())
    again = Table("test-absent", "Things", columns, key=lambda r: r[0])
    qtbot.addWidget(again)
    assert again._visible_columns() == [0, 1], "what was empty is no choice of the user's"
    made.set_absent([])
    assert made._visible_columns() == [0, 1]


def test_the_focus_moves_nothing(qtbot) -> None:
    """The header jumped by 2 px when the rows got the focus."""
    made = table(qtbot)
    made.set_rows([("a", 1), ("b", 2)])
    header, port = made.view.horizontalHeader(), made.view.viewport()

    def places() -> list[object]:
        widths = [header.sectionSize(number) for number in range(2)]
        return [header.geometry().getRect(), port.geometry().getRect(), (*widths, made.view.rowViewportPosition(1))]

    before = places()
    for target in (made.view, made.filter_box, made.columns_button):
        target.setFocus(Qt.FocusReason.TabFocusReason)
        QApplication.processEvents()
        assert places() == before


def open_menu(made: Table, event: QContextMenuEvent) -> QMenu:
    QApplication.sendEvent(made.view, event)
    menu = made.findChild(QMenu)
    assert isinstance(menu, QMenu)
    return menu


def pick(qtbot, made: Table, menu: QMenu, text: str) -> None:
    """Choose it; a menu is not kept for each time that it was open."""
    next(action for action in menu.actions() if action.text() == text).trigger()
    menu.close()
    qtbot.waitUntil(lambda: made.findChild(QMenu) is None)


def test_the_menu_key_opens_the_menu_of_the_row_that_is_chosen(qtbot) -> None:
    """Qt gives the key a place in the middle of the table, where another row may be, or none."""
    made = table(qtbot)
    made.set_rows([("a", 1), ("b", 2), ("c", 3)])
    made.select_key("b")
    middle = made.view.rect().center()
    menu = open_menu(made, QContextMenuEvent(QContextMenuEvent.Reason.Keyboard, middle, made.view.mapToGlobal(middle)))
    pick(qtbot, made, menu, "Copy cell")
    assert QGuiApplication.clipboard().text() == "b"


def test_the_menu_sorts_by_the_column_of_the_cell(qtbot) -> None:
    made = table(qtbot)
    made.set_rows([("a", 1), ("b", 3), ("c", 2)])
    made.view.setCurrentIndex(made.model.index(0, 1))
    event = QContextMenuEvent(QContextMenuEvent.Reason.Keyboard, QPoint(), QPoint())
    pick(qtbot, made, open_menu(made, event), "Sort by N, largest first")
    assert [row[0] for row in made.model.rows.visible] == ["b", "c", "a"]
    made.view.setCurrentIndex(made.model.index(0, 1))
    pick(qtbot, made, open_menu(made, event), "Sort by N, smallest first")
    assert [row[0] for row in made.model.rows.visible] == ["a", "c", "b"]
