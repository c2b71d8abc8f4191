"""Asking the daemons on the bus for their status."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from gui.runner.ask import Asker
from shoveler.bus import BusOptions, open_consumer, open_topology, parse_bus_address
from shoveler.service import ASK


def test_each_question_is_on_the_bus_when_asking_is_over(tmp_path: Path) -> None:
    address = parse_bus_address(str(tmp_path / "bus"))
    topology = open_topology(address)
    topology.declare_exchange("tally-status")
    topology.declare_queue("daemon", exchange="tally-status", binding=ASK)
    with (
        closing(Asker(address, exchange="tally-status", writer="q.ask", options=BusOptions())) as asker,
        closing(open_consumer(address, exchange="tally-status", queue="daemon", reader="d")) as daemon,
    ):
        assert asker.ask()
        assert asker.ask()
        assert [message.routing_key for message in daemon.take(10, 5.0)] == [ASK, ASK]
        asker.close()
        assert asker.ask(), "it connects anew"


def test_a_bus_that_is_away_is_no_error() -> None:
    options = BusOptions(connect_timeout=1.0)
    asker = Asker(parse_bus_address("amqp://guest:guest@127.0.0.1:9/"), exchange="s", writer="w", options=options)
    assert not asker.ask()
    asker.close()
