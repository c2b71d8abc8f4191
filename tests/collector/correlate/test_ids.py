"""Dense ids: what is said to be missing, and when."""

from __future__ import annotations

import random
import struct
from typing import Any

import pytest

from collector.correlate import Correlator
from collector.correlate.ids import JUMP, MAX_HOLES, SPARSE, Ids, Seen
from collector.correlate.sequence import REORDER

T = 1_700_000_001.0
A = "192.0.2.1:40000"


def feed(correlator: Correlator, *datagrams: bytes, t: float = T) -> None:
    for data in datagrams:
        correlator.feed(data, A, t)


def missing(correlator: Correlator) -> dict[str, list[tuple[int, int]]]:
    """Of the only process."""
    (process,) = correlator.processes()
    found: dict[str, list[tuple[int, int]]] = process["missing_ids"]
    return found


def wait(correlator: Correlator, server: Any) -> None:
    """Until everything that may only be late is not waited for any more."""
    for seconds in (30, 60, 90, 120):
        feed(correlator, server.files(), t=T + seconds)
        correlator.advance(T + seconds + 0.5)


@pytest.fixture
def server(kit: Any) -> Any:
    return kit.Server()


@pytest.fixture
def correlator() -> Correlator:
    return Correlator()


def test_a_lost_login_is_named_by_what_it_opened(kit: Any, server: Any, correlator: Correlator) -> None:
    feed(correlator, server.ident(), server.login(1))
    server.login(2)  # lost
    feed(correlator, server.files(kit.opened(3, user=2), kit.closed(3, 1)))
    wait(correlator, server)
    assert missing(correlator) == {"u": [(2, 2)]}


def test_a_lost_open_is_named_by_its_close(kit: Any, server: Any, correlator: Correlator) -> None:
    feed(correlator, server.ident(), server.login(1))
    server.files(kit.opened(2))  # lost
    feed(correlator, server.files(kit.closed(2, 1), kit.opened(3)))
    wait(correlator, server)
    assert missing(correlator) == {"open": [(2, 2)]}


def test_opens_lost_with_their_closes_are_opens_when_no_map_was_lost(
    kit: Any, server: Any, correlator: Correlator
) -> None:
    feed(correlator, server.ident(), server.login(1))
    server.files(*(kit.opened(2 + n) for n in range(5)), *(kit.closed(2 + n, 1) for n in range(5)))  # lost
    feed(correlator, server.files(kit.opened(7)))
    wait(correlator, server)
    # the last map may have been lost as well
    assert missing(correlator) == {"unknown": [(2, 6)]}
    feed(correlator, server.login(8, user="bob"), t=T + 150)
    wait(correlator, server)
    correlator.advance(T + 200)
    assert missing(correlator) == {"open": [(2, 6)]}


def test_what_was_lost_of_maps_may_be_anything(kit: Any, server: Any, correlator: Correlator) -> None:
    feed(correlator, server.ident(), server.login(1))
    server.info(2)  # lost
    feed(correlator, server.login(3, user="bob"), server.files(kit.opened(4)))
    wait(correlator, server)
    assert missing(correlator) == {"unknown": [(2, 2)]}


def test_a_last_map_that_was_lost_shows_when_the_next_has_come(kit: Any, server: Any, correlator: Correlator) -> None:
    feed(correlator, server.ident(), server.login(1))
    server.info(2)  # lost
    feed(correlator, server.files(kit.opened(3)))
    wait(correlator, server)
    assert missing(correlator) == {}
    feed(correlator, server.login(4, user="bob"), t=T + 130)
    wait(correlator, server)
    correlator.advance(T + 200)
    assert missing(correlator) == {"unknown": [(2, 2)]}


def test_an_open_in_the_buffer_of_the_server_is_not_missing(kit: Any, server: Any, correlator: Correlator) -> None:
    """The f-stream may be hours behind the maps."""
    feed(correlator, server.ident(), server.login(1))
    for number in range(REORDER):
        feed(correlator, server.login(3 + number, user=f"u{number}"), t=T + 60 * number)
        correlator.advance(T + 60 * number)
    assert missing(correlator) == {}
    feed(correlator, server.files(kit.opened(2)), t=T + 3600)
    wait(correlator, server)
    assert missing(correlator) == {}


