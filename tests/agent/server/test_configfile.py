"""XRootD's configuration syntax, as far as we read it."""

from __future__ import annotations

import pytest

from agent.server.configfile import directives, plain_seconds, seconds, size


def read(text: str) -> list[tuple[int, str]]:
    return [(d.line, d.text) for d in directives(text)]


def test_comments_blank_lines_and_spacing() -> None:
    assert read("\n# nothing\nall.role  server # this one\n\tall.export /x\n") == [
        (3, "all.role server"),
        (4, "all.export /x"),
    ]


def test_a_line_goes_on_after_a_backslash() -> None:
    text = "xrootd.monitor all \\\n  fstat 10s \\\n  dest fstat h:1\nall.role server\n"
    assert read(text) == [(1, "xrootd.monitor all fstat 10s dest fstat h:1"), (4, "all.role server")]


def test_a_backslash_at_the_very_end() -> None:
    assert read("all.role server \\") == [(1, "all.role server")]


@pytest.mark.parametrize("use", ["$host", "${host}", "$(host)", "$[host]"])
def test_variables(use: str) -> None:
    assert read(f"set host = mon.example.org\nxrootd.monitor dest fstat {use}:9930\n") == [
        (2, "xrootd.monitor dest fstat mon.example.org:9930")
    ]


def test_a_variable_made_of_another_and_an_unknown_one() -> None:
    assert read("set a=x\nset b = $a/y\nall.export $b $c\n") == [(3, "all.export x/y $c")]


def test_what_stands_in_an_if_is_marked() -> None:
    text = "if exec xrootd\nxrd.port 1\nelse\nxrd.port 2\nfi\nxrd.port 3\n"
    assert [(d.words[1], d.conditional) for d in directives(text)] == [("1", True), ("2", True), ("3", False)]


@pytest.mark.parametrize(
    ("word", "value"), [("30", 30), ("30s", 30), ("5m", 300), ("2H", 7200), ("1d", 86400), ("0", 0), ("off", None)]
)
def test_times(word: str, value: int | None) -> None:
    assert seconds(word) == value


@pytest.mark.parametrize(("word", "value"), [("1472", 1472), ("32k", 32768), ("1M", 1048576), ("", None), ("k", None)])
def test_sizes(word: str, value: int | None) -> None:
    assert size(word) == value


@pytest.mark.parametrize(("value", "text"), [(10, "10s"), (90, "90s"), (300, "5m"), (3600, "1h"), (0, "0s")])
def test_seconds_as_people_write_them(value: int, text: str) -> None:
    assert plain_seconds(value) == text
    assert seconds(text) == value
