"""What a consumer of RabbitMQ has to itself; the rest is in test_contract.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shoveler.bus import BusOptions, Outgoing, open_subscription
from shoveler.bus.amqp_consumer import OWN_QUEUE_MAX

if TYPE_CHECKING:
    from conftest import Bus


@pytest.mark.broker
def test_requests_that_nobody_takes_do_not_fill_the_broker(amqp: Bus) -> None:
    """The newest stay: they say as much as all."""
    publisher = amqp.publisher()
    subscriber = open_subscription(
        amqp.address, exchange=amqp.exchange, binding="ask", reader="idle", options=BusOptions(prefetch=1)
    )
    amqp.opened.append(subscriber)
    amqp.publish(publisher, [Outgoing(b"{}", "first", "ask")])
    taken = amqp.take_all(subscriber, 1)  # and does not acknowledge it: the broker sends no more
    asked = [f"{number}" for number in range(OWN_QUEUE_MAX + 50)]
    amqp.publish(publisher, [Outgoing(b"{}", name, "ask") for name in asked])
    for _ in range(OWN_QUEUE_MAX):
        subscriber.acknowledge(taken[-1].delivery)
        taken += amqp.take_all(subscriber, 1)
    assert [one.id for one in taken] == ["first", *asked[50:]]


@pytest.mark.broker
def test_a_complete_subscription_loses_nothing_that_it_leaves_for_long(amqp: Bus) -> None:
    publisher = amqp.publisher()
    subscriber = open_subscription(
        amqp.address, exchange=amqp.exchange, binding="#", reader="slow", options=BusOptions(prefetch=1), complete=True
    )
    amqp.opened.append(subscriber)
    names = [f"{number}" for number in range(OWN_QUEUE_MAX + 50)]
    amqp.publish(publisher, [Outgoing(b"{}", name, "file.none") for name in names])
    taken = []
    while len(taken) < len(names):
        taken += amqp.take_all(subscriber, 1)
        subscriber.acknowledge(taken[-1].delivery)
    assert [one.id for one in taken] == names
