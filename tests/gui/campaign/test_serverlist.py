"""Lists of servers as people paste them: what is read, and which line is wrong and why."""

from __future__ import annotations

import pytest

from gui.campaign.selection import Server
from gui.campaign.serverlist import MAX_LINES, read_servers, write_servers


def test_names_addresses_and_labels_in_every_usual_form() -> None:
    listed = read_servers(
        """name,url,labels
        root://xrd1.example.org:1094          # the first
        s02 root://xrd2.example.org/ site-b fast
        xrd3.example.org, xrd4.example.org:2094;xrd5

        s06\troots://[2001:db8::6]:1095
        XRD7.Example.org
        """.replace(";xrd5", "")
    )
    assert listed.wrong == ()
    assert [(s.name, s.url, s.labels) for s in listed.servers] == [
        ("xrd1.example.org", "root://xrd1.example.org:1094", ()),
        ("s02", "root://xrd2.example.org:1094", ("site-b", "fast")),
        ("xrd3.example.org", "root://xrd3.example.org:1094", ()),
        ("xrd4.example.org:2094", "root://xrd4.example.org:2094", ()),
        ("s06", "roots://[2001:db8::6]:1095", ()),
        ("xrd7.example.org", "root://xrd7.example.org:1094", ()),
    ]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("root://ada@xrd1.example.org:1094", "names a user"),
        ("ada@xrd1.example.org", "names a user"),
        ("root://xrd1.example.org:1094//store/f", "goes on with a path"),
        ("xrd1.example.org/store", "goes on with a path"),
        ("ftp://xrd1.example.org", "is not the URL of an XRootD server"),
        ("foo bar", "has no address of a server"),
        ("root://xrd1.example.org:99999", "is not the URL of an XRootD server"),
        ("the server root://xrd1.example.org", "before the address stands one word"),
        ("a root://x.example.org root://y.example.org", "each server on a line of its own"),
        ("<b>bold</b>", "is not an address"),
        ("$(reboot)", "is not an address"),
        ("n" * 300 + " root://xrd1.example.org", "at most 200 characters"),
    ],
)
def test_a_wrong_line_is_named_with_its_number_and_the_others_are_used(line: str, why: str) -> None:
    listed = read_servers(f"root://good.example.org\n{line}\n\nroot://better.example.org")
    assert [server.name for server in listed.servers] == ["good.example.org", "better.example.org"]
    (wrong,) = listed.wrong
    assert wrong.line == 2
    assert why in str(wrong)


def test_the_same_server_under_two_names_is_one_and_the_line_that_says_so_is_named() -> None:
    listed = read_servers("s1 root://x.example.org:1094\ns2 root://X.example.org\ns1 x.example.org")
    assert [server.name for server in listed.servers] == ["s1"]
    assert [str(wrong) for wrong in listed.wrong] == [
        "Line 2: root://x.example.org:1094 is already in line 1 as s1; it stays that one server."
    ]


def test_a_name_is_for_one_server_only() -> None:
    listed = read_servers("s1 root://y.example.org", [Server("s1", "root://x.example.org:1094")])
    assert listed.servers == ()
    assert "s1 is already the name of root://x.example.org:1094 in the list" in str(listed.wrong[0])


def test_a_list_that_was_written_reads_as_before() -> None:
    servers = (Server("s1", "root://x.example.org:1094", ("a", "b")), Server("s2", "root://y.example.org:2094"))
    assert read_servers(write_servers(servers)).servers == servers


def test_a_list_that_is_too_long_says_what_is_left_out() -> None:
    text = "\n".join(f"h{number}.example.org" for number in range(MAX_LINES + 5))
    listed = read_servers(text)
    assert len(listed.servers) == MAX_LINES
    assert "the rest is left out" in str(listed.wrong[0])
