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
from collector.correlate.options import LOGICAL_DIRECTORIES
from collector.records import schema
from collector.wire import REASONS, tree

T = 1_700_000_000.0

validator = cache(lambda kind: jsonschema.Draft202012Validator(schema(kind)))

small = st.integers(0, 12)
ids = st.one_of(small, st.integers(0, 2**32 - 1))
counts = st.one_of(small, st.integers(0, 2**32 - 1))
amounts = st.one_of(st.integers(0, 2000), st.integers(-(2**63), 2**63 - 1))
names = st.one_of(
    st.sampled_from([b"/store/d/f", b"/store/d/g", b"/store/f", b"/user/x/y", b"/", b"f", b'/quo"te\\x', b"/\xff\xfe"]),
    st.binary(max_size=40),
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


# ---------------------------------------------------------------- stories

# Random datagrams seldom belong together. A story does: a few servers with right sequence numbers, whose sessions open,
# read and close the same few files, with losses, repetitions, restarts, damage and noise in between.

FILES = st.integers(10, 15)
SESSIONS = st.integers(1, 4)
DETAILS = st.sampled_from(
    [
        "&R=v5.5.3&x=python3.11&y=&I=4",
        "&R=v6.2.1&x=xrdcp&I=6",
        "",
        "&p=gsi&n=x&h=h&o=cms cms&r=NULL&g=a b&m=/CN=A::b&I=4",
        "&p=http&n=&h=h&o=&r=&g=&m=&I=4",
        "&x=xrootd&R=v5.5.3",
    ]
)
HOSTS = st.sampled_from(["[::ffff:192.0.2.9]", "[2001:db8::9]", "fe1.example.org", "host", ""])
EVENTS = [
    b'{"event":"file_close","lfn":"/store/f","b_hit":1,"b_bypass":2,"b_todisk":3,"b_prefetch":1,"attach_t":5}',
    b'{"event":"file_close","lfn":"/quo"te"}',
    b'{"event":"file_close","lfn":7}',
    b"{}",
    b"nonsense",
    b"[]",
    b"\xff{}",
    b'{"TPC":"xroot","Src":"root://h//store/f","Dst":"root://[h/","Xeq":{"Beg":"2026-01-02T03:04:05.005Z","RC":0}}',
    b'{"event":"throttle_update","io_wait":1}',
    b'{"event":"oss_stats_pfc","reads":1}',
    b'{"HTTP_GET_200":{"count":1}}',
    b'{"type":"tcpstats","rtt":1}',
    b'{"event":"other","kind":"file","record_id":"x","schema":null}',
    b'{"event":"file_close","remotes":["a",5]}',
    b'{"event":"file_close","size":true,"site":5,"vo":""}',
    b'{"type":"tcpstats","site":5,"port":-1,"server_hostname":[],"hostname":{},"tbeg":"x","version":null}',
    b'{"TPC":"http","xeq":5,"Xeq":{"Beg":5,"End":""}}',
]

opening = st.tuples(
    st.just("open"), FILES, st.integers(0, 4), names, st.integers(-1, 2000), st.sampled_from([1, 1, 1, 1, 3, 0])
)
closing = st.tuples(
    st.just("close"),
    FILES,
    small,
    small,
    small,
    st.booleans(),
    st.sampled_from(["usual", "usual", "usual", "bare", "squares", "odd squares", "page reads", "no requests"]),
)
access = st.tuples(st.just("access"), st.integers(1, 3), st.sampled_from([b"/store/d/f", b"/store/d/g"]), closing)
moving = st.tuples(st.just("moved"), FILES, small, small, small)
leaving = st.tuples(st.just("gone"), st.integers(0, 4))
raw = st.tuples(st.just("raw"), records())
parts = st.sampled_from([access] * 4 + [opening, closing] * 2 + [moving, leaving, raw]).flatmap(lambda part: part)
files = st.tuples(
    st.just("files"),
    st.lists(parts, max_size=8),
    st.integers(0, 4),
    st.sampled_from([0, 0, 1, 7]),
    st.sampled_from([True, True, True, False]),
)
who = st.tuples(SESSIONS, users, HOSTS, st.sampled_from(["xroot", "xroot", "https"]))
slots = st.lists(
    st.one_of(
        st.tuples(st.just(0), st.integers(0, 100)),
        st.tuples(
            st.sampled_from([0x82, 0x85, 0x95, 0x9E]),
            st.integers(0, 4),
            st.sampled_from(["h.example.org:/store/f", "[::1]:/f", "[::1", ":/only/path", "nothing", ""]),
        ),
        st.tuples(st.just(0x40), st.just(0)),
    ),
    max_size=6,
)
entries = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 0x80, 0x90, 0x91, 0xA0, 0xC0, 0xD0, 0xE0, 0xF0]),
        st.integers(0, 2**56 - 1),
        st.integers(-(2**31), 2**31 - 1),
        FILES,
    ),
    max_size=6,
)
headers = st.fixed_dictionaries(
    {
        "code": st.sampled_from(["g", "g", "=", "d", "i"]),
        "gs": st.sampled_from([{"type": "C", "tbeg": 1, "tend": 2}, {"type": "T", "tbeg": -1}, {}]),
    },
    optional={"did": small, "data": st.just("text"), "pseq": small, "extra": st.just([1])},
)
kinds: list[st.SearchStrategy[Any]] = [
    st.tuples(st.just("login"), who, DETAILS),
    st.tuples(st.just("info"), who, st.sampled_from(["tally:abcd1234", "a_b_c", ""])),
    st.tuples(st.just("login"), who, DETAILS),
    st.tuples(st.just("path"), who, FILES, st.sampled_from(["/store/d", "", "/user/dteam/x"])),
    st.tuples(st.just("ident"), st.integers(1, 2), st.sampled_from(["v5.5.3", "v5.7.3", ""])),
    st.tuples(st.just("claim"), st.sampled_from(["port=70000", "port=-1", "site=", "port=x&ver=v6", "inst=\xff"])),
    st.tuples(
        st.just("about"), st.sampled_from("UT"), SESSIONS, st.sampled_from(["&Ec=3&Ac=47", "&s=a&n=b&o=c&g=d", ""])
    ),
    st.tuples(
        st.just("frm"), st.sampled_from("px"), st.sampled_from(["/p\n&tod=1&sz=2&fn=l&at=x", "/t\n&op=g&rc=0&pd=x", ""])
    ),
    st.tuples(st.just("events"), st.sampled_from("CCPTROHMx"), st.lists(st.sampled_from(EVENTS), max_size=5)),
    st.tuples(
        st.just("text"),
        headers,
        st.lists(st.sampled_from(EVENTS), max_size=4),
        st.sampled_from(["json", "cgi", "none"]),
    ),
    st.tuples(st.just("redirects"), slots),
    st.tuples(st.just("trace"), entries),
    st.tuples(
        st.just("summary"),
        st.sampled_from(["<a>1</a>", "<stats id='l'><num>3</num>x</stats>", "<a>1.5", "<a><b/>2</a>"]),
    ),
    st.tuples(st.just("JSON summary"), st.sampled_from(['{"tod":1,"stats_x":{"a":1}}', "[]", "{}", "{"])),
    st.tuples(st.just("restart")),
    st.tuples(st.just("lost")),
    st.tuples(st.just("again")),
    *[st.tuples(st.just("other way")), st.tuples(st.just("ident"), st.integers(1, 2), st.just("v5.5.3"))] * 3,
    st.tuples(st.just("noise"), datagrams()),
]
happenings = st.sampled_from([files] * (len(kinds) // 2) + kinds).flatmap(
    lambda kind: kind
)  # equal ones do not add up in one_of
happened = st.tuples(
    happenings,
    st.sampled_from([0, 0, 0, 1]),
    st.sampled_from([0.0, 0.0, 0.0, 0.5, 5.0, 30.0, 4000.0, 90_000.0, -50.0]),
    st.sampled_from(["whole"] * 18 + ["cut", "changed"]),
    st.integers(0, 2**16 - 1),
)
feeds = st.lists(happened, max_size=8) | st.lists(happened, min_size=12, max_size=40)

Step = tuple[bytes, str, float]


def record_of(kit: Any, what: tuple[Any, ...]) -> bytes:
    kind, *rest = what
    if kind == "open":
        file_id, user, path, size, flags = rest
        return kit.opened(file_id, user, path.replace(b"\0", b""), size, flags)
    if kind == "close":
        file_id, read, readv, write, forced, shape = rest
        closed = kit.closed(file_id, read, readv, write, forced=forced)
        if shape == "bare":
            return struct.pack(">BBH", 0, int(forced), 32) + closed[4:32]
        if shape == "page reads":
            ops = (1, 0, 1, 0, 0, 0, 2**31 - 1, 0, 0, 0, 2**31 - 1, 0)
            return kit.closed(file_id, read, 0, write, forced=forced, ops=ops)
        if shape == "no requests":
            return kit.closed(file_id, forced=forced, ops=(0,) * 12)
        if shape == "squares":
            return kit.squares(closed, read**2, readv**2, 4, write**2)
        return kit.squares(closed, -1, float("nan"), 1e300, 0) if shape == "odd squares" else closed
    make = {"moved": kit.moved, "gone": kit.gone, "raw": bytes}[kind]
    return make(*rest)


def told(kit: Any, feed: list[Any]) -> list[Step]:
    """The datagrams of a story."""
    servers = [kit.Server(1, int(T) + 5, 1, "192.0.2.1:1"), kit.Server(2, 1000, 1, "[2001:db8::1]:3")]
    steps: list[Step] = []
    waited = 0.0
    if feed and feed[0][-1] % 3:  # most begin with introductions, as in life
        for server in servers:
            logins = [server.login(number, user=f"user{number}") for number in (1, 2, 3)]
            steps += [(data, server.remote, 0.0) for data in (server.ident(), *logins, server.info(9))]
            for number in (10, 11):
                opened = kit.opened(number, 1, "/store/d/f", number)
                steps.append((server.files(opened, kit.closed(number, 5)), server.remote, 20.0))
    for (kind, *rest), index, wait, damage, place in feed:
        server = servers[index]
        waited += wait
        data = datagram_of(kit, server, kind, rest, steps)
        if data is None:
            continue
        if damage == "cut":
            data = data[: place % (len(data) + 1)]
        elif damage == "changed" and data:
            place %= len(data)
            data = data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :]
        steps.append((data, server.remote, waited))
        waited = 0.0
    return steps


