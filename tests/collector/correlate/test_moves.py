"""Servers that move, restart and are heard in disorder, all at once: no gap is claimed that did not occur.

A world of a few servers, played with the truth of it: each has a process with its counters, which sends logins, names,
f-stream datagrams and g-stream events, to one destination or two; now and then it changes its address or port (NAT,
DNS, two stacks) or restarts (another second, another pid, all counters anew, often elsewhere). What it sends is doubled
and reordered by at most 16 places, and some of it is lost.
"""

from __future__ import annotations

import random
import struct
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.correlate import Correlator

T = 1_700_000_000.0
REORDERED = 16
"""Places by which a datagram may come later."""
PACE = 0.2
"""Seconds between two datagrams, on average."""


@dataclass
class Sent:
    """One datagram with the truth of it."""

    t: float
    remote: str
    data: bytes
    process: tuple[int, int]
    class_: str
    number: int
    """Counted on beyond the modulus."""
    lost: bool = False


@dataclass
class Habits:
    """How a world is."""

    seed: int
    servers: int = 3
    steps: int = 400
    move: float = 0.02
    restart: float = 0.01
    doubled: float = 0.05
    reordered: int = REORDERED
    lost: float = 0.0
    burst: int = 1
    """The longest run of one server's datagrams that is lost."""
    second: str = ""
    """What a second destination gets: ``copies`` of logins and names, ``other`` messages, or nothing."""
    late: int = 0
    """Arrivals that the collector has not heard, because it started later."""


@dataclass
class World:
    """What was sent, in order of arrival, and what of it was lost."""

    arrivals: list[Sent] = field(default_factory=list)
    lost: dict[tuple[tuple[int, int], str], set[int]] = field(default_factory=lambda: defaultdict(set))


class Machine:
    """One server with its process of now."""

    def __init__(self, kit: Any, dice: random.Random, number: int, t: float, second: str) -> None:
        self._kit, self._dice, self._second = kit, dice, second
        self.sid = 1000 + number
        self.place = f"192.0.{number}.1"
        self._begin(t)

    def _begin(self, t: float) -> None:
        self.process = self._kit.Server(self.sid, int(t), self._dice.randrange(1, 60_000))
        self._ports()
        self.counts: dict[str, int] = defaultdict(int)
        self.dictid = 0
        self.user = 0
        self.fresh = True

    def restart(self, t: float) -> None:
        if int(t) <= self.process.stod:
            return  # within one second: another story
        if self._dice.random() < 0.5:
            self.place = f"192.0.{self.sid - 1000}.{self._dice.randrange(1, 5)}"
        self._begin(t)

    def move(self) -> None:
        if self._dice.random() < 0.5:
            self.place = f"192.0.{self.sid - 1000}.{self._dice.randrange(1, 5)}"
        self._ports()

    def _ports(self) -> None:
        self.port = self._dice.randrange(20_000, 40_000)
        self.port2 = self._dice.randrange(40_000, 60_000)

    def send(self, t: float) -> list[Sent]:
        process, now = self.process, int(t)
        kind = "=" if self.fresh else self._dice.choice("=uuffffffg" + ("rr" if self._second == "other" else ""))
        self.fresh = False
        if kind == "r":
            return [self._sent(t, self._redirect(now), "M2")]
        if kind == "=":
            return self._maps(t, "=", lambda: process.ident())
        if kind == "u" or not self.user:
            self.dictid += 1
            self.user = number = self.dictid
            return self._maps(t, "u", lambda: process.login(number, user=f"u{number}", pid=number))
        if kind == "g":
            return [self._sent(t, process.events("C", b'{"event":"file_close"}', begin=now, end=now), "G")]
        self.dictid += 1
        records = [self._kit.opened(self.dictid, self.user, f"/f{self.dictid}"), self._kit.closed(self.dictid, 5)]
        return [self._sent(t, process.files(*records, begin=now, end=now), "F")]

    def _maps(self, t: float, kind: str, make: Callable[[], bytes]) -> list[Sent]:
        """A map message, to each destination that gets it."""
        sent = [self._sent(t, make(), "M")]
        if self._second == "copies" or (self._second == "other" and kind == "="):
            self.process.next["M"] -= 1
            data = bytearray(make())
            data[1] = self.counts["M2"] % 256
            sent.append(self._sent(t, bytes(data), "M2"))
        return sent

    def _redirect(self, now: int) -> bytes:
        body = struct.pack(">Q", 0xF0 << 56 | self.sid) + struct.pack(">II", now, now)
        return struct.pack(">cBHI", b"r", self.counts["M2"] % 256, 8 + len(body), self.process.stod) + body

    def _sent(self, t: float, data: bytes, class_: str) -> Sent:
        number = self.counts[class_]
        self.counts[class_] += 1
        port = self.port2 if class_ == "M2" else self.port
        return Sent(t, f"{self.place}:{port}", data, (self.sid, self.process.stod), class_, number)


