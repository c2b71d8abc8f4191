"""Ownership of a workspace: one program at a time runs tests in it, and closes runs that its predecessor left open.

The owner writes a heartbeat to the database every ten seconds. An owner that has been silent for half a minute, or
whose process on this machine is gone, is no longer the owner. All functions block.
"""

from __future__ import annotations

import msgspec

from gui.reconcile import score
from gui.store import Store
from gui.store.programs import Program, this_program

SETTING = "workspace.owner"
BEAT_SECONDS = 10.0
ENDED = "Tally ended during this run; the requests made until then are scored."
STOPPED = "This run was stopped together with Tally; the requests made until then are scored."
UNDER_WAY = ("preparing", "running")


def claim(store: Store, now: float) -> str:
    """Make this program the owner; if another program is, return its displayed name."""
    other = holder(store, now)
    if not other:
        hold(store, now)
    return other


def holder(store: Store, now: float) -> str:
    """The displayed name of another program that is the owner; empty if there is none."""
    other = _read(store)
    me = this_program(now)
    if other is not None and (other.host, other.pid) != (me.host, me.pid) and other.alive(now):
        return f"Another Tally (process {other.pid} on {other.host})"
    return ""


def hold(store: Store, now: float) -> None:
    """Write a heartbeat."""
    store.put_setting(SETTING, msgspec.json.encode(this_program(now)).decode())


def release(store: Store) -> None:
    """Give up the ownership."""
    store.put_setting(SETTING, "")


def left_open(store: Store) -> list[int]:
    """Runs that were under way when their program ended."""
    return [run.id for run in store.runs() if run.state in UNDER_WAY]


def close_run(store: Store, run_id: int, now: float, reason: str = ENDED) -> None:
    """Score the requests of a run and end it; a run that has already ended keeps its end."""
    if store.run(run_id).state not in UNDER_WAY:
        return
    for repeat in store.repeats(run_id):
        if repeat.state in ("running", "settling"):
            store.set_repeat(repeat.id, state="stopped", settled=now, complete=False, reason=reason)
        if not store.scorings(repeat.id):
            score(store, repeat.id, "settle", now)
    store.set_run(run_id, state="aborted", message=reason, ended=now)


def _read(store: Store) -> Program | None:
    text = store.setting(SETTING)
    try:
        return msgspec.json.decode(text, type=Program) if text else None
    except msgspec.DecodeError:
        return None  # written by a later version: better two owners than none forever
