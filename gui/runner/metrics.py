"""Prometheus metrics of an open workspace: its hub, the run under way and the records, for `tally hub --metrics`.

The server is the daemons' (`shoveler.service`): ``/metrics`` and ``/healthz``, in a thread of its own, without TLS. It
has an address of its own, since the hub's port stands on the internet. Names and labels do not change.
"""

from __future__ import annotations

from collections import Counter
from importlib.metadata import version
from typing import Protocol

from gui.hub import Hub, HubError
from gui.runner.progress import RunProgress
from shoveler.service import Counts, Gauges, MonitorServer, new_registry, parse_address, show_build


class Measured(Protocol):
    """What is measured: an open workspace."""

    hub: Hub
    dropped: int

    @property
    def latest(self) -> RunProgress: ...
    @property
    def loaded(self) -> int: ...


class WorkspaceMetrics:
    """Serves the metrics until it is closed. `address`: ``HOST:PORT``, or empty for none."""

    def __init__(self, address: str, measured: Measured) -> None:
        """Listens at once. Raises HubError."""
        self._measured = measured
        registry = self.registry = new_registry()
        show_build(registry, "tally_hub", version("xrootd-tally"))
        self._agents = Gauges(registry, "tally_hub_agents", "Agents in the list, by role and state.", ("role", "state"))
        self._operators = Gauges(registry, "tally_hub_operators", "Operators and observers with a session.")
        self._connections = Gauges(registry, "tally_hub_connections", "Open connections, signed in or not.")
        self._waiting = Gauges(registry, "tally_hub_connections_waiting", "Connections that have not signed in.")
        self._joined = Counts(registry, "tally_hub_joins_total", "Sessions that were opened, by role.", ("role",))
        self._refused = Counts(registry, "tally_hub_refused_total", "Refused requests, by reason.", ("reason",))
        self._lines = Counts(registry, "tally_hub_journal_lines_total", "Journal lines of agents that were stored.")
        self._lag = Gauges(
            registry, "tally_hub_loop_lag_seconds", "The most by which the hub was late since the last scrape."
        )
        self._loaded = Counts(registry, "tally_records_loaded_total", "Records that were taken from the bus.")
        self._dropped = Counts(
            registry, "tally_records_dropped_total", "Records that were dropped from the queue before they were loaded."
        )
        self._queue = Gauges(registry, "tally_records_waiting", "Records that wait in the workspace's queue.")
        self._run = Gauges(registry, "tally_run", "The number of the run under way; 0: none.")
        self._requests = Gauges(registry, "tally_run_requests", "Requests of the running repeat, by state.", ("state",))
        self._problems = Gauges(registry, "tally_problems", "Problems that are listed, by severity.", ("severity",))
        try:
            self._server = MonitorServer(
                parse_address(address) if address else None, registry, measured.hub.health, before_scrape=self.fill
            )
        except (OSError, ValueError) as error:
            text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise HubError(f"{text[:1].upper()}{text[1:]}.") from error
        self.address = str(self._server.address or "")
        """Where it listens; empty: nowhere."""

    def close(self) -> None:
        """Stop serving."""
        self._server.close()

    def fill(self) -> None:
        """Read everything now. Called in the server's thread: it reads immutable values, and copies of counts."""
        hub, run = self._measured.hub, self._measured.latest
        agents = Counter((view.role, view.state) for view in hub.roster.agents)
        self._agents.replace({key: float(count) for key, count in agents.items()})
        counts = hub.counts()
        self._operators.set(counts.operators)
        self._connections.set(counts.connections)
        self._waiting.set(counts.waiting)
        self._joined.replace({(role,): float(count) for role, count in counts.joined.items()})
        self._refused.replace({(reason,): float(count) for reason, count in counts.refused.items()})
        self._lines.set(counts.lines)
        self._lag.set(counts.lag)
        self._loaded.set(self._measured.loaded)
        self._dropped.set(self._measured.dropped)
        if run.queue is not None:
            self._queue.set(run.queue)
        under_way = run.run is not None and run.outcome == "running"
        self._run.set((run.run or 0) if under_way else 0)
        states = {"requested": run.requested, "read": run.read, "recorded": run.recorded, "failed": run.failed}
        self._requests.replace({(state,): float(count) for state, count in states.items()} if under_way else {})
        problems = Counter(problem.severity for problem in run.problems)
        self._problems.replace({(severity,): float(problems[severity]) for severity in ("info", "warning", "error")})
