"""XRootD's configuration syntax, as far as we read it."""

from __future__ import annotations

from typing import Any

import pytest

from agent.server.configfile import Source, directives, kept, plain_seconds, readings, seconds, size


def read(text: str) -> list[tuple[int, str]]:
    return [(d.place.line, d.text) for d in directives(text)]


def in_each_world(text: str, **known: Any) -> dict[str, list[str]]:
    """The directives by what had to be chosen to come to them."""
    return {" and ".join(r.choices.values()): [d.text for d in r.directives] for r in readings(text, **known)}


def faults(text: str, **known: Any) -> list[str]:
    return [fault.what for reading in readings(text, **known) for fault in reading.faults]


def test_comments_blank_lines_and_spacing() -> None:
    assert read("\n# nothing\nall.role  server # this one\n  all.export /x\n") == [
        (3, "all.role server # this one"),
        (4, "all.export /x"),
    ]


def test_a_tab_parts_no_words() -> None:
    assert [d.words for d in directives("xrootd.monitor\tall auth\n")] == [["xrootd.monitor\tall", "auth"]]


def test_blank_lines_and_comments_do_not_end_a_continued_line() -> None:
    assert read("all.export \\  \n\n# where\n  /x\nall.role server") == [(1, "all.export /x"), (5, "all.role server")]


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


def test_set_takes_from_the_environment_only() -> None:
    text = "set a=x\nset b = $a\nall.export $(b)\n"
    assert faults(text)[0].startswith("set takes $a from xrootd's environment, not from the set above it")
    (reading,) = readings(text, environment={"a": "/y"})
    assert ([d.text for d in reading.directives], reading.faults) == (["all.export /y"], [])


@pytest.mark.parametrize(("word", "made"), [("a$[none]b", "ab"), ("\\$x", "$x"), ("5$%", "5$%"), ("$xy.z", "1.z")])
def test_words_with_dollars(word: str, made: str) -> None:
    assert read(f"set xy = 1\nall.export {word}\n") == [(2, f"all.export {made}")]


@pytest.mark.parametrize(
    ("word", "fault"),
    [("$c", "The variable c is not set"), ("$(a_b)", "$(a_b) is not valid"), ("${a", "${a is not valid")],
)
def test_words_that_end_the_start(word: str, fault: str) -> None:
    assert [what.startswith(fault) for what in faults(f"set a = 1\nall.export {word}\n")] == [True]


def test_branches_exclude_each_other() -> None:
    text = "if named a b\nxrd.port 1\nelse if exec cmsd\nxrd.port 2\nelse\nxrd.port 3\nfi\nxrd.port 4\n"
    assert in_each_world(text) == {
        "if named a b (line 1)": ["xrd.port 1", "xrd.port 4"],
        "the else of the if in line 1": ["xrd.port 3", "xrd.port 4"],
    }
    assert list(in_each_world(text, instance="b")) == ["if named a b (line 1)"]


def test_the_same_condition_is_the_same_in_every_line() -> None:
    text = "if named a\nxrd.port 1\nfi\nif named a\nxrd.port 2\nfi\n"
    assert list(in_each_world(text).values()) == [["xrd.port 1", "xrd.port 2"], []]


@pytest.mark.parametrize(
    ("condition", "host", "true"),
    [
        ("*", "h.example.org", True),
        ("h.example.org", "h.example.org", True),
        ("*.example.org", "h.example.org", True),
        ("h*.org", "h.example.org", True),
        ("a.example.org h*", "h.example.org", True),
        ("*.example.com", "h.example.org", False),
        ("h* exec xrootd", "h.example.org", True),
        ("h* exec cmsd", "h.example.org", False),
        ("h* exec cmsd xrootd && named t", "h.example.org", True),
        ("h* named a b", "h.example.org", False),
        ("defined ?set", "h.example.org", True),
        ("defined ?none ?set && exec xrootd", "h.example.org", True),
        ("defined ?~HOME", "h.example.org", True),
        ("defined ?~set", "h.example.org", False),
    ],
)
def test_conditions(condition: str, host: str, true: bool) -> None:
    text = f"set set = 1\nif {condition}\nxrd.port 1\nfi\n"
    (reading,) = readings(text, host=host, instance="t", environment={"HOME": "/root"})
    assert bool(reading.directives) is true


def test_a_role_with_a_condition_of_its_own() -> None:
    text = "all.role manager if named m\nall.role server if named s\n"
    assert list(in_each_world(text).values()) == [["all.role manager"], ["all.role server"], []]


def test_continue_goes_on_elsewhere_and_ends_the_file() -> None:
    def follow(path: str, suffixes: object) -> list[Source]:
        assert (path, suffixes) == ("/etc/xrootd/config.d", [".cfg"])
        return [Source("/a.cfg", "xrd.port 2\n"), Source("/b.cfg", "\nxrd.port 3\n")]

    (reading,) = readings("xrd.port 1\ncontinue /etc/xrootd/config.d *.cfg\nxrd.port 4\n", follow)
    assert [(d.place.file, d.place.line, d.words[1]) for d in reading.directives] == [
        ("", 1, "1"), ("/a.cfg", 1, "2"), ("/b.cfg", 2, "3"),
    ]  # fmt: skip


def test_many_conditions_are_still_judged_in_time() -> None:
    text = "".join(f"if named n{n}\nxrd.port {n}\nfi\nif h{n}\nxrd.port 1{n}\nfi\n" for n in range(200))
    assert 1 < len(readings(text)) <= 256


@pytest.mark.parametrize(
    ("name", "suffixes", "read"),
    [
        ("40-mon.cfg", [], True),
        (".40-mon.cfg", [], False),
        ("40-mon.cfg.rpmsave", [], False),
        ("40-mon.cfg~", [], False),
        ("40-mon.cfg.dpkg-dist", [], False),
        ("README", [], True),
        ("README", [".cfg"], False),
        ("40-mon.cfg", [".conf", ".cfg"], True),
    ],
)
def test_what_a_directory_has_to_read(name: str, suffixes: list[str], read: bool) -> None:
    assert kept(name, suffixes) is read


@pytest.mark.parametrize(
    ("word", "value"), [("30", 30), ("30s", 30), ("5m", 300), ("2H", 7200), ("1d", 86400), ("0", 0), ("off", None)]
)
def test_times(word: str, value: int | None) -> None:
    assert seconds(word) == value


@pytest.mark.parametrize(
    ("word", "value"), [("1472", 1472), ("32k", 32768), ("1.5k", 1536), ("1M", 1048576), ("", None), ("k", None)]
)
def test_sizes(word: str, value: int | None) -> None:
    assert size(word) == value


@pytest.mark.parametrize(("value", "text"), [(10, "10s"), (90, "90s"), (300, "5m"), (3600, "1h"), (0, "0s")])
def test_seconds_as_people_write_them(value: int, text: str) -> None:
    assert plain_seconds(value) == text
    assert seconds(text) == value
