from __future__ import annotations

import struct

import pytest

from collector.wire import RejectedError
from collector.wire.maps import (
    Flow,
    Ident,
    Login,
    Purged,
    Token,
    Transferred,
    number_of,
    parse_flow,
    parse_ident,
    parse_login,
    parse_map,
    parse_purged,
    parse_token,
    parse_transferred,
)

USERID = "xroot/alice.1:2@h"


def message(code: str, dictid: int, text: bytes) -> bytes:
    return struct.pack(">cBHII", code.encode(), 0, 12 + len(text), 99, dictid) + text


def test_the_example_of_the_format_reference() -> None:
    text = b"=/root.24519:169369521036254@se01.example.org\n&site=SITE-A&port=21048&inst=disk1&pgm=xrootd&ver=v5.5.3"
    parsed = parse_map(message("=", 0, text))
    assert (parsed.code, parsed.dictid, parsed.userid.pid, parsed.userid.host) == ("=", 0, 24519, "se01.example.org")
    assert parse_ident(parsed.detail) == Ident("SITE-A", 21048, "disk1", "xrootd", "v5.5.3")


def test_empty_and_missing_values_are_unknown() -> None:
    assert parse_ident("&site=&port=&inst=anon&pgm=cmsd&ver=") == Ident(None, None, "anon", "cmsd", None)
    assert parse_ident(None) == Ident(None, None, None, None, None)
    assert parse_login(None) == Login()


def test_no_second_line() -> None:
    assert parse_map(message("u", 5, USERID.encode())).detail is None
    assert parse_map(message("u", 5, f"{USERID}\n".encode())).detail == ""


def test_text_ends_at_the_first_nul() -> None:
    assert parse_map(message("d", 5, f"{USERID}\n/store/f".encode() + b"\0stray memory")).detail == "/store/f"


def test_text_that_is_no_utf8_keeps_its_bytes() -> None:
    detail = parse_map(message("d", 5, USERID.encode() + b"\n/store/\xff")).detail
    assert detail is not None
    assert detail.encode("utf-8", "surrogateescape") == b"/store/\xff"


def test_login_without_authentication() -> None:
    login = parse_login("&R=v6.2.1&x=python3.11&y=&I=4")
    assert login == Login(release="v6.2.1", executable="python3.11", ip="4")


def test_login_with_authentication_has_the_ip_version_twice() -> None:
    login = parse_login("&p=unix&n=root&h=[::ffff:127.0.0.1]&o=&r=&g=root&m=&R=v6.2.1&x=python3.11&y=&I=4&I=4")
    assert (login.auth, login.name, login.groups, login.vo, login.ip) == ("unix", "root", "root", None, "4")


def test_values_may_hold_ampersands_and_equal_signs() -> None:
    login = parse_login("&p=gsi&n=/DC=a&b=c/CN=x y&h=h&o=cms&r=NULL&g=g&m=/O=A&B/CN=me::serial&R=v5&x=x&y=&I=6")
    assert login.name == "/DC=a&b=c/CN=x y"
    assert login.info == "/O=A&B/CN=me::serial"
    assert login.ip == "6"


def test_a_client_cannot_put_on_the_vo_of_another() -> None:
    """What the security layer says comes first; what the client says of itself cannot replace it."""
    login = parse_login("&p=gsi&n=bob&h=h&o=&r=&g=&m=&R=v5&x=x&y=&o=cms&m=/CN=admin&I=4")
    assert (login.vo, login.info, login.name) == (None, None, "bob")


def test_token() -> None:
    assert parse_token("&Uc=7&s=sub&n=name&o=org&r=role&g=g1 g2") == Token(7, "sub", "name", "org", "role", "g1 g2")
    assert parse_token("&Uc=7&s=sub&un=name") == Token(7, "sub", "name", None, None, None)


@pytest.mark.parametrize(
    "detail", [None, "", "&Uc=", "&Uc=x&s=a", "&Uc=0&s=a", f"&Uc={-(2**31) - 1}", f"&Uc={2**32}", "&s=a&n=b"]
)
def test_tokens_and_flows_of_no_session(detail: str | None) -> None:
    for parse in (parse_token, parse_flow):
        with pytest.raises(RejectedError) as caught:
            parse(detail)
        assert caught.value.reason == "map_text"


