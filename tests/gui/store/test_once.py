"""That records of others count once, however often and however late they come, in bounded space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from gui.store import LoadResult, Store, once
from gui.store.keys import text_key
from gui.store.once import DAY


def access(number: int, *, day: int = 20_000, final: bool = True, **fields: Any) -> bytes:
    record = {
        "kind": "file", "schema": 1, "record_id": f"{number:032x}.{'f' if final else 'p'}", "final": final,
        "access_id": f"{number:032x}", "server_id": "7", "stod": 19_000 * DAY, "file_id": number, "server": "s1",
        "port": 1094, "user": "bob", "filename": f"/f{number}", "start_time": day * DAY + number,
        "end_time": day * DAY + number + 5, "read": 10, "readv": 0, "write": 0,
    } | fields  # fmt: skip
    return msgspec.json.encode({name: value for name, value in record.items() if value is not None})


def ids(store: Store) -> int:
    with store.database.read() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM seen").scalar_one())


def test_a_record_of_others_counts_once_however_late_it_comes_again(any_world: Any) -> None:
    store = any_world.store
    bodies = [access(number) for number in range(20)]
    assert store.load(bodies, 20_001 * DAY) == LoadResult(foreign=20)
    for later in (1, 15, 400, 4000):
        assert store.load(bodies, (20_001 + later) * DAY) == LoadResult(repeated=20), later
    (usage,) = store.usage("server")
    assert (usage.accesses, usage.read) == (20, 200)


def test_of_a_batch_in_part_known_the_rest_is_counted(any_world: Any) -> None:
    store = any_world.store
    store.load([access(number) for number in range(0, 3000, 2)], 1.0)
    result = store.load([access(number) for number in range(3000)] + [access(1), access(1)], 2.0)
    assert result == LoadResult(foreign=1500, repeated=1502)
    assert store.load([access(number) for number in range(3000)], 3.0) == LoadResult(repeated=3000)
    assert ids(store) == 3000


@pytest.mark.parametrize(
    "times",
    [
        {"start_time": None},
        {"start_time": None, "end_time": None},
        {"start_time": None, "end_time": None, "stod": 0},
        {"start_time": -1, "end_time": 10**17},
    ],
)
def test_a_record_that_tells_no_good_time_counts_once_too(store: Store, times: dict[str, Any]) -> None:
    body = access(1, **times)
    assert store.load([body], 20_500 * DAY) == LoadResult(foreign=1)
    assert store.load([body], 20_600 * DAY) == LoadResult(repeated=1)
    (usage,) = store.usage("server")
    day = 20_500 if times.get("stod") == 0 else 20_000 if "end_time" not in times else 19_000
    assert usage.first_day == day


def test_ids_of_another_form_that_differ_at_their_ends_only_are_different(store: Store) -> None:
    bodies = [access(1, record_id=f"event-{number:04}", start_time=20_000 * DAY) for number in range(50)]
    assert store.load(bodies, 1.0).foreign == 50


def test_beyond_the_bound_a_day_is_forgotten_and_sealed_the_one_that_was_idle_longest(
    any_world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = any_world.store
    monkeypatch.setattr(once, "REMEMBERED", 25)

    def load(day: int, numbers: Sequence[int], now: int) -> LoadResult:
        result: LoadResult = store.load([access(number, day=day) for number in numbers], now * DAY)
        return result

    assert load(20_000, range(10), 20_100).foreign == 10
    assert load(20_001, range(10), 20_101).foreign == 10
    assert load(20_000, range(10, 15), 20_102).foreign == 5
    assert load(20_002, range(10), 20_103).foreign == 10
    assert ids(store) == 25, "day 20,001 had to go: something was added to 20,000 after it"
    assert load(20_001, range(12), 20_103) == LoadResult(sealed=12)
    assert load(20_000, range(16), 20_103) == LoadResult(foreign=1, repeated=15)
    assert load(20_002, range(10), 20_103) == LoadResult(repeated=10)
    (usage,) = store.usage("server")
    assert usage.accesses == 36


def test_what_is_just_being_loaded_is_not_sealed_in_the_middle(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(once, "REMEMBERED", 5)
    for start in (0, 10, 20):
        assert store.load([access(number) for number in range(start, start + 10)], 20_100 * DAY).foreign == 10
    assert ids(store) == 30
    assert store.load([], 20_101 * DAY) == LoadResult()
    assert ids(store) == 0
    assert store.load([access(99)], 20_101 * DAY).sealed == 1


def test_accesses_that_wait_for_their_close_are_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(once, "WAITING", 3)
    store.load([access(number, final=False) for number in range(5)], 20_100 * DAY)
    store.load([access(9, final=False)], 20_101 * DAY)
    store.load([], 20_102 * DAY)
    store.load([access(number) for number in (0, 1, 2, 3, 4, 9)], 20_102 * DAY)
    (usage,) = store.usage("server")
    assert (usage.accesses, usage.provisional) == (6, 3), "three were forgotten, and stay counted as never closed"
    store.load([access(20, final=False)], 20_103 * DAY)
    store.load([], (20_104 + once.WAITING_DAYS) * DAY)
    with store.database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM never_closed").scalar_one() == 0


def test_ids_that_were_remembered_before_0005_still_count(any_world: Any) -> None:
    store = any_world.store
    with store.database.write() as connection:
        store.database.many(
            connection, "INSERT INTO foreign_seen (record_hash, day) VALUES (?, ?)", [(text_key(f"{1:032x}.f"), 20_000)]
        )
    assert store.load([access(1), access(2)], 20_010 * DAY) == LoadResult(foreign=1, repeated=1)
    store.load([], 20_015 * DAY)
    with store.database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM foreign_seen").scalar_one() == 0
