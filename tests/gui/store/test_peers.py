from __future__ import annotations

from typing import Any

import msgspec
import pytest

from collector.records import FileRecord
from gui.store import LoadResult, schema
from gui.store.peers import PRODUCERS, adapt, body_of

T = 1_760_000_000
DAY = 86_400


def go(**fields: Any) -> dict[str, Any]:
    """A record as the OSG's collector in Go writes it: open and close seen, user known."""
    return {
        "@timestamp": "2025-10-09T08:53:21.123456789Z", "start_time": T - 100_000, "end_time": T,
        "operation_time": 100_000, "serverID": f"{T - 100_000}#192.0.2.1#9930", "server_hostname": "c1.example.org",
        "server": "192.0.2.1", "server_ip": "192.0.2.1", "site": "SITE-A", "user": "alice", "user_dn": "",
        "user_domain": "example.org", "vo": "ligo", "host": "w1.example.org", "filename": "/user/alice/data/f",
        "dirname1": "/user", "dirname2": "/user/alice", "logical_dirname": "/user/alice", "protocol": "xroot",
        "appinfo": "", "ipv6": False, "filesize": 1000, "read_operations": 10, "read_single_operations": 10,
        "read_vector_operations": 2, "write_operations": 0, "read": 700, "read_single_bytes": 700, "readv": 300,
        "write": 0, "read_min": 70, "read_max": 70, "read_average": 70, "read_single_min": 70, "read_single_max": 70,
        "read_single_average": 70, "read_vector_min": 150, "read_vector_max": 150, "read_vector_average": 150,
        "write_min": 0, "write_max": 0, "write_average": 0, "read_vector_count_min": 2, "read_vector_count_max": 2,
        "read_vector_count_average": 2.0, "read_bytes_at_close": 700, "write_bytes_at_close": 0, "HasFileCloseMsg": 1,
    } | fields  # fmt: skip


def python(**fields: Any) -> dict[str, Any]:
    """A record as the OSG's collector in Python writes it; what it does not know has no key, or one of its words."""
    record = {
        "timestamp": T * 1000, "start_time": (T - 60) * 1000, "end_time": T * 1000, "HasFileCloseMsg": 1,
        "operation_time": 60, "server_hostname": "c1.example.org", "server_ip": "192.0.2.1", "server": "192.0.2.1",
        "serverID": f"{T - 100_000}#192.0.2.1#9930", "site": "", "user": "alice", "host": "w1.example.org",
        "user_domain": "example.org", "protocol": "xroot", "ipv6": True, "user_dn": "/DC=org/CN=Alice", "vo": "cms",
        "appinfo": "xrdcp", "filename": "/user/alice/f", "filesize": 1000, "dirname1": "/user",
        "dirname2": "/user/alice", "logical_dirname": "/user/alice", "read": 700, "readv": 300, "write": 0,
        "read_average": 83.3, "read_bytes_at_close": 1000, "read_operations": 12, "read_single_average": 70.0,
        "read_vector_count_average": 0.01,
    } | fields  # fmt: skip
    return {name: value for name, value in record.items() if value is not None}


def wlcg(**fields: Any) -> dict[str, Any]:
    return {
        "site_name": "T2_XX", "fallback": True, "user_dn": "/DC=org/CN=Alice", "user": "Alice",
        "client_host": "w1.example.org", "client_domain": "example.org", "server_host": "c1.example.org",
        "server_domain": "example.org", "server_ip": "192.0.2.1", "unique_id": "7e0cba7e-6a5d-4c1a-9d39-0b6c2d3f7a11",
        "file_lfn": "/store/data/f", "file_size": 1000, "read_bytes": 1000, "read_single_bytes": 700,
        "read_vector_bytes": 300, "ipv6": False, "start_time": (T - 60) * 1000, "end_time": T * 1000,
        "operation_time": 60, "operation": "read", "server_site": "T2_XX", "vo": "cms", "write_bytes": 0,
        "read_sigma": 0, "metadata": {"producer": "cms", "type": "aaa-ng", "timestamp": T * 1000},
    } | fields  # fmt: skip


def cache(**fields: Any) -> dict[str, Any]:
    return {
        "sid": f"{T}#192.0.2.1#9930", "server_ip": "192.0.2.1", "server_hostname": "c1.example.org", "size": 1000,
        "event": "file_close", "file_path": "/user/alice/f", "block_size": 100, "numbers_blocks": 10, "vo": "noVO",
        "numbers_blocks_done": 10, "access_count": 1, "attach_time": T - 60, "detach_time": T, "remotes_origin": "o1",
        "bytes_hit_cache": 600, "bytes_miss_cache": 300, "bytes_bypass_cache": 100, "site": "",
    } | fields  # fmt: skip


