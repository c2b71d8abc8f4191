"""What other collectors were seen to do wrong, turned round: one test for each, by its number in the list of peers.

(G: the Go collector, P: the Python collector. Rows about buses, files and tokens are tested where those live.)
"""

from __future__ import annotations

import gc
import json
import struct
import threading
import weakref
from typing import Any

import pytest

from collector.correlate import Correlator, Options
from collector.wire import tree

T = 1_700_000_001.0
REMOTE = "192.0.2.1:40000"


def feed(correlator: Correlator, *datagrams: bytes, t: float = T, remote: str = REMOTE) -> None:
    for data in datagrams:
        correlator.feed(data, remote, t)


def taken(correlator: Correlator) -> list[dict[str, Any]]:
    return [json.loads(record.body) for record in correlator.take()]


@pytest.fixture
def server(kit: Any) -> Any:
    return kit.Server()


@pytest.fixture
def correlator() -> Correlator:
    return Correlator()


def known(server: Any, correlator: Correlator, **who: Any) -> None:
    """The server and one session with application info are known: nothing has to wait."""
    feed(correlator, server.ident(), server.login(1, **who), server.info(2, **who))


def test_g3_times_come_from_the_time_records(kit: Any, server: Any, correlator: Correlator) -> None:
    known(server, correlator)
    feed(correlator, server.files(kit.opened(5), begin=1_700_000_100))
    feed(correlator, server.files(kit.closed(5, 10), begin=1_700_000_110), t=T + 50_000)
    (record,) = taken(correlator)
    assert (record["start_time"], record["end_time"], record["operation_time"]) == (1_700_000_100, 1_700_000_110, 10)
    assert (record["time_min"], record["time_max"]) == (1_700_000_100, 1_700_000_110)


@pytest.mark.parametrize("order", ["map first", "open first"])
def test_g5_names_from_path_maps(order: str, kit: Any, server: Any, correlator: Correlator) -> None:
    known(server, correlator)
    path, opened = server.path(5, "/store/g5"), server.files(kit.opened(5, flags=0))
    feed(correlator, *((path, opened) if order == "map first" else (opened, path)))
    feed(correlator, server.files(kit.closed(5, 10)))
    (record,) = taken(correlator)
    assert (record["filename"], record["user"], record["appinfo"]) == ("/store/g5", "alice", "app")
    assert "incomplete" not in record


def test_g5_and_p14_an_orphan_with_a_known_path(kit: Any, server: Any, correlator: Correlator) -> None:
    known(server, correlator)
    feed(correlator, server.path(5, "/store/g7"), server.files(kit.closed(5, 10)))
    correlator.advance(T + 30)
    (record,) = taken(correlator)
    assert record["filename"] == "/store/g7"
    assert record["incomplete"] == ["no_open"]
    assert record["HasFileCloseMsg"] == 1


def test_g8_beyond_the_cap_the_oldest_are_written_and_counted(kit: Any, server: Any) -> None:
    correlator = Correlator(Options(max_bytes=60_000))
    known(server, correlator)
    for number in range(150):
        feed(correlator, server.files(kit.opened(10 + number, path=f"/store/{number}")), t=T + number / 100)
    correlator.advance(T + 1)
    evicted = taken(correlator)
    assert evicted
    assert [record["filename"] for record in evicted] == [f"/store/{n}" for n in range(len(evicted))]
    assert all(record["incomplete"] == ["no_close", "evicted"] for record in evicted)
    assert correlator.counters["evicted"] == len(evicted)
    assert correlator.counters["state_bytes"] <= 60_000
    # the youngest are complete, and a late close of an evicted one is known as the same access
    feed(correlator, server.files(kit.closed(159, 1), kit.closed(10, 2)), t=T + 1)
    young, old = taken(correlator)
    assert (young["filename"], young.get("incomplete")) == ("/store/149", None)
    assert old["access_id"] == evicted[0]["access_id"]
    assert (old["record_id"], old["read"]) == (old["access_id"] + ".f", 2)


