"""Restarts, clones, several ways to one process: whose datagram is it?"""

from __future__ import annotations

import json
from typing import Any

import pytest

from collector.correlate import Correlator, Options

T = 1_700_000_001.0
A, B = "192.0.2.1:40000", "192.0.2.2:40000"


def feed(correlator: Correlator, remote: str, *datagrams: bytes, t: float = T) -> None:
    for data in datagrams:
        correlator.feed(data, remote, t)


def taken(correlator: Correlator) -> list[dict[str, Any]]:
    return [json.loads(record.body) for record in correlator.take()]


def start(server: Any) -> tuple[bytes, ...]:
    return server.ident(), server.login(1), server.info(2)


def test_a_restart_gives_up_what_was_open(kit: Any) -> None:
    correlator = Correlator()
    old, new = kit.Server(), kit.Server(stod=1_700_000_500, pid=99)
    feed(correlator, A, *start(old), old.files(kit.opened(5, path="/old")))
    feed(correlator, "192.0.2.1:41000", *start(new), new.files(kit.opened(5, path="/new")), t=T + 500)
    correlator.advance(T + 510)
    assert taken(correlator) == []  # something of the old one may still be on its way
    correlator.advance(T + 521)
    (record,) = taken(correlator)
    assert (record["filename"], record["stod"]) == ("/old", 1_700_000_000)
    assert record["incomplete"] == ["no_close", "server_restarted"]
    assert record["time_max"] == 1_700_000_500
    feed(correlator, "192.0.2.1:41000", new.files(kit.closed(5, 7)), t=T + 522)
    (record,) = taken(correlator)
    assert (record["filename"], record["stod"], record["read"]) == ("/new", 1_700_000_500, 7)


def test_a_late_close_of_a_dead_process_is_still_complete(kit: Any) -> None:
    correlator = Correlator()
    old, new = kit.Server(), kit.Server(stod=1_700_000_500, pid=99)
    feed(correlator, A, *start(old), old.files(kit.opened(5, path="/old")))
    feed(correlator, "192.0.2.1:41000", *start(new), t=T + 500)
    correlator.advance(T + 530)
    (provisional,) = taken(correlator)
    feed(correlator, A, old.files(kit.closed(5, 7)), t=T + 531)
    (final,) = taken(correlator)
    assert (final["filename"], final["read"], final["access_id"]) == ("/old", 7, provisional["access_id"])


@pytest.mark.parametrize("restart", [False, True])
def test_a_restart_at_another_address_gives_up_what_was_open(restart: bool, kit: Any) -> None:
    """Nothing proves it until the old process has been silent for longer than between its identity records."""
    correlator = Correlator()
    old, new = kit.Server(), kit.Server(stod=1_700_000_500, pid=99, remote=B)
    feed(correlator, A, *start(old), old.files(kit.opened(5, path="/old")))
    feed(correlator, A, old.ident(), t=T + 300)
    feed(correlator, B, *start(new), t=T + 500)
    if restart:
        rows, _ = correlator.changes()
        correlator = Correlator()
        correlator.restore(rows)
    assert [process["ended"] for process in correlator.processes()] == [0.0, 0.0]
    correlator.advance(T + 1200)
    assert taken(correlator) == []
    correlator.advance(T + 1300)
    (record,) = taken(correlator)
    assert (record["filename"], record["incomplete"]) == ("/old", ["no_close", "server_restarted"])


def test_a_clone_that_started_earlier_at_another_address_lives(kit: Any) -> None:
    correlator = Correlator()
    old, new = kit.Server(), kit.Server(stod=1_700_000_500, pid=99, remote=B)
    feed(correlator, A, *start(old), old.files(kit.opened(5, path="/old")))
    feed(correlator, B, *start(new), t=T + 500)
    feed(correlator, A, old.ident(), t=T + 600)
    correlator.advance(T + 20_000)
    assert taken(correlator) == []
    feed(correlator, A, old.files(kit.closed(5, 7)), t=T + 20_001)
    (record,) = taken(correlator)
    assert (record["filename"], record["read"], record.get("incomplete")) == ("/old", 7, None)