@pytest.mark.parametrize(("said", "session"), [("-1", 2**32 - 1), (str(-(2**31)), 2**31), ("-7865", 0xFFFFE147)])
def test_a_session_printed_as_a_signed_number(said: str, session: int) -> None:
    assert parse_token(f"&Uc={said}&s=a").session == session
    assert parse_flow(f"&Uc={said}&Ec=3&Ac=4").session == session


def test_blanks_around_what_a_token_says() -> None:
    assert parse_token("&Uc=7&s= sub &n=&o=org&r= &g=/cms /cms/uscms ") == Token(
        7, "sub", None, "org", None, "/cms /cms/uscms"
    )


@pytest.mark.parametrize(
    "later", ["S=SITE-C", "a=[2001:db8::1]", "user-agent=x", "a_key.of_later_servers=", "S=/a/b=c"]
)
def test_keys_of_later_servers_end_the_value_before_them(later: str) -> None:
    login = parse_login(f"&p=gsi&n=x&h=w&o=cms&{later}&r=prod&g=/cms&m=&I=4")
    assert (login.vo, login.role, login.groups) == ("cms", "prod", "/cms")
    moved = parse_transferred(f"/f\n&tod=100&sz=5&qt=7&{later}&tm=8&op=p&rc=0&pd=any&{later}")
    assert (moved.queued, moved.took, moved.program) == (7, 8, f"any&{later}")


@pytest.mark.parametrize("name", ["/O=R&D/CN=alice", "/O=A&b=c/CN=d"])
def test_a_name_with_an_ampersand_is_not_a_key(name: str) -> None:
    login = parse_login(f"&p=gsi&n={name}&h=w&o=cms&r=&g=&m={name}&S=SITE-C&I=4")
    assert (login.name, login.info, login.vo) == (name, name, "cms")


def test_flow() -> None:
    assert parse_flow("&Uc=3&Ec=3&Ac=47") == Flow(3, "3", "47")
    assert parse_flow("&Uc=3&Ec=0&Ac=0") == Flow(3, None, None)


def test_purged() -> None:
    detail = "/store/a&b\n&tod=100&sz=5&at=1&ct=2&mt=3&fn=l"
    assert parse_purged(detail) == Purged("/store/a&b", 100, 5, 1, 2, 3, "l")


def test_transferred() -> None:
    """P5: every x message can be decoded, with or without program data."""
    assert parse_transferred("/f\n&tod=100&sz=5&qt=7&tm=8&op=g&rc=0") == Transferred("/f", 100, 5, 7, 8, "g", 0, None)
    moved = parse_transferred("/f\n&tod=100&sz=5&qt=7&tm=8&op=p&rc=-3&pd=any &thing=x")
    assert (moved.code, moved.program) == (-3, "any &thing=x")


@pytest.mark.parametrize("detail", [None, "", "/path only", "\n&tod=1"])
def test_daemon_messages_without_a_path_or_keys(detail: str | None) -> None:
    for parse in (parse_purged, parse_transferred):
        with pytest.raises(RejectedError) as caught:
            parse(detail)
        assert caught.value.reason == "map_text"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"u\0\0\x0b\0\0\0\1\0\0\0", "short"),
        (message("u", 1, b"nonsense"), "userid"),
        (message("u", 1, b""), "userid"),
        (message("d", 1, USERID.encode() + b"\n" + b"x" * 5000), "map_text"),
    ],
)
def test_messages_that_are_none(data: bytes, reason: str) -> None:
    with pytest.raises(RejectedError) as caught:
        parse_map(data)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 12),
        ("-3", -3),
        ("", None),
        (None, None),
        ("1" * 21, None),
        ("x", None),
        ("-", None),
        ("\u0663", None),
        ("1.5", None),
    ],
)
def test_numbers(text: str | None, number: int | None) -> None:
    assert number_of(text) == number