def file_of(given: dict[str, Any]) -> FileRecord:
    adapted = adapt(given)
    assert adapted is not None
    return msgspec.json.decode(body_of(adapted), type=FileRecord)


def test_a_record_of_the_collector_in_go_says_what_it_can_and_no_more() -> None:
    record = file_of(go())
    assert (record.stod, record.server, record.server_ip, record.site) == (T - 100_000, "c1.example.org", "192.0.2.1",
                                                                          "SITE-A")  # fmt: skip
    assert (record.user, record.session_tag, record.vo, record.user_dn) == ("alice", "alice", "ligo", None)
    assert (record.filename, record.logical_dirname) == ("/user/alice/data/f", "/user/alice")
    assert (record.read, record.readv, record.write, record.filesize) == (700, 300, 0, 1000)
    assert (record.start_time, record.end_time, record.operation_time) == (None, T, None), "it began with the server"
    assert (record.read_bytes_at_close, record.read_operations, record.read_average) == (None, None, None)
    assert (record.read_single_average, record.read_vector_operations) == (70.0, 2)
    assert (record.HasFileCloseMsg, record.incomplete, record.final) == (None, None, True)


def test_a_record_of_the_collector_in_go_without_open_and_user() -> None:
    record = file_of(
        go(filename="unknown", user="a1b2c3d4", host="unknown", protocol="unknown", logical_dirname="unknown directory",
           dirname1="unknown directory", site="UNKNOWN")
    )  # fmt: skip
    assert record.incomplete == ["no_open", "no_user", "no_path"]
    assert (record.user, record.session_tag, record.filename, record.logical_dirname, record.site) == (None,) * 5


def test_a_version_in_go_that_knows_when_a_file_was_opened_is_believed() -> None:
    record = file_of(go(start_time=T - 60))
    assert (record.start_time, record.operation_time) == (T - 60, 60)


def test_a_record_of_the_collector_in_python_has_its_times_in_seconds() -> None:
    record = file_of(python())
    assert (record.start_time, record.end_time, record.operation_time) == (T - 60, T, 60)
    assert (record.user_dn, record.vo, record.site, record.ipv6, record.appinfo) == ("/DC=org/CN=Alice", "cms", None,
                                                                                    True, "xrdcp")  # fmt: skip
    assert (record.read_bytes_at_close, record.read_average, record.incomplete) == (1000, 83.3, None)


def test_a_record_of_the_collector_in_python_without_open_and_server() -> None:
    record = file_of(
        python(HasFileCloseMsg=0, filename="missing directory", logical_dirname="missing directory", filesize="-1",
               user=None, serverID=None, start_time=T * 1000, operation_time=0)
    )  # fmt: skip
    assert record.incomplete == ["no_open", "no_user", "no_path"]
    assert (record.filename, record.filesize, record.stod, record.start_time) == (None, None, 0, None)
    assert (record.end_time, record.HasFileCloseMsg) == (T, None)


