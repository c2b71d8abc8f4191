"""Topic bindings mean on the local bus what they mean to RabbitMQ."""

from __future__ import annotations

import pytest

from shoveler.bus import Outgoing
from shoveler.bus.topic import matches


@pytest.mark.parametrize(
    ("binding", "yes", "no"),
    [
        ("#", ["", "a", "a.b", "a\nb"], []),
        ("a", ["a"], ["", "ab", "a.b", "b"]),
        ("*", ["a"], ["", "a.b"]),
        ("a.*", ["a.b", "a."], ["a", "a.b.c", "b.a"]),
        ("a.#", ["a", "a.b", "a.b.c"], ["ab", "b.a"]),
        ("#.a", ["a", "b.a", "c.b.a"], ["ba", "a.b"]),
        ("*.#.z", ["a.z", "a.b.c.z"], ["z"]),
        ("a+b.(c)", ["a+b.(c)"], ["aab.c"]),
        ("", [""], ["a"]),
    ],
)
def test_bindings(binding: str, yes: list[str], no: list[str]) -> None:
    assert [key for key in yes + no if matches(binding, key)] == yes


@pytest.mark.broker
def test_rabbitmq_agrees(amqp) -> None:
    bindings = ["#", "a", "*", "a.*", "a.#", "#.a", "*.#.z", "", "#.#", "*.*", "a.#.z"]
    keys = ["", "a", "ab", "a.b", "b.a", "a.b.c", "c.b.a", "z", "a.z", "a.b.c.z", "a.", ".", "..", ".a"]
    topology = amqp.topology()
    for number, binding in enumerate(bindings):
        topology.declare_queue(f"{amqp.queue}.{number}", exchange=amqp.exchange, binding=binding)
    assert set(amqp.publish(amqp.publisher(), [Outgoing(b"", str(n), key) for n, key in enumerate(keys)])) == {
        "confirmed"
    }
    for number, binding in enumerate(bindings):
        expected = [key for key in keys if matches(binding, key)]
        consumer = amqp.consumer(f"{amqp.queue}.{number}")
        assert [m.routing_key for m in amqp.take_all(consumer, len(expected))] == expected, binding
        assert consumer.take(1, 0.0) == [], binding
