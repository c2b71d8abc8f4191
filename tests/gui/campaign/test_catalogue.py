"""Lists of test files."""

from __future__ import annotations

import pytest

from gui.campaign.catalogue import CatalogueError, parse_list
from gui.campaign.plan import File


def test_a_list() -> None:
    text = "# ours\n/store/a 10\n\n/store/with space 1KiB\n  /store/a 10  \n"
    assert parse_list(text) == (File("/store/a", 10), File("/store/with space", 1024))


def test_all_problems_with_their_lines() -> None:
    with pytest.raises(CatalogueError) as caught:
        parse_list("/a 1\n/b\n/c x\nd 4\n/a 2\n/e -1\n", name="files.txt")
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == [
        f"files.txt, line {number}" for number in (2, 3, 4, 5, 6)
    ]
    assert "listed twice with different sizes" in str(caught.value)


def test_many_problems_are_not_all_told() -> None:
    with pytest.raises(CatalogueError) as caught:
        parse_list("x\n" * 1000)
    assert str(caught.value).splitlines()[-1] == "… and 980 more."


def test_an_empty_list() -> None:
    with pytest.raises(CatalogueError, match="contains no files"):
        parse_list("# nothing\n")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("\ufeff/store/f 1\n", "/store/f"),
        ("/store/f\t1\n", "/store/f"),
        ("/store/f 1\r\n", "/store/f"),
        ("/a\x85b 1\n", "/a\x85b"),
        ("/a\u2028b 1\n", "/a\u2028b"),
        ("/a\x0cb 1\n", "/a\x0cb"),
        ("/a\tb 1\n", "/a\tb"),
        ("/a#b 1\n", "/a#b"),
        ("/.a/..b/c. 1\n", "/.a/..b/c."),
        ("/" + "x" * 1022 + " 1\n", "/" + "x" * 1022),
    ],
)
def test_lists_of_other_programs(text: str, path: str) -> None:
    assert parse_list(text) == (File(path, 1),)


@pytest.mark.parametrize("line", ["/store/a 9223372036854775808", "/store/a 8EiB", "/store/a \uff11"])
def test_a_size_that_no_file_has(line: str) -> None:
    with pytest.raises(CatalogueError, match="line 1: "):
        parse_list(line)
    assert parse_list("/store/a 9223372036854775807") == (File("/store/a", 2**63 - 1),)


@pytest.mark.parametrize("line", ["/store/a  1", "/store/a\t\t1", "/store/a \t1"])
def test_a_blank_at_the_end_of_a_name_is_never_dropped(line: str) -> None:
    with pytest.raises(CatalogueError, match="blanks or tabs stand between"):
        parse_list(line)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/store//norm", "repeated slashes"),
        ("//store/norm", "repeated slashes"),
        ("/store/./norm", "'.' or '..'"),
        ("/store/x/../norm", "'.' or '..'"),
        ("/store/norm/", "that is a directory"),
        ("/store/norm?", "goes on with a '?'"),
        ("/store/norm?authz=SECRET", "goes on with a '?'"),
        ("store?authz=SECRET", "a path begins with '/'"),
        ("/" + "x" * 1023, "XRootD keeps 1,023"),
        ("/" + "é" * 512, "XRootD keeps 1,023"),
        ("/a\rb", "line break"),
    ],
)
def test_a_path_that_the_server_would_report_in_another_form_is_refused(path: str, reason: str) -> None:
    with pytest.raises(CatalogueError) as caught:
        parse_list(f"/ok 1\n{path} 77\n", name="list")
    assert str(caught.value).startswith("list, line 2: ")
    assert reason in str(caught.value)
    assert "SECRET" not in str(caught.value)


def test_a_checksum_may_follow_the_size() -> None:
    listed = "/a b 5 adler32:0A1b2C3d\n/c\t1KiB \tadler32:00000001 \n/adler32:00000001 7\n"
    assert parse_list(listed) == (
        File("/a b", 5, "adler32:0a1b2c3d"),
        File("/c", 1024, "adler32:00000001"),
        File("/adler32:00000001", 7),
    )
    with pytest.raises(CatalogueError, match="line 2: /a is listed twice with different checksums"):
        parse_list("/a 5 adler32:00000001\n/a 5 adler32:00000002\n")
    with pytest.raises(CatalogueError, match="line 1"):
        parse_list("/a 5 adler32:123\n")
