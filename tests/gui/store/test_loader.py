from __future__ import annotations

import gc
import itertools
import threading
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gui.store import (
    LoadResult,
    NewRequest,
    Store,
    StoreUnavailableError,
    batched,
    host_of,
    loader,
    records,
    split_records,
)
from gui.store.loader import GROUPS_PER_DAY, OTHER

DAY = 86400


def changed(body: bytes, **fields: Any) -> bytes:
    """The record with some fields set, or removed where None."""
    record = msgspec.json.decode(body) | fields
    return msgspec.json.encode({name: value for name, value in record.items() if value is not None})


def test_records_of_ours_are_stored_and_found_by_their_request(any_world: Any) -> None:
    world = any_world
    world.begin()
    a, b = world.ask(2)
    body = world.body(a, known_issue=["page_checksums"], incomplete=["no_user"])
    result = world.store.load([body, world.body(b)], world.tick())
    assert result == LoadResult(final=2, repeats={world.repeat: 2})
    (entry,) = world.store.records_of(1)
    assert (entry.tag, entry.path, entry.final, entry.read, entry.loaded) == (a.tag, a.path, True, 1 << 20, world.now)
    assert entry.server == "s01.example.org:1094"
    assert entry.flags.known_issue == ["page_checksums"]
    assert entry.flags.incomplete == ["no_user"]
    assert entry.body == body


def test_a_record_is_stored_once_however_often_it_comes(any_world: Any) -> None:
    world = any_world
    world.begin()
    bodies = [world.body(a) for a in world.ask(3)]
    assert world.store.load([*bodies, bodies[0]], 1.0) == LoadResult(final=3, repeated=1, repeats={world.repeat: 3})
    assert world.store.load(bodies, 2.0) == LoadResult(repeated=3)
    (usage,) = world.store.usage("server")
    assert usage.accesses == 3


def test_a_mixed_batch_counts_what_is_new(world: Any) -> None:
    world.begin()
    bodies = [world.body(a) for a in world.ask(600)]
    world.store.load(bodies[:400], 1.0)
    result = world.store.load(bodies[200:], 2.0)
    assert (result.final, result.repeated) == (200, 200)
    assert sum(len(world.store.records_of(number)) for number in range(1, 601)) == 600
    paths = {world.store.records_of(number)[0].body for number in (1, 250, 399, 401, 600)}
    assert paths == {bodies[number - 1] for number in (1, 250, 399, 401, 600)}, "each row points at its own body"


def test_batches_in_turn_are_loaded_as_each_by_itself(any_world: Any) -> None:
    world = any_world
    world.begin()
    bodies = [world.body(a) for a in world.ask(7)]
    told: list[tuple[LoadResult, float]] = []
    times = iter((5.0, 6.0, 7.0, 8.0))
    world.store.load_all([bodies[:3], [], bodies[2:6], bodies[:1]], lambda *both: told.append(both), times.__next__)
    three = {world.repeat: 3}
    assert told == [
        (LoadResult(final=3, repeats=three), 5.0),
        (LoadResult(), 6.0),
        (LoadResult(final=3, repeated=1, repeats=three), 7.0),
        (LoadResult(repeated=1), 8.0),
    ]
    assert [len(world.store.records_of(number)) for number in range(1, 8)] == [1] * 6 + [0]
    assert [world.store.records_of(number)[0].loaded for number in (1, 4)] == [5.0, 7.0]


