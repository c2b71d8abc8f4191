"""Records of other kinds than ``file``, through the whole correlator."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import jsonschema
import pytest

from collector.correlate import Correlator, Options
from collector.records import schema

T = 1_700_000_001.0
A = "192.0.2.1:40000"


def validator(kind: str) -> Any:
    return jsonschema.Draft202012Validator(schema(kind))


def feed(correlator: Correlator, *datagrams: bytes, t: float = T, remote: str = A) -> None:
    for data in datagrams:
        correlator.feed(data, remote, t)


def taken(correlator: Correlator) -> list[dict[str, Any]]:
    return [json.loads(record.body) for record in correlator.take()]


@pytest.fixture
def server(kit: Any) -> Any:
    return kit.Server()


@pytest.fixture
def correlator() -> Correlator:
    return Correlator()


def text_header(server: Any, number: int, provider: str = "C", code: str = "g", **src: Any) -> bytes:
    header = {"code": code, "pseq": number, "stod": server.stod, "sid": server.sid, "src": src}
    if code == "g":
        header["gs"] = {"type": provider, "tbeg": 10, "tend": 20}
    return json.dumps(header).encode()


CLOSE = (
    b'{"event":"file_close","lfn":"/store/f","size":10,"blk_size":5,"n_blks":2,"n_blks_done":1,"access_cnt":3,'
    b'"attach_t":1,"detach_t":2,"remotes":["o:1094"],"b_hit":1,"b_miss":2,"b_bypass":3,"b_todisk":4,"b_prefetch":5,'
    b'"n_cks_errs":0}'
)


def test_cache_events_are_renamed_and_derived(server: Any, correlator: Correlator) -> None:
    feed(correlator, server.ident(), server.events("C", CLOSE, begin=100, end=110))
    (event,) = taken(correlator)
    expected = {
        "kind": "cache", "schema": 1, "event": "file_close", "file_path": "/store/f", "size": 10, "block_size": 5,
        "numbers_blocks": 2, "numbers_blocks_done": 1, "access_count": 3, "attach_time": 1, "detach_time": 2,
        "remotes_origin": ["o:1094"], "bytes_hit_cache": 1, "bytes_miss_cache": 2, "bytes_bypass_cache": 3,
        "bytes_to_disk": 4, "bytes_by_prefetch": 5, "numbers_checksum_errors": 0, "bytes_read_by_remote": 7,
        "bytes_explicit_remote_read": 2, "sid": str(server.sid), "server_ip": "192.0.2.1",
        "server_hostname": "se01.example.org", "site": "SITE-A", "tbeg": 100, "tend": 110, "from": "192.0.2.1",
    }  # fmt: skip
    assert expected.items() <= event.items()


def test_what_is_derived_needs_its_parts(server: Any, correlator: Correlator) -> None:
    lines = [b'{"event":"file_close","b_todisk":4,"b_bypass":3}', b'{"event":"file_close","b_todisk":4,"b_prefetch":5}']
    feed(correlator, server.ident(), server.events("C", *lines))
    one, two = taken(correlator)
    assert one["bytes_read_by_remote"] == 7
    assert not {"bytes_explicit_remote_read"} & one.keys()
    assert not {"bytes_read_by_remote", "bytes_explicit_remote_read"} & two.keys()


@pytest.mark.parametrize(
    ("provider", "line", "kind"),
    [
        ("T", b'{"type":"tcpstats","rtt":5}', "tcp"), ("R", b'{"event":"throttle_update","io_total":9}', "throttle"),
        ("P", b'{"TPC":"http","Size":5}', "tpc"), ("X", b'{"what":"else"}', "event"),
        ("C", b'{"event":"update","lfn":"/store/f","b_hit":7}', "event"), ("C", b'{"lfn":"/store/f"}', "event"),
    ],
)  # fmt: skip
def test_other_providers(provider: str, line: bytes, kind: str, server: Any, correlator: Correlator) -> None:
    feed(correlator, server.ident(), server.events(provider, line))
    (event,) = taken(correlator)
    assert event["kind"] == kind
    assert (event["hostname"], event["from"], event["site"]) == ("se01.example.org", "192.0.2.1", "SITE-A")
    if kind != "tpc":
        assert json.loads(line).items() <= event.items()


def test_an_event_cannot_pass_for_another_record(server: Any, correlator: Correlator) -> None:
    line = b'{"event":"throttle_update","kind":"file","schema":99,"record_id":"x","server_id":"1","site":"OTHER","a":1}'
    feed(correlator, server.ident(), server.events("R", line))
    (event,) = taken(correlator)
    assert (event["kind"], event["schema"], event["server_id"], event["site"]) == (
        "throttle",
        1,
        str(server.sid),
        "SITE-A",
    )
    assert len(event["record_id"]) == 32


def test_an_event_cannot_say_where_it_comes_from(kit: Any, server: Any, correlator: Correlator) -> None:
    """The server has not named itself: what the event claims is not taken for its name."""
    claim = (
        b'"site":5,"port":-1,"server_hostname":"evil","version":null,"instance":[],"hostname":{},"tbeg":"x","lost":3'
    )
    feed(correlator, server.events("T", b'{"type":"tcpstats",%b}' % claim))
    correlator.advance(T + 60)
    (record,) = taken(correlator)
    validator("tcp").validate(record)
    assert not {"site", "port", "server_hostname", "version", "instance", "hostname"} & record.keys()
    assert (record["type"], record["lost"], record["server"], record["tbeg"]) == (
        "tcpstats", 3, "192.0.2.1", server.stod + 10,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("provider", "line"),
    [
        ("C", b'{"event":"file_close","lfn":7}'),
        ("C", b'{"event":"file_close","lfn":"/a","size":"5"}'),
        ("C", b'{"event":"file_close","b_hit":true}'),
        ("C", b'{"event":"file_close","remotes":["h:1",5]}'),
        ("C", b'{"event":"file_close","vo":{}}'),
        ("P", b'{"TPC":"http","Xeq":{"Beg":5}}'),
        ("P", b'{"TPC":"http","Xeq":{"End":""}}'),
    ],
)
def test_values_of_a_wrong_type_lose_their_line(
    provider: str, line: bytes, server: Any, correlator: Correlator
) -> None:
    good = b'{"event":"file_close","lfn":"/a","size":5}' if provider == "C" else b'{"TPC":"http","xeq":5}'
    feed(correlator, server.ident(), server.events(provider, line, good))
    (record,) = taken(correlator)
    validator(record["kind"]).validate(record)
    assert correlator.counters["rejected{event}"] == 1


@pytest.mark.parametrize("port", ["-1", "65536", "99999999999999999"])
def test_a_port_that_cannot_be_one_is_not_known(port: str, kit: Any, server: Any, correlator: Correlator) -> None:
    text = f"=/root.1:{server.sid}@se\n&site=S&port={port}&inst=i&pgm=xrootd&ver=v5.5.3"
    feed(correlator, server.map("=", 0, text), server.login(1), server.info(2))
    feed(correlator, server.files(kit.opened(5), kit.closed(5, 1)))
    (record,) = taken(correlator)
    validator("file").validate(record)
    assert "port" not in record
    assert record["site"] == "S"


def test_ids_are_the_same_when_read_again_and_differ_between_events(server: Any) -> None:
    lines = [b'{"event":"throttle_update","io_total":9}'] * 2
    data = [server.ident(), server.events("R", *lines, begin=5, end=6), server.events("R", *lines, begin=6, end=7)]
    found = []
    for _ in range(2):
        correlator = Correlator()
        feed(correlator, *data)
        found.append([event["record_id"] for event in taken(correlator)])
    assert found[0] == found[1]
    assert len(set(found[0])) == 4


def test_text_streams_from_another_socket_are_the_same_server(server: Any, correlator: Correlator) -> None:
    """Each text stream has a socket of its own: it is joined by sid, stod and address."""
    feed(correlator, server.ident())
    feed(correlator, text_header(server, 1) + b"\n" + CLOSE + b"\0", remote="192.0.2.1:50001")
    (event,) = taken(correlator)
    assert (event["site"], event["port"], event["tbeg"]) == ("SITE-A", 1094, 10)
    assert correlator.counters["state_servers"] == 1


def test_text_streams_name_the_server_themselves(server: Any, correlator: Correlator) -> None:
    source: dict[str, Any] = {
        "site": "S",
        "host": "h.example.org",
        "port": 5,
        "inst": "i",
        "pgm": "xrootd",
        "ver": "v6",
    }
    feed(correlator, text_header(server, 1, code="=", **source) + b"\0", remote="192.0.2.1:50001")
    feed(correlator, text_header(server, 1) + b"\n" + CLOSE + b"\0", remote="192.0.2.1:50002")
    (event,) = taken(correlator)
    assert (event["site"], event["server"], event["version"]) == ("S", "h.example.org", "v6")


def test_text_streams_count_to_999(kit: Any, server: Any, correlator: Correlator) -> None:
    for number in (997, 998, 999, 0, 2):
        feed(correlator, text_header(server, number) + b"\n" + CLOSE + b"\0", remote="192.0.2.1:50001")
    feed(correlator, text_header(server, 2) + b"\n" + CLOSE + b"\0", remote="192.0.2.1:50001")
    correlator.drain(T + 1)
    (gap,) = kit.gaps(correlator)
    assert (gap["class"], gap["after"], gap["missing"]) == ("GC text", 0, 1)
    assert correlator.counters["duplicates"] == 1


@pytest.mark.parametrize(
    ("version", "gaps"), [("v5.0.3", 0), ("v5.1.1", 0), ("v5.1", 0), ("v5.2.0", 2), ("v5.10.0", 2)]
)
def test_text_streams_before_5_2_number_all_that_they_send_with_one_counter(
    version: str, gaps: int, kit: Any, server: Any, correlator: Correlator
) -> None:
    for number, code in enumerate("g=g=g", 1):
        body = b"\n" + CLOSE if code == "g" else b""
        feed(correlator, text_header(server, number, code=code, ver=version) + body + b"\0", remote="192.0.2.1:50001")
    correlator.drain(T + 1)
    assert len([gap for gap in kit.gaps(correlator) if gap["class"] == "GC text"]) == gaps
    assert len(kit.gaps(correlator)) == (gaps and 3)


def test_one_counter_that_becomes_known_late_has_not_lost_what_came_before(kit: Any, correlator: Correlator) -> None:
    feed(correlator, kit.Server(sid=5).ident())
    server = kit.Server(stod=int(T) + 100)
    feed(correlator, text_header(server, 1) + b"\n" + CLOSE + b"\0", remote="192.0.2.1:50001", t=T + 101)
    feed(correlator, text_header(server, 2, code="=", ver="v5.1.1") + b"\0", remote="192.0.2.1:50001", t=T + 102)
    feed(correlator, text_header(server, 4) + b"\n" + CLOSE + b"\0", remote="192.0.2.1:50001", t=T + 103)
    correlator.drain(T + 104)
    assert [(gap["class"], gap["after"], gap["missing"]) for gap in kit.gaps(correlator)] == [("G text", 2, 1)]


def test_text_without_a_header_is_known_by_its_address(server: Any, correlator: Correlator) -> None:
    feed(correlator, CLOSE + b"\0", remote="192.0.2.1:50001")
    assert correlator.counters["rejected{no_server}"] == 1
    feed(correlator, server.ident())
    feed(correlator, CLOSE + b"\n" + CLOSE + b"\0", remote="192.0.2.1:50001", t=T + 1)
    feed(correlator, CLOSE + b"\0", remote="192.0.2.1:50001", t=T + 2)
    events = taken(correlator)
    assert [event["site"] for event in events] == ["SITE-A"] * 3
    assert len({event["record_id"] for event in events}) == 3
    feed(correlator, b'{"what":"is this"}', remote="192.0.2.1:50001")
    assert correlator.counters["rejected{unknown}"] == 1


def test_dictionaries_of_text_streams_are_followed_and_give_no_records(server: Any, correlator: Correlator) -> None:
    header = json.loads(text_header(server, 1, code="d"))
    feed(correlator, json.dumps(header | {"did": 5, "data": "/f"}).encode() + b"\0", remote="192.0.2.1:50001")
    assert taken(correlator) == []
    assert correlator.counters["decoded"] == 1


def test_events_wait_for_the_name_of_a_young_server(server: Any, correlator: Correlator) -> None:
    ident = server.ident()
    feed(correlator, server.events("C", CLOSE))
    assert taken(correlator) == []
    feed(correlator, ident)
    assert taken(correlator)[0]["site"] == "SITE-A"


def test_redirections(server: Any, correlator: Correlator) -> None:
    feed(correlator, server.ident(), server.login(1), server.info(2))
    text = b"[2001:db8::2]:/store/f"
    slots = struct.pack(">II", 5, 100) + struct.pack(">BBHI", 0x85, 3, 1094, 1) + text.ljust(24, b"\0")
    slots += struct.pack(">BBHI", 0x96, 2, 1095, 9) + b"se02:/store/g".ljust(16, b"\0") + struct.pack(">II", 5, 105)
    feed(correlator, server._header(b"r", "M", struct.pack(">Q", 0xF0 << 56 | server.sid) + slots))
    (cluster,) = taken(correlator)
    assert (cluster["decided_by"], cluster["operation"], cluster["target_host"]) == (
        "cluster",
        "open_read",
        "2001:db8::2",
    )
    assert (cluster["user"], cluster["appinfo"], cluster["filename"]) == ("alice", "app", "/store/f")
    assert (cluster["time_min"], cluster["time_max"]) == (100, 105)
    assert "target_port" not in cluster
    correlator.advance(T + 21)  # the other one's session never comes
    (local,) = taken(correlator)
    assert (local["decided_by"], local["operation"], local["target_port"]) == ("server", "open_write", 1095)
    assert "user" not in local


def test_purges(server: Any, correlator: Correlator) -> None:
    feed(correlator, server.ident())
    text = f"=/root.5:{server.sid}@h\n/store/old\n&tod=100&sz=5&at=1&ct=2&mt=3&fn=p"
    feed(correlator, server.map("p", 0, text))
    (event,) = taken(correlator)
    expected = {
        "kind": "purge",
        "filename": "/store/old",
        "purge_time": 100,
        "filesize": 5,
        "atime": 1,
        "ctime": 2,
        "mtime": 3,
    }
    assert expected.items() <= event.items()
    assert event["name_type"] == "physical"
    assert "user" not in event


def test_summaries_are_told_once(correlator: Correlator) -> None:
    data = b'<statistics tod="100" src="se01:1094" tos="5" site="S"><stats id="link"><in>5</in></stats></statistics>'
    feed(correlator, data, data)
    feed(correlator, b'{"statistics":{"tod":100,"src":"se01:1094","stats_link":{"in":5}}}')
    one, other = taken(correlator)
    assert one["stats"] == other["stats"] == {"link": {"in": 5}}
    assert (one["server"], one["source"], one["site"], one["server_ip"]) == ("se01", "se01:1094", "S", "192.0.2.1")
    assert correlator.counters["duplicates"] == 1


def test_paths_that_are_no_text(kit: Any, server: Any, correlator: Correlator) -> None:
    raw = b"/store/\xff\xfe"
    feed(correlator, server.ident(), server.login(1), server.info(2, "caf\u00e9"))
    feed(correlator, server.files(kit.opened(5, path=raw), kit.closed(5, 1)))
    (record,) = taken(correlator)
    assert record["filename"] == "/store/\ufffd\ufffd"
    assert base64.b64decode(record["filename_b64"]) == raw
    assert record["appinfo"] == "caf\u00e9"


def test_wlcg_forms_of_events(server: Any) -> None:
    correlator = Correlator(Options(wlcg=True, wlcg_only=True, host="c"))
    feed(correlator, server.ident(), server.events("C", CLOSE, b'{"event":"file_close","lfn":"/other"}'))
    feed(correlator, server.map("=", 0, b"ignored"))
    records = correlator.take()
    assert [record.kind for record in records] == ["wlcg-cache", "cache"]
    assert json.loads(records[0].body)["metadata"]["type"] == "metric"
    other = Correlator(Options(wlcg=True))
    feed(other, server.ident(), server.events("P", b'{"TPC":"xroot","Src":"root://a//x","Dst":"root://b:1//store/y"}'))
    assert [record.kind for record in other.take()] == ["tpc", "wlcg-tpc"]


B = "192.0.2.1:40001"


def redirections(server: Any, number: int, text: bytes = b"se02:/store/g", user: int = 1) -> bytes:
    server.next["M"] = number
    slots = struct.pack(">II", 5, 100) + struct.pack(">BBHI", 0x95, 2, 1095, user)
    slots += text.ljust(16, b"\0") + struct.pack(">II", 5, 105)
    return server._header(b"r", "M", struct.pack(">Q", 0xF0 << 56 | server.sid) + slots)


def test_two_destinations_tell_an_event_once(server: Any, correlator: Correlator) -> None:
    """Maps and redirections are numbered by destination, and the second one has not been sent every map."""
    ident, login, info = server.ident(), server.login(1), server.info(2)
    purge = f"=/root.5:{server.sid}@h\n/store/old\n&tod=100&sz=5&at=1&ct=2&mt=3&fn=p"
    event = server.events("P", b'{"TPC":"xroot","Dst":"root://a//store/f"}')
    feed(correlator, ident, login, info, redirections(server, 3), server.map("p", 0, purge), event)
    server.next["M"] = 2
    feed(correlator, ident, redirections(server, 1), server.map("p", 0, purge), event, remote=B)
    rows, _ = correlator.changes()
    again = Correlator()
    again.restore(rows)
    assert sorted(record["kind"] for record in taken(correlator)) == ["purge", "redirect", "tpc"]
    for later in (correlator, again):
        feed(later, redirections(server, 3), remote="192.0.2.1:40002")
        assert taken(later) == []


def test_what_one_destination_tells_twice_are_two_events(server: Any, correlator: Correlator) -> None:
    """The buffers are filled in turn: the same redirection in the same window comes in two datagrams."""
    feed(correlator, server.ident(), server.login(1), server.info(2))
    feed(correlator, redirections(server, 3), redirections(server, 4))
    feed(correlator, redirections(server, 1), redirections(server, 2), remote=B)
    idle = b'{"event":"throttle_update","io_wait":0.0,"io_active":0,"io_total":0}'
    feed(correlator, server.events("R", idle), server.events("R", idle))
    ids = [(record["kind"], record["record_id"]) for record in taken(correlator)]
    assert [kind for kind, _ in ids] == ["redirect", "redirect", "throttle", "throttle"]
    assert len(set(ids)) == 4


def test_an_event_that_waits_on_two_addresses_of_one_process_is_told_once(server: Any, correlator: Correlator) -> None:
    ident, sent, other = server.ident(), redirections(server, 2, user=9), "192.0.2.2:40000"
    for remote in (A, other):
        feed(correlator, sent, remote=remote)  # its session has not come yet
    for remote in (A, other):
        feed(correlator, ident, remote=remote)
    correlator.advance(T + 30)
    assert len(taken(correlator)) == 1


def test_redirections_of_a_vo_are_routed_and_dropped_by_it(server: Any) -> None:
    routed, dropping = Correlator(), Correlator(Options(drop_vos=frozenset({"cms"})))
    for correlator in (routed, dropping):
        feed(correlator, server.ident(), server.login(1, "&o=CMS&I=4"), server.info(2))
        feed(correlator, redirections(server, 3))
        server.next["M"] = 0
    (record,) = routed.take()
    assert (record.kind, record.vo) == ("redirect", "cms")
    assert dropping.take() == []
    assert dropping.counters["dropped{vo}"] == 1


def test_an_unknown_event_names_its_provider(server: Any, correlator: Correlator) -> None:
    feed(correlator, server.ident(), server.events("C", b'{"event":"update"}'), server.events("X", b'{"a":1}'))
    assert [event["provider"] for event in taken(correlator)] == ["pfc", "X"]


def test_a_name_that_is_no_utf8_keeps_its_bytes(server: Any, correlator: Correlator) -> None:
    """Two files whose names differ in a byte that is no UTF-8 must not look the same."""
    lines = [
        b'{"event":"file_close","lfn":"/d/J\xe9"}',
        b'{"event":"file_close","lfn":"/d/J\xe8","n":{"\xff":["\xfe"]}}',
    ]
    feed(correlator, server.ident(), server.events("C", *lines))
    one, two = taken(correlator)
    assert one["file_path"] == two["file_path"] == "/d/J\ufffd"
    assert [base64.b64decode(event["file_path_b64"]) for event in (one, two)] == [b"/d/J\xe9", b"/d/J\xe8"]
    assert two["n"] == {"\ufffd": ["\ufffd"]}


def test_http_is_a_row_for_each_verb_and_status(server: Any, correlator: Correlator) -> None:
    zero = b'"HTTP_PUT_201":{"count":0,"success":0}'
    get = b'"HTTP_GET_200":{"count":%d,"errors_network":1,"success":2,"duration_seconds":0.1}'
    line = b"{" + b",".join([get % 3, zero, b'"HTTP_HEAD_404":{"count":1}', get % 4, b'"other":5']) + b"}"
    feed(correlator, server.ident(), server.events("H", line, b"{}"))
    rows = taken(correlator)
    names = ("verb", "status", "count", "errors_network", "success", "duration_seconds")
    assert [tuple(row.get(name) for name in names) for row in rows] == [
        ("GET", 200, 7, 2, 4, 0.2),
        ("HEAD", 404, 1, None, None, None),
    ]
    assert len({row["record_id"] for row in rows}) == 2
    assert not any(name.startswith("HTTP_") for row in rows for name in row)


def statistics(kit: Any, server: Any, correlator: Correlator, *seconds: int, each: int = 2) -> list[dict[str, Any]]:
    """What becomes of storage statistics said at these seconds after the start, `each` reads a second."""
    for second in seconds:
        line = b'{"event":"oss_stats","reads":%d,"read_t":%.4f}' % (second * each, second / 10)
        time = server.stod + second
        feed(correlator, server.events("O", line, begin=time), t=T + second)
    return [event for event in taken(correlator) if event["kind"] == "oss"]


def test_storage_statistics_become_differences(kit: Any, server: Any, correlator: Correlator) -> None:
    feed(correlator, server.ident())
    first, second = statistics(kit, server, correlator, *range(1, 131))
    assert [(e["reads"], e["read_t"], e["interval"]) for e in (first, second)] == [(120, 6.0, 60)] * 2
    assert (first["tbeg"], first["tend"], second["tend"]) == (server.stod, server.stod + 60, server.stod + 120)
    correlator.drain(T + 131)
    (rest,) = taken(correlator)
    assert (rest["reads"], rest["interval"]) == (20, 10)
    assert len({e["record_id"] for e in (first, second, rest)}) == 3


def test_statistics_of_a_server_that_was_running_begin_with_the_first_heard(
    kit: Any, server: Any, correlator: Correlator
) -> None:
    feed(correlator, server.ident())
    (event,) = statistics(kit, server, correlator, *range(5000, 5061))
    assert (event["reads"], event["tbeg"]) == (120, server.stod + 5000)


def test_statistics_that_come_late_or_twice_say_nothing_new(kit: Any, server: Any, correlator: Correlator) -> None:
    feed(correlator, server.ident())
    (event,) = statistics(kit, server, correlator, 1, 30, 20, 30, 60, 59)
    assert (event["reads"], event["interval"]) == (120, 60)


def test_statistics_survive_a_restart(kit: Any, server: Any, correlator: Correlator) -> None:
    feed(correlator, server.ident())
    assert not statistics(kit, server, correlator, *range(1, 40))
    put, _ = correlator.changes()
    later = Correlator(Options())
    later.restore(put)
    (event,) = statistics(kit, server, later, *range(40, 70))
    assert (event["reads"], event["tbeg"], event["interval"]) == (120, server.stod, 60)


def test_statistics_of_a_server_that_falls_silent_are_written(kit: Any, server: Any, correlator: Correlator) -> None:
    feed(correlator, server.ident())
    assert not statistics(kit, server, correlator, 1, 2, 3)
    correlator.advance(T + 200)
    (event,) = taken(correlator)
    assert (event["kind"], event["reads"]) == ("oss", 6)


def test_a_datagram_in_an_envelope_is_its_servers(kit: Any, server: Any, correlator: Correlator) -> None:
    """An OSG shoveler can forward its envelopes by UDP."""
    body = base64.b64encode(server.ident()).decode()
    envelope = json.dumps({"data": body, "remote": "192.0.2.9:40000", "version": "1.4.0"}).encode()
    feed(correlator, envelope, remote="127.0.0.1:5555")
    assert correlator.counters["datagrams"] == correlator.counters["decoded"] == 1
    assert correlator.status()["192.0.2.9:40000"]["decoded"] == 1
    assert [inc["host"] for inc in correlator.dump()["incarnations"]] == ["se01.example.org"]
    twice = json.dumps({"data": base64.b64encode(envelope).decode(), "remote": "192.0.2.9:1"}).encode()
    bad = (twice, b'{"data":"?","remote":"192.0.2.9:1"}', b'{"data":5,"remote":"h.x"}', b'{"data":"eA==","remote":"?"}')
    for data in bad:
        feed(correlator, data, remote="127.0.0.1:5555")
    assert correlator.counters["rejected{envelope}"] == len(bad)
