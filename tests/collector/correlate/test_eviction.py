"""What is given up first when memory is short."""

from __future__ import annotations

import json
from typing import Any

from collector.correlate import Correlator, Options
from collector.correlate.eviction import KEPT_PAGES

T = 1_700_000_001.0
A, B = "192.0.2.1:40000", "192.0.2.2:40000"


def feed(correlator: Correlator, remote: str, *datagrams: bytes) -> None:
    for data in datagrams:
        correlator.feed(data, remote, T)


def taken(correlator: Correlator) -> list[dict[str, Any]]:
    return [json.loads(record.body) for record in correlator.take()]


def opening(kit: Any, correlator: Correlator) -> Any:
    """Another server, with one file open."""
    server = kit.Server(sid=7)
    feed(correlator, B, server.ident(), server.login(1), server.info(2), server.files(kit.opened(5, path="/kept")))
    return server


def test_names_of_files_that_never_open_make_room_for_files_that_are(kit: Any) -> None:
    """A server with ``files`` and no ``fstat`` sends a name for each open, and nothing that would end it."""
    correlator = Correlator(Options(max_bytes=100_000))
    other, server = opening(kit, correlator), kit.Server()
    feed(correlator, A, server.ident(), server.login(1), server.info(2))
    for number in range(3, 1000):
        feed(correlator, A, server.path(number, f"/data/{number}"))
    correlator.advance(T + 2)
    assert correlator.counters["state_bytes"] <= 100_000
    feed(correlator, A, server.files(kit.opened(999, flags=0), kit.closed(999, 1)))
    feed(correlator, B, other.files(kit.closed(5, 1)))
    found = taken(correlator)
    assert {(r["filename"], r.get("incomplete") is None) for r in found} == {("/kept", True), ("/data/999", True)}
    rows, deleted = correlator.changes()
    assert not {key for key, _ in rows} & set(deleted)
    again = Correlator()
    again.restore(rows)
    assert again.counters["state_bytes"] <= 100_000


def test_a_name_that_a_waiting_close_needs_is_kept(kit: Any) -> None:
    """Without ``lfn`` the name alone tells path and user: nothing else holds them while its session is awaited."""
    correlator = Correlator(Options(max_bytes=100_000))
    server = kit.Server()
    feed(correlator, A, server.ident(), server.login(1), server.info(2))
    feed(correlator, A, server.login(3, user="bob"), server.path(4, "/mine", user="bob"))  # its info is still to come
    feed(correlator, A, server.files(kit.opened(4, flags=0), kit.closed(4, 1)))
    assert taken(correlator) == []
    for number in range(5, 1000):
        feed(correlator, B, kit.Server(sid=7).path(number, f"/data/{number}"))
    correlator.advance(T + 2)
    assert correlator.counters["state_bytes"] <= 100_000
    feed(correlator, A, server.info(5, user="bob"))
    assert [(r["filename"], r["user"]) for r in taken(correlator)] == [("/mine", "bob")]


def test_ids_closed_long_ago_make_room_for_files_that_are_open(kit: Any) -> None:
    correlator = Correlator(Options(max_bytes=60_000))
    other, server = opening(kit, correlator), kit.Server()
    feed(correlator, A, server.ident(), server.login(1), server.info(2))
    for page in range(200):
        ids = [page * 1024 + n for n in range(1, 3)]
        feed(correlator, A, server.files(*(r for i in ids for r in (kit.opened(i), kit.closed(i, 1)))))
    correlator.advance(T + 2)
    assert correlator.counters["evicted"] == 0
    assert correlator.counters["state_bytes"] <= 60_000
    taken(correlator)
    feed(correlator, A, server.files(kit.closed((199 - KEPT_PAGES // 2) * 1024 + 1, 1)))
    assert taken(correlator) == []  # what was closed lately is still known
    feed(correlator, B, other.files(kit.closed(5, 1)))
    assert [r["filename"] for r in taken(correlator)] == ["/kept"]


def test_no_open_file_is_given_up_for_the_spare_tenth(kit: Any) -> None:
    """What nobody needs makes room to the limit, though not to a tenth below it."""
    correlator = Correlator(Options(max_bytes=60_000))
    server = kit.Server()
    feed(correlator, A, server.ident(), server.login(1), server.info(2))
    files = [kit.opened(100 + number, path="/f") for number in range(99)]
    feed(correlator, A, server.files(*files))
    for number in range(3, 9):
        feed(correlator, A, server.path(number, f"/data/{number}"))
    before = correlator.counters["state_bytes"]
    assert before > 60_000 > before - 6 * 700 > 54_000
    correlator.advance(T + 2)
    assert correlator.counters["evicted"] == 0
    assert 54_000 < correlator.counters["state_bytes"] <= 60_000
