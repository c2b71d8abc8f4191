"""The keys of everything: made from the actions themselves, so it cannot say what is not so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QApplication, QFrame, QGridLayout, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from gui.widgets.parts import FocusRing, label
from gui.widgets.sheet import Sheet

COLUMNS = 3
ROOM = 14
"""Entries that make another column worth it."""


@dataclass(frozen=True, slots=True)
class KeyGroup:
    """The keys of one menu, or of the page: ``(what, key)``."""

    title: str
    keys: tuple[tuple[str, str], ...]


def key_of(action: QAction) -> str:
    """The key of an action as it is written in menus; for one that a page handles itself, what follows its tab."""
    keys = action.shortcut().toString()
    return keys or action.text().partition("\t")[2]


def name_of(action: QAction) -> str:
    """The text of an action without its key, the mark of its letter and the dots of a dialog."""
    text = action.text().partition("\t")[0]
    return text.replace("&&", "\0").replace("&", "").replace("\0", "&").removesuffix("…")


def add_key(widget: QWidget, text: str, key: str, call: Callable[[], object], *, heard: bool = False) -> QAction:
    """Give a page, or a part of one, a key: it works while the focus is inside, and stands in the menu Page and among
    the keys while the widget is shown. `heard`: the widget hears the key itself, and only the menu calls `call`."""
    action = QAction(f"{text}\t{key}" if heard else text, widget)
    if not heard:
        action.setShortcut(QKeySequence(key))
        action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        widget.addAction(action)
    action.triggered.connect(lambda _checked=False: call())
    return action


def page_actions(page: QWidget | None) -> list[QAction]:
    """What can be done by keys on this page as it is shown, each once: of two tables, that which has the focus."""
    focus = QApplication.focusWidget()
    found: dict[str, QAction] = {}
    for action in page.findChildren(QAction) if page is not None else ():
        owner = action.parent()
        if not isinstance(owner, QWidget) or not owner.isVisible() or not action.isVisible() or not key_of(action):
            continue
        name = name_of(action)
        if name not in found or (focus is not None and (owner is focus or owner.isAncestorOf(focus))):
            found[name] = action
    return list(found.values())


def page_keys(page: QWidget | None, taken: set[str]) -> KeyGroup:
    """The keys of what stands on this page; not those of `taken` menus."""
    keys = tuple((name_of(action), key_of(action)) for action in page_actions(page) if key_of(action) not in taken)
    return KeyGroup("On this page", keys)


class ShortcutsSheet(Sheet):
    """The sheet behind ``?``."""

    def __init__(self, over: QWidget) -> None:
        super().__init__(over, "Keys", width=960)
        self._scroll = QScrollArea()
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setAccessibleName("Keys")
        FocusRing(self._scroll)
        self.body.addWidget(self._scroll, 1)

    def show_groups(self, groups: Sequence[KeyGroup]) -> None:
        """Show these keys, in columns of about the same height."""
        shown = [group for group in groups if group.keys]
        total = sum(len(group.keys) + 2 for group in shown)
        columns = COLUMNS if total > 2 * ROOM else 2 if total > ROOM else 1
        holder = QWidget()
        row = QHBoxLayout(holder)
        row.setContentsMargins(24, 16, 24, 16)
        row.setSpacing(32)
        heights = [0] * columns
        boxes = [QVBoxLayout() for _ in range(columns)]
        target = total / columns
        column = 0
        for group in shown:
            size = len(group.keys) + 2
            if column < columns - 1 and heights[column] and heights[column] + size / 2 > target:
                column += 1
            boxes[column].addWidget(_group_box(group))
            heights[column] += size
        for box in boxes:
            box.setSpacing(16)
            box.addStretch(1)
            row.addLayout(box, 1)
        self._scroll.setWidget(holder)

    def wanted_height(self) -> int:
        shown = self._scroll.widget()
        inside = shown.sizeHint().height() if shown is not None else 0
        return self.head.sizeHint().height() + inside + 12

    def first_focus(self) -> QWidget:
        return self._scroll


def _group_box(group: KeyGroup) -> QWidget:
    box = QWidget()
    grid = QGridLayout(box)
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setHorizontalSpacing(12)
    grid.setVerticalSpacing(4)
    grid.addWidget(label(group.title, "section"), 0, 0, 1, 2)
    for number, (what, key) in enumerate(group.keys, 1):
        name = label(what, "secondary")
        chip = label(key, "key")
        chip.setAlignment(Qt.AlignmentFlag.AlignCenter)
        grid.addWidget(name, number, 0)
        grid.addWidget(chip, number, 1, Qt.AlignmentFlag.AlignRight)
    grid.setColumnStretch(0, 1)
    return box
