"""Any bytes in any order: never an exception, always valid records, bounded memory, and state that can be restored."""

from __future__ import annotations

import json
import struct
from functools import cache
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import msgpack

from collector.correlate import Correlator, Options, Record
from collector.records import schema
from collector.wire import REASONS

T = 1_700_000_000.0

validator = cache(lambda kind: jsonschema.Draft202012Validator(schema(kind)))

small = st.integers(0, 12)
ids = st.one_of(small, st.integers(0, 2**32 - 1))
counts = st.one_of(small, st.integers(0, 2**32 - 1))
amounts = st.one_of(st.integers(0, 2000), st.integers(-(2**63), 2**63 - 1))
names = st.one_of(
    st.sampled_from([b"/store/f", b"/user/x/y", b"/", b"f", b'/quo"te\\x', b"/\xff\xfe"]), st.binary(max_size=40)
)
users = st.sampled_from(["alice", "u12", "carol.x", "unknown", "caf\u00e9"])


@st.composite
def records(draw: st.DrawFn) -> bytes:
    kind = draw(st.sampled_from(["open", "open", "close", "close", "moved", "gone", "time", "junk"]))
    number = draw(ids)
    if kind == "open":
        name = draw(names) + b"\0" * draw(st.integers(0, 9))
        flags = draw(st.sampled_from([1, 1, 3, 0]))
        size = 20 + len(name) if flags & 1 else 16
        body = struct.pack(">BBHIq", 1, flags, size, number, draw(amounts))
        return body + (struct.pack(">I", draw(small)) + name if flags & 1 else b"")
    if kind == "close":
        flags = draw(st.sampled_from([0, 1, 2, 2, 2, 3, 6, 7]))
        size = 112 if flags & 4 else 80 if flags & 2 else 32
        body = struct.pack(">BBHIqqq", 0, flags, size, number, draw(amounts), draw(amounts), draw(amounts))
        if flags & 2:
            few = [draw(st.integers(0, 65535)) for _ in range(2)]
            body += struct.pack(">III", *(draw(counts) for _ in range(3))) + struct.pack(">HHq", *few, draw(amounts))
            body += struct.pack(">IIIIII", *(draw(counts) for _ in range(6)))
        if flags & 4:
            body += struct.pack(">dddd", *(draw(st.floats()) for _ in range(4)))
        return body
    if kind == "moved":
        return struct.pack(">BBHIqqq", 3, 0, 32, number, draw(amounts), draw(amounts), draw(amounts))
    if kind == "gone":
        return struct.pack(">BBHI", 4, 0, 8, draw(small))
    if kind == "time":
        begin = draw(st.integers(0, 2**32 - 1))
        return struct.pack(">BBHHHIIQ", 2, 1, 24, 0, 1, begin, draw(st.integers(0, 2**32 - 1)), draw(small))
    return draw(st.binary(max_size=30))


