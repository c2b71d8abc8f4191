"""The quick way of the f-stream gives what the plain way gives: the same records, the same state, the same counts."""

from __future__ import annotations

import json
import random
import struct
from typing import Any

import pytest

from collector.correlate import Correlator, Options
from collector.correlate.accesses import interpolate
from collector.correlate.fast import FastFiles
from collector.wire.fstream import Window

NAMES = [
    "/store/data/a/f1.root", "/store/data/a/f2.root", "/store/f", "/f", "f", "/store/data//b///x", "/store/data/c/",
    "/user/dteam/q", "/hcc/a/b/c/d/e/f", "/hcc/a/b", '/store/quo"te', "/store/back\\slash", "/store/ä/ö", "/store/a b",
    "/chtc/x/y", "/store/tab\there", "/ospool/PROTECTED/u/v/w", "/" + "d/" * 100 + "x", b"/store/\xff\xfe/raw",
    b"/store/data/a/\xe4", "/store/data/a/" + "n" * 1000,
]  # fmt: skip


def both(feeds: list[tuple[bytes, float]], options: Options | None = None) -> tuple[Correlator, Correlator]:
    """A quick and a plain correlator fed with the same, from one server."""
    quick, plain = Correlator(options), Correlator(options)
    plain._streams.quick = False
    for data, t in feeds:
        for correlator in (quick, plain):
            correlator.feed(data, "192.0.2.1:40000", t)
    return quick, plain


def state(correlator: Correlator) -> dict[bytes, bytes]:
    put, _ = correlator.changes()
    return dict(put)


def assert_same(quick: Correlator, plain: Correlator) -> list[dict[str, Any]]:
    one, other = quick.take(), plain.take()
    for first, second in zip(one, other, strict=False):
        assert json.loads(first.body) == json.loads(second.body)
    assert [(r.kind, r.vo, r.record_id) for r in one] == [(r.kind, r.vo, r.record_id) for r in other]
    assert quick.counters == plain.counters
    assert quick.status() == plain.status()
    assert state(quick) == state(plain)
    return [json.loads(r.body) for r in one]


def random_records(kit: Any, rng: random.Random, ids: list[int]) -> list[bytes]:
    """A handful of records of all kinds, mostly usual ones, about a handful of files."""
    found: list[bytes] = []
    for _ in range(rng.randrange(0, 12)):
        file_id = rng.choice(ids)
        user = rng.choice([1, 1, 1, 2, 3, 4, 5, 0, 99])
        kind = rng.random()
        if kind < 0.40:
            path, size = rng.choice(NAMES), rng.choice([0, 5, 10**9, -1])
            found.append(kit.opened(file_id, user, path, size, rng.choice([1, 1, 1, 3, 0])))
        elif kind < 0.85:
            found.append(random_close(kit, rng, file_id))
        elif kind < 0.92:
            found.append(kit.moved(file_id, rng.randrange(-1, 1000), 5, 6))
        elif kind < 0.96:
            found.append(kit.gone(user))
        else:
            found.append(rng.randbytes(8))
    return found


def random_close(kit: Any, rng: random.Random, file_id: int) -> bytes:
    reads, readvs, writes = (rng.choice([0, 0, 1, 7]) for _ in range(3))
    ops = [reads, readvs, writes]
    ops += [2, 9, rng.choice([20, 20, 20, -1])] if readvs else [0, 0, rng.choice([0, 0, 0, 0, 3, -1])]
    for count in (reads, readvs, writes):
        ops += rng.choice([[5, 500], [500, 500], [2**31 - 1, 0]]) if count else [0, 0]
    amounts = [rng.randrange(0, 10**10) if count else 0 for count in (reads, readvs, writes)]
    if rng.random() < 0.1:
        amounts[rng.randrange(3)] = rng.choice([-1, 17])
    record = kit.closed(file_id, *amounts, forced=rng.random() < 0.2, ops=tuple(ops))
    if rng.random() < 0.3:
        squares = [rng.choice([0.0, 1e9, 1e21, float("nan"), float("inf"), -1.0]) for _ in range(4)]
        record = kit.squares(record, *squares) if rng.random() < 0.9 else record[:-4]
    if rng.random() < 0.05:  # says that it has operations, and has not
        record = record[:2] + struct.pack(">H", 32) + record[4:32]
    return record


