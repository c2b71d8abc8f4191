"""The campaign's own parts: books that notice what does not fit, a proxy that goes silent, traffic that is true."""

from __future__ import annotations

import json
import random
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from campaign import books
from campaign.books import Event, Evidence, Record, Spool
from campaign.fleet import Access, Load, Session, Site
from campaign.proxy import Proxy
from campaign.rig import Sink

from collector.correlate import Correlator
from collector.correlate.options import Options
from shoveler.bus import Incoming

# -- the books: twenty datagrams, five accesses, everything as it should be; then one thing is changed


def perfect():
    session = Session("a1", 7, told=[0, 1])
    truth = [Access("100", 5, n, f"/f{n}", 1000 + n, session, opened=2 + n, closed=10 + n) for n in range(5)]
    records = {
        f"id{a.file_id}.f": Record(
            "file", f"id{a.file_id}.f", True, "100", 5, a.file_id, a.path, a.size, a.read, "a1", "tally:a1"
        )
        for a in truth
    }
    return Evidence(
        times=[1000.0 + n for n in range(20)],
        truth=truth,
        spool=Spool(received=20, confirmed=20, spooled=0),
        tapped={n + 1: n for n in range(20)},
        tap_conflicts=0,
        consumed=set(range(1, 21)),
        records=records,
        differing=0,
        repeats=3,
    )


def test_what_fits_balances():
    closed = books.close(perfect())
    assert closed.balanced, closed.faults
    assert (closed.sent, closed.taken, closed.confirmed, closed.consumed) == (20, 20, 20, 20)
    assert (closed.accesses, closed.records, closed.missing, closed.repeats) == (5, 5, 0, 3)


def not_confirmed(e):
    e.spool.confirmed = 19


def left_in_the_spool(e):
    e.spool.confirmed, e.spool.spooled = 18, 2


def taken_out_of_nothing(e):
    e.spool.received = e.spool.confirmed = 21


def not_consumed(e):
    e.consumed.discard(4)


def not_in_the_tap(e):
    del e.tapped[4]


def taken_twice(e):
    e.tapped[5] = 3


def an_id_for_two_datagrams(e):
    e.tap_conflicts = 1


def a_datagram_nobody_sent(e):
    e.tapped[5] = -1


def a_record_too_few(e):
    del e.records["id3.f"]


def a_record_twice(e):
    e.records["other.f"] = e.records["id3.f"]


def a_record_about_nothing(e):
    e.records["other.f"] = Record("file", "other.f", True, "100", 5, 99)


def wrong_bytes(e):
    e.records["id3.f"].read = 1


def wrong_path(e):
    e.records["id3.f"].filename = "/other"


def no_user(e):
    e.records["id3.f"].user = None


def no_appinfo(e):
    e.records["id3.f"].appinfo = None


def called_incomplete(e):
    e.records["id3.f"].incomplete = ["no_open"]


def given_up_too_early(e):
    e.records["id3.p"] = Record("file", "id3.p", False, "100", 5, 3)


def a_gap_where_there_is_none(e):
    e.records["id3.f"].sequence_gap = True


def another_text(e):
    e.differing = 1


def kernel_drops(e):
    e.spool.kernel_drops = 1


@pytest.mark.parametrize(
    "harm",
    [
        not_confirmed, left_in_the_spool, taken_out_of_nothing, not_consumed, not_in_the_tap, taken_twice,
        an_id_for_two_datagrams, a_datagram_nobody_sent, a_record_too_few, a_record_twice, a_record_about_nothing,
        wrong_bytes, wrong_path, no_user, no_appinfo, called_incomplete, given_up_too_early,
        a_gap_where_there_is_none, another_text, kernel_drops,
    ],
)  # fmt: skip
def test_one_thing_wrong_is_noticed(harm):
    evidence = perfect()
    harm(evidence)
    assert not books.close(evidence).balanced


def lose(evidence, *numbers):
    """These were never taken: SEQs are dealt to the others, in order."""
    evidence.tapped = dict(enumerate((n for n in range(20) if n not in numbers), 1))
    left = 20 - len(numbers)
    evidence.consumed = set(range(1, left + 1))
    evidence.spool = Spool(left, left, 0)


def test_a_lost_close_needs_a_kill_beside_it():
    evidence = perfect()
    lose(evidence, 13)  # the close of file 3
    del evidence.records["id3.f"]
    alone = books.close(evidence)
    assert alone.faults == ["1 datagrams were lost beside no recorded restart: 13"]
    evidence.events = [Event(1013.02, "kill -9 of the receiver", may_lose=True)]
    beside = books.close(evidence)
    assert beside.balanced, beside.faults
    assert (beside.lost, beside.unrecorded, beside.missing) == (1, 1, 0)
    evidence.events = [Event(1013.02, "kill -9 of the collector")]
    assert not books.close(evidence).balanced
    evidence.events = [Event(1013.02 + books.BESIDE, "kill -9 of the receiver", may_lose=True)]
    assert not books.close(evidence).balanced, "that was too long before the kill"


def test_a_lost_open_must_be_told():
    evidence = perfect()
    lose(evidence, 5)
    evidence.events = [Event(1005.01, "kill -9 of the receiver", may_lose=True)]
    assert not books.close(evidence).balanced
    record = evidence.records["id3.f"]
    record.filename = record.filesize = record.user = record.appinfo = None
    record.incomplete = ["no_open", "no_path", "no_user"]
    record.sequence_gap = True
    closed = books.close(evidence)
    assert closed.balanced, closed.faults
    assert closed.incomplete == 1


