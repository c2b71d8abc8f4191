"""Actions: the menus and the buttons of the frame, and what they call. A page adds its own actions itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Literal

from PySide6.QtCore import QPoint, QSettings, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QLineEdit

from gui.app.opening import Opening
from gui.app.running import Running
from gui.models.recent import Recent
from gui.pages.part import Part
from gui.pages.welcome.page import WelcomePage
from gui.pages.welcome.presenter import WelcomePresenter
from gui.runner.progress import Problem
from gui.widgets.frame import Frame
from gui.widgets.help import HelpSheet
from gui.widgets.icons import icon
from gui.widgets.locale import use_kept_writing
from gui.widgets.parts import plain_tip, short_caption
from gui.widgets.problems import ProblemsDock
from gui.widgets.shortcuts import ShortcutsSheet
from gui.widgets.table import Table
from gui.widgets.theme import theme
from gui.widgets.zoom import SETTING, kept_zoom, next_step, zoom


class Actions:
    """Fills the menus of a frame and connects its buttons."""

    def __init__(self, frame: Frame, problems: ProblemsDock) -> None:
        self._frame = frame
        self._problems = problems
        self._keys = ShortcutsSheet(frame.page_area)
        self._help = HelpSheet(frame.page_area)

    def connect_file(self, opening: Opening, try_here: Callable[[], object]) -> None:
        """Opening and closing. Before the pages: their actions follow in the same menus."""
        action = self._frame.add_action
        action("File", "new", "New workspace…", "Ctrl+Shift+N", opening.new, symbol="plus")
        action("File", "open", "Open workspace…", "Ctrl+O", opening.ask, symbol="folder")
        action("File", "open-hub", "Open a remote hub…", "Ctrl+Alt+O", opening.ask_hub, symbol="wire")
        action("File", "try", "Try it on this machine", "Ctrl+T", try_here, symbol="play")
        action("File", "leave", "Close workspace", "Ctrl+W", opening.leave, symbol="x")
        self._frame.add_separator("File")
        action("File", "quit", "Quit", "Ctrl+Q", self._frame.close)

    def connect_workspaces(self, recent: Callable[[], Iterable[Recent]], opening: Opening) -> None:
        """The menu of the workspace button: recent ones, opening and closing, and where the open one is."""
        menu = self._frame.workspace_menu

        def fill() -> None:
            menu.clear()
            where = self._frame.workspace_where
            for entry in recent():
                action = menu.addAction(short_caption(entry.name, 48))
                action.triggered.connect(lambda _on=False, where=entry.where: opening.open_named(where))
                action.setToolTip(plain_tip(entry.where))
                action.setCheckable(True)
                action.setChecked(entry.where == where)
            menu.addSeparator()
            named = self._frame.actions_by_name
            menu.addAction(named["new"])
            menu.addAction(named["open"])
            menu.addAction(named["open-hub"])
            if where:
                menu.addSeparator()
                place = menu.addAction(f"Copy where it is: {short_caption(where, 64)}")
                place.setIcon(icon("copy"))
                place.triggered.connect(lambda: QGuiApplication.clipboard().setText(where))
                menu.addAction(named["leave"])

        menu.aboutToShow.connect(fill)

    def connect_view(self, refresh: Callable[[], object]) -> None:
        """Theme, filter, Problems, palette, help. `refresh` reads again what the page shows."""
        frame, action = self._frame, self._frame.add_action
        action("Edit", "filter", "Filter the table", "Ctrl+F", self._focus_filter, symbol="filter")
        frame.add_separator("View")
        action("View", "light", "Light theme", "Ctrl+Alt+L", lambda: set_theme("light"))
        action("View", "dark", "Dark theme", "Ctrl+Alt+D", lambda: set_theme("dark"))
        action("View", "system", "Theme of the system", "Ctrl+Alt+S", lambda: set_theme("system"))
        action("View", "zoom-in", "Zoom in", "Ctrl++", lambda: self._zoom(1), symbol="plus")
        action("View", "zoom-out", "Zoom out", "Ctrl+-", lambda: self._zoom(-1))
        action("View", "zoom-reset", "Usual size", "Ctrl+0", lambda: self._zoom(0))
        frame.look_changed.connect(self._use_look)
        action("View", "refresh", "Refresh", "F5", refresh, symbol="refresh")
        action("View", "problems", "Problems", "Ctrl+P", self._toggle_problems, symbol="warn")
        action("Help", "help", "Help for this page", "F1", self._toggle_help, symbol="info")
        action("Help", "keys", "Keys", "?", self._toggle_keys, symbol="term")
        action("Help", "palette", "Search or do anything", "Ctrl+K", frame.palette_box.open_palette, symbol="search")
        frame.problems_button.clicked.connect(lambda: self._toggle_problems())
        frame.page_shown.connect(lambda _name: self._follow_page())
        self._problems.count_changed.connect(frame.set_problems)

    def connect_run(self, running: Running) -> None:
        """Stopping."""
        frame = self._frame
        frame.add_action("Run", "stop", "Stop, again: abort", "Ctrl+.", running.stop, symbol="stop")
        frame.add_action("Run", "pause-run", "Pause or resume the run", "Ctrl+Shift+.", running.pause, symbol="pause")
        frame.pause_button.clicked.connect(lambda: running.pause())
        frame.run_button.setToolTip("Run the plan that is open  Ctrl+R")
        frame.stop_button.setToolTip("Stop after this round; again: abort  Ctrl+.")
        frame.stop_button.clicked.connect(lambda: running.stop())

    def connect_welcome(
        self,
        welcome: WelcomePage,
        opening: Opening,
        try_here: Callable[[], object],
        go: Callable[..., object],
        guide: WelcomePresenter,
        fleet: Part,
    ) -> None:
        """The page that is painted first. Sheets of the fleet open above it, so that one stays with the steps."""
        steps: dict[str, Callable[[], object]] = {
            "bus": lambda: go("settings", section="bus", back="welcome"),
            "hub": lambda: go("settings", section="hub", back="welcome") if guide.hub_runs else opening.open_default(),
            "agent": lambda: fleet.visit(invite=True),
            "servers": lambda: fleet.visit(servers=True),
            "plan": lambda: go("plans"),
        }

        def follow(name: str) -> None:
            guide.leading = True
            steps[name]()

        welcome.try_wanted.connect(lambda: try_here())
        welcome.new_wanted.connect(opening.new)
        welcome.open_wanted.connect(opening.ask)
        welcome.opened.connect(opening.open_named)
        welcome.step_wanted.connect(follow)
        welcome.lab_wanted.connect(guide.use_lab)
        self._frame.add_action("View", "welcome", "Welcome and set-up", "Alt+Home", lambda: go("welcome"))

    def _zoom(self, direction: int) -> None:
        QSettings().setValue(SETTING, next_step(kept_zoom(), direction))
        self._frame.look_changed.emit()

    def _use_look(self) -> None:
        """Use the zoom and the writing that are kept."""
        use_kept_writing()
        theme().wardrobe.renew()  # what is painted is painted anew
        if not zoom().change(kept_zoom()):
            self._problems.add(Problem(time.time(), "info", "zoom", "The zoom is used from the next start on."))

    def _focus_filter(self) -> None:
        """The filter of the table that has the focus, else of the topmost on the page; else the page's own field."""
        page, focus = self._frame.stack.currentWidget(), QApplication.focusWidget()
        tables = page.findChildren(Table) if page else ()
        shown = [table for table in tables if table.isVisible() and table.filter_box.isVisible()]
        near = [table for table in shown if focus is not None and table.isAncestorOf(focus)]
        if page is not None and shown:
            min(near or shown, key=lambda table: table.mapTo(page, QPoint()).y()).focus_filter()
        elif page is not None and (field := page.findChild(QLineEdit, "filter")) is not None and field.isVisible():
            field.setFocus(Qt.FocusReason.ShortcutFocusReason)
            field.selectAll()

    def _toggle_problems(self) -> None:
        self._problems.setVisible(not self._problems.isVisible())

    def _toggle_keys(self) -> None:
        if self._keys.isVisible():
            self._keys.close_sheet()
        else:
            self._keys.show_groups(self._frame.key_groups())
            self._keys.open_sheet()

    def _toggle_help(self) -> None:
        if self._help.isVisible():
            self._help.close_sheet()
        else:
            self._show_help()
            self._help.open_sheet()

    def _show_help(self) -> None:
        page = self._frame.current_page()
        self._help.show_page(page, self._frame.title_of(page) or page.capitalize())

    def _follow_page(self) -> None:
        self._keys.close_sheet()
        if self._help.isVisible():
            self._show_help()


def set_theme(mode: Literal["light", "dark", "system"]) -> None:
    """Use this theme from now on, also at the next start."""
    QSettings().setValue("theme", mode)
    theme().set_mode(mode)
