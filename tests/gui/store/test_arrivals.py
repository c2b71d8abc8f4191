from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gui.store import (
    NewRequest,
    NoSuchRowError,
    ServerEntry,
    Store,
    StoreConflictError,
    TestSpec,
    arrivals,
    match_key,
    removal,
)
from gui.store.arrivals import Arrival, ArrivedTag
from gui.store.removal import Hidden

RUN: Any = {
    "name": "from afar",
    "plan_text": "",
    "settle": 1.0,
    "state": "passed",
    "created": 1.0,
    "origin": "x.zip, run 4",
}
UID = "0123456789abcdef0123456789abcdef"
REQUEST = (
    "repeat_id", "tag_id", "server_id", "match_key", "path", "round", "size", "seed", "state", "ok", "read_asked",
    "read_got", "readv_asked", "readv_got", "written", "read_ops", "readv_ops", "write_ops", "status",
)  # fmt: skip


def bring(store: Store, arrival: Arrival, count: int = 3, tag: str = "faraway1") -> int:
    """A repeat with requests of one tag, and a scoring; returns the repeat."""
    with arrival.slice() as connection:
        test = TestSpec(1, count, count)
        connection.exec_driver_sql(
            "INSERT INTO test (run_id, number, name, servers, files_per_server, per_round, wait, repeats, seed,"
            f" pass_at, workload) VALUES ({arrival.run_id}, 1, '', 1, {count}, {count}, 1, 1, 1, 100,"
            f" '{msgspec.json.encode(test.workload).decode()}')"
        )
    repeat = store.start_repeat(arrival.run_id, 1, 1, 1.0)
    server = ServerEntry("root://far.example.org:1094", "far", (), "bundle")
    (server_id,), (tag_id,) = arrival.enter([server], ["c1"], [ArrivedTag(tag, repeat, 0, 0, 0)])
    paths = [f"/f{number}" for number in range(count)]
    arrival.insert_new(
        "request",
        REQUEST,
        ((repeat, tag_id, server_id, match_key(tag, path), path, 1, 5, 0, 2, 1, 5, 5, *[0] * 7) for path in paths),
    )
    return repeat


def count(store: Store, table: str) -> int:
    with store.database.read() as connection:
        return int(connection.exec_driver_sql(f"SELECT COUNT(*) FROM {table}").scalar_one())


def bodies(world: Any, tag: str, paths: list[str]) -> list[bytes]:
    (asked,) = world.ask(1)
    asked.tag = tag
    made = []
    for path in paths:
        asked.path = path
        made.append(world.body(asked, read=5))
    return made


def test_an_arrival_is_seen_when_it_is_finished_and_not_before(any_world: Any) -> None:
    world = any_world
    store = world.store
    world.begin()
    with store.arrival(uid=UID, now=world.tick(), versions={"tally": "0.1"}, **RUN) as arrival:
        repeat = bring(store, arrival)
        loaded = arrival.load(bodies(world, "faraway1", ["/f0", "/f1"]))
        assert [run.id for run in store.runs()] == [world.run]
        with pytest.raises(NoSuchRowError):
            store.run(arrival.run_id)
        assert store.run(arrival.run_id, hidden=True).name == "from afar"
        arrival.finish(message="checked")
    assert (loaded.final, loaded.foreign) == (2, 0)
    (run, mine) = store.runs()
    assert (run.id, run.message, run.versions, mine.id) == (arrival.run_id, "checked", {"tally": "0.1"}, world.run)
    assert store.repeats(run.id)[0].id == repeat
    assert store.unscored() == []


def test_ids_come_in_order_also_when_others_write_between(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "SLICE", 2)
    with store.arrival(uid=UID, now=1.0, **RUN) as arrival:

        def rows() -> Any:
            for number in range(5):
                yield (arrival.run_id, float(number), "ada", f"note {number}")
                if number == 1:
                    store.add_note(other, "hub", "between", 1.0)

        other = store.create_run(name="x", plan_text="", settle=1.0, tests=[], now=1.0)
        ids = arrival.insert_new("note", ("run_id", "at", "author", "text"), rows())
        arrival.finish()
    assert [note.id for note in store.notes(arrival.run_id)] == list(ids) == [1, 2, 4, 5, 6]
    assert [note.id for note in store.notes(other)] == [3]


def test_runs_that_come_one_after_another_have_their_own_status_steps(any_world: Any) -> None:
    """The second of two bundles was once refused: the ids of this table were thought to be those of none."""
    store = any_world.store
    for number in (1, 2):
        with store.arrival(uid=f"{number:032x}", now=1.0, **RUN) as arrival:
            rows = [(arrival.run_id, "shoveler", f"s{number}{step}", "{}") for step in range(3)]
            arrival.insert_new("status_step", ("run_id", "program", "member", "body"), rows)
            arrival.finish()
        assert [step.member for step in store.status_steps(arrival.run_id)] == [f"s{number}{n}" for n in range(3)]


def test_records_of_other_runs_do_not_come_in_with_an_arrival(any_world: Any) -> None:
    world = any_world
    world.begin()
    (mine,) = world.ask(1)
    with world.store.arrival(uid=UID, now=1.0, **RUN) as arrival:
        bring(world.store, arrival)
        foreign = world.body(mine, read=999)
        loaded = arrival.load([foreign, b"{", *bodies(world, "faraway1", ["/f0"]) * 2])
        arrival.finish()
    assert (loaded.final, loaded.foreign, loaded.bad, loaded.repeated) == (1, 1, 1, 1)
    assert loaded.rejected == (b"{",)
    assert world.store.records_of(1) == [], "nobody writes records into a run of ours"


