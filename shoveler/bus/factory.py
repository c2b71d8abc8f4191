"""Opens publishers, consumers and topologies on the bus that an address names.

pika is imported only when an AMQP address is opened: the window's first paint and the local bus do not need it.
"""

from __future__ import annotations

from shoveler.bus.address import BusAddress
from shoveler.bus.messages import BusRefusedError, Consumer, Publisher, Topology
from shoveler.bus.options import DEFAULT_OPTIONS, BusOptions


def check_tls(address: BusAddress, options: BusOptions) -> None:
    """Raises BusRefusedError when a certificate or key for this address cannot be used. Makes no connection."""
    if address.tls:
        from shoveler.bus.amqp_link import tls_context

        tls_context(options)


def open_publisher(
    address: BusAddress, *, exchange: str, writer: str, options: BusOptions = DEFAULT_OPTIONS
) -> Publisher:
    """A publisher to `exchange`, which is declared (durable, topic) when it does not exist.

    `writer` names the publisher: the file ``writer.db`` on the local bus, the connection's name on AMQP. Callers choose
    the exchange (``address.exchange or "shoveled-xrd"``). Raises BusUnavailableError or BusRefusedError.
    """
    if address.kind == "local":
        from shoveler.bus.local_publisher import LocalPublisher

        return LocalPublisher(address, exchange=exchange, writer=writer, options=options)
    if address.kind == "stomp":
        from shoveler.bus.stomp_publisher import StompPublisher

        return StompPublisher(address, destination=exchange, options=options)
    from shoveler.bus.amqp_publisher import AmqpPublisher

    return AmqpPublisher(address, exchange=exchange, writer=writer, options=options)


def _not_over_stomp(address: BusAddress) -> None:
    if address.kind == "stomp":
        raise BusRefusedError(f"{address} can only be sent to; this needs amqp:// or a directory")


def open_consumer(
    address: BusAddress,
    *,
    exchange: str,
    queue: str,
    reader: str,
    exclusive: bool = True,
    options: BusOptions = DEFAULT_OPTIONS,
) -> Consumer:
    """A consumer of `queue`, which must exist (`Topology.declare_queue`); on the local bus the cursor of that name.

    `reader` names the consumer to people. With `exclusive`, a second consumer of the queue is refused; queues declared
    with a single active consumer need `exclusive=False`. Raises BusUnavailableError or BusRefusedError.
    """
    _not_over_stomp(address)
    if address.kind == "local":
        from shoveler.bus.local_consumer import LocalConsumer

        return LocalConsumer(address, exchange=exchange, queue=queue, exclusive=exclusive, options=options)
    from shoveler.bus.amqp_consumer import AmqpConsumer

    return AmqpConsumer(address, queue=queue, reader=reader, exclusive=exclusive, options=options)


def open_subscription(
    address: BusAddress,
    *,
    exchange: str,
    binding: str,
    reader: str,
    options: BusOptions = DEFAULT_OPTIONS,
    complete: bool = False,
) -> Consumer:
    """A consumer of its own queue: it gets what is published from now on with a key that `binding` matches. The queue
    is removed with the consumer, however it ends. Messages that wait for long may be dropped, oldest first; with
    `complete` none are, and on the local bus it begins with the first message that is still there. `exchange` is
    declared when it does not exist. `reader` names it to people. Raises BusUnavailableError or BusRefusedError.
    """
    _not_over_stomp(address)
    if address.kind == "local":
        from shoveler.bus.local_subscription import LocalSubscription

        return LocalSubscription(
            address, exchange=exchange, binding=binding, reader=reader, options=options, complete=complete
        )
    from shoveler.bus.amqp_consumer import AmqpConsumer

    return AmqpConsumer(
        address, queue="", reader=reader, exclusive=True, options=options, subscribe=(exchange, binding, complete)
    )


def open_topology(address: BusAddress, options: BusOptions = DEFAULT_OPTIONS) -> Topology:
    """Declares and inspects exchanges and queues. Raises BusUnavailableError or BusRefusedError."""
    _not_over_stomp(address)
    if address.kind == "local":
        from shoveler.bus.local_topology import LocalTopology

        return LocalTopology(address)
    from shoveler.bus.amqp_topology import AmqpTopology

    return AmqpTopology(address, options=options)


def declare_shards(
    address: BusAddress, *, exchange: str, prefix: str, count: int, options: BusOptions = DEFAULT_OPTIONS
) -> None:
    """Declare the queues ``PREFIX0 … PREFIX(count − 1)`` and route the messages of `exchange` into them.

    A message whose header ``shard`` is v goes to queue v modulo `count`; one without that header goes to the first. The
    queues are durable, with ``x-overflow=reject-publish`` and a single active consumer each; what exists is used as is.
    Raises BusUnavailableError or BusRefusedError, the latter also for a local bus, which has no shards.
    """
    _not_over_stomp(address)
    if address.kind == "local":
        raise BusRefusedError("the local bus has no shards; they need RabbitMQ")
    from shoveler.bus.amqp_shards import declare_amqp_shards

    declare_amqp_shards(address, exchange=exchange, prefix=prefix, count=count, options=options)
