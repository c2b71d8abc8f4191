from __future__ import annotations

from typing import Any

from gui.reconcile import ladder_of, score
from gui.store import StatusPair, VerdictKind
from shoveler.service import CollectorSender, CollectorStatus, Gap, ShovelerSender, ShovelerStatus

SENDER = "192.0.2.1:45001"


def shoveler(world: Any, sender: str = SENDER, started: float = 0.0, **counts: Any) -> ShovelerStatus:
    return ShovelerStatus(
        id="5f2c9e8b", started=started, t=world.tick(), host="mon", version="1",
        senders={sender: ShovelerSender(**counts)},
    )  # fmt: skip


def collector(world: Any, sender: str = SENDER, started: float = 0.0, **counts: Any) -> CollectorStatus:
    return CollectorStatus(
        id="k1", started=started, t=world.tick(), host="col", version="1", senders={sender: CollectorSender(**counts)}
    )


def test_the_ladder_subtracts_the_first_status_of_the_run_from_the_last(any_world: Any) -> None:
    world = any_world
    world.begin(fstat_seconds=5, flush_seconds=1)
    a, b = world.ask(2)
    world.store.put_status(world.run, shoveler(world, received=500, confirmed=500, kernel_drops=311))
    world.store.put_status(world.run, collector(world, seen=500))
    world.read(a, b)
    world.record(b)
    gap = Gap(cls="F", stod=1, after=41, missing=1, t_min=world.now - 2, t_max=world.now)
    world.store.put_status(world.run, shoveler(world, received=600, confirmed=600, kernel_drops=312))
    world.store.put_status(world.run, collector(world, seen=600, gaps=[gap], records=1))
    score(world.store, world.repeat, "settle", world.tick())
    (missing,) = world.store.requests(world.repeat, verdict=VerdictKind.MISSING)
    assert (missing.lost_at, missing.certain) == ("kernel", True)
    assert "(1 drop)" in missing.cause
    assert "1 datagram after number 41" in missing.cause
    ladder = ladder_of(world.store, missing.id)
    assert ladder is not None
    assert ladder.cause == missing.cause
    assert ladder.rungs[2].state == "lost"
    assert ladder_of(world.store, 2) is None, "a request that has its record lost nothing"


def test_a_gap_outside_of_the_requests_time_is_not_to_blame(world: Any) -> None:
    world.begin(fstat_seconds=5, flush_seconds=1)
    (a,) = world.ask(1)
    old = Gap(cls="F", stod=1, after=3, missing=1, t_min=world.now - 900, t_max=world.now - 800)
    world.read(a)
    world.store.put_status(world.run, shoveler(world, received=5, confirmed=5))
    world.store.put_status(world.run, collector(world, seen=5, gaps=[old]))
    (b,) = world.ask(1)
    world.read(b)
    world.record(b)
    score(world.store, world.repeat, "settle", world.tick())
    (missing,) = world.store.requests(world.repeat, verdict=VerdictKind.MISSING)
    assert (missing.lost_at, missing.certain) == ("server", False)


def test_a_daemon_that_started_within_the_run_counts_from_zero(world: Any) -> None:
    world.begin()
    a, b = world.ask(2)
    world.store.put_status(world.run, shoveler(world, received=100, confirmed=100))
    world.read(a, b)
    world.record(b)
    started = world.now
    world.store.put_status(world.run, shoveler(world, received=200, confirmed=200))
    world.store.put_status(world.run, collector(world, started=started, seen=60))
    world.store.put_status(world.run, collector(world, started=started, seen=90, records=1))
    score(world.store, world.repeat, "settle", world.tick())
    (missing,) = world.store.requests(world.repeat, verdict=VerdictKind.MISSING)
    assert missing.lost_at == "queue"
    assert "10 datagrams confirmed and not consumed" in missing.cause


def test_servers_behind_one_address_cannot_be_told_apart_so_nothing_is_certain(world: Any) -> None:
    world.begin()
    ours = world.ask(1, server="root://s01:1094")
    theirs = world.ask(2, server="root://s02:1095")
    world.read(*ours, *theirs)
    world.record(*ours, server="s01")
    world.record(theirs[0], server="s02")
    gap = Gap(cls="F", stod=1, after=41, missing=1, t_min=world.now - 9, t_max=world.now)
    world.store.put_status(world.run, shoveler(world, received=5, confirmed=5))
    world.store.put_status(world.run, shoveler(world, "192.0.2.1:45002", received=5, confirmed=5, kernel_drops=1))
    world.store.put_status(world.run, collector(world, "192.0.2.1:45002", seen=5, gaps=[gap]))
    score(world.store, world.repeat, "settle", world.tick())
    (missing,) = world.store.requests(world.repeat, verdict=VerdictKind.MISSING)
    assert not missing.certain


def test_records_that_were_published_and_not_loaded_are_missed_at_the_load(world: Any) -> None:
    world.begin()
    a, b = world.ask(2)
    world.record(b)  # long before; it must not count for this run
    world.store.mark_loaded(world.run)
    world.read(a, b)
    world.store.put_status(world.run, shoveler(world, received=5, confirmed=5))
    world.store.put_status(world.run, collector(world, started=world.now, seen=5, records=2))
    world.record(b, file_id=77, read=0)
    score(world.store, world.repeat, "settle", world.tick())
    (missing,) = world.store.requests(world.repeat, verdict=VerdictKind.MISSING)
    assert (missing.lost_at, missing.certain) == ("load", False)
    (row,) = world.store.loaded_since_mark(world.run)
    assert row.loaded == 1


def test_a_server_whose_records_are_all_lost_is_known_by_its_address(world: Any) -> None:
    world.begin()
    (a,) = world.ask(1, server="root://192.0.2.1:1094")
    world.read(a)
    world.store.put_status(world.run, shoveler(world, received=9, confirmed=2))
    world.store.put_status(world.run, collector(world, seen=2))
    score(world.store, world.repeat, "settle", world.tick())
    (missing,) = world.store.requests(world.repeat)
    assert missing.lost_at == "spool"
    assert "7 datagrams" in missing.cause


def test_a_status_of_a_newer_kind_is_passed_over(world: Any) -> None:
    world.begin()
    (a,) = world.ask(1)
    world.read(a)
    world.store.put_status(world.run, shoveler(world, received=9, confirmed=2))
    with world.store.database.write() as connection:
        connection.exec_driver_sql("UPDATE pipeline_status SET last_body = '{\"schema\": 99}'")
    (pair,) = world.store.statuses(world.run)
    assert isinstance(pair, StatusPair)
    score(world.store, world.repeat, "settle", world.tick())
    (missing,) = world.store.requests(world.repeat)
    assert missing.lost_at == "unknown"