def test_the_next_batch_is_decoded_only_while_one_is_committed(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world.begin()
    bodies = [world.body(a) for a in world.ask(4)]
    steps: list[str] = []
    decode, stored = loader.decode, loader.Loader._store_blocks

    def decoded(batch: list[bytes]) -> loader.Batch:
        steps.append(f"decode {bodies.index(batch[0])} in {threading.current_thread().name}")
        return decode(batch)

    def blocks(self: loader.Loader, *arguments: Any) -> None:
        steps.append("all but committed")
        stored(self, *arguments)

    monkeypatch.setattr(records, "decode", decoded)
    monkeypatch.setattr(loader.Loader, "_store_blocks", blocks)
    world.store.load_all([bodies[:2], bodies[2:]], lambda *_: steps.append("loaded"))
    steps.remove("decode 2 in tally-decode_0")
    assert steps == [
        "decode 0 in MainThread",
        "all but committed",
        "loaded",
        "all but committed",
        "loaded",
    ]


def test_what_was_read_is_stored_when_reading_on_fails(world: Any) -> None:
    world.begin()
    bodies = [world.body(a) for a in world.ask(4)]

    def torn() -> Iterator[list[bytes]]:
        yield bodies[:2]
        yield bodies[2:3]
        raise EOFError("the file is cut off")

    told: list[int] = []
    with pytest.raises(EOFError):
        world.store.load_all(torn(), lambda result, _: told.append(result.final))
    assert told == [2, 1]
    assert gc.isenabled()


def test_a_batch_that_the_database_refuses_ends_it_and_none_after_it_is_stored(world: Any) -> None:
    world.begin()
    bodies = [world.body(a) for a in world.ask(4)]
    told: list[int] = []

    def loaded(result: LoadResult, _: float) -> None:
        told.append(result.final)
        world.store.database.read_only = True

    with pytest.raises(StoreUnavailableError):
        world.store.load_all([[body] for body in bodies], loaded)
    assert told == [1]


def test_groups_of_bodies_stay_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "AT_ONCE", 3)
    groups = [[b"1", b"2"], [b"3", b"4"], [], [b"5"]]
    assert list(batched(groups)) == [[b"1", b"2", b"3", b"4"], [b"5"]]
    assert list(batched([])) == []


def test_bytes_of_every_kind_and_what_is_known_to_be_wrong_are_kept(any_world: Any) -> None:
    """Columns that are the same in all rows are written another way than those that differ."""
    world = any_world
    world.begin()
    asked = world.ask(450)
    plain = [world.body(a) for a in asked[:150]]
    vectors = [world.body(a, read=0, readv=number, write=number % 2) for number, a in enumerate(asked[150:300])]
    marked = [world.body(a, known_issue=["rounded"] if number % 3 else []) for number, a in enumerate(asked[300:])]
    for part in (plain, vectors, marked):
        assert world.store.load(part, 1.0).final == 150
    found = [world.store.records_of(number)[0] for number in range(1, 451)]
    assert [entry.body for entry in found] == plain + vectors + marked
    assert {(entry.read, entry.readv, entry.write) for entry in found[:150]} == {(1 << 20, 0, 0)}
    assert [(entry.read, entry.readv, entry.write) for entry in found[150:300]] == [(0, n, n % 2) for n in range(150)]
    assert [bool(entry.flags.known_issue) for entry in found] == [False] * 300 + [n % 3 != 0 for n in range(150)]


def test_final_and_provisional_of_an_access_are_two_records(world: Any) -> None:
    world.begin()
    (a,) = world.ask(1)
    provisional = world.body(a, final=False, file_id=5, incomplete=["no_close"], read=100)
    final = world.body(a, file_id=5)
    assert world.store.load([provisional], 1.0) == LoadResult(provisional=1)
    (usage,) = world.store.usage("server")
    assert (usage.accesses, usage.provisional, usage.read) == (0, 1, 0)
    assert world.store.load([final], 2.0).final == 1
    assert [record.final for record in world.store.records_of(1)] == [False, True]
    (usage,) = world.store.usage("server")
    assert (usage.accesses, usage.provisional, usage.read) == (1, 0, 1 << 20), "it was closed, and counts once"


