"""The table that every page uses: a bar with title, counts, filter and column choice; rows painted by one delegate.

Sort by value, filter by ``column:value``, choose columns, copy rows as tab-separated text with headers (Ctrl+C) or one
row as JSON, "use as filter" on a cell, remembered widths. An empty table keeps its header and says why it is empty,
with the next action as a button. Everything is painted as plain text, since names come from agents and servers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from PySide6.QtCore import (
    QEvent,
    QItemSelection,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPoint,
    QPointF,
    QRect,
    QSettings,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import (
    QAction,
    QColor,
    QContextMenuEvent,
    QFocusEvent,
    QFont,
    QFontMetrics,
    QGuiApplication,
    QHelpEvent,
    QKeyEvent,
    QKeySequence,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
    QResizeEvent,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QMenu,
    QPushButton,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QToolTip,
    QVBoxLayout,
    QWidget,
)

from gui.models.filters import FilterError, filter_word
from gui.models.rows import Column, Rows
from gui.models.table import ROW_ROLE, TableModel
from gui.widgets.filterbox import FilterBox, SavedFilters
from gui.widgets.icons import icon, pixmap
from gui.widgets.parts import Elided, button, label, paint_ring, plain_tip, short_caption
from gui.widgets.theme import fixed_font, metrics, sized_font, theme

R = TypeVar("R")

ROW_HEIGHT = 24
LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine)
RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine)
"""Alignment of a cell's text; computed once, since combining Qt's flags costs more than painting a short text."""
WIDEST = 14
"""Maximum width in pixels of an ASCII character in a cell: texts that fit at this width need not be measured."""
EDGE = 16
"""Padding at both ends of a row; between cells it is half of that."""
LEAST_SUGGESTED = 72
"""Least pixels of a column that is made as wide as what is in it."""
LEAST_STRETCH = 96
"""Minimum width in pixels of the stretching column; below it the table scrolls sideways."""


@dataclass(frozen=True, slots=True)
class Empty:
    """What an empty table shows: an icon, the reason, and buttons ``(text, icon, action)`` for what to do next. The
    first one is filled if `primary`: a page has at most one filled button."""

    icon: str
    title: str
    reason: str = ""
    actions: tuple[tuple[str, str, Callable[[], object]], ...] = ()
    primary: bool = True


class CellDelegate(QStyledItemDelegate):
    """Paints every kind of cell: text, icon with word, bar, spark line, colour swatch, fixed-width text, interval.
    OPTIMISATION. The fifty rows of Live are all repainted at each beat, which took most of the loop's time: what is the
    same for all cells (colours, which columns are at the edges, whether anything is selected) is not computed for each
    cell, and rows are taken from the model directly, not through Qt.
    """

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        return QSize(super().sizeHint(option, index).width(), ROW_HEIGHT)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        model = index.model()
        assert isinstance(model, TableModel)
        number, place = index.column(), index.row()
        row = model.row_number(place)
        if row is None:
            return
        column: Column[Any] = model.rows.columns[number]
        look = theme()
        rect: QRect = option.rect
        view = option.widget
        assert isinstance(view, RowView)
        marked = True
        if view.anything_selected and view.selectionModel().isSelected(index):
            painter.fillRect(rect, look.ink("select" if view.hasFocus() else "select_off"))
        elif view.hovered == place:
            painter.fillRect(rect, look.ink("hover"))
        else:
            marked = False
        painter.setPen(look.ink("grid"))
        bottom = rect.bottom()
        painter.drawLine(rect.left(), bottom, rect.right(), bottom)
        inner = self._inner(view, rect, number)
        if column.kind in ("bar", "spark", "interval"):
            painter.save()
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            if column.kind == "bar":
                self._bar(painter, inner, column, row, marked=marked)
            else:
                (self._spark if column.kind == "spark" else self._interval)(painter, inner, column, row)
            painter.restore()
        else:
            self._text(painter, inner, column, row)

    def helpEvent(
        self,
        event: QHelpEvent,
        view: QAbstractItemView,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> bool:
        """Show the cell's own tip, and its whole text if that did not fit; both as plain text."""
        if event.type() != QEvent.Type.ToolTip:
            return super().helpEvent(event, view, option, index)
        text = self.tip_of(view, option.rect, index)
        if text:
            QToolTip.showText(event.globalPos(), plain_tip(text), view)
        else:
            QToolTip.hideText()
        return bool(text)

    def tip_of(self, view: QWidget, rect: QRect, index: QModelIndex | QPersistentModelIndex) -> str:
        """The tooltip of the cell painted in `rect`; empty if there is nothing to add."""
        model, row = index.model(), index.data(ROW_ROLE)
        if not isinstance(model, TableModel) or row is None:
            return ""
        column: Column[Any] = model.rows.columns[index.column()]
        tip = str(index.data(Qt.ItemDataRole.ToolTipRole) or "")
        text = column.shows(row)
        assert isinstance(view, RowView)
        room = self._inner(view, rect, index.column()).width()
        room -= 18 if column.kind == "swatch" else 0
        room -= 20 if column.icon is not None and column.icon(row) else 0
        if column.kind == "bar" or self._measure(column, row).horizontalAdvance(text.replace("\n", " ")) <= room:
            return tip
        return text if tip in ("", text) else f"{text}\n{tip}"

    @staticmethod
    def _inner(view: RowView, rect: QRect, column: int) -> QRect:
        first, last = view.edges()
        return rect.adjusted(EDGE if column == first else 8, 0, -EDGE if column == last else -8, 0)

    @staticmethod
    def _weight(column: Column[Any], row: Any) -> QFont.Weight:
        bold = column.bold(row) if callable(column.bold) else column.bold
        return QFont.Weight.DemiBold if bold else QFont.Weight.Normal

    def _measure(self, column: Column[Any], row: Any) -> QFontMetrics:
        return metrics(12, fixed=True) if column.kind == "fixed" else metrics(13, self._weight(column, row))

    def _text(self, painter: QPainter, rect: QRect, column: Column[Any], row: Any) -> None:
        name = (column.colour(row) if column.colour else None) or "text"
        left = rect.left()
        if column.kind == "swatch":
            painter.fillRect(QRect(left, rect.center().y() - 5, 10, 10), QColor(name))
            left += 18
            name = "text"
        symbol = column.icon(row) if column.icon else None
        if symbol:
            tint = name if column.kind == "status" else "text2"
            painter.drawPixmap(
                left, rect.center().y() - 6, pixmap(symbol, tint, 14, painter.device().devicePixelRatioF())
            )
            left += 20
        fixed = column.kind == "fixed"
        painter.setFont(fixed_font(12) if fixed else sized_font(13, self._weight(column, row)))
        painter.setPen(theme().ink(name))
        place = QRect(left, rect.top(), rect.right() - left + 1, rect.height())
        text = column.shows(row).replace("\n", " ")
        if len(text) * WIDEST > place.width() or not text.isascii():
            right = Qt.TextElideMode.ElideLeft if column.cut == "left" else Qt.TextElideMode.ElideRight
            mode = Qt.TextElideMode.ElideMiddle if fixed else right
            text = self._measure(column, row).elidedText(text, mode, place.width())
        painter.drawText(place, RIGHT if column.align == "right" else LEFT, text)

    def _bar(self, painter: QPainter, rect: QRect, column: Column[Any], row: Any, *, marked: bool) -> None:
        """`marked`: on a selected row, or one under the pointer, whose ground has nearly the track's own colour."""
        value = column.value(row)
        words = QRect(rect)
        if isinstance(value, int | float):
            track = QRect(rect.left(), rect.center().y() - 3, 40, 7)
            painter.fillRect(track, theme().ink("border_mid" if marked else "select_off"))
            share = max(0.0, min(1.0, float(value) / 100))
            painter.fillRect(
                QRect(track.left(), track.top(), round(track.width() * share), track.height()),
                theme().colour((column.colour(row) if column.colour else None) or "text2"),
            )
        words.setLeft(rect.left() + 44)
        painter.setFont(sized_font(13))
        painter.setPen(theme().colour("text" if value is not None else "text3"))
        painter.drawText(words, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter), column.shows(row))

    def _spark(self, painter: QPainter, rect: QRect, column: Column[Any], row: Any) -> None:
        """A line without axes, from 0; the value is a sequence of numbers, oldest first.

        OPTIMISATION: the area below is a polygon with hard edges; Qt takes 3.4 ms to fill a smooth path of 60 points,
        which is 85 ms for a table of 25 rows."""
        series = [float(v) for v in (column.value(row) or ())]
        if len(series) < 2:
            return
        area = rect.adjusted(0, 4, 0, -5)
        top = max(series) or 1.0
        step = area.width() / (len(series) - 1)
        points = [
            QPointF(area.left() + number * step, area.bottom() - value / top * area.height())
            for number, value in enumerate(series)
        ]
        colour = theme().colour((column.colour(row) if column.colour else None) or "text3", 0.14)
        smooth = painter.testRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour)
        foot = [QPointF(area.right(), area.bottom() + 1), QPointF(area.left(), area.bottom() + 1)]
        painter.drawPolygon(QPolygonF([*points, *foot]))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, smooth)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(theme().colour((column.colour(row) if column.colour else None) or "text3"), 1.25))
        painter.drawPolyline(QPolygonF(points))

    def _interval(self, painter: QPainter, rect: QRect, column: Column[Any], row: Any) -> None:
        """(low, value, high) in per cent on a scale from 99 to 100; an arrow head if it extends further down."""
        value = column.value(row)
        if not value:
            return
        low, middle, high = (float(v) for v in value)
        span = rect.adjusted(4, 0, -4, 0)

        def x(per_cent: float) -> float:
            return span.left() + max(0.0, min(1.0, per_cent - 99.0)) * span.width()

        name = (column.colour(row) if column.colour else None) or "ok"
        painter.setPen(QPen(theme().colour(name), 1.25))
        y = rect.center().y() + 0.5
        painter.drawLine(round(x(low)), round(y), round(x(high)), round(y))
        if low < 99.0:
            painter.drawLine(round(x(low)), round(y), round(x(low)) + 4, round(y) - 3)
            painter.drawLine(round(x(low)), round(y), round(x(low)) + 4, round(y) + 3)
        else:
            painter.drawLine(round(x(low)), round(y) - 4, round(x(low)), round(y) + 4)
        painter.setBrush(theme().colour(name))
        painter.drawEllipse(QPoint(round(x(middle)), round(y)), 3, 3)