def test_dead_processes_are_forgotten(kit: Any) -> None:
    correlator = Correlator()
    for number in range(10):
        server = kit.Server(stod=1_700_000_000 + number * 100, pid=number)
        feed(correlator, f"192.0.2.1:{41000 + number}", *start(server), server.files(kit.opened(5)), t=T + number * 100)
    correlator.advance(T + 6000)
    correlator.advance(T + 6061)
    assert correlator.counters["state_servers"] == 1


def test_a_restart_within_the_same_second_shows_by_the_pid(kit: Any) -> None:
    correlator = Correlator()
    old, new = kit.Server(pid=10), kit.Server(pid=11)
    feed(correlator, A, *start(old), old.files(kit.opened(5, path="/old")))
    feed(correlator, "192.0.2.1:41000", *start(new), new.files(kit.opened(5, path="/new"), kit.closed(5, 3)))
    (record,) = taken(correlator)
    assert record["filename"] == "/new"
    correlator.advance(T + 21)
    (record,) = taken(correlator)
    assert (record["filename"], record["incomplete"]) == ("/old", ["no_close", "server_restarted"])


def test_two_servers_that_share_every_number(kit: Any) -> None:
    """Same stod, same ids, other sid: nothing is mixed up."""
    correlator = Correlator()
    one, two = kit.Server(sid=1), kit.Server(sid=2)
    feed(correlator, A, *start(one))
    feed(correlator, "192.0.2.1:41000", *start(two))
    feed(correlator, A, one.files(kit.opened(5, path="/one")))
    feed(correlator, "192.0.2.1:41000", two.files(kit.opened(5, path="/two"), kit.closed(5, 2)))
    feed(correlator, A, one.files(kit.closed(5, 1)))
    assert [(r["filename"], r["read"], r["server_id"]) for r in taken(correlator)] == [
        ("/two", 2, "2"),
        ("/one", 1, "1"),
    ]


def test_clones_on_two_hosts_are_two_servers(kit: Any) -> None:
    """Same sid and stod, other address and pid: both count."""
    correlator = Correlator()
    one, two = kit.Server(pid=10), kit.Server(pid=11, remote=B)
    for remote, server, name in ((A, one, "/one"), (B, two, "/two")):
        feed(correlator, remote, *start(server), server.files(kit.opened(5, path=name)))
    feed(correlator, A, one.files(kit.closed(5, 1)))
    feed(correlator, B, two.files(kit.closed(5, 2)))
    records = taken(correlator)
    assert [(r["filename"], r["server_ip"]) for r in records] == [("/one", "192.0.2.1"), ("/two", "192.0.2.2")]
    correlator.advance(T + 100)
    assert taken(correlator) == []


def test_clones_behind_one_address_keep_their_sockets(kit: Any) -> None:
    correlator = Correlator()
    one, two = kit.Server(pid=10), kit.Server(pid=11)
    ways = {"192.0.2.1:1001": one, "192.0.2.1:1002": two}
    for remote, server in ways.items():
        feed(correlator, remote, *start(server), server.files(kit.opened(5, path=f"/{server.pid}")))
    for step in range(1, 5):  # both live on, and name themselves in turn
        for remote, server in ways.items():
            feed(correlator, remote, server.ident(), t=T + 15 * step)
        correlator.advance(T + 15 * step)
    for remote, server in ways.items():
        feed(correlator, remote, server.files(kit.closed(5, server.pid)), t=T + 70)
    finals = [r for r in taken(correlator) if r["final"]]
    assert [(r["filename"], r["read"]) for r in finals] == [("/10", 10), ("/11", 11)]
    assert correlator.counters["state_servers"] == 2


@pytest.mark.parametrize("names", ["first", "last"])
def test_one_process_over_two_ways_counts_once(names: str, kit: Any) -> None:
    """A relay and a direct path: other addresses, same pid. It may take until the next ``=`` to know."""
    correlator = Correlator()
    server = kit.Server()
    ident, login, info = start(server)
    body = [server.files(kit.opened(5, path="/x")), server.files(kit.moved(5, 3)), server.files(kit.closed(5, 4))]
    later = server.ident()
    for remote in (A, B):
        feed(correlator, remote, *([ident] if names == "first" else []), login, info, *body)
    for remote in (A, B):
        feed(correlator, remote, later, t=T + 1)
    correlator.advance(T + 60)
    (record,) = taken(correlator)
    assert (record["filename"], record["read"]) == ("/x", 4)
    assert correlator.counters["state_servers"] == 1


