from __future__ import annotations

import time

import pytest

from collector.wire import RejectedError
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
    with pytest.raises(RejectedError) as caught:
        parse_summary_xml(data)
    assert caught.value.reason == reason


def test_json() -> None:
    report = parse_summary_json(b'{"statistics":{"tod":100,"tos":"50","src":"h:1","pid":7,"stats_link":{"num":1}}}\0')
    assert (report.reported, report.started, report.source, report.pid) == (100, 50, "h:1", 7)
    assert report.stats == {"link": {"num": 1}}


@pytest.mark.parametrize("data", [b"{", b'{"statistics":5}', b"[]", b'{"statistics":' + b"[" * 5000])
def test_json_that_is_none(data: bytes) -> None:
    with pytest.raises(RejectedError) as caught:
        parse_summary_json(data)
    assert caught.value.reason == "json"


def report(*groups: str, site: str = "A") -> bytes:
    head = '<statistics tod="1780000000" ver="v6.1.0" src="se01.example.org:1094" tos="1" pgm="xrootd" ins="a" pid="1"'
    return f'{head} site="{site}">{"".join(groups)}</statistics>'.encode()


GOOD = '<stats id="sched"><jobs>5</jobs></stats>'


def test_http_statuses_as_names_of_elements() -> None:
    """6.0.0 to 6.1.0: names that begin with a digit, so that the report is not XML."""
    http = '<stats id="http_plugin"><response><100>0</100><200>44</200><OTHERS>1</OTHERS></response></stats>'
    parsed = parse_summary_xml(report(GOOD, http))
    assert parsed.stats == {"sched": {"jobs": 5}, "http_plugin": {"response": {"100": 0, "200": 44, "OTHERS": 1}}}
    assert parsed.problems == ()


@pytest.mark.parametrize(
    ("text", "value"),
    [("5>", {"x": 5}), ("18446744073709551615", {"x": 2**64 - 1}), ("18446744073709551616", {}), ("9" * 50, {}),
     ("-9223372036854775809", {}), ("-3", {"x": -3}), ("a>", {"x": "a>"}), ("0.5", {"x": 0.5})],
)  # fmt: skip
def test_a_counter_is_a_number_or_absent(text: str, value: dict[str, object]) -> None:
    assert parse_summary_xml(report(f'<stats id="c"><x>{text}</x></stats>')).stats == {"c": value}


@pytest.mark.parametrize(
    "bad",
    [
        '<stats id="cache"><rd><in>1</in></rd></saved>1</saved></stats>',  # written so by caches before 5.7
        '<stats id="cache"><rd><in>1</in></stats>',
        '<stats id="cache"><rd>1</rd>',
        '<stats id="oss"><paths>1<stats id="0"><lp>"/"</lp></paths></stats>',
        '<stats id="cache">' + "<a>" * 20 + "</a>" * 20 + "</stats>",
        '<stats id="cache"><x>a<b</x></stats>',
    ],
)
def test_one_bad_group_loses_only_itself(bad: str) -> None:
    more = '<stats id="sgen"><as>1</as></stats>'
    parsed = parse_summary_xml(report(GOOD, bad, more))
    assert parsed.stats == {"sched": {"jobs": 5}, "sgen": {"as": 1}}
    assert set(parsed.problems) <= {"xml_group", "xml_depth"}
    assert parsed.problems
    assert (parsed.source, parsed.reported, parsed.site) == ("se01.example.org:1094", 1780000000, "A")


def test_a_bare_ampersand_is_read_as_one() -> None:
    parsed = parse_summary_xml(report('<stats id="info"><name>a&b &amp; c</name></stats>', site="A&B"))
    assert (parsed.site, parsed.stats) == ("A&B", {"info": {"name": "a&b & c"}})


def test_a_report_that_is_cut_keeps_its_whole_groups() -> None:
    parsed = parse_summary_xml(report(GOOD, '<stats id="link"><in>1</in></stats>')[:-30])
    assert (parsed.stats, parsed.problems) == ({"sched": {"jobs": 5}}, ("xml_group",))


def test_groups_without_end_are_given_up_soon() -> None:
    with pytest.raises(RejectedError) as caught:
        parse_summary_xml(report('<stats id="a">' * 4000))
    assert caught.value.reason == "xml"


@pytest.mark.parametrize(
    "data",
    [
        b"<statistics " + b"a" * 60_000 + b'><stats id="x"><a>1</a></stats>',
        b'<statistics a><stats id="x"><a>1</a></stats>' + b'<stats id="a' * 5_000,
    ],
)
def test_a_report_that_is_none_takes_no_longer_for_being_long(data: bytes) -> None:
    """One of 60 KB took 18 s when each letter of an attribute's name was tried as its beginning."""
    begun = time.process_time()
    assert parse_summary_xml(data).stats == {"x": {"a": 1}}
    assert time.process_time() - begun < 1.0