class Header(QHeaderView):
    """Column titles aligned like their cells, with a chevron beside the title of the sorted column."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setSectionsClickable(True)
        self.setHighlightSections(False)
        self.setSectionsMovable(True)
        self.setMinimumSectionSize(32)
        self.setFixedHeight(ROW_HEIGHT)

    def paintSection(self, painter: QPainter, rect: QRect, logicalIndex: int) -> None:
        model = self.model()
        if not isinstance(model, TableModel):
            return
        look = theme()
        column = model.rows.columns[logicalIndex]
        place = self.visualIndex(logicalIndex)
        last = all(self.isSectionHidden(self.logicalIndex(p)) for p in range(place + 1, self.count()))
        inner = rect.adjusted(EDGE if place == 0 else 8, 0, -EDGE if last else -8, 0)
        sorted_here = self.sortIndicatorSection() == logicalIndex
        painter.save()
        painter.fillRect(rect, look.colour("raised"))
        painter.setPen(look.colour("border"))
        painter.drawLine(rect.topLeft(), rect.topRight())
        painter.drawLine(rect.bottomLeft(), rect.bottomRight())
        font = sized_font(12, QFont.Weight.Medium)
        painter.setFont(font)
        painter.setPen(look.colour("text" if sorted_here else "text2"))
        room = inner.width() - (16 if sorted_here else 0)
        text = QFontMetrics(font).elidedText(column.title, Qt.TextElideMode.ElideRight, room)
        width = QFontMetrics(font).horizontalAdvance(text) + (16 if sorted_here else 0)
        left = inner.left() if column.align == "left" else inner.right() - width + 1
        painter.drawText(
            QRect(left, rect.top(), width, rect.height()),
            int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter),
            text,
        )
        if sorted_here:
            chevron = "down" if self.sortIndicatorOrder() == Qt.SortOrder.DescendingOrder else "up"
            scale = painter.device().devicePixelRatioF()
            painter.drawPixmap(left + width - 12, rect.center().y() - 5, pixmap(chevron, "text", 12, scale))
        painter.restore()


class RowView(QTableView):
    """A table view that highlights the whole row under the pointer. `resized` follows each change of its size."""

    resized = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.hovered = -1
        self.anything_selected = False
        self._edges: tuple[int, int] | None = None
        self._by_keys = False
        """Whether it has the focus, and not by a click: it then has a ring."""
        self.setMouseTracking(True)
        self.entered.connect(lambda index: self._hover(index.row()))
        self.viewportEntered.connect(lambda: self._hover(-1))

    def edges(self) -> tuple[int, int]:
        """The leftmost and rightmost columns as painted."""
        if self._edges is None:
            header = self.horizontalHeader()
            order = [header.logicalIndex(place) for place in range(header.count())]
            shown = [number for number in order if not header.isSectionHidden(number)]
            self._edges = (order[0], shown[-1]) if shown else (-1, -1)
        return self._edges

    def paintEvent(self, event: QPaintEvent) -> None:
        self._edges = None
        super().paintEvent(event)
        if self._by_keys:
            paint_ring(self.viewport())

    def focusInEvent(self, event: QFocusEvent) -> None:
        self._by_keys = event.reason() != Qt.FocusReason.MouseFocusReason
        super().focusInEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self._by_keys = False
        super().focusOutEvent(event)

    def selectionChanged(self, selected: QItemSelection, deselected: QItemSelection) -> None:
        super().selectionChanged(selected, deselected)
        self.anything_selected = self.selectionModel().hasSelection()

    def _hover(self, row: int) -> None:
        if row != self.hovered:
            before, self.hovered = self.hovered, row
            for number in (before, row):
                if number >= 0:
                    top = self.rowViewportPosition(number)
                    self.viewport().update(0, top, self.viewport().width(), ROW_HEIGHT)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.resized.emit()

    def viewportEvent(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Leave:
            self._hover(-1)
        return super().viewportEvent(event)


class Table(QWidget):
    """A filterable table with its bar. `activated` carries a row on double click or Enter; `selected` on selection."""

    activated = Signal(object)
    selected = Signal(object)

    def __init__(
        self,
        name: str,
        title: str,
        columns: Sequence[Column[Any]],
        key: Callable[[Any], object],
        *,
        hint: str = "",
        empty: Empty | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._name = name
        self.model: TableModel[Any] = TableModel(Rows(columns, key), self)
        self._empty = empty
        self._selected_key: object = None
        self._folded: set[int] = set()
        self._absent: set[int] = set()
        """Columns that are left out because no row has anything in them."""
        self._sized: set[int] = set()
        """Columns that the user has made wider or narrower."""
        self._kept: set[int] = set()
        """Columns that the user has chosen: they stay even when there is little room."""

        self.title = label(title, "section")
        self.counts = label("", "secondary")
        self.filter_box = FilterBox(self.model.rows)
        self.filter_box.setPlaceholderText(f"Filter, e.g. {hint}" if hint else "Filter")
        self.filter_box.setAccessibleName(f"Filter {title}")
        self.filter_box.setFixedWidth(240)
        self.filter_box.setClearButtonEnabled(True)
        self.filter_box.textChanged.connect(self._filter_changed)
        self.filter_box.left.connect(self._focus_rows)
        self._filter_error = Elided("", "error")
        self.saved_button = SavedFilters(name, title, self.filter_box)
        self.columns_button = QPushButton()
        self.columns_button.setFixedSize(28, 28)
        self.columns_button.setProperty("kind", "icon")
        self.columns_button.setAccessibleName(f"Choose columns of {title}")
        self.columns_button.setToolTip("Choose columns")
        self.columns_button.clicked.connect(self._choose_columns)

        self.bar_holder = QWidget()
        self.bar = QHBoxLayout(self.bar_holder)
        self.bar.setContentsMargins(EDGE, 4, EDGE, 4)
        self.bar.setSpacing(8)
        self.bar.addWidget(self.title)
        self.bar.addWidget(self.counts)
        self.bar.addStretch(1)
        self.bar.addWidget(self._filter_error)
        self.bar.addWidget(self.filter_box)
        self.bar.addWidget(self.saved_button)
        self.bar.addWidget(self.columns_button)

        self.view = RowView()
        self.view.setAccessibleName(title)
        self.view.setModel(self.model)
        self.view.setItemDelegate(CellDelegate(self.view))
        self.view.setShowGrid(False)
        self.view.setWordWrap(False)
        self.view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.view.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.view.setTabKeyNavigation(False)
        # Always there: one that came with the 20th row would take its 8 px from the columns, which would jump.
        self.view.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.view.verticalScrollBar().rangeChanged.connect(self._range_changed)
        self.view.verticalScrollBar().setEnabled(False)
        self.view.verticalHeader().hide()
        self.view.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        self.view.verticalHeader().setMinimumSectionSize(ROW_HEIGHT)
        header = Header(self.view)
        self.view.setHorizontalHeader(header)
        for number, column in enumerate(columns):
            self.view.setColumnWidth(number, column.width)
            self.view.setColumnHidden(number, not column.shown)
            if column.stretch:
                header.setSectionResizeMode(number, QHeaderView.ResizeMode.Stretch)
        header.sectionResized.connect(self._resized_by_hand)
        header.setSortIndicatorShown(True)
        header.setSortIndicatorClearable(True)
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self.view.setSortingEnabled(True)
        self.view.doubleClicked.connect(self._activate)
        self.view.resized.connect(self._fit_columns)
        self.view.installEventFilter(self)
        self.view.selectionModel().selectionChanged.connect(self._selection_changed)
        self.model.modelAboutToBeReset.connect(self._remember_selection)
        self.model.modelReset.connect(self._restore_selection)
        self.model.counts_changed.connect(self._show_empty)

        self._empty_panel = QWidget(self.view)
        self._empty_layout = QVBoxLayout(self._empty_panel)
        self._empty_layout.setContentsMargins(0, 0, 0, 0)

        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.bar_holder)
        layout.addWidget(self.view, 1)

        copy = QAction("Copy rows", self)
        copy.setShortcut(QKeySequence(QKeySequence.StandardKey.Copy))
        copy.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        copy.triggered.connect(self.copy_rows)
        self.view.addAction(copy)
        theme().follow(self._theme_changed)
        self._theme_changed()
        self.restore()
        self._show_empty()

    # ---- for pages

    def set_rows(self, rows: Sequence[Any]) -> None:
        """Show these rows; selection and scroll position follow their rows."""
        self.model.replace(rows)

    def add_rows(self, rows: Sequence[Any]) -> None:
        """Show more rows, after all others."""
        self.model.add(rows)

    def set_counts(self, text: str) -> None:
        """Set the words after the title."""
        if self.counts.text() != text:
            self.counts.setText(text)

    def set_empty(self, empty: Empty) -> None:
        """Set what to show while there are no rows."""
        if empty != self._empty:
            self._empty = empty
            self._show_empty()

    def current(self) -> Any | None:
        """The row under the cursor, if one is selected."""
        rows = self.view.selectionModel().selectedRows()
        return self.model.row_at(rows[0]) if rows else None

    def selection(self) -> list[Any]:
        """All selected rows, in view order."""
        indexes = sorted(self.view.selectionModel().selectedRows(), key=lambda index: index.row())
        return [row for row in (self.model.row_at(index) for index in indexes) if row is not None]

    def select_key(self, key: object) -> None:
        """Select and show the row with that key, if it is visible."""
        index = self.model.index_of(key)
        if index.isValid():
            self.view.selectRow(index.row())
            self.view.scrollTo(index)

    def sort_by(self, key: str, *, descending: bool = False) -> None:
        """Sort by the column with that key."""
        number = next(n for n, column in enumerate(self.model.rows.columns) if column.key == key)
        order = Qt.SortOrder.DescendingOrder if descending else Qt.SortOrder.AscendingOrder
        self.view.horizontalHeader().setSortIndicator(number, order)

    def set_absent(self, keys: Sequence[str]) -> None:
        """Leave these columns out: no row has anything in them. The user's own choice of columns is kept."""
        absent = {number for number, column in enumerate(self.model.rows.columns) if column.key in keys}
        for number in self._absent - absent:
            self.view.setColumnHidden(number, False)
        known = self._absent | self._folded
        self._absent = {number for number in absent if number in known or not self.view.isColumnHidden(number)}
        self._folded -= self._absent
        for number in self._absent:
            self.view.setColumnHidden(number, True)
        self._fit_columns()

    def suggest_width(self, key: str, text: str, most: int = 336, least: int = LEAST_SUGGESTED) -> None:
        """Make this column as wide as this text needs, within bounds, unless the user has chosen a width: what it does
        not need is the stretching column's."""
        number = next(n for n, column in enumerate(self.model.rows.columns) if column.key == key)
        if number in self._sized:
            return
        column = self.model.rows.columns[number]
        measure = metrics(12, fixed=True) if column.kind == "fixed" else metrics(13, QFont.Weight.DemiBold)
        wanted = measure.horizontalAdvance(text.replace("\n", " ")) + 2 * EDGE
        header = self.view.horizontalHeader()
        header.resizeSection(number, max(least, min(most, wanted)))
        self._fit_columns()

    def copy_rows(self) -> None:
        """Copy the selected rows (all, if none is selected) with headers, tab-separated, to the clipboard."""
        indexes = sorted(index.row() for index in self.view.selectionModel().selectedRows())
        chosen = indexes or list(range(len(self.model.rows.visible)))
        QGuiApplication.clipboard().setText(self.model.rows.as_tsv(chosen, self._visible_columns()))

    def focus_filter(self) -> None:
        """Put the cursor in the filter box, its text selected: typing replaces it."""
        self.filter_box.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.filter_box.selectAll()

    def height_for(self, rows: int) -> int:
        """The height in pixels with which exactly so many rows are visible."""
        bar = 0 if self.bar_holder.isHidden() else self.bar_holder.sizeHint().height()
        return bar + self.view.horizontalHeader().height() + rows * ROW_HEIGHT + 2 * self.view.frameWidth()

    # ---- remembered between starts

    def remember(self, settings: QSettings) -> None:
        """Write widths, order, hidden columns and the filter to these settings."""
        settings.setValue(f"table/{self._name}/filter", self.filter_box.text())
        for name, numbers in (("kept", self._kept), ("sized", self._sized)):
            keys = " ".join(self.model.rows.columns[n].key for n in numbers)
            settings.setValue(f"table/{self._name}/{name}", keys)
        self._unfold()  # columns hidden for lack of room, or of anything to show, were not hidden by the user
        settings.setValue(f"table/{self._name}/header", self.view.horizontalHeader().saveState())
        for number in self._absent:
            self.view.setColumnHidden(number, True)
        self._fit_columns()

    def restore(self) -> None:
        """Restore them; a state with another version's columns is ignored."""
        self.filter_box.setText(str(QSettings().value(f"table/{self._name}/filter", "")))
        self._kept, self._sized = self._columns_of("kept"), self._columns_of("sized")
        state = QSettings().value(f"table/{self._name}/header")
        header = self.view.horizontalHeader()
        if state is not None and header.count():
            before = header.count()
            header.restoreState(state)
            assert header.count() == before
            header.setFixedHeight(ROW_HEIGHT)

    def _columns_of(self, name: str) -> set[int]:
        keys = str(QSettings().value(f"table/{self._name}/{name}", "") or "").split()
        return {number for number, column in enumerate(self.model.rows.columns) if column.key in keys}

    # ---- inside

    def _range_changed(self, least: int, most: int) -> None:
        """A scroll bar with nothing to scroll is not seen: the theme leaves out its handle."""
        self.view.verticalScrollBar().setEnabled(most > least)

    def _focus_rows(self) -> None:
        self.view.setFocus(Qt.FocusReason.OtherFocusReason)

    def _resized_by_hand(self, number: int) -> None:
        if self.view.horizontalHeader().underMouse() and QGuiApplication.mouseButtons() & Qt.MouseButton.LeftButton:
            self.chose_width(number)

    def chose_width(self, number: int) -> None:
        """The user has made this column wider or narrower: it stays so."""
        self._sized.add(number)

    def _unfold(self) -> None:
        for number in (*self._folded, *self._absent):
            self.view.setColumnHidden(number, False)
        self._folded.clear()

    def _fit_columns(self) -> None:
        """Hide optional columns when there is no room for all; the stretching column takes the free space."""
        columns, header = self.model.rows.columns, self.view.horizontalHeader()
        shown = [n for n in range(len(columns)) if n in self._folded or not self.view.isColumnHidden(n)]
        shown = [n for n in shown if n not in self._absent]
        stretch = next((n for n in shown if columns[n].stretch), None)
        width = {n: columns[n].width if n == stretch or n in self._folded else header.sectionSize(n) for n in shown}
        room, needed = self.view.viewport().width(), sum(width.values())
        left_out: set[int] = set()
        for number in sorted(
            (n for n in shown if columns[n].fold and n not in self._kept), key=lambda n: columns[n].fold
        ):
            if needed <= room:
                break
            left_out.add(number)
            needed -= width[number]
        if stretch in left_out:
            stretch = None
        tight = stretch is not None and needed - width[stretch] + LEAST_STRETCH > room
        if stretch is not None and tight:  # before others are hidden: Qt would keep their room
            header.setSectionResizeMode(stretch, QHeaderView.ResizeMode.Interactive)
        for number in shown:
            if (number in left_out) != self.view.isColumnHidden(number):
                self.view.setColumnHidden(number, number in left_out)
        self._folded = left_out
        if stretch is not None:
            mode = QHeaderView.ResizeMode.Interactive if tight else QHeaderView.ResizeMode.Stretch
            if header.sectionResizeMode(stretch) != mode:
                header.setSectionResizeMode(stretch, mode)
            if tight:
                header.resizeSection(stretch, LEAST_STRETCH)

    def _visible_columns(self) -> list[int]:
        header = self.view.horizontalHeader()
        order = [header.logicalIndex(place) for place in range(header.count())]
        return [number for number in order if not self.view.isColumnHidden(number)]

    def _filter_changed(self, text: str) -> None:
        try:
            self.model.filter(text)
        except FilterError as error:
            self._filter_error.setText(str(error))
            self._mark_filter(invalid=True)
        else:
            self._filter_error.clear()
            self._mark_filter(invalid=False)

    def _mark_filter(self, *, invalid: bool) -> None:
        self.filter_box.setProperty("invalid", "true" if invalid else "false")
        self.filter_box.style().polish(self.filter_box)

    def _choose_columns(self) -> None:
        menu = QMenu(self)
        for number, column in enumerate(self.model.rows.columns):
            action = menu.addAction(column.title or column.key)
            action.setCheckable(True)
            action.setChecked(not self.view.isColumnHidden(number))
            action.toggled.connect(lambda on, number=number: self._show_column(number, on=on))
        menu.popup(self.columns_button.mapToGlobal(QPoint(0, self.columns_button.height())))

    def _show_column(self, number: int, *, on: bool) -> None:
        if on or len(self._visible_columns()) > 1:
            self._folded.discard(number)
            self._absent.discard(number)
            self._kept = self._kept | {number} if on else self._kept - {number}
            self.view.setColumnHidden(number, not on)
            self._fit_columns()
            self.remember(QSettings())

    def _activate(self, index: QModelIndex) -> None:
        row = self.model.row_at(index)
        if row is not None:
            self.activated.emit(row)

    def _selection_changed(self) -> None:
        row = self.current()
        self._selected_key = None if row is None else self.model.rows.key(row)
        self.selected.emit(row)

    def _remember_selection(self) -> None:
        row = self.current()
        self._selected_key = None if row is None else self.model.rows.key(row)
        self._scroll = self.view.verticalScrollBar().value()

    def _restore_selection(self) -> None:
        if self._selected_key is not None:
            index = self.model.index_of(self._selected_key)
            if index.isValid():
                self.view.selectRow(index.row())
            else:  # Qt drops the selection together with the rows, without a signal
                self._selected_key = None
                self.selected.emit(None)
        self.view.verticalScrollBar().setValue(self._scroll)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self.view:
            if event.type() == QEvent.Type.ContextMenu:
                assert isinstance(event, QContextMenuEvent)
                self._context_menu(event)
                return True
            if event.type() in (QEvent.Type.Resize, QEvent.Type.Show):
                self._place_empty()
            if event.type() == QEvent.Type.KeyPress and self._pressed(event):
                return True
        return super().eventFilter(watched, event)

    def _pressed(self, event: QEvent) -> bool:
        """Enter opens the current row."""
        assert isinstance(event, QKeyEvent)
        index = self.view.currentIndex()
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and index.isValid():
            self._activate(index)
            return True
        return False

    def _context_menu(self, event: QContextMenuEvent) -> None:
        index = self.view.indexAt(self.view.viewport().mapFrom(self.view, event.pos()))
        place = event.globalPos()
        if event.reason() == QContextMenuEvent.Reason.Keyboard:  # its position is none that anybody chose
            index = self.view.currentIndex()
            self.view.scrollTo(index)
            place = self.view.viewport().mapToGlobal(self.view.visualRect(index).bottomLeft())
        if not index.isValid():
            return
        self._menu_of(index).popup(place)

    def _menu_of(self, index: QModelIndex) -> QMenu:
        """What can be done with a cell, its row and its column."""
        column = self.model.rows.columns[index.column()]
        row = self.model.row_at(index)
        text = column.shows(row)
        clipboard = QGuiApplication.clipboard()
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction("Copy cell", lambda: clipboard.setText(text))
        menu.addAction("Copy row as JSON", lambda: clipboard.setText(self._row_json(index.row())))
        menu.addAction("Copy rows\tCtrl+C", self.copy_rows)
        menu.addSeparator()
        wanted = filter_word(column.name, text, exact=True)
        menu.addAction("Use as filter", lambda: self.filter_box.setText(wanted))
        menu.addSeparator()
        name, header, place = column.title or column.key, self.view.horizontalHeader(), index.column()
        for words, order in (
            ("smallest first", Qt.SortOrder.AscendingOrder),
            ("largest first", Qt.SortOrder.DescendingOrder),
        ):
            sort = menu.addAction(short_caption(f"Sort by {name}, {words}", 60))
            sort.triggered.connect(lambda _on=False, order=order: header.setSortIndicator(place, order))
        return menu

    def _row_json(self, number: int) -> str:
        return json.dumps(self.model.rows.as_dict(number), default=str, ensure_ascii=False)

    def _show_empty(self) -> None:
        rows = self.model.rows
        if rows.visible:
            self._empty_panel.hide()
            return
        shown = self._empty
        if rows.all and rows.filter_text:
            count = len(rows.all)
            shown = Empty(
                "filter",
                f"Hidden by the filter: {count:,} row{'' if count == 1 else 's'}",
                f"No row matches “{short_caption(rows.filter_text, 80)}”.",
                (("Clear", "x", self.filter_box.clear),),
                primary=False,
            )
        while self._empty_layout.count():
            item = self._empty_layout.takeAt(0)
            assert item is not None
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        if shown is None:
            self._empty_panel.hide()
            return
        self._empty_layout.addWidget(empty_widget(shown))
        self._place_empty()
        self._empty_panel.show()

    def _place_empty(self) -> None:
        header = self.view.horizontalHeader().height()
        self._empty_panel.setGeometry(0, header, self.view.width(), max(0, self.view.height() - header))

    def _theme_changed(self) -> None:
        self.columns_button.setIcon(icon("cols"))
        self.saved_button.setIcon(icon("star"))
        self._show_empty()
        self.view.viewport().update()


