"""The demonstration: a lab, a workspace on it, two client agents, one small plan; for `tally demo` and the window.

    async with Demo.open(DemoOptions(database=…), on_stage=print) as demo:
        result = await demo.workspace.run(demo.plan, text=demo.text, on_progress=…)

Leaving the block always ends the agents and takes the lab down: no process, port, queue or directory is left. The
results stay in the database.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

from gui.campaign.plan import Plan, Test
from gui.campaign.planfile import format_plan
from gui.hub import HubOptions
from gui.runner.lab import LabMissingError
from gui.runner.local_clients import LocalClients
from gui.runner.options import WorkspaceOptions
from gui.runner.workspace import Workspace
from shoveler.service.programs import program_command
from shoveler.service.tasks import finish

UP_SECONDS = 120.0
DOWN_SECONDS = 60.0
WRONG = "tally-agent lab: "
"""Prefix of the lab's error messages; the first one is the cause."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the demonstration does. `bus`: empty to let the lab choose, else an AMQP URL or a directory."""

    database: Path | str
    servers: int = 4
    files: int = 50
    rate: int = 10
    repeats: int = 1
    clients: int = 2
    bus: str = ""

    def plan(self) -> Plan:
        """The plan: `rate` random files from each server, wait one second, until each was asked for `files`."""
        return Plan(
            name=f"demo, {self.servers} servers × {self.files} files",
            settle=60.0,
            tests=(
                Test(
                    servers=self.servers,
                    files_per_server=self.files,
                    per_round=min(self.rate, self.files),
                    repeats=self.repeats,
                    seed=42,
                    name=f"{self.servers}×{self.files}",
                ),
            ),
        )


@dataclass(frozen=True, slots=True)
class Demo:
    """A demonstration that is ready: run `plan` in `workspace`."""

    options: DemoOptions
    workspace: Workspace
    plan: Plan
    text: str
    lab: Path
    _let_go: asyncio.Event = field(default_factory=asyncio.Event)

    def let_go(self) -> Path:
        """Another program goes on with it: leave the lab up. Returns what that program passes to `take_down`."""
        self._let_go.set()
        return self.lab.parent

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, options: DemoOptions, on_stage: Callable[[str], None]) -> AsyncIterator[Demo]:
        """Bring everything up; `on_stage` is called with what is being done. Raises LabMissingError with the lab's own
        sentence, or what `Workspace.open` and `LocalClients` raise."""
        plan = options.plan()
        directory = Path(tempfile.mkdtemp(prefix="tally-demo-"))
        lab = directory / "lab"
        let_go = asyncio.Event()
        try:
            on_stage(f"starting {options.servers} XRootD servers, a bus, a shoveler and a collector")
            try:
                await _lab_up(lab, options, on_stage)
                hub = HubOptions(directory=directory / "hub", host="127.0.0.1", port=0, insecure=True)
                # On a given broker, somebody else's demonstration must not use the same queue.
                name = f"demo-{secrets.token_hex(4)}" if "://" in options.bus else "demo"
                workspace_options = WorkspaceOptions(
                    database=options.database, hub=hub, name=name, lab=lab, forget_queue=True
                )
                async with Workspace.open(workspace_options) as workspace:
                    on_stage(f"starting {options.clients} client agents")
                    key = await workspace.blocking(lambda: workspace.shared_key.secret)
                    async with LocalClients(workspace.hub, options.clients, key=key, lab=workspace.lab) as clients:
                        workspace.local_clients = clients
                        try:
                            yield cls(options, workspace, plan, format_plan(plan), lab, let_go)
                        finally:
                            workspace.local_clients = None
                            on_stage("ending the client agents")
            finally:
                if not let_go.is_set():
                    try:
                        on_stage("taking the federation down")
                    finally:  # even if `on_stage` raises
                        await finish(_lab_down(lab), "take the lab down")
        finally:
            if not let_go.is_set():
                await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)


async def take_down(directory: Path) -> None:
    """Take down a demonstration that another program has let go."""
    try:
        await finish(_lab_down(directory / "lab"), "take the lab down")
    finally:
        await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)


async def _lab_up(lab: Path, options: DemoOptions, on_stage: Callable[[str], None]) -> None:
    arguments = ["lab", "up", "--json", "--dir", str(lab), "--servers", str(options.servers)]
    if options.bus:
        arguments += ["--bus", options.bus]
    process = await asyncio.create_subprocess_exec(
        *program_command("tally-agent"),
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=2**24,  # the state of a large lab is a single long line
        start_new_session=True,  # Ctrl-C is for us; we stop the lab ourselves
    )
    assert process.stdout is not None
    assert process.stderr is not None
    said: list[str] = []
    wrong: list[str] = []

    async def listen(stream: asyncio.StreamReader) -> None:
        async for raw in stream:
            line = raw.decode(errors="replace").strip()
            if line.startswith(WRONG):
                wrong.append(line.removeprefix(WRONG))  # becomes the error, and is not shown twice
            elif line:
                said.append(line)
                on_stage(line)

    try:
        async with asyncio.timeout(UP_SECONDS):
            await asyncio.gather(process.stdout.read(), listen(process.stderr))
            code = await process.wait()
    except TimeoutError:
        raise LabMissingError(f"The lab was not up within {UP_SECONDS:g} s; its last words: {_last(said)}") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            await finish(process.wait(), "end of the lab's command")
    if code != 0:
        raise LabMissingError(wrong[0] if wrong else f"The lab did not come up; its last words: {_last(said)}")


async def _lab_down(lab: Path) -> None:
    """Take the lab down; it is no error if there is none. Raises LabMissingError when something may be left."""
    process = await asyncio.create_subprocess_exec(
        *program_command("tally-agent"),
        *("lab", "down", "--dir", str(lab)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(DOWN_SECONDS):
            _, err = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise LabMissingError(
            f"The lab did not come down within {DOWN_SECONDS:g} s; try: tally-agent lab down --dir {lab}"
        ) from None
    if process.returncode != 0:
        words = err.decode(errors="replace").strip().splitlines()
        raise LabMissingError(f"The lab did not come down: {_last(words)}")


def _last(lines: list[str]) -> str:
    return lines[-1] if lines else "it wrote nothing."
