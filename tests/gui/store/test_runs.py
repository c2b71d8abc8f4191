from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from agent.messages import Done, Started, Workload
from gui.hub.persistence import JournalBatch
from gui.reconcile import score
from gui.store import MarkerRow, NewRequest, NoSuchRowError, RequestState, Store, StoreConflictError, TestSpec


def states(world: Any) -> list[RequestState]:
    return [request.state for request in world.store.requests(world.repeat)]


def strays(world: Any) -> int:
    """Journal lines that concerned nobody's requests."""
    with world.store.database.read() as connection:
        return int(connection.exec_driver_sql("SELECT SUM(strays) FROM journal").scalar_one())


def test_a_run_has_tests_and_repeats_with_numbers_from_1(any_world: Any) -> None:
    world = any_world
    spec = TestSpec(50, 800, 100, 1.0, 3, 42, 99.9, "50×800", Workload("range", bytes=1024))
    run = world.begin(TestSpec(2, 100, 20), spec, name="osdf-2021", fstat_seconds=5)
    entry = world.store.run(run)
    assert (entry.name, entry.state, entry.environment) == ("osdf-2021", "running", {"fstat_seconds": 5})
    assert [test.number for test in world.store.tests(run)] == [1, 2]
    assert world.store.tests(run)[1].spec == spec
    assert spec.total == 40_000
    again = world.store.start_repeat(run, 1, 1, world.tick())
    assert again == world.repeat, "a repeat that is taken up again keeps its id"
    world.store.set_repeat(world.repeat, state="settled", ended=5.0, settled=9.0, complete=False, reason="the limit")
    (repeat,) = world.store.repeats(run)
    assert (repeat.state, repeat.ended, repeat.settle_complete, repeat.settle_reason) == (
        "settled",
        5.0,
        False,
        "the limit",
    )


def test_what_is_not_there_is_named(store: Store) -> None:
    for act in (
        lambda: store.run(7),
        lambda: store.repeat(7),
        lambda: store.set_run(7, state="passed"),
        lambda: store.set_repeat(7, state="settled"),
        lambda: store.start_repeat(7, 1, 1, 0.0),
        lambda: store.set_baseline(7),
        lambda: store.records_of(7),
    ):
        with pytest.raises(NoSuchRowError, match="7"):
            act()


def test_one_run_at_most_is_the_baseline(world: Any) -> None:
    one, two = world.begin(), world.begin()
    world.store.set_baseline(one)
    world.store.set_baseline(two)
    assert [run.id for run in world.store.runs() if run.baseline] == [two]
    world.store.set_baseline(None)
    assert not any(run.baseline for run in world.store.runs())


def test_tags_are_8_characters_a_letter_first_and_never_given_twice(store: Store) -> None:
    tags = store.allocate_tags(2000) + store.allocate_tags(2000)
    assert len(set(tags)) == 4000
    assert all(re.fullmatch(r"[a-z][a-z0-9]{7}", tag) for tag in tags)


def test_a_tag_that_was_drawn_before_is_drawn_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    draws = iter([5, 5, 6, 6, 7])
    monkeypatch.setattr("gui.store.runs.secrets.randbelow", lambda limit: next(draws))
    first = store.allocate_tags(1)
    assert len({*first, *store.allocate_tags(2)}) == 3


def test_requests_are_pending_until_their_journal_tells(any_world: Any) -> None:
    world = any_world
    world.begin()
    a, b, c, _d = world.ask(4)
    world.start(a)
    world.read(b)
    world.read(c, ok=False, interrupted=True)
    assert states(world) == [
        RequestState.STARTED,
        RequestState.DONE,
        RequestState.INTERRUPTED,
        RequestState.PENDING,
    ]
    (_, done, *_) = world.store.requests(world.repeat)
    assert (done.ok, done.read_asked, done.read_got, done.agent, done.reached) == (
        True,
        1 << 20,
        1 << 20,
        "c1",
        "s01.example.org:1094",
    )


