"""`tally run` and `tally hub`: the hub on this machine, with or without a plan to run."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import importlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from gui.campaign.plan import Plan
from gui.campaign.planfile import parse_plan
from gui.campaign.presets import find_preset, presets
from gui.commands import CommandError, reason, tell
from gui.commands.loop import StoppedError, run_until_done
from gui.commands.places import (
    add_database_option,
    data_directory,
    database,
    has_display,
)
from gui.commands.progress import TerminalProgress, table_width
from gui.commands.remote import add_remote_options, refuse_senseless, run_remote
from gui.commands.results import write_reports
from gui.commands.takeover import take_over
from gui.hub import AgentView
from gui.hub.server import DEFAULT_LISTEN, MAX_WAITING, MAX_WAITING_EACH
from gui.report import FORMATS, build, text_table, wants
from gui.report.words import printable
from gui.runner.lab import default_lab
from gui.runner.local_clients import LocalClients
from gui.runner.machine import LOCAL_CLIENTS
from gui.runner.machine import workspace_options as of_this_machine
from gui.runner.options import WorkspaceOptions
from gui.runner.problems import BURST, EVERY, ProblemLines, Purse
from gui.runner.queues import KEPT, QUEUE_BYTES
from gui.runner.workspace import Workspace
from gui.statuspage.publisher import status_page
from shoveler.service import Address, parse_address
from shoveler.values.quantities import about_duration, format_size, parse_duration, parse_size

Q = TypeVar("Q", int, float)


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    run = commands.add_parser(
        "run",
        help="run a plan",
        description="Runs a plan: a TOML file, or a preset by its name "
        f"({', '.join(preset.id for preset in presets())}). Exit code: 0 passed, 1 not passed, 2 the plan cannot "
        "be run.",
    )
    run.add_argument("plan", metavar="PLAN", nargs="?", default="", help="plan file, or the name of a preset")
    run.add_argument(
        "--handed-over",
        action="store_true",
        help=argparse.SUPPRESS,  # by a window that is closed during a run; it describes the run on standard input
    )
    run.add_argument("--headless", action="store_true", help="never open a window")
    run.add_argument("--out", type=Path, metavar="DIR", help="write the reports of the run to this directory")
    run.add_argument(
        "--wait", type=_seconds, default=600.0, metavar="SECONDS", help="maximum time to wait for clients (600)"
    )
    add_hub_options(run)
    add_remote_options(run, "run the plan", insecure=False)
    run.set_defaults(run=run_plan, output_decides=False)

    hub = commands.add_parser(
        "hub",
        help="run the hub without a window",
        description="Lets agents join and loads records as they arrive, until Ctrl-C. Late records are scored.",
    )
    add_hub_options(hub)
    hub.set_defaults(run=run_hub, output_decides=False)


def add_hub_options(parser: argparse.ArgumentParser) -> None:
    add_database_option(parser)
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        help="address to listen on for agents (default: that of the settings, or {}:{})".format(*DEFAULT_LISTEN),
    )
    parser.add_argument(
        "--public",
        metavar="HOST[:PORT]",
        default="",
        help="address at which agents reach the hub (default: that of the settings, or the name of this host)",
    )
    parser.add_argument(
        "--certificate", type=Path, metavar="FILE", help="your own TLS certificate (PEM); needs --certificate-key"
    )
    parser.add_argument("--certificate-key", type=Path, metavar="FILE", help="private key of the certificate")
    parser.add_argument("--insecure", action="store_true", help="use plain ws:// without TLS; loopback only")
    parser.add_argument(
        "--bus",
        metavar="URL|DIR",
        default="",
        help="broker or local bus to take records from (default: TALLY_BUS, or that of the settings)",
    )
    parser.add_argument(
        "--lab",
        nargs="?",
        const=default_lab(),
        type=Path,
        metavar="DIR",
        help="use the lab started by `tally-agent lab up`: its servers, files and bus",
    )
    parser.add_argument(
        "--local-clients",
        type=int,
        metavar="K",
        help="start K client agents on this machine (default: 2 on a lab, else 0)",
    )
    parser.add_argument(
        "--queue-expires",
        metavar="TIME",
        help="the bus removes the queue of records when nobody has taken from it for so long; 0: never "
        f"(default: as in the settings, or {about_duration(KEPT)})",
    )
    parser.add_argument(
        "--queue-max",
        metavar="SIZE",
        help="when the queue of records is larger, its oldest records are dropped, and counted; 0: any size "
        f"(default: as in the settings, or {format_size(QUEUE_BYTES)})",
    )
    parser.add_argument(
        "--metrics",
        metavar="HOST:PORT",
        help="serve Prometheus metrics and /healthz there, without TLS (default: as in the settings, or nowhere)",
    )
    parser.add_argument(
        "--max-waiting",
        type=int,
        metavar="N",
        help="connections that may wait without having signed in; 0: any number "
        f"(default: as in the settings, or {MAX_WAITING})",
    )
    parser.add_argument(
        "--max-waiting-each",
        type=int,
        metavar="N",
        help=f"the same, from one address (default: as in the settings, or {MAX_WAITING_EACH})",
    )
    parser.add_argument("--shared-key-file", type=Path, metavar="FILE", help="read the shared key from this file")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds <= 1e6:
        raise argparse.ArgumentTypeError(f"expected a number of seconds from 0 to 1,000,000, not {text!r}")
    return seconds


@dataclass(frozen=True, slots=True)
class LoadedPlan:
    """A plan with its text and the directory that its file list is relative to."""

    plan: Plan
    text: str
    directory: Path


def load_plan(name: str) -> LoadedPlan:
    """A plan file, or a preset by its name. Raises PlanError or CommandError."""
    path = Path(name)
    preset = find_preset(name)
    if preset is not None and not path.exists():
        return LoadedPlan(preset.plan, preset.text, Path())
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        names = ", ".join(preset.id for preset in presets())
        raise CommandError(f"There is no plan file {name!r}; presets are: {names}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"The plan {name} cannot be read: {reason(error)}.") from error
    return LoadedPlan(parse_plan(text, name=name), text, path.parent)


def workspace_options(options: argparse.Namespace) -> WorkspaceOptions:
    """Workspace options from the command line. Raises CommandError."""
    secret = None
    if options.shared_key_file is not None:
        try:
            secret = options.shared_key_file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"The key file {options.shared_key_file} cannot be read: {reason(error)}.") from error
    if (options.certificate is None) != (options.certificate_key is None):
        raise CommandError("--certificate and --certificate-key go together: give both or neither.")
    kept = of_this_machine(data_directory(), database(options))
    try:
        listen = parse_address(options.listen) if options.listen else Address(kept.hub.host, kept.hub.port)
    except ValueError as error:
        raise CommandError(f"--listen: {error}") from error
    if options.metrics:
        try:
            parse_address(options.metrics)
        except ValueError as error:
            raise CommandError(f"--metrics: {error}") from error
    own = options.certificate is not None
    return replace(
        kept,
        hub=replace(
            kept.hub,
            host=listen.host,
            port=listen.port,
            insecure=options.insecure or os.environ.get("TALLY_INSECURE") == "1",
            certificate=options.certificate if own else kept.hub.certificate,
            key=options.certificate_key if own else kept.hub.key,
            public=options.public or kept.hub.public,
            max_waiting=_limit("--max-waiting", options.max_waiting, kept.hub.max_waiting),
            max_waiting_each=_limit("--max-waiting-each", options.max_waiting_each, kept.hub.max_waiting_each),
        ),
        metrics=options.metrics or kept.metrics,
        queue_expires=_quantity("--queue-expires", parse_duration, options.queue_expires, kept.queue_expires),
        queue_max=_quantity("--queue-max", parse_size, options.queue_max, kept.queue_max),
        bus=options.bus or ("" if options.lab is not None else kept.bus),
        lab=options.lab if options.lab is not None or options.bus else kept.lab,
        lab_must_be_up=options.lab is not None,
        shared_key=secret or os.environ.get("TALLY_KEY") or None,
        client_wait=getattr(options, "wait", 600.0),
    )


def _limit(option: str, given: int | None, kept: int) -> int:
    if given is not None and given < 0:
        raise CommandError(f"{option}: expected 0 or more, not {given}.")
    return kept if given is None else given


def _quantity(option: str, parse: Callable[[object], Q], given: str | None, kept: Q) -> Q:
    if given is None:
        return kept
    try:
        return parse(given)
    except ValueError as error:
        raise CommandError(f"{option}: {error}.") from error


@contextlib.asynccontextmanager
async def opened(options: argparse.Namespace, *, go_on: bool = False) -> AsyncIterator[Workspace]:
    """Open the workspace named by the options, with its local clients; `go_on`: with the run that was left under way.
    Raises what `Workspace.open` raises."""
    chosen = replace(workspace_options(options), go_on=go_on)
    count = _local_clients(options, chosen)
    async with Workspace.open(chosen) as workspace, contextlib.AsyncExitStack() as stack:
        if count:
            key = await workspace.blocking(lambda: workspace.shared_key.secret)
            workspace.local_clients = await stack.enter_async_context(
                LocalClients(workspace.hub, count, key=key, lab=workspace.lab)
            )
        await stack.enter_async_context(status_page(workspace))
        yield workspace
        workspace.local_clients = None


def _local_clients(options: argparse.Namespace, chosen: WorkspaceOptions) -> int:
    """How many clients to start on this machine. Raises CommandError."""
    if options.local_clients is None:
        return LOCAL_CLIENTS if chosen.lab is not None else 0
    count = int(options.local_clients)
    if not 0 <= count <= 64:
        raise CommandError(f"--local-clients: expected 0 to 64, not {count}.")
    return count


def run_plan(options: argparse.Namespace) -> int:
    """Run a plan, in a window if there is a display."""
    if options.handed_over:
        return take_over()
    refuse_senseless(options)
    if not options.plan:
        raise CommandError("Name a plan to run: a file, or a preset (`tally run --help` lists them).")
    loaded = load_plan(options.plan)
    if options.hub:
        return run_remote(options, loaded.text, loaded.directory)
    if not options.headless and has_display():
        try:
            app = importlib.import_module("gui.app")
        except ModuleNotFoundError as error:
            print(f"tally: {error.name} is not installed; continuing without a window.", file=sys.stderr)
        else:
            chosen = workspace_options(options)
            code: int = app.run_window(
                data=data_directory(),
                workspace=chosen,
                plan=loaded.plan,
                plan_text=loaded.text,
                plan_directory=loaded.directory,
                local_clients=_local_clients(options, chosen),
            )
            return code
    return run_until_done(_run_headless(options, loaded))


async def _run_headless(options: argparse.Namespace, loaded: LoadedPlan) -> int:
    progress = TerminalProgress()
    async with opened(options) as workspace:
        _say_where(workspace)
        try:
            result = await workspace.run(
                loaded.plan, text=loaded.text, directory=loaded.directory, on_progress=progress
            )
        finally:
            progress.close()
        gather = functools.partial(build, **wants(FORMATS if options.out is not None else ("table",)))
        report = await workspace.blocking(gather, workspace.store, result.run)
        tell(f"\n{text_table(report, table_width())}")
        if options.out is not None:
            for path in await workspace.blocking(write_reports, workspace.store, report, options.out):
                tell(f"written: {path}", sys.stderr)
    # From the figures that were shown: late records may have arrived between the end of the run and its table.
    return 0 if report.conclusion == "pass" else 1


def run_hub(options: argparse.Namespace) -> int:
    """Run the hub until it is stopped, which is its normal end."""
    try:
        return run_until_done(_be_hub(options))
    except StoppedError:
        tell("The hub has stopped. Agents reconnect by themselves when it runs again.", sys.stderr)
        return 0


async def _be_hub(options: argparse.Namespace) -> int:
    async with opened(options, go_on=True) as workspace:
        _say_where(workspace)
        if workspace.runs.session is not None:
            tell(f"  Run {workspace.runs.session.number} was under way, and goes on.", sys.stderr)
        agents = AgentLines()
        problems = ProblemLines()
        signing = ""
        while True:
            await asyncio.sleep(1)
            now = time.time()
            if (said := sign_in_line(workspace)) != signing:
                signing = said
                tell(f"  {said or 'Nobody is let in by sign-in any more.'}", sys.stderr)
            for line in agents(workspace.hub.roster.agents, now) + problems(workspace.problems.all(), now):
                tell(f"  {line}", sys.stderr)


class AgentLines:
    """What to print of the agents: each that comes or goes; of those that come and go all the time, now and then."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}
        self._purses: dict[str, Purse] = {}

    def __call__(self, agents: Sequence[AgentView], now: float) -> list[str]:
        """The lines to print now."""
        lines = []
        for view in agents:
            if self._told.get(view.id) == view.state:
                continue
            purse = self._purses.setdefault(view.id, Purse(BURST, EVERY, BURST, now))
            if purse.has(now):
                purse.left -= 1
                self._told[view.id] = view.state
                lines.append(agent_line(view))
        here = {view.id for view in agents}
        self._told = {one: state for one, state in self._told.items() if one in here}
        self._purses = {one: purse for one, purse in self._purses.items() if one in here}
        return lines


def agent_line(view: AgentView) -> str:
    """How an agent is, in one line; what it says of itself cannot become a line of ours."""
    why = f" ({view.reason})" if view.reason else ""
    return printable(f"{view.role} {json.dumps(view.name)} from {view.host}: {view.state}{why}")


def sign_in_line(workspace: Workspace) -> str:
    """How people sign in to the hub; empty if nobody can."""
    trust = workspace.hub.people.trust
    if trust is None or trust.allow.empty:
        return ""
    return printable(f"People sign in by {trust.options.title}: {workspace.hub.page}/")


def _say_where(workspace: Workspace) -> None:
    hub = workspace.hub
    pin = f"pin {hub.pin}" if hub.pin else "without TLS"
    tell(f"Hub at {hub.address}, {pin}; workspace {workspace.store.database.shown}", sys.stderr)
    if workspace.metrics:
        tell(f"Metrics at http://{workspace.metrics}/metrics", sys.stderr)
    if not workspace.options.bus and workspace.lab is None:
        tell("No bus is named, so no records are loaded; give --bus URL or --lab.", sys.stderr)
