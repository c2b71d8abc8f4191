"""A program on the bus for tests to kill: ``peer.py publish|consume|subscribe URL EXCHANGE QUEUE
[BINDING]``. It tells what it did.

publish: messages 0, 1, 2 … without end; prints each number that was confirmed.
consume: takes without end; prints each number, and acknowledges after printing.
subscribe: prints "ready" once it is subscribed.
"""

from __future__ import annotations

import itertools
import sys

from shoveler.bus import Outgoing, open_consumer, open_publisher, open_subscription, parse_bus_address

_BATCH = 20


def publish(url: str, exchange: str) -> None:
    publisher = open_publisher(parse_bus_address(url), exchange=exchange, writer="peer")
    for start in itertools.count(0, _BATCH):
        publisher.send([Outgoing(b"x" * 500, str(number)) for number in range(start, start + _BATCH)])
        for outcome in publisher.outcomes(0.01):
            print(outcome.id, outcome.status, flush=True)


def consume(url: str, exchange: str, queue: str) -> None:
    consumer = open_consumer(parse_bus_address(url), exchange=exchange, queue=queue, reader="peer")
    while True:
        taken = consumer.take(_BATCH, 1.0)
        for message in taken:
            print(message.id, flush=True)
        if taken:
            consumer.acknowledge(taken[-1].delivery)


def subscribe(url: str, exchange: str, binding: str) -> None:
    consumer = open_subscription(parse_bus_address(url), exchange=exchange, binding=binding, reader="peer")
    print("ready", flush=True)
    while True:
        consumer.take(1, 1.0)


if __name__ == "__main__":
    role, url, exchange, queue, *binding = sys.argv[1:]
    if role == "publish":
        publish(url, exchange)
    elif role == "subscribe":
        subscribe(url, exchange, *binding)
    else:
        consume(url, exchange, queue)
