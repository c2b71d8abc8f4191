from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from gui.reconcile import score
from gui.store import ScoringEntry, Store, VerdictKind, VerdictRow, results


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


def scored(world: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[ScoringEntry, list[VerdictRow]]:
    """A scoring of five requests, all missing, and its verdicts; from now on two verdicts are a slice."""
    world.begin()
    world.read(*world.ask(5))
    entry = score(world.store, world.repeat, "settle", world.tick())
    monkeypatch.setattr(results, "_SLICE", 2)
    return entry, list(world.store.verdicts(entry.id).values())


def test_a_large_scoring_is_stored_in_slices_and_seen_when_it_is_complete(
    any_world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = any_world
    entry, verdicts = scored(world, monkeypatch)
    first, store = entry.id, world.store
    seen: list[tuple[list[int], set[int | None], bool]] = []

    def slowly() -> Iterator[VerdictRow]:
        for verdict in verdicts:
            seen.append(([s.id for s in store.scorings(world.repeat)], set(newest(store, world.repeat)), locked(store)))
            yield replace(verdict, cause="the second time")

    after = store.add_scoring(replace(entry, kind="recheck"), slowly())
    assert seen == [([first], {first}, False)] * 5, "others see the older one, and may write between two slices"
    assert [(s.id, s.kind) for s in store.scorings(world.repeat)] == [(first, "settle"), (after.id, "recheck")]
    assert after == store.scorings(world.repeat)[-1]
    assert len(store.verdicts(after.id)) == 5
    assert {request.cause for request in store.requests(world.repeat)} == {"the second time"}


def newest(store: Store, repeat: int) -> list[int]:
    """The ids of the scorings that the answers of `requests` come from."""
    with store.database.read() as connection:
        return [found for found in [results._newest(connection, repeat)] if found is not None]


def locked(store: Store) -> bool:
    """Whether a writer of this program holds the database."""
    return store.database._turn.locked()


def test_what_a_program_did_not_finish_is_never_seen_and_goes_later(
    any_world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = any_world
    entry, verdicts = scored(world, monkeypatch)
    store = world.store

    def cut() -> Iterator[VerdictRow]:
        yield from verdicts[:4]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.add_scoring(replace(entry, kind="recheck"), cut())
    assert [s.id for s in store.scorings(world.repeat)] == [entry.id]
    assert store.unscored() == []
    store.add_scoring(replace(entry, kind="recheck", t=entry.t + 10), verdicts)
    assert partial(store) == 1, "it may be another program's, which is still at it"
    store.add_scoring(replace(entry, kind="late", t=entry.t + 4000), verdicts)
    assert partial(store) == 0
    assert [s.kind for s in store.scorings(world.repeat)] == ["settle", "recheck", "late"]


def partial(store: Store) -> int:
    with store.database.read() as connection:
        return int(connection.exec_driver_sql("SELECT COUNT(*) FROM scoring WHERE kind = ''").scalar_one())
