"""What a session was told, and which file it is in force for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from collector.correlate import Correlator, Options
from collector.correlate.incarnation import KEPT_TOLD, MAX_UNREPORTED, Telling, Told

T = 1_700_000_100.0
A = "192.0.2.1:40000"


def token(server: Any, dictid: int, subject: str, session: int = 1) -> bytes:
    return server.map("T", dictid, f"{server.userid()}\n&Uc={session}&s={subject}&g=/a ")


def replay(*datagrams: bytes, restart: bool = False, options: Options | None = None) -> list[dict[str, Any]]:
    correlator = Correlator(options)
    records = []
    rows: dict[bytes, bytes] = {}
    for second, data in enumerate(datagrams):
        correlator.feed(data, A, T + second / 10)
        if restart:
            records += correlator.take()
            put, delete = correlator.changes()
            rows = {k: v for k, v in (rows | dict(put)).items() if k not in delete}
            correlator = Correlator(options)
            correlator.restore(rows.items())
    correlator.advance(T + 60)
    found = [json.loads(record.body) for record in records + correlator.take()]
    return sorted(found, key=lambda record: record["file_id"])


def said(records: list[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(record.get(name) for name in ("file_id", *names)) for record in records]


def pooled(server: Any, kit: Any) -> list[bytes]:
    """A pooled connection: a token before each of its files, all open at the same time, closed in turn."""
    tokens = [token(server, 2 * n, f"s{n}") for n in range(1, 7)]
    opens = server.files(*(kit.opened(2 * n + 1) for n in range(1, 7)))
    return [server.login(1), *tokens, opens, server.files(*(kit.closed(2 * n + 1, n) for n in range(1, 7)))]


@pytest.mark.parametrize("restart", [False, True])
def test_each_file_has_the_token_that_was_in_force(restart: bool, kit: Any) -> None:
    """The f-stream tells the opens late, in one go: only their numbers say which token was first."""
    server = kit.Server()
    records = replay(server.ident(), *pooled(server, kit), restart=restart)
    assert said(records, "token_subject", "token_groups") == [(2 * n + 1, f"s{n}", "/a") for n in range(1, 7)]


def test_tokens_that_overtake_one_another_or_their_session(kit: Any) -> None:
    server = kit.Server()
    ident = server.ident()
    login, *rest = pooled(server, kit)
    tokens, files = rest[:6], rest[6:]
    for order in ([*tokens[::-1], login], [login, *tokens[::-1]], [*tokens[:3], login, *tokens[3:]]):
        records = replay(ident, *order, *files)
        assert said(records, "token_subject") == [(2 * n + 1, f"s{n}") for n in range(1, 7)]


def test_a_token_that_comes_after_the_close_within_the_patience_for_it(kit: Any) -> None:
    server = kit.Server()
    datagrams = [server.ident(), server.login(1), token(server, 2, "early")]
    late = token(server, 4, "late")
    datagrams += [token(server, 6, "next")]
    files = [server.files(kit.opened(3), kit.opened(5), kit.opened(7))]
    files += [server.files(kit.closed(3, 1), kit.closed(5, 1), kit.closed(7, 1))]
    records = replay(*datagrams, *files, late)
    assert said(records, "token_subject") == [(3, "early"), (5, "late"), (7, "next")]


def test_a_file_opened_before_the_first_token_has_none(kit: Any) -> None:
    server = kit.Server()
    datagrams = [server.ident(), server.login(1), token(server, 3, "later"), server.info(4, "later")]
    records = replay(*datagrams, server.files(kit.opened(2), kit.closed(2, 1), kit.opened(5), kit.closed(5, 1)))
    assert said(records, "token_subject", "appinfo") == [(2, None, None), (5, "later", "later")]


def test_a_flow_is_numbered_after_the_open_that_caused_it(kit: Any) -> None:
    server = kit.Server()
    flow = server.map("U", 3, f"{server.userid()}\n&Uc=1&Ec=3&Ac=47")
    files = server.files(kit.opened(2), kit.closed(2, 1), kit.opened(4), kit.closed(4, 1))
    records = replay(server.ident(), server.login(1), flow, files)
    assert said(records, "experiment", "activity") == [(2, "3", "47"), (4, "3", "47")]


def test_connections_that_share_a_user_id_each_have_their_info(kit: Any) -> None:
    """One after the other, and the second ``u`` comes late: its info is not its namesake's."""
    server = kit.Server()
    ident, first, info = server.ident(), server.login(1), server.info(2, "first")
    second, told = server.login(4), server.info(5, "second")
    files = server.files(kit.opened(3), kit.opened(6, 4), kit.closed(3, 1), kit.closed(6, 1))
    for order in ([first, info, second, told], [first, info, told, second], [told, second, info, first]):
        assert said(replay(ident, *order, files), "appinfo") == [(3, "first"), (6, "second")]