@st.composite
def datagrams(draw: st.DrawFn) -> bytes:
    """Datagrams that are nearly right: few servers, few sessions, few files, so that everything meets everything."""
    number, stod, sid = (
        draw(st.integers(0, 255)),
        draw(st.sampled_from([1000, 1001, 2**32 - 1])),
        draw(st.integers(1, 2)),
    )
    kind = draw(st.sampled_from("f" * 8 + "=uuidUTpxtrg" + "jc<?"))
    host = draw(st.sampled_from(["h.example.org", "[::1]", "[::ffff:192.0.2.4]", ""]))
    user = f"xroot/{draw(users)}.{draw(small)}:{sid}@{host}"
    if kind == "f":
        found = b"".join(draw(st.lists(records(), max_size=8)))
        begin = min(stod + draw(small), 2**32 - 13)
        tod = struct.pack(">BBHHHIIQ", 2, 1, 24, 0, draw(small), begin, begin + draw(small), sid)
        body = tod + found
    elif kind in "=uidUTpx":
        details = ["", "&R=v5&x=xrdcp&I=4", "&p=gsi&n=/CN=a&o=cms&r=NULL&I=6", f"&Uc={draw(small)}&s=a&n=b&Ec=1&Ac=2",
                   "/store/f", "/p\n&tod=1&sz=2", "&site=S&port=1&inst=i&pgm=xrootd&ver=v5.5.3"]  # fmt: skip
        detail = draw(st.one_of(st.sampled_from(details), st.text(max_size=20)))
        if kind == "=":
            user = f"=/root.{draw(st.integers(1, 3))}:{sid}@h.example.org"
        body = struct.pack(">I", draw(small)) + f"{user}\n{detail}".encode("utf-8", "surrogatepass")
    elif kind == "t":
        body = b"".join(draw(st.lists(st.binary(min_size=16, max_size=16), max_size=4)))
        body = struct.pack(">QII", 0xE0 << 56 | sid, 1, 2) + body
    elif kind == "r":
        body = struct.pack(">Q", 0xF0 << 56 | sid) + struct.pack(">II", 1, 2) + draw(st.binary(max_size=60))
    elif kind == "g":
        lines = [b'{"event":"file_close","lfn":"/store/f"}', b"{}", b'{"TPC":"x","Src":"root://h//f"}', b"nonsense"]
        line = b"\n".join(draw(st.lists(st.sampled_from(lines) | st.binary(max_size=20), max_size=4)))
        body = struct.pack(">IIQ", 1, 2, ord(draw(st.sampled_from("CTPROHMx"))) << 56 | sid) + line + b"\0"
    elif kind == "j":
        header = {"code": draw(st.sampled_from("g=di")), "stod": stod, "sid": sid, "pseq": number, "gs": {"type": "C"}}
        return json.dumps(header).encode() + b'\n{"event":"file_close"}\0'
    elif kind == "c":
        return b"code=g&pseq=%d&stod=%d&sid=%d&gs.type=O\n" % (number, stod, sid) + draw(st.binary(max_size=30))
    elif kind == "<":
        return b"<statistics><stats id='x'>" + draw(st.binary(max_size=20)) + b"</stats></statistics>"
    else:
        return draw(st.binary(max_size=100))
    data = struct.pack(">cBHI", kind.encode(), number, 8 + len(body) & 0xFFFF, stod) + body
    damage = draw(st.integers(0, 19))
    if damage == 0 and data:
        place = draw(st.integers(0, len(data) - 1))
        data = data[:place] + draw(st.binary(min_size=1, max_size=1)) + data[place + 1 :]
    elif damage == 1:
        data = data[: draw(st.integers(0, len(data)))]
    return data


feeds = st.lists(
    st.tuples(
        datagrams(), st.sampled_from(["192.0.2.1:1", "192.0.2.1:2", "[2001:db8::1]:3", "nonsense", ""]),
        st.sampled_from([0.0, 0.0, 0.5, 5.0, 30.0, 4000.0, 90_000.0, -50.0]),
    ),
    max_size=40,
)  # fmt: skip


def check(records: list[Record]) -> None:
    seen: set[tuple[str, str]] = set()
    for record in records:
        body = json.loads(record.body)
        validator(record.kind).validate(body)
        assert b"\n" not in record.body
        assert record.record_id == body["record_id"]
        if record.kind == "file":
            assert body["final"] == record.record_id.endswith(".f")
            key = (record.record_id, body["serverID"].split("#")[1])
            assert not body["final"] or "no_close" not in body.get("incomplete", [])
            seen.add(key)


def run(correlator: Correlator, steps: list[tuple[bytes, str, float]], t: float) -> float:
    for data, remote, wait in steps:
        t += wait
        correlator.feed(data, remote, t, "spool" if wait else None, identified=False)
    return t


@given(feeds)
@settings(max_examples=100, deadline=None)
def test_any_datagrams_in_any_order(steps: list[tuple[bytes, str, float]]) -> None:
    correlator = Correlator(Options(max_bytes=60_000, max_servers=4))
    t = run(correlator, steps, T)
    correlator.advance(t + 1)
    assert correlator.counters["state_bytes"] <= 60_000 or not correlator.counters["state_files"]
    assert correlator.counters["state_servers"] <= 4
    correlator.drain(t + 2)
    check(correlator.take())
    assert correlator.counters["state_held"] == 0
    counters = correlator.counters
    assert {name[9:-1] for name in counters if name.startswith("rejected{")} <= REASONS.keys()
    json.dumps(correlator.dump())
    json.dumps(correlator.status())


