"""Sorted, filtered rows: what a table shows, and in which order. No toolkit.

A table is a list of rows (any immutable values) and a tuple of `Column`. `Rows` keeps those that pass the filter in the
order of one column; Qt's model (`gui.models.table`) is a thin adapter over it, and tests need no window.

The filter language: words separated by blanks must all match. ``word`` is searched for in the text of every column;
``column:word`` in one; ``column:=word`` is that one's whole text; ``column:>5``, ``column:<=2.5``, ``column:=0``
compare numbers; ``-word`` and ``-column:word`` exclude; ``"two words"`` keeps blanks. A column is named as its header,
in small letters and with ``_`` for what is not a letter or a digit: ``lost_at:shoveler``.
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

R = TypeVar("R")

UNKNOWN = "–"
"""What a cell shows when its value is unknown or does not apply."""

Align = Literal["left", "right"]
Kind = Literal["text", "status", "bar", "spark", "swatch", "fixed", "interval"]


@dataclass(frozen=True)  # no slots: a frozen generic with slots cannot be written as Column[Row](…)
class Column(Generic[R]):
    """One column. `value` gives what is sorted, compared and copied as JSON; `text` what is shown."""

    key: str
    title: str
    value: Callable[[R], Any]
    text: Callable[[R], str] | None = None
    align: Align = "left"
    width: int = 96
    kind: Kind = "text"
    colour: Callable[[R], str | None] | None = None
    """Name of a theme colour for this cell, or None for the ordinary one."""
    icon: Callable[[R], str | None] | None = None
    bold: bool | Callable[[R], bool] = False
    stretch: bool = False
    shown: bool = True
    fold: int = 0
    """When there is no room for all columns, those with 1 are hidden first, then those with 2 …; 0 always stays."""
    cut: Literal["right", "left"] = "right"
    """Which end is cut when the cell is too narrow; the end of a path says more than its beginning."""
    tip: str | Callable[[R], str] = ""

    @property
    def name(self) -> str:
        """What a filter calls it: its header."""
        return re.sub(r"[^0-9a-z]+", "_", self.title.lower()).strip("_") or self.key

    def shows(self, row: R) -> str:
        """The cell's text; an unknown value is an en dash."""
        if self.text is not None:
            return self.text(row)
        value = self.value(row)
        return UNKNOWN if value is None or value == "" else str(value)


_COMPARISONS: tuple[tuple[str, Callable[[Any, Any], bool]], ...] = (
    (">=", operator.ge),
    ("<=", operator.le),
    (">", operator.gt),
    ("<", operator.lt),
    ("=", operator.eq),
)


class FilterError(ValueError):
    """An invalid filter; the text says which part is wrong and what would be right."""


def parse_filter(text: str, columns: Sequence[Column[R]]) -> Callable[[R], bool]:
    """The predicate of a filter text. Raises FilterError when it names an unknown column."""
    by_name = {column.key.lower(): column for column in columns} | {column.name: column for column in columns}
    tests: list[Callable[[R], bool]] = []
    for word in split_words(text):
        negative = word.startswith("-") and len(word) > 1
        body = word[1:] if negative else word
        name, colon, wanted = body.partition(":")
        if colon and name.lower() in by_name:
            test = _column_test(by_name[name.lower()], wanted)
        elif colon and name.isidentifier() and "/" not in wanted:
            names = sorted(column.name for column in columns)
            near = difflib.get_close_matches(name.lower(), names, n=1)
            meant = f"did you mean {near[0]!r}? C" if near else "c"
            raise FilterError(f"there is no column {name!r}; {meant}olumns are: {', '.join(names)}")
        else:
            test = _any_test(columns, body.lower())
        tests.append(_not(test) if negative else test)
    return lambda row: all(test(row) for test in tests)


def _not(test: Callable[[R], bool]) -> Callable[[R], bool]:
    return lambda row: not test(row)


def _any_test(columns: Sequence[Column[R]], wanted: str) -> Callable[[R], bool]:
    return lambda row: any(wanted in column.shows(row).lower() for column in columns)


