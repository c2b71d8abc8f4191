"""The whole window by keys: command palette, shortcuts, help, and the menu of workspaces."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from PySide6.QtCore import QSettings, Qt
from PySide6.QtGui import QAction, QGuiApplication, QKeySequence, QShortcut
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QMenu, QPushButton, QWidget

from gui.app import PAGES, make_window
from gui.app.window import Window
from gui.models.fleet import FleetServer
from gui.models.recent import Recent, write_recent
from gui.widgets.help import NOTHING, HelpSheet, help_of
from gui.widgets.palette import MOST_ROWS
from gui.widgets.shortcuts import ShortcutsSheet, key_of, name_of
from tests.gui.parts import page

Story = Callable[[Window], Awaitable[None]]


@pytest.fixture
def in_window(drive, tmp_path) -> Callable[[Story], None]:
    """Tell a story in an open window that has the focus."""

    def tell(story: Story) -> None:
        async def work() -> None:
            window = make_window(tmp_path / "data")
            window.frame.show()
            window.frame.activateWindow()
            async with asyncio.timeout(20):
                while not window.frame.isActiveWindow():  # noqa: ASYNC110 - the window system has no event for us
                    await asyncio.sleep(0.02)
            try:
                await story(window)
            finally:
                window.frame.close()
                await asyncio.wait_for(window.done.wait(), 60)

        drive(work())

    return tell


def press(window: Window, keys: str) -> None:
    """Press a key wherever the focus is."""
    combination = QKeySequence(keys)[0]  # type: ignore[index]  # the stubs do not know
    target = QApplication.focusWidget() or window.frame
    QTest.keyClick(target, combination.key(), combination.keyboardModifiers())


def write(text: str) -> None:
    focus = QApplication.focusWidget()
    assert focus is not None
    QTest.keyClicks(focus, text)


def sheet(window: Window, kind: type[Any]) -> Any:
    return window.frame.findChild(kind)


def test_the_palette_goes_to_pages_and_does_actions_by_keys_only(in_window) -> None:
    async def story(window: Window) -> None:
        box = window.frame.palette_box
        window.frame.go("fleet")
        page(window, "fleet").clients.view.setFocus()
        press(window, "Ctrl+K")
        assert box.hasFocus()
        assert box.offered()[:4] == ["Fleet", "Plans", "Live", "Runs"] or "Runs" in box.offered()
        write("runs")
        assert box.offered()[0] == "Runs"
        press(window, "Return")
        assert window.frame.current_page() == "runs"
        assert not box.panel.isVisible()
        press(window, "Ctrl+K")
        write("problems")
        press(window, "Return")
        assert window.problems.isVisible()

    in_window(story)


def test_esc_closes_the_palette_and_the_focus_is_where_it_was(in_window) -> None:
    async def story(window: Window) -> None:
        window.frame.go("fleet")
        view = page(window, "fleet").servers.view
        view.setFocus()
        press(window, "Ctrl+K")
        write("fl")
        press(window, "Esc")
        assert QApplication.focusWidget() is view
        assert window.frame.palette_box.text() == ""
        press(window, "Ctrl+K")
        press(window, "Ctrl+K")  # a second time closes it, too
        assert QApplication.focusWidget() is view

    in_window(story)


def test_up_and_down_choose_and_a_click_does_too(in_window) -> None:
    async def story(window: Window) -> None:
        box = window.frame.palette_box
        press(window, "Ctrl+K")
        write("plan")
        offered = box.offered()
        assert len(offered) > 3
        press(window, "Down")
        press(window, "Down")
        press(window, "Up")
        assert box.rows.currentIndex().row() == 1
        press(window, "PgDown")
        assert box.rows.currentIndex().row() == min(len(offered) - 1, 1 + MOST_ROWS)
        press(window, "PgUp")
        press(window, "PgUp")
        assert box.rows.currentIndex().row() == 0
        place = box.rows.visualRect(box.model.index(box.offered().index("Plans"), 0)).center()
        QTest.mouseClick(box.rows.viewport(), Qt.MouseButton.LeftButton, pos=place)
        assert window.frame.current_page() == "plans"

    in_window(story)


def test_a_server_is_found_from_any_page_and_selected_even_if_a_filter_hid_it(in_window) -> None:
    async def story(window: Window) -> None:
        fleet = page(window, "fleet")
        fleet.set_servers([FleetServer(f"s{n:02}", f"root://xrd{n}.example.org:1094", "up") for n in range(50)])
        fleet.servers.filter_box.setText("nothing")
        window.frame.go("plans")
        press(window, "Ctrl+K")
        write("xrd33")
        assert window.frame.palette_box.offered() == ["s33"]
        press(window, "Return")
        assert window.frame.current_page() == "fleet"
        assert fleet.servers.current().name == "s33"

    in_window(story)


def test_a_preset_is_found_and_opened(in_window) -> None:
    async def story(window: Window) -> None:
        press(window, "Ctrl+K")
        write("vector preset")
        title = window.frame.palette_box.offered()[0]
        press(window, "Return")
        assert window.frame.current_page() == "plans"
        assert page(window, "plans").editor.entry.title == title

    in_window(story)


def test_what_is_called_nothing_is_said_and_hostile_names_are_text(in_window, hostile_names) -> None:
    async def story(window: Window) -> None:
        box = window.frame.palette_box
        press(window, "Ctrl+K")
        write("zzzqqq")
        assert box.offered() == []
        assert "zzzqqq" in box.nothing.text()
        press(window, "Return")  # nothing to do
        fleet = page(window, "fleet")
        fleet.set_servers([FleetServer(name, f"root://{n}", "up") for n, name in enumerate(hostile_names)])
        box.setText("server root")
        assert set(hostile_names) <= set(box.offered())
        box.panel.grab()

    in_window(story)


@pytest.fixture
def hostile_names() -> list[str]:
    return [
        "<b>bold</b><img src=x>",
        "two\nlines\tand a tab",
        "\u202eevil\u202c rtl שלום",
        "n" * 150,
        "&amp; &Ampersand",
    ]


def shown_keys(sheet: QWidget) -> dict[str, str]:
    """What the sheet says: the name of each action and its key."""
    labels = [part for part in sheet.findChildren(QLabel) if part.property("kind") in ("secondary", "key")]
    texts = [part.text() for part in labels]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def test_the_keys_that_are_shown_are_those_of_the_actions(in_window) -> None:
    async def story(window: Window) -> None:
        press(window, "?")
        keys = sheet(window, ShortcutsSheet)
        assert keys.isVisible()
        said = shown_keys(keys)
        for action in window.frame.actions_by_name.values():
            if key_of(action):
                assert said[name_of(action)] == key_of(action)
        assert said["Search or do anything"] == "Ctrl+K"
        assert said["Pause the live view"] == "Space"
        press(window, "Esc")
        assert not keys.isVisible()
        window.frame.go("fleet")
        press(window, "?")
        assert shown_keys(keys)["Copy rows"] == "Ctrl+C"  # of the tables on this page
        press(window, "?")
        assert not keys.isVisible()

    in_window(story)


def test_a_question_mark_in_a_field_is_a_question_mark(in_window) -> None:
    async def story(window: Window) -> None:
        window.frame.go("fleet")
        press(window, "Ctrl+F")
        write("?")
        assert page(window, "fleet").clients.filter_box.text() == "?"
        assert not sheet(window, ShortcutsSheet).isVisible()

    in_window(story)


def test_every_action_has_a_key_of_its_own_and_stands_in_a_menu(in_window) -> None:
    async def story(window: Window) -> None:
        keys = [action.shortcut().toString() for action in window.frame.actions_by_name.values()]
        taken = [key for key in keys if key]
        assert len(taken) == len(set(taken))
        in_menus = [action for menu in window.frame.menuBar().findChildren(QMenu) for action in menu.actions()]
        assert set(window.frame.actions_by_name.values()) <= set(in_menus)

    in_window(story)


def on_the_menu(window: Window) -> dict[str, str]:
    """What the menu Page has: the name of each action and its key."""
    window.frame.page_menu.aboutToShow.emit()
    return {name_of(action): key_of(action) for action in window.frame.page_menu.actions()}


def test_the_menu_page_has_the_keys_of_the_page_that_is_shown(in_window) -> None:
    async def story(window: Window) -> None:
        said = {}
        for name in ("evidence", "preflight", "plans", "inspector", "runs"):
            window.frame.go(name)
            said[name] = on_the_menu(window)
        assert said["evidence"]["Request before"] == "Alt+Up"
        assert said["evidence"]["Next request"] == "Alt+Down"
        assert said["evidence"]["Back to the requests"] == "Esc"
        assert said["preflight"]["Back to the plan"] == "Esc"
        assert said["plans"]["Test earlier"] == "Alt+Up"
        assert said["inspector"]["Pause, or read on"] == "Space"
        assert "Test earlier" not in said["runs"]
        window.frame.go("evidence")
        page(window, "evidence").crumbs.back_button.setFocus()
        press(window, "?")
        assert shown_keys(sheet(window, ShortcutsSheet))["Next request"] == "Alt+Down"

    in_window(story)


def test_no_key_of_a_page_is_outside_of_a_menu(in_window) -> None:
    async def story(window: Window) -> None:
        assert window.frame.findChildren(QShortcut) == []
        for name, part in window.parts.items():
            window.frame.go(name)
            shown = on_the_menu(window)
            for action in part.page.findChildren(QAction):
                if key_of(action) and action.parent().isVisible() and action.isVisible():
                    assert shown[name_of(action)] == key_of(action)

    in_window(story)


def test_a_test_of_a_plan_moves_by_keys_and_by_the_menu_page(in_window) -> None:
    async def story(window: Window) -> None:
        window.frame.go("plans")
        plans = page(window, "plans")
        plans.new_plan()
        assert not plans.earlier.isEnabled(), "it is the only one"
        plans.add_test_button.click()
        plans.form.test_name.setText("the last")
        plans.form.test_name.textEdited.emit("the last")

        def names() -> list[str]:
            return [test.name for test in plans.editor.plan.tests]

        assert names()[-1] == "the last"
        on_the_menu(window)
        next(action for action in window.frame.page_menu.actions() if name_of(action) == "Test earlier").trigger()
        assert names()[0] == "the last"
        assert plans.tabs.currentIndex() == 0, "it stays the one that is shown"
        plans.form.test_name.setFocus()  # the keys of a page are for whoever is in it
        press(window, "Alt+Up")  # it is the first: nothing to do
        assert names()[0] == "the last"
        press(window, "Alt+Down")
        assert names()[1] == "the last"
        press(window, "Ctrl+Z")
        assert names()[0] == "the last"

    in_window(story)


def test_alt_down_in_a_choice_opens_its_list_and_moves_no_test(in_window) -> None:
    async def story(window: Window) -> None:
        window.frame.go("plans")
        plans = page(window, "plans")
        plans.new_plan()
        plans.add_test_button.click()
        plans.form.test_name.setText("the last")
        plans.form.test_name.textEdited.emit("the last")
        plans.tabs.setCurrentIndex(0)
        kind = plans.form.workloads.rows[0].kind
        kind.setFocus()
        press(window, "Alt+Down")
        assert kind.view().isVisible()
        assert plans.editor.plan.tests[-1].name == "the last"
        kind.hidePopup()
        plans.form.test_name.setFocus()
        press(window, "Alt+Down")
        assert plans.editor.plan.tests[0].name == "the last"

    in_window(story)


def test_f5_reads_again_what_the_page_shows(in_window, monkeypatch) -> None:
    async def story(window: Window) -> None:
        asked: list[str] = []
        for name, part in window.parts.items():
            monkeypatch.setattr(part, "refresh", lambda name=name: asked.append(name))
        for name in ("pipeline", "runs", "compare"):
            window.frame.go(name)
            press(window, "F5")
        assert asked == ["pipeline", "runs", "compare"]

    in_window(story)


@pytest.mark.parametrize(("name", "wanted"), [("pipeline", "refresh_wanted"), ("preflight", "all_wanted")])
def test_f5_is_the_button_of_the_page(in_window, name, wanted) -> None:
    async def story(window: Window) -> None:
        window.frame.go(name)
        heard: list[str] = []
        getattr(page(window, name), wanted).connect(lambda: heard.append(name))
        button = page(window, name).refresh if name == "pipeline" else page(window, name).again_button
        button.setEnabled(True)
        press(window, "F5")
        assert heard == [name]

    in_window(story)


def test_help_stands_beside_the_page_follows_it_and_closes(in_window) -> None:
    async def story(window: Window) -> None:
        window.frame.go("fleet")
        press(window, "F1")
        text = sheet(window, HelpSheet)
        assert text.isVisible()
        assert text.title.text() == "Help: Fleet"
        assert "Add agent" in text.text.toPlainText()
        assert "# " not in text.text.toPlainText()
        window.frame.go("plans")
        assert text.title.text() == "Help: Plans"
        press(window, "F1")
        assert not text.isVisible()
        press(window, "F1")
        press(window, "Esc")
        assert not text.isVisible()

    in_window(story)


@pytest.mark.parametrize("name", ["welcome", *(entry.name for entry in PAGES)])
def test_every_page_has_help(name: str) -> None:
    text = help_of(name)
    assert text != NOTHING
    assert text.startswith("# ")
    assert len(text) > 200


def test_the_workspace_button_has_recent_ones_and_where_the_open_one_is(in_window, monkeypatch) -> None:
    async def story(window: Window) -> None:
        entries = [Recent("one & only", "/data/one.db", 2.0), Recent("<b>two</b>", "/data/two.db", 1.0)]
        QSettings().setValue("recent", write_recent(entries))
        asked: list[object] = []
        monkeypatch.setattr(window.opening, "open_named", asked.append)
        window.frame.show_workspace("one & only", "/data/one.db")
        menu = window.frame.workspace_menu
        menu.aboutToShow.emit()
        texts = [action.text() for action in menu.actions() if action.text()]
        assert texts == [
            "one && only",
            "<b>two</b>",
            "New workspace…",
            "Open workspace…",
            "Open a remote hub…",
            "Copy where it is: /data/one.db",
            "Close workspace",
        ]
        assert [action.isChecked() for action in menu.actions()[:2]] == [True, False]
        menu.actions()[1].trigger()
        assert asked == ["/data/two.db"]
        next(action for action in menu.actions() if action.text().startswith("Copy")).trigger()
        assert QGuiApplication.clipboard().text() == "/data/one.db"

    in_window(story)


def test_a_click_beside_the_keys_closes_them_and_tab_stays_inside(in_window) -> None:
    async def story(window: Window) -> None:
        press(window, "?")
        keys = sheet(window, ShortcutsSheet)
        for _ in range(4):
            press(window, "Tab")
            assert keys.isAncestorOf(QApplication.focusWidget())
        button = keys.findChild(QPushButton)
        assert button.accessibleName() == "Close"
        QTest.mouseClick(keys, Qt.MouseButton.LeftButton, pos=keys.rect().bottomLeft())
        assert not keys.isVisible()

    in_window(story)
