"""What agents, servers, daemons and files say is shown as text in every place, also where it is painted."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QAction, QPainter
from PySide6.QtWidgets import QComboBox, QLabel, QLineEdit, QTabBar, QWidget

from gui.app import make_window
from gui.app.window import Window
from gui.hub import HubOptions
from gui.runner.options import WorkspaceOptions
from gui.store import Store
from tests.gui.app.filled import PLACES, fill
from tests.gui.app.person import words_of
from tests.gui.reconcile.losses import run_with_losses
from tests.gui.store.world import World

MARK = "wolf"
TEXT = f"<b>{MARK}</b><img src=x>&amp;\u202egnp.exe\u2066\u2028\x1b[31m\x07\x9b\t" + "y" * 10_000
TURNS = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029\x00-\x08\x0b-\x1f\x7f-\x9f]")
COLUMNS = (
    ("run", "name"), ("run", "message"), ("test", "name"), ("server", "name"), ("agent", "name"), ("request", "path"),
    ("request", "error"), ("verdict", "cause"), ("verdict", "behaviours"), ("marker", "text"), ("repeat", "reason"),
)  # fmt: skip


def make_hostile(database: Path) -> None:
    """Put the text into every column that has words of others."""
    with closing(sqlite3.connect(database)) as connection, connection:
        for table, column in COLUMNS:
            names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            if column in names and column != "behaviours":
                connection.execute(f"UPDATE {table} SET {column} = {column} || ? WHERE {column} IS NOT NULL", (TEXT,))


def said(widget: QWidget) -> Iterator[str]:
    """All texts of a widget that somebody can see or hear."""
    yield from words_of(widget)
    yield widget.windowTitle()
    if isinstance(widget, QComboBox):
        yield from (widget.itemText(number) for number in range(widget.count()))
    if isinstance(widget, QTabBar):
        yield from (widget.tabText(number) for number in range(widget.count()))


def faults_of(widget: QWidget) -> Iterator[str]:
    where = f"{type(widget.parent()).__name__}/{type(widget).__name__}"
    for text in said(widget):
        if TURNS.search(text) and not isinstance(widget, QLineEdit):
            yield f"{where} has a mark that turns or commands: {text[:80]!r}"
    if isinstance(widget, QLabel) and MARK in widget.text() and widget.textFormat() != Qt.TextFormat.PlainText:
        yield f"{where} may take {widget.text()[:60]!r} for rich text"
    tips = [widget.toolTip(), *(action.toolTip() for action in widget.actions())]
    for tip in tips:
        if f"<b>{MARK}" in tip:
            yield f"{where} has a tip of rich text: {tip[:60]!r}"
        if TURNS.search(tip):
            yield f"{where} has a tip with a mark that turns: {tip[:60]!r}"


def test_text_of_others_is_text_in_every_place(qapp, drive, until, tmp_path: Path, monkeypatch) -> None:
    database = tmp_path / "scale.db"
    with Store(database) as store:
        world = World(store)
        for _ in range(2):
            run_with_losses(world, requests=40)
            world.store.add_note(world.run, f"ada{TEXT}", f"a remark{TEXT}", world.now)
            world.now += 600
    make_hostile(database)
    painted: set[str] = set()
    draw = QPainter.drawText

    def record(self: QPainter, *arguments: Any) -> Any:
        painted.update(text for text in arguments if isinstance(text, str))
        return draw(self, *arguments)

    monkeypatch.setattr(QPainter, "drawText", record)
    found: dict[str, list[str]] = {}

    async def story() -> None:
        window = make_window(tmp_path / "data")
        window.frame.show()
        window.frame.resize(1440, 900)
        hub = HubOptions(directory=tmp_path / "hub", host="127.0.0.1", port=0, insecure=True)
        assert await window.open(WorkspaceOptions(database=database, hub=hub, bus=str(tmp_path / "bus")))
        window.beat.stop()
        try:
            window.problem("warning", f"agent{TEXT}", f"it said{TEXT}", f"do{TEXT}")
            window.problems.show()
            for shown in PLACES:
                painted.clear()
                await fill(window, shown, until, TEXT)
                window.frame.grab()
                found[shown] = sorted(look_at(window, painted))
        finally:
            window.frame.close_at_once()
            await asyncio.wait_for(window.done.wait(), 60)

    drive(story())
    assert {shown: some for shown, some in found.items() if some} == {}


def look_at(window: Window, painted: set[str]) -> set[str]:
    widgets: list[QObject] = [window.frame, *window.frame.findChildren(QWidget)]
    faults = {fault for widget in widgets if isinstance(widget, QWidget) for fault in faults_of(widget)}
    assert window.frame.width() == 1440, "a name makes the window wider"
    for action in window.frame.findChildren(QAction):
        if TURNS.search(action.text()):
            faults.add(f"a menu has {action.text()[:60]!r}")
    return faults | {f"painted: {text[:80]!r}" for text in painted if TURNS.search(text)}