def test_journal_lines_are_stored_once_and_in_order(any_world: Any) -> None:
    world = any_world
    world.begin()
    (a,) = world.ask(1)
    lines = [
        Started(1, world.job, 1, a.tag, a.server, a.path, 5.0),
        Done(2, world.job, a.tag, a.path, True, 5.0, 6.0, 10, 10, 0, 0, 0, 1, 0, 0),
    ]
    world.journal("shared/c1", lines)
    assert world.store.journal_position("shared/c1", "journal-1") == 2
    # The same again (a lost acknowledgement), and with other facts: passed over.
    world.journal("shared/c1", [lines[0], Done(2, world.job, a.tag, a.path, False, 5, 6, 99, 99, 0, 0, 0, 1, 0, 0)])
    (request,) = world.store.requests(world.repeat)
    assert (request.state, request.ok, request.read_asked) == (RequestState.DONE, True, 10)
    assert world.store.journal_position("shared/c1", "journal-1") == 2
    assert world.store.journal_position("shared/c1", "journal-2") == 0
    assert world.store.journal_position("nobody", "journal-1") == 0


@pytest.mark.parametrize("ahead", [-90.0, 4.5])
def test_times_of_a_clock_that_is_off_are_stored_in_the_hubs_time(world: Any, ahead: float) -> None:
    world.begin()
    (a, b) = world.ask(2)
    lines = [
        Started(1, world.job, 1, a.tag, a.server, a.path, 1000.0 + ahead),
        Done(2, world.job, a.tag, a.path, True, 1000.25 + ahead, 1001.0 + ahead, 10, 10, 0, 0, 0, 1, 0, 0),
        Done(3, world.job, b.tag, b.path, False, 0.0, 0.0, 0, 0, 0, 0, 0, 0, 0, 0),
    ]
    world.store.store_journal([JournalBatch("shared/c1", "c1", "j", lines, ahead)])  # type: ignore[arg-type]
    done, never = sorted(world.store.requests(world.repeat), key=lambda request: request.path)
    assert (done.t_open, done.t_close) == (1000.25, 1001.0)
    assert (never.t_open, never.t_close) == (0.0, 0.0), "no time is no time"


def test_two_batches_of_one_journal_in_one_call_continue_each_other(world: Any) -> None:
    world.begin()
    a, b = world.ask(2)
    world.store.store_journal(
        [
            JournalBatch("shared/c1", "c1", "j", [Started(n, world.job, 1, x.tag, x.server, x.path, 5.0)])
            for n, x in enumerate((a, b), 1)
        ]
    )
    assert states(world) == [RequestState.STARTED] * 2
    assert world.store.journal_position("shared/c1", "j") == 2


def test_a_state_never_goes_back(world: Any) -> None:
    world.begin()
    (a,) = world.ask(1)
    world.read(a)
    world.start(a)
    assert states(world) == [RequestState.DONE]


def test_an_agent_cannot_tell_of_another_agents_requests(world: Any, caplog: pytest.LogCaptureFixture) -> None:
    world.begin()
    (a,) = world.ask(1, agent="shared/c1")
    a.agent = "shared/mallory"
    world.read(a)
    assert states(world) == [RequestState.PENDING]
    assert strays(world) == 2
    assert world.store.journal_position("shared/mallory", "journal-1") == 2, "or they would be sent for ever"
    world.read(a)
    assert strays(world) == 4
    said = "! shared/mallory reported requests that it was never given; such lines are ignored"
    assert [record.getMessage() for record in caplog.records] == [said], "once, however often it does so"


def test_a_line_about_a_path_that_was_never_asked_is_a_stray(world: Any) -> None:
    world.begin()
    (a,) = world.ask(1)
    a.path = "/etc/passwd"
    world.read(a)
    assert states(world) == [RequestState.PENDING]
    assert strays(world) == 2


