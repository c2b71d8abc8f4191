"""Opening and closing: which workspace is open. No Qt.

One workspace is open at a time; its own task holds it, or a demonstration with its lab, until that task is cancelled.
Opening another one first looks whether its database can be opened; then it cancels that task and waits until
everything is down: clients, lab, hub, database.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, cast

from gui.app.background import Background, ended
from gui.campaign.plan import Plan
from gui.hub.keys import ensure_shared_key
from gui.runner.afar import RemoteWorkspace
from gui.runner.demo import Demo, DemoOptions
from gui.runner.errors import EXPECTED
from gui.runner.handover import Handed
from gui.runner.hubs import HubKey, credentials_for
from gui.runner.local_clients import LocalClients
from gui.runner.machine import LOCAL_CLIENTS, default_database, settings_or_defaults, workspace_options
from gui.runner.options import WorkspaceOptions
from gui.runner.secrets import Secrets
from gui.runner.successor import Successor
from gui.runner.workspace import Workspace, try_to_open
from gui.statuspage.publisher import status_page
from shoveler.service.tasks import finish

log = logging.getLogger("tally.window")

STOP_SECONDS = 2.0
"""How long a run that is stopped with the window may take to end."""


class Shell(Protocol):
    """Who shows what is open."""

    def attached(self, workspace: Workspace) -> None:
        """A workspace is open now."""

    def detached(self) -> None:
        """None is open any more. Called at every end, also of what could not be opened."""

    def complain(self, where: str, text: str, remedy: str = "") -> None:
        """Show an error."""

    def show_stage(self, text: str) -> None:
        """Show what a demonstration is doing; an empty text ends that."""

    def go(self, page: str) -> None:
        """Show a page."""

    def run_plan(self, plan: Plan, text: str = "") -> None:
        """Run a plan in the open workspace."""


class Home:
    """`workspace` is the open one; `task` holds it."""

    def __init__(self, shell: Shell, background: Background, data: Path, demo: DemoOptions) -> None:
        self._shell = shell
        self._background = background
        self.data = data
        self._demo_options = demo
        self.workspace: Workspace | None = None
        self.task: asyncio.Task[Any] | None = None
        self.demo: Demo | None = None
        """The demonstration that is up."""
        self.closing = False
        self._asked = 0
        """How many times something was to be opened or left: only the last one counts."""

    def options_for(self, database: str) -> WorkspaceOptions:
        """A workspace with the settings of this machine."""
        return workspace_options(self.data, database)

    @property
    def default(self) -> str:
        """The default workspace."""
        return default_database(self.data, settings_or_defaults(self.data))

    async def open(self, options: WorkspaceOptions, *, local_clients: int | None = None) -> bool:
        """Open a workspace in place of the current one, with a few clients on this machine if it uses a lab and no
        number is given. If that fails, show a problem and return False; what is open stays open if already the new
        one's database or lab is not as it should be."""
        self._asked += 1
        asked = self._asked
        if self.workspace is not None:
            try:
                await try_to_open(options)
            except EXPECTED as error:
                log.info("! workspace: %s", error)
                stays = f"{self.workspace.label} stays open. " if self.workspace is not None else ""
                self._shell.complain("workspace", str(error), f"{stays}Open another one, or fix the cause.")
                return False
            if asked != self._asked or self.closing:  # another one was asked for meanwhile
                return False
        opened: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._move(lambda: self._stay(options, local_clients, opened), "workspace", opened)
        return await opened

    async def open_hub(self, key: HubKey, *, insecure: bool = False) -> bool:
        """Open a remote hub in place of the current workspace. If that fails, show a problem and return False."""
        opened: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._move(lambda: self._stay_afar(key, opened, insecure=insecure), "remote hub", opened)
        return await opened

    async def _stay_afar(self, key: HubKey, opened: asyncio.Future[bool], *, insecure: bool) -> None:
        """Keep this hub open until cancelled, or until it ends the session for good."""
        self._shell.show_stage(f"Copying the results of {key.url}")
        try:
            who = await asyncio.to_thread(credentials_for, Secrets(self.data), key, os.environ.get("TALLY_KEY", ""))
            async with RemoteWorkspace.open(key.url, who, self.data, insecure=insecure) as workspace:
                self._shell.show_stage("")
                # Pages find in it what they use of a workspace; tests/gui/app/test_afar.py goes through all of them.
                self._attach(cast("Workspace", workspace))
                if not opened.done():
                    opened.set_result(True)
                await workspace.free.wait()
                self._shell.complain("hub", workspace.ended, "Ask whoever runs that hub.")
        except EXPECTED as error:
            log.info("! remote hub: %s", error)
            self._shell.complain("hub", str(error), "Check its address, its pin and your key, and try again.")
        finally:
            self._shell.show_stage("")
            self._detach()

    def leave(self) -> None:
        """Close the open workspace: abort its run, stop its agents on this machine, take its lab down."""
        self._move(None, "leave the workspace")

    def demonstrate(self) -> None:
        """Open a demonstration: a whole federation on this machine, and run its plan."""
        try:
            self.data.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._shell.complain(
                "demonstration", f"{self.data} cannot be created: {error.strerror}.", "Set TALLY_DATA."
            )
            return
        self._move(self._demonstrate, "demonstration")

    async def stop_run(self) -> None:
        """Abort the run, so that it is scored, and wait a moment for its end: closing does the rest."""
        session = self.workspace.runs.session if self.workspace is not None else None
        if session is None:
            return
        session.abort()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await session.wait()

    async def hand_over(self, workspace: Workspace, log_file: Path) -> int:
        """Let another process go on with the run of the open workspace, and close that here. Returns the id of the
        process, 0 if the run was over before. Raises SuccessorError."""
        successor = Successor(log_file)
        try:
            await successor.ready()
            if self.workspace is not workspace or self.task is None or not await workspace.hand_over():
                await successor.close()
                return 0
        except BaseException:
            await successor.close()
            raise
        return await finish(self._pass_on(workspace, successor), "pass the run on")

    async def _pass_on(self, workspace: Workspace, successor: Successor) -> int:
        assert self.task is not None
        clients = workspace.local_clients.let_go(successor.pid) if workspace.local_clients is not None else None
        demonstration = self.demo.let_go() if self.demo is not None else None
        options = replace(workspace.options, hub=replace(workspace.options.hub, port=workspace.hub.port), beside=False)
        await ended(self.task)  # hub, bus and database are free now
        origin = f"the window (process {os.getpid()})"
        await successor.send(Handed(options, workspace.handed(), clients, demonstration, origin))
        await successor.running()
        return successor.pid

    async def close(self) -> None:
        """Close the open workspace for good, and wait until all is down."""
        self.closing = True
        if self.task is not None:
            await ended(self.task)

    def _move(
        self,
        to: Callable[[], Coroutine[Any, Any, None]] | None,
        name: str,
        opened: asyncio.Future[bool] | None = None,
    ) -> None:
        """Leave the workspace that is open or being opened; when it is down, open the next one."""
        self._asked += 1
        before = self.task

        async def moved() -> None:
            try:
                if before is not None:
                    await ended(before)
                if to is not None and not self.closing:
                    await to()
            finally:
                if opened is not None and not opened.done():
                    opened.set_result(False)

        self.task = self._background.start(moved(), name)

    async def _stay(self, options: WorkspaceOptions, local_clients: int | None, opened: asyncio.Future[bool]) -> None:
        """Keep this workspace open until cancelled; look on while another program has it, and then have it."""
        try:
            while True:
                async with contextlib.AsyncExitStack() as stack:
                    workspace = await stack.enter_async_context(Workspace.open(replace(options, beside=True)))
                    count = (
                        (LOCAL_CLIENTS if workspace.lab is not None else 0) if local_clients is None else local_clients
                    )
                    if count and not workspace.other:
                        key = await workspace.blocking(ensure_shared_key, workspace.store, time.time())
                        workspace.local_clients = await stack.enter_async_context(
                            LocalClients(workspace.hub, count, key=key.secret, lab=workspace.lab)
                        )
                    await stack.enter_async_context(status_page(workspace))
                    self._attach(workspace)
                    if not opened.done():
                        opened.set_result(True)
                    await workspace.free.wait()
                    self._detach()
        except EXPECTED as error:
            log.info("! workspace: %s", error)
            self._shell.complain("workspace", str(error), "Open another one, or fix the cause and try again.")
        finally:
            self._detach()

    async def _demonstrate(self) -> None:
        self._shell.go("live")
        self._shell.show_stage("Setting up a federation on this machine")
        try:
            async with Demo.open(self._demo_options, self._show_stage) as demo:
                self._attach(demo.workspace)
                self.demo = demo
                self._shell.show_stage("")
                self._shell.run_plan(demo.plan, demo.text)
                # The federation stays up until the workspace is closed, so that it can be inspected and used again.
                await asyncio.Event().wait()
        except EXPECTED as error:
            log.info("! demonstration: %s", error)
            self._shell.complain("demonstration", str(error), "`make run` installs what is missing, if it can.")
        finally:
            self._detach()

    def _show_stage(self, text: str) -> None:
        """Show what the demonstration is doing, but not while it ends: the page then shows the run."""
        if self.demo is None and not self.closing:
            self._shell.show_stage(text)

    def _attach(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._shell.attached(workspace)

    def _detach(self) -> None:
        self.workspace = None
        self.demo = None
        self._shell.detached()
