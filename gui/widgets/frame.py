"""The window's frame: menu, rail, top bar, the stack of pages, status bar. It knows nothing about the pages.

Pages are added by name with their rail icon and key; `go` shows one. Actions are in menus with their keys; the rail,
the top bar and the command palette only call them. Geometry, the open page and splitters survive a restart, even when
a monitor was removed: a window that would be outside every screen is put on one.

A page that needs more room than there is (a small screen, a large scale) is scrolled; the window is never larger than
its screen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QChildEvent, QEvent, QSettings, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QAction,
    QCloseEvent,
    QFont,
    QGuiApplication,
    QKeySequence,
    QPainter,
    QPaintEvent,
    QResizeEvent,
)
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMainWindow,
    QMenu,
    QPlainTextEdit,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QSplitter,
    QStackedWidget,
    QTextEdit,
    QVBoxLayout,
    QWidget,
)

from gui.widgets.icons import icon, pixmap
from gui.widgets.palette import Palette
from gui.widgets.parts import Badge, Elided, FocusRing, MenuButton, button, line, plain_tip, short_caption
from gui.widgets.sheet import Sheet
from gui.widgets.shortcuts import KeyGroup, key_of, name_of, page_actions, page_keys
from gui.widgets.taborder import step_focus
from gui.widgets.theme import sized_font, theme

WORKSPACE_TIP = "Workspace: the database of plans and runs"
LEAST_SIZE = (600, 340)
"""Half of 1280 × 720 (a screen at 200 %), less what a desktop needs for itself."""
FIRST_SIZE = (1440, 900)
TITLE_BAR = 36
"""What the desktop adds to the window at its top, about."""
WORDS_FROM = 1000
"""Least width at which the buttons of the top bar have words."""
COPY_COMMAND = "Copy as command"
LEAST_BAR = 480
RAIL_WIDTH = 72
ITEM_HEIGHT, LEAST_ITEM = 56, 30
"""Pixels of a rail item; with little room its word is left out."""


@dataclass(frozen=True, slots=True)
class StatusPart:
    """One field of the status bar."""

    symbol: str
    text: str
    colour: str = "text2"
    tip: str = ""


class RailButton(QPushButton):
    """A rail item: icon over word, with an accent bar at the left while its page is open."""

    def __init__(self, symbol: str, text: str, key: str) -> None:
        super().__init__()
        self._symbol, self._text = symbol, text
        self.setCheckable(True)
        self.setAutoExclusive(True)
        self.setFixedWidth(RAIL_WIDTH)
        self.setMinimumHeight(LEAST_ITEM)
        self.setMaximumHeight(ITEM_HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)
        self.setAccessibleName(text)
        self.setToolTip(f"{text}  {key}" if key else text)
        theme().follow(self.update)

    def sizeHint(self) -> QSize:
        return QSize(RAIL_WIDTH, ITEM_HEIGHT)

    def minimumSizeHint(self) -> QSize:
        return QSize(RAIL_WIDTH, LEAST_ITEM)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        look = theme()
        painter = QPainter(self)
        on = self.isChecked()
        if on:
            painter.fillRect(self.rect(), look.colour("select"))
            painter.fillRect(0, 0, 3, self.height(), look.colour("accent_text"))
        elif self.underMouse():
            painter.fillRect(self.rect(), look.colour("hover"))
        name = "accent_text" if on else ("text2" if self.isEnabled() else "text3")
        scale = self.devicePixelRatioF()
        words = self.height() >= ITEM_HEIGHT - 8
        top = (self.height() - 36) // 2 if words else (self.height() - 20) // 2
        painter.drawPixmap((self.width() - 20) // 2, top, pixmap(self._symbol, name, 20, scale))
        if words:
            painter.setFont(sized_font(11, QFont.Weight.Medium if on else QFont.Weight.Normal))
            painter.setPen(look.colour(name))
            painter.drawText(0, top + 22, self.width(), 16, int(Qt.AlignmentFlag.AlignCenter), self._text)
        if self.hasFocus():
            pen = painter.pen()
            pen.setColor(look.colour("focus"))
            pen.setWidth(2)
            painter.setPen(pen)
            painter.drawRect(self.rect().adjusted(1, 1, -1, -1))


class PageStack(QStackedWidget):
    """The pages. It asks for the room of the page that is shown, not for that of the largest."""

    def minimumSizeHint(self) -> QSize:
        shown = self.currentWidget()
        if shown is None:
            return QSize(0, 0)
        return shown.minimumSizeHint().expandedTo(shown.minimumSize())

    def sizeHint(self) -> QSize:
        return self.minimumSizeHint()


class Frame(QMainWindow):
    """The main window. `closing` is emitted once, when the user closes it; the program then ends its work."""

    closing = Signal()
    first_painted = Signal()
    page_shown = Signal(str)
    look_changed = Signal()
    """Zoom or writing were set to something else in the settings."""

    def __init__(self) -> None:
        super().__init__()
        self.may_close: Callable[[], bool] = _always
        """Whether the user may close the window now."""
        self.setObjectName("frame")
        self.setMinimumSize(*LEAST_SIZE)
        self._fit_screen()
        self.setWindowTitle("Tally")
        self._painted = False
        self._workspace_name = ""
        self.workspace_where = ""
        """Where the database of the open workspace is; empty while none is open."""
        self._pages: dict[str, QWidget] = {}
        self._under: dict[str, str] = {}
        self._titles: dict[str, str] = {}
        self._rail_buttons: dict[str, RailButton] = {}
        self._menus: dict[str, QMenu] = {}
        self.actions_by_name: dict[str, QAction] = {}

        for title in ("File", "Edit", "View", "Plan", "Run", "Fleet", "Tools"):
            self._menus[title] = self.menuBar().addMenu(f"&{title}")
        self.page_menu = self.menuBar().addMenu("P&age")
        self.page_menu.aboutToShow.connect(self._fill_page_menu)
        self._no_keys = QAction("No keys of its own", self)
        self._no_keys.setEnabled(False)
        self._menus["Help"] = self.menuBar().addMenu("&Help")

        self._rail_holder = rail = QWidget()
        rail.setObjectName("rail")
        rail.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        rail.setFixedWidth(RAIL_WIDTH)
        self._rail = QVBoxLayout(rail)
        self._rail.setContentsMargins(0, 4, 0, 4)
        self._rail.setSpacing(0)
        self._rail.addStretch(1)

        self._top = top = QWidget()
        top.setObjectName("topbar")
        top.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        top.setFixedHeight(48)
        top.setMinimumWidth(LEAST_BAR)  # less than its words need: they are left out once the window is narrow
        bar = QHBoxLayout(top)
        bar.setContentsMargins(16, 0, 16, 0)
        bar.setSpacing(8)
        self.workspace_button = MenuButton("No workspace", "db")
        self.workspace_button.setToolTip(WORKSPACE_TIP)
        self.workspace_button.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self.workspace_menu = QMenu(self.workspace_button)
        self.workspace_menu.setToolTipsVisible(True)
        self.workspace_button.setMenu(self.workspace_menu)
        self.palette_box = Palette()
        self.run_state = Badge()
        self.run_state.hide()
        self.copy_command = button(COPY_COMMAND, "term", kind="plain")
        self.run_button = button("Run", "play", kind="run")
        self.pause_button = button("Pause", "pause")
        self.stop_button = button("Stop", "stop")
        self._pause_word = "Pause"
        self._run_word = "Run"
        self._stop_word = "Stop"
        self._running = False
        for widget in (self.copy_command, self.run_button, self.pause_button, self.stop_button):
            widget.setAccessibleName(widget.text())
        bar.addWidget(self.workspace_button)
        bar.addStretch(1)
        bar.addWidget(self.palette_box, 4)
        bar.addStretch(1)
        bar.addWidget(self.run_state)
        bar.addWidget(self.copy_command)
        bar.addWidget(self.run_button)
        bar.addWidget(self.pause_button)
        bar.addWidget(self.stop_button)
        self.pause_button.hide()

        self.stack = PageStack()
        self.stack.setObjectName("pages")
        self.page_area = QScrollArea()
        self.page_area.setObjectName("pagearea")
        self.page_area.setFrameShape(QFrame.Shape.NoFrame)
        self.page_area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.page_area.setWidgetResizable(True)
        self.page_area.setWidget(self.stack)
        right = QWidget()
        column = QVBoxLayout(right)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(top)
        column.addWidget(self.page_area, 1)
        self._foot = QWidget()
        foot = QVBoxLayout(self._foot)
        foot.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._foot)
        middle = QWidget()
        row = QHBoxLayout(middle)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(rail)
        row.addWidget(right, 1)
        self.setCentralWidget(middle)

        self._status_holder = QWidget()
        self._status_row = QHBoxLayout(self._status_holder)
        self._status_row.setContentsMargins(16, 0, 0, 0)
        self._status_row.setSpacing(8)
        self._status_row.addStretch(1)
        self._status_parts: list[tuple[QFrame, QLabel, Elided]] = []
        self._shown_status: tuple[StatusPart, ...] = ()
        self._problem_count = 0
        self.statusBar().setFixedHeight(28)
        self.statusBar().setSizeGripEnabled(False)
        self.statusBar().addWidget(self._status_holder, 1)
        self.problems_button = button(
            "No problems", "ok", kind="plain", tip="Problems: what went wrong, and what to do"
        )
        self.statusBar().addPermanentWidget(self.problems_button)
        theme().follow(self._restyle)
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        application.focusChanged.connect(self.palette_box.remember_focus)

    # ---- building

    def add_page(
        self, name: str, widget: QWidget, *, title: str = "", key: str = "", place: str = "", under: str = ""
    ) -> None:
        """Add a page. For an existing name, this widget replaces the earlier one: the window is painted before all of
        its pages are made. `place`: "rail" or "foot" for a button there, in the order of adding; with these and "menu"
        the page is also in the menu View, with its key. `under`: the page whose button is marked for an inner one."""
        for area in widget.findChildren(QScrollArea):
            # Its fields scroll it when the focus moves; only one without any is a stop of Tab, to be scrolled by keys.
            if any(part.focusPolicy() & Qt.FocusPolicy.TabFocus for part in area.findChildren(QWidget)):
                area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            elif area.focusPolicy() & Qt.FocusPolicy.TabFocus:
                FocusRing(area)
                area.setAccessibleName(area.accessibleName() or f"Text of {title or name}")
        before = self._pages.get(name)
        self._pages[name] = widget
        self.stack.addWidget(widget)
        if before is not None:
            if self.stack.currentWidget() is before:
                self.stack.setCurrentWidget(widget)
            self.stack.removeWidget(before)
            before.deleteLater()
            return
        self._under[name] = under or name
        self._titles[name] = title
        if place not in ("rail", "foot", "menu"):
            return
        if place in ("rail", "foot"):
            item = RailButton(name, title, key)
            item.clicked.connect(lambda: self.go(name))
            self._rail_buttons[name] = item
            above = sum(button.property("place") == "rail" for button in self._rail_buttons.values())
            item.setProperty("place", place)
            self._rail.insertWidget(above if place == "rail" else self._rail.count(), item)
        self.add_action("View", f"page-{name}", title, key, lambda: self.go(name)).setProperty("symbol", name)

    def add_action(
        self, menu: str, name: str, text: str, key: str, call: Callable[[], object], *, symbol: str = ""
    ) -> QAction:
        """Add an action to a menu, with its key; it is kept as ``actions_by_name[name]``."""
        action = QAction(text, self)
        action.setProperty("own_key", key)
        kept = QSettings().value(f"shortcuts/{name}")
        action.setShortcut(QKeySequence(key if kept is None else str(kept)))
        if symbol:
            action.setIcon(icon(symbol))
        action.setProperty("menu", menu)
        action.setProperty("symbol", symbol)
        action.triggered.connect(lambda _checked=False: call())
        self._menus[menu].addAction(action)
        self.actions_by_name[name] = action
        return action

    def add_separator(self, menu: str) -> None:
        self._menus[menu].addSeparator()

    def add_foot(self, widget: QWidget) -> None:
        """Add a bar under the pages; while it is shown they have less room, and nothing is covered."""
        layout = self._foot.layout()
        assert layout is not None
        layout.addWidget(widget)

    # ---- using

    def parts_to_dress(self) -> list[QWidget]:
        """See `gui.widgets.dress`: bars, docks, dialogs, sheets, and each page."""
        mine = [child for child in self.children() if isinstance(child, QWidget) and child is not self.centralWidget()]
        bars = [self.page_area.verticalScrollBar(), self.page_area.horizontalScrollBar()]
        sheets = self.page_area.findChildren(Sheet, options=Qt.FindChildOption.FindDirectChildrenOnly)
        return [*mine, self._rail_holder, self._top, self._foot, *bars, *sheets, *self._pages.values()]

    def key_groups(self) -> list[KeyGroup]:
        """The keys of all actions by menu, and of what stands on the page that is shown."""
        groups, taken = [], set()
        for title, menu in self._menus.items():
            named = [action for action in menu.actions() if key_of(action)]
            taken |= {key_of(action) for action in named}
            groups.append(KeyGroup(title, tuple((name_of(action), key_of(action)) for action in named)))
        return [*groups, page_keys(self.stack.currentWidget(), taken)]

    def page_actions(self) -> list[QAction]:
        """What can be done by keys on the page that is shown, besides what the other menus have."""
        return page_actions(self.stack.currentWidget())

    def _fill_page_menu(self) -> None:
        for action in self.page_menu.actions():  # not `clear`: it would delete what belongs to the page
            self.page_menu.removeAction(action)
        self.page_menu.addActions(self.page_actions() or [self._no_keys])

    def title_of(self, page: str) -> str:
        """The title of this page; empty for one without a title."""
        return self._titles.get(page, "")

    def show_workspace(self, name: str = "", where: str = "") -> None:
        """Show which workspace is open and where its database is; without a name, none is open."""
        self._workspace_name = name
        self._fit_top_bar()
        self.workspace_button.setToolTip(plain_tip(f"{name}\n{where}") if name else WORKSPACE_TIP)
        self.workspace_where = where if name else ""
        self.setWindowTitle(f"Tally – {name}" if name else "Tally")

    def go(self, name: str) -> None:
        """Show this page."""
        widget = self._pages[name]
        theme().wardrobe.dress_now(widget)
        self.stack.setCurrentWidget(widget)
        self.stack.updateGeometry()
        for other, item in self._rail_buttons.items():
            item.setAutoExclusive(False)  # or one would stay marked while a page without a button is shown
            item.setChecked(other == self._under[name])
            item.setAutoExclusive(True)
        self.page_shown.emit(name)

    def remembered_page(self) -> str:
        """The page that was open when the window was last closed; empty if there was none."""
        name = str(QSettings().value("window/page", ""))
        return name if name in self._rail_buttons else ""

    def current_page(self) -> str:
        shown = self.stack.currentWidget()
        return next((name for name, widget in self._pages.items() if widget is shown), "")

    def set_status(self, parts: tuple[StatusPart, ...]) -> None:
        """Set the fields of the status bar, left to right."""
        if parts == self._shown_status:
            return
        self._shown_status = parts
        while len(self._status_parts) < len(parts):
            end = self._status_row.count() - 1  # before the stretch
            divider, picture, words = line("vertical"), QLabel(), Elided("", "caption", least=48)
            for place, widget in enumerate((divider, picture, words)):
                self._status_row.insertWidget(end + place, widget)
            self._status_parts.append((divider, picture, words))
        for number, widgets in enumerate(self._status_parts):
            for widget in widgets:
                widget.setVisible(number < len(parts) and (number > 0 or widget is not widgets[0]))
        for (_divider, picture, words), part in zip(self._status_parts, parts, strict=False):
            picture.setPixmap(pixmap(part.symbol, part.colour, 14, 2.0))
            words.setText(part.text)
            words.setToolTip(plain_tip(part.tip))

    def set_problems(self, count: int) -> None:
        """Show the number of problems in the status bar."""
        self._problem_count = count
        word = "No problems" if not count else f"Problems  {count}"
        self.problems_button.setText(word)
        self.problems_button.show_icon(*(("warn", "warn") if count else ("ok", "text2")))

    def can_run(self, can: bool, *, what: str = "", tip: str = "") -> None:
        """Whether there is a plan that can be run, `what` its name is, and what Run says of it."""
        self.run_button.setEnabled(can)
        self._run_word = f"Run {what}".strip()
        self.run_button.setToolTip(tip)
        self._fit_top_bar()

    def show_run(self, text: str, *, running: bool, ending: str = "", paused: bool = False) -> None:
        """Update the run controls: the progress of a run under way, or what starts one. `ending`: it is ``stopping``
        after its round, so that Stop now aborts it, or ``aborting``; `paused`: nothing is asked until it is resumed."""
        self.run_state.setVisible(running)
        self.pause_button.setVisible(running)
        self.pause_button.setEnabled(running and not ending)
        self._pause_word = "Resume" if paused else "Pause"
        self.pause_button.setAccessibleName(self._pause_word)
        self.pause_button.show_icon("play" if paused else "pause", "text")
        self.pause_button.setToolTip(
            "Go on with the run" if paused else "Ask for nothing more until it is resumed; what was handed out is made"
        )
        if paused and not ending:
            self.run_state.set_state("pause", f"{text or 'Run'} · paused", "warn")
        elif ending:
            words = "stopping after this round" if ending == "stopping" else "aborting"
            self.run_state.set_state("stop", f"{text or 'Run'} · {words}", "mute")
        else:
            self.run_state.set_state("run", text or "running", "info")
        self._stop_word = "Abort" if ending else "Stop"
        self._fit_top_bar()
        began, self._running = running and not self._running, running
        if began:
            self._focus_page()
        for widget in (self.copy_command, self.run_button):
            widget.setVisible(not running)
        self.stop_button.setEnabled(running and ending != "aborting")

    def _focus_page(self) -> None:
        """Give the keys to the page that is shown, whose Run was pressed or is about to vanish; who writes something
        goes on writing."""
        focus, page = QApplication.focusWidget(), self.stack.currentWidget()
        writes = focus is not None and focus.isVisible() and isinstance(focus, QLineEdit | QPlainTextEdit | QTextEdit)
        if page is not None and not writes and (focus is None or focus.window() is self):
            page.setFocus(Qt.FocusReason.OtherFocusReason)

    def _restyle(self) -> None:
        self.set_problems(self._problem_count)
        shown, self._shown_status = self._shown_status, ()
        self.set_status(shown)

    # ---- surviving a restart

    def remember(self) -> None:
        """Write geometry, open page and splitters to the settings."""
        settings = QSettings()
        settings.setValue("window/geometry", self.saveGeometry())
        settings.setValue("window/page", self.current_page())
        for splitter in self.findChildren(QSplitter):
            if splitter.objectName():
                settings.setValue(f"splitter/{splitter.objectName()}", splitter.saveState())

    def restore(self) -> None:
        """Restore them; call it before the window is shown."""
        geometry = QSettings().value("window/geometry")
        if geometry is None or not self.restoreGeometry(geometry) or not self._on_a_screen():
            self._fit_screen()
        self.restore_splitters()

    def restore_splitters(self) -> None:
        """Restore the splitters of pages that came later."""
        settings = QSettings()
        for splitter in self.findChildren(QSplitter):
            state = settings.value(f"splitter/{splitter.objectName()}") if splitter.objectName() else None
            if state is not None:
                splitter.restoreState(state)

    def _fit_screen(self) -> None:
        """The first size: as large as there is room on the screen, in its middle."""
        room = self.screen().availableGeometry()
        width, height = min(FIRST_SIZE[0], room.width()), min(FIRST_SIZE[1], room.height() - TITLE_BAR)
        height = max(height, LEAST_SIZE[1])
        self.setGeometry(
            room.x() + (room.width() - width) // 2, room.y() + (room.height() - height) // 2, width, height
        )

    def _on_a_screen(self) -> bool:
        """Whether enough of the window is on one of the screens that there are to take hold of it."""
        if self.isMaximized() or self.isFullScreen():
            return True
        mine = self.geometry()
        for screen in QGuiApplication.screens():
            room = screen.availableGeometry()
            seen = room.intersected(mine)
            fits = mine.width() <= room.width() and mine.height() <= room.height()
            if fits and seen.width() >= min(200, mine.width()) and seen.height() >= min(100, mine.height()):
                return True
        return False

    def childEvent(self, event: QChildEvent) -> None:
        """A dialog that is shown for the first time gets the theme in force."""
        super().childEvent(event)
        child = event.child()
        if event.type() == QEvent.Type.ChildPolished and isinstance(child, QWidget):
            theme().wardrobe.dress_now(child)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit_top_bar()

    def _fit_top_bar(self) -> None:
        """With little room the buttons of the top bar have only their icons, and the workspace a shorter name."""
        wide = self.width() >= WORDS_FROM
        for widget, word in (
            (self.copy_command, COPY_COMMAND),
            (self.run_button, self._run_word if self.width() >= 1200 else "Run"),
            (self.pause_button, self._pause_word),
            (self.stop_button, self._stop_word),
        ):
            widget.set_caption(word if wide else "")
        name = short_caption(self._workspace_name, 48 if self.width() >= 1200 else 24 if wide else 10)
        self.workspace_button.setText(name or "No workspace")

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if not self._painted:
            self._painted = True
            QTimer.singleShot(0, self.first_painted.emit)  # after the children have painted

    def close_at_once(self) -> None:
        """Close without asking: a signal, or what was asked is decided."""
        self.may_close = _always
        self.close()

    def focusNextPrevChild(self, next: bool) -> bool:  # noqa: A002 - Qt's own name
        return step_focus(self, forward=next)

    def closeEvent(self, event: QCloseEvent) -> None:
        if not self.may_close():
            event.ignore()
            return
        self.remember()
        for dialog in self.findChildren(QDialog):  # else they would stay, and go on taking mouse and keys
            dialog.close()
        self.closing.emit()
        event.accept()


def _always() -> bool:
    return True
