"""The lab as the runner sees it: its state file, its servers and files, its faults (``tally-agent lab fault``)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
import psutil

from agent.messages import LAB_SCHEMA, LabState, decode_lab_state
from gui.campaign.plan import LOSS_KINDS, Fault, File
from gui.campaign.selection import Server
from shoveler.service.programs import program_command

MAX_STATE = 16 * 2**20
FAULT_SECONDS = 120.0


class LabMissingError(Exception):
    """There is no usable lab; one sentence says why and what to do."""


def default_lab() -> Path:
    """Where `tally-agent lab` keeps a lab by default."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Path(runtime) / "tally-lab" if runtime else Path(f"/tmp/tally-lab-{os.getuid()}")  # noqa: S108


def running_lab(directory: Path | None = None) -> LabState | None:
    """The lab in this directory (in the usual one, for None) if it is up and its supervisor is alive."""
    where = directory or default_lab()
    try:
        if where.stat().st_uid != os.getuid():
            return None  # anybody can make a directory of that name in /tmp
        state = read_lab(where)
    except (OSError, LabMissingError):
        return None
    pids = [process.pid for process in state.processes if process.kind == "supervisor"]
    return state if any(psutil.pid_exists(pid) for pid in pids) else None  # else killed, and still said to be up


def read_lab(directory: Path) -> LabState:
    """The state of the lab in `directory`, which must be up. Raises LabMissingError."""
    path = directory / "state.json"
    try:
        with path.open("rb") as file:
            state = decode_lab_state(file.read(MAX_STATE))
    except FileNotFoundError:
        raise LabMissingError(f"There is no lab in {directory}; `tally-agent lab up` starts one.") from None
    except OSError as error:
        raise LabMissingError(f"The lab in {directory} cannot be read: {error.strerror}.") from error
    except msgspec.DecodeError as error:
        raise LabMissingError(f"{path} is not the state of a lab: {error}.") from error
    if state.schema != LAB_SCHEMA:
        raise LabMissingError(
            f"The lab in {directory} was made by another version of Tally; take it down and up again."
        )
    if state.state != "up":
        why = f": {state.error}" if state.error else ""
        raise LabMissingError(f"The lab in {directory} is {state.state}, not up{why}.")
    return state


def lab_servers(state: LabState) -> list[Server]:
    """The lab's servers, with those that are in front of others; their site is their label."""
    front = [*([state.redirector] if state.redirector else []), *state.caches]
    return [
        Server(server.name, server.url, (server.site,) if server.site else (), front=server in front)
        for server in (*state.servers, *front)
    ]


def lab_files(state: LabState) -> tuple[File, ...]:
    """The lab's test files."""
    return tuple(File(file.path, file.size, state.content) for file in state.files)


def cannot(faults: Sequence[Fault], state: LabState | None, *, local_clients: bool) -> list[str]:
    """Why faults of a plan cannot be injected here: a sentence for each reason, none if all can be."""
    reasons: list[str] = []
    for fault in faults:
        if fault.do == "kill-agent":
            if not local_clients:
                reasons.append("The fault kill-agent needs clients that this program has started (--local-clients).")
        elif state is None:
            reasons.append(f"The fault {fault.do} needs a lab.")
        elif reason := state.faults.get(fault.do, ""):
            reasons.append(f"The lab cannot do {fault.do}: {reason}.")
        elif fault.server and all(fault.server != server.name for server in (*state.servers, *state.caches)):
            reasons.append(f"The fault {fault.do} names {fault.server}, and the lab has no server of that name.")
    return list(dict.fromkeys(reasons))


class Injected(msgspec.Struct, frozen=True):
    """The lab's answer: what was done, and when it had begun (Unix seconds; 0: the lab does not say)."""

    text: str
    t: float = 0.0


async def inject(directory: Path, fault: Fault) -> Injected:
    """Inject a fault into the lab. Raises LabMissingError when it failed."""
    arguments: list[str] = []
    if fault.lasts:
        arguments += ["--for", f"{fault.lasts:g}s"]
    if fault.do in LOSS_KINDS:
        arguments += ["--percent", f"{fault.percent:g}"]
    if fault.server:
        arguments += ["--server", fault.server]
    return await order(directory, fault.do, *arguments)


async def order(directory: Path, do: str, *arguments: str) -> Injected:
    """Give an order of ``tally-agent lab fault``. Raises LabMissingError when it failed."""
    process = await asyncio.create_subprocess_exec(
        *program_command("tally-agent"),
        "lab",
        "fault",
        do,
        "--json",
        "--dir",
        str(directory),
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(FAULT_SECONDS):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise LabMissingError(f"The lab did not answer to {do} within {FAULT_SECONDS:g} s.") from None
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode != 0:
        raise LabMissingError(f"The lab did not do {do}: {_last_line(err) or _last_line(out)}")
    try:
        return msgspec.json.decode(_last_line(out), type=Injected)
    except msgspec.DecodeError as error:
        raise LabMissingError(f"The lab did {do}, and its answer cannot be read: {error}.") from error


def _last_line(output: bytes) -> str:
    lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else ""