def made(kit: Any, habits: Habits) -> World:
    """A world by its habits; the same for the same seed."""
    dice = random.Random(habits.seed)
    t = T
    machines = [Machine(kit, dice, number, t, habits.second) for number in range(habits.servers)]
    sent: list[Sent] = []
    losing: dict[int, int] = defaultdict(int)
    for _ in range(habits.steps):
        t += dice.expovariate(1 / PACE)
        machine = dice.choice(machines)
        if dice.random() < habits.restart:
            machine.restart(t)
            losing[machine.sid] = 0
        elif dice.random() < habits.move:
            machine.move()
        all_ = machine.send(t)
        if dice.random() < habits.lost:
            losing[machine.sid] = dice.randint(1, habits.burst)
        if losing[machine.sid]:
            losing[machine.sid] -= 1
            for one in all_:
                one.lost = dice.random() < 0.7
        sent += all_
    world = World()
    keyed = []
    for place, one in enumerate(sent):
        if one.lost:
            world.lost[one.process, one.class_].add(one.number)
            continue
        keyed.append((place + dice.uniform(0, habits.reordered), place, one))
        if dice.random() < habits.doubled:
            keyed.append((place + dice.uniform(0, habits.reordered), place, one))
    times = sorted(one.t for _, _, one in keyed)
    for (_, _, one), t in zip(sorted(keyed, key=lambda key: key[:2]), times, strict=True):
        world.arrivals.append(Sent(t, one.remote, one.data, one.process, one.class_, one.number))
    for one in world.arrivals[: habits.late]:  # copies of them may come later
        world.lost[one.process, one.class_].add(one.number)
    del world.arrivals[: habits.late]
    return world


class Played:
    """What a collector says of a world, beside the truth."""

    def __init__(self, world: World, *, listening: bool = True, again: int = 0) -> None:
        """`listening`: it had listened before all began. `again`: it is stopped and started after so many arrivals."""
        correlator = Correlator()
        rows: dict[bytes, bytes] = {}
        if listening:
            correlator.advance(T - 60)
        for place, one in enumerate(world.arrivals):
            if again and place and place % again == 0:
                put, delete = correlator.changes()
                rows.update(put)
                for row in delete:
                    rows.pop(row, None)
                correlator = Correlator()
                correlator.restore(list(rows.items()))
            correlator.feed(one.data, one.remote, one.t)
        last = world.arrivals[-1].t
        correlator.advance(last + 300)
        correlator.drain(last + 600)
        self._world = world
        self.claimed: dict[tuple[tuple[int, int], str], set[int]] = defaultdict(set)
        """What is said to be missing for sure: by process and class, modulo 256."""
        self.wrong: list[str] = []
        """What is said to be missing and is not."""
        for process in correlator.processes():
            key = int(process["sid"]), process["stod"]
            for gap in process["gaps"]:
                if gap.get("sure", True):
                    self._note(key, gap)
            if process["missing_ids"] and not any(world.lost[key, class_] for class_ in "FM"):
                self.wrong.append(f"{key}: ids {process['missing_ids']}")

    def _note(self, key: tuple[int, int], gap: dict[str, Any]) -> None:
        class_ = gap["class"][0]
        first = FIRST[class_]
        after = gap["after"] if gap["after"] >= 0 else first - 1
        numbers = {(after + 1 + n) % 256 for n in range(gap["missing"])}
        lost = {(n + first) % 256 for one in (class_, f"{class_}2") for n in self._world.lost[key, one]}
        if len(numbers) != gap["missing"] or not numbers <= lost:
            self.wrong.append(f"{key} {class_}: {gap['missing']} missing after {gap['after']}; really {sorted(lost)}")
        self.claimed[key, class_] |= numbers

    def unclaimed(self, classes: str) -> list[str]:
        """What never came, and is not said to be missing, though something came after it."""
        last: dict[tuple[tuple[int, int], str], int] = defaultdict(lambda: -1)
        for one in self._world.arrivals:
            last[one.process, one.class_] = max(last[one.process, one.class_], one.number)
        return [
            f"{key} {class_}: {number}"
            for (key, class_), lost in self._world.lost.items()
            for number in sorted(lost)
            if class_ in classes and number < last[key, class_]
            if (number + FIRST[class_]) % 256 not in self.claimed[key, class_]
        ]


FIRST = {"F": 0, "M": 0, "M2": 0, "G": 1}
seeds = st.integers(0, 2**32 - 1)
BUSY: dict[str, Any] = {"move": 0.1, "restart": 0.03}


