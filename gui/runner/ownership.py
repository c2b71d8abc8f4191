"""Ownership of a workspace: one program at a time runs tests in it, and closes runs that its predecessor left open.

The owner writes a heartbeat to the database every ten seconds. An owner that has been silent for half a minute, or
whose process on this machine is gone, is no longer the owner. All functions block;
`Ownership` is for the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import time

import msgspec

from gui.reconcile import score
from gui.runner import kept
from gui.runner.host import Blocking, Problems
from gui.store import Store, StoreError
from gui.store.programs import Program, this_program

log = logging.getLogger("tally.runner")

SETTING = "workspace.owner"
BEAT_SECONDS = 10.0
ENDED = "Tally ended during this run, and could not go on with it; the requests made until then are scored."
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
    kept.forget(store, run_id)
    store.set_run(run_id, state="aborted" if reason == STOPPED else "interrupted", message=reason, ended=now)


class Ownership:
    """This program as the owner of a workspace, or beside another one that is."""

    def __init__(self, store: Store, blocking: Blocking, problem: Problems) -> None:
        self._store = store
        self._blocking = blocking
        self._problem = problem
        self.ours = False

    async def take_over(self) -> list[int]:
        """Take the workspace unless another program holds it; returns the runs that its last owner left open."""
        other = await self._blocking(claim, self._store, time.time())
        if other:
            text = f"{other} also has this workspace open; only one program at a time can run tests."
            self._problem("warning", "workspace", text, "Close the other one, or use another workspace.")
            return []
        self.ours = True
        return list(await self._blocking(left_open, self._store))

    async def keep(self) -> None:
        """Show others that the workspace is in use, until cancelled. Does nothing if another program is the owner."""
        while self.ours:
            await asyncio.sleep(BEAT_SECONDS)
            try:
                await self._blocking(hold, self._store, time.time())
            except StoreError as error:
                self._problem("warning", "workspace", f"The database does not answer: {error}")
            else:
                self._problem("warning", "workspace", "")

    async def give_back(self) -> None:
        """Give up the ownership, if it is ours."""
        if self.ours:
            try:
                await self._blocking(release, self._store)
            except StoreError:
                log.exception("! the workspace could not be released")


def _read(store: Store) -> Program | None:
    text = store.setting(SETTING)
    try:
        return msgspec.json.decode(text, type=Program) if text else None
    except msgspec.DecodeError:
        return None  # written by a later version: better two owners than none forever
