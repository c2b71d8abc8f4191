"""The lines of the preflight checklist: what is checked, why, and what comes of it. No I/O.

`Item` is a line before it was looked at, `Check` what was found. What nobody measured is *skipped*, with the reason:
shown as "not checked", and never as ok.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from gui.campaign.doors import may_use_http
from gui.campaign.plan import Plan

State = Literal["ok", "warning", "failed", "skipped"]

WORDS: Mapping[State, str] = {"ok": "ok", "warning": "check", "failed": "failed", "skipped": "not checked"}
"""The word that is shown for each state."""


@dataclass(frozen=True, slots=True)
class Fix:
    """What can be done about a check, as a button. `copy`: `value` is text for the clipboard; `go`: `value` is a page,
    `place` a place there; `plan`: run `plan` instead, this once; `again`: measure again; `end`: end the fault `value`
    of the lab."""

    kind: Literal["copy", "go", "plan", "again", "end"]
    text: str
    value: str = ""
    place: Mapping[str, Any] = field(default_factory=dict)
    plan: Plan | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """A line of the checklist. `needs`: the lines whose findings it uses, which are looked at again before it is."""

    name: str
    title: str
    explain: str
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """What a line came to. `figure`: what was measured, in a few characters; `remedy`: what to do when it is not ok;
    `details`: a line for each bad thing; `line`: a configuration line to use."""

    name: str
    title: str
    state: State
    text: str
    remedy: str = ""
    details: tuple[str, ...] = ()
    figure: str = ""
    fixes: tuple[Fix, ...] = ()
    line: str = ""


ITEMS: tuple[Item, ...] = (
    Item(
        "bus",
        "Records can be taken from the bus",
        "Without a queue that is bound to the exchange of records before the first request, records pass by and every "
        "request counts as missing. The workspace declares and binds its queue by itself as soon as the broker lets "
        "it.",
    ),
    Item(
        "queue",
        "Queues are drained",
        "Messages that wait now are loaded before those of the run. The run then settles later, or not in time.",
    ),
    Item(
        "clients",
        "Clients are connected",
        "A run waits for the clients that its plan names. Each needs the library of the plan's protocols: the XRootD "
        "client, or libcurl for HTTP.",
    ),
    Item(
        "clocks",
        "Clocks agree within 1 s",
        "Each heartbeat of a client has its time. Verdicts do not depend on it, displayed times do.",
        ("clients",),
    ),
    Item(
        "load",
        "Clients have spare processors",
        "A client that is busy with other things measures its own limit, not that of the servers.",
        ("clients",),
    ),
    Item(
        "servers",
        "Servers are known",
        "The plan chooses from the servers of the lab, the list and the server agents.",
    ),
    Item(
        "config",
        "Monitoring is configured",
        "An agent beside a server reads its configuration and knows what XRootD will send: without fstat and xfr no "
        "close is reported, without user and info no session tag. Its suggestions pass the same check.",
        ("servers",),
    ),
    Item(
        "lab",
        "No fault is still on in the lab",
        "A fault that lasts longer than its repeat stays on, and so does one that was begun by hand. What it loses "
        "counts in the next run, which then says so, in its result and in every comparison.",
    ),
    Item("faults", "The plan's faults can be injected", "A run with a fault that cannot be injected here is refused."),
    Item(
        "files",
        "Test files are known",
        "They come from the lab, from a list, or from a directory that a client lists on the first server.",
        ("clients", "servers"),
    ),
    Item(
        "auth",
        "Tokens and certificates are valid",
        "They are read here when a repeat begins, and again when a file changes, and reach the clients only. A token "
        "that ends in the middle of a run fails the requests after that.",
        ("servers",),
    ),
    Item(
        "answers",
        "Servers answer",
        "A client opens a session with each server and asks for files, as it will in the run. The time is that of the "
        "whole question, as seen from here.",
        ("files",),
    ),
    Item(
        "sizes",
        "Files are there, with the stated size",
        "Up to 200 files, spread over the list, are asked for on each server. A file of another size is reported with "
        "other bytes, which looks like a wrong record.",
        ("answers",),
    ),
    Item(
        "identity",
        "Requests over HTTP can be recognised",
        "Over HTTP there is no user. Servers from XRootD 5.6.3 on report the User-Agent, which has the session tag. "
        "For older ones the client reads files that it has written itself, with the tag in their path.",
        ("answers",),
    ),
    Item(
        "datagrams",
        "Monitoring datagrams arrive",
        "The question of before makes each server send datagrams. A shoveler counts what it takes by sender.",
        ("answers",),
    ),
    Item(
        "ttl",
        "Collectors remember the longest open file",
        "A collector gives up a file that is open for longer than its time to live without a sign of life; its close "
        "then has no open to belong to.",
        ("files",),
    ),
    Item(
        "spool",
        "Shovelers have room for an outage",
        "While the broker is away, datagrams wait on the disk of the shoveler.",
        ("servers",),
    ),
    Item("room", "The database has room", "Each request and its record are kept in the workspace.", ("files",)),
)
"""All lines, in their order. `faults` and `auth` are left out for a plan that has none, `identity` for one that never
uses HTTP, and `lab` where there is none."""


def items_of(plan: Plan, *, lab: bool = False) -> tuple[Item, ...]:
    """The lines for a plan, in a workspace with a lab or without."""
    out = {
        "faults": not any(test.faults for test in plan.tests),
        "auth": not any(test.auth for test in plan.tests),
        "identity": not any(map(may_use_http, plan.tests)),
        "lab": not lab,
    }
    return tuple(item for item in ITEMS if not out.get(item.name))


def in_order(names: Iterable[str], items: Sequence[Item]) -> tuple[Item, ...]:
    """These lines with all that they need, each once, in the order in which they can be looked at."""
    wanted: set[str] = set()
    known = {item.name: item for item in items}

    def add(name: str) -> None:
        if name in known and name not in wanted:
            wanted.add(name)
            for other in known[name].needs:
                add(other)

    for name in names:
        add(name)
    return tuple(item for item in items if item.name in wanted)


def verdict(checks: Iterable[Check]) -> str:
    """The whole checklist in one sentence."""
    counts: dict[State, int] = dict.fromkeys(WORDS, 0)
    for check in checks:
        counts[check.state] += 1
    total = sum(counts.values())
    if counts["failed"]:
        bad = "1 check" if counts["failed"] == 1 else f"{counts['failed']} checks"
        return f"{bad} of {total} failed."
    parts = [f"{counts['ok']} of {total} ok"]
    if counts["warning"]:
        parts.append(f"{counts['warning']} to look at")
    if counts["skipped"]:
        parts.append(f"{counts['skipped']} not checked")
    return ", ".join(parts) + "."


def kept(checks: Iterable[Check]) -> list[dict[str, str]]:
    """What a run keeps of the checks that were made before it."""
    return [{"name": check.title, "state": WORDS[check.state], "found": check.text} for check in checks]


def checklist_text(checks: Iterable[Check]) -> str:
    """The checklist as plain text, a line for each check with its details and remedy under it."""
    lines: list[str] = []
    for check in checks:
        lines.append(f"{WORDS[check.state]:<12} {check.title:<46} {check.figure:<12} {check.text}".rstrip())
        lines += [f"{'':<13}{detail}" for detail in check.details]
        if check.remedy and check.state in ("warning", "failed"):
            lines.append(f"{'':<13}→ {check.remedy}")
        if check.line:
            lines.append(f"{'':<13}{check.line}")
    return "\n".join(lines)
