"""Holds: an operator drains an agent, or disconnects it for a time; each can be taken back.

They are rows like keys: the command line changes them in the database, and a running hub takes notice within two
seconds. A hold survives a restart of the agent and of the hub. `gui.hub.sessions` carries holds out.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from gui.hub.account import operator_here
from gui.hub.persistence import AuditEntry, Deed, Hold, HoldingStore, HoldKind

Holds = dict[tuple[str, HoldKind], Hold]
"""By identity and kind."""
AGAIN_SECONDS = 60
"""How often an agent that is kept out asks again, at most."""


def hold(store: HoldingStore, wanted: Hold) -> Hold:
    """Keep a hold, and who made it. Blocking."""
    store.put_hold(wanted)
    deed: Deed = "drained" if wanted.what == "drain" else "disconnected"
    until = f", {until_words(wanted)}" if wanted.what == "disconnect" else ""
    store.add_audit([AuditEntry(wanted.since, deed, wanted.identity, f"by {wanted.by or operator_here()}{until}")])
    return wanted


def lift(store: HoldingStore, identity: str, what: HoldKind, now: float, by: str = "") -> bool:
    """Take a hold back; False if there was none. Blocking."""
    if not store.lift_hold(identity, what):
        return False
    deed: Deed = "resumed" if what == "drain" else "allowed"
    store.add_audit([AuditEntry(now, deed, identity, f"by {by or operator_here()}")])
    return True


def by_agent(rows: Iterable[Hold]) -> Holds:
    """The holds as the hub looks them up."""
    return {(row.identity, row.what): row for row in rows}


def until_words(held: Hold) -> str:
    """``until 14:05:00``, with the date when it is another day; or that somebody has to allow it again."""
    if held.until is None:
        return "until it is allowed again"
    then, now = time.localtime(held.until), time.localtime(held.since)
    day = "" if then[:3] == now[:3] else "%Y-%m-%d "
    return "until " + time.strftime(f"{day}%H:%M:%S", then)


def why_kept_out(held: Hold) -> str:
    """What an agent is told that is disconnected, and what the window shows."""
    return f"An operator has disconnected this agent {until_words(held)}."