def test_two_destinations_on_one_host_count_once(kit: Any) -> None:
    """Each destination numbers its maps itself; the f-stream is numbered for both."""
    correlator = Correlator()
    one, two = kit.Server(), kit.Server()
    for remote, server in ((A, one), ("192.0.2.1:41000", two)):
        feed(correlator, remote, *start(server))
    two.map("i", 9, f"{two.userid()}\napp")  # one map more that went to the other destination only
    for _ in range(3):
        data = one.files(kit.opened(5 + one.next["F"], path="/x"), kit.closed(5 + one.next["F"], 1))
        feed(correlator, A, data)
        feed(correlator, "192.0.2.1:41000", data)
    assert len(taken(correlator)) == 3
    assert correlator.counters["duplicates"] == 3
    assert kit.gaps(correlator) == []


def test_processes_that_disagree_are_never_merged(kit: Any) -> None:
    """Containers: same sid, stod, host name and pid (1) — but not the same datagrams."""
    correlator = Correlator()
    one, two = kit.Server(pid=1), kit.Server(pid=1, remote=B)
    feed(correlator, A, one.login(1), one.info(2), one.files(kit.opened(5, path="/one")))
    feed(correlator, B, two.login(1), two.info(2), two.files(kit.opened(5, path="/two")))
    feed(correlator, A, one.ident(), one.files(kit.closed(5, 1)))
    feed(correlator, B, two.ident(), two.files(kit.closed(5, 2)))
    assert [(r["filename"], r["read"]) for r in taken(correlator)] == [("/one", 1), ("/two", 2)]


def test_a_merge_keeps_what_each_side_knows(kit: Any) -> None:
    """Datagrams of one process split over two addresses: together they make complete records."""
    correlator = Correlator()
    server = kit.Server()
    ident, login, info = start(server)
    feed(correlator, A, ident, login)
    feed(correlator, B, info, server.login(3, user="bob"), server.info(4, user="bob"))
    feed(correlator, B, server.files(kit.opened(5, user=1, path="/five"), kit.opened(6, user=3, path="/six")))
    feed(correlator, B, server.path(7, "/seven"))
    feed(correlator, A, server.files(kit.opened(7, flags=0)))
    feed(correlator, B, server.ident(), t=T + 1)  # now it is known to be one
    feed(correlator, A, server.files(kit.closed(5, 1), kit.closed(6, 2), kit.closed(7, 3)), t=T + 2)
    correlator.advance(T + 60)
    found = {(r["filename"], r["read"], r["user"], r.get("appinfo")) for r in taken(correlator)}
    assert found == {("/five", 1, "alice", "app"), ("/six", 2, "bob", "app"), ("/seven", 3, "alice", "app")}
    rows, _ = correlator.changes()
    again = Correlator()
    again.restore(rows)
    assert again.counters["state_servers"] == 1


def move(kit: Any) -> tuple[tuple[bytes, ...], bytes, bytes]:
    server = kit.Server()
    ident, login, info = start(server)
    return (ident, login, info), server.files(kit.opened(5)), server.files(kit.closed(5, 4))


@pytest.mark.parametrize("order", ["AAAAB", "AABBB", "BBABA", "ABAAA", "ABABA"])
@pytest.mark.parametrize("ident", ["first", "last", "never"])
def test_a_process_whose_address_moves_is_one(order: str, ident: str, kit: Any) -> None:
    """NAT, DNS, two addresses: whichever of its datagrams come from where."""
    (named, login, info), opened, closed = move(kit)
    datagrams = [login, info, opened, closed]
    if ident == "first":
        datagrams.insert(0, named)
    elif ident == "last":
        datagrams.append(named)
    correlator = Correlator()
    for number, (place, data) in enumerate(zip(order, datagrams, strict=False)):
        feed(correlator, A if place == "A" else B, data, t=T + number)
    correlator.advance(T + 60)
    (record,) = taken(correlator)
    assert (record["read"], record["user"], record["appinfo"]) == (4, "alice", "app")
    assert [name for name in ("incomplete", "sequence_gap") if name in record] == []
    assert correlator.counters["state_servers"] == 1