def test_a_tag_never_asks_twice_for_a_path(any_world: Any) -> None:
    world = any_world
    world.begin()
    with pytest.raises(StoreConflictError, match="requests /a twice"):
        world.ask(paths=["/a", "/a"])
    (tag,) = world.store.allocate_tags(1)
    request = NewRequest(tag, "/a", "root://h:1", "shared/c1", 0, 10)
    world.store.add_requests(world.repeat, [request], 1.0)
    with pytest.raises(StoreConflictError, match="requests /a twice"):
        world.store.add_requests(world.repeat, [replace(request, round=2)], 2.0)
    assert len(world.store.requests(world.repeat)) == 1, "what was refused left nothing"


def test_a_tag_belongs_to_one_repeat_agent_slot_and_server(world: Any) -> None:
    world.begin()
    (tag,) = world.store.allocate_tags(1)
    world.store.add_requests(world.repeat, [NewRequest(tag, "/a", "root://h:1", "shared/c1", 0, 10)], 1.0)
    for other in (
        NewRequest(tag, "/b", "root://other:1", "shared/c1", 0, 10),
        NewRequest(tag, "/b", "root://h:1", "shared/c2", 0, 10),
        NewRequest(tag, "/b", "root://h:1", "shared/c1", 1, 10),
    ):
        with pytest.raises(StoreConflictError, match="belongs to another"):
            world.store.add_requests(world.repeat, [other], 1.0)
    with pytest.raises(StoreConflictError, match="belongs to another"):
        world.store.add_requests(world.next_repeat(), [NewRequest(tag, "/b", "root://h:1", "shared/c1", 0, 1)], 1.0)
    (fresh,) = world.store.allocate_tags(1)
    with pytest.raises(StoreConflictError, match="two agents"):
        world.store.add_requests(
            world.repeat,
            [
                NewRequest(fresh, "/a", "root://h:1", "shared/c1", 0, 1),
                NewRequest(fresh, "/b", "root://h:1", "x", 0, 1),
            ],
            1.0,
        )


def test_a_tag_that_was_never_allocated_is_refused(world: Any) -> None:
    world.begin()
    with pytest.raises(StoreConflictError, match="never allocated"):
        world.store.add_requests(world.repeat, [NewRequest("abcdefgh", "/a", "root://h:1", "c", 0, 10)], 1.0)


def test_a_deleted_run_takes_everything_with_it_but_its_tags(any_world: Any) -> None:
    world = any_world
    store = world.store
    world.begin()
    first = world.run
    asked = world.ask(3)
    world.read(*asked)
    world.record(*asked)
    gone = world.body(asked[0])
    score(store, world.repeat, "settle", world.tick())
    store.add_note(first, "ada", "x", 1.0)
    store.add_marker(first, MarkerRow(1.0, "fault", "x"))
    world.begin()
    kept = world.ask(2)
    world.read(*kept)
    world.record(*kept)
    usage = store.usage("server")

    store.delete_run(first)
    with pytest.raises(NoSuchRowError):
        store.delete_run(first)
    assert [run.id for run in store.runs()] == [world.run]
    assert [len(store.records_of(request.id)) for request in store.requests(world.repeat)] == [1, 1]
    with store.database.read() as connection:
        counts = {
            table: connection.exec_driver_sql(f"SELECT COUNT(*) FROM {table}").scalar()
            for table in ("request", "record", "record_block", "scoring", "verdict", "note", "marker", "tag")
        }
    assert counts == {
        "request": 2, "record": 2, "record_block": 1, "scoring": 0, "verdict": 0, "note": 0, "marker": 0, "tag": 2,
    }  # fmt: skip
    assert store.usage("server") == usage
    assert store.load([gone], world.tick()).foreign == 1, "nobody waits for its records any more"
    assert world.begin() == first + 2, "and its number does not come back"