def test_g9_progress_and_signs_of_life_keep_an_open_alive(kit: Any, server: Any) -> None:
    ttl = 300.0
    correlator = Correlator(Options(ttl=ttl))
    known(server, correlator)
    feed(correlator, server.files(kit.opened(5, path="/store/long"), kit.opened(6, path="/store/idle")))
    for step in range(1, 40):
        feed(correlator, server.files(kit.moved(5, read=step)), t=T + step * ttl / 3)
        correlator.advance(T + step * ttl / 3)
    assert taken(correlator) == []
    feed(correlator, server.files(kit.closed(5, 39), kit.closed(6, 1)), t=T + 40 * ttl / 3)
    assert [record["filename"] for record in taken(correlator)] == ["/store/long", "/store/idle"]


def test_g9_an_expired_open_is_written_and_its_close_still_replaces_it(kit: Any, server: Any) -> None:
    """P3: 1,000 bytes are never counted as 1,700."""
    correlator = Correlator(Options(ttl=300.0))
    known(server, correlator)
    feed(correlator, server.files(kit.opened(5, path="/store/x"), kit.moved(5, read=700)))
    correlator.advance(T + 299)
    assert taken(correlator) == []
    correlator.advance(T + 301)
    (provisional,) = taken(correlator)
    assert (provisional["read"], provisional["final"]) == (700, False)
    assert provisional["incomplete"] == ["no_close", "expired"]
    assert "read_bytes_at_close" not in provisional
    assert correlator.counters["expired"] == 1
    feed(correlator, server.files(kit.closed(5, read=1000)), t=T + 400)
    (final,) = taken(correlator)
    assert (final["read"], final["final"], final["filename"]) == (1000, True, "/store/x")
    assert final["access_id"] == provisional["access_id"]
    assert (provisional["record_id"][-2:], final["record_id"][-2:]) == (".p", ".f")


def test_p3_an_open_without_progress_is_not_forgotten_in_silence(kit: Any, server: Any) -> None:
    correlator = Correlator(Options(ttl=300.0))
    known(server, correlator)
    feed(correlator, server.files(kit.opened(5, path="/store/x", size=77)))
    correlator.advance(T + 1000)
    (record,) = taken(correlator)
    assert (record["filename"], record["filesize"]) == ("/store/x", 77)
    assert "read" not in record


@pytest.mark.parametrize("first", ["login", "info"])
def test_g14_application_info_may_come_before_its_session(
    first: str, kit: Any, server: Any, correlator: Correlator
) -> None:
    feed(correlator, server.ident())
    login, info = server.login(1), server.info(2, "tally:abcd1234")
    feed(correlator, *((login, info) if first == "login" else (info, login)))
    feed(correlator, server.files(kit.opened(5), kit.closed(5, 1)))
    assert taken(correlator)[0]["appinfo"] == "tally:abcd1234"


def test_g15_one_parser_for_dotted_users(kit: Any, server: Any, correlator: Correlator) -> None:
    feed(correlator, server.ident())
    feed(
        correlator,
        server.login(1, "&p=gsi&n=x&h=h&o=cms&r=&g=&m=&I=4", user="john.doe"),
        server.info(2, user="john.doe"),
    )
    feed(correlator, server.files(kit.opened(5), kit.closed(5, 1)))
    (record,) = taken(correlator)
    assert (record["user"], record["vo"], record["appinfo"]) == ("john.doe", "cms", "app")


def test_g16_bytes_at_close_hold_vector_reads(kit: Any, server: Any, correlator: Correlator) -> None:
    known(server, correlator)
    feed(correlator, server.files(kit.opened(5), kit.closed(5, 10, 990)))
    (record,) = taken(correlator)
    assert record["read_bytes_at_close"] == 1000
    assert record["read_operations"] == 2
    assert record["read_average"] == 500.0
    assert (record["start_time"], record["end_time"]) == (1_700_000_010, 1_700_000_010)  # seconds


def test_g17_a_corrupt_byte_loses_one_record_and_is_counted(kit: Any, server: Any, correlator: Correlator) -> None:
    known(server, correlator)
    data = bytearray(
        server.files(kit.opened(5, path="/a"), kit.closed(5, 1), kit.opened(6, path="/b"), kit.closed(6, 2))
    )
    data[data.rindex(b"\x00\x02\x00\x50") + 3] = 0xFF  # the size of the last close
    feed(correlator, bytes(data))
    (record,) = taken(correlator)
    assert record["filename"] == "/a"
    assert correlator.counters["rejected{record_size}"] == 1
    assert correlator.counters["state_files"] == 1