def test_a_process_that_seems_to_be_everywhere_takes_no_room(kit: Any) -> None:
    """Addresses can be forged; where it was first and what is open there stays known."""
    server = kit.Server()
    correlator = Correlator()
    feed(correlator, A, *start(server), server.files(kit.opened(5)))
    for number in range(2_000):
        feed(correlator, f"198.18.{number >> 8}.{number & 255}:1", server.files(), t=T + 1 + number / 100)
        if not number % 100:
            correlator.advance(T + 1 + number / 100)
    feed(correlator, A, server.files(kit.closed(5, 4)), t=T + 30)
    correlator.advance(T + 90)
    (record,) = taken(correlator)
    assert (record["read"], record["user"], record["appinfo"]) == (4, "alice", "app")
    assert correlator.counters["state_servers"] == 1
    rows, _ = correlator.changes()
    assert max(len(value) for _, value in rows) < 16 * 1024


@pytest.mark.parametrize("ident", [True, False])
@pytest.mark.parametrize("restart", [True, False])
def test_clones_on_two_hosts_that_say_two_things(ident: bool, restart: bool, kit: Any) -> None:
    """Copied containers begun in the same second, both active: their sessions and files have the same numbers."""
    correlator = Correlator()
    one, two = kit.Server(pid=10), kit.Server(pid=11, remote=B)
    rows: dict[bytes, bytes] = {}
    records = []
    for step in range(4):
        for remote, server, user in ((A, one, "alice"), (B, two, "bob")):
            named = [server.ident()] if ident and step == 0 else []
            number = 10 * step
            login = server.login(number + 1, user=user), server.info(number + 2, user, user=user)
            opened = server.files(kit.opened(number + 3, number + 1, path=f"/{user}"), begin=one.stod + 10 * step)
            closed = server.files(kit.closed(number + 3, step + 1), begin=one.stod + 10 * step + 5)
            feed(correlator, remote, *named, *login, opened, closed, t=T + 10 * step)
            if restart:
                records += taken(correlator)
                put, delete = correlator.changes()
                rows = {k: v for k, v in (rows | dict(put)).items() if k not in delete}
                correlator = Correlator()
                correlator.restore(rows.items())
    correlator.advance(T + 100)
    records += taken(correlator)
    found = sorted((r["filename"], r["read"], r["user"], r["server_ip"], r.get("incomplete")) for r in records)
    places = {"alice": "192.0.2.1", "bob": "192.0.2.2"}
    assert found == [(f"/{u}", n, u, places[u], None) for u in places for n in range(1, 5)]
    assert correlator.counters["state_servers"] == 2


def test_sessions_that_clones_have_in_common_are_known_to_both(kit: Any) -> None:
    """They were one as long as they said the same; the one that came later takes along what it has said."""
    correlator = Correlator()
    one, two = kit.Server(), kit.Server(remote=B)
    for remote, server in ((A, one), (B, two)):
        feed(correlator, remote, server.login(1), server.info(2))
    for remote, server, name in ((A, one, "/one"), (B, two, "/two")):
        feed(correlator, remote, server.files(kit.opened(5, path=name)), server.files(kit.closed(5, 1)))
    correlator.advance(T + 60)
    found = [(r["filename"], r["server_ip"], r["user"], r["appinfo"]) for r in taken(correlator)]
    assert found == [("/one", "192.0.2.1", "alice", "app"), ("/two", "192.0.2.2", "alice", "app")]


