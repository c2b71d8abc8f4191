"""`tally pipeline`, as typed: it listens, prints, and takes nothing from any queue."""

from __future__ import annotations

import json
import threading
from contextlib import closing
from pathlib import Path

import pytest

from gui.cli import main
from gui.runner.queues import remember_queue
from gui.store import Store
from shoveler.bus import Outgoing, open_publisher, open_subscription, open_topology, parse_bus_address
from shoveler.service import ASK, ShovelerStatus
from shoveler.service.status import EXCHANGE, ShovelerSender, encode_status, routing_key


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TALLY_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("TALLY_BUS", raising=False)
    Store(tmp_path / "w.db").close()
    return str(tmp_path / "w.db")


def test_without_a_bus_nothing_is_watched(database: str, capsys) -> None:
    assert main(["pipeline", "--db", database]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Nobody can say where records wait")
    lines = [line.split("  ")[0] for line in said.splitlines() if line and line[0] != " "]
    assert [line.split()[0] for line in lines[1:]] == ["Servers", "Shovelers", "Broker", "Collectors", "Database"]
    assert "not set" in said
    assert " 0/s" not in said


def test_a_bus_that_is_not_there_is_the_state_of_the_broker(database: str, capsys) -> None:
    command = ["pipeline", "--db", database, "--bus", "amqp://u:secret@127.0.0.1:1/", "--json", "--for", "0.2"]
    assert main(command) == 1
    said = capsys.readouterr().out
    assert "secret" not in said
    stages = {stage["name"]: stage for stage in json.loads(said)["stages"]}
    assert stages["broker"]["state"] == "failed"
    assert stages["shovelers"]["figures"] == {"Read": None, "Confirmed": None, "Spool": None}


def test_it_listens_and_asks_and_leaves_the_queue_alone(database: str, tmp_path: Path, capsys) -> None:
    bus = parse_bus_address(str(tmp_path / "bus"))
    with closing(open_topology(bus)) as topology:
        topology.declare_exchange("xrd-records")
        topology.declare_queue("tally.w-1", exchange="xrd-records")
    with Store(database) as store:
        remember_queue(store, "tally.w-1", "xrd-records", str(tmp_path / "bus"))
    with closing(open_publisher(bus, exchange="xrd-records", writer="c")) as publisher:
        publisher.send([Outgoing(b"{}", str(n), "file") for n in range(4)])
        while publisher.pending:
            publisher.outcomes(1.0)
    over = threading.Event()

    def shoveler() -> None:
        """Answers each question with another status."""
        received = 100
        listening = open_subscription(bus, exchange=EXCHANGE, binding="#", reader="shoveler")
        with closing(listening), closing(open_publisher(bus, exchange=EXCHANGE, writer="s")) as publisher:
            ready.set()
            while not over.is_set():
                for message in listening.take(10, 0.1):
                    listening.acknowledge(message.delivery)
                    if message.routing_key == ASK:
                        received += 50
                        status = ShovelerStatus(
                            id="5p001", started=1.0, t=float(received), host="mon.example.org", version="1",
                            senders={"192.0.2.1:4000": ShovelerSender(received=received, confirmed=received)},
                        )  # fmt: skip
                        publisher.send([Outgoing(encode_status(status), str(received), routing_key(status))])
                        publisher.outcomes(1.0)

    ready = threading.Event()
    thread = threading.Thread(target=shoveler)
    thread.start()
    try:
        assert ready.wait(30)
        assert main(["pipeline", "--db", database, "--bus", str(tmp_path / "bus"), "--for", "3", "--json"]) == 0
    finally:
        over.set()
        thread.join(30)
    said = json.loads(capsys.readouterr().out)
    assert said["shovelers"][0]["name"] == "mon.example.org"
    assert said["shovelers"][0]["read"] == 1.0
    assert said["queues"][1]["waiting"] == 4
    assert said["stages"][3]["state"] == "not watched"
    with closing(open_topology(bus)) as topology:
        assert topology.depth("tally.w-1", exchange="xrd-records") == 4


def test_a_time_that_cannot_be_meant(database: str, capsys) -> None:
    assert main(["pipeline", "--db", database, "--for", "0"]) == 2
    assert "expected 0 to 3,600 seconds" in capsys.readouterr().err
