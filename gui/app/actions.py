"""Actions: the menus and the buttons of the frame, and what they call. A page adds its own actions itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from PySide6.QtCore import QSettings
from PySide6.QtWidgets import QMessageBox

from gui.app.opening import Opening
from gui.app.running import Running
from gui.pages.welcome.page import WelcomePage
from gui.widgets.frame import Frame
from gui.widgets.problems import ProblemsDock
from gui.widgets.table import Table
from gui.widgets.theme import theme

KEYS = """Ctrl+1 … 4   Fleet, Plans, Live, Runs
Ctrl+R       run the plan        Ctrl+.   stop, again: abort
Ctrl+N       new plan            Ctrl+S   save the plan
Ctrl+Z, Ctrl+Shift+Z   undo, redo in the plan
Ctrl+I       add an agent        Ctrl+F   filter
F5           refresh             ?        these keys
Ctrl+C       copy rows           Space    pause the live view"""


class Actions:
    """Fills the menus of a frame and connects its buttons."""

    def __init__(self, frame: Frame, problems: ProblemsDock) -> None:
        self._frame = frame
        self._problems = problems

    def connect_file(self, opening: Opening, try_here: Callable[[], object]) -> None:
        """Opening and closing. Before the pages: their actions follow in the same menus."""
        action = self._frame.add_action
        action("File", "new", "New workspace…", "", opening.new, symbol="plus")
        action("File", "open", "Open workspace…", "Ctrl+O", opening.ask, symbol="folder")
        action("File", "try", "Try it on this machine", "", try_here, symbol="play")
        action("File", "leave", "Close workspace", "", opening.leave)
        self._frame.add_separator("File")
        action("File", "quit", "Quit", "Ctrl+Q", self._frame.close)
        self._frame.workspace_button.clicked.connect(lambda: opening.ask())

    def connect_view(self) -> None:
        """Theme, filter, Problems, help."""
        frame, action = self._frame, self._frame.add_action
        action("Edit", "filter", "Filter", "Ctrl+F", self._focus_filter, symbol="filter")
        frame.add_separator("View")
        action("View", "light", "Light", "", lambda: set_theme("light"))
        action("View", "dark", "Dark", "", lambda: set_theme("dark"))
        action("View", "system", "As the system", "", lambda: set_theme("system"))
        action("View", "problems", "Problems", "Ctrl+P", self._toggle_problems, symbol="warn")
        action("Help", "keys", "Keys", "?", self._show_keys)
        frame.problems_button.clicked.connect(lambda: self._toggle_problems())
        self._problems.count_changed.connect(frame.set_problems)

    def connect_run(self, running: Running) -> None:
        """Stopping."""
        frame = self._frame
        frame.add_action("Run", "stop", "Stop, again: abort", "Ctrl+.", running.stop, symbol="stop")
        frame.run_button.setToolTip("Run the plan that is open  Ctrl+R")
        frame.stop_button.setToolTip("Stop after this round; again: abort  Ctrl+.")
        frame.stop_button.clicked.connect(lambda: running.stop())

    def connect_welcome(
        self,
        welcome: WelcomePage,
        opening: Opening,
        try_here: Callable[[], object],
        go: Callable[..., object],
    ) -> None:
        """The page that is painted first."""
        steps: dict[str, Callable[[], object]] = {
            "hub": opening.open_default,
            "agent": lambda: go("fleet", invite=True),
            "plan": lambda: go("plans"),
        }
        welcome.try_wanted.connect(lambda: try_here())
        welcome.new_wanted.connect(opening.new)
        welcome.open_wanted.connect(opening.ask)
        welcome.opened.connect(opening.open_named)
        welcome.step_wanted.connect(lambda name: steps[name]())

    def _focus_filter(self) -> None:
        page = self._frame.stack.currentWidget()
        tables = page.findChildren(Table) if page else ()
        table = next((t for t in tables if t.isVisible() and t.filter_box.isVisible()), None)
        if table is not None:
            table.focus_filter()

    def _toggle_problems(self) -> None:
        self._problems.setVisible(not self._problems.isVisible())

    def _show_keys(self) -> None:
        box = QMessageBox(self._frame)
        box.setWindowTitle("Keys")
        box.setText(KEYS)
        box.open()


def set_theme(mode: Literal["light", "dark", "system"]) -> None:
    """Use this theme from now on, also at the next start."""
    QSettings().setValue("theme", mode)
    theme().set_mode(mode)
