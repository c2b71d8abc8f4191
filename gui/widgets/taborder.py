"""The way of Tab: through all that can be seen, in the order in which one reads it.

Qt's own is the order in which widgets were made, so that what is shown later (the rows of a checklist, the button of an
empty table) would come after everything else.
"""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QGridLayout, QLayout, QMainWindow, QSplitter, QWidget


def step_focus(holder: QWidget, *, forward: bool) -> bool:
    """Give the focus to the next control in `holder`, or the one before; after the last comes the first. False: there
    is none. For an override of `focusNextPrevChild`, which Qt asks for Tab, and when the control that has the focus is
    disabled or hidden."""
    order = list(reading_order(holder))
    now = QApplication.focusWidget()
    while now is not None and now not in order:  # a field within a field, or in something that has just been hidden
        now = now.parentWidget()
    place = order.index(now) if now is not None else -1 if forward else len(order)
    after, before = order[place + 1 :], order[: max(0, place)]
    ways = (*after, *before) if forward else (*reversed(before), *reversed(after))
    found = next((widget for widget in ways if _is_stop(widget)), None)
    if found is None:
        return False
    found.setFocus(Qt.FocusReason.TabFocusReason if forward else Qt.FocusReason.BacktabFocusReason)
    return True


def reading_order(holder: QWidget) -> Iterator[QWidget]:
    """What is in `holder`, as its layouts and splitters arrange it; then what no layout places. What is hidden keeps
    its place, without what is in it."""
    seen: set[QWidget] = set()
    for widget in _placed(holder):
        if widget not in seen:
            seen.add(widget)
            yield widget
            if widget.isVisible():
                yield from reading_order(widget)


def _is_stop(widget: QWidget) -> bool:
    by_tab = widget.focusPolicy() & Qt.FocusPolicy.TabFocus == Qt.FocusPolicy.TabFocus
    return by_tab and widget.isVisible() and widget.isEnabled() and widget.focusProxy() is None


def _placed(holder: QWidget) -> Iterator[QWidget]:
    layout = holder.layout()
    central = holder.centralWidget() if isinstance(holder, QMainWindow) else None
    if central is not None:  # the items of the layout of a window are in no order
        yield central
    elif layout is not None:
        yield from _in_layout(layout)
    if isinstance(holder, QSplitter):
        yield from filter(None, map(holder.widget, range(holder.count())))
    for child in holder.children():
        if isinstance(child, QWidget) and not child.isWindow():
            yield child


def _in_layout(layout: QLayout) -> Iterator[QWidget]:
    numbers = list(range(layout.count()))
    if isinstance(layout, QGridLayout):  # its items are in the order in which they were added
        numbers.sort(key=lambda number: layout.getItemPosition(number)[:2])  # type: ignore[index]  # the stubs: object
    for number in numbers:
        item = layout.itemAt(number)
        assert item is not None
        inner, widget = item.layout(), item.widget()
        if inner is not None:
            yield from _in_layout(inner)
        elif widget is not None:
            yield widget
