from __future__ import annotations

from typing import Any

from gui.store import MarkerRow, SampleRow, Store
from shoveler.service import ShovelerSender, ShovelerStatus, decode_status


def test_what_was_not_measured_has_no_value_and_takes_none_away(any_world: Any) -> None:
    world = any_world
    world.begin()
    world.ask(1)
    (one,) = (server.id for server in world.store.servers())
    world.store.add_samples(world.repeat, [SampleRow(100, one, bytes_read=512), SampleRow(101, one, 5, 4, 3)])
    world.store.add_samples(world.repeat, [SampleRow(100, one, 2, 1, 0), SampleRow(101, one, bytes_read=1024)])
    assert world.store.samples(world.repeat) == [
        SampleRow(100, one, 2, 1, 0, None, 512, None),
        SampleRow(101, one, 5, 4, 3, None, 1024, None),
    ]


def test_samples_survive_and_a_second_is_written_once(any_world: Any) -> None:
    world = any_world
    world.begin()
    world.ask(1, server="root://a:1")
    world.ask(1, server="root://b:1")
    one, two = (server.id for server in world.store.servers())
    world.store.add_samples(world.repeat, [SampleRow(100, one, 5, 4, 3), SampleRow(100, two, 1, 1, 1)])
    world.store.add_samples(world.repeat, [SampleRow(99, one, 1, 0, 0), SampleRow(100, one, 6, 5, 4, 1, 1024, 512)])
    assert world.store.samples(world.repeat) == [
        SampleRow(99, one, 1, 0, 0),
        SampleRow(100, one, 6, 5, 4, 1, 1024, 512),
        SampleRow(100, two, 1, 1, 1),
    ]


def test_markers_come_in_order_of_time(any_world: Any) -> None:
    world = any_world
    world.begin()
    late, early = MarkerRow(9.0, "fault", "broker down"), MarkerRow(5.0, "agent", "c1 missing")
    world.store.add_marker(world.run, late)
    world.store.add_marker(world.run, early)
    assert world.store.markers(world.run) == [early, late]


def status(t: float, received: int, started: float = 1.0) -> ShovelerStatus:
    return ShovelerStatus(
        id="s1", started=started, t=t, host="h", version="1", senders={"h:1": ShovelerSender(received=received)}
    )


def test_the_first_and_the_last_status_of_each_incarnation_are_kept(any_world: Any) -> None:
    world = any_world
    world.begin()
    for message in (status(10, 1), status(15, 2), status(20, 3), status(12, 99), status(30, 1, started=25)):
        world.store.put_status(world.run, message)
    one, two = world.store.statuses(world.run)
    assert (one.first_t, one.last_t, two.first_t, two.last_t) == (10, 20, 30, 30)
    last = decode_status("shoveler.s1", one.last)
    assert last.senders["h:1"].received == 3


def test_statuses_belong_to_a_run(store: Store) -> None:
    assert store.statuses(7) == []
    assert store.markers(7) == []
    assert store.samples(7) == []