class Origin:
    """Pelican's own origin: one counter for all datagrams, a sid that is the second of its start, ids from 1 each."""

    def __init__(self, kit: Any, stod: int = 1_700_000_000) -> None:
        self.kit, self.server, self.number = kit, kit.Server(sid=stod, stod=stod), 1

    def _next(self, make: Any, *what: Any, **how: Any) -> bytes:
        self.server.next = dict.fromkeys("MFG", self.number % 256)
        self.number += 1
        return make(*what, **how)

    def access(self, number: int, user: str, path: str, read: int) -> list[bytes]:
        who = {"user": user, "pid": 1, "host": "192.0.2.77", "prot": "https"}
        kit, server = self.kit, self.server
        return [
            self._next(server.login, number, f"&p=https&n={user}", **who),
            self._next(server.info, number, f"agent/{number}", **who),
            self._next(server.files, kit.opened(number, number, path)),
            self._next(server.files, kit.closed(number, read)),
        ]


def test_origins_of_one_second_behind_loopback_addresses_are_told_apart_by_their_shoveler(kit: Any) -> None:
    """Both send from 127.0.0.1, with the same sid, and their users and files have the same numbers."""
    correlator = Correlator()
    sites = {"one": Origin(kit), "two": Origin(kit)}
    for number in range(1, 4):
        accesses = {site: origin.access(number, f"u{site}", f"/{site}/f", number) for site, origin in sites.items()}
        for step in range(4):
            for site, datagrams in accesses.items():
                correlator.feed(datagrams[step], "127.0.0.1:37000", T + number, site)
    correlator.advance(T + 60)
    found = sorted(
        (r["shoveler"], r["filename"], r["user"], r["appinfo"], r["read"], r.get("incomplete"))
        for r in taken(correlator)
    )
    assert found == [(s, f"/{s}/f", f"u{s}", f"agent/{n}", n, None) for s in sites for n in range(1, 4)]
    assert correlator.counters["state_servers"] == 2


def test_origins_of_one_second_at_two_addresses_are_two(kit: Any) -> None:
    correlator = Correlator()
    for place, site in ((A, "one"), (B, "two")):
        feed(correlator, place, *Origin(kit).access(1, "alice", f"/{site}/f", 1))
    correlator.advance(T + 60)
    assert sorted((r["filename"], r["server_ip"]) for r in taken(correlator)) == [
        ("/one/f", "192.0.2.1"),
        ("/two/f", "192.0.2.2"),
    ]


@pytest.mark.parametrize("restart", [False, True])
def test_an_old_server_without_sid_is_known_by_its_socket(restart: bool, kit: Any) -> None:
    """What came before it has named itself is not lost."""
    correlator = Correlator()
    server = kit.Server()
    feed(correlator, A, server.files(kit.opened(4, path="/four"), sid=False))
    feed(correlator, "192.0.2.1:41000", kit.Server().files(kit.opened(4, path="/else"), kit.closed(4, 9), sid=False))
    if restart:
        rows, _ = correlator.changes()
        records = taken(correlator)
        correlator = Correlator()
        correlator.restore(rows)
        assert records == []
    feed(correlator, A, *start(server))
    feed(correlator, A, server.files(kit.opened(5), kit.closed(5, 1), kit.closed(4, 2), sid=False))
    correlator.drain(T + 1)
    found = sorted((r["filename"], r["read"], r.get("server_id"), r.get("user")) for r in taken(correlator))
    own = str(server.sid)
    assert found == [("/else", 9, None, None), ("/four", 2, own, "alice"), ("/store/f", 1, own, "alice")]


def test_crowded_out_processes_write_what_they_hold(kit: Any) -> None:
    correlator = Correlator(Options(max_servers=10))
    for number in range(12):
        server = kit.Server(sid=number + 1)
        feed(correlator, f"192.0.2.{number}:1", *start(server), server.files(kit.opened(5)), t=T + number)
    correlator.advance(T + 20)
    evicted = taken(correlator)
    assert [r["server_id"] for r in evicted] == ["1", "2"]
    assert all(r["incomplete"] == ["no_close", "evicted"] for r in evicted)
    assert correlator.counters["state_servers"] == 10


