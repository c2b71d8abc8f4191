"""Where a workspace keeps and finds its data: its options."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from agent.messages import LabState
from gui.campaign.settle import quiet_time
from gui.hub import HubOptions
from gui.runner.queues import KEPT, QUEUE_BYTES, workspace_label
from gui.runner.secrets import Secrets
from shoveler.bus import BusOptions


@dataclass(frozen=True, slots=True)
class WorkspaceOptions:
    """Where a workspace keeps and finds its data.

    `bus` is the bus URL that records come from; with a `lab` directory the lab's own is used when it is empty. With
    neither, agents can join but no plan can be run. `name` becomes part of the queue's name, see `queues`."""

    database: str | Path
    hub: HubOptions
    name: str = ""
    bus: str = ""
    bus_options: BusOptions = field(default_factory=BusOptions)
    lab: Path | None = None
    lab_must_be_up: bool = True
    """Without it, a workspace opens also while its lab is down, and says so: results can be looked at."""
    records_exchange: str = "xrd-records"
    status_exchange: str = "tally-status"
    packets_exchange: str = "shoveled-xrd"
    packets_queue: str = ""
    """The collector's input queue, whose depth counts for settling; empty if unknown."""
    secrets: Secrets | None = None
    """Where the password of a broker or a database is that `bus` or `database` names without one."""
    settings_file: Path | None = None
    """Where the settings of the machine are, with whom the hub lets in by sign-in; None: nobody."""
    shared_key: str | None = None
    """Text of the shared key; None: the one in the database, created if there is none."""
    forget_queue: bool = False
    """Remove the queue of records when the workspace is closed: for one that is not used again, as in the demo."""
    queue_expires: float = KEPT
    """Seconds without a consumer after which the bus removes the queue of records; 0: never."""
    queue_max: int = QUEUE_BYTES
    """Bytes of records in it beyond which the oldest are dropped; 0: it may grow."""
    beside: bool = False
    """If another program has the workspace, only look on: its run is shown, and hub and queue are left to it."""
    go_on: bool = False
    """Go on with the run that was under way when the last program with this workspace ended; and leave one under way
    as it is when this one is told to end, for the next. Without it, such a run is closed."""
    metrics: str = ""
    """``HOST:PORT`` where Prometheus metrics are served; empty: nowhere."""
    fstat_seconds: float = 5.0
    flush_seconds: float = 5.0
    client_wait: float = 600.0
    """Seconds that a run waits for its clients."""

    @property
    def label(self) -> str:
        """The displayed name of this workspace."""
        return workspace_label(str(self.database), self.name)

    def bus_url(self, lab: LabState | None) -> str:
        """The bus that records come from; empty when there is none."""
        return self.bus or (lab.bus if lab else "")

    def quiet_seconds(self, lab: LabState | None) -> float:
        """Seconds without a new record that count as quiet."""
        if lab:
            return quiet_time(lab.fstat_seconds, lab.flush_seconds)
        return quiet_time(self.fstat_seconds, self.flush_seconds)

    def hold_seconds(self, lab: LabState | None) -> float:
        """Maximum seconds that servers hold a close back: the ``fstat`` interval plus the flush time of a buffer."""
        if lab:
            return lab.fstat_seconds + lab.flush_seconds
        return self.fstat_seconds + self.flush_seconds
