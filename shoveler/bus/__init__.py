"""The bus: how messages travel between Tally's programs, over AMQP (RabbitMQ) or the local bus (a directory).

Terms, used everywhere in Tally:

- A *publisher* sends `Outgoing` messages and is told the `Outcome` of each: ``confirmed`` (the bus has it on disk),
  ``returned`` (nobody is bound there) or ``refused`` (the bus said no, for example a full queue).
- A *consumer* takes `Incoming` messages and acknowledges them cumulatively, in the order of `Incoming.delivery`.
  A message that was taken and not acknowledged comes again after a reconnect or restart.
- An *address* is a parsed bus URL: ``amqp(s)://USER:PASSWORD@HOST:PORT/VHOST?exchange=E&queue=Q`` or a directory.

Both kinds of bus keep the same promises and pass the same contract tests. Everything here is blocking and belongs to
one thread; a program that must not block gives the bus a thread (or a process) of its own.

    publisher: send → outcomes, until `pending` is 0          consumer: take → acknowledge, `keep_alive` in between

Messages travel in the order given, but outcomes may come in another one. Whoever has more to do than publishing sends
at most `room` messages at a time and shows `blocked` to people. On both buses a message that no declared queue is bound
to is returned, so a queue is declared before the first message that matters; a new queue sees nothing older than itself
on AMQP, and what the other readers have left on the local bus.

Errors say whose turn it is: `BusUnavailableError` (try again later), `BusRefusedError` (an operator must change
something; the text says what), of which `BusMissingError` and `BusInUseError` are kinds. After either, close and open
anew: whatever had no outcome is sent again, whatever was not acknowledged comes again. Nothing here logs or shows a
password or token: print `BusAddress.redacted`, never the URL.

Inside: ``amqp_link`` is the AMQP connection, ``publish_frames`` the marshalling of messages, ``local_files`` the files
of the local bus and their locks, ``local_cursors`` what a local publisher knows of its readers, ``local_subscription``
a queue that lives only as long as its reader, ``requests`` hearing requests beside other work.
"""

from shoveler.bus.address import BusAddress, parse_bus_address
from shoveler.bus.factory import (
    check_tls,
    declare_shards,
    open_consumer,
    open_publisher,
    open_subscription,
    open_topology,
)
from shoveler.bus.messages import (
    BusError,
    BusInUseError,
    BusMissingError,
    BusRefusedError,
    BusUnavailableError,
    Consumer,
    Incoming,
    Outcome,
    Outgoing,
    Publisher,
    Topology,
)
from shoveler.bus.options import BusOptions
from shoveler.bus.requests import Requests

__all__ = [
    "BusAddress",
    "BusError",
    "BusInUseError",
    "BusMissingError",
    "BusOptions",
    "BusRefusedError",
    "BusUnavailableError",
    "Consumer",
    "Incoming",
    "Outcome",
    "Outgoing",
    "Publisher",
    "Requests",
    "Topology",
    "check_tls",
    "declare_shards",
    "open_consumer",
    "open_publisher",
    "open_subscription",
    "open_topology",
    "parse_bus_address",
]
