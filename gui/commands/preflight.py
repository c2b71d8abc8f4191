"""`tally preflight`: check that everything a plan needs is in place, without running it."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import asdict, replace

from gui.campaign.plan import Plan
from gui.campaign.selection import choose_clients
from gui.commands import tell
from gui.commands.loop import run_until_done
from gui.commands.run import LoadedPlan, add_hub_options, load_plan, opened
from gui.report.words import printable
from gui.runner.checklist import ITEMS, Check, checklist_text, verdict
from gui.runner.preflight import Preflight
from gui.runner.resolve import present_clients
from gui.runner.workspace import Workspace

WAIT = 20.0


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "preflight",
        help="check that everything a plan needs is in place",
        description="Checks bus, clients, clocks, servers, files, monitoring and free space for a plan, and says what "
        "to do. Nothing is changed and no run is started. Exit code: 0 no check failed, 1 one failed, 2 the plan "
        "cannot be read.",
    )
    parser.add_argument("plan", metavar="PLAN", help="plan file, or the name of a preset")
    parser.add_argument(
        "--wait",
        type=float,
        default=WAIT,
        metavar="SECONDS",
        help=f"maximum time to wait for the clients of the plan ({WAIT:g})",
    )
    names = ", ".join(item.name for item in ITEMS)
    parser.add_argument(
        "--only", action="append", metavar="CHECK", choices=[item.name for item in ITEMS],
        help=f"only this check and what it needs; may be given several times: {names}",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_hub_options(parser)
    parser.set_defaults(run=run_preflight)


def run_preflight(options: argparse.Namespace) -> int:
    """Check a plan; see the module."""
    return run_until_done(_check(options, load_plan(options.plan)))


async def _check(options: argparse.Namespace, loaded: LoadedPlan) -> int:
    checks: list[Check] = []
    async with opened(options) as workspace:
        await _wait_for_clients(workspace, loaded.plan, options.wait)
        preflight = Preflight(workspace, loaded.plan, directory=loaded.directory)
        async for found in preflight.look(options.only):
            if isinstance(found, Check):
                checks.append(found)
                if not options.json:
                    tell(printable_lines(checklist_text([found])))
    tell(json.dumps([_as_json(check) for check in checks]) if options.json else f"\n{verdict(checks)}")
    return 1 if any(check.state == "failed" for check in checks) else 0


def _as_json(check: Check) -> dict[str, object]:
    """A check for programs: without the buttons that the window makes of its fixes."""
    return {name: value for name, value in asdict(replace(check, fixes=())).items() if name != "fixes"}


def printable_lines(text: str) -> str:
    """The text with what steers a terminal taken out of each of its lines."""
    return "\n".join(printable(line) for line in text.split("\n"))


async def _wait_for_clients(workspace: Workspace, plan: Plan, seconds: float) -> None:
    """Agents connect by themselves a moment after the hub is there; so does the bus."""
    said = False
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while loop.time() < deadline:
        present = present_clients(workspace.hub)
        chosen = [choose_clients(test.who.clients, present) for test in plan.tests]
        awaited = next((text for text in chosen if isinstance(text, str)), "")
        if not awaited and (workspace.records_state.connected or not workspace.bus.there):
            return
        if awaited and not said:
            said = True
            tell(printable(f"{awaited[:1].upper()}{awaited[1:]} …"), sys.stderr)
        await asyncio.sleep(0.2)
