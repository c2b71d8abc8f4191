"""What is kept of a run so that another program can go on with it when this one is killed.

The database has what was handed out, and what clients have reported. What it has not is kept here, as two settings:
what the run was resolved to (`KeptPlan`: once), and what its owner has decided since (`KeptNow`: small, at each
change). `recall` puts a run together again. Both are removed when the run is over.
"""

from __future__ import annotations

import base64
import zlib

import msgspec

from gui.campaign.plan import File
from gui.campaign.selection import Client, Server
from gui.runner.current import ResolvedTest
from gui.store import Store

PLAN, NOW = "run.plan", "run.now"
"""The settings."""
SCHEMA = 1


class KeptTest(msgspec.Struct, frozen=True):
    """A resolved test. `files`: its place in `KeptPlan.files`."""

    number: int
    servers: list[Server]
    clients: list[Client]
    files: int
    own: list[str]


class KeptPlan(msgspec.Struct, frozen=True):
    """What a run was resolved to: servers, clients and files may be others now."""

    schema: int
    run: int
    tests: list[KeptTest]
    files: list[tuple[File, ...]]


class KeptNow(msgspec.Struct, frozen=True):
    """The repeat under way, and what was decided. `base`, `injected` and `began` as in `CurrentRepeat`; `ending`: how
    the run was asked to end."""

    schema: int
    run: int
    repeat: int | None = None
    clients: list[Client] = []
    base: dict[str, int] = {}
    injected: list[int] = []
    began: float = 0.0
    paused: bool = False
    ending: str = ""
    incomplete: list[str] = []


def keep_plan(store: Store, run: int, resolved: list[ResolvedTest]) -> None:
    """Keep what a run was resolved to. Blocking."""
    files = list(dict.fromkeys(one.files for one in resolved))
    places = {each: place for place, each in enumerate(files)}
    tests = [KeptTest(one.number, one.servers, one.clients, places[one.files], sorted(one.own)) for one in resolved]
    data = msgspec.json.encode(KeptPlan(SCHEMA, run, tests, files))
    store.put_setting(PLAN, base64.b64encode(zlib.compress(data, 1)).decode())


def keep_now(store: Store, now: KeptNow) -> None:
    """Keep what was decided. Blocking."""
    store.put_setting(NOW, msgspec.json.encode(now).decode())


def forget(store: Store, run: int) -> None:
    """The run is over. Blocking."""
    kept = kept_now(store)
    if kept is None or kept.run == run:
        store.put_setting(PLAN, "")
        store.put_setting(NOW, "")


def kept_plan(store: Store) -> KeptPlan | None:
    """What the last run was resolved to; None if it is over, or was kept by another version. Blocking."""
    text = store.setting(PLAN)
    try:
        plan = msgspec.json.decode(zlib.decompress(base64.b64decode(text)), type=KeptPlan) if text else None
    except (ValueError, zlib.error):
        return None
    return plan if plan is not None and plan.schema == SCHEMA else None


def kept_now(store: Store) -> KeptNow | None:
    """What was decided about it; None as in `kept_plan`. Blocking."""
    text = store.setting(NOW)
    try:
        now = msgspec.json.decode(text, type=KeptNow) if text else None
    except ValueError:
        return None
    return now if now is not None and now.schema == SCHEMA else None
