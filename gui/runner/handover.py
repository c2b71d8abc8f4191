"""A run that another program goes on with: what it is told.

The window that is closed hands its run over to a `tally run` process, in the middle of a round: clients go on with
what they have, keep their journals, and join again; what was asked stays asked. Between the two, nobody listens for a
few seconds: what clients would have said then, they repeat to the new hub (`agent.messages`), which has the same
address, key and certificate. The database has all requests, journal lines and records; the rest, what the run has in
mind, is here.

    there:  workspace.hand_over(), then close it      here:  Workspace.open(options, taken=run), then go_on()

`Handed` goes through a pipe between two processes of the same user and version, and is never stored: so it may be
pickled.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gui.campaign.plan import Plan
from gui.runner.current import ResolvedTest
from gui.runner.events import Event
from gui.runner.local_clients import HandedClients
from gui.runner.options import WorkspaceOptions
from gui.runner.outlook import Outlook
from gui.runner.progress import Marker, Outcome, Phase, SamplePoint


@dataclass(frozen=True, slots=True)
class HandedBoard:
    """What was shown of the run so far."""

    phase: Phase
    message: str
    outcome: Outcome
    started: float
    outlook: Outlook
    counting: int | None
    markers: tuple[Marker, ...]
    unsaved: tuple[Marker, ...]
    series: dict[str, str]
    past: tuple[SamplePoint, ...]
    paused: bool = False


@dataclass(frozen=True, slots=True)
class HandedRun:
    """A run. `number` is None if it has not begun: then only the plan counts."""

    plan: Plan
    text: str
    files: str | None
    directory: Path
    number: int | None = None
    resolved: Sequence[ResolvedTest] = ()
    scored: frozenset[tuple[int, int]] = frozenset()
    """(test, repeat) that are over."""
    repeat: dict[str, Any] | None = None
    """The repeat under way: `CurrentRepeat.kept`."""
    unread: Sequence[Event] = ()
    board: HandedBoard | None = None
    incomplete: Sequence[str] = ()
    stopping: bool = False
    hurry: bool = False
    restarted: bool = False
    """It comes from the database (`recall`): its program was killed, or stopped with its hub."""


@dataclass(frozen=True, slots=True)
class Handed:
    """A run with what it needs: its workspace, its agents on this machine, and the directory of a demonstration, which
    the new program takes down."""

    options: WorkspaceOptions
    run: HandedRun
    clients: HandedClients | None = None
    demonstration: Path | None = None
    origin: str = field(default="")
    """Who hands it over, for the log."""

    def encoded(self) -> bytes:
        """For the pipe."""
        return pickle.dumps(self)


def decode_handed(data: bytes) -> Handed:
    """What came through the pipe. Raises ValueError."""
    try:
        handed = pickle.loads(data)  # noqa: S301 - from our own window, through a pipe that only it can write to
    except Exception as error:
        raise ValueError(f"what the window sent cannot be read: {error}") from error
    if not isinstance(handed, Handed):
        raise ValueError("what the window sent is no run")
    return handed
