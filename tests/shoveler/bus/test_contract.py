"""What both kinds of bus promise. Every test here runs on RabbitMQ and on a directory."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from shoveler.bus import (
    BusInUseError,
    BusMissingError,
    BusRefusedError,
    BusUnavailableError,
    Consumer,
    Outgoing,
    open_subscription,
)

if TYPE_CHECKING:
    from conftest import Bus

    from shoveler.bus import Incoming


def message(number: int, routing_key: str = "", **headers: str | int) -> Outgoing:
    return Outgoing(b"body %d" % number, f"SPOOL:{number}", routing_key, headers)


def messages(start: int, stop: int) -> list[Outgoing]:
    return [message(number) for number in range(start, stop)]


def ids(of: list) -> list[str]:
    return [one.id for one in of]


# -- what goes in comes out ------------------------------------------------------------------------------------------


def test_every_part_of_a_message_arrives(bus: Bus) -> None:
    sent = [
        Outgoing(b'{"a": 1}', "S:1", "file.cms", {"shoveler": "S", "shard": 255}),
        Outgoing(b"", "S:2"),
        Outgoing(bytes(range(256)), "S:3", "ümläut.✓", {"n": -(2**40), "ü": "✓"}, "application/x-ndjson"),
        Outgoing(os.urandom(700_000), "S:4", content_type="application/octet-stream"),
    ]
    assert bus.publish(bus.publisher(), sent) == ["confirmed"] * 4
    taken = bus.take_all(bus.consumer(), 4)
    assert [(m.body, m.id, m.routing_key, m.headers, m.content_type) for m in taken] == [
        (m.body, m.id, m.routing_key, m.headers, m.content_type) for m in sent
    ]
    assert [m.delivery for m in taken] == [1, 2, 3, 4]


def test_thousands_keep_their_order(bus: Bus) -> None:
    publisher, consumer = bus.publisher(window=500), bus.consumer(prefetch=700)
    sent = messages(0, 5000)
    publisher.send(sent)
    assert [(o.status, o.reason) for o in bus.settle(publisher)] == [("confirmed", "")] * 5000
    taken = []
    while len(taken) < 5000:
        taken += consumer.take(300, 5.0)
        consumer.acknowledge(taken[-1].delivery)
    assert ids(taken) == ids(sent)


def test_outcomes_name_each_message_once(bus: Bus) -> None:
    publisher = bus.publisher()
    publisher.send(messages(0, 300))
    assert publisher.pending == 300
    outcomes = bus.settle(publisher)
    assert sorted(ids(outcomes)) == sorted(ids(messages(0, 300)))
    assert publisher.pending == 0


def test_nothing_to_tell_and_nothing_to_take_is_an_empty_list(bus: Bus) -> None:
    publisher, consumer = bus.publisher(), bus.consumer()
    publisher.send([])
    before = time.monotonic()
    assert publisher.outcomes(0.05) == []
    assert consumer.take(10, 0.05) == []
    assert time.monotonic() - before >= 0.1
    assert publisher.outcomes(0.0) == []
    assert consumer.take(10, 0.0) == []
    assert publisher.blocked is None
    assert not publisher.token_changed()
    assert not consumer.token_changed()
    consumer.keep_alive()


def test_the_window_bounds_what_is_on_its_way(bus: Bus) -> None:
    publisher = bus.publisher(window=10)
    assert publisher.room == 10
    publisher.send(messages(0, 4))
    assert publisher.room >= 6
    publisher.send(messages(4, 100))
    bus.settle(publisher)
    assert publisher.room == 10


# -- acknowledging ---------------------------------------------------------------------------------------------------


def test_what_is_not_acknowledged_comes_again_in_order(bus: Bus) -> None:
    bus.publish(bus.publisher(), messages(0, 10))
    first = bus.consumer()
    taken = bus.take_all(first, 10)
    first.acknowledge(taken[3].delivery)
    first.close()
    assert ids(bus.take_all(bus.consumer(), 6)) == ids(messages(4, 10))


def test_what_is_acknowledged_never_comes_again(bus: Bus) -> None:
    publisher = bus.publisher()
    bus.publish(publisher, messages(0, 10))
    first = bus.consumer()
    first.acknowledge(bus.take_all(first, 10)[-1].delivery)
    first.close()
    second = bus.consumer()
    bus.publish(publisher, messages(10, 11))
    assert ids(bus.take_all(second, 1)) == ["SPOOL:10"]


def test_acknowledging_twice_or_backwards_changes_nothing(bus: Bus) -> None:
    bus.publish(bus.publisher(), messages(0, 5))
    consumer = bus.consumer()
    taken = bus.take_all(consumer, 5)
    for delivery in (0, 2, 2, 1):
        consumer.acknowledge(delivery)
    consumer.close()
    assert ids(bus.take_all(bus.consumer(), 3)) == ids(taken[2:])


def test_acknowledging_what_was_not_taken_is_our_own_mistake(bus: Bus) -> None:
    bus.publish(bus.publisher(), messages(0, 5))
    consumer = bus.consumer()
    bus.take_all(consumer, 2)
    with pytest.raises(ValueError, match="delivery 3 was not taken yet; the last one taken is 2"):
        consumer.acknowledge(3)


def test_a_consumer_holds_no_more_than_its_prefetch(bus: Bus) -> None:
    bus.publish(bus.publisher(), messages(0, 10))
    consumer = bus.consumer(prefetch=4)
    taken = bus.take_all(consumer, 4)
    assert consumer.take(10, 0.05) == []
    consumer.acknowledge(taken[1].delivery)
    assert ids(bus.take_all(consumer, 2)) == ["SPOOL:4", "SPOOL:5"]


# -- queues ----------------------------------------------------------------------------------------------------------


def test_two_queues_get_every_message_each(bus: Bus) -> None:
    bus.topology().declare_queue("other" + bus.queue, exchange=bus.exchange)
    bus.publish(bus.publisher(), messages(0, 20))
    assert ids(bus.take_all(bus.consumer(), 20)) == ids(messages(0, 20))
    assert ids(bus.take_all(bus.consumer("other" + bus.queue), 20)) == ids(messages(0, 20))


def test_a_binding_chooses_by_routing_key(bus: Bus) -> None:
    topology = bus.topology()
    topology.declare_queue("cms" + bus.queue, exchange=bus.exchange, binding="*.cms")
    topology.declare_queue("cms" + bus.queue, exchange=bus.exchange, binding="cache.#")
    keys = ["file.cms", "file.atlas", "cache", "cache.cms", "cache.x.y", "cms", ""]
    bus.publish(bus.publisher(), [message(number, key) for number, key in enumerate(keys)])
    taken = bus.take_all(bus.consumer("cms" + bus.queue), 4)
    assert [m.routing_key for m in taken] == ["file.cms", "cache", "cache.cms", "cache.x.y"]
    assert topology.depth(bus.queue, exchange=bus.exchange) == 7


def test_a_message_that_nobody_wants_is_returned_and_its_neighbours_are_not(bus: Bus) -> None:
    topology = bus.topology()
    topology.delete_queue(bus.queue, exchange=bus.exchange)
    topology.declare_queue(bus.queue, exchange=bus.exchange, binding="wanted")
    publisher = bus.publisher()
    batch = [message(number, "wanted" if number % 3 else "nobody's") for number in range(30)]
    publisher.send(batch)
    outcomes = {outcome.id: outcome for outcome in bus.settle(publisher)}
    assert [outcomes[m.id].status for m in batch] == ["confirmed" if n % 3 else "returned" for n in range(30)]
    assert f"no queue is bound to '{bus.exchange}' for this message" in outcomes["SPOOL:0"].reason
    assert len(bus.take_all(bus.consumer(), 20)) == 20


def test_a_publisher_notices_a_queue_that_comes_later(bus: Bus) -> None:
    topology = bus.topology()
    topology.delete_queue(bus.queue, exchange=bus.exchange)
    publisher = bus.publisher()
    assert bus.publish(publisher, [message(1)]) == ["returned"]
    topology.declare_queue(bus.queue, exchange=bus.exchange)
    assert bus.publish(publisher, [message(2)]) == ["confirmed"]
    assert ids(bus.take_all(bus.consumer(), 1)) == ["SPOOL:2"]


def test_declaring_again_keeps_what_is_there(bus: Bus) -> None:
    topology = bus.topology()
    bus.publish(bus.publisher(), messages(0, 3))
    topology.declare_exchange(bus.exchange)
    topology.declare_queue(bus.queue, exchange=bus.exchange)
    topology.declare_queue(bus.queue, exchange=bus.exchange, single_active=True)  # another declaration: used as it is
    bus.until(lambda: topology.depth(bus.queue, exchange=bus.exchange) == 3)


def test_depth_counts_what_waits(bus: Bus) -> None:
    topology = bus.topology()
    assert topology.depth(bus.queue, exchange=bus.exchange) == 0
    bus.publish(bus.publisher(), messages(0, 9))
    bus.until(lambda: topology.depth(bus.queue, exchange=bus.exchange) == 9)
    consumer = bus.consumer()
    taken = bus.take_all(consumer, 9)
    consumer.acknowledge(taken[5].delivery)
    consumer.close()
    bus.until(lambda: topology.depth(bus.queue, exchange=bus.exchange) == 3)


def test_deleting_what_is_not_there_is_no_error(bus: Bus) -> None:
    topology = bus.topology()
    for _ in range(2):
        topology.delete_queue(bus.queue, exchange=bus.exchange)
    for _ in range(2):
        topology.delete_exchange(bus.exchange)
    topology.delete_queue(bus.queue, exchange=bus.exchange)


def test_a_queue_that_is_not_there_is_one_sentence(bus: Bus) -> None:
    topology = bus.topology()
    with pytest.raises(BusMissingError, match=r"no queue 'nowhere'.*check the name"):
        bus.consumer("nowhere")
    with pytest.raises(BusMissingError, match=r"no queue 'nowhere'.*check the name"):
        topology.depth("nowhere", exchange=bus.exchange)
    with pytest.raises(BusMissingError, match="no exchange 'nowhere'"):
        topology.declare_queue("any" + bus.queue, exchange="nowhere")
    assert topology.depth(bus.queue, exchange=bus.exchange) == 0  # the connection is still good


def test_a_publisher_makes_its_exchange(bus: Bus) -> None:
    bus.topology().delete_exchange(bus.exchange)
    assert bus.publish(bus.publisher(), [message(1)]) == ["returned"]
    bus.topology().declare_queue(bus.queue, exchange=bus.exchange)
    assert bus.publish(bus.publisher("second"), [message(2)]) == ["confirmed"]


def test_an_exchange_that_goes_away_ends_the_publisher(bus: Bus) -> None:
    publisher = bus.publisher()
    assert bus.publish(publisher, [message(1)]) == ["confirmed"]
    bus.topology().delete_exchange(bus.exchange)
    with pytest.raises(BusMissingError, match=bus.exchange):
        bus.publish(publisher, [message(2)])
    with pytest.raises(BusMissingError, match=bus.exchange):
        publisher.send([message(3)])


def test_a_queue_that_goes_away_ends_the_consumer(bus: Bus) -> None:
    consumer = bus.consumer()
    bus.topology().delete_queue(bus.queue, exchange=bus.exchange)
    with pytest.raises(BusUnavailableError, match=f"'{bus.queue}'.* was deleted"):
        bus.take_all(consumer, 1)


def test_a_full_queue_refuses_and_takes_again_once_there_is_room(bus: Bus) -> None:
    publisher = bus.publisher(max_bytes=100_000)
    batch = [Outgoing(bytes(1000), str(number)) for number in range(300)]
    if bus.broker is not None:
        bus.broker.ctl("set_policy", bus.queue, f"^{bus.queue}$", '{"max-length-bytes": 100000}')
        bus.until(lambda: "refused" in bus.publish(publisher, batch))
    publisher.send(batch)
    refused = [outcome for outcome in bus.settle(publisher) if outcome.status == "refused"]
    assert refused
    assert "full" in refused[0].reason
    consumer = bus.consumer()
    while taken := consumer.take(1000, 0.2):
        consumer.acknowledge(taken[-1].delivery)
    bus.until(lambda: bus.publish(publisher, [message(1)]) == ["confirmed"])


# -- who may read ----------------------------------------------------------------------------------------------------


def test_a_second_consumer_gets_one_sentence_until_the_first_is_gone(bus: Bus) -> None:
    bus.publish(bus.publisher(), messages(0, 3))
    first = bus.consumer()
    with pytest.raises(BusInUseError, match=f"the queue '{bus.queue}' is already consumed by another program"):
        bus.consumer()
    assert ids(bus.take_all(first, 3)) == ids(messages(0, 3))
    first.close()
    assert ids(bus.take_all(bus.consumer(), 3)) == ids(messages(0, 3))


def test_with_a_single_active_consumer_the_next_one_waits_its_turn(bus: Bus) -> None:
    topology = bus.topology()
    topology.declare_queue("sac" + bus.queue, exchange=bus.exchange, single_active=True)
    publisher = bus.publisher()
    bus.publish(publisher, messages(0, 5))
    first = bus.consumer("sac" + bus.queue, exclusive=False)
    taken = bus.take_all(first, 5)
    first.acknowledge(taken[1].delivery)
    second = bus.consumer("sac" + bus.queue, exclusive=False)
    assert second.take(10, 0.1) == []
    first.close()
    assert ids(bus.take_all(second, 3)) == ids(messages(2, 5))


# -- kill -9 ---------------------------------------------------------------------------------------------------------


def test_a_killed_publisher_loses_nothing_that_was_confirmed(bus: Bus) -> None:
    peer = bus.peer("publish")
    assert peer.stdout is not None
    lines = [peer.stdout.readline() for _ in range(300)]
    peer.kill()
    lines += peer.stdout.read().splitlines(keepends=True)
    confirmed = [int(line.split()[0]) for line in lines if line.endswith(" confirmed\n")]
    assert len(confirmed) >= 300
    depth = bus.topology().depth(bus.queue, exchange=bus.exchange)
    taken = bus.take_all(bus.consumer(), depth)
    assert [int(m.id) for m in taken] == list(range(len(taken)))  # in order, without holes
    assert set(confirmed) <= {int(m.id) for m in taken}
    assert bus.publish(bus.publisher("peer"), [message(1)]) == ["confirmed"]  # the writer's place is free again


def test_a_killed_consumer_loses_nothing_and_is_followed_at_once(bus: Bus) -> None:
    bus.publish(bus.publisher(), [Outgoing(b"x", str(number)) for number in range(3000)])
    peer = bus.peer("consume")
    assert peer.stdout is not None
    seen = [int(peer.stdout.readline()) for _ in range(200)]
    peer.kill()
    seen += [int(line) for line in peer.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    peer.wait()
    rest: list[int] = []
    bus.until(lambda: _consumable(bus))
    consumer = bus.opened[-1]
    while not rest or rest[-1] != 2999:
        rest += [int(m.id) for m in consumer.take(1000, 5.0)]
    assert rest == list(range(rest[0], 3000))  # what was not acknowledged, and all of it
    assert seen == list(range(len(seen)))
    assert 0 < rest[0] <= len(seen)  # some acknowledgements had arrived, and none that was not given


def _consumable(bus: Bus) -> bool:
    try:
        bus.consumer()
    except BusInUseError:  # the broker has not noticed the death yet
        return False
    return True


def test_closing_twice_and_after_a_failure_is_fine(bus: Bus) -> None:
    publisher, consumer, topology = bus.publisher(), bus.consumer(), bus.topology()
    bus.topology().delete_queue(bus.queue, exchange=bus.exchange)
    with pytest.raises((BusRefusedError, BusUnavailableError)):
        bus.take_all(consumer, 1)
    for _ in range(2):
        publisher.close()
        consumer.close()
        topology.close()


# -- subscriptions ---------------------------------------------------------------------------------------------------


def subscription(bus: Bus, binding: str = "ask") -> Consumer:
    consumer = open_subscription(bus.address, exchange=bus.exchange, binding=binding, reader="somebody")
    bus.opened.append(consumer)
    return consumer


def test_each_subscription_gets_what_is_published_from_then_on(bus: Bus) -> None:
    publisher = bus.publisher()
    bus.publish(publisher, [Outgoing(b"old", "old", "ask")])
    one, other = subscription(bus), subscription(bus)
    bus.publish(publisher, [Outgoing(b"no", "no", "shoveler.ab"), Outgoing(b"{}", "yes", "ask")])
    assert [ids(bus.take_all(consumer, 1)) for consumer in (one, other)] == [["yes"], ["yes"]]
    assert one.take(10, 0.0) == []


def test_a_subscription_that_is_gone_takes_its_queue_with_it(bus: Bus) -> None:
    bus.topology().delete_queue(bus.queue, exchange=bus.exchange)
    publisher, subscriber = bus.publisher(), subscription(bus)
    assert bus.publish(publisher, [Outgoing(b"", "a", "ask")]) == ["confirmed"]
    subscriber.close()
    bus.until(lambda: bus.publish(publisher, [Outgoing(b"", "a", "ask")]) == ["returned"])


def test_a_killed_subscriber_keeps_nobody_waiting(bus: Bus) -> None:
    peer = bus.peer("subscribe", "ask")
    assert peer.stdout is not None
    assert peer.stdout.readline() == "ready\n"
    peer.kill()
    peer.wait()
    bus.topology().delete_queue(bus.queue, exchange=bus.exchange)
    publisher = bus.publisher()
    bus.until(lambda: bus.publish(publisher, [Outgoing(b"", "a", "ask")]) == ["returned"])


# -- limits of a queue -----------------------------------------------------------------------------------------------


def test_a_lossy_queue_loses_its_oldest_messages_and_never_stops_the_publisher(bus: Bus) -> None:
    topology = bus.topology()
    topology.delete_queue(bus.queue, exchange=bus.exchange)
    assert topology.declare_queue(bus.queue, exchange=bus.exchange, max_bytes=100_000) == "made"
    publisher = bus.publisher(max_bytes=200_000)
    for start in range(0, 2000, 100):
        batch = [Outgoing(bytes(1000), str(number)) for number in range(start, start + 100)]
        assert set(bus.publish(publisher, batch)) == {"confirmed"}
    consumer = bus.consumer()
    taken: list[Incoming] = []
    while more := consumer.take(1000, 0.3):
        consumer.acknowledge(more[-1].delivery)
        taken += more
    numbers = [int(one.id or "") for one in taken]
    assert numbers == list(range(numbers[0], 2000)), "the newest, in order, without a hole"
    assert 50 <= len(numbers) <= 300


def test_a_lossy_queue_takes_nothing_from_another_one(bus: Bus) -> None:
    topology = bus.topology()
    topology.declare_queue("lossy" + bus.queue, exchange=bus.exchange, max_bytes=50_000)
    publisher = bus.publisher(max_bytes=100_000)
    batch = [Outgoing(bytes(1000), str(number)) for number in range(80)]
    assert set(bus.publish(publisher, batch)) == {"confirmed"}
    more = bus.publish(publisher, [Outgoing(bytes(1000), f"more{number}") for number in range(80)])
    assert len(bus.take_all(bus.consumer(), 80)) == 80, "all that was confirmed before is there"
    if bus.broker is None:
        assert "refused" in more, "the file is full because of the queue that may lose nothing"


def test_an_existing_queue_gets_other_limits_once_it_is_empty(bus: Bus) -> None:
    topology = bus.topology()
    name = "limited" + bus.queue
    assert topology.declare_queue(name, exchange=bus.exchange, expires=1000, max_bytes=10**6) == "made"
    assert topology.declare_queue(name, exchange=bus.exchange, expires=1000, max_bytes=10**6) == "there"
    publisher = bus.publisher()
    assert bus.publish(publisher, [message(1)]) == ["confirmed"]
    again = topology.declare_queue(name, exchange=bus.exchange, expires=2000, max_bytes=10**6)
    assert again == ("other" if bus.broker is not None else "there")
    assert topology.depth(name, exchange=bus.exchange) == 1, "what waits there stays"
    consumer = bus.consumer(name)
    consumer.acknowledge(bus.take_all(consumer, 1)[-1].delivery)
    if bus.broker is not None:
        assert topology.declare_queue(name, exchange=bus.exchange, expires=2000, max_bytes=10**6) == "other"
    consumer.close()
    bus.until(
        lambda: topology.declare_queue(name, exchange=bus.exchange, expires=2000, max_bytes=10**6) in ("made", "there")
    )
    assert bus.publish(publisher, [message(2)]) == ["confirmed"]
    assert ids(bus.take_all(bus.consumer(name), 1)) == ids([message(2)]), "it is bound again"


def test_a_queue_without_a_reader_expires(bus: Bus) -> None:
    topology = bus.topology()
    topology.declare_queue("short" + bus.queue, exchange=bus.exchange, expires=0.5)
    read = "read" + bus.queue
    topology.declare_queue(read, exchange=bus.exchange, expires=0.5)
    consumer = bus.consumer(read)
    publisher = bus.publisher()

    def is_gone() -> bool:
        bus.publish(publisher, [message(1)])
        consumer.take(10, 0.1)
        time.sleep(1.5)  # longer than it may be unused: RabbitMQ takes the question for a use
        try:
            topology.depth("short" + bus.queue, exchange=bus.exchange)
        except BusMissingError:
            return True
        return False

    bus.until(is_gone)
    assert topology.depth(read, exchange=bus.exchange) >= 0, "the one with a reader is not"