def test_numbers_that_come_round(kit: Any) -> None:
    top = 2**32
    server = kit.Server()
    login = server.login(top - 3)
    tokens = [token(server, top - 2, "one", top - 3), token(server, 2, "two", top - 3)]
    opens = [kit.opened(n, top - 3) for n in (top - 1, 1, 3)]
    closes = [kit.closed(n, 1) for n in (top - 1, 1, 3)]
    records = replay(server.ident(), login, *tokens, server.files(*opens), server.files(*closes))
    assert said(records, "token_subject") == [(1, "one"), (3, "two"), (top - 1, "one")]


def test_what_was_told_long_ago_is_forgotten_but_for_files_that_are_open(kit: Any) -> None:
    correlator = Correlator()
    server = kit.Server()
    begin = [server.ident(), server.login(1), token(server, 2, "first"), server.files(kit.opened(3))]
    for data in begin:
        correlator.feed(data, A, T)
    for number in range(4, 4_000, 2):
        correlator.feed(token(server, number, f"s{number}"), A, T)
        files = server.files(kit.opened(number + 1), kit.closed(number + 1, 1))
        correlator.feed(files, A, T)
    (process,) = correlator._processes.all.values()
    assert len(process.sessions[1].tokens.tellings) <= 2 * KEPT_TOLD + 2
    assert len({json.loads(record.body)["token_subject"] for record in correlator.take()}) == 1_998
    correlator.feed(server.files(kit.closed(3, 1)), A, T)
    (record,) = correlator.take()
    assert json.loads(record.body)["token_subject"] == "first"


def test_what_was_told_before_opens_that_are_not_reported_yet_is_kept(kit: Any) -> None:
    """The server keeps opens in its buffer until its interval is over, however many tokens it sends meanwhile."""
    server = kit.Server()
    numbers = range(2, 2 * 10 * KEPT_TOLD, 2)
    tokens = [token(server, number, f"s{number}") for number in numbers]
    opens = [kit.opened(number + 1) for number in numbers]
    closes = [kit.closed(number + 1, number) for number in numbers]
    for restart in (False, True):
        files = [server.files(*opens), server.files(*closes)]
        records = replay(server.ident(), server.login(1), *tokens, *files, restart=restart)
        assert said(records, "token_subject") == [(number + 1, f"s{number}") for number in numbers]
        server = kit.Server()


def test_what_was_told_counts_in_the_size_of_the_state_and_is_limited(kit: Any) -> None:
    correlator = Correlator()
    server = kit.Server()
    for data in [server.ident(), server.login(1)]:
        correlator.feed(data, A, T)
    before = correlator.counters["state_bytes"]
    for number in range(2, 3 * MAX_UNREPORTED):
        correlator.feed(token(server, number, "s"), A, T)
    (process,) = correlator._processes.all.values()
    assert MAX_UNREPORTED <= len(process.sessions[1].tokens.tellings) <= 2 * MAX_UNREPORTED
    assert correlator.counters["state_bytes"] - before > 100 * MAX_UNREPORTED
    restored = Correlator()
    restored.restore(correlator.changes()[0])
    assert restored.counters["state_bytes"] == correlator.counters["state_bytes"]


def test_a_session_that_is_forgotten_takes_what_it_was_told_along(kit: Any) -> None:
    correlator = Correlator(Options(grace=1.0))
    server = kit.Server()
    for data in [server.ident(), server.login(1)]:
        correlator.feed(data, A, T)
    small = correlator.counters["state_bytes"]
    for number in range(2, 200):
        correlator.feed(token(server, number, "s"), A, T)
    correlator.feed(server.files(kit.gone(1)), A, T)
    for second in range(10):
        correlator.advance(T + second)
    assert correlator.counters["state_bytes"] < small


def test_a_token_that_came_long_after_an_open_was_later_where_numbers_do_not_count(kit: Any) -> None:
    """Nearly all numbers are unknown: those of tokens and files may be of two counters."""
    correlator = Correlator()
    server = kit.Server()
    feed = [server.ident(), server.login(1), token(server, 20, "first"), server.files(kit.opened(90))]
    for data in feed:
        correlator.feed(data, A, T)
    correlator.feed(token(server, 21, "second"), A, T + 60)
    correlator.feed(server.files(kit.opened(95)), A, T + 61)
    correlator.feed(server.files(kit.closed(90, 1), kit.closed(95, 2)), A, T + 70)
    correlator.advance(T + 100)
    records = [json.loads(record.body) for record in correlator.take()]
    assert said(records, "token_subject") == [(90, "first"), (95, "second")]