@pytest.mark.parametrize("divide", [1, 1000])
def test_a_record_in_the_wlcg_form_in_either_unit_of_time(divide: int) -> None:
    record = file_of(wlcg(start_time=(T - 60) * 1000 // divide, end_time=T * 1000 // divide))
    assert (record.start_time, record.end_time, record.operation_time) == (T - 60, T, 60)
    assert (record.filename, record.site, record.host) == ("/store/data/f", "T2_XX", "w1.example.org")
    assert (record.read, record.readv, record.write, record.filesize) == (700, 300, 0, 1000)
    assert (record.user, record.user_dn, record.session_tag) == ("Alice", "/DC=org/CN=Alice", None)


def test_our_own_wlcg_form_keeps_its_record_id() -> None:
    unique = f"{5:032x}.p"
    record = file_of(wlcg(unique_id=unique))
    assert (record.record_id, record.access_id, record.final) == (unique, f"{5:032x}", False)


def test_an_id_is_made_of_all_that_is_said_whatever_the_order() -> None:
    one, two = go(), dict(reversed(go().items()))
    assert file_of(one).record_id == file_of(two).record_id
    assert file_of(one).file_id == file_of(two).file_id
    other = go(**{"@timestamp": "2025-10-09T08:53:21.123456790Z"})
    assert file_of(one).record_id != file_of(other).record_id
    assert file_of(one).file_id != file_of(other).file_id, "another access, not the same one twice"


@pytest.mark.parametrize("given", [{}, {"a": 1}, {"filename": "/f", "read": 1}, {"from": "192.0.2.1"}])
def test_what_is_in_no_known_form_is_left_to_others(given: dict[str, Any]) -> None:
    assert adapt(given) is None


@pytest.mark.parametrize("bytes_read", [-1, 2**63, "700", 1.5, True])
def test_bytes_that_cannot_be_right_are_named(bytes_read: object) -> None:
    with pytest.raises(ValueError, match="has no number of bytes from 0 to 2"):
        adapt(go(read=bytes_read))


def test_events_keep_what_they_say() -> None:
    kinds = {}
    for given in (cache(), {"tpc_protocol": "http", "source": "a", "destination": "b"}, {"from": "x", "hostname": "y"}):
        adapted = adapt(given)
        assert adapted is not None
        assert adapted.producer == "osg-events"
        assert {name: adapted.record[name] for name in given} == given
        kinds[adapted.record["kind"]] = adapted.record["record_id"]
    assert list(kinds) == ["cache", "tpc", "tcp"]
    assert len(set(kinds.values())) == 3
    with_id = adapt(cache(metadata={"_id": "an-id"}))
    assert with_id is not None
    assert with_id.record["record_id"] == "an-id"


SENT = {"sid": f"{T - 9}#192.0.2.1:9930", "server_ip": "192.0.2.1", "from": "192.0.2.1:9930"}
CACHE_AS_SENT = {
    "event": "file_close", "lfn": "/user/alice/f", "size": 1000, "blk_size": 100, "n_blks": 10, "n_blks_done": 10,
    "access_cnt": 1, "attach_t": T - 60, "detach_t": T, "remotes": ["o1"], "b_hit": 600, "b_miss": 300, "b_bypass": 100,
}  # fmt: skip


@pytest.mark.parametrize(
    ("given", "kind", "day"),
    [
        (CACHE_AS_SENT | SENT, "cache", T // DAY),
        (CACHE_AS_SENT | {"hostname": "unresolvable", "addr": "192.0.2.1", "port": 9930}, "cache", T // DAY),
        ({"TPC": "http", "Client": "alice", "Src": "a", "Dst": "b", "Size": 5,
          "Xeq": {"Beg": "2025-10-01T00:00:00Z", "End": "2025-10-02T00:00:00Z", "RC": 0}} | SENT, "tpc", 20_363),
        ({"type": "tcpstats", "remote": "192.0.2.9", "rtt": 5} | SENT, "tcp", 0),
        ({"event": "throttle_update", "io_wait": 1} | SENT, "event", 0),
    ],
)  # fmt: skip
def test_events_that_were_passed_on_as_servers_send_them(
    any_world: Any, given: dict[str, Any], kind: str, day: int
) -> None:
    store = any_world.store
    body = msgspec.json.encode(given)
    result = store.load([body, body], 3.0)
    assert (result.other, result.repeated, result.bad) == (1, 1, 0)
    assert result.producers == {"osg-events": 2}
    with store.database.read() as connection:
        (row,) = connection.execute(schema.other_kind.select())
    assert (row.kind, row.server, row.day) == (kind, "192.0.2.1", day)
    if kind == "cache":
        (use,) = store.cache_use()
        assert (use.hit, use.miss, use.bypass) == (600, 300, 100)


def test_records_of_other_collectors_are_summed_up_like_our_own(any_world: Any) -> None:
    store = any_world.store
    given = [go(), go(read=1), python(), wlcg(), cache(), {"a": 1}, go(write=-1)]
    result = store.load([msgspec.json.encode(record) for record in given], 1.0)
    assert (result.foreign, result.other, result.bad) == (4, 1, 2)
    assert result.producers == {"osg-go": 2, "osg-python": 1, "wlcg": 1, "osg-events": 1}
    assert set(result.producers) == set(PRODUCERS)
    assert sorted(result.problems) == [
        "a record of another collector has no number of bytes from 0 to 2^63 − 1 as 'write'",
        'not a record: a JSON object without "kind", in no form of another collector either',
    ]
    assert {row.group: row.read + row.readv for row in store.usage("org")} == {"ligo": 1301, "cms": 2000}
    (use,) = store.cache_use()
    assert (use.server, use.hit) == ("c1.example.org", 600)
    assert store.load([msgspec.json.encode(record) for record in given[:4]], 2.0).repeated == 4


def test_another_collectors_record_of_a_request_of_ours_answers_for_it(world: Any) -> None:
    world.begin()
    a, b = world.ask(2)
    bodies = [
        msgspec.json.encode(go(user=a.tag, filename=a.path, read=a.size, readv=0)),
        msgspec.json.encode(python(user=None, appinfo=f"tally:{b.tag}", filename=b.path, read=b.size, readv=0)),
    ]
    result = world.store.load(bodies, world.tick())
    assert result == LoadResult(final=2, repeats={world.repeat: 2}, producers={"osg-go": 1, "osg-python": 1})
    (record,) = world.store.records_of(1)
    assert (record.read, record.final, record.server) == (a.size, True, "c1.example.org")
    (record,) = world.store.records_of(2)
    assert record.flags.incomplete == ["no_user"]
