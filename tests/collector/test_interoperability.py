"""With the OSG shoveler in front: no ids, empty routing key, no content type or JSON; and its messages twice."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pika
import pytest

from collector.config import SCHEMA, plan
from collector.engine import open_engine, open_store, parts

ROOT = Path(__file__).resolve().parents[2]
CAPTURES = ROOT / "tests" / "captures" / "5.5.3"
pytestmark = pytest.mark.broker


@pytest.fixture
def channel(broker: Any) -> Iterator[Any]:
    connection = pika.BlockingConnection(pika.URLParameters(broker.url))
    yield connection.channel()
    connection.close()


def envelopes(name: str, brackets: bool) -> list[bytes]:
    """As the OSG shoveler writes them: its own version, keys in its order, no spaces. Not every program of this form
    puts brackets around an IPv6 address."""
    found = []
    for line in (CAPTURES / f"{name}.jsonl").read_text().splitlines():
        row = json.loads(line)
        remote = row["remote"] if brackets else row["remote"].replace("[::1]", "::1")
        body = {"remote": remote, "version": "1.4.0", "data": row["data"]}
        found.append(json.dumps(body, separators=(",", ":")).encode())
    return found


def replayed(name: str, out: Path) -> dict[str, dict[str, Any]]:
    settings = SCHEMA.load(None, {}).replace(**{"from": f"file:{CAPTURES / name}.jsonl", "to": [f"file:{out}"]})
    what = plan(settings, {})
    (part,) = parts(what)
    store = open_store(what, part, threading.Event())
    assert store is not None
    assert open_engine(what, part, store).run(threading.Event())
    return {record["record_id"]: record for record in map(json.loads, out.read_text().splitlines())}


@pytest.mark.parametrize(
    ("name", "properties", "times"),
    [
        ("two-servers", pika.BasicProperties(), 1),
        ("vector-reads", pika.BasicProperties(content_type="application/json"), 1),
        ("full-reads", pika.BasicProperties(content_type="text/plain"), 2),
        ("ipv6", pika.BasicProperties(content_type="text/plain"), 1),
        ("ipv6 bare", pika.BasicProperties(content_type="text/plain"), 1),
    ],
)
def test_the_records_are_those_of_a_replay(
    channel: Any, broker: Any, tmp_path: Path, name: str, properties: Any, times: int
) -> None:
    name, _, bare = name.partition(" ")
    exchange, records, queue = f"osg-{name}", f"osg-{name}-records", f"osg-{name}-q"
    channel.exchange_declare(exchange, "topic", durable=True)
    channel.queue_declare(queue, durable=True)
    channel.queue_bind(queue, exchange, "#")
    channel.exchange_declare(records, "topic", durable=True)
    channel.queue_declare(f"{records}-q", durable=True)
    channel.queue_bind(f"{records}-q", records, "#")
    for body in envelopes(name, brackets=not bare):
        for _ in range(times):
            channel.basic_publish(exchange, "", body, properties)
    settings = SCHEMA.load(None, {}).replace(
        **{
            "from": f"{broker.url}?queue={queue}",
            "exchanges__packets": exchange,
            "exchanges__records": records,
            "exchanges__status": "",
            "wlcg__enabled": False,
            "state__dir": str(tmp_path / "state"),
            "state__settle": "0.2s",
            "state__grace": "1s",
        }
    )
    what = plan(settings, {})
    (part,) = parts(what)
    stopping = threading.Event()
    store = open_store(what, part, stopping)
    assert store is not None
    engine = open_engine(what, part, store)
    thread = threading.Thread(target=engine.run, args=(stopping,))
    thread.start()
    wanted = replayed(name, tmp_path / "out")
    found: dict[str, dict[str, Any]] = {}
    deadline = time.monotonic() + 60
    while len(found) < len(wanted) and time.monotonic() < deadline:
        method, _, body = channel.basic_get(f"{records}-q", auto_ack=True)
        if method is None:
            time.sleep(0.05)
            continue
        record = json.loads(body)
        assert record["record_id"] not in found
        found[record["record_id"]] = record
    stopping.set()
    thread.join(15)
    assert channel.basic_get(f"{records}-q", auto_ack=True)[0] is None, "a record too many"
    for name_of in (queue, f"{records}-q"):
        channel.queue_delete(name_of)
    for name_of in (exchange, records):
        channel.exchange_delete(name_of)
    assert found == wanted
