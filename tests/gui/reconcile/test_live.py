from __future__ import annotations

import threading
from typing import Any

from sqlalchemy import text

from gui.reconcile import LiveCounts
from gui.store import Store
from gui.store.loader import decode
from tests.waiting import until

MIB = 1 << 20


def test_requested_read_and_recorded_climb_and_the_gap_has_an_age(any_world: Any) -> None:
    world = any_world
    world.begin()
    live = LiveCounts(world.store, world.repeat)
    assert live.look(world.now).requested == 0
    a, b, c = world.ask(3)
    seen = live.look(world.tick())
    assert (seen.requested, seen.read, seen.recorded, seen.pending, seen.unrecorded) == (3, 0, 0, 3, 3)
    world.read(a)
    closed = world.now
    world.read(b)
    seen = live.look(world.tick())
    assert (seen.read, seen.recorded, seen.gap, seen.gap_oldest, seen.pending) == (2, 0, 2, closed, 1)
    world.record(a)
    seen = live.look(world.tick())
    assert (seen.recorded, seen.gap, seen.last_record) == (1, 1, world.now)
    assert seen.gap_oldest is not None
    assert seen.gap_oldest > closed
    world.record(b, c)  # c before its client reports
    seen = live.look(world.tick())
    assert (seen.read, seen.recorded, seen.gap, seen.unrecorded) == (2, 3, 0, 0)
    world.read(c)
    seen = live.look(world.tick())
    assert (seen.read, seen.recorded, seen.pending, seen.gap_oldest) == (3, 3, 0, None)
    (server,) = seen.servers
    assert (server.bytes_read, server.bytes_recorded, server.name) == (3 * MIB, 3 * MIB, "root://s01.example.org:1094")


def test_of_two_programs_that_load_at_once_no_record_is_missed(any_world: Any) -> None:
    """Ids are given when rows are inserted, and rows are seen when they are committed: a look in between must not go on
    from the higher id of the other program."""
    world = any_world
    world.begin()
    a, b = world.ask(2)
    world.read(a)
    world.read(b)
    live = LiveCounts(world.store, world.repeat)
    address = world.store.database.url.render_as_string(hide_password=False)
    seen_before: list[int] = []
    with Store(address) as other:
        elsewhere = world.body(b, server="s09.example.org", server_id="9")  # they would not meet at any other row
        second = threading.Thread(target=lambda: other.load([elsewhere], 20.0), name="the other program")

        def while_first_commits() -> None:
            second.start()
            until(lambda: not second.is_alive() or _waits(world.store))
            seen_before.append(live.look(19.0).recorded)

        world.store._loader.load(decode([world.body(a)]), 20.0, while_first_commits)
        second.join()
    assert seen_before == [0]
    assert live.look(21.0).recorded == 2


def _waits(store: Store) -> bool:
    """Whether another program waits to write; on SQLite it does as soon as it has begun."""
    if store.database.is_sqlite:
        return True
    with store.database.read() as connection:
        waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        return bool(connection.scalar(waiting))


def test_what_is_wrong_shows_while_it_runs(any_world: Any) -> None:
    world = any_world
    world.begin()
    live = LiveCounts(world.store, world.repeat)
    wrong, twice, again, recovered, failed, early = world.ask(6)
    world.record(early, failed)
    live.look(world.tick())
    world.read(wrong, twice, again, recovered, early)
    world.read(failed, ok=False)
    world.record(wrong, read=7)
    world.record(twice, again)
    world.record(recovered, read=1)
    live.look(world.tick())
    world.record(again)
    world.record(twice)
    world.record(recovered, read=MIB - 1)
    stray = world.ask(1)[0]
    stray.path = "/stray"
    world.record(stray)
    seen = live.look(world.tick())
    assert (seen.wrong, seen.duplicate, seen.unrequested) == (1, 2, 1)
    assert (seen.read, seen.failed, seen.recorded, seen.gap) == (5, 1, 5, 0)
    assert seen.unrecorded == 1, "the request of the stray's tag"


def test_provisional_records_do_not_close_the_gap(world: Any) -> None:
    world.begin()
    live = LiveCounts(world.store, world.repeat)
    (a,) = world.ask(1)
    world.read(a)
    world.record(a, final=False)
    assert live.look(world.tick()).gap == 1
    world.record(a, file_id=2)
    assert live.look(world.tick()).gap == 0
    world.record(a, final=False, file_id=2)
    seen = live.look(world.tick())
    assert (seen.duplicate, seen.recorded) == (0, 1)


def test_a_repeat_that_is_taken_up_again_is_counted_from_the_database(world: Any) -> None:
    world.begin()
    asked = world.ask(10)
    world.read(*asked[:8])
    world.record(*asked[:5])
    seen = LiveCounts(world.store, world.repeat).look(world.tick())
    assert (seen.requested, seen.read, seen.recorded, seen.gap, seen.pending) == (10, 8, 5, 3, 2)


def test_repeats_are_counted_apart_and_servers_too(world: Any) -> None:
    world.begin()
    first = LiveCounts(world.store, world.repeat)
    a = world.ask(2, server="root://s01:1")
    b = world.ask(3, server="root://s02:1")
    world.next_repeat()
    world.ask(4, server="root://s01:1")
    world.read(*a, *b)
    world.record(*b)
    seen = first.look(world.tick())
    assert [(s.url, s.requested, s.gap) for s in seen.servers] == [("root://s01:1", 2, 2), ("root://s02:1", 3, 0)]
    assert LiveCounts(world.store, world.repeat).look(world.tick()).requested == 4