@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize("order", ["pf", "fp", "p+f", "f+p", "pfpf", "ppff"])
def test_an_access_is_never_closed_until_its_close_comes_in_whatever_order(
    any_world: Any, ours: bool, order: str
) -> None:
    world = any_world
    world.begin()
    (a,) = world.ask(1)
    whose = {} if ours else {"session_tag": "bob", "user": "bob", "appinfo": None}
    opened, closed = 20_000 * DAY, 20_009 * DAY + 5
    bodies = {
        # A record that was given up names neither its end nor, here, the site that became known later.
        "p": changed(world.body(a, final=False, file_id=5, incomplete=["no_close"], read=100), start_time=opened,
                     end_time=None, operation_time=None, site=None, **{"@timestamp": "2024-10-07T00:00:00Z"}, **whose),
        "f": changed(world.body(a, file_id=5), start_time=opened, end_time=closed, **whose),
    }  # fmt: skip
    other = changed(world.body(a, final=False, file_id=6, incomplete=["no_close"]), start_time=opened, **whose)
    world.store.load([other], 1.0)
    if "+" in order:
        world.store.load([bodies[one] for one in order if one != "+"], 2.0)
    else:
        for one in order:
            world.store.load([bodies[one]], 2.0)
    (usage,) = world.store.usage("server")
    assert (usage.accesses, usage.provisional, usage.read) == (1, 1, 1 << 20), "only the other one was never closed"
    (usage,) = world.store.usage("server", since=20_009, until=20_009)
    assert (usage.accesses, usage.provisional) == (1, 0)


def test_an_access_given_up_counts_on_the_day_that_it_tells(world: Any) -> None:
    world.begin()
    (a,) = world.ask(1)
    given_up = {"end_time": None, "operation_time": None, "start_time": None, "stod": 20_000 * DAY}
    told: list[dict[str, Any]] = [
        {"time_max": 20_005 * DAY},
        {"@timestamp": "2024-10-10T12:00:00Z"},
        {"start_time": 20_007 * DAY},
        {},
    ]
    for number, times in enumerate(told):
        body = changed(world.body(a, final=False, file_id=number + 1), **(given_up | times))
        assert world.store.load([body], 21_000 * DAY).provisional == 1
    days = [row.first_day for row in world.store.usage("server", "week")]
    assert [(row.first_day, row.last_day, row.provisional) for row in world.store.usage("week")] == [
        (20_000, 20_000, 1),
        (20_005, 20_007, 3),
    ], days


def test_a_record_whose_user_is_not_known_is_found_by_what_the_application_said(world: Any) -> None:
    world.begin()
    (a,) = world.ask(1)
    world.store.load([world.body(a, session_tag=None, user=None)], 1.0)
    assert len(world.store.records_of(1)) == 1