def test_g17_the_count_of_the_time_record_is_checked(kit: Any, server: Any, correlator: Correlator) -> None:
    known(server, correlator)
    data = bytearray(server.files(kit.opened(5), kit.closed(5, 1)))
    struct.pack_into(">H", data, 14, 3)
    feed(correlator, bytes(data))
    assert len(taken(correlator)) == 1
    assert correlator.counters["rejected{record_count}"] == 1


def test_g18_a_trace_never_becomes_a_file_record(kit: Any, server: Any, correlator: Correlator) -> None:
    """Entries of 16 bytes that look like closes of the f-stream; and a whole datagram of it, but for its code."""
    known(server, correlator)
    feed(correlator, server.files(kit.opened(5)))
    mark = struct.pack(">QII", 0xE0 << 56 | server.sid, 100, 101)
    fake = struct.pack(">BBHI", 0, 0, 32, 5) + struct.pack(">qqq", 1, 2, 3)
    feed(correlator, server._header(b"t", "M", mark + fake + mark[:8] + b"\0" * 8))
    like = kit.Server()
    like.next["F"] = server.next["M"]
    feed(correlator, b"t" + like.files(kit.closed(5, 1), kit.opened(6), kit.closed(6, 2))[1:])
    server.next["M"] += 1
    assert taken(correlator) == []
    assert correlator.counters["state_files"] == 1
    assert not [name for name in correlator.counters if name.startswith("rejected{no_")]
    feed(correlator, server.files(kit.closed(5, 7)))
    assert [(record["file_id"], record["read"]) for record in taken(correlator)] == [(5, 7)]


def test_g27_nothing_is_left_running(kit: Any) -> None:
    """There are no threads or timers to forget: a correlator that nobody holds is gone."""
    threads = threading.active_count()
    watched = []
    for _ in range(20):
        server, correlator = kit.Server(), Correlator()
        known(server, correlator)
        watched.append(weakref.ref(correlator))
    del correlator
    gc.collect()
    assert not any(reference() for reference in watched)
    assert threading.active_count() == threads


@pytest.mark.parametrize("host", ["fermicloud157.fnal.gov", "4node.fnal.gov"])
def test_g28_and_p10_hosts_that_look_like_addresses(host: str, kit: Any, server: Any, correlator: Correlator) -> None:
    known(server, correlator, host=host)
    feed(correlator, server.files(kit.opened(5), kit.closed(5, 1)))
    (record,) = taken(correlator)
    assert (record["host"], record["user_domain"]) == (host, "fnal.gov")


def test_p1_files_opened_for_writing_have_name_and_user(kit: Any, server: Any, correlator: Correlator) -> None:
    known(server, correlator)
    feed(correlator, server.files(kit.opened(5, path="/store/up", size=0, flags=3), kit.closed(5, write=500)))
    (record,) = taken(correlator)
    assert (record["filename"], record["user"], record["write"]) == ("/store/up", "alice", 500)
    assert record["access_type"] == "write"


def test_p2_the_sequence_counts_right(kit: Any, server: Any, correlator: Correlator) -> None:
    """A late datagram is not missing; over the turn of the counter ten lost are ten. (More in test_sequence.py.)"""
    known(server, correlator)
    numbered = [server.files() for _ in range(261)]
    feed(correlator, *numbered[:240], numbered[241], numbered[242], numbered[240], *numbered[243:250], numbered[260])
    feed(correlator, *(server.files() for _ in range(40)))
    assert [(gap["class"], gap["after"], gap["missing"]) for gap in kit.gaps(correlator)] == [("F", 249, 10)]


def test_p4_sessions_that_ended_are_forgotten(kit: Any, server: Any, correlator: Correlator) -> None:
    feed(correlator, server.ident())
    for number in range(50):
        feed(correlator, server.login(10 + number, user=f"u{number:03d}x"), server.files(kit.gone(10 + number)))
    assert correlator.counters["state_sessions"] == 50
    correlator.advance(T + 30)
    correlator.advance(T + 120)
    assert correlator.counters["state_sessions"] == 0
    dump = json.dumps(correlator.dump())
    assert "u001x" not in dump
    feed(correlator, server.files(kit.gone(10)), t=T + 121)  # and once more is no error


