"""Every page with something on it, and every dialog, by keyboard alone."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMessageBox, QWidget
from shiboken6 import isValid

from gui.app import make_window
from gui.app.still_on import ask_about_faults
from gui.app.window import Window
from gui.hub import HubOptions
from gui.hub.persistence import Key
from gui.pages.pipeline.side import Confirm
from gui.pages.plans.choose import Choosable, ChooseSheet
from gui.pages.result.report import ReportSheet
from gui.pages.settings.keys import NewKeySheet, SecretSheet
from gui.pages.settings.shortcuts import KeySheet, ShortcutsSection
from gui.runner.drills import DRILLS
from gui.runner.options import WorkspaceOptions
from gui.store import Store
from gui.widgets.add_agent import AddAgentSheet
from gui.widgets.add_servers import AddServersSheet
from gui.widgets.help import HelpSheet
from gui.widgets.open_hub import OpenHubSheet
from gui.widgets.question import ask
from gui.widgets.shortcuts import ShortcutsSheet
from gui.widgets.theme import theme
from tests.gui.app.filled import PLACES, fill
from tests.gui.app.keyboard import controls, name, walk, where
from tests.gui.parts import part
from tests.gui.reconcile.losses import run_with_losses
from tests.gui.store.world import World


@pytest.fixture
def at_work(drive, until, window_manager, tmp_path: Path) -> Any:
    """Tell a story in a window with a workspace of two runs that have losses."""
    database = tmp_path / "scale.db"
    with Store(database) as store:
        world = World(store)
        for _ in range(2):
            run_with_losses(world, requests=40)
            world.now += 600

    def tell(story: Callable[[Window], Awaitable[None]]) -> None:
        async def work() -> None:
            window = make_window(tmp_path / "data")
            window.frame.show()
            window.frame.resize(1440, 900)
            window.frame.activateWindow()
            await until(window.frame.isActiveWindow)
            hub = HubOptions(directory=tmp_path / "hub", host="127.0.0.1", port=0, insecure=True)
            assert await window.open(WorkspaceOptions(database=database, hub=hub, bus=str(tmp_path / "bus")))
            window.beat.stop()  # it would take away again what the pages are given here
            try:
                await story(window)
            finally:
                window.frame.close_at_once()
                await asyncio.wait_for(window.done.wait(), 60)

        drive(work())

    return tell


Opener = Callable[[Window], object]


def _change_key(window: Window) -> None:
    table = window.frame.findChild(ShortcutsSection)
    assert table is not None
    window.go("settings", section="shortcuts")
    table.table.view.selectRow(0)
    table.change()


DIALOGS: dict[type[QWidget], list[Opener]] = {
    AddAgentSheet: [lambda w: part(w, "fleet").add_agent()],
    AddServersSheet: [lambda w: part(w, "fleet").add_servers()],
    ChooseSheet: [lambda w: ChooseSheet("server", [Choosable("s01"), Choosable("s02")], None, w.frame).open()],
    Confirm: [lambda w: Confirm(DRILLS[0], DRILLS[0].what(60), w.frame).open()],
    HelpSheet: [lambda w: w.frame.actions_by_name["help"].trigger()],
    KeySheet: [_change_key],
    NewKeySheet: [lambda w: NewKeySheet(w.frame).open()],
    OpenHubSheet: [lambda w: w.opening.ask_hub()],
    ReportSheet: [lambda w: part(w, "result").open_report(2)],
    SecretSheet: [
        lambda w: SecretSheet(w.frame, Key(kid="k1", secret="s" * 40, scopes=("client",), created=0.0)).open()
    ],
    ShortcutsSheet: [lambda w: w.frame.actions_by_name["keys"].trigger()],
    QMessageBox: [
        lambda w: ask(w.frame, "Revoke k1?", "Nothing signed with it is accepted.", "Revoke", lambda: None),
        lambda w: w.tasks.start(ask_about_faults(w.frame, "udp-loss of run 4 is still on.", True), "ask"),
    ],
}
"""Every kind of dialog of the window, and what opens it. Those that choose a file are Qt's own."""


def test_no_kind_of_dialog_is_forgotten() -> None:
    made = set()
    for folder in ("app", "pages", "widgets"):
        for file in (Path(__file__).parents[3] / "gui" / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ClassDef) and {"QDialog", "Sheet"} & {ast.unparse(base) for base in node.bases}:
                    made.add(node.name)
    assert made == {kind.__name__ for kind in DIALOGS} - {"QMessageBox"}


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_every_dialog_by_keyboard(qapp, at_work, until, mode) -> None:
    found: dict[str, object] = {}

    async def story(window: Window) -> None:
        theme().set_mode(mode)
        for kind, openers in DIALOGS.items():
            for opener in openers:
                window.go("fleet")
                opener(window)
                sheet = await until_shown(window, kind, until)
                await asyncio.sleep(0.2)
                nameless = [where(widget) for widget in controls(sheet) if not name(widget)]
                focus = QApplication.focusWidget()
                inside = focus is not None and (focus is sheet or sheet.isAncestorOf(focus))
                seen = await walk(sheet)
                faults = {
                    "nameless": nameless, "missed": seen.missed, "unseen": seen.unseen, "backwards": seen.backwards,
                    "the focus is elsewhere": [] if inside else [str(focus)],
                }  # fmt: skip
                QTest.keyClick(QApplication.focusWidget() or sheet, Qt.Key.Key_Escape)
                closed = await gone(sheet)
                faults["Esc"] = [] if closed else ["does not close it"]
                if any(faults.values()):
                    found[kind.__name__] = {fault: some for fault, some in faults.items() if some}

    at_work(story)
    assert found == {}


async def until_shown(window: Window, kind: type[QWidget], until: Any) -> QWidget:
    def shown() -> list[Any]:
        return [widget for widget in window.frame.findChildren(kind) if widget.isVisible()]

    await until(shown)
    sheet: QWidget = shown()[0]
    await until(lambda: sheet.window().isActiveWindow())
    return sheet


async def gone(sheet: QWidget) -> bool:
    """Whether it closes within a moment; one that does not is closed at last."""
    for _ in range(40):
        await asyncio.sleep(0.05)
        if not isValid(sheet) or not sheet.isVisible():
            return True
    sheet.close()
    return False


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_every_page_at_work_by_keyboard(qapp, at_work, until, mode) -> None:
    found: dict[str, object] = {}

    async def story(window: Window) -> None:
        theme().set_mode(mode)
        for shown in PLACES:
            holder = await fill(window, shown, until)
            nameless = [where(widget) for widget in controls(holder) if not name(widget)]
            window.frame.palette_box.setFocus()
            window.frame.palette_box.panel.hide()
            seen = await walk(holder)
            faults = {
                "nameless": nameless, "missed": seen.missed, "unseen": seen.unseen, "backwards": seen.backwards
            }  # fmt: skip
            if any(faults.values()):
                found[shown] = {kind: some for kind, some in faults.items() if some}

    at_work(story)
    assert found == {}
