"""`tally stop`, `tally pause` and `tally resume`: the run under way, of another program on this machine or of a remote
hub."""

from __future__ import annotations

import argparse
import asyncio
import time

from gui.commands import CommandError, tell
from gui.commands.loop import run_until_done
from gui.commands.places import open_to_change
from gui.commands.remote import add_place_options, opened_hub, refuse_senseless
from gui.report.words import printable
from gui.runner.orders import What, give_order
from gui.runner.ownership import UNDER_WAY
from gui.runner.refusal import RunRefusedError
from gui.runner.remote import RemoteHub, RunLostError
from gui.store import Store

SAID: dict[What, str] = {
    "stop": "ends after its round, and is scored",
    "abort": "is ended at once; the requests under way are interrupted",
    "pause": "is paused: what was handed out is made, and nothing more is asked",
    "resume": "goes on",
}
LOOK_SECONDS = 0.5


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    stop = commands.add_parser(
        "stop",
        help="end the run under way",
        description="Ends the run under way after its round: what was asked is made, waited for and scored. Exit code: "
        "0 it ends (with --wait: it has ended), 1 it could not be told, 2 there is no run or it cannot be reached.",
    )
    stop.add_argument(
        "--abort",
        action="store_true",
        help="at once: requests under way are interrupted, and monitoring is not awaited",
    )
    stop.add_argument("--wait", action="store_true", help="wait until it has ended, and say how")
    pause = commands.add_parser(
        "pause",
        help="pause the run under way",
        description="Pauses the run under way: what was handed out is made, and nothing more is asked until `tally "
        "resume`. The pause is on the time axis of the run.",
    )
    resume = commands.add_parser(
        "resume", help="resume the run that is paused", description="Resumes the run that is paused."
    )
    for parser in (stop, pause, resume):
        add_place_options(parser, f"{parser.prog.split()[-1]} the run")
    stop.set_defaults(run=lambda options: _order(options, "abort" if options.abort else "stop", wait=options.wait))
    pause.set_defaults(run=lambda options: _order(options, "pause"))
    resume.set_defaults(run=lambda options: _order(options, "resume"))


def _order(options: argparse.Namespace, what: What, *, wait: bool = False) -> int:
    refuse_senseless(options)
    if options.hub:
        return run_until_done(_order_there(options, what, wait=wait))
    with open_to_change(options) as store:
        try:
            run = give_order(store, what, time.time())
        except RunRefusedError as error:
            raise CommandError(str(error)) from error
        tell(f"Run {run} {SAID[what]}.")
        if wait:
            _await_end(store, run)
    return 0


def _await_end(store: Store, run: int) -> None:
    while (entry := store.run(run)).state in UNDER_WAY:
        time.sleep(LOOK_SECONDS)
    tell(printable(f"Run {run}: {entry.state}. {entry.message}".rstrip()))


async def _order_there(options: argparse.Namespace, what: What, *, wait: bool) -> int:
    async with opened_hub(options) as hub:
        await hub.told("run")
        run, ended = hub.progress.run, hub.mirror.ended
        match what:
            case "stop":
                await hub.stop()
            case "abort":
                await hub.abort()
            case "pause" | "resume":
                await hub.pause(on=what == "pause")
        tell(f"Run {run} of {hub.url} {SAID[what]}." if run is not None else f"The run of {hub.url} {SAID[what]}.")
        if wait:
            await _await_end_there(hub, run, ended)
    return 0


async def _await_end_there(hub: RemoteHub, run: int | None, ended: int | None) -> None:
    while (result := hub.mirror.result) is None or (result.run == ended and result.run != run):
        if hub.ended:
            raise RunLostError(hub.ended)
        if run is None and hub.progress.run is None and hub.progress.phase == "idle":
            return  # it was stopped before it had a number
        await asyncio.sleep(LOOK_SECONDS)
    tell(printable(f"Run {result.run}: {result.outcome}. {result.message}".rstrip()))