def test_what_fails_in_the_middle_leaves_nothing(any_world: Any) -> None:
    world = any_world
    store = world.store
    world.begin()
    world.ask(1)  # its server and its agent stay
    tables = ("run", "repeat", "request", "tag", "record", "record_block", "server", "agent")
    before = {table: count(store, table) for table in tables}

    def fail() -> None:
        with store.arrival(uid=UID, now=1.0, **RUN) as arrival:
            bring(store, arrival)
            arrival.load(bodies(world, "faraway1", ["/f0", "/f1"]))
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        fail()
    before["request"] += 1
    before["tag"] += 1  # of `bodies`, which asks in our own run
    assert {table: count(store, table) for table in before} == before
    with store.arrival(uid=UID, now=1.0, **RUN) as again:
        bring(store, again)
        again.finish()
    assert len(store.runs()) == 2


def test_a_run_is_here_once(store: Store) -> None:
    with store.arrival(uid=UID, now=1.0, **RUN) as arrival:
        with pytest.raises(StoreConflictError, match="right now"), store.arrival(uid=UID, now=1.0, **RUN):
            pass
        arrival.finish()
    with (
        pytest.raises(StoreConflictError, match=f"already in the workspace, as run {arrival.run_id}"),
        store.arrival(uid=UID, now=1.0, **RUN),
    ):
        pass


def left_by(store: Store, who: Hidden) -> int:
    """A run with requests that another program is bringing in."""
    with store.arrival(uid=UID, now=1.0, **RUN) as arrival:
        bring(store, arrival)
        arrival.finish()
    with store.database.write() as connection:
        connection.exec_driver_sql(f"UPDATE run SET hidden = '{msgspec.json.encode(who).decode()}'")
    return arrival.run_id


def test_what_a_program_that_ended_has_left_is_removed_and_can_come_again(store: Store) -> None:
    me = removal.this_program(1.0)  # type: ignore[attr-defined]
    run = left_by(store, Hidden(me.host, me.pid, me.began - 100.0, 1.0))
    assert store.runs() == []
    assert store.remove_left_runs(1.0) == [run]
    assert {table: count(store, table) for table in ("run", "repeat", "request", "tag")} == dict.fromkeys(
        ("run", "repeat", "request", "tag"), 0
    )
    run = left_by(store, Hidden(me.host, me.pid, me.began - 100.0, 1.0))
    with store.arrival(uid=UID, now=1.0, **RUN) as arrival:
        arrival.finish()
    assert [entry.id for entry in store.runs()] == [run + 1]


def test_what_a_killed_program_was_bringing_in_is_removed(tmp_path: Path) -> None:
    killed = (
        "import os, sys; from gui.store import Store\n"
        f"with Store(sys.argv[1]) as store, store.arrival(uid='{UID}', now=1.0, **{RUN}) as arrival:\n"
        "    arrival.insert_new('note', ('run_id', 'at', 'author', 'text'), [(arrival.run_id, 1.0, 'a', 'b')] * 10)\n"
        "    os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", killed, tmp_path / "w.db"], check=False).returncode == 9
    with Store(tmp_path / "w.db") as store:
        assert store.runs() == []
        assert (count(store, "run"), count(store, "note")) == (1, 10)
        assert store.remove_left_runs(time.time()) == [1]
        assert (count(store, "run"), count(store, "note")) == (0, 0)


@pytest.mark.parametrize(("silent", "left"), [(599.0, False), (601.0, True)])
def test_a_program_elsewhere_is_given_ten_minutes(store: Store, silent: float, left: bool) -> None:
    run = left_by(store, Hidden("elsewhere", 1, 1.0, 1000.0 - silent))
    assert store.remove_left_runs(1000.0) == ([run] if left else [])


def test_what_this_program_is_at_is_not_left(store: Store) -> None:
    with store.arrival(uid=UID, now=1.0, **RUN) as arrival:
        assert store.remove_left_runs(1.0) == []
        arrival.finish()


def test_others_write_while_a_run_arrives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another connection, as another program has it: it writes between the slices of an arrival that is under way."""
    monkeypatch.setattr(arrivals, "SLICE", 50)
    wrote = threading.Event()
    with Store(tmp_path / "w.db") as store, Store(tmp_path / "w.db") as other:

        def write() -> None:
            run = other.create_run(name="x", plan_text="", settle=1.0, tests=[TestSpec(1, 1, 1)], now=1.0)
            repeat = other.start_repeat(run, 1, 1, 1.0)
            (tag,) = other.allocate_tags(1)
            other.add_requests(repeat, [NewRequest(tag, "/a", "root://h:1", "c", 0, 1)], 1.0)
            wrote.set()

        thread = threading.Thread(target=write)
        with store.arrival(uid=UID, now=1.0, **RUN) as arrival:

            def notes() -> Any:
                for number in range(1_000_000):
                    if number == 100:
                        thread.start()
                    if number > 100 and wrote.is_set():
                        return  # the arrival is not over before the other one has written
                    yield (arrival.run_id, 1.0, "ada", "x")

            arrival.insert_new("note", ("run_id", "at", "author", "text"), notes())
            assert wrote.is_set()
            arrival.finish()
        thread.join()