class EmptyPanel(QWidget):
    """An empty state; with little height it hides its picture, then the reason."""

    def __init__(self) -> None:
        super().__init__()
        self.spare: list[QWidget] = []
        """What to hide first, in this order."""

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        for widget in self.spare:
            widget.show()
        for widget in self.spare:
            if self.sizeHint().height() <= self.height():
                break
            widget.hide()

    def minimumSizeHint(self) -> QSize:
        return QSize(0, 0)


def empty_widget(empty: Empty) -> QWidget:
    """An empty state: icon, what is missing, why, and what to do."""
    panel = EmptyPanel()
    column = QVBoxLayout(panel)
    column.setContentsMargins(16, 4, 16, 4)
    column.setAlignment(Qt.AlignmentFlag.AlignCenter)
    column.setSpacing(8)
    picture = QLabel()
    picture.setPixmap(pixmap(empty.icon, "text3", 32, 2.0))
    picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
    column.addWidget(picture)
    panel.spare.append(picture)
    title = label(empty.title, "section")
    title.setAlignment(Qt.AlignmentFlag.AlignCenter)
    column.addWidget(title)
    if empty.reason:
        reason = label(empty.reason, "secondary")
        reason.setAlignment(Qt.AlignmentFlag.AlignCenter)
        column.addWidget(reason)
        panel.spare.append(reason)
    if empty.actions:
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addStretch(1)
        for number, (text, symbol, action) in enumerate(empty.actions):
            row.addWidget(button(text, symbol, action, kind="primary" if number == 0 and empty.primary else ""))
        row.addStretch(1)
        column.addSpacing(8)
        column.addLayout(row)
    return panel
