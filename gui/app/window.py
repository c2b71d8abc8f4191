"""The window: composes frame, pages and the open workspace. Everything it does goes through `gui.runner` and the store.

- `home` opens and closes workspaces, `opening` and `leaving` have the dialogs for it, `background` owns the tasks.
- `actions` has menus and buttons. Each page is a folder of `gui.pages`; its `part` connects it with its presenter.
- The hub runs in the same process on the same loop; blocking work goes to the workspace's threads.
"""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, cast

from PySide6.QtCore import QSettings, Qt, QTimer

from gui.app.actions import Actions
from gui.app.background import Background
from gui.app.finding import Finding
from gui.app.home import Home
from gui.app.leaving import Leaving
from gui.app.notices import Notices
from gui.app.opening import Opening
from gui.app.running import Running
from gui.app.status import run_text, runs_elsewhere, status_parts
from gui.app.still_on import ask_about_faults
from gui.campaign.plan import Plan
from gui.models.plans import ChosenPlan
from gui.models.recent import opened_now, read_recent, with_runs, write_recent
from gui.models.runs import RunView
from gui.pages.part import Part, WindowDesk
from gui.pages.welcome.page import WelcomePage
from gui.pages.welcome.presenter import WelcomePresenter
from gui.runner.checklist import Check
from gui.runner.demo import DemoOptions
from gui.runner.machine import split_password
from gui.runner.options import WorkspaceOptions
from gui.runner.progress import Problem, RunProgress
from gui.runner.workspace import Workspace
from gui.widgets.forbidden import Forbidden
from gui.widgets.frame import Frame
from gui.widgets.problems import ProblemsDock
from gui.widgets.table import Table
from shoveler.service.tasks import start_task

BEAT_MS = 500
"""How often tables other than the live ones check for changes."""