def test_p5_every_transfer_message_becomes_a_record(kit: Any, server: Any, correlator: Correlator) -> None:
    feed(correlator, server.ident())
    detail = "/store/t\n&tod=1700000000&sz=5&qt=7&tm=8&op=g&rc=0&pd=x y"
    feed(correlator, server.map("x", 0, f"{server.userid()}\n{detail}"))
    (record,) = taken(correlator)
    assert record["kind"] == "transfer"
    assert (record["filename"], record["filesize"], record["queue_time"], record["transfer_time"]) == (
        "/store/t",
        5,
        7,
        8,
    )
    assert (record["return_code"], record["operation"], record["program_data"]) == (0, "g", "x y")


def test_p6_one_bad_event_loses_only_itself(kit: Any, server: Any, correlator: Correlator) -> None:
    feed(correlator, server.ident())
    lines = [
        b'{"event":"file_close","lfn":"/a","b_hit":1}',
        b'{"event":"file_close","lfn":"/quo"te"}',
        b'{"event":"other"}',
        b'{"event":"file_close"}',
    ]
    feed(correlator, server.events("C", *lines))
    records = taken(correlator)
    assert [(record["kind"], record.get("file_path")) for record in records] == [
        ("cache", "/a"),
        ("event", None),
        ("cache", None),
    ]
    assert correlator.counters["rejected{json}"] == 1
    assert not any("bytes_read_by_remote" in record for record in records)


def test_p7_an_empty_datagram_is_fine(server: Any, correlator: Correlator) -> None:
    feed(correlator, server.ident(), server.files())
    assert not [name for name in correlator.counters if name.startswith("rejected")]


def test_p8_a_truncated_datagram_gives_its_whole_records(kit: Any, server: Any, correlator: Correlator) -> None:
    known(server, correlator)
    feed(correlator, server.files(kit.opened(5), kit.closed(5, 1), kit.opened(6), kit.closed(6, 2))[:-3])
    assert len(taken(correlator)) == 1
    assert correlator.counters["rejected{truncated}"] == 1
    assert correlator.counters["rejected{record_size}"] == 1
    assert correlator.status()[REMOTE]["rejected"]["truncated"] == 1


def test_p9_made_up_start_times_are_bounded_by_number_and_by_age(kit: Any) -> None:
    correlator = Correlator(Options(max_servers=500, ttl=600.0))
    for number in range(5000):
        feed(correlator, kit.Server(stod=1_000_000_000 + number).login(1), remote=f"192.0.2.1:{number}")
    correlator.advance(T + 1)
    assert correlator.counters["state_servers"] <= 500
    correlator.advance(T + 700)
    correlator.advance(T + 800)
    assert correlator.counters["state_servers"] == 0
    assert not correlator._processes._routes
    assert not correlator._processes._bound


def test_p11_segments_are_averaged_over_requests(kit: Any, server: Any, correlator: Correlator) -> None:
    known(server, correlator)
    ops = (0, 10, 0, 2, 9, 50, 0, 0, 100, 1000, 0, 0)
    feed(correlator, server.files(kit.opened(5), kit.closed(5, readv=5000, ops=ops)))
    assert taken(correlator)[0]["read_vector_count_average"] == 5.0


def test_p13_what_is_unknown_is_absent_and_named(kit: Any, server: Any, correlator: Correlator) -> None:
    known(server, correlator)
    feed(correlator, server.files(kit.closed(5, 10)))
    correlator.advance(T + 30)
    (record,) = taken(correlator)
    assert record["incomplete"] == ["no_open", "no_user", "no_path"]
    assert not {"filesize", "filename", "start_time", "operation_time", "time_min", "user"} & record.keys()
    assert (record["HasFileCloseMsg"], record["forced"], record["final"]) == (1, 0, True)


def test_p14_is_also_right_when_the_map_names_a_session(kit: Any, server: Any, correlator: Correlator) -> None:
    known(server, correlator)
    feed(correlator, server.files(kit.closed(5, 10)), server.path(5, "/late/map"))
    correlator.advance(T + 30)
    (record,) = taken(correlator)
    assert (record["filename"], record["user"], record["appinfo"]) == ("/late/map", "alice", "app")


def test_o3_a_map_without_its_id_reads_nothing_beyond_its_end(server: Any, correlator: Correlator) -> None:
    feed(correlator, server.ident(), b"u\x05\x00\x08" + struct.pack(">I", server.stod))
    assert correlator.counters["rejected{short}"] == 1
    assert tree(b"u\x05\x00\x0a" + b"\0" * 6)["problems"] == ["short"]