def test_events_that_go_elsewhere_are_not_lost(kit: Any, server: Any, correlator: Correlator) -> None:
    """A server that sends its infos to another destination only: they have no number here, and leave holes."""
    feed(correlator, server.ident())
    for number in range(1, 100, 3):
        feed(correlator, server.login(number, user=f"u{number}"), t=T + number)
        feed(correlator, server.files(kit.opened(number + 2, user=number)), t=T + number)
        correlator.advance(T + number)
    server.files(kit.opened(102, user=97))  # lost: now a gap could explain what it does not
    feed(correlator, server.login(103), server.files(kit.opened(104, user=97)), t=T + 104)
    wait(correlator, server)
    correlator.advance(T + 300)
    assert missing(correlator) == {}


def test_more_than_a_turn_of_the_sequence_shows(kit: Any, server: Any, correlator: Correlator) -> None:
    """What is lost in 256 datagrams in a row no sequence number tells."""
    feed(correlator, server.ident())
    for number in range(1, 600, 2):
        feed(correlator, server.login(number), server.files(kit.opened(number + 1)), t=T + number / 100)
    correlator.advance(T + 10)
    for number in range(601, 601 + 256):
        server.files(kit.opened(number))  # lost
    feed(correlator, server.login(857), server.files(kit.opened(858)), t=T + 10)
    wait(correlator, server)
    assert missing(correlator) == {"unknown": [(601, 856)]}
    assert correlator.processes()[0]["gaps"] == []


def test_who_comes_late_begins_behind_what_was_on_its_way(kit: Any, server: Any, correlator: Correlator) -> None:
    server.next = {"M": 100, "F": 7, "G": 1}
    feed(correlator, server.files(kit.opened(1000), kit.opened(1003)), server.login(1005))
    feed(correlator, server.files(kit.opened(1004), kit.opened(1007)), server.login(1008))
    wait(correlator, server)
    assert missing(correlator) == {}
    feed(correlator, server.files(kit.closed(2, 1)), t=T + 130)  # opened long before
    server.login(1009)  # lost
    feed(correlator, server.login(1010), server.files(kit.opened(1011)), t=T + 131)
    for seconds in (160, 190, 220):
        feed(correlator, server.files(), t=T + seconds)
        correlator.advance(T + seconds)
    assert missing(correlator) == {"unknown": [(1009, 1009)]}


# ------------------------------------------------------------------ the ranges


def told(ids: Ids) -> set[int]:
    return {number for low, high in ids.told() for number in range(low, high + 1)}


@pytest.mark.parametrize("seed", range(50))
def test_ranges_against_a_plain_set(seed: int) -> None:
    rng = random.Random(seed)
    ids, plain = Ids(), set()
    ids.begin()
    numbers = [number for number in range(1, 400) if rng.random() < 0.9]
    arriving = sorted(numbers, key=lambda number: number + rng.uniform(0, rng.choice([0, 5, 300])))
    for place, number in enumerate(arriving):
        (ids.append if rng.random() < 0.7 else ids.map)(number)
        plain.add(number)
        if rng.random() < 0.1:
            assert told(ids) == plain
        if place % 50 == 0:
            ids = Ids.load(ids.dump())
    assert told(ids) == plain
    assert ids.top == max(plain)


def test_holes_are_bounded_and_nothing_is_claimed_below_the_forgotten() -> None:
    ids = Ids()
    ids.begin()
    for number in range(2, 10 * MAX_HOLES, 2):
        ids.append(number)
        ids.fold()
    assert len(ids.holes) == MAX_HOLES
    assert ids.first == ids.holes[0][0] - 1


def test_one_id_far_from_all_others_is_noise() -> None:
    ids = Ids()
    ids.begin()
    for number in (1, 2, 3, 4_000_000_000, 4):
        ids.append(number)
        ids.fold()
    assert (ids.top, ids.holes) == (4, [])


