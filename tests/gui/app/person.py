"""A person at the window: finds things by what is written on them, and uses nothing but mouse and keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from PySide6.QtCore import QCoreApplication, QEvent, QPoint, QPointF, Qt, QTimer
from PySide6.QtGui import QGuiApplication, QKeySequence, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractScrollArea,
    QApplication,
    QLabel,
    QLineEdit,
    QMenu,
    QPlainTextEdit,
    QTabBar,
    QTableView,
    QTextEdit,
    QTreeWidget,
    QWidget,
)

LEFT = Qt.MouseButton.LeftButton
PATIENCE = 90.0
"""Seconds to wait for anything; they only end what hangs."""
TURNS = 200
"""Turns of the wheel after which something cannot be reached by it."""
MENU_MS = 20


class Person:
    """`window`: the main window. While a dialog is open, a person can use nothing else."""

    def __init__(self, window: QWidget) -> None:
        self.window = window

    # ---- looking

    def scope(self) -> QWidget:
        """The window that takes mouse and keys now."""
        return QApplication.activePopupWidget() or QApplication.activeModalWidget() or self.window

    def all(self, kind: type[Any] = QWidget) -> Iterator[Any]:
        """What can be seen of this kind."""
        yield from (found for found in self.scope().findChildren(kind) if found.isVisible())

    def texts(self) -> list[str]:
        """All that is written in labels, fields and buttons, and on what is painted."""
        return [text for widget in self.all() for text in words_of(widget)]

    async def until(self, condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
        """The first true value of `condition`."""
        try:
            async with asyncio.timeout(seconds):
                while not (found := condition()):  # noqa: ASYNC110 - the window has no event for most of it
                    await asyncio.sleep(0.05)
        except TimeoutError:
            seen = "\n  ".join(dict.fromkeys(self.texts()))
            raise AssertionError(f"{what} was not to be seen within {seconds:g} s, but:\n  {seen}") from None
        return found

    async def sees(self, *texts: str) -> str:
        """Wait until all of these can be read in one place; what is written there."""
        return str(
            await self.until(
                lambda: next((line for line in self.texts() if all(text in line for text in texts)), ""),
                " and ".join(f"“{text}”" for text in texts),
            )
        )

    async def find(self, name: str, kind: type[Any] = QWidget, *, place: int = 0) -> Any:
        """What is called so and can be used; `place`: which, when there are several."""

        def look() -> Any:
            found = [widget for widget in self.all(kind) if name in names_of(widget) and widget.isEnabled()]
            return found[place] if len(found) > place and can_be_reached(found[place]) else None

        return await self.until(look, f"{kind.__name__} “{name}”")

    # ---- doing

    def point_at(self, widget: QWidget, place: QPoint | None = None) -> None:
        """Bring a place into view, with the wheel where it is scrolled away. Something in front of it is a defect.

        Not QTest.mouseMove: it processes events, and other tasks must not run inside the one of the person."""
        QCoreApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest)  # what was just shown has its place
        place = widget.rect().center() if place is None else place
        for _ in range(TURNS):
            if widget.visibleRegion().contains(place):
                break
            area = scrolled(widget)
            assert area is not None, f"{widget} cannot be seen whole"
            below = widget.mapTo(area, place).y() > area.height() // 2
            turn_wheel(area.viewport(), -60 if below else 60)
        spot = widget.mapToGlobal(place)
        there = self.scope().childAt(self.scope().mapFromGlobal(spot))
        assert there is not None, f"{widget} is outside its window"
        assert there is widget or widget.isAncestorOf(there) or there.isAncestorOf(widget), f"{there} covers {widget}"

    async def click(self, name: str, kind: type[Any] = QAbstractButton, *, place: int = 0) -> Any:
        """Click on what is called so."""
        widget = await self.find(name, kind, place=place)
        self.point_at(widget)
        QTest.mouseClick(widget, LEFT, pos=widget.rect().center())
        return widget

    async def has_keys(self) -> None:
        """Wait until the window manager has given the keys to the window in front."""
        await self.until(
            lambda: QApplication.activePopupWidget() is not None or self.scope().isActiveWindow(),
            "the window that has the keys",
        )

    async def press(self, keys: str) -> None:
        """Press a combination of keys where the focus is; a dialog that was closed gives it back a moment later."""
        await self.has_keys()
        combination = QKeySequence(keys)[0]  # type: ignore[index]  # the stubs do not know
        target = QApplication.focusWidget() or self.scope()
        QTest.keyClick(target, combination.key(), combination.keyboardModifiers())
        await asyncio.sleep(0)

    async def write(self, name: str, text: str, kind: type[Any] = QWidget, *, place: int = 0) -> None:
        """Put `text` into a field in place of what is there, and leave the field."""
        field = await self.find(name, kind, place=place)
        self.point_at(field)
        await self.has_keys()
        QTest.mouseClick(field, LEFT, pos=QPoint(12, field.height() // 2))

        def inside() -> QWidget | None:
            focus = QApplication.focusWidget()
            return focus if focus is not None and (focus is field or field.isAncestorOf(focus)) else None

        focus = await self.until(inside, f"the cursor in {name}, after a click on it,")
        await self.press("Ctrl+A")
        QTest.keyClicks(focus, text)
        await self.press("Tab")

    async def write_lines(self, name: str, text: str) -> None:
        """Paste these lines into a field of several lines."""
        field = await self.click(name, QPlainTextEdit)
        QGuiApplication.clipboard().setText(text)
        await self.press("Ctrl+V")
        assert text.strip() in field.toPlainText()

    async def choose(self, button: str, item: str) -> None:
        """Open the menu of a button and click on an item. Qt runs a loop inside the click: a timer goes on."""
        widget = await self.find(button, QAbstractButton)
        self.point_at(widget)
        done: list[str] = []

        def pick() -> None:
            menu = QApplication.activePopupWidget()
            if not isinstance(menu, QMenu):
                QTimer.singleShot(MENU_MS, pick)
                return
            texts = [action.text() for action in menu.actions()]
            action = next((a for a in menu.actions() if a.text() == item and a.isEnabled()), None)
            done.append(f"{item} cannot be chosen of {texts}" if action is None else "")
            if action is None:
                menu.close()
            else:
                QTest.mouseClick(menu, LEFT, pos=menu.actionGeometry(action).center())

        QTimer.singleShot(MENU_MS, pick)
        QTest.mouseClick(widget, LEFT, pos=widget.rect().center())
        await self.until(lambda: done, f"the menu of {button}")
        assert done == [""], done[0]

    async def tab(self, text: str) -> None:
        """Click on a tab whose text begins so."""

        def look() -> tuple[QTabBar, int] | None:
            return next(
                ((bar, n) for bar in self.all(QTabBar) for n in range(bar.count()) if bar.tabText(n).startswith(text)),
                None,
            )

        bar, number = await self.until(look, f"the tab “{text}”")
        QTest.mouseClick(bar, LEFT, pos=bar.tabRect(number).center())

    async def row(self, table: str, *texts: str) -> tuple[QTableView, int]:
        """The first row of a table whose cells have all of these texts between them."""
        view = await self.find(table, QTableView)
        number = await self.until(
            lambda: next((n + 1 for n, cells in enumerate(rows_of(view)) if has(cells, texts)), 0),
            f"a row of {table} with {', '.join(texts)}",
        )
        return view, number - 1

    async def open_row(self, table: str, *texts: str) -> list[str]:
        """Double-click on that row; what it says."""
        view, number = await self.row(table, *texts)
        cells = rows_of(view)[number]
        view.scrollTo(view.model().index(number, 0))
        place = view.visualRect(view.model().index(number, 0)).center()
        QTest.mouseClick(view.viewport(), LEFT, pos=place)
        QTest.mouseDClick(view.viewport(), LEFT, pos=place)
        return cells

    async def item(self, tree: str, text: str) -> None:
        """Click on an item of a tree."""
        view = await self.find(tree, QTreeWidget)
        found = await self.until(
            lambda: view.findItems(text, Qt.MatchFlag.MatchExactly | Qt.MatchFlag.MatchRecursive), f"“{text}” in {tree}"
        )
        view.scrollToItem(found[0])
        QTest.mouseClick(view.viewport(), LEFT, pos=view.visualItemRect(found[0]).center())


def words_of(widget: QWidget) -> list[str]:
    """What is written on a widget."""
    if isinstance(widget, QLineEdit):
        return [widget.text()]
    if isinstance(widget, QPlainTextEdit | QTextEdit):
        return [widget.toPlainText()]
    texts = [widget.accessibleName()]
    if isinstance(widget, QLabel | QAbstractButton):
        texts.append(widget.text())
    return [text for text in texts if text]


def names_of(widget: QWidget) -> list[str]:
    """What a widget is called by those who see it and by those who hear it, without the keys behind it."""
    texts = [widget.accessibleName().partition("  ")[0]]
    if isinstance(widget, QAbstractButton):
        texts.append(widget.text().replace("&", ""))
    labels = widget.window().findChildren(QLabel) if isinstance(widget, QLineEdit) else []
    return [*texts, *(label.text().replace("&", "") for label in labels if label.buddy() is widget)]


def rows_of(view: QTableView) -> Sequence[list[str]]:
    """The cells of a table."""
    model = view.model()
    columns = range(model.columnCount())
    return [[str(model.index(n, column).data() or "") for column in columns] for n in range(model.rowCount())]


def has(cells: Sequence[str], texts: Sequence[str]) -> bool:
    return all(any(text in cell for cell in cells) for text in texts)


def ancestors(widget: QWidget) -> Iterator[QWidget]:
    above = widget.parentWidget()
    while above is not None:
        yield above
        above = above.parentWidget()


def scrolled(widget: QWidget) -> QAbstractScrollArea | None:
    """What scrolls this widget."""
    areas = (above for above in ancestors(widget) if isinstance(above, QAbstractScrollArea))
    return next((area for area in areas if area.verticalScrollBar().maximum()), None)


def can_be_reached(widget: QWidget) -> bool:
    """Whether it has its place: what has just been shown is laid out a moment later."""
    return widget.visibleRegion().contains(widget.rect().center()) or scrolled(widget) is not None


def turn_wheel(widget: QWidget, by: int) -> None:
    middle = QPointF(widget.rect().center())
    event = QWheelEvent(
        middle, QPointF(widget.mapToGlobal(widget.rect().center())), QPoint(), QPoint(0, by),
        Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(widget, event)