@pytest.mark.parametrize("prot", ["https", "xroot"])
def test_a_token_overtaken_by_the_report_of_its_file_is_waited_for(prot: str, kit: Any) -> None:
    """Its number has not come, and is below the file's."""
    server = kit.Server()
    who = {"prot": prot}
    tokens = [
        server.map("T", 2 * n, f"{server.userid(**who)}\n&Uc=1&s=s{n}") for n in range(1, 4 if prot == "xroot" else 3)
    ]
    files = [server.files(*(kit.opened(2 * n + 1) for n in range(1, len(tokens) + 1)))]
    files += [server.files(*(kit.closed(2 * n + 1, n) for n in range(1, len(tokens) + 1)))]
    records = replay(server.ident(), server.login(1, **who), *tokens[:-1], *files, tokens[-1])
    assert said(records, "token_subject", "sequence_gap") == [
        (2 * n + 1, f"s{n}", None) for n in range(1, len(tokens) + 1)
    ]


@pytest.mark.parametrize("restart", [False, True])
def test_where_a_token_may_be_lost_the_record_says_so(restart: bool, kit: Any) -> None:
    """No sequence number shows it: nothing came after it."""
    server = kit.Server()
    who = {"prot": "https"}
    token_of = [server.map("T", 2 * n, f"{server.userid(**who)}\n&Uc=1&s=s{n}") for n in (1, 2)]
    files = [server.files(kit.opened(3), kit.opened(5)), server.files(kit.closed(3, 1), kit.closed(5, 2))]
    records = replay(server.ident(), server.login(1, **who), token_of[0], *files, restart=restart)
    assert said(records, "token_subject", "sequence_gap") == [(3, "s1", None), (5, "s1", True)]


def test_numbers_that_go_elsewhere_are_not_waited_for(kit: Any) -> None:
    """A server whose paths go to another destination: one number in two does not come here."""
    server = kit.Server()
    who = {"prot": "https"}
    token_of = [server.map("T", n, f"{server.userid(**who)}\n&Uc=1&s=s{n}") for n in (3, 6, 9)]
    files = [server.files(*(kit.opened(n) for n in (5, 8, 11))), server.files(*(kit.closed(n, n) for n in (5, 8, 11)))]
    correlator = Correlator()
    for data in (server.ident(), server.login(1, **who), server.info(2, **who), *token_of, *files):
        correlator.feed(data, A, T)
    records = [json.loads(record.body) for record in correlator.take()]
    assert said(records, "token_subject", "sequence_gap") == [(5, "s3", None), (8, "s6", None), (11, "s9", None)]


def test_what_is_in_force() -> None:
    told = Told([Telling(4, 1.0, "b"), Telling(2, 2.0, "a"), Telling(9, 3.0, "c")])
    assert [told.at(distance) for distance in (1, 2, 3, 4, 5, 9, 10, 2**31)] == [
        *(None, None, "a", "a", "b", "b", "c", "c")
    ]
    assert [told.by(time) for time in (0.5, 1.0, 2.5, 3.0)] == [None, "b", "a", "c"]
    assert [told.since(distance) for distance in (2, 4, 9, 10)] == [0, 2, 4, 9]
    assert [told.at(10, time) for time in (0.5, 1.0, 2.5, 3.0)] == [None, "b", "b", "c"]
    assert told.last() == "c"
    told.put(Telling(0, 4.0, "own"))
    assert [told.at(distance) for distance in (0, 1, 3)] == ["own", "own", "a"]
    told.put(Telling(0, 5.0, "own"))
    told.put(Telling(0, 6.0, "other"))
    assert [telling.value for telling in told.tellings] == ["own", "other", "a", "b", "c"]


def test_errors_as_records_are_stepped_over(kit: Any) -> None:
    """A failed open may be a record of its own one day, and a close may have a flag for errors and be longer."""
    server = kit.Server()
    failed = bytes([5, 1, 0, 28, 0, 0, 0, 9]) + b"/store/missing".ljust(20, b"\0")
    close = bytearray(kit.closed(3, 7) + bytes(16))
    close[1] |= 0x18
    close[2:4] = len(close).to_bytes(2)
    correlator = Correlator()
    for data in (server.ident(), server.login(1), server.info(2)):
        correlator.feed(data, A, T)
    correlator.feed(server.files(kit.opened(3), failed, bytes(close), kit.opened(4), kit.closed(4, 8)), A, T)
    correlator.advance(T + 60)
    records = [json.loads(record.body) for record in correlator.take()]
    assert said(records, "read", "incomplete") == [(3, 7, None), (4, 8, None)]
    assert correlator.counters["rejected{record_type}"] == 1
