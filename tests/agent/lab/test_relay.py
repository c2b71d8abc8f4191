"""What the relay loses, and that its log says exactly that."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator

import pytest

from agent.lab import sockets
from agent.lab.ledger import Datagram, Entry
from agent.lab.relay import Loss, Relay, fate

ALL = Loss(100)


@pytest.mark.parametrize(
    ("losses", "server", "code", "size", "expected"),
    [
        ({}, "s01", "f", 900, ""),
        ({"wire-loss": ALL}, "s01", "f", 900, "wire-loss"),
        ({"wire-loss": Loss(0)}, "s01", "f", 900, ""),
        ({"wire-loss": Loss(100, server="s02")}, "s01", "f", 900, ""),
        ({"wire-loss": Loss(100, server="s02")}, "s02", "f", 900, "wire-loss"),
        ({"wire-loss": Loss(100, codes="u")}, "s01", "f", 900, ""),
        ({"udp-loss": Loss(100, codes="uf")}, "s01", "f", 900, "udp-loss"),
        ({"fragment-loss": ALL}, "s01", "f", 1472, ""),
        ({"fragment-loss": ALL}, "s01", "f", 1473, "fragment-loss"),
        ({"udp-loss": ALL, "fragment-loss": ALL}, "s01", "f", 9000, "fragment-loss"),
    ],
)
def test_whom_a_loss_takes(losses: dict[str, Loss], server: str, code: str, size: int, expected: str) -> None:
    assert fate(losses, server, code, size, random.Random(1)) == expected


def test_the_share_is_what_was_asked_for() -> None:
    dice = random.Random(1)
    taken = sum(fate({"wire-loss": Loss(2)}, "s01", "f", 900, dice) != "" for _ in range(50_000))
    assert 850 < taken < 1150


class Stage:
    """Two servers' sources, a relay and a shoveler's socket that nobody reads but the test."""

    def __init__(self) -> None:
        self.log: list[Entry] = []
        self.shoveler = sockets.receive_socket()
        sockets.drop_marked(self.shoveler)
        self.shoveler.settimeout(10)
        self.relay = Relay(self.log.append, everything=True)
        self.addresses = {
            name: self.relay.add(name, sockets.address(self.shoveler)).rpartition(":") for name in ("s01", "s02")
        }
        self.sources: list[socket.socket] = []
        self.relay.start()

    def source(self) -> socket.socket:
        self.sources.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        return self.sources[-1]

    def send(self, source: socket.socket, server: str, *data: bytes) -> None:
        host, _, port = self.addresses[server]
        for one in data:
            source.sendto(one, (host, int(port)))

    def receive(self, count: int) -> list[tuple[str, bytes]]:
        """(sender, datagram) of so many."""
        found = []
        for _ in range(count):
            data, (host, port) = self.shoveler.recvfrom(65536)
            found.append((f"{host}:{port}", data))
        return found


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.relay.close()
    stage.shoveler.close()
    for source in stage.sources:
        source.close()


def test_senders_stay_distinct_and_in_order(stage: Stage) -> None:
    one, other, third = stage.source(), stage.source(), stage.source()
    sent = [b"x%03d" % n for n in range(300)]
    for data in sent:
        stage.send(one, "s01", data)
        stage.send(other, "s01", data)
        stage.send(third, "s02", data)
    by_sender: dict[str, list[bytes]] = {}
    for sender, data in stage.receive(900):
        by_sender.setdefault(sender, []).append(data)
    assert list(by_sender.values()) == [sent, sent, sent]
    stage.relay.close()
    named = {(entry.server, entry.sender) for entry in stage.log if isinstance(entry, Datagram)}
    assert {sender for _, sender in named} == set(by_sender)
    assert sorted(server for server, _ in named) == ["s01", "s01", "s02"]
    stage.relay = Relay(stage.log.append)


def test_what_the_kernel_is_to_drop_it_drops_and_counts_and_the_log_says_which(stage: Stage) -> None:
    source = stage.source()
    stage.relay.lose("udp-loss", Loss(50))
    sent = [b"x%03d" % n for n in range(400)]
    stage.send(source, "s01", *sent)
    stage.send(source, "s02", b"end")
    arrived = set()
    # The end may be dropped, too: the relay's own end is when all is through.
    stage.relay.close()
    stage.shoveler.setblocking(False)
    while True:
        try:
            arrived.add(stage.shoveler.recv(100))
        except BlockingIOError:
            break
    fates = [entry.fate for entry in stage.log if isinstance(entry, Datagram) and entry.server == "s01"]
    lost = {data for data, fate in zip(sent, fates, strict=True) if fate == "udp-loss"}
    assert lost == set(sent) - arrived
    assert 100 < len(lost) < 300
    dropped = sum(entry.fate == "udp-loss" for entry in stage.log if isinstance(entry, Datagram))
    assert sockets.drops(stage.shoveler) == dropped
    stage.relay = Relay(stage.log.append)


def test_a_loss_ends(stage: Stage) -> None:
    source = stage.source()
    stage.relay.lose("wire-loss", ALL)
    stage.relay.lose("wire-loss", None)
    stage.send(source, "s01", b"there")
    assert [data for _, data in stage.receive(1)] == [b"there"]
