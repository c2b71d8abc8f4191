"""Runs campaigns: a workspace (database, hub, consumers of the bus) and, in it, one run at a time. No Qt.

    async with Workspace.open(WorkspaceOptions(database="scale.db", hub=HubOptions(directory=…), lab=DIR)) as workspace:
        async with LocalClients(workspace.hub, 2, key=workspace.shared_key.secret) as clients:
            workspace.local_clients = clients
            result = await workspace.run(plan, on_progress=show)
    sys.exit(result.exit_code)

    agents ⇄ hub ──► session (one run) ◄── campaign decides
                        │  requests ▼        ▲ counts
    bus ──► consume ──► intake ──► store ──► reconcile ──► RunResult
                        └─ status of shovelers and collectors

- `workspace` opens, owns and closes everything; `runs` has the run under way, `session` carries it out; `progress` is
  what is shown of it; `late` scores again what arrives after settling.
- `reception` passes on the hub's events, `conductor` carries out the commands of remote operators, `ownership` lets one
  program at a time run tests in a database.
- `bus` is the workspace's side of the bus. `consume` is a thread on one queue, `intake` handles its messages; a message
  is acknowledged when the database has it. `live` puts what clients measure on one time axis with what the database
  counts.
- `lab` reads a lab's state and breaks things in it; `local_clients` starts agents on this machine.
- `preflight` checks before a run that everything is in place; `identity`: whether requests over HTTP can be recognised.
- `credentials`: what clients identify themselves with. `refusal`: why a run is not begun.

All blocking work is done in threads: nothing here blocks the event loop, which may be the window's.
"""

from gui.runner.lab import LabMissingError, read_lab
from gui.runner.local_clients import LocalClients, LocalClientsError
from gui.runner.options import WorkspaceOptions
from gui.runner.progress import (
    ClientRow,
    Marker,
    Outcome,
    Phase,
    Problem,
    ProgressFeed,
    RunProgress,
    SamplePoint,
    ServerRow,
)
from gui.runner.refusal import RunRefusedError
from gui.runner.session import RunResult
from gui.runner.workspace import Workspace

__all__ = [
    "ClientRow",
    "LabMissingError",
    "LocalClients",
    "LocalClientsError",
    "Marker",
    "Outcome",
    "Phase",
    "Problem",
    "ProgressFeed",
    "RunProgress",
    "RunRefusedError",
    "RunResult",
    "SamplePoint",
    "ServerRow",
    "Workspace",
    "WorkspaceOptions",
    "read_lab",
]
