"""`tally run --handed-over`: go on with the run of a window that is closed. What it is told: `gui.runner.handover`."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import time

from gui.commands import CommandError, tell
from gui.commands.loop import run_until_done
from gui.commands.progress import TerminalProgress
from gui.report import build, text_table, wants
from gui.runner.demo import take_down
from gui.runner.handover import Handed, decode_handed
from gui.runner.local_clients import LocalClients
from gui.runner.session import RunResult
from gui.runner.successor import READY, RUNNING
from gui.runner.workspace import Workspace
from gui.statuspage.publisher import status_page


def take_over() -> int:
    """Go on with the run that standard input tells of, to its end. Raises CommandError."""
    answer = os.dup(1)
    os.dup2(2, 1)  # what this command prints goes to its log; the window hears two words
    _answer(answer, READY)
    data = sys.stdin.buffer.read()
    if not data:
        raise CommandError("The window has kept its run.")
    try:
        handed = decode_handed(data)
    except ValueError as error:
        raise CommandError(f"The run cannot be taken over: {error}.") from error
    return run_until_done(_go_on(handed, answer))


def _answer(descriptor: int, word: bytes) -> None:
    with contextlib.suppress(OSError):  # a window that was killed meanwhile hears nothing
        os.write(descriptor, word)


async def _go_on(handed: Handed, answer: int) -> int:
    progress = TerminalProgress()
    run, begun = handed.run, handed.run.number is not None
    when = time.strftime("%Y-%m-%d %H:%M:%S")
    tell(f"{when}  process {os.getpid()} goes on with the run of {handed.origin}; kill {os.getpid()} ends it.")
    try:
        async with contextlib.AsyncExitStack() as stack:
            workspace = await stack.enter_async_context(Workspace.open(handed.options, taken=run if begun else None))
            if handed.clients is not None:
                clients = LocalClients.adopted(workspace.hub, handed.clients)
                workspace.local_clients = await stack.enter_async_context(clients)
            await stack.enter_async_context(status_page(workspace))
            _answer(answer, RUNNING)
            os.close(answer)
            tell(f"Hub at {workspace.hub.address}; workspace {workspace.store.database.shown}")
            try:
                result: RunResult = await (
                    workspace.go_on(progress)
                    if begun
                    else workspace.run(
                        run.plan, text=run.text, files=run.files, directory=run.directory, on_progress=progress
                    )
                )
            finally:
                progress.close()
                workspace.local_clients = None
            report = await workspace.blocking(
                functools.partial(build, **wants(("table",))), workspace.store, result.run
            )
            tell(f"\n{text_table(report, None)}")
    finally:
        if handed.demonstration is not None:
            await take_down(handed.demonstration)
    return 0 if report.conclusion == "pass" else 1