def test_more_lost_than_a_block_is_too_much(monkeypatch):
    monkeypatch.setattr(books, "LOST_PER_KILL", 1)
    evidence = perfect()
    lose(evidence, 17, 18)
    evidence.events = [Event(1018.02, "kill -9 of the receiver", may_lose=True)]
    assert books.close(evidence).faults == ["a kill at 1018.020 cost 2 datagrams, more than a block of 1"]


def test_what_was_refused_aloud_is_no_loss_while_the_disk_is_full():
    evidence = perfect()
    lose(evidence, 17, 18)
    evidence.spool.rejected = 2
    assert not books.close(evidence).balanced
    evidence.events = [Event(1016.0, "full", may_reject=True, until=1019.0)]
    assert books.close(evidence).balanced


def test_what_is_destroyed_lay_in_a_queue_when_it_was_deleted(monkeypatch):
    monkeypatch.setattr(books, "_SHIFT", 0)
    evidence = perfect()
    evidence.tapped = None
    evidence.consumed.discard(14)  # the close of file 3
    del evidence.records["id3.f"]
    assert not books.close(evidence).balanced
    evidence.events = [Event(1013.5, "the queue was deleted", may_destroy=True, until=1013.6)]
    closed = books.close(evidence)
    assert closed.balanced, closed.faults
    assert (closed.destroyed, closed.unrecorded) == (1, 1)
    evidence.events = [Event(1011.5, "the queue was deleted", may_destroy=True, until=1011.6)]
    assert not books.close(evidence).balanced, "sent when the queue was gone: it must have been kept"


# -- the load is what a real collector understands, and nothing is told twice in one datagram


def test_a_site_tells_the_truth():
    site = Site(3, 1_795_000_000, random.Random(1), path_padding=30)
    told = [site.next(number, 1_795_000_500.0) for number in range(500)]
    while (data := site.last_words(len(told), 1_795_000_600.0)) is not None:
        told.append(data)
    correlator = Correlator(Options())
    for data in told:
        correlator.feed(data, "127.0.0.1:5", 1_795_000_500.0)
    records = {record["file_id"]: record for record in map(json.loads, (r.body for r in correlator.take()))}
    assert len(records) == len(site.truth) == site.finished > 400
    for access in site.truth:
        record = records[access.file_id]
        assert "incomplete" not in record
        assert (record["filename"], record["read"], record["user"]) == (access.path, access.read, access.user)
        assert record["appinfo"] == f"tally:{access.user}"
        assert access.opened < access.closed
        assert len(access.path) > 30


def test_the_load_arrives_as_it_says(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        sink.bind(("127.0.0.1", 0))
        sink.settimeout(5)
        load = Load(sink.getsockname(), rate=400, seed=1, servers=3)
        load.start()
        got = [sink.recvfrom(65536) for _ in range(100)]
        load.finish()
        sink.setblocking(False)
        try:
            while True:
                got.append(sink.recvfrom(65536))
        except BlockingIOError:
            pass
    assert len(got) == load.sent == len(load.times)
    assert sorted(load.number_of[hash(data)] for data, _ in got) == list(range(load.sent))
    assert len({address[0] for _, address in got}) == 3
    assert all(access.closed >= 0 for access in load.truth)


def test_a_sink_keys_on_record_id():
    sink = Sink()
    one = b'{"kind":"file","record_id":"a.f","final":true,"server_id":"1","stod":2,"file_id":3,"read":4}'
    sink.take(Incoming(one + b"\n" + one, 1, None, "", {}, ""))
    assert (len(sink), sink.repeats, sink.differing) == (1, 1, 0)
    sink.take(Incoming(one.replace(b"4", b"5"), 2, None, "", {}, ""))
    assert (len(sink), sink.repeats, sink.differing) == (1, 1, 1)
    counting = Sink(keep=False)
    counting.take(Incoming(one + b"\n" + one, 1, None, "", {}, ""))
    assert (counting.deliveries, counting.repeats, counting.read) == (2, 1, 4)


# -- the proxy


@pytest.fixture
def echo():
    """A server that answers in capitals; its port."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve(connection):
        with connection:
            try:
                while data := connection.recv(65536):
                    connection.sendall(data.upper())
            except OSError:
                pass  # reset by the proxy, as it should

    def accept():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=serve, args=(connection,), daemon=True))
            threads[-1].start()

    threads: list[threading.Thread] = [threading.Thread(target=accept, daemon=True)]
    threads[0].start()
    yield server.getsockname()[1]
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    for thread in threads:
        thread.join(5)


@pytest.fixture
def proxy(echo):
    made = Proxy(echo)
    yield made
    made.close()


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_hole_is_silence_and_then_everything_comes(proxy, direction):
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as client:
        client.sendall(b"one")
        assert client.recv(100) == b"ONE"
        proxy.hole(direction)
        time.sleep(0.05)  # the thread must have seen it, and there is nothing to be seen from here
        client.sendall(b"two")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(100)
        client.settimeout(5)
        proxy.heal()
        assert client.recv(100) == b"TWO"


def test_in_a_hole_nobody_connects_and_a_cut_resets(proxy):
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as old:
        old.sendall(b"one")
        assert old.recv(100) == b"ONE"
        proxy.hole()
        time.sleep(0.05)
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as new:
            new.sendall(b"two")
            new.settimeout(0.2)
            with pytest.raises(TimeoutError):
                new.recv(100)
            assert proxy.connections == 1
            proxy.heal(cut=True)
            new.settimeout(5)
            assert new.recv(100) == b"TWO"
        with pytest.raises(ConnectionResetError):
            old.recv(100)


def test_much_passes_whole(proxy):
    data = b"abcdefgh" * 200_000
    got = b""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client:
        sender = threading.Thread(target=client.sendall, args=(data,))
        sender.start()
        while len(got) < len(data):
            got += client.recv(1 << 20)
        sender.join()
    assert got == data.upper()
