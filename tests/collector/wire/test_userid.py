from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.wire import RejectedError
from collector.wire.userid import Host, domain_of, is_remote, parse_host, parse_userid, split_remote


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("xroot/alice.252:349236668@[::ffff:127.0.0.1]", ("xroot", "alice", 252, 349236668, "[::ffff:127.0.0.1]")),
        ("xroot/carol.x.12135:7@host.example.org", ("xroot", "carol.x", 12135, 7, "host.example.org")),
        ("xroot/john.doe.1:2@h", ("xroot", "john.doe", 1, 2, "h")),
        ("http/unknown.1:216473348478080@[2001:db8::1]", ("http", "unknown", 1, 216473348478080, "[2001:db8::1]")),
        ("=/root.24519:169369521036254@se01.example.org", ("=", "root", 24519, 169369521036254, "se01.example.org")),
        ("xroot/a@b:c.d.5:6@h", ("xroot", "a@b:c.d", 5, 6, "h")),
        ("xroot/.1:2@", ("xroot", "", 1, 2, "")),
        ("xroot/a/b.1:2@h", ("xroot", "a/b", 1, 2, "h")),
    ],
)  # fmt: skip
def test_a_userid_is_taken_apart_from_both_ends(text: str, parts: tuple[object, ...]) -> None:
    """G15: one parser; dots, colons and @ in the user do not confuse it."""
    assert parse_userid(text) == (*parts, text)


@pytest.mark.parametrize("text", ["alice.3001:196673536@wn1.example.net", "alice.3001:-7@wn1.example.net"])
def test_a_userid_without_a_protocol_does_not_name_its_server(text: str) -> None:
    assert parse_userid(text) == ("", "alice", 3001, 0, "wn1.example.net", text)


@pytest.mark.parametrize(
    "text",
    [
        "", "xroot", "xroot/", "xroot/alice", "xroot/alice.1", "xroot/alice.1:2", "xroot/alice.x:2@h",
        "xroot/alice.1:y@h", "alice.1@h", "alice.1:x@h", "alice.-1:2@h", "xroot/alice.-1:2@h",
        "xroot/alice.1:281474976710656@h",
        "xroot/alice.1:99999999999999999@h",
        "xroot/alice.\u0661:2@h", "xroot/alice.1:\u0662@h", "xroot/a." + "9" * 30 + ":2@h",
    ],
)  # fmt: skip
def test_what_is_no_userid_is_rejected_by_name(text: str) -> None:
    with pytest.raises(RejectedError) as caught:
        parse_userid(text)
    assert caught.value.reason == "userid"


@given(
    st.text(st.characters(exclude_characters="/")), st.text(), st.integers(0, 10**9), st.integers(0, 2**48 - 1),
    st.text(st.characters(exclude_characters="@")),
)  # fmt: skip
def test_whatever_the_user_is_called(protocol: str, user: str, pid: int, sid: int, host: str) -> None:
    parsed = parse_userid(f"{protocol}/{user}.{pid}:{sid}@{host}")
    assert parsed[:5] == (protocol, user, pid, sid, host)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("[::ffff:127.0.0.1]", Host("127.0.0.1", 4)),
        ("[::198.51.100.7]", Host("198.51.100.7", 4)),
        ("[2001:DB8::0:1]", Host("2001:db8::1", 6)),
        ("[::1]", Host("::1", 6)),
        ("192.0.2.1", Host("192.0.2.1", 4)),
        ("se01.example.org", Host("se01.example.org", None)),
        ("", Host("", None)),
        ("[half", Host("[half", None)),
    ],
)
def test_hosts(text: str, host: Host) -> None:
    assert parse_host(text) == host


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("fermicloud157.fnal.gov", "fnal.gov"),
        ("4node.example.org", "example.org"),
        ("fe80host.site.ac.uk", "ac.uk"),
        ("localhost", None),
        ("192.0.2.1", None),
        ("[fe80::1]", None),
        ("f.example.org.", "example.org"),
        ("", None),
        ("..", None),
    ],
)
def test_domains_of_names_that_look_like_addresses(text: str, domain: str | None) -> None:
    """G28 and P10: a name may begin with f or a digit."""
    assert domain_of(parse_host(text)) == domain


@pytest.mark.parametrize(
    ("remote", "parts"),
    [
        ("192.0.2.1:1094", ("192.0.2.1", "1094")),
        ("[::ffff:192.0.2.1]:1094", ("192.0.2.1", "1094")),
        ("[2001:db8::1]:9930", ("2001:db8::1", "9930")),
        ("192.0.2.1", ("192.0.2.1", "")),
        ("2001:db8::1", ("2001:db8::1", "")),
        ("2001:DB8::0:1", ("2001:db8::1", "")),
        ("[2001:db8::1]", ("2001:db8::1", "")),
        ("2001:db8:0:0:0:0:0:1:9930", ("2001:db8::1", "9930")),
        ("192.0.2.1:", ("192.0.2.1", "")),
        ("[2001:db8::1]:", ("2001:db8::1", "")),
        ("se01.example.org:9930", ("se01.example.org", "9930")),
        ("se01.example.org", ("se01.example.org", "")),
    ],
)
def test_senders(remote: str, parts: tuple[str, str]) -> None:
    assert split_remote(remote) == parts
    assert is_remote(remote)


@pytest.mark.parametrize("text", ["", ":1", "h:", "h:x", "h:1\n", "h\x1b:1", "x" * 64 + ":1", "h:¹", "a..b:1"])
def test_no_senders(text: str) -> None:
    assert not is_remote(text)