def test_a_record_of_a_tag_that_becomes_ours_later_is_not_remembered_as_foreign(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.begin()
    (a,) = world.ask(1)
    stranger = changed(world.body(a), session_tag="zzzzzzzz", user="zzzzzzzz", appinfo=None)
    assert world.store.load([stranger], 1.0).foreign == 1
    with world.store.database.write() as connection:
        connection.exec_driver_sql("INSERT INTO tag (tag, repeat_id) VALUES ('zzzzzzzz', 1)")
    assert world.store.load([changed(stranger, record_id=f"{1:032x}.f")], 2.0).final == 1


def test_foreign_records_are_daily_sums_only(any_world: Any) -> None:
    world = any_world
    world.begin()
    (a,) = world.ask(1)
    bodies = [
        changed(
            world.body(a),
            record_id=f"{number:032x}.f",
            session_tag="alice",
            user="alice",
            appinfo=None,
            vo="cms",
            end_time=20_000 * DAY + number * 10,
            read=1000,
            readv=10,
            write=1,
        )
        for number in range(5)
    ]
    assert world.store.load(bodies, 1.0) == LoadResult(foreign=5)
    assert world.store.load(bodies[:3], 2.0) == LoadResult(repeated=3), "also strangers are counted once"
    assert world.store.load(bodies[4:] * 2, 3.0) == LoadResult(repeated=2)
    (usage,) = world.store.usage("org", own=False)
    assert (usage.group, usage.accesses, usage.read, usage.readv, usage.write) == ("cms", 5, 5000, 50, 5)
    assert usage.first_day == usage.last_day == 20_000
    with world.store.database.read() as connection:
        assert connection.exec_driver_sql("SELECT COUNT(*) FROM record").scalar() == 0


def event(number: int, *, server: str = "cache1", **fields: Any) -> bytes:
    """A record of kind ``cache``, of one file that was closed on day 20,000."""
    record = {"kind": "cache", "schema": 1, "record_id": f"{number:032x}", "server_hostname": server,
              "attach_time": 19_999 * DAY, "detach_time": 20_000 * DAY + number, "bytes_hit_cache": 10,
              "bytes_miss_cache": 5}  # fmt: skip
    return msgspec.json.encode(record | fields)


def test_other_kinds_are_counted_once_on_their_own_day_and_cache_events_summed(any_world: Any) -> None:
    store = any_world.store
    bodies = [event(1), event(2), event(1), event(3, detach_time=20_001 * DAY), b'{"kind":"tpc"}']
    assert store.load(bodies, 21_000 * DAY) == LoadResult(other=4, repeated=1)
    assert store.load(bodies, 22_000 * DAY) == LoadResult(repeated=5)
    with store.database.read() as connection:
        counted = connection.exec_driver_sql(
            "SELECT kind, SUM(events) FROM other_kind GROUP BY kind ORDER BY kind"
        ).all()
    assert [tuple(row) for row in counted] == [("cache", 3), ("tpc", 1)]
    (use,) = store.cache_use(since=20_000, until=20_000)
    assert (use.server, use.events, use.hit, use.miss, use.bypass) == ("cache1", 2, 20, 10, 0)
    (use,) = store.cache_use(since=20_001, until=20_001)
    assert use.events == 1
    assert store.cache_use(since=20_002) == []


def test_an_event_without_an_id_is_known_by_all_that_it_says(store: Store) -> None:
    nameless = event(1, record_id="")
    assert store.load([nameless, nameless], 1.0) == LoadResult(other=1, repeated=1)
    assert store.load([event(1, record_id="", bytes_hit_cache=11), nameless], 1.0) == LoadResult(other=1, repeated=1)


@pytest.mark.parametrize(
    ("times", "day"),
    [
        ({"detach_time": 20_003 * DAY}, 20_003),
        ({"detach_time": None, "tend": 20_003 * DAY + 5}, 20_003),
        ({"detach_time": 20_003 * DAY * 1000}, 20_003),
        ({"detach_time": "2024-10-07T23:59:59Z"}, 20_003),
        ({"detach_time": -5}, 19_999),
        ({"detach_time": 10**30, "attach_time": True}, 21_000),
        ({"detach_time": "noon", "attach_time": []}, 21_000),
        ({"detach_time": "", "attach_time": None, "xeq": {"end_transfer": "2024-10-07T00:00:00.000001Z"}}, 20_003),
    ],
)
def test_an_event_is_filed_under_the_day_that_it_tells(store: Store, times: dict[str, Any], day: int) -> None:
    assert store.load([event(0, **times)], 21_000 * DAY).other == 1
    assert [use.events for use in store.cache_use(since=day, until=day)] == [1]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not a record"),
        (b"not json", "not a record"),
        (b"[1,2]", "not a record"),
        (b"{}", 'without "kind"'),
        (b'{"kind":5}', 'without "kind"'),
        (b'{"kind":"file"}', "cannot be read"),
        (b'{"kind":"file","record_id":5}', "cannot be read"),
        (b"\xff\xfe", "not a record"),
        (b"[" * 100_000, "not a record"),
    ],
)
def test_what_is_no_record_is_counted_with_a_sentence_and_disturbs_nothing(world: Any, body: bytes, why: str) -> None:
    world.begin()
    (a,) = world.ask(1)
    result = world.store.load([body, world.body(a)], 1.0)
    assert (result.bad, result.final) == (1, 1)
    assert why in result.problems[0]


