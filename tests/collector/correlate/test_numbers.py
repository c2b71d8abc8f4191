"""Numbers without end, wherever a datagram may have one: it loses itself at most, never the checkpoint.

Found by fuzzing: a process number of 20 digits could not be written into the state, so that the collector ended with
the same datagram again and again.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from collector.correlate import Correlator

LONG = b"99999999999999999999"
BEYOND = b"123456789012345678901234567890"
SID = 34923666814074
USER = b"xroot/a.1:SID@h\n"


def maps(server: Any, code: str, dictid: int, text: bytes) -> bytes:
    return server.map(code, dictid, text.replace(b"SID", str(SID).encode()))


def text_stream(**header: Any) -> bytes:
    fields = {"code": "g", "pseq": 1, "stod": 1_700_000_000, "sid": SID, "src": {"site": "s"}, "gs": {"type": "C"}}
    return json.dumps(fields | header).encode() + b'\n{"event":"file_close","lfn":"/a"}\0'


def ident(server: Any, keys: bytes, pid: bytes = b"1") -> bytes:
    return maps(server, "=", 0, b"=/a." + pid + b":SID@h\n&site=s" + keys + b"&inst=i&pgm=x&ver=1")


def transfer(server: Any) -> bytes:
    return maps(server, "x", 0, USER + b"/p\n&tod=" + LONG + b"&sz=1&qt=" + LONG + b"&op=s&rc=-" + LONG)


def stored(server: Any) -> bytes:
    return server.events("O", b'{"event":"oss_stats","reads":' + BEYOND + b',"x":[{"y":-' + BEYOND + b"}]}")


def cached(server: Any) -> bytes:
    return server.events("C", b'{"event":"file_close","lfn":"/a","size":' + BEYOND + b',"b_hit":' + LONG + b"}")


def xml(_: Any) -> bytes:
    link = b'<stats id="link"><num>' + BEYOND + b"</num></stats>"
    return b'<statistics tod="' + BEYOND + b'" src="h:1" pid="' + BEYOND + b'">' + link + b"</statistics>"


def report(_: Any) -> bytes:
    return b'{"statistics":{"tod":' + b"9" * 5000 + b',"src":"h:1","stats_x":{"y":[' + BEYOND + b"]}}}"


DATAGRAMS: dict[str, Any] = {
    "process of a user id": lambda s: maps(s, "u", 1, b"xroot/a." + LONG + b":SID@h\n&R=1"),
    "process of an ident": lambda s: ident(s, b"&port=1", LONG),
    "port": lambda s: ident(s, b"&port=" + LONG),
    "session of a token": lambda s: maps(s, "T", 5, USER + b"&Uc=" + LONG + b"&s=x"),
    "session of a flow": lambda s: maps(s, "U", 5, USER + b"&Uc=" + LONG + b"&Ec=" + LONG + b"&Ac=1"),
    "purge": lambda s: maps(s, "p", 0, USER + b"/path\n&tod=" + LONG + b"&sz=" + LONG + b"&fn=l"),
    "transfer": transfer,
    "storage event": stored,
    "cache event": cached,
    "header of a text stream": lambda _: text_stream(pseq=10**30, src={"host": "h", "port": 10**25}),
    "process of a text stream": lambda _: text_stream(stod=10**25),
    "report as XML": xml,
    "report as JSON": report,
}


@pytest.mark.parametrize("named", [False, True], ids=["server not named", "server named"])
@pytest.mark.parametrize("datagram", DATAGRAMS.values(), ids=DATAGRAMS)
def test_the_state_can_be_written_and_read_and_the_next_file_is_recorded(datagram: Any, named: bool, kit: Any) -> None:
    server = kit.Server(sid=SID)
    correlator, t = Correlator(), server.stod + 1.0
    if named:
        correlator.feed(server.ident(), "192.0.2.1:1", t)
    correlator.feed(datagram(server), "192.0.2.1:1", t)
    put, _ = correlator.changes()
    restored = Correlator()
    restored.restore(put)
    for one in (correlator, restored):
        sender = kit.Server(sid=SID + 1)
        for data in (sender.ident(), sender.login(1), sender.files(kit.opened(4), kit.closed(4, 7))):
            one.feed(data, "192.0.2.2:1", t + 1)
        one.drain(t + 100)
        records = [json.loads(record.body) for record in one.take()]
        assert [r["read"] for r in records if r["kind"] == "file"] == [7]
        json.dumps(one.status())
        json.dumps(one.dump())


def test_the_longest_process_number_is_one_of_63_bits(kit: Any) -> None:
    server = kit.Server()
    correlator = Correlator()
    correlator.feed(server.login(1, pid=10**18 - 1), "192.0.2.1:1", server.stod + 1.0)
    correlator.feed(server.login(2, pid=10**18), "192.0.2.1:1", server.stod + 1.0)
    assert correlator.counters["state_sessions"] == 1
    assert correlator.counters["rejected{userid}"] == 1
