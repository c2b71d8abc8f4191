from __future__ import annotations

from typing import Any

from gui.reconcile import score
from gui.store import VerdictKind


def test_requests_are_listed_by_verdict_by_server_and_in_pages(any_world: Any) -> None:
    world = any_world
    world.begin()
    ours = world.ask(4, server="root://s01:1")
    theirs = world.ask(4, server="root://s02:1")
    world.read(*ours, *theirs)
    world.record(*ours[:3], *theirs[:1])
    store, repeat = world.store, world.repeat
    assert all(request.verdict is None for request in store.requests(repeat)), "nothing was scored yet"
    score(store, repeat, "settle", world.tick())
    missing = store.requests(repeat, verdict=VerdictKind.MISSING)
    assert [request.path for request in missing] == [a.path for a in (ours[3], *theirs[1:])]
    assert len(store.requests(repeat, verdict=VerdictKind.MATCHED)) == 4
    (second,) = [server.id for server in store.servers() if server.url == "root://s02:1"]
    assert len(store.requests(repeat, server_id=second)) == 4
    assert len(store.requests(repeat, verdict=VerdictKind.MISSING, server_id=second)) == 3
    page = store.requests(repeat, limit=3)
    assert [r.id for r in store.requests(repeat, after=page[-1].id, limit=3)] == [4, 5, 6]


def test_a_matched_request_shows_what_was_recorded(world: Any) -> None:
    world.begin()
    (a,) = world.ask(1)
    world.read(a)
    world.record(a)
    score(world.store, world.repeat, "settle", world.tick())
    request = world.store.request(1)
    assert request is not None
    assert (request.verdict, request.accesses, request.recorded_read) == (VerdictKind.MATCHED, 1, a.size)
    assert (request.asked, request.server, request.slot, request.round) == (a.size, a.server, 0, 1)
    assert world.store.request(99) is None


def test_repeats_with_new_records_want_scoring_again(any_world: Any) -> None:
    world = any_world
    world.begin()
    a, b = world.ask(2)
    world.read(a, b)
    world.record(a)
    first = world.repeat
    assert world.store.unscored() == [], "what was never scored is not late"
    score(world.store, first, "settle", world.tick())
    world.next_repeat()
    (c,) = world.ask(1)
    world.read(c)
    score(world.store, world.repeat, "settle", world.tick())
    assert world.store.unscored() == []
    world.record(c)
    assert world.store.unscored() == [world.repeat]
    world.record(b)
    assert world.store.unscored() == [first, world.repeat]


def test_notes_are_kept(any_world: Any) -> None:
    world = any_world
    world.begin()
    number = world.store.add_note(world.run, "ada", "fibre was cut", 5.0)
    (note,) = world.store.notes(world.run)
    assert (note.id, note.author, note.text, note.t) == (number, "ada", "fibre was cut", 5.0)