def test_reused_ids(kit: Any) -> None:
    """After a turn of the 32-bit counter a file has the number of one that is still open."""
    correlator = Correlator()
    server = kit.Server()
    feed(correlator, A, *start(server), server.files(kit.opened(5, path="/first"), kit.moved(5, 10)))
    feed(correlator, A, server.files(kit.opened(5, path="/second"), begin=1_700_000_050))
    feed(correlator, A, server.files(kit.closed(5, 20), begin=1_700_000_060))
    first, second = taken(correlator)
    assert (first["filename"], first["read"], first["incomplete"]) == ("/first", 10, ["no_close", "reused_id"])
    assert (second["filename"], second["read"]) == ("/second", 20)
    assert "incomplete" not in second


def test_a_reused_session_id_replaces_the_session(kit: Any) -> None:
    correlator = Correlator()
    server = kit.Server()
    feed(correlator, A, *start(server), server.files(kit.opened(5), kit.closed(5, 1)))
    feed(correlator, A, server.login(1, user="bob"), server.info(2, "bobs", user="bob"))
    feed(correlator, A, server.files(kit.opened(6), kit.closed(6, 1)))
    assert [(r["user"], r["appinfo"]) for r in taken(correlator)] == [("alice", "app"), ("bob", "bobs")]


def test_a_reused_session_id_leaves_nothing_of_the_session_before(kit: Any) -> None:
    """Not in the rows, when both are gone by the next checkpoint; and not by its name."""
    correlator = Correlator(Options(grace=1.0))
    server = kit.Server()
    rows: dict[bytes, bytes] = {}

    def checkpoint() -> None:
        put, deleted = correlator.changes()
        rows.update(put)
        for key in deleted:
            del rows[key]

    feed(correlator, A, *start(server))
    checkpoint()
    assert any(key[:1] == b"u" for key in rows)
    feed(correlator, A, server.login(1, user="bob"), server.info(2, "of alice, who has no session any more"))
    assert correlator.dump()["incarnations"][0]["sessions"][0].get("appinfo") is None
    feed(correlator, A, server.files(kit.gone(1)))
    correlator.advance(T + 2)
    correlator.advance(T + 4)
    assert correlator.counters["state_sessions"] == 0
    checkpoint()
    assert not any(key[:1] == b"u" for key in rows)
    Correlator(Options(grace=1.0)).restore(rows.items())


def test_a_reused_session_id_is_not_found_by_its_old_name(kit: Any) -> None:
    """What comes for the user id that the number had before is not the new user's."""
    correlator = Correlator()
    server = kit.Server()
    feed(correlator, A, server.ident(), server.login(1), server.login(1, user="bob"))
    feed(correlator, A, server.info(2, "alices"), server.files(kit.opened(5), kit.closed(5, 1)))
    correlator.advance(T + 30)
    (record,) = taken(correlator)
    assert record["user"] == "bob"
    assert "appinfo" not in record


@pytest.mark.parametrize("patience", [1, 100])
def test_connections_that_share_a_user_id_are_told_apart_by_which_one_lives(patience: int, kit: Any) -> None:
    """A client process with two connections: the younger has ended (and may have been forgotten), the older goes on."""
    correlator = Correlator()
    server = kit.Server()
    feed(correlator, A, server.ident(), server.login(1), server.login(2), server.files(kit.gone(2)))
    for second in range(patience):
        correlator.advance(T + second)
    later = T + patience
    feed(correlator, A, server.info(3, "olders"), server.files(kit.opened(5, 1), begin=1_700_000_200), t=later)
    feed(correlator, A, server.path(6, "/six"), server.files(kit.opened(6, flags=0), begin=1_700_000_200), t=later)
    rows, _ = correlator.changes()
    again = Correlator()
    again.restore(rows)
    for restored in (correlator, again):
        feed(restored, A, server.files(kit.closed(5, 1), kit.closed(6, 1), begin=1_700_000_201), t=later + 1)
        server.next["F"] -= 1
        assert [r.get("appinfo") for r in taken(restored)] == ["olders", "olders"]


def test_a_file_of_a_session_that_lives_is_not_given_up_with_its_namesake(kit: Any) -> None:
    """Without ``lfn`` a file is known to be of a user id, which two connections may share."""
    correlator = Correlator()
    server = kit.Server()
    feed(correlator, A, server.ident(), server.login(1), server.path(5, "/five"), server.login(2))
    feed(correlator, A, server.files(kit.opened(5, flags=0)), server.files(kit.gone(2)))
    correlator.advance(T + 30)
    assert taken(correlator) == []


