"""Shards: each sender's messages in one queue, none lost, none double."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shoveler.bus import (
    BusAddress,
    BusRefusedError,
    Outgoing,
    declare_shards,
    open_consumer,
    open_publisher,
    open_topology,
    parse_bus_address,
)

pytestmark = pytest.mark.broker
NUMBER = itertools.count(1)


class Names:
    def __init__(self, address: BusAddress) -> None:
        number = next(NUMBER)
        self.address, self.exchange, self.prefix = address, f"shards{number}-packets", f"shards{number}.shard."


@pytest.fixture
def names(broker: Any) -> Iterator[Names]:
    made = Names(parse_bus_address(broker.url))
    yield made
    topology = open_topology(made.address)
    for number in range(8):
        topology.delete_queue(f"{made.prefix}{number}", exchange=made.exchange)
    for exchange in (made.exchange, f"{made.prefix}s", f"{made.prefix}s.rest"):
        topology.delete_exchange(exchange)
    topology.close()


def publish(names: Names, messages: list[Outgoing]) -> list[str]:
    publisher = open_publisher(names.address, exchange=names.exchange, writer="test")
    publisher.send(messages)
    found: dict[str, str] = {}
    while len(found) < len(messages):
        found |= {outcome.id: outcome.status for outcome in publisher.outcomes(5.0)}
    publisher.close()
    return [found[message.id] for message in messages]


def taken(names: Names, queue: int) -> list[str]:
    consumer = open_consumer(
        names.address, exchange=names.exchange, queue=f"{names.prefix}{queue}", reader="test", exclusive=False
    )
    found: list[str] = []
    while messages := consumer.take(1000, 0.3):
        found += [message.id for message in messages]  # type: ignore[misc]
        consumer.acknowledge(messages[-1].delivery)
    consumer.close()
    return found


def test_every_shard_has_its_queue_and_messages_without_one_go_to_the_first(names: Names) -> None:
    declare_shards(names.address, exchange=names.exchange, prefix=names.prefix, count=4)
    messages = [Outgoing(b"x", f"s{shard}", "", {"shard": shard, "shoveler": "S"}) for shard in range(256)]
    messages.append(Outgoing(b"x", "none", ""))
    messages.append(Outgoing(b"x", "keyed", "any.key", {"shard": 2}))
    assert publish(names, messages) == ["confirmed"] * 258
    found = [taken(names, queue) for queue in range(4)]
    assert found[0] == [f"s{shard}" for shard in range(0, 256, 4)] + ["none"]
    assert found[1] == [f"s{shard}" for shard in range(1, 256, 4)]
    assert found[2] == [f"s{shard}" for shard in range(2, 256, 4)] + ["keyed"]
    assert found[3] == [f"s{shard}" for shard in range(3, 256, 4)]


def test_declaring_again_changes_nothing(names: Names) -> None:
    for _ in range(2):
        declare_shards(names.address, exchange=names.exchange, prefix=names.prefix, count=2)
    assert publish(names, [Outgoing(b"x", "one", "", {"shard": 3})]) == ["confirmed"]
    assert (taken(names, 0), taken(names, 1)) == ([], ["one"])


def test_one_consumer_is_active_and_the_next_takes_over(names: Names) -> None:
    declare_shards(names.address, exchange=names.exchange, prefix=names.prefix, count=1)
    first, second = (
        open_consumer(names.address, exchange=names.exchange, queue=f"{names.prefix}0", reader=name, exclusive=False)
        for name in ("first", "second")
    )
    publish(names, [Outgoing(b"x", "one", "", {"shard": 0})])
    (message,) = first.take(10, 5.0)
    assert second.take(10, 0.3) == []
    first.close()
    assert [again.id for again in second.take(10, 5.0)] == [message.id]
    second.close()


def test_the_local_bus_has_no_shards(tmp_path: Path) -> None:
    with pytest.raises(BusRefusedError, match="the local bus has no shards"):
        declare_shards(parse_bus_address(str(tmp_path)), exchange="x", prefix="x.", count=2)
