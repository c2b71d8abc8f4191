"""The filter language: names of columns, what is missing in a comparison, completion, and copying a cell into it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from gui.models.filters import FilterError, complete, filter_word, parse_filter
from gui.models.rows import Column, Rows


@dataclass(frozen=True)
class Test:
    verdict: str
    rate: float | None
    seen: str = ""

    __test__ = False


COLUMNS = [
    Column[Test]("verdict", "Verdict", lambda r: r.verdict),
    Column[Test]("rate", "Req. rate", lambda r: r.rate, align="right"),
    Column[Test]("age", "Last seen", lambda r: r.seen),
    Column[Test]("number", "#", lambda _r: 1),
    Column[Test]("swatch", "", lambda _r: None),
]
ROWS = [Test("matched", 5, "a moment ago"), Test("missing", None, "41 s ago"), Test("wrong bytes", 0.5)]


def left(text: str) -> list[str]:
    rows = Rows(COLUMNS, key=lambda r: r.verdict)
    rows.replace(ROWS)
    rows.filter(text)
    return [row.verdict for row in rows.visible]


@pytest.mark.parametrize(
    "name", ["rate", "Req. rate", "req.rate", "Req.-Rate", "REQRATE", "req_rate"], ids=lambda name: name
)
def test_a_column_is_named_by_its_header_or_its_short_name_however_it_is_written(name: str) -> None:
    assert left(f'"{name}":>1') == ["matched"]


def test_a_header_goes_before_the_short_name_of_another_column() -> None:
    columns = [Column("rate", "Offered", lambda r: r[0]), Column("x", "Rate", lambda r: r[1])]
    rows = Rows(columns, key=lambda r: r)
    rows.replace([(1, 2)])
    rows.filter("rate:=2")
    assert rows.visible == [(1, 2)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rate:>", "req_rate:>: a number is missing after >, as in req_rate:>5"),
        ("rate:<=much", "req_rate:<=much: 'much' is no number, as in req_rate:<=5"),
        ("-rate:<", "req_rate:<: a number is missing after <, as in req_rate:<5"),
        ("lastseem:41", "there is no column 'lastseem'; did you mean 'last_seen'? Columns are: last_seen, number, "
         "req_rate, swatch, verdict"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_what_would_be_right(text: str, said: str) -> None:
    with pytest.raises(FilterError) as error:
        parse_filter(text, COLUMNS)
    assert str(error.value) == said


STREAM_COLUMNS = [
    Column("stream", "Stream", lambda r: r[0]),
    Column("seq", "Seq.", lambda r: r[1], lambda r: f"{r[1]:,}", "right"),
    Column("contents", "Contents", lambda r: r[2]),
]
STREAM_ROWS = [("f", 76, "close, open"), ("u", 79, "login"), ("=", 80, "server"), ("t", 1_048_576, "a,b")]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("stream:f,u", "fu"),
        ("stream:=f,u", "fu"),
        ("-stream:f,u", "=t"),
        ("stream:f,u seq:>76", "u"),
        ("seq:=76,80", "f="),
        ("seq:=1,048,576", "t"),
        ("seq:1,048,576", "t"),
        ('contents:"close, open"', "f"),
        ("contents:a,b", "t"),
        ("contents:=a,b", "t"),
        ("contents:login,server", "u="),
        ("stream:f,", ""),
    ],
)
def test_a_list_of_values_wants_one_of_them(text: str, found: str) -> None:
    rows = Rows(STREAM_COLUMNS, key=lambda r: r[0])
    rows.replace(STREAM_ROWS)
    rows.filter(text)
    assert "".join(row[0] for row in rows.visible) == found


def test_each_value_of_a_list_is_completed() -> None:
    text = "stream:=f,"
    assert complete(text, len(text), STREAM_COLUMNS, STREAM_ROWS).choices == tuple(
        f"{text}{x}" for x in ("=", "t", "u")
    )
    text = "stream:f,u"
    assert complete(text, len(text), STREAM_COLUMNS, STREAM_ROWS).choices == ("stream:f,u",)


def test_an_equal_sign_wants_the_whole_text_or_the_number() -> None:
    assert left("verdict:=missing") == ["missing"]
    assert left("verdict:=miss") == []
    assert left("rate:=5") == ["matched"]
    assert left("rate:=–") == ["missing"]


@pytest.mark.parametrize("value", ["two words", 'say "hi"', "back\\slash", "<b>", "it's", ">5", "a:b", "–", "ümläut"])
def test_a_cell_used_as_filter_finds_its_own_row(value: str) -> None:
    column = COLUMNS[2]
    rows = Rows(COLUMNS, key=lambda r: r.seen)
    rows.replace([Test("x", 1, value), Test("y", 2, "another")])
    rows.filter(filter_word(column.name, column.shows(rows.all[0]), exact=True))
    assert [row.verdict for row in rows.visible] == ["x"]


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("", ("verdict:", "req_rate:", "last_seen:", "number:", "swatch:")),
        ("re", ("req_rate:",)),
        ("seen", ("last_seen:",)),
        ("-ver", ("-verdict:",)),
        ("matched ver", ("verdict:",)),
        ("verdict:m", ("verdict:matched", "verdict:missing")),
        ("verdict:by", ('verdict:"wrong bytes"',)),
        ('verdict:"wrong b', ('verdict:"wrong bytes"',)),
        ("verdict:=mi", ("verdict:=missing",)),
        ("rate:", ("rate:>", "rate:<", "rate:>=", "rate:<=", "rate:=")),
        ("rate:>", ()),
        ("nothing:x", ()),
        ("zzz", ()),
    ],
)
def test_what_can_stand_at_the_cursor(text: str, offered: tuple[str, ...]) -> None:
    assert complete(text, len(text), COLUMNS, ROWS).choices == offered


def test_the_word_at_the_cursor_is_completed_not_the_last_one() -> None:
    found = complete("ver missing", 3, COLUMNS, ROWS)
    assert (found.start, found.choices) == (0, ("verdict:",))


def test_every_name_that_is_offered_is_understood() -> None:
    for column in COLUMNS:
        assert parse_filter(f"{column.name}:x", COLUMNS).tests


def test_completion_reads_a_few_rows_of_many() -> None:
    read: list[int] = []
    column = Column[int]("n", "N", lambda r: r, lambda r: read.append(r) or "same")
    complete("n:", 2, [column], range(1_000_000))
    assert len(read) <= 2_000
