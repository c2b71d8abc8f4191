"""The run that is under way in a workspace; there is one at a time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from gui.campaign.plan import Plan
from gui.campaign.planfile import format_plan
from gui.runner import ownership
from gui.runner.bus import WorkspaceBus
from gui.runner.checklist import Check
from gui.runner.driver import HandedOverError
from gui.runner.handover import HandedRun
from gui.runner.host import Host
from gui.runner.progress import ProgressFeed, RunProgress
from gui.runner.publishing import publish_result
from gui.runner.refusal import RunRefusedError
from gui.runner.session import RunResult, RunSession
from gui.runner.threads import Threads
from gui.store import StoreError

log = logging.getLogger("tally.runner")


class Runs:
    """Begins and ends runs. `session` is the one under way."""

    def __init__(self, host: Host, bus: WorkspaceBus, threads: Threads, progress: ProgressFeed) -> None:
        self._host = host
        self._bus = bus
        self._threads = threads
        self._progress = progress
        self.session: RunSession | None = None

    @property
    def restarted(self) -> bool:
        """Whether the run under way comes from the database, and nobody carries it out yet."""
        return self.session is not None and self.session.restarted

    async def run(
        self,
        plan: Plan,
        *,
        text: str = "",
        files: str | None = None,
        directory: Path | None = None,
        checks: Sequence[Check] = (),
        wait: float | None = None,
        on_progress: Callable[[RunProgress], None] | None = None,
    ) -> RunResult:
        """Carry a plan out and keep its results, and the `checks` that were made before it. `wait`: for how many
        seconds to wait for its clients, if not as the workspace's options say.

        `text` is the plan's own TOML (with comments), to be stored; `files` is the text of its file list, which is read
        from `directory` (default: the working directory) if not given. Raises RunRefusedError, SelectionError or
        CatalogueError before the first request to a server; later errors become the outcome of the result."""
        if self.session is not None:
            raise RunRefusedError("A run is under way in this workspace; stop it first.")
        await self._bus.ready()
        session = RunSession(
            self._host,
            plan,
            text=text or format_plan(plan),
            files=files,
            directory=directory or Path(),
            checks=checks,
            wait=wait,
        )
        return await self._carry_out(session, on_progress)

    def take(self, taken: HandedRun) -> None:
        """Before the hub listens: the run of another program is under way here. Then `go_on`."""
        self.session = RunSession(
            self._host, taken.plan, text=taken.text, files=taken.files, directory=taken.directory, taken=taken
        )

    async def go_on(self, on_progress: Callable[[RunProgress], None] | None = None) -> RunResult:
        """Carry out the run that was taken over; as `run`."""
        assert self.session is not None
        await self._bus.ready()
        return await self._carry_out(self.session, on_progress)

    async def _carry_out(self, session: RunSession, on_progress: Callable[[RunProgress], None] | None) -> RunResult:
        self.session = session
        handed = False
        unsubscribe = self._progress.subscribe(on_progress) if on_progress else None
        try:
            result = await session.run()
            publish_result(self._host.hub.topics, result)
            return result
        except asyncio.CancelledError:  # Ctrl-C: the program ends, but must not leave the run open
            if session.number is not None and not session.handing_over:
                try:
                    await asyncio.shield(self._close_stopped(session.number))
                except StoreError:
                    log.exception("! the run that was stopped could not be closed; the next start does it")
            raise
        except HandedOverError:
            handed = True
            raise
        finally:
            self._progress.publish()  # its end, for subscribers
            if not handed:  # otherwise it still hears what agents say, until the hub ends
                self.session = None
            if unsubscribe:
                unsubscribe()

    async def _close_stopped(self, run: int) -> None:
        await self._threads.let_finish()  # a round that is being stored belongs to the run; a scoring goes on
        await self._threads.blocking(ownership.close_run, self._host.store, run, time.time(), ownership.STOPPED)

    def stop(self) -> bool:
        """Let the run finish its round, settle, and end. False if there is none."""
        if self.session is None:
            return False
        self.session.stop()
        return True

    def pause(self, *, on: bool, by: str = "") -> None:
        """Hand nothing out until the run is resumed (`on` False). Raises RunRefusedError."""
        if self.session is None:
            raise RunRefusedError("No run is under way.")
        if self.session.paused == on:
            raise RunRefusedError("The run is paused already." if on else "The run is not paused.")
        self.session.pause(on=on, by=by)

    def abort(self) -> bool:
        """End the run at once: requests under way are interrupted. False if there is none."""
        if self.session is None:
            return False
        self.session.abort()
        return True

    async def end(self, *, leave: bool = False) -> None:
        """Abort the run, if there is one, and wait until it is over; or `leave` it as it is, for the next program with
        this workspace. One that is handed over is left, too."""
        session = self.session
        if session is None or session.handing_over:
            return
        if leave and (session.number is None or session.can_be_gone_on_with):
            session.hand_over()
        elif leave:
            session.interrupt()
        else:
            session.abort()
        await session.wait()