def _column_test(column: Column[R], wanted: str) -> Callable[[R], bool]:
    whole = wanted[1:].lower()
    for sign, compare in _COMPARISONS:
        if wanted.startswith(sign):
            try:
                number = float(wanted[len(sign) :].replace(",", ""))
            except ValueError:
                break

            def compares(row: R, compare: Callable[[Any, Any], bool] = compare, number: float = number) -> bool:
                value = column.value(row)
                if isinstance(value, int | float):
                    return bool(compare(value, number))
                return compare is operator.eq and column.shows(row).lower() == whole

            return compares
    if wanted.startswith("="):
        return lambda row: column.shows(row).lower() == whole
    lowered = wanted.lower()
    return lambda row: lowered in column.shows(row).lower()


def split_words(text: str) -> list[str]:
    """The words of a filter. Quotes keep blanks; in quotes a backslash takes the next sign as it is."""
    words: list[str] = []
    word, inside, begun = "", False, False
    signs = iter(text)
    for sign in signs:
        if sign == '"':
            inside, begun = not inside, True
        elif inside and sign == "\\":
            word += next(signs, "")
        elif sign.isspace() and not inside:
            if begun:
                words.append(word)
            word, begun = "", False
        else:
            word, begun = word + sign, True
    return [*words, word] if begun else words


def filter_word(name: str, text: str, *, exact: bool = False) -> str:
    """The filter for rows whose column `name` has this text in it, or, if `exact`, is this text."""
    wanted = f"={text}" if exact else text
    if not wanted or any(sign.isspace() or sign in '"\\' for sign in wanted):
        wanted = '"' + wanted.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{name}:{wanted}"


def _sort_key(value: object) -> tuple[int, Any]:
    """Numbers before text before unknown values, so that a mixed column still has an order."""
    if value is None:
        return (2, 0)
    if isinstance(value, bool | int | float):
        return (0, value)
    return (1, str(value).lower())


class Rows(Generic[R]):
    """All rows, and the visible ones: filtered, then sorted by value; equal values keep their order."""

    def __init__(self, columns: Sequence[Column[R]], key: Callable[[R], object]) -> None:
        self.columns = tuple(columns)
        self.key = key
        self.all: list[R] = []
        self.visible: list[R] = []
        self.sort_column: int | None = None
        self.descending = False
        self.filter_text = ""
        self._passes: Callable[[R], bool] | None = None

    def replace(self, rows: Iterable[R]) -> None:
        """Replace all rows with these."""
        self.all = list(rows)
        self._arrange()

    def sort(self, column: int | None, *, descending: bool = False) -> None:
        """Sort by this column, or by the rows' own order (None)."""
        self.sort_column, self.descending = column, descending
        self._arrange()

    def filter(self, text: str) -> None:
        """Show only matching rows. For an invalid text, raises FilterError and keeps the old filter."""
        self._passes = parse_filter(text, self.columns) if text.strip() else None
        self.filter_text = text
        self._arrange()

    def _arrange(self) -> None:
        rows = self.all if self._passes is None else [row for row in self.all if self._passes(row)]
        if self.sort_column is not None:
            value = self.columns[self.sort_column].value
            known = [row for row in rows if value(row) is not None]
            unknown = [row for row in rows if value(row) is None]
            known.sort(key=lambda row: _sort_key(value(row)), reverse=self.descending)
            rows = known + unknown  # unknown values are at the end in both directions
        self.visible = list(rows)

    def as_tsv(self, indexes: Iterable[int], columns: Sequence[int]) -> str:
        """These visible rows as tab-separated text with a header line."""
        lines = ["\t".join(self.columns[c].title for c in columns)]
        lines += [
            "\t".join(self.columns[c].shows(self.visible[i]).replace("\t", " ").replace("\n", " ") for c in columns)
            for i in indexes
        ]
        return "\n".join(lines)

    def as_dict(self, index: int) -> dict[str, object]:
        """One visible row by column key, for JSON."""
        return {column.key: column.value(self.visible[index]) for column in self.columns}