def test_a_count_that_begins_anew_is_followed() -> None:
    """After 4,000,000,000 ids they come round."""
    ids = Ids()
    top = (1 << 32) - 1
    for number in (top - 1, top, 1, 2, 4):
        ids.map(number)
        ids.fold()
    assert (ids.top, ids.first) == (4, 0)
    assert top > JUMP


def test_beside_an_odd_hole_nothing_is_claimed() -> None:
    ids = Ids()
    ids.begin()
    numbers = {2, SPARSE // 2, 3 * SPARSE}  # missing
    for number in range(1, 4 * SPARSE):
        if number not in numbers:
            ids.map(number)

    def seen(now: float, files: int, lost: int) -> Seen:
        return Seen(now, now, now, 0, files, lost, lost)

    ids.look(seen(0.0, 0, 0), 20.0, REORDER, opens_told=True)
    ids.look(seen(30.0, 2, 0), 20.0, REORDER, opens_told=True)
    assert ids.missing(()) == {}
    ids.name(2, "u")
    assert ids.missing(("u",)) == {"u": [(2, 2)]}
    assert ids.missing(()) == {}


# ------------------------------------------------------------------ origins with one counter


class Origin:
    """Makes the datagrams of one of Pelican's own origins: all have one sequence counter, which begins with 1."""

    def __init__(self, kit: Any, stod: int = int(T) + 100) -> None:
        self.stod = stod
        self.number = 0
        self._server = kit.Server(sid=stod, stod=stod)
        self.kit = kit

    def _numbered(self, data: bytes) -> bytes:
        self.number += 1
        return struct.pack(">cB", data[:1], self.number % 256) + data[2:]

    def access(self, dictid: int) -> list[bytes]:
        server, kit, begin = self._server, self.kit, self.stod + 10 * dictid
        return [
            self._numbered(data)
            for data in (
                server.login(dictid),
                server.info(dictid),
                server.files(kit.opened(dictid, user=dictid, path=f"/f{dictid}"), begin=begin),
                server.files(kit.closed(dictid, 5), begin=begin + 5),
                server.files(kit.gone(dictid), begin=begin + 6),
            )
        ]


def test_an_origin_with_one_counter_has_lost_nothing(kit: Any, correlator: Correlator) -> None:
    feed(correlator, kit.Server(sid=5).ident())  # we listen since before it started
    origin = Origin(kit)
    for dictid in range(1, 100):
        feed(correlator, *origin.access(dictid), t=origin.stod + 10.0 * dictid)
    correlator.drain(origin.stod + 1000.0)
    assert len([record for record in correlator.take() if b"sequence_gap" in record.body]) == 0
    assert [(p["gaps"], p["missing_ids"]) for p in correlator.processes()] == [([], {}), ([], {})]
    assert correlator.counters["records{file}"] == 99


@pytest.mark.parametrize(("place", "ids"), [(0, {"u": [(3, 3)]}), (1, {}), (2, {"open": [(3, 3)]}), (3, {}), (4, {})])
def test_what_an_origin_with_one_counter_has_lost_is_seen_once(
    place: int, ids: dict[str, Any], kit: Any, correlator: Correlator
) -> None:
    feed(correlator, kit.Server(sid=5).ident())
    origin = Origin(kit)
    for dictid in range(1, 40):
        datagrams = origin.access(dictid)
        if dictid == 3:
            del datagrams[place]
        feed(correlator, *datagrams, t=origin.stod + 10.0 * dictid)
        correlator.advance(origin.stod + 10.0 * dictid)
    (said,) = [process for process in correlator.processes() if process["stod"] == origin.stod]
    (gap,) = said["gaps"]
    assert (gap["class"], gap["after"], gap["missing"]) == ("FM", 10 + place, 1)
    assert gap["begin"] <= origin.stod + 30 + max(0, place - 2) * 5 <= gap["end"] <= origin.stod + 50
    assert said["missing_ids"] == ids