@pytest.mark.parametrize("seed", range(60))
def test_quick_and_plain_are_the_same(seed: int, kit: Any) -> None:
    rng = random.Random(seed)
    server = kit.Server(stod=1_700_000_000)
    t = 1_700_000_005.0
    feeds = [(server.ident(), t)] if seed % 5 else []
    users = ["alice", "bob", "u12", "we\u00efrd", "carol.x"]
    logins = [
        "&R=v6.2.1&x=python3&y=&I=4",
        "&p=gsi&n=x&o=cms cms&m=/CN=A::b&I=6&I=6",
        "&x=xrootd&R=v5.5.3",
        "",
        "&x=xrdcp",
    ]
    for dictid, (user, login) in enumerate(zip(users, logins, strict=True), 1):
        feeds.append((server.login(dictid, login, user=user, prot=rng.choice(["xroot", "https"])), t))
        if rng.random() < 0.5:
            feeds.append((server.info(1000 + dictid, "tally:x", user=user), t))
    ids = list(range(10, 16))
    for _ in range(60):
        t += rng.choice([0.0, 0.1, 1.0, 4.0])
        begin = server.stod + rng.randrange(5, 9)
        data = server.files(*random_records(kit, rng, ids), begin=begin, end=begin + rng.choice([0, 1, 7]))
        change = rng.random()
        if change < 0.03:
            data = data[: rng.randrange(len(data))]
        elif change < 0.06:
            place = rng.randrange(8, len(data))
            data = data[:place] + rng.randbytes(1) + data[place + 1 :]
        elif change < 0.08:
            continue  # lost
        elif change < 0.10:
            data = server.login(rng.randrange(1, 6), "&x=other", user="late")
        feeds.append((data, t))
    options = [None, Options(drop_path_prefixes=("/user", "/store/data/a/f2.root"), drop_vos=frozenset({"cms"}))]
    options.append(Options(wlcg=True, wlcg_path_prefixes=("/store/data/a",)))
    options.append(Options(names=lambda ip: "client.example.org" if ip.endswith("9") else None, settle=0.5))
    quick, plain = both(feeds, options[seed % 4])
    assert_same(quick, plain)
    for correlator in (quick, plain):
        correlator.drain(t + 30)
    assert_same(quick, plain)


