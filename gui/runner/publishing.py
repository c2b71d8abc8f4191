"""What an open workspace tells remote windows by itself: the topics of the operators' feed.

`publish` puts a snapshot of the run, what is known of the bus and of the programs there, and what a plan can choose
from, into the hub's topics; it costs nothing while nobody looks. `mirror` is the other side; `answers` has what they
must ask for. docs/hub.md lists the topics.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import msgspec

from gui.campaign.selection import Server
from gui.hub.feed import Topics
from gui.runner.intake import Member
from gui.runner.progress import Problem, RunProgress
from gui.runner.session import RunResult

LISTS = ("steps", "series", "servers", "clients", "samples", "markers", "problems")
"""The fields of `RunProgress` that are topics of their own."""
HEAD = tuple(one.name for one in fields(RunProgress) if one.name not in LISTS)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The row of the topic "pipeline": where records come from and go to. Addresses are without passwords."""

    label: str = ""
    """The displayed name of the workspace."""
    hub: str = ""
    pin: str = ""
    version: str = ""
    bus: str = ""
    """Empty: no bus is named."""
    queue: str = ""
    packets_queue: str = ""
    database: str = ""
    database_kind: str = ""
    connected: bool = False
    trouble: str = ""
    depths: tuple[int | None, ...] = ()
    """Messages that wait in `queue` and in `packets_queue`; None: unknown."""
    loaded: int = 0
    last_load: float | None = None


def publish(
    topics: Topics,
    progress: RunProgress,
    surroundings: Surroundings,
    members: Sequence[Member],
    servers: Callable[[], Sequence[Server]],
) -> None:
    """Publish the newest state. All arguments are values that do not change; `servers` is called when needed."""
    run, repeat = progress.started, (progress.started, progress.test, progress.repeat)
    topics.publish("run", lambda: {"run": progress}, fields=_head, era=run)
    topics.publish("steps", lambda: _numbered(progress.steps), era=run)
    topics.publish("series", lambda: _numbered(progress.series), fields=_name, era=run)
    topics.publish("servers", lambda: {row.url: row for row in progress.servers}, era=repeat)
    topics.publish("clients", lambda: {row.public_id: row for row in progress.clients}, era=repeat)
    topics.publish("problems", lambda: {_place(one): one for one in progress.problems})
    topics.publish("points", lambda: {f"{one.t:.0f}": one for one in progress.samples}, era=run)
    topics.publish("markers", lambda: _numbered(progress.markers), era=run)
    topics.publish("pipeline", lambda: {"pipeline": surroundings})
    topics.publish("known", lambda: {one.url: one for one in servers()})
    topics.publish("members", lambda: {f"{one.program}.{one.id}": one for one in members}, fields=_member)
    topics.publish("senders", lambda: _parts(members, "senders"))
    topics.publish("processes", lambda: _parts(members, "processes"))


def publish_result(topics: Topics, result: RunResult) -> None:
    """How the last run ended: a row for the run, and one for each test."""
    topics.publish("result", lambda: {"run": result} | _numbered(result.tests), fields=_result, era=result.run)


def _head(progress: RunProgress) -> dict[str, Any]:
    return {name: getattr(progress, name) for name in HEAD}


def _result(value: Any) -> dict[str, Any]:
    if isinstance(value, RunResult):
        return {"run": value.run, "outcome": value.outcome, "message": value.message, "seconds": value.seconds}
    row: dict[str, Any] = msgspec.to_builtins(value)
    return row


def _name(name: str) -> dict[str, Any]:
    return {"name": name}


def _place(problem: Problem) -> str:
    return f"{problem.where}: {problem.text}"


def _numbered(values: Sequence[Any]) -> dict[str, Any]:
    return {str(number): value for number, value in enumerate(values)}


def _member(member: Member) -> dict[str, Any]:
    status = {
        name: msgspec.to_builtins(getattr(member.status, name))
        for name in member.status.__struct_fields__
        if name not in ("senders", "processes")
    }
    return {"program": member.program, "id": member.id, "heard": member.heard, "status": status}


def _parts(members: Sequence[Member], what: str) -> Mapping[str, Any]:
    """The rows of one field of all status messages, by program, id and key."""
    found: dict[str, Any] = {}
    for member in members:
        values = getattr(member.status, what, {})
        named = values.items() if isinstance(values, dict) else ((f"{v.sender} {v.sid} {v.stod}", v) for v in values)
        found |= {f"{member.program}.{member.id} {key}": value for key, value in named}
    return found
