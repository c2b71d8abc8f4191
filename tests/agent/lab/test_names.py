from __future__ import annotations

import pika
import pika.exceptions
import pytest

from agent.lab import names
from agent.lab.broker import PrivateBroker
from agent.lab.errors import LabError
from agent.lab.names import Names


def exists(connection: pika.BlockingConnection, *, exchange: str = "", queue: str = "") -> bool:
    channel = connection.channel()
    try:
        if exchange:
            channel.exchange_declare(exchange, passive=True)
        else:
            channel.queue_declare(queue, passive=True)
    except pika.exceptions.ChannelClosedByBroker:
        return False
    channel.close()
    return True


def test_on_a_bus_of_the_labs_own_the_names_are_the_usual_ones() -> None:
    plain = Names("")
    assert (plain.packets_exchange, plain.records_exchange) == ("shoveled-xrd", "xrd-records")
    assert all(name.startswith("lab-1.") for name in (*Names("lab-1.").exchanges, Names("lab-1.").packets_queue))


def test_a_queue_in_the_url() -> None:
    assert names.with_queue("amqp://u:p%40@h:1/v", "a.b") == "amqp://u:p%40@h:1/v?queue=a.b"
    assert names.with_queue("amqp://h/?heartbeat=5", "q") == "amqp://h/?heartbeat=5&queue=q"


@pytest.mark.broker
def test_all_names_of_a_lab_are_deleted_and_no_others(broker: PrivateBroker) -> None:
    lab = Names("lab-namestest.")
    with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection:
        channel = connection.channel()
        for exchange in (*lab.exchanges, "names-test-other"):
            channel.exchange_declare(exchange, "topic", durable=True)
        channel.queue_declare(lab.packets_queue, durable=True)
        channel.queue_bind(lab.packets_queue, lab.packets_exchange, "#")
        channel.basic_publish(lab.packets_exchange, "", b"still in the queue")
        names.delete(broker.url, lab)
        names.delete(broker.url, lab)
        assert [e for e in lab.exchanges if exists(connection, exchange=e)] == []
        assert not exists(connection, queue=lab.packets_queue)
        assert exists(connection, exchange="names-test-other")
        channel.exchange_delete("names-test-other")


def test_without_a_prefix_nothing_is_deleted() -> None:
    with pytest.raises(AssertionError, match="another program"):
        names.delete("amqp://127.0.0.1:1/", Names(""))


@pytest.mark.broker
def test_a_broker_that_answers_is_fine_and_one_that_declines_says_why(broker: PrivateBroker) -> None:
    names.check_broker(broker.url)
    with pytest.raises(LabError) as caught:
        names.check_broker(broker.url.replace(broker.password, "wrong-secret"))
    assert "ACCESS_REFUSED" in str(caught.value)
    assert "wrong-secret" not in str(caught.value)


def test_a_broker_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(LabError) as caught:
        names.check_broker("amqp://u:secret@127.0.0.1:1/v")
    assert str(caught.value) == "the broker amqp://u:***@127.0.0.1:1/v cannot be used (Connection refused); check --bus"
