"""What a cache delivered beside what it counted: named only where nothing else can explain it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from collector.correlate import Correlator

T = 1_700_000_100.0
A = "192.0.2.1:40000"
SIZE = 20_000_000
BEGIN = 1_700_000_100
"""Server time of the first open."""


def event(server: Any, delivered: int, begin: int, end: int, path: str = "/store/f") -> bytes:
    said = {"event": "file_close", "lfn": path, "size": SIZE, "attach_t": begin, "detach_t": end}
    said |= {"b_hit": 0, "b_miss": delivered, "b_bypass": 0}
    return server.events("C", json.dumps(said).encode(), begin=end)


def opened(server: Any, kit: Any, number: int, begin: int = BEGIN) -> bytes:
    return server.files(kit.opened(number, size=SIZE), begin=begin)


def closed(server: Any, kit: Any, number: int, read: int = 0, begin: int = BEGIN + 3, **how: Any) -> bytes:
    return server.files(kit.closed(number, read, **how), begin=begin)


def issues(*datagrams: bytes, wait: float = 30) -> list[list[str]]:
    correlator = Correlator()
    for second, data in enumerate(datagrams):
        correlator.feed(data, A, T + second)
    correlator.advance(T + len(datagrams) + wait)
    records = [json.loads(record.body) for record in correlator.take() if record.kind == "file"]
    return [record.get("known_issue", []) for record in records]


@pytest.fixture
def server(kit: Any) -> Any:
    return kit.Server(stod=BEGIN - 50)


def start(server: Any) -> tuple[bytes, ...]:
    return server.ident(), server.login(1), server.info(2)


def test_a_read_that_was_delivered_and_not_counted(server: Any, kit: Any) -> None:
    datagrams = (*start(server), opened(server, kit, 3), event(server, SIZE, BEGIN + 1, BEGIN + 2))
    assert issues(*datagrams, closed(server, kit, 3)) == [["async_reads"]]


def test_the_event_may_come_a_little_later_once_the_cache_is_known(server: Any, kit: Any) -> None:
    first = (opened(server, kit, 3), event(server, 5, BEGIN + 1, BEGIN + 2), closed(server, kit, 3, 77_056))
    second = (opened(server, kit, 4, BEGIN + 10), closed(server, kit, 4, 77_056, BEGIN + 13))
    late = event(server, SIZE, BEGIN + 11, BEGIN + 12)
    assert issues(*start(server), *first, *second, late) == [[], ["async_reads"]]


def test_a_record_waits_for_that_event_no_longer_than_for_anything_else(server: Any, kit: Any) -> None:
    first = (opened(server, kit, 3), event(server, 5, BEGIN + 1, BEGIN + 2), closed(server, kit, 3, 77_056))
    assert issues(*start(server), *first, wait=5) == []
    assert issues(*start(server), *first, wait=13) == [[]]


@pytest.mark.parametrize("delivered", [0, 77_055, 77_056])
def test_a_cache_that_delivered_no_more_than_was_counted(delivered: int, server: Any, kit: Any) -> None:
    datagrams = (*start(server), opened(server, kit, 3), event(server, delivered, BEGIN + 1, BEGIN + 2))
    assert issues(*datagrams, closed(server, kit, 3, 77_056)) == [[]]


def test_two_readers_in_one_event(server: Any, kit: Any) -> None:
    """The event has what both of them got: neither can be told to lack anything."""
    readers = server.files(kit.opened(3, size=SIZE), kit.opened(4, size=SIZE), begin=BEGIN)
    datagrams = (*start(server), readers, event(server, 2 * 50_000, BEGIN + 1, BEGIN + 2))
    ends = (closed(server, kit, 3, 50_000), closed(server, kit, 4, 50_000))
    assert issues(*datagrams, *ends) == [[], []]


def test_a_reader_that_is_lost(server: Any, kit: Any) -> None:
    """Another's datagram is missing: the event may speak of that one."""
    before = (*start(server), opened(server, kit, 3))
    server.files(kit.opened(4, size=SIZE), begin=BEGIN)  # never comes
    rest = (event(server, SIZE, BEGIN + 1, BEGIN + 2), closed(server, kit, 3, 50_000))
    assert issues(*before, *rest) == [[]]


def test_an_event_of_another_time_or_file(server: Any, kit: Any) -> None:
    for other in (event(server, SIZE, BEGIN - 9, BEGIN - 8), event(server, SIZE, BEGIN + 1, BEGIN + 2, "/store/g")):
        fresh = kit.Server(stod=BEGIN - 50)
        datagrams = (*start(fresh), opened(fresh, kit, 3), other, closed(fresh, kit, 3))
        assert issues(*datagrams) == [[]]


def test_a_connection_that_broke_has_its_own_reason(server: Any, kit: Any) -> None:
    datagrams = (*start(server), opened(server, kit, 3), event(server, SIZE, BEGIN + 1, BEGIN + 2))
    assert issues(*datagrams, closed(server, kit, 3, forced=True)) == [["pgread_forced"]]


def test_reads_that_are_counted_are_not_doubted(server: Any, kit: Any) -> None:
    """A plain read of a megabyte was counted here: this server counts them."""
    datagrams = (*start(server), opened(server, kit, 3), event(server, SIZE, BEGIN + 1, BEGIN + 2))
    assert issues(*datagrams, closed(server, kit, 3, 1 << 20)) == [[]]


def test_captured_caches_have_no_such_reads(kit: Any) -> None:
    for name in ("pfc-cache",):
        records = kit.bodies(kit.replay(kit.load(name)))
        assert [r for r in records if "async_reads" in r.get("known_issue", [])] == []


def test_memory_of_files_is_bounded(server: Any, kit: Any) -> None:
    correlator = Correlator()
    for data in start(server):
        correlator.feed(data, A, T)
    for number in range(6_000):
        correlator.feed(event(server, 1, BEGIN + 1, BEGIN + 2, f"/store/{number}"), A, T)
    (process,) = correlator._processes.all.values()
    assert process.cache is not None
    assert len(process.cache.files) == 5_000
