"""Rows: filter language, order by value, and what is copied."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from gui.models.rows import Column, FilterError, Rows, filter_word


@dataclass(frozen=True)
class Server:
    name: str
    gap: int | None
    note: str = ""


COLUMNS = [
    Column[Server]("name", "Server", lambda r: r.name),
    Column[Server]("gap", "Gap", lambda r: r.gap, align="right"),
    Column[Server]("note", "Note", lambda r: r.note),
]
SERVERS = [Server("s10", 5, "two words"), Server("s2", 12), Server("s1", None, "broker down"), Server("S3", 0)]


@pytest.fixture
def rows() -> Rows[Server]:
    made = Rows(COLUMNS, key=lambda r: r.name)
    made.replace(SERVERS)
    return made


def names(rows: Rows[Server]) -> list[str]:
    return [row.name for row in rows.visible]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("", ["s10", "s2", "s1", "S3"]),
        ("s1", ["s10", "s1"]),
        ("name:s3", ["S3"]),
        ("gap:>4", ["s10", "s2"]),
        ("gap:>=5 gap:<12", ["s10"]),
        ("gap:=0", ["S3"]),
        ("-gap:>4", ["s1", "S3"]),
        ('"broker down"', ["s1"]),
        ('note:"two words"', ["s10"]),
        ("-broker s1", ["s10"]),
        ('"unfinished', []),
        ("server:s1", ["s10", "s1"]),
        ("server:=s1", ["s1"]),
        ("server:=S10 gap:>4", ["s10"]),
        ('note:="broker down"', ["s1"]),
        ("it's", []),
        ("Server:s3", ["S3"]),
        ("GAP:=12", ["s2"]),
        ("note:=broker", []),
        ("-server:=s1 s1", ["s10"]),
    ],
)
def test_a_filter_keeps_what_it_says(rows: Rows[Server], text: str, left: list[str]) -> None:
    rows.filter(text)
    assert names(rows) == left


def test_an_unknown_column_is_named_with_those_that_there_are_and_the_old_filter_stays(rows: Rows[Server]) -> None:
    rows.filter("gap:>4")
    with pytest.raises(FilterError, match=r"no column 'gpa'; did you mean 'gap'\? Columns are: gap, note, server"):
        rows.filter("gpa:>4")
    assert names(rows) == ["s10", "s2"]


def test_an_address_is_no_column(rows: Rows[Server]) -> None:
    rows.filter("root://s10")
    assert names(rows) == []


def test_numbers_sort_as_numbers_and_the_unknown_stays_last_both_ways(rows: Rows[Server]) -> None:
    rows.sort(1)
    assert names(rows) == ["S3", "s10", "s2", "s1"]
    rows.sort(1, descending=True)
    assert names(rows) == ["s2", "s10", "S3", "s1"]
    rows.sort(None)
    assert names(rows) == ["s10", "s2", "s1", "S3"]


def test_copied_rows_have_a_header_and_no_stray_tabs(rows: Rows[Server]) -> None:
    rows.replace([Server("a\tb", 1, "x\ny")])
    assert rows.as_tsv([0], [0, 1, 2]) == "Server\tGap\tNote\na b\t1\tx y"
    assert rows.as_dict(0) == {"name": "a\tb", "gap": 1, "note": "x\ny"}


@pytest.mark.parametrize(
    "name", ["s1", "two words", 'a "quoted" one', "back\\slash", "it's", "", "7", "a:b", "-x", "\ttab"]
)
def test_a_name_can_be_made_a_filter_whatever_it_is(rows: Rows[Server], name: str) -> None:
    rows.replace([Server(name, 1), Server(f"{name}0", 2), Server(f"0{name}", 3)])
    rows.filter(filter_word("server", name, exact=True))
    assert names(rows) == ([name] if name else [])  # an empty cell shows a dash