@pytest.mark.parametrize(
    ("habits", "how"),
    [
        ({"move": 0, "restart": 0}, {}),
        ({"restart": 0}, {}),
        ({"move": 0}, {}),
        (BUSY, {}),
        (BUSY, {"listening": False}),
        (BUSY, {"again": 7}),
        (BUSY | {"late": 60}, {"listening": False}),
        (BUSY | {"steps": 3000, "servers": 1, "restart": 0.001}, {}),
        (BUSY | {"lost": 0.02, "burst": 3}, {}),
        (BUSY | {"lost": 0.03, "burst": 8}, {"again": 11}),
        (BUSY | {"second": "copies"}, {}),
        ({"move": 0, "second": "copies", "lost": 0.03}, {}),
        (BUSY | {"second": "copies", "lost": 0.03, "burst": 4}, {"again": 5}),
        ({"move": 0, "second": "copies", "late": 60}, {"listening": False}),
        ({"move": 0, "second": "other"}, {}),
        ({"move": 0, "second": "other", "lost": 0.03}, {}),
        ({"move": 0, "second": "other", "late": 60}, {"listening": False}),
        (BUSY | {"second": "other"}, {}),
        (BUSY | {"second": "other", "lost": 0.03, "late": 30}, {"listening": False, "again": 13}),
    ],
)
@given(seed=seeds)
@settings(max_examples=8, deadline=None)
def test_nothing_is_called_missing_that_came(seed: int, habits: dict[str, Any], how: dict[str, Any], kit: Any) -> None:
    assert Played(made(kit, Habits(seed, **habits)), **how).wrong == []


@given(seed=seeds)
@settings(max_examples=20, deadline=None)
def test_all_that_is_missing_of_servers_that_stay_is_known(seed: int, kit: Any) -> None:
    played = Played(made(kit, Habits(seed, move=0, lost=0.03, burst=8)))
    assert (played.wrong, played.unclaimed("FMG")) == ([], [])


@given(seed=seeds)
@settings(max_examples=20, deadline=None)
def test_all_that_is_missing_of_one_counter_is_known_wherever_a_server_goes(seed: int, kit: Any) -> None:
    """The f-stream and g-streams have one counter for all destinations."""
    played = Played(made(kit, Habits(seed, **BUSY, lost=0.03, burst=8)))
    assert (played.wrong, played.unclaimed("FG")) == ([], [])


def test_a_login_lost_beside_a_move_is_known_when_the_f_stream_moves_as_well(kit: Any) -> None:
    """…and is not sure before, or where it stays behind: then there may be two destinations."""
    for moves in (True, False):
        server, correlator = kit.Server(), Correlator()
        old, new = "192.0.2.1:40000", "192.0.2.7:40000"
        for data in (server.ident(), server.login(1), server.files(), server.files()):
            correlator.feed(data, old, T)
        server.login(2)  # lost
        correlator.feed(server.login(3), new, T + 1)
        for n in range(12):
            correlator.feed(server.files(), new if moves else old, T + 2 + n)
        pending = [(gap["after"], gap["missing"], gap.get("sure", True)) for gap in kit.gaps(correlator)]
        assert pending == [(1, 1, False)]
        correlator.advance(T + 60)
        declared = [(gap["after"], gap["missing"], gap.get("sure", True)) for gap in kit.gaps(correlator)]
        assert declared == [(1, 1, moves)]
        assert correlator.counters.get("missing{M}", 0) == int(moves)


@pytest.mark.parametrize("version", ["5.5.3", "6.1.0"])
@pytest.mark.parametrize("seed", range(3))
def test_real_traffic_whose_senders_move_lacks_what_it_lacked_before(version: str, seed: int, kit: Any) -> None:
    """Each capture, its senders behind another port and then another address from some datagram on, in disorder."""
    dice = random.Random(f"{seed} {version}")
    for name in kit.captures(version):
        datagrams = kit.load(name, version)[:1500]
        port, place = dice.randrange(len(datagrams) + 1), dice.randrange(len(datagrams) + 1)
        moved = [
            datagram._replace(remote=_moved(datagram.remote, port=number >= port, place=number >= place))
            for number, datagram in enumerate(datagrams)
        ]
        twice = [*range(len(moved)), *(number for number in range(len(moved)) if dice.random() < 0.1)]
        order = sorted(twice, key=lambda number: (number + dice.uniform(0, REORDERED), number))
        times = sorted(datagrams[number].t for number in order)
        arrived = [moved[number]._replace(t=t) for number, t in zip(order, times, strict=True)]
        assert _missing(arrived) == _missing(datagrams), name


def _moved(remote: str, *, port: bool, place: bool) -> str:
    host, _, number = remote.rpartition(":")
    return f"{f'198.51.100.{host[-1]}' if place and host[-1].isdigit() else host}:{int(number) + port}"


def _missing(datagrams: list[Any]) -> list[tuple[Any, ...]]:
    correlator = Correlator()
    for t, remote, data in datagrams:
        correlator.feed(data, remote, t)
    correlator.drain(datagrams[-1].t + 600)
    found = [(process["sid"], process["stod"], gap) for process in correlator.processes() for gap in process["gaps"]]
    return sorted((sid, stod, g["class"], g["after"], g["missing"]) for sid, stod, g in found if g.get("sure", True))
