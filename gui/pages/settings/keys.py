"""Keys and invitations: the list, and the sheets that create a key and show its secret once."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDialog, QGridLayout, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from agent.messages import SCOPES
from gui.hub.keys import AGENT_SCOPES
from gui.hub.persistence import Key
from gui.models import figures
from gui.models.keys import STATES, KeyRow
from gui.models.rows import Column
from gui.pages.settings.rows import Section
from gui.widgets.fields import CheckField
from gui.widgets.parts import button, label, line
from gui.widgets.question import ask
from gui.widgets.table import Empty, Table
from gui.widgets.theme import fixed_font

GRACE = 3600.0
"""Seconds that agents may still join with a shared key that was replaced."""


def _moment(at: float | None) -> str:
    return figures.day_and_time(at)


COLUMNS: list[Column[KeyRow]] = [
    Column(
        "state",
        "State",
        lambda r: r.state,
        kind="status",
        icon=lambda r: STATES[r.state][0],
        colour=lambda r: STATES[r.state][1],
        width=104,
    ),
    Column("kind", "Kind", lambda r: r.kind, width=96),
    Column("name", "Name", lambda r: r.id, width=150, kind="fixed", stretch=True),
    Column("allows", "Allows", lambda r: r.allows, width=190, colour=lambda _r: "text2", fold=2),
    Column("for", "For", lambda r: r.who, width=104),
    Column("uses", "Used", lambda r: r.uses, width=72, align="right", fold=3),
    Column("created", "Created", lambda r: r.created, lambda r: _moment(r.created), width=144, fold=1),
    Column("until", "Until", lambda r: r.until, lambda r: _moment(r.until), width=144),
]


class KeysSection(Section):
    """The list. `revoke_wanted` carries rows, `create_wanted` (name, scopes, for whom)."""

    revoke_wanted = Signal(list)
    create_wanted = Signal(str, list, str)
    rotate_wanted = Signal(float)
    invite_wanted = Signal()
    open_wanted = Signal()

    def __init__(self) -> None:
        super().__init__("keys", "Keys and invitations", "who may join the hub", "key", fills=True)
        self.table = Table(
            "settings-keys", "Keys and invitations", COLUMNS, key=lambda r: (r.kind, r.id), hint="state:in"
        )
        self.table.setMinimumHeight(320)
        self.table.setProperty("words", "keys invitations revoke rotate create")
        self.revoke = button("Revoke…", "trash", self._revoke)
        self.rotate = button("Replace the shared key…", "refresh", self._rotate)
        self.create_button = button("Create key…", "plus", self._create)
        self.invite = button("Invite…", "plus", self.invite_wanted.emit)
        tools = QWidget()
        tools.setProperty("words", "keys invitations revoke rotate create")
        row = QHBoxLayout(tools)
        row.setContentsMargins(15, 0, 0, 0)
        row.setSpacing(8)
        for widget in (self.invite, self.create_button, self.rotate):
            row.addWidget(widget)
        row.addStretch(1)
        row.addWidget(self.revoke)
        group = self.group("")
        group.add(tools)
        group.add(self.table)
        inside = self.column.parentWidget()
        assert inside is not None
        inside.setMaximumWidth(1200)
        self.table.selected.connect(lambda _row: self._show_buttons())
        self.show_keys(None, "")

    def show_keys(self, rows: Sequence[KeyRow] | None, trouble: str) -> None:
        """Show these; None: no workspace is open."""
        self.table.set_rows(rows or ())
        if rows is None:
            reason = "They belong to a workspace, and none is open."
            self.table.set_empty(
                Empty("key", "No workspace", reason, (("Open the workspace", "folder", self.open_wanted.emit),))
            )
        else:
            self.table.set_empty(
                Empty("key", "The keys cannot be read" if trouble else "No key", trouble or "The hub makes the first.")
            )
        used = sum(row.state == "in use" for row in rows or ())
        self.table.set_counts(f"{used} in use" if rows else "")
        for widget in (self.create_button, self.rotate, self.invite):
            widget.setEnabled(rows is not None)
        self._show_buttons()

    def show_new_key(self, key: Key) -> None:
        """Show the secret of a new key, once."""
        sheet = SecretSheet(self.window(), key)
        sheet.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        sheet.open()

    def _show_buttons(self) -> None:
        self.revoke.setEnabled(any(row.can_be_revoked for row in self.table.selection()))

    def _revoke(self) -> None:
        rows = [row for row in self.table.selection() if row.can_be_revoked]
        if not rows:
            return
        names = rows[0].named if len(rows) == 1 else f"{len(rows)} keys and invitations"
        after = "Nothing that is signed with it is accepted any more, and its sessions end within two seconds."
        if len(rows) > 1:
            after = "\n".join([*(row.named for row in rows[:12]), *(["…"] if len(rows) > 12 else [])])
        ask(self, f"Revoke {names}?", after, "Revoke", lambda: self.revoke_wanted.emit(rows))

    def _rotate(self) -> None:
        after = (
            "Agents that join with the old one are let in for one hour more; sessions stay. "
            "Give the new one to those that join with the shared key."
        )
        ask(self, "Replace the shared key by a new one?", after, "Replace it", lambda: self.rotate_wanted.emit(GRACE))

    def _create(self) -> None:
        sheet = NewKeySheet(self.window())
        sheet.wanted.connect(self.create_wanted.emit)
        sheet.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        sheet.open()


class NewKeySheet(QDialog):
    """Name, what it allows, for whom. `wanted` carries (name, scopes, for whom)."""

    wanted = Signal(str, list, str)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Create key")
        self.setObjectName("page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFixedWidth(560)
        self.name = QLineEdit()
        self.name.setMaxLength(64)
        self.name.setPlaceholderText("generated")
        self.name.setAccessibleName("Name of the key")
        self.who = QLineEdit()
        self.who.setMaxLength(64)
        self.who.setPlaceholderText("anybody")
        self.who.setAccessibleName("Agent or operator that alone may use it")
        self.scopes = {scope: CheckField(scope) for scope in SCOPES if scope != "join"}
        allows = QVBoxLayout()
        allows.setSpacing(4)
        for scope, box in self.scopes.items():
            box.setChecked(scope in AGENT_SCOPES)
            box.toggled.connect(lambda _on: self._show_button())
            allows.addWidget(box)
        grid = QGridLayout()
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(12)
        grid.setColumnMinimumWidth(0, 96)
        grid.addWidget(label("Name", "secondary"), 0, 0)
        grid.addWidget(self.name, 0, 1)
        grid.addWidget(label("Allows", "secondary"), 1, 0, Qt.AlignmentFlag.AlignTop)
        grid.addLayout(allows, 1, 1)
        grid.addWidget(label("Only for", "secondary"), 2, 0)
        grid.addWidget(self.who, 2, 1)
        self.make = button("Create key", "key", self._make, kind="primary")
        foot = QHBoxLayout()
        foot.addStretch(1)
        foot.addWidget(button("Cancel", action=self.close))
        foot.addWidget(self.make)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 16, 24, 16)
        column.setSpacing(16)
        column.addWidget(label("Create key", "title"))
        column.addLayout(grid)
        column.addWidget(line())
        column.addLayout(foot)

    def _show_button(self) -> None:
        self.make.setEnabled(any(box.isChecked() for box in self.scopes.values()))

    def _make(self) -> None:
        scopes = [scope for scope, box in self.scopes.items() if box.isChecked()]
        self.wanted.emit(self.name.text().strip(), scopes, self.who.text().strip())
        self.close()


class SecretSheet(QDialog):
    """The secret of a new key, shown once."""

    def __init__(self, parent: QWidget, key: Key) -> None:
        super().__init__(parent)
        self.setWindowTitle("New key")
        self.setObjectName("page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFixedWidth(560)
        self.secret = QLineEdit(key.secret)
        self.secret.setReadOnly(True)
        self.secret.setFont(fixed_font())
        self.secret.setAccessibleName("Secret of the key")
        row = QHBoxLayout()
        row.addWidget(self.secret, 1)
        row.addWidget(button("Copy", "copy", lambda: QGuiApplication.clipboard().setText(self.secret.text())))
        foot = QHBoxLayout()
        foot.addStretch(1)
        foot.addWidget(button("Close", action=self.close, kind="primary"))
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 16, 24, 16)
        column.setSpacing(16)
        column.addWidget(label("The new shared key" if key.shared else f"The new key {key.kid}", "title"))
        note = f"It allows {', '.join(key.scopes)}. Its secret is shown this once; only its holder should have it."
        words = label(note, "secondary")
        words.setWordWrap(True)
        column.addWidget(words)
        column.addLayout(row)
        column.addWidget(line())
        column.addLayout(foot)