def datagram_of(kit: Any, server: Any, kind: str, rest: list[Any], steps: list[Step]) -> bytes | None:
    """One datagram; None for what only changes how the story goes on."""
    if kind == "files":
        parts, shift, span, sid = rest
        begin = server.stod + 10 + shift
        found: list[bytes] = []
        for part in parts:
            if part[0] == "access":
                _, user, path, close = part
                found.append(kit.opened(close[1], user, path))
                part = close
            found.append(record_of(kit, part))
        return server.files(*found, begin=begin, end=begin + span, sid=sid)
    if kind in ("login", "info", "path"):
        (dictid, user, host, prot), *more = rest
        someone = {"user": user, "host": host, "prot": prot}
        if kind == "path":
            return server.path(more[0], more[1], **someone)
        return (server.login if kind == "login" else server.info)(dictid + 100 * (kind == "info"), *more, **someone)
    if kind == "ident":
        server.pid, version = rest
        return server.ident(version=version)
    if kind == "claim":
        return server.map("=", 0, f"=/root.{server.pid}:{server.sid}@h\n&{rest[0]}")
    if kind in ("about", "frm"):
        code, *more = rest
        text = f"&Uc={more[0]}{more[1]}" if kind == "about" else more[0]
        return server.map(code, 50, f"{server.userid()}\n{text}")
    if kind == "events":
        return server.events(rest[0], *rest[1])
    if kind == "text":
        header, lines, form = rest
        fixed = {"stod": server.stod, "sid": server.sid, "src": {"host": "h", "site": "S", "port": 1 - server.sid}}
        if form == "json":
            first = json.dumps({"code": header["code"]} | header | fixed).encode()
        else:
            first = b"code=g&pseq=++1&stod=%d&sid=%d&gs.type=C&gs.tbeg=1" % (server.stod, server.sid)
        return b"\n".join(lines if form == "none" else [first, *lines]) + b"\0"
    if kind == "redirects":
        body = b"".join(map(slot, rest[0]))
        return server._header(b"r", "M", struct.pack(">QII", 0xF0 << 56 | server.sid, 1, 2) + body)
    if kind == "trace":
        body = b"".join(struct.pack(">QiI", first << 56 | low, second, third) for first, low, second, third in rest[0])
        return server._header(b"t", "M", struct.pack(">QII", 0xE0 << 56 | server.sid, 1, 2) + body)
    if kind == "summary":
        return f"<statistics tod='1' src='h:1' pid='2'><stats id='x'>{rest[0]}</stats></statistics>".encode()
    if kind == "JSON summary":
        return f'{{"statistics":{rest[0]}}}'.encode()
    if kind == "noise":
        return rest[0]
    if kind == "again":
        return steps[-1][0] if steps else b""
    if kind == "restart":
        server.stod, server.next = server.stod + 1, {"M": 0, "F": 0, "G": 1}
    elif kind == "lost":
        server.files()
        server.ident()
    else:  # another address of the same server
        server.remote = "192.0.2.1:2" if server.remote != "192.0.2.1:2" else "192.0.2.7:9"
    return None


