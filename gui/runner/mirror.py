"""What a remote hub tells of itself, put together again: the other side of `gui.hub.feed` and `publishing`."""

from __future__ import annotations

import logging
from typing import Any

import msgspec

from agent.messages import ServerReport
from gui.campaign.selection import Server
from gui.hub.feed import PLACE, Feed
from gui.hub.roster import AgentView
from gui.reconcile import TestFigures
from gui.runner.intake import Member
from gui.runner.progress import ClientRow, Marker, Problem, RunProgress, SamplePoint, ServerRow, Step
from gui.runner.publishing import HEAD, Surroundings
from gui.runner.session import RunResult
from shoveler.service import CollectorStatus, ShovelerStatus

log = logging.getLogger("tally.runner")

PROGRESS = ("run", "steps", "series", "servers", "clients", "problems", "points", "markers")
"""The topics of which `Mirror.progress` is made."""
_ROWS: dict[str, type] = {
    "agents": AgentView,
    "reports": ServerReport,
    "steps": Step,
    "servers": ServerRow,
    "clients": ClientRow,
    "problems": Problem,
    "points": SamplePoint,
    "markers": Marker,
    "known": Server,
}
"""What the rows of a topic become, where it is one value for each."""


class Mirror:
    """All topics as last told. Values are immutable; ask again after `take`."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, dict[str, Any]]] = {}
        self._values: dict[str, dict[str, Any]] = {}
        self._complete: set[str] = set()

    def take(self, feed: Feed) -> None:
        """Take a message. Raises msgspec.DecodeError or ValidationError when it is none of a hub."""
        rows = self._rows.setdefault(feed.topic, {})
        values = self._values.setdefault(feed.topic, {})
        if feed.first:
            rows.clear()
            values.clear()
        if feed.topic in ("reports", "notices"):  # parts of the agents' values
            for key in (*feed.gone, *feed.put):
                self._values.setdefault("agents", {}).pop(key.partition(" ")[0], None)
            if feed.first:
                self._values.setdefault("agents", {}).clear()
        for key in feed.gone:
            rows.pop(key, None)
            values.pop(key, None)
        for key, raw in feed.put.items():
            rows[key] = rows.get(key, {}) | msgspec.json.decode(raw, type=dict[str, Any])
            values.pop(key, None)
        if feed.more:
            self._complete.discard(feed.topic)
        else:
            self._complete.add(feed.topic)

    def complete(self, topic: str) -> bool:
        """Whether everything of a topic has arrived since the connection began."""
        return topic in self._complete

    def lost(self) -> None:
        """The connection broke: what is here stays, and will be told anew."""
        self._complete.clear()

    # ---- as values

    @property
    def agents(self) -> tuple[AgentView, ...]:
        """The roster."""
        return self._of("agents")

    @property
    def known(self) -> tuple[Server, ...]:
        """The servers that a plan can choose from."""
        return self._of("known")

    @property
    def surroundings(self) -> Surroundings:
        """Where records come from and go to."""
        return msgspec.convert(self._rows.get("pipeline", {}).get("pipeline", {}), Surroundings)

    @property
    def members(self) -> tuple[Member, ...]:
        """The shovelers and collectors that the hub has heard from."""
        return tuple(
            self._member(f"{row['program']}.{row['id']}", row) for row in _placed(self._rows.get("members", {}))
        )

    def progress(self) -> RunProgress:
        """The run under way, or the last one."""
        head = self._rows.get("run", {}).get("run")
        if head is None:
            return RunProgress(t=0.0)
        series = self._rows.get("series", {})
        return RunProgress(
            **{name: head[name] for name in HEAD if name in head},
            steps=self._of("steps"),
            series=tuple(row["name"] for row in _placed(series)),
            servers=self._of("servers"),
            clients=self._of("clients"),
            samples=tuple(sorted(self._of("points"), key=lambda point: point.t)),
            markers=self._of("markers"),
            problems=tuple(sorted(self._of("problems"), key=lambda problem: problem.t)),
        )

    @property
    def ended(self) -> int | None:
        """The number of the run that has ended last."""
        number: int | None = self._rows.get("result", {}).get("run", {}).get("run")
        return number

    @property
    def result(self) -> RunResult | None:
        """How the last run ended; None if none has since this hub was started, or not all of it is here."""
        rows = self._rows.get("result", {})
        if "run" not in rows or not self.complete("result"):
            return None
        tests = [row for row in _placed(rows) if row is not rows["run"]]
        head = {name: value for name, value in rows["run"].items() if name != PLACE}
        return RunResult(tests=msgspec.convert(tests, tuple[TestFigures, ...]), **head)

    def _of(self, topic: str) -> tuple[Any, ...]:
        return tuple(self._typed(topic).values())

    def _typed(self, topic: str) -> dict[str, Any]:
        """The values of a topic, in the order of its rows; those that have not changed are the same objects."""
        kind, values = _ROWS[topic], self._values.setdefault(topic, {})
        rows = self._rows.get(topic, {})
        reports = self._reports() if topic == "agents" and rows.keys() - values.keys() else {}
        for key, row in rows.items():
            if key not in values:
                whole = {"reports": reports.get(key, {})} | self._rows.get("notices", {}).get(key, {})
                values[key] = msgspec.convert(row | (whole if topic == "agents" else {}), kind)
        return {key: values[key] for key in sorted(rows, key=lambda key: rows[key][PLACE])}

    def _reports(self) -> dict[str, dict[str, ServerReport]]:
        """What each agent (its public id) reports, by server."""
        found: dict[str, dict[str, ServerReport]] = {}
        for key, report in self._typed("reports").items():
            agent, _, server = key.partition(" ")
            found.setdefault(agent, {})[server] = report
        return found

    def _member(self, key: str, row: dict[str, Any]) -> Member:
        status = row["status"] | {"senders": self._parts("senders", key)}
        if row["program"] == "collector":
            status |= {"processes": list(self._parts("processes", key).values())}
        kind: type[Any] = ShovelerStatus if row["program"] == "shoveler" else CollectorStatus
        return Member(row["program"], row["id"], row["heard"], msgspec.convert(status, kind))

    def _parts(self, topic: str, member: str) -> dict[str, Any]:
        """The rows of this topic that belong to one program, by the rest of their keys."""
        mine, rows = f"{member} ", self._rows.get(topic, {})
        keys = sorted((key for key in rows if key.startswith(mine)), key=lambda key: rows[key][PLACE])
        return {key.removeprefix(mine): rows[key] for key in keys}


def _placed(rows: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows.values(), key=lambda row: row[PLACE])