def test_a_socket_behind_a_new_port_has_not_lost_what_came_before(kit: Any) -> None:
    """A NAT has given the server's socket another port in the midst: that is no loss."""
    correlator = Correlator()
    feed(correlator, B, kit.Server(sid=5).ident())
    server = kit.Server(stod=int(T) + 100)
    feed(correlator, A, *start(server), t=T + 101)
    feed(correlator, "192.0.2.1:50000", server.login(3, user="bob"), server.info(4, user="bob"), t=T + 200)
    correlator.drain(T + 300)
    assert kit.gaps(correlator) == []


def test_a_counter_goes_on_at_another_address_and_misses_only_what_never_came(kit: Any) -> None:
    correlator = Correlator()
    server = kit.Server()
    feed(correlator, A, *start(server))
    feed(correlator, B, server.ident())  # it says its name again from where it is now
    feed(correlator, A, server.login(6, user="carol"))  # …and back
    server.login(7)  # is lost
    feed(correlator, B, server.login(8, user="bob"))
    correlator.advance(T + 30)
    (gap,) = kit.gaps(correlator)
    assert (gap["class"], gap["after"], gap["missing"]) == ("M", 4, 1)
    assert gap["sure"] is False, "nothing shows that it is not a second destination's"


def test_a_datagram_overtaken_by_the_first_from_another_address_is_not_missing(kit: Any) -> None:
    correlator = Correlator()
    server = kit.Server()
    feed(correlator, A, *start(server))
    overtaken, first = server.login(3), server.login(4)
    feed(correlator, B, first, t=T + 1)
    feed(correlator, A, overtaken, t=T + 1)
    feed(correlator, B, server.login(5), t=T + 2)
    correlator.advance(T + 60)
    assert kit.gaps(correlator) == []
    assert correlator.counters["late"] == 1


def test_a_second_destination_has_a_counter_of_its_own(kit: Any) -> None:
    correlator = Correlator()
    datagrams = start(kit.Server())
    for number, data in enumerate(datagrams):
        feed(correlator, A, data)
        if number != 1:
            feed(correlator, B, data)  # the login is lost on this way
    correlator.advance(T + 30)
    (gap,) = kit.gaps(correlator)
    assert (gap["class"], gap["after"], gap["missing"]) == ("M", 0, 1)


def test_any_number_of_ports_and_providers_takes_bounded_memory(kit: Any) -> None:
    correlator = Correlator()
    server = kit.Server()
    feed(correlator, A, *start(server))
    for number in range(3000):
        server.next["G"] = number % 256
        feed(correlator, f"192.0.2.1:{number}", server.events(chr(number % 256), b"x"))
        server.next["M"] = 3
        feed(correlator, f"192.0.2.1:{number}", server.info(5))
    (state,) = correlator.dump()["incarnations"]
    assert len(state["senders"]) <= 513
    rows, _ = correlator.changes()
    assert sum(len(value) for _, value in rows) < 100_000
    server.next["M"] = 3
    feed(correlator, A, server.login(7, user="bob"), t=T + 1)
    correlator.advance(T + 30)
    # its own counter has not been forgotten
    assert [gap for gap in kit.gaps(correlator) if gap["t_max"] == T + 1] == []


def test_an_info_before_its_session_is_not_a_namesakes_that_has_ended(kit: Any) -> None:
    """The same client process connects again; its second info overtakes its second login."""
    correlator = Correlator()
    server = kit.Server()
    feed(correlator, A, server.ident(), server.login(1), server.info(2, "first"))
    feed(correlator, A, server.files(kit.opened(5, 1), kit.gone(1)))
    login, info = server.login(3), server.info(4, "second")
    feed(correlator, A, info, login, server.files(kit.closed(5, 1), kit.opened(6, 3), kit.closed(6, 1)))
    correlator.advance(T + 30)
    assert [(r["file_id"], r["appinfo"]) for r in taken(correlator)] == [(5, "first"), (6, "second")]