def slot(what: tuple[Any, ...]) -> bytes:
    """A slot of a redirection datagram, with its text."""
    kind, *rest = what
    if kind in (0, 0x40):
        return struct.pack(">BBHI", kind, 0, 0, rest[0])
    text = rest[1].encode()
    count = -(-len(text) // 8)
    return struct.pack(">BBHI", kind, count, 1094, rest[0]) + text.ljust(8 * count, b"\0")


def check(records: list[Record]) -> None:
    seen: set[tuple[str, str]] = set()
    for record in records:
        body = json.loads(record.body)
        validator(record.kind).validate(body)
        assert b"\n" not in record.body
        assert record.record_id == (body["unique_id"] if record.kind == "wlcg" else body["record_id"])
        if record.kind == "file":
            assert body["final"] == record.record_id.endswith(".f")
            key = (record.record_id, body["serverID"].split("#")[1])
            assert not body["final"] or "no_close" not in body.get("incomplete", [])
            seen.add(key)


def canonical(records: list[Record]) -> list[tuple[str, str, str, str]]:
    """To compare records whatever their order, and that of their fields (the quick way has another)."""
    return sorted((r.kind, r.vo, r.record_id, json.dumps(json.loads(r.body), sort_keys=True)) for r in records)


def run(correlator: Correlator, steps: list[Step], t: float) -> float:
    for data, remote, wait in steps:
        t += wait
        correlator.feed(data, remote, t, "spool" if remote.startswith("192") else None)
    return t


OPTIONS = st.builds(
    Options,
    ttl=st.sampled_from([3000.0, 86_400.0]),
    max_age=st.sampled_from([80_000.0, 30 * 86_400.0]),
    max_bytes=st.sampled_from([30_000, 512 << 20]),
    max_servers=st.sampled_from([1, 4]),
    grace=st.sampled_from([0.0, 20.0]),
    settle=st.sampled_from([0.0, 5.0, 12.0]),
    logical_directories=st.sampled_from([{}, LOGICAL_DIRECTORIES, {"/": 1, "/store": 7, "store/d": 3, "": 2}]),
    names=st.sampled_from(
        [
            None,
            lambda _: None,
            lambda _: "host.example.org",
            lambda ip: "client.example.org" if ip.endswith("9") else None,
            lambda _: "",
            lambda ip: f"..{ip}\xff\udcff",
        ]
    ),
    host=st.sampled_from(["", "c.example.org"]),
    wlcg=st.booleans(),
    wlcg_only=st.booleans(),
    wlcg_vos=st.sampled_from([frozenset(), frozenset({"cms"})]),
    wlcg_path_prefixes=st.sampled_from([(), ("/store", "/user/dteam"), ("",), ("/",)]),
    drop_vos=st.sampled_from([frozenset(), frozenset({"atlas"}), frozenset({"cms"})]),
    drop_path_prefixes=st.sampled_from([(), ("/user",), ("/store/d/f",), ("",)]),
)
"""Every option in every combination: what is usual in one part of the core may be missing in another."""


@given(feeds, OPTIONS)
@settings(max_examples=150, deadline=None)
def test_any_datagrams_in_any_order(kit: Any, feed: list[Any], options: Options) -> None:
    steps = told(kit, feed)
    correlator = Correlator(options)
    t = run(correlator, steps, T)
    correlator.advance(t + 1)
    assert correlator.counters["state_bytes"] <= options.max_bytes or not correlator.counters["state_files"]
    assert correlator.counters["state_servers"] <= options.max_servers
    correlator.drain(t + 2)
    check(correlator.take())
    assert correlator.counters["state_held"] == 0
    counters = correlator.counters
    assert {name[9:-1] for name in counters if name.startswith("rejected{")} <= REASONS.keys()
    json.dumps(correlator.dump())
    json.dumps(correlator.status())


@given(feeds)
@settings(max_examples=60, deadline=None)
def test_any_datagram_has_a_readable_form(kit: Any, feed: list[Any]) -> None:
    for data, _, _ in told(kit, feed):
        found = tree(data)
        json.dumps(found)
        assert set(found.get("problems", [])) <= REASONS.keys()


@given(feeds, st.integers(0, 40), OPTIONS)
@settings(max_examples=80, deadline=None)
def test_state_goes_on_the_same_wherever_it_is_cut(kit: Any, feed: list[Any], cut: int, options: Options) -> None:
    steps = told(kit, feed)
    whole, first, second = Correlator(options), Correlator(options), Correlator(options)
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
    assert canonical(first.take() + second.take()) == canonical(whole.take())


@given(feeds, OPTIONS)
@settings(max_examples=100, deadline=None)
def test_quick_and_plain_are_the_same(kit: Any, feed: list[Any], options: Options) -> None:
    steps = told(kit, feed)
    quick, plain = Correlator(options), Correlator(options)
    plain._streams.quick = False
    for correlator in (quick, plain):
        t = run(correlator, steps, T)
        correlator.drain(t)
    assert canonical(quick.take()) == canonical(plain.take())
    assert quick.counters == plain.counters


def _deeper(steps: int, function: Any) -> Any:
    return _deeper(steps - 1, function) if steps else function()


@pytest.mark.parametrize("depth", [50, 800, 900, *range(960, 1000, 4)])
def test_state_can_be_written_from_further_down_than_it_was_read(depth: int) -> None:
    """If that failed, the datagram would come again, for ever."""
    header = b'{"code":"g","pseq":1,"stod":1700000000,"sid":5,"src":{},"gs":{"type":"T","tbeg":1,"tend":2}}'
    correlator = Correlator()
    correlator.feed(header + b'\n{"type":"tcpstats","rtt":' + b"[" * depth + b"]" * depth + b"}", "192.0.2.1:1", T)
    rows, _ = _deeper(100, correlator.changes)
    _deeper(100, lambda: Correlator().restore(rows))
    assert correlator.counters["rejected{json}"] == 1


def test_a_provider_that_is_no_utf_8_can_be_written_into_the_state() -> None:
    correlator = Correlator()
    data = b"code=g&pseq=1&stod=1700000000&sid=5&gs.type=\xff\xfe&gs.tbeg=1&gs.tend=2\n{}\0"
    correlator.feed(data, "192.0.2.1:1", T)
    rows, _ = correlator.changes()
    Correlator().restore(rows)


def test_sequence_numbers_of_text_cannot_make_memory_grow() -> None:
    """A server counts to 999, whatever a header says."""
    correlator = Correlator()
    for number in range(100_000, 105_000):
        data = b"code=g&pseq=%d&stod=1700000000&sid=5&gs.type=O&gs.tbeg=1&gs.tend=2\n{}\0" % number
        correlator.feed(data, "192.0.2.1:1", T)
    (server,) = correlator._processes.all.values()
    assert [len(tracker.sums) for tracker in server.sequences.values()] == [1000]


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


def older(rows: dict[bytes, bytes], version: int) -> dict[bytes, bytes]:
    """These rows as a version 1, 2, 3 or 4 of them."""
    found = dict(rows)
    found[b"m"] = rows[b"m"].replace(b"\xa7version\x05", b"\xa7version" + bytes([version]))
    for name in [key for key in rows if key[:1] == b"i"]:
        values = msgpack.decode(rows[name])
        for step in (_version_4, _version_3, _version_2, _version_1)[: 5 - version]:
            values = step(values)
        found[name] = msgpack.encode(values)
    for name in [key for key in rows if key[:1] == b"u" and version < 3]:
        userid, login, *told, seen, heard, gone, gone_end, used = msgpack.decode(rows[name])
        last = [tellings[-1][2] if tellings else None for tellings in told]
        found[name] = msgpack.encode([userid, login, *last, seen, heard, gone, gone_end, used])
    return found


def _version_4(values: list[Any]) -> list[Any]:
    """An incarnation whose counters do not know where they came from before."""
    *values, _, _ = values
    values[17] = values[17][:-1]
    values[18] = [[sender, class_, dump[:-1]] for sender, class_, dump in values[18]]
    values[19] = [gap[:-1] for gap in values[19]]
    return values


def _version_3(values: list[Any]) -> list[Any]:
    """An incarnation where what came before its session had neither its first time nor a user id."""
    early = [[[k, seen, told] for k, _, seen, _, told in table] for table in values[22:25]]
    return [*values[:22], *early, *values[25:]]


def _version_2(values: list[Any]) -> list[Any]:
    """An incarnation whose gaps have one pair of times, and which does not know when it was heard last, and ended."""

    def tracker(dump: list[Any]) -> list[Any]:
        *before, _, mark, seen, recent, holes = dump
        holes = [[first, n, begin, end or t_max, since, at] for first, n, begin, end, _, t_max, since, at in holes]
        return [*before, float(mark), seen, recent, holes]

    *before, fseq, sequences, gaps, until, unsettled, info, token, flow, used, left, counts, told = values[:29]
    sequences = [[sender, class_, tracker(dump)] for sender, class_, dump in sequences]
    gaps = [[class_, after, n, begin, end or t_max] for class_, after, n, begin, end, _, t_max in gaps]
    info = {text: [values[-1][1], seen] for text, seen, values in info}
    token, flow = ([[k, values[-1][1], seen] for k, seen, values in table] for table in (token, flow))
    counts = counts[:-3]
    return [*before, tracker(fseq), sequences, gaps, until, unsettled, info, token, flow, used, left, counts, told]


def _version_1(values: list[Any]) -> list[Any]:
    """…and without a count of files left open and a memory of events; it followed event counters by sender."""
    *before, sequences, gaps, until, unsettled, info, token, flow, used, left, counts, _ = values
    sequences = [["192.0.2.1:1", class_, tracker] for _, class_, tracker in sequences]
    return [*before, sequences, gaps, until, unsettled, info, token, flow, used, left, counts[:-1]]


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_gaps_of_older_rows_are_taken_over(version: int, kit: Any) -> None:
    correlator, server = Correlator(), kit.Server()
    for data in (server.ident(), server.login(1), server.files(begin=server.stod + 10)):
        correlator.feed(data, "192.0.2.1:1", T)
    server.login(2), server.files(begin=server.stod + 11)  # both lost
    for data in (server.login(3), server.files(begin=server.stod + 12)):
        correlator.feed(data, "192.0.2.1:1", T + 2)
    server.files()  # lost, and not declared yet
    correlator.advance(T + 30)
    correlator.feed(server.files(begin=server.stod + 40), "192.0.2.1:1", T + 40)
    again = Correlator()
    again.restore(older(dict(correlator.changes()[0]), version).items())
    told = [(gap["class"], gap["after"], gap["missing"], gap["begin"]) for gap in kit.gaps(again)]
    assert told == [("F", 0, 1, server.stod + 10), ("M", 1, 1, server.stod)]
    again.advance(T + 80)
    assert [(gap["class"], gap["begin"], gap["end"]) for gap in kit.gaps(again)][2:] == [
        ("F", server.stod + 12, server.stod + 40)
    ]


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_what_sessions_were_told_in_older_rows_is_taken_over(version: int, kit: Any) -> None:
    """There was only the last of each, without its number: it is in force for every file."""
    correlator, server = Correlator(), kit.Server()
    token = f"{server.userid()}\n&Uc=1&s=sub"
    early = [server.map("T", 7, f"{server.userid()}\n&Uc=6&s=other"), server.info(8, "later", user="bob")]
    for data in (server.ident(), server.login(1), server.info(2, "app"), server.map("T", 3, token), *early):
        correlator.feed(data, "192.0.2.1:1", T)
    again = Correlator()
    again.restore(older(dict(correlator.changes()[0]), version).items())
    for data in (server.login(6, user="bob"), server.files(kit.opened(4), kit.opened(9, user=6), kit.closed(4, 1))):
        again.feed(data, "192.0.2.1:1", T)
    again.feed(server.files(kit.closed(9, 1)), "192.0.2.1:1", T)
    again.advance(T + 30)
    records = [json.loads(record.body) for record in again.take()]
    assert [(r["file_id"], r["appinfo"], r["token_subject"]) for r in records] == [
        (4, "app", "sub"),
        (9, "later", "other"),
    ]


def test_rows_of_version_1_are_taken_over(kit: Any) -> None:
    """It had no count of files left open, no memory of events, and followed event counters by sender."""
    correlator, server = Correlator(), kit.Server()
    for data in (server.ident(), server.login(1), server.info(2), server.events("C", b"x")):
        correlator.feed(data, "192.0.2.1:1", T)
    correlator.feed(server.files(kit.opened(5)), "192.0.2.1:1", T)
    again = Correlator()
    again.restore(older(dict(correlator.changes()[0]), 1).items())
    again.feed(server.events("C", b"y"), "192.0.2.1:1", T)
    again.feed(server.files(kit.closed(5, 1)), "192.0.2.1:1", T)
    (record,) = again.take()
    assert json.loads(record.body)["filename"] == "/store/f"
    again.advance(T + 60)
    assert kit.gaps(again) == []


def test_after_rows_of_version_1_all_are_of_this_version(kit: Any) -> None:
    """Also those of a server that says nothing more before the next start."""
    correlator = Correlator()
    for sid, remote in ((1, "192.0.2.1:1"), (2, "192.0.2.2:1")):
        server = kit.Server(sid=sid)
        for data in (server.ident(), server.login(1), server.info(2), server.files(kit.opened(5))):
            correlator.feed(data, remote, T)
    rows = older(dict(correlator.changes()[0]), 1)
    second = Correlator()
    second.restore(rows.items())
    second.feed(server.login(3), "192.0.2.2:1", T + 1)
    put, deleted = second.changes()
    assert deleted == []
    third = Correlator()
    third.restore((rows | dict(put)).items())
    assert third.counters["state_held"] == second.counters["state_held"]


def test_a_name_told_again_and_used_up_at_once_leaves_no_row(kit: Any) -> None:
    """At the next start it would be a name once more, and, once its server is forgotten, keep all from being read."""
    correlator, server, rows = Correlator(), kit.Server(), {}
    for cycle in (
        [server.ident(), server.login(1), server.info(2), server.path(5, "/f")],
        [server.path(5, "/f"), server.files(kit.opened(5, flags=0), kit.closed(5, 1))],
    ):
        for data in cycle:
            correlator.feed(data, "192.0.2.1:1", T)
        put, deleted = correlator.changes()
        rows |= dict(put)
        for key in deleted:
            del rows[key]
    assert [json.loads(r.body)["filename"] for r in correlator.take()] == ["/f"]
    assert [key for key in rows if key[:1] == b"d"] == []


def test_rows_of_a_newer_version_are_declined(kit: Any) -> None:
    correlator = Correlator()
    correlator.feed(kit.Server().ident(), "192.0.2.1:1", T)
    rows = dict(correlator.changes()[0])
    assert b"\xa7version\x05" in rows[b"m"]
    rows[b"m"] = rows[b"m"].replace(b"\xa7version\x05", b"\xa7version\x06")
    with pytest.raises(ValueError, match="state of version 6; this program reads version 5"):
        Correlator().restore(rows.items())


@pytest.mark.parametrize("name", ["writes", "ssq", "http", "pfc-cache", "redirect-cms", "summary-report", "restart"])
@pytest.mark.parametrize("options", [Options(), Options(wlcg=True, host="collector.example.org")])
def test_records_of_captures_are_valid(name: str, options: Options, kit: Any) -> None:
    records = kit.replay(kit.load(name), options)
    assert records
    for record in records:
        body = json.loads(record.body)
        validator(record.kind).validate(body)
