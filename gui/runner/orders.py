"""Orders to the program that carries out a run, from another one that has the same database: `tally stop`, `pause` and
`resume`, and a window that looks on.

Whoever may write to the workspace's database may give orders in it. The order is a setting; the program with the run
looks for one every second, carries it out, and removes it: that is the answer. All but `Orders.hear` block.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Literal

import msgspec

from gui.hub.account import operator_here
from gui.runner.host import Blocking
from gui.runner.ownership import UNDER_WAY, holder
from gui.runner.refusal import RunRefusedError
from gui.store import Store, StoreError

What = Literal["stop", "abort", "pause", "resume"]
SETTING = "run.order"
HEAR_SECONDS = 1.0
ANSWER_SECONDS = 20.0
LOOK_SECONDS = 0.2


class Order(msgspec.Struct, frozen=True):
    """What the program with run `run` is to do. `by`: who gave the order."""

    run: int
    do: What
    t: float
    by: str = ""


def give_order(store: Store, do: What, now: float, *, seconds: float = ANSWER_SECONDS) -> int:
    """Order it, and wait until it is being carried out; returns the number of the run. Raises RunRefusedError."""
    run = run_under_way(store)
    if run is None:
        raise RunRefusedError(f"No run is under way in {store.database.shown}.")
    owner = holder(store, now)
    if not owner:
        raise RunRefusedError(
            f"The program that carried out run {run} has ended; `tally hub` goes on with it, or closes it."
        )
    text = msgspec.json.encode(Order(run, do, now, operator_here())).decode()
    store.put_setting(SETTING, text)
    deadline = time.monotonic() + seconds
    while store.setting(SETTING) == text:
        if time.monotonic() > deadline:
            store.put_setting(SETTING, "")
            raise RunRefusedError(f"{owner} has not answered for {seconds:g} s; nothing was ordered.")
        time.sleep(LOOK_SECONDS)
    return run


def run_under_way(store: Store) -> int | None:
    """The number of the run that is under way."""
    return next((run.id for run in store.runs(20) if run.state in UNDER_WAY), None)


class Orders:
    """The side of the program that has the run. `carry_out` is given what to do, and by whom."""

    def __init__(
        self,
        store: Store,
        blocking: Blocking,
        number: Callable[[], int | None],
        carry_out: Callable[[What, str], object],
    ) -> None:
        self._store = store
        self._blocking = blocking
        self._number = number
        self._carry_out = carry_out

    async def hear(self) -> None:
        """Carry out what is ordered, until cancelled."""
        while True:
            await asyncio.sleep(HEAR_SECONDS)
            if self._number() is None:
                continue
            try:
                order = await self._blocking(self._take)
            except StoreError:
                continue  # the workspace says so elsewhere
            if order is not None and order.run == self._number():
                self._carry_out(order.do, order.by)

    def _take(self) -> Order | None:
        text = self._store.setting(SETTING)
        if not text:
            return None
        self._store.put_setting(SETTING, "")
        try:
            return msgspec.json.decode(text, type=Order)
        except msgspec.DecodeError:
            return None  # of another Tally
