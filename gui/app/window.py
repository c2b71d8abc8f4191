"""The window: connects frame, pages and a workspace. Everything it does goes through `gui.runner` and the store.

One workspace is open at a time; its own task (`_home`) holds it, or a demonstration with its lab, until that task is
cancelled. Opening another one cancels it and waits until everything is down: clients, lab, hub, database.
The hub runs in the same process on the same loop; blocking work goes to the workspace's threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import logging
import os
import shlex
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QSettings, Qt, QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFileDialog, QMessageBox

from gui import report
from gui.campaign.plan import Plan
from gui.campaign.planfile import format_plan
from gui.hub import AgentView, HubOptions
from gui.models.fleet import KnownServer, fleet_servers
from gui.models.plans import PlanLibrary
from gui.models.runs import RunView, TestRow, read_run, read_runs, read_test
from gui.models.senders import SenderBook, sender_servers
from gui.pages.fleet import FleetPage
from gui.pages.live import LivePage
from gui.pages.plans import PlansPage
from gui.pages.runs import RunsPage
from gui.pages.welcome import Recent, WelcomePage
from gui.reconcile import ladder_of, score
from gui.report import numbers
from gui.runner.demo import Demo, DemoOptions
from gui.runner.errors import EXPECTED
from gui.runner.lab import lab_files
from gui.runner.local_clients import LocalClients
from gui.runner.options import WorkspaceOptions
from gui.runner.progress import Problem, RunProgress
from gui.runner.workspace import Workspace
from gui.store import Store
from gui.widgets.add_agent import AddAgentSheet
from gui.widgets.frame import Frame, StatusPart
from gui.widgets.problems import ProblemsDock
from gui.widgets.table import Table
from gui.widgets.theme import theme
from shoveler.service.tasks import start_task

log = logging.getLogger("tally.window")

BEAT_MS = 500
"""How often tables other than the live ones check for changes."""
RECENT = 8

KEYS = """Ctrl+1 … 4   Fleet, Plans, Live, Runs
Ctrl+R       run the plan        Ctrl+.   stop, again: abort
Ctrl+N       new plan            Ctrl+S   save the plan
Ctrl+Z, Ctrl+Shift+Z   undo, redo in the plan
Ctrl+I       add an agent        Ctrl+F   filter
F5           read again          ?        these keys
Ctrl+C       copy rows           Space    pause the live view"""


LEARN_SECONDS = 3.0
"""How often to ask the database which sender belongs to which server, until all are known."""


class Window:
    """The desktop program."""

    def __init__(self, frame: Frame, welcome: WelcomePage, *, data: Path, demo: DemoOptions | None = None) -> None:
        self._data = data
        self._demo_options = demo or DemoOptions(database=data / "demo.db")
        self.workspace: Workspace | None = None
        self._closing = False
        self._home: asyncio.Task[Any] | None = None
        self._run_task: asyncio.Task[Any] | None = None
        self._demo: Demo | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._roster_version = -1
        self._senders = SenderBook()
        self._sender_of: dict[str, str] = {}
        self._learnt = 0.0
        self._sheet: AddAgentSheet | None = None
        self._stop_asked = False
        self.done = asyncio.Event()

        self.frame = frame
        self.welcome = welcome
        self.problems = ProblemsDock(frame)
        self.fleet = FleetPage(self.add_agent, self.try_here)
        self.plans = PlansPage(PlanLibrary(data / "plans"))
        try_action = (("Try it on this machine", "play", self.try_here),)
        self.live = LivePage(try_action, self.leave)
        self.runs = RunsPage(try_action)
        self._build()

    # ---- building

    def _build(self) -> None:
        frame = self.frame
        for name, page in (("fleet", self.fleet), ("plans", self.plans), ("live", self.live), ("runs", self.runs)):
            frame.add_page(name, page)
        frame.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, self.problems)
        action = frame.add_action
        action("File", "new", "New workspace…", "", self.new_workspace, symbol="plus")
        action("File", "open", "Open workspace…", "Ctrl+O", self.open_dialog, symbol="folder")
        action("File", "try", "Try it on this machine", "", self.try_here, symbol="play")
        action("File", "leave", "Close workspace", "", lambda: self._unless_running("close it", self.leave))
        frame.add_separator("File")
        action("File", "quit", "Quit", "Ctrl+Q", frame.close)
        action("Edit", "undo", "Undo in the plan", "Ctrl+Z", self.plans.undo, symbol="undo")
        action("Edit", "redo", "Redo in the plan", "Ctrl+Shift+Z", self.plans.redo, symbol="redo")
        action("Edit", "filter", "Filter", "Ctrl+F", self._focus_filter, symbol="filter")
        frame.add_separator("View")
        action("View", "light", "Light", "", lambda: self._set_theme("light"))
        action("View", "dark", "Dark", "", lambda: self._set_theme("dark"))
        action("View", "system", "As the system", "", lambda: self._set_theme("system"))
        action("View", "problems", "Problems", "Ctrl+P", self._toggle_problems, symbol="warn")
        action("View", "refresh", "Read again", "F5", self._read_runs, symbol="refresh")
        action("Plan", "new-plan", "New plan", "Ctrl+N", self._new_plan, symbol="plus")
        action("Plan", "save-plan", "Save plan", "Ctrl+S", self.plans.save)
        action("Plan", "import-plan", "Import plan…", "", self.plans.import_plan, symbol="import")
        action("Run", "run", "Run the plan", "Ctrl+R", self.plans.run, symbol="play")
        action("Run", "stop", "Stop, again: abort", "Ctrl+.", self.stop, symbol="stop")
        action("Run", "pause", "Pause the live view", "", self.live.toggle_pause, symbol="pause")
        action("Fleet", "add-agent", "Add agent…", "Ctrl+I", self.add_agent, symbol="plus")
        action("Tools", "command", "Copy as command", "", self._copy_command, symbol="term")
        action("Help", "keys", "Keys", "?", self._show_keys)

        frame.run_button.clicked.connect(lambda: self.plans.run())
        frame.run_button.setToolTip("Run the plan that is open  Ctrl+R")
        frame.stop_button.setToolTip("Stop after this round; again: abort  Ctrl+.")
        frame.stop_button.clicked.connect(lambda: self.stop())
        frame.copy_command.clicked.connect(lambda: self._copy_command())
        frame.workspace_button.clicked.connect(lambda: self.open_dialog())
        frame.problems_button.clicked.connect(lambda: self._toggle_problems())
        frame.page_shown.connect(self._page_shown)
        frame.closing.connect(self._close)
        self.problems.count_changed.connect(frame.set_problems)
        welcome = self.welcome
        welcome.try_wanted.connect(lambda: self.try_here())
        welcome.new_wanted.connect(self.new_workspace)
        welcome.open_wanted.connect(self.open_dialog)
        welcome.opened.connect(self._open_named)
        steps: dict[str, Callable[[], object]] = {
            "hub": self.open_default,
            "agent": self.add_agent,
            "plan": lambda: frame.go("plans"),
        }
        welcome.step_wanted.connect(lambda name: steps[name]())
        self.plans.run_wanted.connect(self.run_plan)
        self.plans.problem.connect(lambda text: self.problem("error", "plans", text))
        self.plans.changed.connect(self._show_run_buttons)
        self.runs.run_wanted.connect(lambda run: self._background(self._show_run(run), "read a run"))
        self.runs.test_wanted.connect(lambda test: self._background(self._show_test(test), "read a test"))
        self.runs.evidence_wanted.connect(lambda number: self._background(self._show_evidence(number), "read evidence"))
        self.runs.recheck_wanted.connect(lambda run: self._background(self._recheck(run), "score again"))
        self.runs.report_wanted.connect(self._save_report)
        self.fleet.ping_wanted.connect(lambda ids: self._ask(ids, "time"))
        self.fleet.drain_wanted.connect(lambda ids: self._ask(ids, "drain"))
        self.fleet.disconnect_wanted.connect(self._disconnect)

        self._beat = QTimer(frame)
        self._beat.setInterval(BEAT_MS)
        self._beat.timeout.connect(self._look)
        self._beat.start()
        welcome.set_recent(self._recent())
        self._show_run_buttons()
        self._show_status()
        frame.restore()  # splitters of the pages that came just now

    # ---- opening and closing

    async def open(self, options: WorkspaceOptions, *, local_clients: int = 0) -> bool:
        """Open a workspace in place of the current one. If that fails, show a problem and return False."""
        opened: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._move(lambda: self._stay(options, local_clients, opened), "workspace", opened)
        return await opened

    def leave(self) -> None:
        """Close the open workspace: abort its run, stop its agents on this machine, take its lab down."""
        self._move(None, "leave the workspace")

    def _move(
        self,
        to: Callable[[], Coroutine[Any, Any, None]] | None,
        name: str,
        opened: asyncio.Future[bool] | None = None,
    ) -> None:
        """Leave the workspace that is open or being opened; when it is down, open the next one."""
        before = self._home

        async def moved() -> None:
            try:
                if before is not None:
                    await _ended(before)
                if to is not None and not self._closing:
                    await to()
            finally:
                if opened is not None and not opened.done():
                    opened.set_result(False)

        self._home = self._background(moved(), name)

    async def _stay(self, options: WorkspaceOptions, local_clients: int, opened: asyncio.Future[bool]) -> None:
        """Keep this workspace open until cancelled."""
        try:
            async with contextlib.AsyncExitStack() as stack:
                workspace = await stack.enter_async_context(Workspace.open(options))
                if local_clients:
                    key = await workspace.blocking(lambda: workspace.shared_key.secret)
                    workspace.local_clients = await stack.enter_async_context(
                        LocalClients(workspace.hub, local_clients, key=key)
                    )
                self._attach(workspace)
                self._remember_recent(workspace)
                opened.set_result(True)
                await asyncio.Event().wait()
        except EXPECTED as error:
            log.info("! workspace: %s", error)
            self.problem("error", "workspace", str(error), "Open another one, or fix the cause and try again.")
            self._show_problems()
        finally:
            self._detach()

    def _attach(self, workspace: Workspace) -> None:
        """Show this workspace."""
        self.workspace = workspace
        workspace.progress.subscribe(self._progressed)
        name = workspace.label
        self.frame.show_workspace(name, workspace.store.database.shown)
        self.fleet.set_hub(workspace.hub.address)
        self._look()
        self._read_runs()
        if self.frame.current_page() == "welcome":
            self.frame.go(self.frame.remembered_page() or "fleet")

    def _detach(self) -> None:
        """Show that no workspace is open."""
        self.workspace = None
        self._demo = None
        self._roster_version = -1
        self._senders, self._sender_of, self._learnt = SenderBook(), {}, 0.0
        if self._closing:
            return
        self.frame.show_workspace()
        self.fleet.set_hub("")
        self.fleet.set_clients(())
        self.fleet.set_servers(())
        self.plans.set_federation((), (), ())
        self.plans.set_running(running=False)
        self.runs.show_list()
        self.runs.set_runs(())
        self.live.show_nothing()
        self.problems.set_run_problems(())
        self._show_run_buttons(running=False)
        self._show_status()

    def _progressed(self, progress: RunProgress) -> None:
        self.live.show_progress(progress)
        self.problems.set_run_problems(progress.problems)

    def _unless_running(self, what: str, call: Callable[[], object]) -> None:
        """Call `call`; if a run is under way, ask first, since it would be aborted."""
        if self.workspace is None or not self.workspace.running:
            call()
            return
        run = self.workspace.progress.latest.run
        box = QMessageBox(self.frame)
        box.setWindowTitle("A run is under way")
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setText(f"Run {run or ''} in {self.workspace.label} is under way. To {what}, it must be aborted.")
        box.setInformativeText("The requests made so far are scored and kept.")
        abort = box.addButton("Abort the run", QMessageBox.ButtonRole.DestructiveRole)
        box.addButton("Keep it running", QMessageBox.ButtonRole.RejectRole)
        box.finished.connect(lambda _code: call() if box.clickedButton() is abort else None)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.open()  # never exec: it would run the loop inside itself

    def _close(self) -> None:
        """The window was closed: stop everything, then the loop."""
        if self._closing:
            return
        self._closing = True
        self._beat.stop()
        for table in self.frame.findChildren(Table):
            table.remember()
        if not self.plans.keep():
            log.error("! the changes of the plan that was open could not be saved")
        self._end_task = start_task(self._end(), "close")

    async def _end(self) -> None:
        try:
            if self._home is not None:
                await _ended(self._home)
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        finally:
            self.done.set()

    def new_workspace(self) -> None:
        dialog = QFileDialog(self.frame, "New workspace", str(self._data / "workspace.db"), "Workspaces (*.db)")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("db")
        dialog.fileSelected.connect(self._open_named)
        dialog.open()

    def open_dialog(self) -> None:
        dialog = QFileDialog(
            self.frame, "Open workspace or plan", str(self._data), "Workspaces and plans (*.db *.toml)"
        )
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(self._open_named)
        dialog.open()

    def open_default(self) -> None:
        """Open the default workspace, with a hub that other machines can reach."""
        self._open_named(str(self._data / "default.db"))

    def _open_named(self, name: object) -> None:
        path = str(name)
        if path.endswith(".toml"):
            self.frame.go("plans")
            self.plans.import_file(Path(path))
            return
        self._unless_running(f"open {Path(path).name}", lambda: self._open_soon(path))

    def _open_soon(self, path: str) -> None:
        self._background(self.open(self.options_for(path)), "open a workspace")

    def options_for(self, database: str) -> WorkspaceOptions:
        """A workspace with the settings of this machine: hub on all addresses, bus from the environment."""
        return WorkspaceOptions(
            database=database,
            hub=HubOptions(directory=self._data / "hub"),
            bus=os.environ.get("TALLY_BUS", ""),
        )

    # ---- the demonstration

    def try_here(self) -> None:
        """Run a small plan on a whole federation on this machine. If that is already up, run the plan again."""
        if self._demo is not None:
            self.run_plan(self._demo.plan, self._demo.text)
            return
        self._unless_running("try it on this machine", self._try_now)

    def _try_now(self) -> None:
        try:
            self._data.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self.problem(
                "error", "demonstration", f"{self._data} cannot be created: {error.strerror}.", "Set TALLY_DATA."
            )
            self._show_problems()
            return
        self._move(self._demonstrate, "demonstration")

    async def _demonstrate(self) -> None:
        self.frame.go("live")
        self.live.show_stage("Setting up a federation on this machine")
        try:
            async with Demo.open(self._demo_options, self._show_stage) as demo:
                self._attach(demo.workspace)
                self._remember_recent(demo.workspace)
                self._demo = demo
                self.live.show_stage("")
                self.run_plan(demo.plan, demo.text)
                # The federation stays up until the workspace is closed, so that it can be inspected and used again.
                await asyncio.Event().wait()
        except EXPECTED as error:
            log.info("! demonstration: %s", error)
            self.problem("error", "demonstration", str(error), "`make run` installs what is missing, if it can.")
            self._show_problems()
        finally:
            self._detach()

    def _show_stage(self, text: str) -> None:
        """Show what the demonstration is doing, but not while it ends: the page then shows the run."""
        if self._demo is None and not self._closing:
            self.live.show_stage(text)

    # ---- runs

    def run_plan(self, plan: Plan, text: str = "", directory: Path | None = None) -> None:
        """Run this plan in the open workspace. `text` is its TOML; its file list is relative to `directory`."""
        if self.workspace is None:
            self.problem(
                "error",
                "run",
                "No workspace is open.",
                "Open a workspace to run a plan, or choose Try it on this machine.",
            )
            self._show_problems()
            return
        if self._plan_under_way():
            self.frame.go("live")
            return
        self._stop_asked = False
        if not text:
            text = self.plans.editor.text if self.plans.editor.plan == plan else format_plan(plan)
        self.frame.go("live")
        self._run_task = self._background(self._carry_out(plan, text, directory), "run")

    async def _carry_out(self, plan: Plan, text: str, directory: Path | None = None) -> None:
        workspace = self.workspace
        assert workspace is not None
        self.plans.set_running(running=True)
        self._show_run_buttons()
        try:
            result = await workspace.run(plan, text=text, directory=directory)
        except EXPECTED as error:
            log.info("! the run could not begin: %s", error)
            self.problem("error", "run", str(error))
            self._show_problems()
            return
        finally:
            self.plans.set_running(running=False)
            self._show_run_buttons(running=False)
        if self.workspace is workspace and not self._closing:
            await self._refresh_runs()
            await self._show_run(result.run)
            if self.frame.current_page() == "live" and not self._stop_asked:
                self.frame.go("runs")

    def stop(self) -> None:
        """Stop the run after its round; a second call aborts it."""
        if self.workspace is None:
            return
        if self._stop_asked:
            self.workspace.abort()
        else:
            self._stop_asked = self.workspace.stop()

    def _read_runs(self) -> None:
        self._background(self._refresh_runs(), "read runs")

    async def _refresh_runs(self) -> None:
        workspace = self.workspace
        if workspace is not None:
            views = await workspace.blocking(read_runs, workspace.store)
            if self.workspace is workspace:
                self.runs.set_runs(views)
                self._remember_recent(workspace, views)

    async def _show_run(self, run: int) -> None:
        workspace = self.workspace
        if workspace is not None:
            view = await workspace.blocking(read_run, workspace.store, run)
            if self.workspace is workspace:
                self.runs.show_run(view)

    async def _show_test(self, test: TestRow) -> None:
        workspace = self.workspace
        if workspace is not None:
            detail = await workspace.blocking(read_test, workspace.store, test)
            if self.workspace is workspace:
                self.runs.show_test(detail)

    async def _show_evidence(self, request: int) -> None:
        workspace = self.workspace
        if workspace is not None:
            ladder = await workspace.blocking(ladder_of, workspace.store, request)
            if self.workspace is workspace:
                self.runs.show_evidence(request, ladder)

    async def _recheck(self, run: int) -> None:
        workspace = self.workspace
        if workspace is not None:
            for repeat in await workspace.blocking(workspace.store.repeats, run):
                await workspace.blocking(score, workspace.store, repeat.id, "recheck", time.time())
            await self._show_run(run)

    def _save_report(self, run: int) -> None:
        if self.workspace is None:
            return
        dialog = QFileDialog(
            self.frame,
            "Save report",
            f"run-{run}.html",
            "HTML (*.html);;PDF (*.pdf);;CSV (*.csv);;JSON (*.json);;Text (*.txt);;Markdown (*.md);;JUnit (*.xml)",
        )
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.fileSelected.connect(
            lambda name: self._background(self._write_report(run, Path(name)), "write a report")
        )
        dialog.open()

    async def _write_report(self, run: int, path: Path) -> None:
        workspace = self.workspace
        if workspace is None:
            return
        try:
            await workspace.blocking(write_report, workspace.store, run, path)
        except OSError as error:
            why = error.strerror or type(error).__name__
            self.problem("error", "report", f"The report cannot be written to {path}: {why}.", "Choose another place.")
            self._show_problems()
        except ValueError as error:
            self.problem("error", "report", f"The report cannot be written to {path}: {error}")
            self._show_problems()

    # ---- the fleet

    def add_agent(self) -> None:
        """Open the sheet that creates an invitation."""
        if self.workspace is None:
            self._background(self._open_then_invite(), "open a workspace")
            return
        self._sheet = sheet = AddAgentSheet(self.frame, self.workspace.hub.address)
        sheet.invitation_wanted.connect(
            lambda role, hours, uses: self._background(self._invite(sheet, role, hours, uses), "invite")
        )
        sheet.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        sheet.finished.connect(lambda _code: self._forget_sheet())
        sheet.open()

    async def _open_then_invite(self) -> None:
        if await self.open(self.options_for(str(self._data / "default.db"))):
            self.add_agent()

    def _forget_sheet(self) -> None:
        self._sheet = None

    async def _invite(self, sheet: AddAgentSheet, role: Any, hours: float, uses: int) -> None:
        if self.workspace is None:
            return
        hub = self.workspace.hub
        try:
            _, join = await hub.invite(role, ttl=hours * 3600, uses=uses)
        except EXPECTED as error:
            log.info("! no invitation: %s", error)
            if self._sheet is sheet:
                sheet.show_error(str(error))
            return
        if self._sheet is not sheet:  # closed and deleted in the meantime
            return
        plain = "" if hub.pin else " --insecure"  # the hub of a demonstration, on this machine only
        sheet.show_command(f"tally-agent join {join}{plain}", hub.roster.agents)

    def _ask(self, ids: Sequence[str], what: str) -> None:
        if self.workspace is not None:
            for agent in ids:
                self.workspace.hub.ask(agent, what)

    def _disconnect(self, ids: Sequence[str]) -> None:
        if self.workspace is not None:
            for agent in ids:
                self.workspace.hub.disconnect(agent, "Disconnected by the operator.")

    def _look(self) -> None:
        """The window's own beat: update the tables and the status bar."""
        workspace = self.workspace
        if workspace is not None:
            roster = workspace.hub.roster
            if roster.version != self._roster_version or self.frame.current_page() == "fleet":
                self._roster_version = roster.version
                self._show_fleet(workspace, roster.agents)
            self._show_run_buttons()
        self._show_status()

    def _show_fleet(self, workspace: Workspace, agents: tuple[AgentView, ...]) -> None:
        lab_sites = {server.url: server.site for server in workspace.lab.servers} if workspace.lab else {}
        known = [
            KnownServer(
                server.name, server.url, "lab" if server.url in lab_sites else "agent", lab_sites.get(server.url, "")
            )
            for server in workspace.servers()
        ]
        self._senders.update(member.status for member in workspace.members())
        if len(self._sender_of) < len(known) and time.monotonic() - self._learnt > LEARN_SECONDS:
            self._learnt = time.monotonic()
            self._background(self._learn_senders(workspace, known), "learn senders")
        self.fleet.set_clients(agents)
        self.fleet.set_servers(fleet_servers(known, agents, self._senders.by_server(self._sender_of)))
        clients = [agent.name for agent in agents if agent.role == "client" and agent.live]
        self.plans.set_federation(workspace.servers(), lab_files(workspace.lab) if workspace.lab else (), clients)
        if self._sheet is not None:
            self._sheet.agents_changed(agents)

    async def _learn_senders(self, workspace: Workspace, known: Sequence[KnownServer]) -> None:
        facts = await workspace.blocking(workspace.store.origin_facts)
        if self.workspace is workspace:
            self._sender_of = sender_servers(facts, known)

    # ---- frame

    def _show_status(self) -> None:
        workspace = self.workspace
        if workspace is None:
            self.frame.set_status(
                (
                    StatusPart("ring", "hub not started", "text3"),
                    StatusPart("fleet", "agents none"),
                    StatusPart("ring", "bus not set", "text3"),
                    StatusPart("queue", f"records waiting {numbers.count(None)}"),
                )
            )
            return
        agents = workspace.hub.roster.agents
        up = sum(agent.live for agent in agents)
        missing = sum(agent.state == "missing" for agent in agents)
        state = workspace.records_state
        bus = workspace.options.bus or (workspace.lab.bus if workspace.lab else "")
        waiting = state.depths[0] if state.depths else None
        parts = [StatusPart("lock" if workspace.hub.pin else "wire", f"hub {workspace.hub.address}")]
        if workspace.hub.pin:
            parts.append(
                StatusPart("key", f"{workspace.hub.pin[:11]}…{workspace.hub.pin[-4:]}", "text3", workspace.hub.pin)
            )
        words = f"agents {up} up" + (f", {missing} missing" if missing else "")
        parts.append(StatusPart("fleet", words, "warn" if missing else "text2"))
        if not bus:
            parts.append(StatusPart("ring", "bus not set", "text3"))
        elif state.connected:
            parts.append(StatusPart("dot", f"bus {_without_secret(bus)}", "ok"))
        else:
            parts.append(StatusPart("warn", f"bus {_without_secret(bus)} away", "warn", state.trouble))
        parts.append(StatusPart("queue", f"records waiting {numbers.count(waiting)}"))
        self.frame.set_status(tuple(parts))

    def _show_run_buttons(self, *, running: bool | None = None) -> None:
        workspace = self.workspace
        if running is None:
            running = workspace is not None and (workspace.running or self._plan_under_way())
        text = ""
        if running and workspace is not None:
            latest = workspace.progress.latest
            share = f" · {100 * latest.requested // latest.total} %" if latest.total else ""
            text = f"Run {latest.run}{share}" if latest.run is not None else "starting"
        self.frame.show_run(text, running=running, can_run=not running and self.plans.editor.plan is not None)

    def _plan_under_way(self) -> bool:
        return self._run_task is not None and not self._run_task.done()

    def _page_shown(self, name: str) -> None:
        if name == "runs":
            self._read_runs()
        self._look()

    def _focus_filter(self) -> None:
        page = self.frame.stack.currentWidget()
        table = (
            next((t for t in page.findChildren(Table) if t.isVisible() and t.filter_box.isVisible()), None)
            if page
            else None
        )
        if table is not None:
            table.filter_box.setFocus()

    def _new_plan(self) -> None:
        self.frame.go("plans")
        self.plans.new_plan()

    def _copy_command(self) -> None:
        text = self.plans.editor.command()
        if self.workspace is not None:
            text += f" --db {shlex.quote(str(self.workspace.options.database))}"
            if self.workspace.options.lab is not None:
                text += f" --lab {shlex.quote(str(self.workspace.options.lab))}"
        QGuiApplication.clipboard().setText(text)

    def _set_theme(self, mode: Any) -> None:
        QSettings().setValue("theme", mode)
        theme().set_mode(mode)

    def _show_keys(self) -> None:
        box = QMessageBox(self.frame)
        box.setWindowTitle("Keys")
        box.setText(KEYS)
        box.open()

    def problem(self, severity: Any, where: str, text: str, remedy: str = "") -> None:
        """Show something that went wrong in the background under Problems, never in a dialog."""
        self.problems.add(Problem(time.time(), severity, where, text, remedy))

    def _show_problems(self) -> None:
        self.problems.show()

    def _toggle_problems(self) -> None:
        self.problems.setVisible(not self.problems.isVisible())

    # ---- recent workspaces

    def _recent(self) -> list[Recent]:
        stored = str(QSettings().value("recent", "") or "")
        try:
            return [Recent(**entry) for entry in json.loads(stored)] if stored else []
        except (ValueError, TypeError):
            log.info("! the list of recent workspaces was written by another version; starting a new one")
            return []

    def _remember_recent(self, workspace: Workspace, views: Sequence[RunView] = ()) -> None:
        where = str(workspace.options.database)
        before = next((entry for entry in self._recent() if entry.where == where), None)
        entries = [entry for entry in self._recent() if entry.where != where]
        entry = before or Recent(workspace.label, where, time.time())
        if views:
            entry = dataclasses.replace(entry, runs=len(views), success=views[0].success, outcome=views[0].outcome)
        entries.insert(0, dataclasses.replace(entry, opened=time.time()))
        QSettings().setValue("recent", json.dumps([dataclasses.asdict(entry) for entry in entries[:RECENT]]))
        self.welcome.set_recent(entries[:RECENT])

    # ---- tasks

    def _background(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Start a named task that this window owns: its errors become problems, and it is cancelled with the window."""
        task = start_task(work, name)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            log.error("! %s failed", task.get_name(), exc_info=error)
            if isinstance(error, EXPECTED):
                self.problem("error", task.get_name(), str(error))
            else:
                what = f"Internal error ({type(error).__name__}); nothing else is affected."
                self.problem("error", task.get_name(), what, "Report it with the lines of the log; F5 refreshes.")


def _without_secret(bus: str) -> str:
    if "://" not in bus:
        return bus
    scheme, _, rest = bus.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0].rstrip('/')}"


def write_report(store: Store, run: int, path: Path) -> None:
    """Write the report of a run in the format of the file name's suffix. Blocking. Raises OSError and ValueError."""
    wanted = report.format_of(path.name)
    path.write_bytes(report.render(report.build(store, run, **report.wants((wanted,))), wanted))


async def _ended(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait until it has cleaned up, even if we are cancelled meanwhile: what it leaves behind would
    outlive the program."""
    task.cancel()
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
