"""The surroundings of a run: what it needs from its owner."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from agent.messages import LabState
from gui.campaign.selection import Server
from gui.hub import Hub
from gui.runner.consume import ConsumerState, Drain
from gui.runner.intake import StatusIntake
from gui.runner.local_clients import LocalClients
from gui.runner.probes import Probes
from gui.runner.progress import Severity
from gui.store import Store


class Blocking(Protocol):
    """Runs a blocking function, such as a call of the store, in a thread."""

    def __call__(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> asyncio.Future[Any]: ...


class Problems(Protocol):
    """Shows a problem to the user. An empty text means that the problem at `where` is over."""

    def __call__(self, severity: Severity, where: str, text: str, remedy: str = "") -> None: ...


class Host(Protocol):
    """The surroundings of a run: what it needs from its owner."""

    store: Store
    hub: Hub
    lab: LabState | None
    statuses: StatusIntake
    local_clients: LocalClients | None
    probes: Probes

    @property
    def records_state(self) -> ConsumerState: ...
    def servers(self) -> list[Server]: ...
    def quiet_seconds(self) -> float: ...
    def hold_seconds(self) -> float: ...
    def intervals(self) -> dict[str, float]: ...
    async def ask_for_status(self, seconds: float, *, both: bool = False) -> None: ...
    def drain_records(self) -> Drain | None: ...
    def client_wait(self) -> float: ...
    def blocking(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> asyncio.Future[Any]: ...
    def problem(self, severity: Severity, where: str, text: str, remedy: str = "") -> None: ...
    def changed(self) -> None: ...
