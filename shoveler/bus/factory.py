"""Opens publishers, consumers and topologies on whichever bus an address names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from shoveler.bus.address import Address
from shoveler.bus.messages import Consumer, Publisher, Topology


@dataclass(frozen=True, slots=True)
class BusOptions:
    """How to connect; all times in seconds. The local bus needs none of them but `window`, `prefetch`, `max_bytes`."""

    token_file: Path | None = None
    """A file whose trimmed content replaces the password; read again on every connect."""
    ca_file: Path | None = None
    """Who may have signed the broker's certificate; None: the system's authorities."""
    cert_file: Path | None = None
    key_file: Path | None = None
    connect_timeout: float = 10.0
    heartbeat: int = 60
    window: int = 4096
    """Messages that may be on their way without an outcome; `send` waits for outcomes beyond it."""
    prefetch: int = 4096
    """Messages that a consumer may hold without acknowledging them."""
    max_bytes: int = 1 << 30
    """Local bus: size of a writer's file at which messages are refused."""


DEFAULT_OPTIONS = BusOptions()


def open_publisher(address: Address, *, exchange: str, writer: str, options: BusOptions = DEFAULT_OPTIONS) -> Publisher:
    """A publisher to `exchange`, which is declared (durable, topic) when it does not exist.

    `writer` names the publisher: the file ``writer.db`` on the local bus, the connection's name on AMQP. Callers choose
    the exchange (``address.exchange or "shoveled-xrd"``). Raises BusUnavailable or BusRefused.
    """
    raise NotImplementedError


def open_consumer(
    address: Address,
    *,
    exchange: str,
    queue: str,
    reader: str,
    exclusive: bool = True,
    options: BusOptions = DEFAULT_OPTIONS,
) -> Consumer:
    """A consumer of `queue`, which must exist (`Topology.declare_queue`); on the local bus the cursor of that name.

    `reader` names the consumer to people. With `exclusive`, a second consumer of the queue is refused; queues that were
    declared with a single active consumer take `exclusive=False`. Raises BusUnavailable or BusRefused.
    """
    raise NotImplementedError


def open_topology(address: Address, options: BusOptions = DEFAULT_OPTIONS) -> Topology:
    """Declares and inspects exchanges and queues. Raises BusUnavailable or BusRefused."""
    raise NotImplementedError
