"""The events of a workspace's hub: agents that come, go and report. Each is passed on to the part that it concerns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from agent.messages import Abort, Line, Probed
from gui.hub import AgentView, Hub, HubListener
from gui.runner.late import LateScoring
from gui.runner.probes import Probes
from gui.runner.progress import Severity
from gui.runner.runs import Runs


class Concerned(Protocol):
    """The parts of a workspace that events concern."""

    hub: Hub
    probes: Probes
    runs: Runs
    late_scoring: LateScoring

    def problem(self, severity: Severity, where: str, text: str, remedy: str = "") -> None: ...
    def join_refused(self, address: str, text: str) -> None: ...
    def changed(self) -> None: ...


class Reception(HubListener):
    """Listens to the hub of a workspace."""

    def __init__(self, workspace: Concerned) -> None:
        self._workspace = workspace

    def agent_up(self, agent: AgentView) -> None:
        session = self._workspace.runs.session
        running = session.job_prefix if session else None
        for job in agent.jobs:
            if running is None or not job.startswith(running):
                # Work of a run that ended without it, or with the program that started it. Its journal is still stored.
                self._workspace.hub.send(agent.id, Abort(job=job))
        if session is not None:
            session.agent_up(agent)
        self._workspace.changed()

    def agent_missing(self, agent: AgentView) -> None:
        session = self._workspace.runs.session
        if session is not None:
            session.agent_missing(agent)
        self._workspace.changed()

    def agent_message(self, agent: AgentView, message: msgspec.Struct) -> None:
        session = self._workspace.runs.session
        if isinstance(message, Probed):
            self._workspace.probes.answered(message)
        elif session is not None:
            session.agent_message(agent, message)

    def journal_stored(self, agent_id: str, journal: str, last: int, lines: Sequence[Line]) -> None:
        session = self._workspace.runs.session
        late = {line.job for line in lines} - {session.job if session else ""}
        if late:
            self._workspace.late_scoring.reports_came(late)
        if session is not None:
            session.journal_stored(agent_id, journal, last, lines)
        self._workspace.changed()

    def refused(self, address: str, text: str) -> None:
        self._workspace.join_refused(address, text)

    def problem(self, where: str, text: str) -> None:
        self._workspace.problem("warning", where, text)