class Window:
    """The desktop program. `pages`: the names of `gui.app.PAGES`."""

    def __init__(
        self,
        frame: Frame,
        welcome: WelcomePage,
        *,
        pages: Sequence[str],
        data: Path,
        demo: DemoOptions | None = None,
    ) -> None:
        self.frame = frame
        self.welcome = welcome
        self.data = data
        self.done = asyncio.Event()
        self.chosen: ChosenPlan | None = None
        """The plan that Run starts."""
        self.problems = ProblemsDock(frame, data / "problems.jsonl")
        frame.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, self.problems)
        self.tasks = Background(self._trouble)
        self.home = Home(self, self.tasks, data, demo or DemoOptions(database=data / "demo.db"))
        self.running = Running(
            self,
            self._run_changed,
            lambda: self.show_run_buttons(),
            lambda what, can_end: ask_about_faults(frame, what, can_end),
        )
        self.leaving = Leaving(frame, self.home, self.tasks, self.complain, self.running.forget)
        self.opening = Opening(
            frame,
            self.home,
            self.tasks,
            self.leaving.unless_running,
            lambda path: self.go("plans", plan=path),
            lambda path: self.go("runs", bundle=path),
        )
        frame.may_close = self.leaving.may_close
        self.notices = Notices(frame, self.go)
        self.forbidden = Forbidden(frame)
        actions = Actions(frame, self.problems)
        actions.connect_file(self.opening, self.try_here)
        actions.connect_run(self.running)
        self.parts = {name: make_part(name, self) for name in pages}
        for name, part in self.parts.items():
            frame.add_page(name, part.page)
        actions.connect_view(self.refresh)
        actions.connect_workspaces(lambda: read_recent(_stored_recent()), self.opening)
        self.finding = Finding(frame, self.parts, lambda: read_recent(_stored_recent()), self.opening.open_named)
        frame.palette_box.search = self.finding.find
        self.guide = WelcomePresenter(self, welcome, data)
        actions.connect_welcome(welcome, self.opening, self.try_here, self.go, self.guide, self.parts["fleet"])
        frame.page_shown.connect(self._page_shown)
        frame.closing.connect(self._close)
        self.beat = QTimer(frame)
        self.beat.setInterval(BEAT_MS)
        self.beat.timeout.connect(self._look)
        self.beat.start()
        welcome.set_recent(read_recent(_stored_recent()))
        self.show_run_buttons()
        self._look()
        frame.restore_splitters()

    # ---- what the program does with it

    async def open(self, options: WorkspaceOptions, *, local_clients: int | None = None) -> bool:
        """Open a workspace in place of the current one. If that fails, show a problem and return False."""
        return await self.home.open(options, local_clients=local_clients)

    def options_for(self, database: str) -> WorkspaceOptions:
        """A workspace with the settings of this machine."""
        return self.home.options_for(database)

    def try_here(self) -> None:
        """Run a small plan on a whole federation on this machine. If that is already up, run the plan again."""
        demo = self.home.demo
        if demo is not None:
            self.run_plan(demo.plan, demo.text)
        else:
            self.leaving.unless_running("try it on this machine", self.home.demonstrate)

    def run_plan(self, plan: Plan, text: str = "", directory: Path | None = None, checks: Sequence[Check] = ()) -> None:
        """Run this plan in the open workspace. `text` is its TOML; its file list is relative to `directory`."""
        self.running.run_plan(plan, text, directory, checks)

    def stop_run(self) -> None:
        """Stop the run after its round; a second call aborts it."""
        self.running.stop()

    # ---- what presenters and pages find around them

    @property
    def workspace(self) -> Workspace | None:
        """The open workspace."""
        return self.home.workspace

    @property
    def absent(self) -> str:
        """Each page but those about this machine has the workspace that is open."""
        return ""

    @property
    def closing(self) -> bool:
        """Whether the window is being closed."""
        return self.home.closing

    def background(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Start a task that is cancelled with the window; its errors become problems."""
        return self.tasks.start(work, name)

    def problem(self, severity: Any, where: str, text: str, remedy: str = "") -> None:
        """Show something that went wrong in the background under Problems, never in a dialog."""
        self.problems.add(Problem(time.time(), severity, where, text, remedy))

    def complain(self, where: str, text: str, remedy: str = "") -> None:
        """Show an error in Problems, and open that."""
        self.problem("error", where, text, remedy)
        self.problems.show()

    def current_page(self) -> str:
        """The name of the page that is shown."""
        return self.frame.current_page()

    def go(self, page: str, **place: object) -> None:
        """Show a page, and a place within it: what `visit` of its part says."""
        self.frame.go(page)
        if place:
            self.parts[page].visit(**place)

    def refresh(self) -> None:
        """Read again what the page shows."""
        if (part := self.parts.get(self.current_page())) is not None:
            part.refresh()

    def show_stage(self, text: str) -> None:
        """Show what a demonstration is doing."""
        for part in self.parts.values():
            part.stage(text)

    def leave(self) -> None:
        """Close the open workspace: abort its run, stop its agents on this machine, take its lab down."""
        self.home.leave()

    def open_workspace(self, name: str = "") -> None:
        """Open this workspace, or the default one, in place of the current one; ask first if a run is under way."""
        self.opening.open_named(name or self.home.default)

    async def open_default(self) -> bool:
        """Open the default workspace, with a hub that other machines can reach."""
        return await self.home.open(self.home.options_for(self.home.default))

    # ---- what is open

    def attached(self, workspace: Workspace) -> None:
        """Show this workspace."""
        workspace.progress.subscribe(self._progressed)
        self.frame.show_workspace(workspace.label, workspace.remote or workspace.store.database.shown)
        self._remember(workspace)
        for part in self.parts.values():
            if not (workspace.remote and part.only_here):
                part.attach(workspace)
        if workspace.remote:
            self._limit(workspace)
            workspace.results_changed = self._results_changed
        self._look()
        if self.frame.current_page() == "welcome" and not self.guide.leading:
            self.frame.go(self.frame.remembered_page() or "fleet")

    def _limit(self, workspace: Workspace) -> None:
        """Of a remote hub: what is not allowed from here stays visible, and says why."""
        frame, each = self.frame, [part.limited() for part in self.parts.values()]
        own = (frame.run_button, frame.pause_button, frame.stop_button)
        named = tuple(frame.actions_by_name[name] for name in ("pause-run", "stop"))
        if why := workspace.why_not("operator"):
            self.forbidden.forbid((*own, *named, *(one for limited in each for one in limited.operator)), why)
        if why := workspace.why_not("here"):
            self.forbidden.forbid((one for limited in each for one in limited.here), why)

    def _results_changed(self) -> None:
        """The copy of a remote hub's results has something new."""
        for part in self.parts.values():
            part.running(on=False)

    def detached(self) -> None:
        """Show that no workspace is open."""
        if self.closing:
            return
        self.forbidden.allow_all()
        self.frame.show_workspace()
        for part in self.parts.values():
            part.detach()
        self.problems.workspace_closed()
        self.show_run_buttons(running=False)
        self._look()

    def _progressed(self, progress: RunProgress) -> None:
        for part in self.parts.values():
            part.progressed(progress)
        self.problems.set_run_problems(progress.problems)
        if not self.closing:
            self.notices.progressed(progress)

    def runs_seen(self, workspace: Workspace, views: Sequence[RunView]) -> None:
        """The runs of a workspace were read."""
        self._remember(workspace, views)
        for part in self.parts.values():
            part.runs_read(views)

    def _remember(self, workspace: Workspace, views: Sequence[RunView] = ()) -> None:
        where, _ = split_password(str(workspace.options.database))  # this list is no place for it
        entries = opened_now(read_recent(_stored_recent()), workspace.label, where, time.time())
        if views:
            entries = with_runs(entries, where, len(views), views[0].success, views[0].outcome)
        QSettings().setValue("recent", write_recent(entries))
        self.welcome.set_recent(entries)

    # ---- the frame

    def _look(self) -> None:
        """The window's own beat: update the tables and the status bar."""
        for part in self.parts.values():
            part.look()
        self.guide.look()
        if self.workspace is not None:
            self.show_run_buttons()
        self.frame.set_status(status_parts(self.workspace))

    def show_run_buttons(self, *, running: bool | None = None) -> None:
        """Update the buttons of the frame. `running`: whether a run is under way, if the caller knows better."""
        workspace = self.workspace
        if running is None:
            running = workspace is not None and (
                workspace.running or self.running.under_way or runs_elsewhere(workspace)
            )
        text = run_text(workspace) if running and workspace is not None else ""
        paused = running and workspace is not None and workspace.progress.latest.paused
        self.frame.show_run(text, running=running, ending=self.running.ending, paused=paused)
        can_stop = running and workspace is not None and not workspace.other
        self.frame.stop_button.setEnabled(can_stop and self.running.ending != "aborting")
        if not can_stop:
            self.frame.pause_button.setEnabled(False)

    def _run_changed(self, on: bool) -> None:
        for part in self.parts.values():
            part.running(on=on)
        self.show_run_buttons(running=on)

    def _page_shown(self, name: str) -> None:
        if name in self.parts:
            self.parts[name].shown()
        else:
            self.guide.shown()
        self._look()

    def _trouble(self, where: str, text: str, remedy: str) -> None:
        self.problem("error", where, text, remedy)

    # ---- the end

    def _close(self) -> None:
        """The window was closed: stop everything, then the loop."""
        if self.closing:
            return
        self.home.closing = True
        self.notices.close()
        self.beat.stop()
        settings = QSettings()  # one for all: each writes its file when it goes
        for table in self.frame.findChildren(Table):
            table.remember(settings)
        for part in self.parts.values():
            part.close()
        self._end_task = start_task(self._end(), "close")

    async def _end(self) -> None:
        try:
            await self.home.close()
            await self.tasks.end()
        finally:
            self.problems.save()
            self.done.set()


def make_part(name: str, window: Window) -> Part:
    """The page of this name with its presenter."""
    kind = importlib.import_module(f"gui.pages.{name}.part").Part
    desk: WindowDesk = cast("WindowDesk", HereDesk(window)) if kind.only_here else window
    return cast("Part", kind(desk))


class HereDesk:
    """The desk of a page about this machine: a remote hub is no workspace for it."""

    def __init__(self, window: Window) -> None:
        self._window = window

    @property
    def workspace(self) -> Workspace | None:
        """The open workspace, if it is of this machine."""
        workspace = self._window.workspace
        return None if workspace is None or workspace.remote else workspace

    @property
    def absent(self) -> str:
        """Why there is none, if a remote hub is open."""
        workspace = self._window.workspace
        if workspace is None or not workspace.remote:
            return ""
        return f"{workspace.remote} is looked at from elsewhere; this is done on the machine of that hub."

    def __getattr__(self, name: str) -> Any:
        return getattr(self._window, name)


def _stored_recent() -> str:
    return str(QSettings().value("recent", "") or "")