def test_the_usual_case_takes_the_quick_way(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the test above compares two ways, and not one with itself."""
    plainly: list[int] = []
    original = FastFiles._plainly
    monkeypatch.setattr(FastFiles, "_plainly", lambda self, *rest: plainly.append(1) or original(self, *rest))
    server = kit.Server()
    t = server.stod + 1.0
    feeds = [server.ident(), server.login(1), server.info(2)]
    for number in range(20):
        shapes = [{"read": 10}, {"readv": 10}, {"write": 10}, {"read": 1, "readv": 2, "write": 3}, {}]
        records = []
        for place, shape in enumerate(shapes):
            file_id = 10 + number * 10 + place
            closed = kit.closed(file_id, **shape)
            if number % 2:
                closed = kit.squares(closed, 100.0, 100.0, 4.0, 100.0)
            records += [kit.opened(file_id, 1, f"/store/data/x/{file_id}"), closed]
        feeds.append(server.files(*records))
    quick, plain = both([(data, t) for data in feeds])
    found = assert_same(quick, plain)
    assert len(found) == 100
    assert len(plainly) == 2  # the first open of a directory, and the first close of a session


@pytest.mark.parametrize("name", ["burst-fbuff-1472", "burst-large-datagrams", "writes", "ssq", "pfc-cache", "restart"])
def test_captures_are_the_same_both_ways(name: str, kit: Any) -> None:
    quick, plain = Correlator(), Correlator()
    plain._streams.quick = False
    for t, remote, data in kit.load(name):
        for correlator in (quick, plain):
            correlator.feed(data, remote, t)
    for correlator in (quick, plain):
        correlator.drain(t)
    key = lambda record: record.record_id  # noqa: E731 - what waited may come out in another order
    one, other = sorted(quick.take(), key=key), sorted(plain.take(), key=key)
    assert [json.loads(r.body) for r in one] == [json.loads(r.body) for r in other]


def test_spreading_in_advance_is_interpolation() -> None:
    fast = Correlator()._streams._fast
    for span, records in [(0, 5), (1, 5), (10, 3), (7, 100), (3, 0)]:
        window = Window(100, 100 + span, 0, records, None)
        shifts = fast._shifts(span, records, 10_000)
        assert [100 + s for s in shifts] == [
            interpolate(window.begin, window.end, place, records) for place in range(records)
        ]


def test_a_false_number_of_records_costs_no_memory() -> None:
    fast = Correlator()._streams._fast
    assert len(fast._shifts(10, 65535, 80)) == 10
    assert (10, 65535) not in fast._spread


def test_a_close_shorter_than_it_says_does_not_take_its_numbers_from_the_next_record(kit: Any) -> None:
    server = kit.Server()
    t = server.stod + 1.0
    known = [server.ident(), server.login(1), server.info(2)]
    known.append(server.files(kit.opened(4, 1, "/store/data/w"), kit.closed(4, 5)))
    short = struct.pack(">BBHIqqq", 0, 2, 32, 5, 10, 0, 0)
    known.append(
        server.files(kit.opened(5, 1, "/store/data/x"), short, kit.opened(6, 1, "/store/data/y"), kit.closed(6, 7))
    )
    found = assert_same(*both([(data, t) for data in known]))
    assert [(r["read"], r.get("read_operations")) for r in found] == [(5, 1), (10, None), (7, 1)]


def test_a_close_with_a_negative_count_of_segments_is_refused_also_when_it_has_no_vector_reads(kit: Any) -> None:
    server = kit.Server()
    t = server.stod + 1.0
    known = [server.ident(), server.login(1), server.info(2)]
    known.append(server.files(kit.opened(4, 1, "/store/data/w"), kit.closed(4, 5)))  # from here on the quick way
    counts = (1, 0, 0, 0, 0, -1, 10, 10, 0, 0, 0, 0)
    known.append(server.files(kit.opened(5, 1, "/store/data/x"), kit.closed(5, 10, ops=counts)))
    quick, plain = both([(data, t) for data in known])
    assert [r["read"] for r in assert_same(quick, plain)] == [5]
    assert quick.counters["state_files"] == 1


def test_a_file_that_was_given_up_does_not_slow_the_others_down(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plainly: list[int] = []
    original = FastFiles._plainly
    monkeypatch.setattr(FastFiles, "_plainly", lambda self, *rest: plainly.append(1) or original(self, *rest))
    server = kit.Server()
    t = server.stod + 1.0
    correlator = Correlator(Options(max_age=100.0))
    for data in (server.ident(), server.login(1), server.info(2), server.files(kit.opened(4, 1, "/store/data/lost"))):
        correlator.feed(data, "192.0.2.1:1", t)
    correlator.advance(t + 200)
    assert [json.loads(r.body)["incomplete"] for r in correlator.take()] == [["no_close", "expired"]]
    for data in (server.ident(), server.login(1), server.info(2)):  # the session has aged out as well
        correlator.feed(data, "192.0.2.1:1", t + 200)
    for number in range(10, 20):
        data = server.files(kit.opened(number, 1, "/store/data/x"), kit.closed(number, 5))
        correlator.feed(data, "192.0.2.1:1", t + 200)
    assert len(correlator.take()) == 10
    assert len(plainly) == 2  # as ever: the first of a directory, and the first of a session


@pytest.mark.parametrize("names", [None, lambda _: None, lambda _: "c.example.org"])
@pytest.mark.parametrize("host", ["", "[]", "[::ffff:192.0.2.9]", "fe.example.org"])
def test_a_close_of_a_session_whose_host_is_not_told(kit: Any, host: str, names: Any) -> None:
    """With names on it ended the collector, again at each redelivery: the quick way expected a host."""
    server = kit.Server()
    t = server.stod + 1.0
    feeds = [(server.ident(), t), (server.login(1, host=host), t), (server.info(2, host=host), t)]
    feeds += [
        (server.files(kit.opened(number, path="/store/d/f"), kit.closed(number, 5)), t + number)
        for number in (10, 11, 12)
    ]
    bodies = assert_same(*both(feeds, Options(names=names)))
    known = {"": None, "[]": None, "[::ffff:192.0.2.9]": "192.0.2.9", "fe.example.org": "fe.example.org"}[host]
    assert [body.get("host") for body in bodies] == [known] * 3
