"""The queues that hold records for a workspace: their names and limits, and which ones exist.

The name comes from the workspace's own id: two operators whose databases have the same file name must not take each
other's records. A queue takes every record of the federation until somebody takes them, and fills the broker's disk;
so the broker drops the queue when nobody has used it for `KEPT`, and its oldest messages when it is larger than
`QUEUE_BYTES` (both can be set). Until then late records are kept.
"""

from __future__ import annotations

import re
import secrets
import time
from pathlib import Path

import msgspec

from gui.store import Store
from shoveler.bus import Topology
from shoveler.service import redact
from shoveler.service.status import EXCHANGE

KEPT = 3 * 86_400.0
"""Seconds without a consumer after which the broker removes the queue and what is in it."""
QUEUE_BYTES = 2 * 2**30
"""Bytes of messages in it beyond which the oldest are dropped (and counted, see `dropped`)."""
STATUS_KEPT, STATUS_MAX = 3600.0, 16 * 2**20
"""The same of the queue of status messages, which is removed when the workspace is closed, unless that is killed."""
_ID = "workspace.id"
_KNOWN = "workspace.queues"


class KnownQueue(msgspec.Struct, frozen=True):
    """A queue that a workspace has made on a bus. `bus` is its address without the password, `used` Unix seconds;
    `status` is the exchange of the queue of status messages beside it."""

    queue: str
    exchange: str
    bus: str
    used: float
    status: str = EXCHANGE


_decode = msgspec.json.Decoder(list[KnownQueue]).decode


def workspace_label(database: str, name: str = "") -> str:
    """The displayed name of a workspace: the given one, else that of its file. Letters, digits, ``.``, ``_``, ``-``."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name or Path(database.rpartition("/")[2]).stem) or "default"


def queue_of(store: Store, label: str) -> str:
    """The name of the workspace's queue: ``tally.LABEL-ID``. Blocking."""
    return f"tally.{label}-{workspace_id(store)}"


def workspace_id(store: Store) -> str:
    """The workspace's own id, which is created once and kept. Blocking."""
    identity = store.setting(_ID)
    if not identity:
        identity = secrets.token_hex(4)
        store.put_setting(_ID, identity)
    return identity


def known_queues(store: Store) -> list[KnownQueue]:
    """The queues that this workspace has made, last used first. Blocking."""
    return sorted(_decode(store.setting(_KNOWN, "[]")), key=lambda known: -known.used)


def remember_queue(store: Store, queue: str, exchange: str, bus: str, status: str = EXCHANGE) -> None:
    """Store that the workspace is about to use a queue. Blocking."""
    used = KnownQueue(queue, exchange, redact(bus), time.time(), status)
    _keep(store, [used, *(k for k in known_queues(store) if (k.queue, k.bus) != (used.queue, used.bus))])


def forget_queue(store: Store, gone: KnownQueue) -> None:
    """Remove a deleted queue from the list. Blocking."""
    _keep(store, [known for known in known_queues(store) if (known.queue, known.bus) != (gone.queue, gone.bus)])


def _keep(store: Store, queues: list[KnownQueue]) -> None:
    store.put_setting(_KNOWN, msgspec.json.encode(queues).decode())


def delete_queue(topology: Topology, known: KnownQueue) -> None:
    """Remove a queue, and that of status messages beside it. Raises BusError. Blocking."""
    topology.delete_queue(known.queue, exchange=known.exchange)
    topology.delete_queue(f"{known.queue}.status", exchange=known.status)
