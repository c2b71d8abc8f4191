"""The keys of all actions: shown, changed by pressing another one, and put back. Kept as ``shortcuts/NAME``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QSettings, Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QDialog, QHBoxLayout, QKeySequenceEdit, QVBoxLayout, QWidget

from gui.models.rows import Column
from gui.pages.settings.rows import Section
from gui.widgets.parts import button, label, line
from gui.widgets.table import Empty, Table

OWN = "own_key"
"""Property of an action: the key that it has when nobody has changed it."""


@dataclass(frozen=True, slots=True)
class Shortcut:
    """An action with its key, as text of this system."""

    name: str
    title: str
    key: str
    own: str

    @property
    def changed(self) -> bool:
        return self.key != self.own


COLUMNS: list[Column[Shortcut]] = [
    Column("action", "Action", lambda r: r.title, width=280, stretch=True, bold=lambda r: r.changed),
    Column("key", "Key", lambda r: r.key, width=160, colour=lambda r: "accent_text" if r.changed else None),
    Column("default", "Default", lambda r: r.own, width=160, colour=lambda _r: "text2"),
]


class ShortcutsSection(Section):
    """The list. `connect_actions` is called once with the actions of the window by name."""

    def __init__(self) -> None:
        super().__init__("shortcuts", "Shortcuts", "keys of all actions; used at once", "term", fills=True)
        self._actions: Mapping[str, QAction] = {}
        self.table = Table(
            "settings-shortcuts",
            "Shortcuts",
            COLUMNS,
            key=lambda r: r.name,
            hint="key:Ctrl",
            empty=Empty("term", "No action"),
        )
        self.table.setMinimumHeight(320)
        self.table.setProperty("words", "keys keyboard shortcut")
        self.table.activated.connect(lambda _row: self.change())
        self.table.selected.connect(lambda _row: self._show_buttons())
        self.change_button = button("Change…", action=self.change)
        self.restore_button = button("Restore default", "reset", self.restore)
        tools = QWidget()
        tools.setProperty("words", "keys keyboard shortcut")
        row = QHBoxLayout(tools)
        row.setContentsMargins(15, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self.change_button)
        row.addWidget(self.restore_button)
        row.addStretch(1)
        group = self.group("")
        group.add(tools)
        group.add(self.table)
        self._show_buttons()

    def connect_actions(self, actions: Mapping[str, QAction]) -> None:
        """Show the keys of these actions, which may still grow."""
        self._actions = actions
        self.read()

    def read(self) -> None:
        """Show the keys of now."""
        rows = [
            Shortcut(name, action.text().replace("&", ""), _shown(action.shortcut()), _shown(_own(action)))
            for name, action in self._actions.items()
        ]
        self.table.set_rows(sorted(rows, key=lambda row: row.title.lower()))
        self._show_buttons()

    def narrow(self, words: Sequence[str]) -> int:
        """Also by the names of actions and by keys."""
        hits = [
            action
            for action in self._actions.values()
            if words and all(word in f"{action.text()} {_shown(action.shortcut())}".lower() for word in words)
        ]
        self.table.filter_box.setText(" ".join(words) if hits else "")
        shown = super().narrow([] if hits else words)
        return len(hits) or shown

    def changed_names(self) -> list[str]:
        """Actions with another key than their own."""
        return [row.name for row in self.table.model.rows.all if row.changed]

    def change(self) -> None:
        """Ask for another key for the chosen action."""
        row = self.table.current()
        if row is None:
            return
        sheet = KeySheet(self.window(), row, self.in_use)
        sheet.accepted.connect(lambda: self.use(row.name, sheet.keys.keySequence()))
        sheet.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        sheet.open()

    def restore(self) -> None:
        """Put the chosen actions' own keys back."""
        for row in self.table.selection():
            if row.changed:
                own = _own(self._actions[row.name])
                taken = self.in_use(own, row.name)
                if not taken:
                    self.use(row.name, own)

    def restore_all(self) -> None:
        """Put all own keys back."""
        for name, action in self._actions.items():
            self.use(name, _own(action))

    def use(self, name: str, key: QKeySequence) -> None:
        """Use this key from now on, also at the next start."""
        action = self._actions[name]
        action.setShortcut(key)
        portable = key.toString(QKeySequence.SequenceFormat.PortableText)
        if portable == _own(action).toString(QKeySequence.SequenceFormat.PortableText):
            QSettings().remove(f"shortcuts/{name}")
        else:
            QSettings().setValue(f"shortcuts/{name}", portable)
        self.read()

    def in_use(self, key: QKeySequence, name: str) -> str:
        """The title of another action that has this key; empty if none has."""
        if key.isEmpty():
            return ""
        others = (action for other, action in self._actions.items() if other != name and action.shortcut() == key)
        return next((action.text().replace("&", "") for action in others), "")

    def _show_buttons(self) -> None:
        chosen = self.table.selection()
        self.change_button.setEnabled(len(chosen) == 1)
        self.restore_button.setEnabled(any(row.changed for row in chosen))


class KeySheet(QDialog):
    """Takes a key for one action. A key of another action is refused, with its name."""

    def __init__(self, parent: QWidget, row: Shortcut, in_use: Callable[[QKeySequence, str], str]) -> None:
        super().__init__(parent)
        self.setWindowTitle("Shortcut")
        self.setObjectName("page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFixedWidth(480)
        self._row, self._in_use = row, in_use
        self.keys = QKeySequenceEdit(QKeySequence(row.key))
        self.keys.setMaximumSequenceLength(1)
        self.keys.setAccessibleName(f"Key for {row.title}")
        self.keys.keySequenceChanged.connect(lambda _key: self._check())
        self.error = label("", "error")
        self.use = button("Use it", action=self.accept, kind="primary")
        foot = QHBoxLayout()
        foot.addWidget(button("No key", action=self.keys.clear))
        foot.addStretch(1)
        foot.addWidget(button("Cancel", action=self.reject))
        foot.addWidget(self.use)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 16, 24, 16)
        column.setSpacing(12)
        column.addWidget(label(row.title, "title"))
        column.addWidget(label("Press the new key.", "secondary"))
        column.addWidget(self.keys)
        column.addWidget(self.error)
        column.addWidget(line())
        column.addLayout(foot)
        self.keys.setFocus()

    def _check(self) -> None:
        taken = self._in_use(self.keys.keySequence(), self._row.name)
        self.error.setText(f"This is the key of “{taken}”." if taken else "")
        self.use.setEnabled(not taken)


def _own(action: QAction) -> QKeySequence:
    return QKeySequence(str(action.property(OWN) or ""))


def _shown(key: QKeySequence) -> str:
    return key.toString(QKeySequence.SequenceFormat.NativeText)