def test_numbers_that_no_database_holds_are_refused(any_world: Any) -> None:
    world = any_world
    world.begin()
    (a,) = world.ask(1)
    good = world.body(a)
    bad = [
        changed(good, read=2**63),
        changed(good, read=2**53),
        changed(good, readv=-1),
        changed(good, write=2**64 - 1),
        changed(good, file_id=-5),
        changed(good, stod=2**63),
        changed(good, schema=99),
    ]
    result = world.store.load([*bad, good], 1.0)
    assert (result.bad, result.final) == (7, 1)
    assert any("schema 99" in problem for problem in result.problems) or len(result.problems) == 5


def test_text_that_no_database_holds_is_made_storable(any_world: Any) -> None:
    world = any_world
    world.begin()
    (a,) = world.ask(1)
    odd = changed(
        world.body(a),
        filename="/a\0b" + "x" * 20_000,
        site="S\0" * 500,
        server="h\0",
        vo="v\0",
        known_issue=["n\0"],
        end_time=10**17,
        operation_time=2**63 - 1,
    )
    assert world.store.load([odd, changed(odd, record_id=f"{9:032x}.f")], 1.0).final == 2
    (record, _) = world.store.unrequested(world.repeat)
    assert record.path.startswith("/a\ufffdb")
    world.store.usage("server")


def test_a_body_of_several_lines_is_kept_as_one(world: Any) -> None:
    world.begin()
    a, b = world.ask(2)
    pretty = msgspec.json.format(world.body(a), indent=2)
    world.store.load([pretty, world.body(b)], 1.0)
    assert msgspec.json.decode(world.store.records_of(1)[0].body) == msgspec.json.decode(pretty)
    assert world.store.records_of(2)[0].path == b.path


def test_both_framings_are_split() -> None:
    assert split_records(b'{"a":1}') == [b'{"a":1}']
    assert split_records(b'{"a":1}\n{"b":2}\n') == [b'{"a":1}', b'{"b":2}']
    assert split_records(b"") == []
    assert split_records(b'{\n  "a": 1\n}') == [b'{\n  "a": 1\n}']


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
record_fields = st.fixed_dictionaries(
    {},
    optional={
        "record_id": st.text(max_size=40),
        "session_tag": st.none() | st.text(max_size=10),
        "filename": st.none() | st.text(max_size=50),
        "read": st.none() | st.integers(-5, 2**70),
        "stod": st.integers(-5, 2**70),
        "end_time": st.none() | st.integers(-(2**70), 2**70),
        "operation_time": st.none() | st.integers(-(2**70), 2**70),
        "server": st.none() | st.text(max_size=10),
        "port": st.none() | st.integers(-5, 2**70),
        "user": st.none() | st.text(max_size=10),
        "known_issue": st.none() | st.lists(st.text(max_size=5), max_size=3),
        "appinfo": st.none() | st.text(max_size=20),
        "kind": st.sampled_from(["file", "cache", "x"]),
    },
)
counter = itertools.count()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=40) | json_values.map(lambda v: msgspec.json.encode(v)) | record_fields, max_size=8))
def test_any_bytes_are_counted_and_never_raise(store: Store, parts: list[object]) -> None:
    world_body = {
        "kind": "file",
        "schema": 1,
        "access_id": "",
        "final": True,
        "server_id": "1",
        "stod": 1,
        "file_id": 1,
    }
    bodies = []
    for part in parts:
        if isinstance(part, dict):
            part = msgspec.json.encode({"record_id": f"{next(counter):032x}.f"} | world_body | part)
        assert isinstance(part, bytes)
        bodies.append(part)
    result = store.load(bodies, 1.0)
    counted = result.final + result.provisional + result.repeated + result.foreign + result.other + result.bad
    assert counted == len(bodies)


