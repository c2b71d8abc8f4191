"""The bus: how messages travel between Tally's programs, over AMQP (RabbitMQ) or the local bus (a directory).

Terms, used everywhere in Tally:

- A *publisher* sends `Outgoing` messages and gets the `Outcome` of each: ``confirmed`` (the bus has it on disk),
  ``returned`` (no queue is bound) or ``refused`` (the bus rejected it, for example because of a full queue).
- A *consumer* takes `Incoming` messages and acknowledges them cumulatively, in the order of `Incoming.delivery`.
  A message that was taken and not acknowledged is delivered again after a reconnect or restart.
- An *address* is a parsed bus URL: ``amqp(s)://USER:PASSWORD@HOST:PORT/VHOST?exchange=E&queue=Q`` or a directory; to
  be sent to only, also ``stomp(s)://USER:PASSWORD@HOST:PORT/topic/NAME``.

Both kinds of bus give the same guarantees and pass the same contract tests. Everything here blocks and belongs to one
thread; a program that must not block gives the bus a thread (or a process) of its own.

    publisher: send → outcomes, until `pending` is 0          consumer: take → acknowledge, `keep_alive` in between

Messages travel in the order given, but outcomes may arrive in another order. A caller with other work sends at most
`room` messages at a time and shows `blocked` to people. Both buses return a message for which no declared queue is
bound, so declare a queue before the first message that matters. A new queue starts empty on AMQP, and with the messages
that are still kept on the local bus.

Errors say what to do: `BusUnavailableError` (try again later), `BusRefusedError` (an operator must change something;
the text says what) with its subclasses `BusMissingError` and `BusInUseError`. After either, close and open again:
messages without an outcome are sent again, unacknowledged ones are delivered again. Nothing here logs or shows a
password or token: print `BusAddress.redacted`, never the URL.

Inside: ``amqp_link`` is the AMQP connection, ``publish_frames`` the marshalling of messages, ``local_files`` the files
of the local bus and their locks, ``local_cursors`` what a local publisher knows about its readers,
``local_subscription`` a queue that lives only as long as its reader, ``requests`` receiving requests beside other work.
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
    BusUserError,
    BusVhostError,
    Consumer,
    Declared,
    Incoming,
    Outcome,
    Outgoing,
    Publisher,
    Topology,
)
from shoveler.bus.options import BusOptions, unpaired
from shoveler.bus.requests import Requests

__all__ = [
    "BusAddress",
    "BusError",
    "BusInUseError",
    "BusMissingError",
    "BusOptions",
    "BusRefusedError",
    "BusUnavailableError",
    "BusUserError",
    "BusVhostError",
    "Consumer",
    "Declared",
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
    "unpaired",
]
