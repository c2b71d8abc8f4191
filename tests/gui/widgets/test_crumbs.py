"""The way back: each page above can be clicked; with little room the outermost are left out, never the nearest."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QWidget

from gui.widgets.crumbs import Crumbs
from gui.widgets.parts import Elided


def test_the_nearest_page_and_the_arrow_always_stay(qtbot) -> None:
    went: list[str] = []
    holder = QWidget()
    qtbot.addWidget(holder)
    crumbs, title = Crumbs(lambda: went.append("back")), Elided("a title " * 20, least=100)
    row = QHBoxLayout(holder)
    row.addWidget(crumbs)
    row.addWidget(title)
    crumbs.set_path([(name, partial(went.append, name)) for name in ("Runs", "Run 7", "Requests & more")])
    crumbs.set_roomy(True)
    holder.resize(900, 60)
    holder.show()
    qtbot.waitExposed(holder)
    for link in crumbs.links:
        qtbot.mouseClick(link, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(crumbs.back_button, Qt.MouseButton.LeftButton)
    assert went == ["Runs", "Run 7", "Requests & more", "back"]
    crumbs.set_roomy(False)
    holder.resize(300, 60)
    holder.grab()
    assert [link.isVisible() for link in crumbs.links] == [False, False, True]
    crumbs.set_roomy(True)
    holder.resize(900, 60)
    holder.grab()
    assert all(link.isVisible() for link in crumbs.links)
