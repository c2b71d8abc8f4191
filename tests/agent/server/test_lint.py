"""The linter of the monitoring line: what each fault is called, and that the fixed line has none."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.server.check import findings as findings_here
from agent.server.configfile import directives
from agent.server.lint import lint, server_port, site_name
from agent.server.monitor import monitor_line

GOOD = (
    "all auth ident 5m flush 30s window 5s fbuff 1452 rbuff 2048 gbuff 1452 "
    "fstat 10s lfn ops ssq xfr 3 dest fstat info user mon.example.org:9930"
)
SITE = "all.sitename SITE-A\n"


def findings(line: str, *, rest: str = SITE, mtu: int = 1500) -> list[str]:
    """`severity: what` of each finding for a monitoring line."""
    text = rest + (f"xrootd.monitor {line}\n" if line else "")
    return [f"{f.severity}: {f.what}" for f in lint(text, path_mtu=lambda _: mtu)]


def starts(found: list[str], *expected: str) -> bool:
    return len(found) == len(expected) and all(f.startswith(e) for f, e in zip(found, expected, strict=True))


def test_the_recommended_line_has_no_findings() -> None:
    assert findings(GOOD) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ((" xfr 3", ""), "error: xfr is missing: close records will never be sent"),
        ((" lfn", ""), "error: lfn is missing: open records have neither"),
        (("fstat 10s lfn ops ssq xfr 3 ", ""), "error: The option fstat is missing"),
        (("fstat 10s", "fstat 0"), "error: fstat 0 turns the file records off"),
        (("dest fstat info user", "dest fstat info"), "error: No dest has the event user"),
        (("dest fstat info user", "dest info user"), "error: No dest has the event fstat"),
        (("fbuff 1452 ", ""), "warning: fbuff is not given, so that datagrams have up to 65472 bytes"),
        (("fbuff 1452", "fbuff 8k"), "warning: fbuff 8192 is more than fits into one packet on the path (1472 bytes)"),
        (("fbuff 1452", "fbuff 65535"), "error: fbuff 65535 is more than any datagram can carry"),
        (("fbuff 1452", "fbuff 1100"), "warning: fbuff 1100 is too small for files with long paths"),
        (("fbuff 1452", "fbuff 100"), "error: fbuff needs a size from 1024 to 65535, not '100'"),
        (("ident 5m", "ident 1h"), "warning: ident 1h is long"),
        (("ident 5m ", ""), "warning: ident is not given: it is 1h"),
        (("ident 5m", "ident off"), "warning: Without a repeated ident"),
        (("ident 5m", "ident soon"), "error: ident needs a time such as 30s or 5m, not 'soon'"),
        (("fstat 10s", "fstat 5m"), "warning: fstat 5m keeps records in the server for that long"),
        ((" ops ssq", ""), "info: Without ops"),
        (("fstat info user", "fstat user"), "info: Without the event info"),
        (("fstat info user", "fstat info user io"), "warning: io: one record for every open and close, and for every"),
        (
            ("fstat info user", "files fstat info user"),
            "warning: files: one record for every open and close, in addition",
        ),
        (("mon.example.org:9930", "mon.example.org"), "error: 'mon.example.org' after dest is neither an event nor"),
        (("xfr 3", "xfr none"), "error: xfr needs a whole number of at least 1, not 'none'"),
    ],
)
def test_each_fault_has_its_finding(change: tuple[str, str], expected: str) -> None:
    assert change[0] in GOOD
    found = findings(GOOD.replace(*change))
    assert any(finding.startswith(expected) for finding in found), found


@pytest.mark.parametrize("event", ["files", "io", "iov"])
def test_without_lfn_names_come_with_the_old_stream(event: str) -> None:
    found = findings(GOOD.replace(" lfn", "").replace("fstat info", f"{event} fstat info"))
    assert not [f for f in found if f.startswith("error")], found
    assert any(f.startswith("warning: lfn is missing: names and users of files come only from separate") for f in found)


@pytest.mark.parametrize(
    ("dests", "expected"),
    [
        # names go where `files` is, and only there
        ("dest fstat user a.org:1 dest files b.org:1", "error: lfn is missing: open records have neither"),
        ("dest fstat files user a.org:1 dest fstat b.org:1", "error: lfn is missing: the file records that b.org:1"),
        ("dest fstat user a.org:1 dest files a.org:1", "warning: lfn is missing"),
        ("dest fstat files user a.org:1 dest fstat io b.org:1", "warning: lfn is missing"),
        ("dest fstat files user a.org:1 dest redir b.org:1", "warning: lfn is missing"),
    ],
)
def test_names_without_lfn_go_to_one_destination(dests: str, expected: str) -> None:
    found = findings(GOOD.replace(" lfn", "").replace("dest fstat info user mon.example.org:9930", dests))
    (said,) = [f for f in found if "lfn" in f]
    assert said.startswith(expected)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ((" xfr 3", ""), "xfr 3"),
        ((" lfn", ""), "lfn ops"),
        (("fstat 10s", "fstat 0"), "fstat 10s"),
        (("dest fstat info user", "dest files"), "dest fstat info user mon.example.org:9930"),
        (("dest fstat info user", "dest"), "dest fstat info user mon.example.org:9930"),
        (("fbuff 1452 ", ""), "fbuff 1452"),
        (("ident 5m", "ident 3h"), "ident 5m"),
    ],
)
def test_the_fixed_line_mends_all_and_keeps_the_rest(change: tuple[str, str], expected: str) -> None:
    found = lint(SITE + "xrootd.monitor " + GOOD.replace(*change), path_mtu=lambda _: 1500)
    fixed = found[0].fixed
    assert expected in fixed
    assert {finding.fixed for finding in found} == {fixed}
    assert lint(SITE + fixed, path_mtu=lambda _: 1500) == []


def test_no_monitoring_at_all() -> None:
    found = lint("all.role server\n")
    assert found[0].severity == "error"
    assert "sends no monitoring at all" in found[0].what
    assert findings(found[0].fixed.removeprefix("xrootd.monitor ")) == []


def test_options_after_the_destination_are_ignored() -> None:
    found = findings(GOOD.replace("all auth", "all") + " auth")
    assert starts(
        found, "warning: 'auth' after dest is ignored: options come before the first dest", "warning: auth is missing"
    )


def test_an_unknown_option_takes_everything_after_it_along() -> None:
    found = findings("all authz " + GOOD.removeprefix("all auth "))
    assert starts(
        found,
        "error: 'authz' is not an option of xrootd.monitor: it and everything after it is ignored.",
        "warning: auth is missing",
    )


def test_a_line_without_dest_sends_nothing() -> None:
    assert starts(
        findings(GOOD.partition(" dest")[0]),
        "error: There is no dest: nothing is sent.",
        "error: fstat without any dest: xrootd starts, but crashes when the first file is opened.",
    )


def test_dest_without_an_address() -> None:
    assert findings(GOOD.removesuffix(" mon.example.org:9930"))[0] == (
        "error: dest has no HOST:PORT; xrootd does not start."
    )


def test_a_third_destination_is_ignored() -> None:
    found = findings(GOOD + " dest user b:2 dest user c:3")
    assert starts(found, "error: A third dest is ignored: dest user c:3.")


def test_two_destinations() -> None:
    assert findings(GOOD + " dest user b:2") == []
    assert starts(findings(GOOD + " dest fstat user b:2"), "info: Two dest get the same file records")
    assert starts(findings(GOOD + " dest pfc mon.example.org:9930"), "warning: Both dest are mon.example.org:9930")


def test_events_may_be_spread_over_two_destinations() -> None:
    line = GOOD.replace("dest fstat info user mon.example.org:9930", "dest fstat a:1 dest user info b:2")
    assert findings(line) == []


def test_a_later_line_replaces_an_earlier_one() -> None:
    found = findings("", rest=SITE + f"xrootd.monitor all dest user a:1\nxrootd.monitor {GOOD}\n")
    assert found == ["warning: The xrootd.monitor line 2 has no effect: line 3 replaces it."]


def test_a_line_with_three_dots_adds_to_the_one_before() -> None:
    options, _, dest = GOOD.partition("dest ")
    assert findings("", rest=SITE + f"xrootd.monitor {options}rnums 3\nxrootd.monitor ... dest {dest}\n") == []


def test_auth_in_an_added_line_clears_what_went_before() -> None:
    found = findings("", rest=SITE + f"xrootd.monitor {GOOD.replace('auth ', '')}\nxrootd.monitor ... auth\n")
    assert "error: auth in a continued line clears the events of the destinations named before it." in found
    assert "error: No dest has the event user: accesses cannot be attributed to users." in found


def test_mbuff_does_not_stand_in_for_fbuff() -> None:
    assert starts(findings(GOOD.replace("fbuff 1452", "mbuff 1400")), "warning: fbuff is not given")
    assert starts(findings(GOOD.replace("fbuff 1452", "mbuff 16k")), "warning: fbuff is not given")


def test_large_buffers_are_fine_on_loopback() -> None:
    assert findings(GOOD.replace("fbuff 1452 ", ""), mtu=65536) == []


def test_ipv6_leaves_less_room() -> None:
    line = GOOD.replace("mon.example.org:9930", "[2001:db8::1]:9930")
    assert findings(line) == []
    assert starts(findings(line.replace("fbuff 1452", "fbuff 1472")), "warning: fbuff 1472 is more than fits")
    assert starts(findings(line.replace("[", "").replace("]", ""))[:1], "error: '2001:db8::1:9930' after dest")


def test_a_cache_without_its_events() -> None:
    cache = SITE + "ofs.osslib libXrdPss.so\npss.cachelib libXrdPfc.so\nxrootd.async off\n"
    assert starts(findings(GOOD, rest=cache), "info: This is a cache")
    assert findings(GOOD.replace("user mon", "user pfc mon"), rest=cache) == []
    assert starts(
        findings(GOOD.replace("gbuff 1452 ", "").replace("user mon", "user pfc mon"), rest=cache),
        "warning: gbuff is not given, so that datagrams have up to 32768 bytes",
    )


def test_a_redirector_without_its_event() -> None:
    manager = SITE + "all.role manager\n"
    assert starts(findings(GOOD, rest=manager), "info: This is a redirector")
    with_redir = GOOD.replace("user mon", "user redir mon")
    assert findings(with_redir, rest=manager) == []
    assert starts(findings(with_redir.replace("rbuff 2048 ", ""), rest=manager), "warning: rbuff is not given")


def test_no_site_name() -> None:
    assert findings(GOOD, rest="") == ["warning: all.sitename is missing: records do not name their site."]


def test_what_cannot_be_seen_from_here_is_said() -> None:
    assert findings("", rest=SITE + "continue /etc/xrootd/conf.d *.cfg\n") == [
        "info: The configuration continues in /etc/xrootd/conf.d *.cfg, which was not checked."
    ]
    assert starts(
        findings("", rest=SITE + f"if named a\nxrootd.monitor {GOOD}\nfi\n"),
        "info: With the if in line 2 not taken: There is no xrootd.monitor line",
    )


@pytest.mark.parametrize("line", ["", "all", "dest", "fstat", "fstat xfr", "flush io", "ident", "... all", "dest dest"])
def test_halves_of_lines_are_findings_too(line: str) -> None:
    found = lint(SITE + f"xrootd.monitor {line}\n")
    assert found[0].severity == "error"


WORDS = st.sampled_from(
    [
        *GOOD.split(),
        "...",
        "dest",
        "h:99999999999999999999",
        ":",
        "[::1]:5",
        "io",
        "off",
        "0",
        "#",
        "²",
        "xfr",
        "h:²",
        "٣",
    ]
)


@given(st.lists(WORDS, max_size=30))
def test_any_line_is_judged_and_what_is_offered_instead_is_clean(words: list[str]) -> None:
    found = lint(SITE + "xrootd.monitor " + " ".join(words))
    for fixed in {f.fixed for f in found if f.fixed.startswith("xrootd.monitor")}:
        assert [f.what for f in lint(SITE + fixed) if f.severity != "info"] == []


@given(st.text(max_size=300))
def test_any_text_is_a_configuration(text: str) -> None:
    lint(text)
    findings_here(text)


def test_the_worst_comes_first() -> None:
    order = [f.severity for f in lint("xrootd.monitor fstat 60s ops dest files h:1\n")]
    assert order == sorted(order, key=["error", "warning", "info"].index)
    assert set(order) == {"error", "warning", "info"}


def test_findings_name_their_line() -> None:
    found = lint(f"\n\nxrootd.monitor {GOOD.replace(' xfr 3', '')}\n{SITE}")
    assert [(f.line, f.severity) for f in found] == [(3, "error")]


def test_small_facts() -> None:
    text = f"xrd.port 2094\n{SITE}xrootd.monitor {GOOD}\n"
    read = directives(text)
    assert (site_name(read), server_port(read)) == ("SITE-A", 2094)
    assert (site_name([]), server_port([])) == ("", 1094)
    line = monitor_line(read)
    assert line is not None
    assert line.text == f"xrootd.monitor {GOOD}"
    assert [(d.host, d.port) for d in line.destinations] == [("mon.example.org", "9930")]
    assert monitor_line(directives("all.role server\n")) is None


def test_our_own_sample_is_clean() -> None:
    text = (Path(__file__).parents[3] / "resources" / "samples" / "xrootd-monitoring.cfg").read_text()
    assert [f.what for f in lint(text) if f.severity == "error"] == []
