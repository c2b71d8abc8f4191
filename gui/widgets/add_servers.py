"""Add servers: a sheet that takes addresses as typed, pasted, read from a file, or known from agents and records.

Each line is checked while it is typed; a wrong one is named with its number and stays in the field when the others are
added. What is on the list already stands below, and can be taken off.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QDialog, QFileDialog, QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from gui.campaign.selection import Server
from gui.campaign.serverlist import Listed, write_servers
from gui.models.rows import Column
from gui.runner.directory import Suggestion
from gui.widgets.parts import Badge, button, label, line
from gui.widgets.table import Empty, Table
from gui.widgets.theme import fixed_font

CHECK_MS = 150
"""How long after the last key the lines are checked."""
MOST_CHARACTERS = 2**20
WRONG_SHOWN = 5

COLUMNS: list[Column[Server]] = [
    Column("name", "Name", lambda r: r.name, width=200, bold=True),
    Column("address", "Address", lambda r: r.url, width=260, kind="fixed", stretch=True),
    Column("labels", "Labels", lambda r: ", ".join(r.labels), width=140, colour=lambda _r: "text2"),
]


class AddServersSheet(QDialog):
    """Signals: `check_wanted` and `add_wanted` carry the text, `remove_wanted` addresses, `file_wanted` a path."""

    check_wanted = Signal(str)
    add_wanted = Signal(str)
    remove_wanted = Signal(list)
    file_wanted = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Add servers")
        self.setObjectName("page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setMinimumSize(720, 640)
        self.setAcceptDrops(True)
        self.box = QPlainTextEdit()
        self.box.setFont(fixed_font())
        self.box.setAcceptDrops(False)  # a file that is dropped there is read, not named
        self.box.setTabChangesFocus(True)
        self.box.setFixedHeight(140)
        self.box.setAccessibleName("Addresses of servers, one on a line")
        self.box.setPlaceholderText(
            "root://xrd1.example.org:1094\ns02 xrd2.example.org site-b        a name before, labels behind"
        )
        self.box.textChanged.connect(self._typed)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(CHECK_MS)
        self._timer.timeout.connect(lambda: self.check_wanted.emit(self.text()))
        self.import_button = button("Import file…", "import", self.choose_file)
        self.agents_button = button("From server agents", "fleet")
        self.records_button = button("From records", "queue")
        self._offered: dict[str, Sequence[Server]] = {"agent": (), "records": ()}
        self.agents_button.clicked.connect(lambda: self._take("agent"))
        self.records_button.clicked.connect(lambda: self._take("records"))
        sources = QHBoxLayout()
        sources.setSpacing(8)
        for widget in (self.import_button, self.agents_button, self.records_button):
            sources.addWidget(widget)
        sources.addStretch(1)
        self.state = Badge()
        self.wrong = label("", "error")
        self.wrong.setWordWrap(True)
        self.wrong.hide()
        self.remark = label("", "warn")
        self.remark.setWordWrap(True)
        self.remark.hide()
        self.listed = Table("add-servers", "On the list", COLUMNS, key=lambda r: r.url, hint="labels:site-b")
        self.listed.setMinimumHeight(130)
        self.listed.selected.connect(lambda _row: self._show_buttons())
        self.listed.set_empty(
            Empty("fleet", "No server is listed", "Servers of agents and of a lab need no line here.")
        )
        self.remove_button = button("Take off the list", "trash", self._remove)
        self.listed.bar.addWidget(self.remove_button)
        self.add_button = button("Add", "plus", lambda: self.add_wanted.emit(self.text()), kind="primary")
        foot = QHBoxLayout()
        foot.addWidget(self.state)
        foot.addStretch(1)
        foot.addWidget(button("Close", action=self.close))
        foot.addWidget(self.add_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 16, 24, 16)
        column.setSpacing(12)
        column.addWidget(label("Add servers", "title"))
        column.addWidget(
            label("One on a line: root://HOST:PORT, HOST:PORT or HOST, without user and path.", "secondary")
        )
        column.addWidget(self.box)
        column.addWidget(self.wrong)
        column.addLayout(sources)
        column.addWidget(self.remark)
        column.addWidget(self.listed, 1)
        column.addWidget(line())
        column.addLayout(foot)
        self.show_suggestions(())
        self.show_checked(Listed(()))
        self._show_buttons()

    def text(self) -> str:
        """What was typed, without what is beyond any list."""
        return self.box.toPlainText()[:MOST_CHARACTERS]

    # ---- called by the owner

    def show_checked(self, found: Listed) -> None:
        """What the lines of now are."""
        count = len(found.servers)
        words = f"{count:,} server{'' if count == 1 else 's'} to add"
        if found.wrong:
            wrong = len(found.wrong)
            self.state.set_state("bad", f"{words}, {wrong:,} line{'' if wrong == 1 else 's'} wrong", "bad")
        else:
            self.state.set_state(
                "ok" if count else "ring", words if count else "nothing to add", "ok" if count else "mute"
            )
        lines = [str(one) for one in found.wrong[:WRONG_SHOWN]]
        if len(found.wrong) > WRONG_SHOWN:
            lines.append(f"… and {len(found.wrong) - WRONG_SHOWN:,} more")
        self.wrong.setText("\n".join(lines))
        self.wrong.setVisible(bool(lines))
        self.add_button.setEnabled(bool(count))

    def show_added(self, found: Listed) -> None:
        """The good lines are on the list; the wrong ones stay in the field."""
        self.box.setPlainText("".join(f"{one.text}\n" for one in found.wrong if one.text))
        if found.servers:
            count = len(found.servers)
            self.show_remark(f"{count:,} server{' was' if count == 1 else 's were'} added.", "ok")

    def show_listed(self, servers: Sequence[Server]) -> None:
        """What is on the list now."""
        self.listed.set_rows(servers)
        self.listed.set_counts(f"{len(servers):,}" if servers else "")
        self._show_buttons()

    def show_suggestions(self, offered: Sequence[Suggestion]) -> None:
        """Servers that are known from elsewhere and not listed."""
        for source, widget, words in (
            ("agent", self.agents_button, "From server agents"),
            ("records", self.records_button, "From records"),
        ):
            servers = [one.server for one in offered if one.source == source]
            self._offered[source] = servers
            widget.setText(f"{words} ({len(servers):,})" if servers else words)
            widget.setEnabled(bool(servers))
            widget.setToolTip("" if servers else "None that is not listed already")

    def show_file(self, text: str) -> None:
        """Put the lines of a file into the field."""
        self._append(text)

    def show_remark(self, text: str, kind: str = "warn") -> None:
        """A remark below the field, or what went wrong (kind ``error``)."""
        self.remark.setProperty("kind", kind)
        self.remark.style().unpolish(self.remark)
        self.remark.style().polish(self.remark)
        self.remark.setText(text)
        self.remark.setVisible(bool(text))

    # ---- inside

    def choose_file(self) -> None:
        """Ask for a file of addresses."""
        dialog = QFileDialog(self, "Import addresses", str(Path.home()), "Lists (*.txt *.csv *.list);;All files (*)")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda path: self.file_wanted.emit(Path(path)))
        dialog.open()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        for url in event.mimeData().urls():
            if url.isLocalFile():
                self.file_wanted.emit(Path(url.toLocalFile()))

    def closeEvent(self, event: QCloseEvent) -> None:
        self._timer.stop()
        super().closeEvent(event)

    def _typed(self) -> None:
        self.add_button.setEnabled(False)  # until these lines are checked
        self._timer.start()

    def _take(self, source: str) -> None:
        self._append(write_servers(self._offered[source]))

    def _append(self, text: str) -> None:
        before = self.box.toPlainText()
        gap = "" if not before or before.endswith("\n") else "\n"
        self.box.setPlainText(before + gap + text)
        self.box.setFocus()

    def _remove(self) -> None:
        gone = self.listed.selection()
        if gone:
            self._append(write_servers(gone))  # [Add] is the way back
            self.remove_wanted.emit([server.url for server in gone])

    def _show_buttons(self) -> None:
        self.remove_button.setEnabled(bool(self.listed.selection()))