@given(feeds, st.integers(0, 40))
@settings(max_examples=60, deadline=None)
def test_state_goes_on_the_same_wherever_it_is_cut(steps: list[tuple[bytes, str, float]], cut: int) -> None:
    whole, first, second = Correlator(), Correlator(), Correlator()
    t = run(whole, steps, T)
    whole.drain(t)
    rows: dict[bytes, bytes] = {}
    now = T
    for step in steps[:cut]:  # as the shell does: changes after every cycle
        now = run(first, [step], now)
        put, delete = first.changes()
        assert not dict(put).keys() & set(delete)
        rows.update(put)
        for key in delete:
            rows.pop(key, None)
    second.restore(rows.items())
    assert second.counters["state_held"] == first.counters["state_held"]
    assert run(second, steps[cut:], now) == t
    second.drain(t)
    one = sorted(first.take() + second.take())
    assert one == sorted(whole.take())


@given(feeds)
@settings(max_examples=60, deadline=None)
def test_quick_and_plain_are_the_same(steps: list[tuple[bytes, str, float]]) -> None:
    quick, plain = Correlator(), Correlator()
    plain._streams.quick = False
    for correlator in (quick, plain):
        t = run(correlator, steps, T)
        correlator.drain(t)
    one, other = sorted(quick.take()), sorted(plain.take())
    assert [(r.kind, r.vo, r.record_id, json.loads(r.body)) for r in one] == [
        (r.kind, r.vo, r.record_id, json.loads(r.body)) for r in other
    ]
    assert quick.counters == plain.counters


@given(st.dictionaries(st.binary(max_size=12), st.binary(max_size=30), max_size=5))
@settings(max_examples=200, deadline=None)
def test_rows_that_are_not_ours_are_refused_in_words(rows: dict[bytes, bytes]) -> None:
    if rows:
        with pytest.raises(ValueError, match=r"^state "):
            Correlator().restore(rows.items())


@pytest.mark.parametrize("row", [b"\0", b"\x80", b"\xc0", b"\x81\xa7version\x02", b"\x81\xa7version\xc3", b""])
def test_a_first_row_that_is_not_ours_is_refused_in_words(row: bytes) -> None:
    with pytest.raises(ValueError, match=r"^state "):
        Correlator().restore([(b"m", row)])


def test_rows_of_version_1_are_taken_over(kit: Any) -> None:
    """It had no count of files left open, no memory of events, and followed event counters by sender."""
    correlator, server = Correlator(), kit.Server()
    for data in (server.ident(), server.login(1), server.info(2), server.events("C", b"x")):
        correlator.feed(data, "192.0.2.1:1", T)
    correlator.feed(server.files(kit.opened(5)), "192.0.2.1:1", T)
    rows = dict(correlator.changes()[0])
    rows[b"m"] = rows[b"m"].replace(b"\xa7version\x02", b"\xa7version\x01")
    name = next(key for key in rows if key[:1] == b"i")
    *before, sequences, gaps, until, unsettled, info, token, flow, used, left, counts, _ = msgpack.decode(rows[name])
    sequences = [["192.0.2.1:1", class_, tracker] for _, class_, tracker in sequences]
    old = [*before, sequences, gaps, until, unsettled, info, token, flow, used, left, counts[:-1]]
    rows[name] = msgpack.encode(old)
    again = Correlator()
    again.restore(rows.items())
    again.feed(server.events("C", b"y"), "192.0.2.1:1", T)
    again.feed(server.files(kit.closed(5, 1)), "192.0.2.1:1", T)
    (record,) = again.take()
    assert json.loads(record.body)["filename"] == "/store/f"
    again.advance(T + 60)
    assert again.status()["192.0.2.1:1"]["gaps"] == []


def test_rows_of_a_newer_version_are_declined(kit: Any) -> None:
    correlator = Correlator()
    correlator.feed(kit.Server().ident(), "192.0.2.1:1", T)
    rows = dict(correlator.changes()[0])
    assert b"\xa7version\x02" in rows[b"m"]
    rows[b"m"] = rows[b"m"].replace(b"\xa7version\x02", b"\xa7version\x03")
    with pytest.raises(ValueError, match="state of version 3; this program reads version 2"):
        Correlator().restore(rows.items())


@pytest.mark.usefixtures("captures")
@pytest.mark.parametrize("name", ["writes", "ssq", "http", "pfc-cache", "redirect-cms", "summary-report", "restart"])
@pytest.mark.parametrize("options", [Options(), Options(wlcg=True, host="collector.example.org")])
def test_records_of_captures_are_valid(name: str, options: Options, kit: Any) -> None:
    records = kit.replay(kit.load(name), options)
    assert records
    for record in records:
        body = json.loads(record.body)
        validator(record.kind).validate(body)