def test_daily_sums_are_bounded_in_number_and_known_groups_stay(
    any_world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = any_world
    monkeypatch.setattr(loader, "GROUPS_PER_DAY", 10)
    world.begin()
    (a,) = world.ask(1)
    body = world.body(a)
    loads = [range(8), range(4, 12), range(12), range(12, 14)]
    for number, people in enumerate(loads):
        world.store.load(
            [
                changed(body, record_id=f"{number:030x}{n:02x}.f", session_tag="bob", appinfo=None, user_dn=f"CN={n}")
                for n in people
            ],
            1.0,
        )
    people = {row.group: row.accesses for row in world.store.usage("user")}  # type: ignore[assignment]
    assert people == {
        "CN=0": 2, "CN=1": 2, "CN=2": 2, "CN=3": 2, "CN=4": 3, "CN=5": 3, "CN=6": 3, "CN=7": 3, "CN=8": 2, "CN=9": 2,
        OTHER: 6,
    }  # fmt: skip
    assert GROUPS_PER_DAY > 1000


def test_a_failed_load_stores_nothing_and_can_be_repeated(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world.begin()
    (a,) = world.ask(1)
    body = world.body(a, server="new.example.org")

    def fail(*_: object) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr(loader, "_count_other", fail)
    with pytest.raises(RuntimeError):
        world.store.load([body], 1.0)
    monkeypatch.undo()
    assert world.store.load([body], 2.0).final == 1
    assert world.store.records_of(1)[0].server == "new.example.org:1094"


def test_usage_is_grouped_in_five_ways(any_world: Any) -> None:
    world = any_world
    world.begin()
    a, b = world.ask(2)
    monday = 19_000 * DAY // DAY
    monday -= (monday + 3) % 7
    world.store.load([world.body(a, end_time=monday * DAY, vo="ligo", operation_time=4)], 1.0)
    world.store.load(
        [changed(world.body(b), session_tag="bob", appinfo=None, user_dn="CN=Bob", end_time=(monday + 8) * DAY)], 1.0
    )
    store = world.store
    assert {row.group for row in store.usage("server")} == {"s01.example.org"}
    assert {row.group for row in store.usage("server", ports=True)} == {"s01.example.org:1094"}
    assert {row.group: row.accesses for row in store.usage("org")} == {"ligo": 1, "": 1}
    assert {row.group for row in store.usage("dir")} == {"/store"}
    assert {row.group for row in store.usage("user")} == {"", "CN=Bob"}
    weeks = store.usage("week")
    assert [row.accesses for row in weeks] == [1, 1]
    assert weeks[0].group < weeks[1].group
    assert store.usage("server", own=True)[0].accesses == 1
    assert store.usage("server", since=monday + 1)[0].accesses == 1
    assert store.usage("server", until=monday - 1) == []


def test_use_is_grouped_by_two_things_of_one_server_under_its_name_without_port(any_world: Any) -> None:
    world = any_world
    world.begin()
    (a,) = world.ask(1)
    monday = 20_003
    places = [("c1", 1094, "cms", monday, 500), ("c1", 8443, "cms", monday + 7, 700), ("c1", 1094, "ligo", monday, 10),
              ("[2001:db8::1]", 1094, "cms", monday, 5000), ("", None, "cms", monday, 1)]  # fmt: skip
    bodies = [
        changed(
            world.body(a), record_id=f"{number:032x}.f", session_tag=None, appinfo=None, user="u",
            server=server or None, server_ip=None, port=port, vo=vo, end_time=day * DAY, read=read,
        )
        for number, (server, port, vo, day, read) in enumerate(places)
    ]  # fmt: skip
    assert world.store.load(bodies, 1.0).foreign == 5
    store = world.store
    assert [(row.group, row.read) for row in store.usage("server")] == [("[2001:db8::1]", 5000), ("c1", 1210), ("", 1)]
    two = store.usage("server", "week", server="c1")
    assert [(row.group, row.then, row.read) for row in two] == [("c1", "2024-10-07", 510), ("c1", "2024-10-14", 700)]
    assert [(row.group, row.read) for row in store.usage("org", server="c1:8443")] == [("cms", 1200), ("ligo", 10)]
    assert world.store.load([world.body(a)], 1.0).final == 1
    names = store.usage_names(server="c1")
    assert names.servers == {"c1"}
    assert names.owners == {("u", "cms", "/store"), ("u", "ligo", "/store")}


def test_a_host_is_its_server_without_the_port() -> None:
    assert [host_of(server) for server in ("a.b:1094", "a.b", "[::1]:1094", "2001:db8::1", "", ":")] == [
        "a.b",
        "a.b",
        "[::1]",
        "2001:db8::1",
        "",
        ":",
    ]


def test_the_same_record_twice_in_a_batch_counts_once_whatever_else_differs(any_world: Any) -> None:
    world = any_world
    world.begin()
    (a,) = world.ask(1)
    body = world.body(a)
    result = world.store.load([body, changed(body, known_issue=["rounded"])], 1.0)
    assert (result.final, result.repeated) == (1, 1)


def test_a_run_that_is_deleted_while_its_records_wait_for_the_database_gets_none(
    any_world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = any_world
    run = world.begin()
    (a,) = world.ask(1)
    database = world.store.database
    write = database.write

    def delete_first() -> Any:
        monkeypatch.setattr(database, "write", write)
        world.store.delete_run(run)
        return write()

    monkeypatch.setattr(database, "write", delete_first)
    result = world.store.load([world.body(a)], 1.0)
    assert (result.final, result.foreign) == (0, 1)


TAGLESS = {"user": None, "session_tag": None, "appinfo": None}


def test_a_record_over_http_is_found_by_the_user_agent(any_world: Any) -> None:
    world = any_world
    world.begin()
    a, b = world.ask(2)
    over_http = TAGLESS | {"protocol": "https", "appinfo": f"tally/0.1.0+x ({a.tag})"}
    other = TAGLESS | {"protocol": "http", "appinfo": f"curl/8 ({a.tag})"}
    bodies = [changed(world.body(a), **over_http), changed(world.body(b), **other)]
    assert world.store.load(bodies, 1.0) == LoadResult(final=1, foreign=1, repeats={world.repeat: 1})
    with_hash = over_http | {"user": "c2561938", "session_tag": "c2561938"}
    assert world.store.load([changed(world.body(b), **with_hash)], 2.0).final == 1, "the hash of a name is no tag"


def test_a_record_of_a_clients_own_file_is_found_by_its_path(any_world: Any) -> None:
    world = any_world
    world.begin()
    (tag,) = world.store.allocate_tags(1)
    (stranger,) = world.store.allocate_tags(1)
    paths = [f"/store/write/{tag}/f1", f"/store/write/{tag}/f2"]
    world.store.add_requests(
        world.repeat, [NewRequest(tag, path, "root://s", "shared/c1", 0, 5) for path in paths], world.tick()
    )
    (own,) = world.ask(1)
    bodies = [
        changed(world.body(own), **TAGLESS, protocol="http", filename=path)
        for path in (*paths, "/store/write/none/f", f"/store/write/{stranger}/f", f"/{tag}", "/f")
    ]
    as_user = TAGLESS | {"user": "u17", "session_tag": "u17", "protocol": "xroot"}
    bodies += [changed(world.body(own), **as_user, filename=paths[0])]
    result = world.store.load(bodies, 1.0)
    assert (result.final, result.foreign) == (2, 5)
    assert [world.store.records_of(number)[0].path for number in (1, 2)] == paths
    lost_login = changed(world.body(own), **TAGLESS, filename=paths[0], incomplete=["no_user"])
    assert world.store.load([lost_login], 2.0).final == 1
