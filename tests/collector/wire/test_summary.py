from __future__ import annotations

import pytest

from collector.wire import Rejected
from collector.wire.summary import parse_summary_json, parse_summary_xml

XML = (
    b'<statistics tod="100" ver="v5.5.3" src="se01.example.org:1094" tos="50" pgm="xrootd" ins="disk1" pid="7" '
    b'site="S">'
    b'<stats id="link"><num>1</num><in>123456789012</in><ctime>1.5</ctime></stats>'
    b'<stats id="ofs"><role>server</role><tpc><grnt>0</grnt></tpc></stats>'
    b'<stats id="oss" v="2"><paths>2<stats id="0"><lp>"/store"</lp><free>5</free></stats>'
    b'<stats id="1"><lp>"/b"</lp></stats>'
    b"</paths><space>0</space></stats></statistics>"
)


def test_xml() -> None:
    report = parse_summary_xml(XML)
    assert (report.reported, report.started, report.source, report.pid) == (100, 50, "se01.example.org:1094", 7)
    assert (report.program, report.instance, report.site, report.version) == ("xrootd", "disk1", "S", "v5.5.3")
    assert report.stats == {
        "link": {"num": 1, "in": 123456789012, "ctime": 1.5},
        "ofs": {"role": "server", "tpc": {"grnt": 0}},
        "oss": {"paths": {"count": 2, "0": {"lp": "/store", "free": 5}, "1": {"lp": "/b"}}, "space": 0},
    }


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<statistics", "xml"),
        (b"<other/>", "xml"),
        (b"<statistics>\xff\0</statistics>", "xml"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><statistics>&a;</statistics>', "xml_forbidden"),
        (b"<?xml version='1.0' encoding='utf-7'?><statistics/>", "xml_forbidden"),
        (b"<statistics><!-- x --></statistics>", "xml_forbidden"),
        (b"<statistics>" + b"<a>" * 20 + b"</a>" * 20 + b"</statistics>", "xml_depth"),
        (b"<statistics>" + b"<a>" * 6000 + b"</a>" * 6000 + b"</statistics>", "xml_depth"),
    ],
)
def test_xml_that_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(Rejected) as caught:
        parse_summary_xml(data)
    assert caught.value.reason == reason


def test_json() -> None:
    report = parse_summary_json(b'{"statistics":{"tod":100,"tos":"50","src":"h:1","pid":7,"stats_link":{"num":1}}}\0')
    assert (report.reported, report.started, report.source, report.pid) == (100, 50, "h:1", 7)
    assert report.stats == {"link": {"num": 1}}


@pytest.mark.parametrize("data", [b"{", b'{"statistics":5}', b"[]", b'{"statistics":' + b"[" * 5000])
def test_json_that_is_none(data: bytes) -> None:
    with pytest.raises(Rejected) as caught:
        parse_summary_json(data)
    assert caught.value.reason == "json"
