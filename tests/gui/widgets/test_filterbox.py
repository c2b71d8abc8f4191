"""The filter box: what it offers, how keys take it, and filters that are kept."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt

from gui.models.rows import Column
from gui.widgets.table import Table

COLUMNS = [
    Column[tuple[str, str, int]]("verdict", "Verdict", lambda r: r[0]),
    Column[tuple[str, str, int]]("server", "Server", lambda r: r[1]),
    Column[tuple[str, str, int]]("asked", "Asked B", lambda r: r[2], align="right", stretch=True),
]


@pytest.fixture
def made(qtbot) -> Table:
    table = Table("filters", "Requests", COLUMNS, key=lambda r: r[1])
    qtbot.addWidget(table)
    table.resize(700, 300)
    table.show()
    qtbot.waitExposed(table)
    table.set_rows([("missing", "s01", 5), ("matched", "s02", 50), ("wrong bytes", "s03", 500)])
    table.focus_filter()
    return table


def press(qtbot, made: Table, *keys: Qt.Key) -> None:
    """Keys go to the list while it is open, as on a screen."""
    for key in keys:
        popup = made.filter_box.popup
        qtbot.keyClick(popup if popup.isVisible() else made.filter_box, key)


def test_columns_and_their_values_are_offered_and_taken_by_keys(qtbot, made: Table) -> None:
    qtbot.keyClicks(made.filter_box, "ver")
    assert made.filter_box.choices() == ["verdict:", "server:"]
    press(qtbot, made, Qt.Key.Key_Tab)
    assert made.filter_box.text() == "verdict:"
    assert made.filter_box.choices() == ["verdict:matched", "verdict:missing", 'verdict:"wrong bytes"']
    press(qtbot, made, Qt.Key.Key_Down, Qt.Key.Key_Down, Qt.Key.Key_Down, Qt.Key.Key_Return)
    assert made.filter_box.text() == 'verdict:"wrong bytes" '
    assert [row[1] for row in made.model.rows.visible] == ["s03"]
    assert made.filter_box.choices() == []


def test_down_shows_every_column_and_esc_closes_the_list_then_clears(qtbot, made: Table) -> None:
    press(qtbot, made, Qt.Key.Key_Down)
    assert made.filter_box.choices() == ["verdict:", "server:", "asked_b:"]
    press(qtbot, made, Qt.Key.Key_Escape)
    assert made.filter_box.choices() == []
    qtbot.keyClicks(made.filter_box, "s01")
    press(qtbot, made, Qt.Key.Key_Escape)
    assert made.filter_box.text() == ""
    assert len(made.model.rows.visible) == 3


def test_a_comparison_without_a_number_says_what_is_missing_and_keeps_the_rows(qtbot, made: Table) -> None:
    qtbot.keyClicks(made.filter_box, "asked:>")
    assert made._filter_error.text() == "asked_b:>: a number is missing after >, as in asked_b:>5"
    assert made.filter_box.property("invalid") == "true"
    assert len(made.model.rows.visible) == 3
    qtbot.keyClicks(made.filter_box, "9")
    assert made._filter_error.text() == ""
    assert [row[1] for row in made.model.rows.visible] == ["s02", "s03"]


def test_ctrl_f_selects_the_text_so_that_typing_replaces_it_and_enter_goes_to_the_rows(qtbot, made: Table) -> None:
    qtbot.keyClicks(made.filter_box, "s01")
    press(qtbot, made, Qt.Key.Key_Return)
    assert made.focusWidget() is made.view
    made.focus_filter()
    assert made.filter_box.selectedText() == "s01"
    qtbot.keyClicks(made.filter_box, "s02")
    assert made.filter_box.text() == "s02"


def test_a_filter_is_kept_used_again_and_forgotten(qtbot, made: Table) -> None:
    made.filter_box.setText("verdict:missing")
    made.saved_button.save()
    made.filter_box.clear()
    again = Table("filters", "Requests", COLUMNS, key=lambda r: r[1])  # as after a restart
    qtbot.addWidget(again)
    menu = again.saved_button.menu_now()
    assert [action.text() for action in menu.actions() if action.text()] == [
        "verdict:missing",
        "Save this filter (there is none)",
        "Forget",
    ]
    menu.actions()[0].trigger()
    assert again.filter_box.text() == "verdict:missing"
    again.saved_button.forget("verdict:missing")
    assert again.saved_button.saved() == []


def test_what_another_version_kept_is_no_error(qtbot, made: Table) -> None:
    from PySide6.QtCore import QSettings

    for kept in ("{", '{"a": 1}', "[1, null]"):
        QSettings().setValue("table/filters/saved", kept)
        assert made.saved_button.saved() == []


def test_a_click_in_the_list_takes_what_was_clicked(qtbot, made: Table) -> None:
    qtbot.keyClicks(made.filter_box, "verdict:mi")
    popup = made.filter_box.popup
    index = popup.model().index(0, 0)
    qtbot.mouseClick(popup.viewport(), Qt.MouseButton.LeftButton, pos=popup.visualRect(index).center())
    assert made.filter_box.text() == "verdict:missing "
    assert made.filter_box.choices() == []


def test_hostile_values_are_offered_as_they_are(qtbot, made: Table) -> None:
    made.set_rows([("<b>bold</b>", "s01", 1), ('say "hi"\\', "s02", 2)])
    qtbot.keyClicks(made.filter_box, "verdict:")
    assert made.filter_box.choices() == ["verdict:<b>bold</b>", 'verdict:"say \\"hi\\"\\\\"']
    made.filter_box._take(made.filter_box.choices()[1])
    assert [row[1] for row in made.model.rows.visible] == ["s02"]
