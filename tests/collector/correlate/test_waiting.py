"""What waits, for what, and for how long; what is given up, when, and under which name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from collector.advice import SENTENCES
from collector.correlate import Correlator, Options
from collector.correlate.sequence import REORDER

T = 1_700_000_001.0
A = "192.0.2.1:40000"


def feed(correlator: Correlator, *datagrams: bytes, t: float = T) -> None:
    for data in datagrams:
        correlator.feed(data, A, t)


def taken(correlator: Correlator) -> list[dict[str, Any]]:
    return [json.loads(record.body) for record in correlator.take()]


@pytest.fixture
def server(kit: Any) -> Any:
    return kit.Server()


@pytest.fixture
def correlator() -> Correlator:
    return Correlator()


def test_what_is_complete_does_not_wait(kit: Any, server: Any, correlator: Correlator) -> None:
    feed(correlator, server.ident(), server.login(1), server.info(2), server.files(kit.opened(5), kit.closed(5, 1)))
    assert len(taken(correlator)) == 1
    assert correlator.status()[A]["held"] == 0


def test_a_close_waits_for_its_open(kit: Any, server: Any, correlator: Correlator) -> None:
    feed(correlator, server.ident(), server.login(1), server.info(2))
    opened, closed = server.files(kit.opened(5)), server.files(kit.closed(5, 1))
    feed(correlator, closed)
    assert correlator.status()[A]["held"] == 1
    feed(correlator, opened, t=T + 19)
    (record,) = taken(correlator)
    assert "incomplete" not in record
    assert "sequence_gap" not in record


def test_an_orphan_is_written_after_the_grace(kit: Any, server: Any, correlator: Correlator) -> None:
    feed(correlator, server.ident(), server.login(1), server.info(2), server.files(kit.closed(5, 1)))
    correlator.advance(T + 19)
    assert taken(correlator) == []
    correlator.advance(T + 21)
    assert taken(correlator)[0]["incomplete"] == ["no_open", "no_user", "no_path"]


def test_its_open_is_not_counted_when_it_comes_too_late(kit: Any, server: Any, correlator: Correlator) -> None:
    feed(correlator, server.ident(), server.login(1), server.info(2))
    opened, closed = server.files(kit.opened(5)), server.files(kit.closed(5, 1))
    feed(correlator, closed)
    correlator.advance(T + 21)
    assert len(taken(correlator)) == 1
    feed(correlator, opened, t=T + 22)
    correlator.drain(T + 23)
    assert taken(correlator) == []
    assert correlator.counters["stale"] == 1


def test_when_the_stream_is_whole_an_orphan_does_not_wait(kit: Any, server: Any, correlator: Correlator) -> None:
    """After a start in the middle of everything: nothing that comes could be its open."""
    feed(correlator, server.ident(), server.login(1), server.info(2), *(server.files() for _ in range(REORDER)))
    feed(correlator, server.files(kit.closed(5, 1)))
    assert taken(correlator)[0]["incomplete"] == ["no_open", "no_user", "no_path"]


def test_a_close_waits_for_its_session(kit: Any, server: Any, correlator: Correlator) -> None:
    feed(correlator, server.ident())
    login, info = server.login(1), server.info(2)
    feed(correlator, server.files(kit.opened(5), kit.closed(5, 1)))
    assert taken(correlator) == []
    feed(correlator, info, t=T + 5)
    feed(correlator, login, t=T + 6)
    (record,) = taken(correlator)
    assert (record["user"], record["appinfo"]) == ("alice", "app")


def test_without_a_session_it_is_written_after_the_grace(kit: Any, server: Any, correlator: Correlator) -> None:
    feed(correlator, server.ident(), server.files(kit.opened(5), kit.closed(5, 1)))
    correlator.advance(T + 21)
    (record,) = taken(correlator)
    assert record["incomplete"] == ["no_user"]
    assert record["filename"] == "/store/f"


def test_user_zero_is_nobody_and_waits_for_nothing(kit: Any, server: Any, correlator: Correlator) -> None:
    feed(correlator, server.ident(), server.files(kit.opened(5, user=0), kit.closed(5, 1), kit.gone(0)))
    assert taken(correlator)[0]["incomplete"] == ["no_user"]


def test_a_session_behind_which_nothing_can_come_any_more_has_no_application_info(
    kit: Any, server: Any, correlator: Correlator
) -> None:
    """Networks and relays reorder by a few datagrams: after REORDER more there is nothing to wait for."""
    feed(correlator, server.ident(), server.login(1, user="bob"), server.info(2, user="bob"), server.login(3))
    feed(correlator, server.files(kit.opened(4, user=3), kit.closed(4, 1)))
    feed(correlator, *(server.files() for _ in range(REORDER - 2)))
    correlator.advance(T + 1)
    assert taken(correlator) == []
    feed(correlator, server.files())
    correlator.advance(T + 2)
    (record,) = taken(correlator)
    assert "appinfo" not in record


def test_a_young_session_waits_for_its_application_info(kit: Any, server: Any, correlator: Correlator) -> None:
    feed(correlator, server.ident(), server.login(1), server.files(kit.opened(5), kit.closed(5, 1)))
    assert taken(correlator) == []
    correlator.advance(T + 13)
    (record,) = taken(correlator)
    assert "appinfo" not in record


def test_where_nobody_has_application_info_nobody_waits_for_it(kit: Any, server: Any, correlator: Correlator) -> None:
    feed(correlator, server.ident(), server.login(1), server.files())
    feed(correlator, server.login(2, user="bob"), server.files(kit.opened(5, user=2), kit.closed(5, 1)), t=T + 100)
    assert len(taken(correlator)) == 1


def test_a_server_without_a_name_is_written_all_the_same(kit: Any, server: Any, correlator: Correlator) -> None:
    server.ident()  # lost
    feed(correlator, server.login(1), server.info(2), server.files(kit.opened(5), kit.closed(5, 1)))
    assert taken(correlator) == []
    correlator.advance(T + 13)
    (record,) = taken(correlator)
    assert record["server"] == record["server_ip"] == "192.0.2.1"
    assert "site" not in record
    feed(correlator, server.ident(), server.files(kit.opened(6), kit.closed(6, 1)), t=T + 14)
    assert taken(correlator)[0]["site"] == "SITE-A"


def test_while_a_datagram_is_missing_records_wait_for_it(kit: Any, server: Any, correlator: Correlator) -> None:
    feed(correlator, server.ident(), server.login(1), server.info(2), server.files())
    missing = server.files(kit.opened(6, path="/six"))
    feed(correlator, server.files(kit.opened(5), kit.closed(5, 1)))
    assert correlator.status()[A]["held"] == 1
    feed(correlator, missing)
    correlator.advance(T + 1)
    (record,) = taken(correlator)
    assert "sequence_gap" not in record


def test_a_lost_datagram_is_a_gap_and_marks_what_it_may_concern(kit: Any, server: Any, correlator: Correlator) -> None:
    feed(correlator, server.ident(), server.login(1), server.info(2))
    early = [kit.opened(9, user=77), kit.closed(9, 5)]  # waits for its session until after the gap is known
    feed(correlator, server.files(*early, begin=1_700_000_090, end=1_700_000_095))
    feed(
        correlator, server.files(kit.opened(5), kit.opened(6), kit.closed(6, 1), begin=1_700_000_100, end=1_700_000_110)
    )
    server.files(begin=1_700_000_110, end=1_700_000_120)  # lost
    feed(correlator, server.files(kit.closed(5, 2), kit.opened(7), begin=1_700_000_121, end=1_700_000_130))
    feed(correlator, server.files(kit.closed(7, 3), begin=1_700_000_130, end=1_700_000_140), t=T + 1)
    correlator.advance(T + 25)
    marked = {r["file_id"]: r.get("sequence_gap") for r in taken(correlator)}
    assert marked == {6: None, 5: True, 7: True, 9: None}
    feed(correlator, server.files(kit.opened(8), kit.closed(8, 4), begin=1_700_000_150), t=T + 26)
    assert "sequence_gap" not in taken(correlator)[0]
    (gap,) = kit.gaps(correlator)
    assert gap == {
        "class": "F", "stod": server.stod, "after": 1, "missing": 1,
        "begin": 1_700_000_110, "end": 1_700_000_121, "t_min": T, "t_max": T,
    }  # fmt: skip
    assert correlator.counters["missing{F}"] == 1


def test_disconnect_gives_up_what_is_still_open(kit: Any, server: Any, correlator: Correlator) -> None:
    feed(
        correlator,
        server.ident(),
        server.login(1),
        server.info(2),
        server.login(3, user="bob"),
        server.info(4, user="bob"),
    )
    feed(correlator, server.files(kit.opened(5, 1, "/lost"), kit.moved(5, 9), kit.opened(6, 3, "/kept"), kit.gone(1)))
    correlator.advance(T + 19)
    assert taken(correlator) == []
    correlator.advance(T + 21)
    (record,) = taken(correlator)
    assert (record["filename"], record["read"], record["incomplete"]) == ("/lost", 9, ["no_close"])
    assert record["time_max"] == 1_700_000_010
    assert record["user"] == "alice"


def test_a_file_opened_after_the_disconnect_is_another_sessions(kit: Any, server: Any, correlator: Correlator) -> None:
    feed(correlator, server.ident(), server.login(1), server.info(2), server.files(kit.gone(1)))
    feed(correlator, server.login(1, user="bob"), server.files(kit.opened(5, path="/young"), begin=1_700_000_050))
    correlator.advance(T + 25)
    assert taken(correlator) == []


def test_a_server_without_xfr_is_named(kit: Any, server: Any, correlator: Correlator) -> None:
    """``fstat`` without ``xfr``: opens and disconnects, and never a close."""
    feed(correlator, server.ident())
    for number in range(6):
        feed(correlator, server.login(10 + number), server.info(30 + number))
        feed(correlator, server.files(kit.opened(100 + number, 10 + number), kit.gone(10 + number)), t=T + number)
    correlator.advance(T + 30)
    assert correlator.status()[A]["warnings"] == ["no_closes"]
    records = taken(correlator)
    assert len(records) == 6
    assert records[-1]["known_issue"] == ["fstat_no_xfr"]
    feed(correlator, server.files(kit.opened(200, 0), kit.closed(200)), t=T + 31)
    assert correlator.status()[A]["warnings"] == []


def test_a_server_without_fstat_is_named(server: Any, correlator: Correlator) -> None:
    feed(correlator, server.ident(), *(server.login(10 + n) for n in range(5)))
    assert correlator.status()[A]["warnings"] == []
    correlator.advance(T + 301)
    assert correlator.status()[A]["warnings"] == ["no_fstat"]


def test_a_server_that_has_fallen_silent_is_named(server: Any, correlator: Correlator) -> None:
    for step in range(4):
        feed(correlator, server.ident(), t=T + 300 * step)
    correlator.advance(T + 900 + 700)
    assert correlator.status()[A]["warnings"] == []
    correlator.advance(T + 900 + 800)
    assert correlator.status()[A]["warnings"] == ["silent"]


def test_silence_that_nobody_listened_to_does_not_count(kit: Any, server: Any) -> None:
    """The broker was away, or we were: `resume` says so."""
    correlator = Correlator(Options(ttl=300.0))
    feed(correlator, server.ident(), server.login(1), server.info(2), server.files(kit.opened(5, path="/x")))
    correlator.resume(T + 10_000)
    correlator.advance(T + 10_299)
    assert taken(correlator) == []
    feed(correlator, server.files(kit.closed(5, 1)), t=T + 10_299)
    (record,) = taken(correlator)
    assert record["filename"] == "/x"


def test_listening_again_is_no_reason_to_report_gaps(kit: Any, server: Any, correlator: Correlator) -> None:
    """A server that started while we were away: its first datagrams are not missing, we were."""
    feed(correlator, kit.Server(sid=5).ident())
    correlator.resume(T + 10_000)
    late = kit.Server(stod=1_700_005_000)
    late.next = {"M": 40, "F": 30, "G": 3}
    feed(correlator, late.login(1), late.info(2), late.files(kit.opened(5), kit.closed(5, 1)), t=T + 10_001)
    correlator.drain(T + 10_002)
    (record,) = taken(correlator)
    assert "sequence_gap" not in record


def test_a_server_heard_from_its_start_has_its_first_numbers_missed(
    kit: Any, server: Any, correlator: Correlator
) -> None:
    feed(correlator, kit.Server(sid=5).ident())
    young = kit.Server(stod=int(T) + 100)
    young.ident(), young.files()  # both lost
    feed(correlator, young.login(1), young.info(2), t=T + 101)
    feed(correlator, young.files(kit.opened(5), kit.closed(5, 1)), t=T + 102)
    correlator.drain(T + 103)
    assert [(gap["class"], gap["after"], gap["missing"]) for gap in kit.gaps(correlator)] == [
        ("F", -1, 1),
        ("M", -1, 1),
    ]
    assert taken(correlator)[0]["sequence_gap"] is True


def test_an_open_that_is_never_closed_ends_at_the_latest_by_its_age(kit: Any, server: Any) -> None:
    correlator = Correlator(Options(max_age=10_000.0, ttl=1_000.0))
    feed(correlator, server.ident(), server.login(1), server.info(2), server.files(kit.opened(5)))
    for step in range(1, 25):
        feed(correlator, server.files(kit.moved(5, step)), t=T + step * 500)
        correlator.advance(T + step * 500)
    (record,) = taken(correlator)
    assert record["incomplete"] == ["no_close", "expired"]


def test_draining_writes_everything_and_a_later_close_is_still_complete(
    kit: Any, server: Any, correlator: Correlator
) -> None:
    feed(correlator, server.ident(), server.login(1), server.info(2))
    feed(correlator, server.files(kit.opened(5, path="/open"), kit.moved(5, 4)), server.files(kit.closed(9, 1)))
    correlator.drain(T + 1)
    records = {r["file_id"]: r for r in taken(correlator)}
    assert records[5]["incomplete"] == ["no_close"]
    assert records[9]["incomplete"] == ["no_open", "no_user", "no_path"]
    correlator.drain(T + 2)
    assert taken(correlator) == []
    feed(correlator, server.files(kit.closed(5, 6)), t=T + 3)
    (record,) = taken(correlator)
    assert (record["filename"], record["read"], record["access_id"]) == ("/open", 6, records[5]["access_id"])


def test_progress_of_a_file_opened_before_we_listened(kit: Any, server: Any, correlator: Correlator) -> None:
    feed(
        correlator, server.ident(), server.login(1), server.info(2), server.files(kit.moved(5, 10), begin=1_700_000_100)
    )
    correlator.drain(T + 1)
    (provisional,) = taken(correlator)
    assert (provisional["read"], provisional["incomplete"]) == (10, ["no_open", "no_close", "no_user", "no_path"])
    feed(correlator, server.files(kit.closed(5, 30), begin=1_700_000_200), t=T + 2)
    correlator.advance(T + 60)
    (final,) = taken(correlator)
    assert (final["read"], final["access_id"]) == (30, provisional["access_id"])
    assert "start_time" not in final


def test_progress_never_goes_back(kit: Any, server: Any, correlator: Correlator) -> None:
    feed(correlator, server.ident(), server.login(1), server.info(2), server.files(kit.opened(5)))
    first, second = server.files(kit.moved(5, 10, 20, 30)), server.files(kit.moved(5, 11, 21, 31))
    feed(correlator, second, first)
    correlator.drain(T + 1)
    (record,) = taken(correlator)
    assert (record["read"], record["readv"], record["write"]) == (11, 21, 31)


def test_progress_before_its_open(kit: Any, server: Any, correlator: Correlator) -> None:
    feed(correlator, server.ident(), server.login(1), server.info(2))
    opened, moved = server.files(kit.opened(5, path="/x")), server.files(kit.moved(5, 10))
    feed(correlator, moved, opened)
    correlator.drain(T + 1)
    (record,) = taken(correlator)
    assert (record["filename"], record["read"], record["incomplete"]) == ("/x", 10, ["no_close"])


def test_times_never_run_backwards(kit: Any, server: Any, correlator: Correlator) -> None:
    feed(correlator, server.ident(), server.login(1), server.info(2), server.files(kit.closed(5, 1)), t=T + 100)
    feed(correlator, server.files(), t=T)
    correlator.advance(T + 119)
    assert taken(correlator) == []
    correlator.advance(T + 121)
    assert len(taken(correlator)) == 1


def test_drop_filters_come_first_and_count(kit: Any, server: Any) -> None:
    options = Options(drop_vos=frozenset({"atlas"}), drop_path_prefixes=("/private",), wlcg=True)
    correlator = Correlator(options)
    login = "&p=gsi&n=x&h=h&o={}&r=&g=&m=&I=4"
    feed(correlator, server.ident(), server.login(1, login.format("ATLAS atlas")), server.info(2))
    feed(correlator, server.login(3, login.format("cms"), user="bob"), server.info(4, user="bob"))
    for number in range(5):
        files = [(10, 1, "/store/a"), (11, 3, "/private/b"), (12, 3, "/other/c")]
        ids = [(file_id + number * 10, user, path) for file_id, user, path in files]
        feed(correlator, server.files(*(part for i, u, p in ids for part in (kit.opened(i, u, p), kit.closed(i, 1)))))
    records = correlator.take()
    assert [(r.kind, r.vo) for r in records] == [("file", "cms"), ("wlcg", "cms")] * 5
    assert {json.loads(r.body).get("filename", "/other/c") for r in records} == {"/other/c"}
    assert (correlator.counters["dropped{vo}"], correlator.counters["dropped{path}"]) == (5, 5)


def test_the_wlcg_form_can_replace_the_normal_one(kit: Any, server: Any) -> None:
    correlator = Correlator(Options(wlcg=True, wlcg_only=True, host="collector.example.org"))
    feed(correlator, server.ident(), server.login(1), server.info(2))
    feed(
        correlator,
        server.files(kit.opened(5, path="/store/a"), kit.closed(5, 1), kit.opened(6, path="/b"), kit.closed(6, 1)),
    )
    records = correlator.take()
    assert [record.kind for record in records] == ["wlcg", "file"]
    assert json.loads(records[0].body)["metadata"]["host"] == "collector.example.org"
    assert json.loads(records[0].body)["unique_id"] == records[0].record_id


def test_names_of_addresses_come_from_a_look_up_that_does_not_wait(kit: Any, server: Any) -> None:
    known: dict[str, str] = {}
    correlator = Correlator(Options(names=known.get))
    server.ident()  # lost: the server's name has to be looked up, too
    feed(correlator, server.login(1), server.info(2))
    feed(correlator, *(server.files(kit.opened(9 + n), kit.closed(9 + n, 1)) for n in range(REORDER)))
    correlator.take()
    known.update({"192.0.2.9": "c9.example.org", "192.0.2.1": "se.example.net"})
    feed(correlator, server.files(kit.opened(5), kit.closed(5, 1)))
    record = taken(correlator)[-1]
    assert (record["host"], record["user_domain"]) == ("192.0.2.9", "example.org")
    assert (record["server"], record["server_hostname"]) == ("se.example.net", "se.example.net")


def test_known_issue_of_a_third_party_copy(kit: Any, server: Any, correlator: Correlator) -> None:
    feed(correlator, server.ident(), server.login(1), server.info(2))
    event = b'{"TPC":"xroot","Client":"a.1:2@h","Xeq":{"Beg":"2026-01-01T00:00:00.5Z"},"Src":"root://a//s/x","Dst":"root://b//d/x"}'
    feed(correlator, server.events("P", event))
    feed(
        correlator,
        server.files(
            kit.opened(5, path="/d/x", flags=3), kit.closed(5), kit.opened(6, path="/d/y", flags=3), kit.closed(6)
        ),
    )
    copy, told, other = taken(correlator)
    assert copy["kind"] == "tpc"
    assert copy["xeq"]["begin_transfer"] == "2026-01-01T00:00:00.000005Z"
    assert told["known_issue"] == ["tpc_zero"]
    assert "known_issue" not in other


def test_sessions_that_open_nothing_do_not_mean_that_closes_are_missing(
    kit: Any, server: Any, correlator: Correlator
) -> None:
    """Four long transfers, and a health check that logs in and out: nothing is wrong with that server."""
    feed(correlator, server.ident(), *(server.login(number) for number in range(1, 11)))
    feed(correlator, server.files(*(kit.opened(100 + number, number) for number in range(1, 5))))
    feed(correlator, server.files(kit.gone(0), kit.gone(0), *(kit.gone(number) for number in range(5, 11))))
    correlator.advance(T + 30)
    assert correlator.status()[A]["warnings"] == []
    correlator.drain(T + 31)
    assert [record.get("known_issue") for record in taken(correlator)] == [None] * 4


def test_a_server_without_xfr_is_named_where_no_sessions_are_told(
    kit: Any, server: Any, correlator: Correlator
) -> None:
    feed(correlator, server.ident())
    for number in range(20):
        assert correlator.status()[A]["warnings"] == []
        feed(correlator, server.files(kit.opened(100 + number, 0), kit.gone(0)))
    assert correlator.status()[A]["warnings"] == ["no_closes"]


def test_what_sessions_left_open_is_told_so_at_the_end(kit: Any, server: Any, correlator: Correlator) -> None:
    feed(correlator, server.ident(), server.login(1), server.info(2))
    feed(correlator, server.files(*(kit.opened(5 + n) for n in range(4)), kit.gone(1), end=1_700_000_020))
    correlator.drain(T + 1)
    found = taken(correlator)
    assert [(r["known_issue"], r["time_max"]) for r in found] == [(["fstat_no_xfr"], 1_700_000_020)] * 4


def test_warnings_name_the_server_and_have_a_sentence(kit: Any, server: Any, correlator: Correlator) -> None:
    feed(correlator, server.ident(), *(server.login(10 + n) for n in range(5)))
    feed(
        correlator,
        server.files(*(kit.opened(100 + n, 10 + n) for n in range(4)), *(kit.gone(10 + n) for n in range(4))),
    )
    correlator.advance(T + 30)
    assert correlator.warnings() == {(A, "no_closes"): f"disk1@se01.example.org:1094 ({A})"}
    correlator.advance(T + 100_000)
    assert {name for _, name in correlator.warnings()} == {"no_closes", "silent"}
    assert {"no_closes", "silent", "no_fstat"} == SENTENCES.keys()


def test_a_redirector_is_not_asked_for_files(server: Any, correlator: Correlator) -> None:
    feed(correlator, server.ident(), *(server.login(10 + n) for n in range(5)))
    slots = b"\0\0\0\5\0\0\0\1" + b"\x85\2\4\x46\0\0\0\x0a" + b"se02:/f".ljust(16, b"\0") + b"\0\0\0\5\0\0\0\2"
    feed(correlator, server._header(b"r", "M", (0xF0 << 56 | server.sid).to_bytes(8) + slots))
    correlator.advance(T + 301)
    assert correlator.status()[A]["warnings"] == []


def test_noise_that_looks_like_a_server_is_not_missed(server: Any, correlator: Correlator) -> None:
    feed(correlator, server.events("X", b"x"))
    correlator.advance(T + 50_000)
    assert correlator.warnings() == {}
