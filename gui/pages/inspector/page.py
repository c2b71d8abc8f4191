"""Datagram inspector: the list above; below, the fields of the chosen datagram and its bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, Qt, Signal
from PySide6.QtGui import QColor, QDragEnterEvent, QDropEvent, QPainter
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QMenu,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from gui.models.datagrams import ServerNames, columns, field_at
from gui.pages.inspector.bytes import HexView
from gui.runner.datagrams import DatagramRow, Decoded, DecodedField
from gui.widgets.crumbs import Crumbs
from gui.widgets.dress import give_sheet
from gui.widgets.icons import icon, pixmap
from gui.widgets.parts import Elided, Page, Splitter, button, label, plain_tip, short_caption
from gui.widgets.shortcuts import add_key
from gui.widgets.table import Empty, Table
from gui.widgets.theme import fixed_font, theme

STATES = {
    "reading": ("run", "info"),
    "read": ("ok", "ok"),
    "broken": ("warn", "warn"),
    "live": ("dot", "ok"),
    "paused": ("pause", "mute"),
    "away": ("warn", "warn"),
    "failed": ("bad", "bad"),
}
MOST_OPEN = 40
"""Fields of the first level that are made at once; the others when they are asked for."""
MOST_FILES = 30
"""Files of a datagram that the menu offers to follow."""


class FieldTree(QTreeWidget):
    """The fields: rows of 20 pixels, with chevrons from the theme."""

    def __init__(self) -> None:
        super().__init__()
        self.setColumnCount(3)
        self.setHeaderHidden(True)
        self.setIndentation(16)
        self.setUniformRowHeights(True)
        self.setAccessibleName("Fields of the datagram")
        self.setFrameShape(QTreeWidget.Shape.NoFrame)
        give_sheet(self, "QTreeView::item { height: 20px; }")
        header = self.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(1, header.ResizeMode.Stretch)
        self.setColumnWidth(0, 220)
        self.setColumnWidth(2, 104)

    def drawBranches(self, painter: QPainter, rect: QRect, index: QModelIndex | QPersistentModelIndex) -> None:
        super().drawBranches(painter, rect, index)
        item = self.itemFromIndex(index)
        if item is not None and item.childCount():
            symbol = "down" if item.isExpanded() else "right"
            scale = self.devicePixelRatioF()
            painter.drawPixmap(rect.right() - 13, rect.center().y() - 5, pixmap(symbol, "text2", 12, scale))


class InspectorPage(Page):
    """See the module."""

    open_wanted = Signal(Path)
    live_wanted = Signal()
    pause_wanted = Signal()
    save_wanted = Signal(Path, object)
    follow_wanted = Signal(object, int)
    chosen = Signal(object)

    def __init__(self, names: ServerNames, back: Callable[[], object]) -> None:
        super().__init__("Datagrams")
        self.setAcceptDrops(True)
        self._names = names
        self._all: list[DatagramRow] = []
        self._senders: dict[tuple[str, int], DatagramRow] = {}
        self._only: set[int] | None = None
        self._decoded: Decoded | None = None
        self._marking = False
        self.chooser: QFileDialog | None = None
        self.menu: QMenu | None = None
        crumbs = Crumbs(back, tip="Back to Pipeline")
        crumbs.set_path([("Pipeline", back)])
        self.crumbs = crumbs
        self.head.insertWidget(0, crumbs)
        self._state_icon = QLabel()
        self.head.insertWidget(2, self._state_icon)
        self.pause_button = button("Pause", "pause", self.pause_wanted.emit)
        self.pause_button.setToolTip("Read no further; what is listed stays  Space")
        self.live_button = button("Live", "live", self.live_wanted.emit)
        self.live_button.setToolTip(
            "Copies of the datagrams on the bus, as they come; nothing is taken from a collector"
        )
        self.open_button = button("Open capture…", "folder", self.ask_for_file)
        self.save_button = button("Save…", "export", self.ask_where)
        self.save_button.setToolTip("Save the datagrams that are listed as a capture")
        for widget in (self.pause_button, self.live_button, self.open_button, self.save_button):
            self.add_action(widget)
        self.table = Table(
            "datagrams",
            "Datagrams",
            columns(names),
            key=lambda row: row.number,
            hint="server:s17 stream:f",
            empty=Empty(
                "wire",
                "No datagrams are open",
                "Open a capture or a spool, drop one here, or look at what is on the bus.",
                (("Open capture…", "folder", self.ask_for_file), ("Live", "live", self.live_wanted.emit)),
            ),
        )
        self.table.filter_box.setFixedWidth(420)
        self.follow_button = button("Follow this file", "right", self._follow, kind="small")
        self.only_button = button("Only this server", "filter", self._only_server, kind="small")
        self.all_button = button("Show all", "x", lambda: self.show_only(None, ""), kind="small")
        place = self.table.bar.count() - 1
        for number, widget in enumerate((self.all_button, self.follow_button, self.only_button)):
            self.table.bar.insertWidget(place + number, widget)
        self.following = Elided("", "secondary", least=80)
        self.table.bar.insertWidget(2, self.following)
        self.message = Elided("", "secondary", least=80)
        self.table.selected.connect(self._chosen)
        add_key(self.table.view, "Pause, or read on", "Space", self.pause_button.click)
        self.table.model.counts_changed.connect(self._show_counts)
        split = Splitter(Qt.Orientation.Vertical)
        split.setObjectName("inspector")
        split.setChildrenCollapsible(False)
        split.addWidget(self.table)
        split.addWidget(self._make_details())
        split.setSizes([360, 380])
        self.body.addWidget(self.message)
        self.body.addWidget(split, 1)
        self.message.setContentsMargins(16, 0, 16, 6)
        self.message.hide()
        theme().follow(self._restyle)
        self._state = ("", "", "")
        self.show_source("", "", "")
        self._show_buttons()

    def _make_details(self) -> QWidget:
        left = QWidget()
        left.setObjectName("page")
        column = QVBoxLayout(left)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        head = QHBoxLayout()
        head.setContentsMargins(16, 6, 16, 6)
        head.setSpacing(8)
        head.addWidget(label("Decoded", "section"))
        self.about = Elided("", "secondary", least=80)
        head.addWidget(self.about, 1)
        column.addLayout(head)
        self.tree = FieldTree()
        self.tree.currentItemChanged.connect(lambda item, _before: self._field_chosen(item))
        column.addWidget(self.tree, 1)
        right = QWidget()
        right.setObjectName("page")
        column = QVBoxLayout(right)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        head = QHBoxLayout()
        head.setContentsMargins(16, 2, 16, 2)
        head.setSpacing(8)
        head.addWidget(label("Bytes", "section"))
        self.marked = Elided("", "secondary", least=80)
        head.addWidget(self.marked, 1)
        self.copy_button = button("Copy hex", "copy", lambda: self.hex.copy(), kind="plain")
        head.addWidget(self.copy_button)
        column.addLayout(head)
        self.hex = HexView()
        self.hex.chosen.connect(self._byte_chosen)
        column.addWidget(self.hex, 1)
        split = Splitter(Qt.Orientation.Horizontal)
        split.setObjectName("inspector-details")
        split.setChildrenCollapsible(False)
        split.addWidget(left)
        split.addWidget(right)
        split.setStretchFactor(1, 1)
        split.setSizes([680, 640])
        return split

    # ---- the source

    def show_source(self, name: str, state: str, words: str) -> None:
        """Which source is shown, how it stands with it, and how much of it there is."""
        self._state = (name, state, words)
        self.remark.setText(" · ".join(filter(None, (name, state if state not in ("read", "broken") else "", words))))
        self._restyle()
        reading = state in ("reading", "live", "away")
        self.pause_button.setEnabled(reading)
        self.pause_button.setText("Pause" if state in ("live", "away") else "Stop" if state == "reading" else "Pause")
        self._show_buttons()

    def clear(self) -> None:
        """Another source is read."""
        self._all = []
        self._senders.clear()
        self._only = None
        self.following.setText("")
        self.table.set_rows(())
        self.say("", bad=False)
        self.show_decoded(None)
        self._show_buttons()

    def add(self, rows: Sequence[DatagramRow]) -> None:
        """More datagrams, at the end."""
        self._all += rows
        for row in rows:
            if row.at is not None:
                self._senders.setdefault((row.remote, row.stod), row)
        shown = rows if self._only is None else [row for row in rows if row.number in self._only]
        if shown:
            self.table.add_rows(shown)
        self._show_buttons()

    def show_only(self, numbers: set[int] | None, words: str) -> None:
        """Show only these datagrams, or all."""
        chosen = self.table.current()
        self._only = numbers
        self.following.setText(words)
        self.table.set_rows([row for row in self._all if row.number in numbers] if numbers is not None else self._all)
        if chosen is not None:
            self.table.select_key(chosen.number)
        self._show_buttons()

    def say(self, words: str, *, bad: bool) -> None:
        """What an action did, or why it could not."""
        self.message.setText(words)
        self.message.setProperty("kind", "error" if bad else "secondary")
        self.message.style().polish(self.message)
        self.message.setVisible(bool(words))

    def set_filter(self, text: str) -> None:
        """Filter the list."""
        self.table.filter_box.setText(text)

    def _show_counts(self) -> None:
        rows = self.table.model.rows
        total = len(self._all)
        shown = len(rows.visible)
        self.table.set_counts(f"{shown:,} of {total:,}" if shown != total else f"{total:,}" if total else "")

    def _show_buttons(self) -> None:
        row = self.table.current()
        self.follow_button.setEnabled(row is not None and bool(row.files))
        self.follow_button.setToolTip(
            "Everything about one file: login, open, progress, close, and the neighbours in the sequence"
            if row is None or row.files
            else "This datagram is about no file"
        )
        self.only_button.setEnabled(row is not None and row.at is not None)
        name = short_caption(self._names.of(row), 24) if row is not None and row.at is not None else "this server"
        self.only_button.setText(f"Only {name}")
        self.all_button.setVisible(self._only is not None)
        self.save_button.setEnabled(bool(self._all))
        self._show_counts()

    # ---- one datagram

    def _chosen(self, row: DatagramRow | None) -> None:
        self._show_buttons()
        self.chosen.emit(row)

    def show_decoded(self, decoded: Decoded | None, why: str = "") -> None:
        """Show the fields and bytes of a datagram, or why there are none."""
        self._decoded = decoded
        self.tree.clear()
        self.marked.setText("")
        self.hex.show_bytes(decoded.data if decoded is not None else b"")
        self.copy_button.setEnabled(decoded is not None)
        if decoded is None:
            self.about.setText(why)
            return
        row = decoded.row
        self.about.setText(f"datagram {row.number:,}, {self._names.of(row)}, {len(decoded.data):,} B")
        self._fill(self.tree.invisibleRootItem(), decoded.fields, MOST_OPEN)
        for number in range(min(4, self.tree.topLevelItemCount())):
            item = self.tree.topLevelItem(number)
            assert item is not None
            item.setExpanded(True)

    def _fill(self, parent: QTreeWidgetItem, fields: Sequence[DecodedField], most: int) -> None:
        for field in fields[:most]:
            item = QTreeWidgetItem([field.name, field.value.replace("\n", " "), _range(field)])
            item.setData(0, Qt.ItemDataRole.UserRole, field)
            item.setForeground(2, theme().colour("text3"))
            item.setFont(2, fixed_font(12))
            item.setTextAlignment(2, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            item.setToolTip(1, plain_tip(field.value))
            if field.inside:
                font = item.font(0)
                font.setWeight(font.Weight.DemiBold)
                item.setFont(0, font)
            if field.problem:
                item.setIcon(0, icon("bad", "bad", 14))
                for place in range(2):
                    item.setForeground(place, theme().colour("bad"))
            parent.addChild(item)
            self._fill(item, field.inside, len(field.inside))
        if len(fields) > most:
            rest = fields[most:]
            more = DecodedField(
                f"{len(rest):,} more", f"to offset {rest[-1].end - 1:,}", rest[0].first, rest[-1].end, "", tuple(rest)
            )
            self._fill(parent, (more,), 1)

    def _field_chosen(self, item: QTreeWidgetItem | None) -> None:
        field = item.data(0, Qt.ItemDataRole.UserRole) if item is not None else None
        if not isinstance(field, DecodedField):
            return
        self.hex.mark(field.first, field.end)
        self.marked.setText(f"{field.name}, {_range(field)} marked" if field.end > field.first else field.name)

    def _byte_chosen(self, byte: int) -> None:
        decoded = self._decoded
        path = field_at(decoded.fields, byte) if decoded is not None else None
        if path is None:
            return
        item: QTreeWidgetItem | None = None
        for depth, place in enumerate(path):
            parent: QTreeWidgetItem | None = self.tree.invisibleRootItem() if item is None else item
            assert parent is not None
            if depth == 0 and place >= MOST_OPEN:  # inside "… more"
                parent = parent.child(MOST_OPEN)
                assert parent is not None
                place -= MOST_OPEN
            item = parent.child(place)
        if item is not None:
            self.tree.setCurrentItem(item)
            self.tree.scrollToItem(item)

    # ---- actions

    def _follow(self) -> None:
        row = self.table.current()
        if row is None or not row.files:
            return
        chosen = self._file_of_field()
        if chosen is not None or len(row.files) == 1:
            self.follow_wanted.emit(row, chosen if chosen is not None else row.files[0])
            return
        self.menu = menu = QMenu(self)
        for number in row.files[:MOST_FILES]:
            menu.addAction(f"File {number}").triggered.connect(partial(self.follow_wanted.emit, row, number))
        if len(row.files) > MOST_FILES:
            menu.addAction(f"{len(row.files) - MOST_FILES:,} more: choose a record below").setEnabled(False)
        menu.popup(self.follow_button.mapToGlobal(self.follow_button.rect().bottomLeft()))

    def _file_of_field(self) -> int | None:
        """The file of the record that is chosen in the tree."""
        item: QTreeWidgetItem | None = self.tree.currentItem()
        while item is not None:
            field = item.data(0, Qt.ItemDataRole.UserRole)
            if isinstance(field, DecodedField):
                for inner in (field, *field.inside):
                    if inner.name == "fileID" and inner.value.isdecimal():
                        return int(inner.value)
            item = item.parent()
        return None

    def _only_server(self) -> None:
        row = self.table.current()
        if row is not None:
            self.only_server(self._names.of(row))

    def only_server(self, name: str) -> None:
        """List the datagrams of this server."""
        self.set_filter(f'server:"{name}"' if " " in name else f"server:{name}")

    def senders(self) -> list[str]:
        """The names of the servers whose datagrams are listed, each once."""
        return list(dict.fromkeys(self._names.of(row) for row in self._senders.values()))

    def ask_for_file(self) -> None:
        """Choose a capture or a spool."""
        self.chooser = chooser = QFileDialog(self, "Open a capture or a spool")
        chooser.setFileMode(QFileDialog.FileMode.ExistingFile)
        chooser.setNameFilters(["Captures and spools (*.jsonl *.json *.gz *.db *.ndjson)", "All files (*)"])
        chooser.fileSelected.connect(lambda name: self.open_wanted.emit(Path(name)))
        chooser.open()

    def ask_where(self) -> None:
        """Choose where to save what is listed."""
        self.chooser = chooser = QFileDialog(self, "Save the listed datagrams")
        chooser.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        chooser.setDefaultSuffix("jsonl")
        chooser.selectFile("datagrams.jsonl")
        rows = list(self.table.model.rows.visible)
        chooser.fileSelected.connect(lambda name: self.save_wanted.emit(Path(name), rows))
        chooser.open()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if _dropped(event) is not None:
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        path = _dropped(event)
        if path is not None:
            event.acceptProposedAction()
            self.open_wanted.emit(path)

    def _restyle(self) -> None:
        _, state, _ = self._state
        symbol, colour = STATES.get(state, ("ring", "mute"))
        self._state_icon.setVisible(bool(state))
        self._state_icon.setPixmap(pixmap(symbol, colour, 14, 2.0))
        ink: QColor = theme().colour(colour if state in ("live", "away", "failed", "broken") else "text2")
        give_sheet(self.remark, f"color: {ink.name()};")


def _range(field: DecodedField) -> str:
    if field.end <= field.first:
        return ""
    return str(field.first) if field.end == field.first + 1 else f"{field.first}–{field.end - 1}"


def _dropped(event: Any) -> Path | None:
    urls = event.mimeData().urls()
    return Path(urls[0].toLocalFile()) if len(urls) == 1 and urls[0].isLocalFile() else None
