"""Sorted, filtered rows: what a table shows, and in which order. No toolkit.

A table is a list of rows (any immutable values) and a tuple of `Column`. `Rows` keeps those that pass the filter in the
order of one column; Qt's model (`gui.models.table`) is a thin adapter over it, and tests need no window.
The filter language is that of `gui.models.filters`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from gui.models.filters import Filter, FilterError, filter_word, parse_filter
from gui.models.plain import straight

__all__ = ["UNKNOWN", "Align", "Column", "FilterError", "Kind", "Rows", "filter_word"]

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
            return straight(self.text(row))
        value = self.value(row)
        return UNKNOWN if value is None or value == "" else straight(str(value))


def _sort_key(value: object) -> tuple[int, Any]:
    """Numbers before text, so that a mixed column still has an order."""
    if isinstance(value, bool | int | float):
        return (0, value)
    return (1, str(value).lower())


class Rows(Generic[R]):
    """All rows, and the visible ones: filtered, then sorted by value; equal values keep their order.

    OPTIMISATION. 100,000 rows are filtered and sorted within 100 ms: the values of the sorted column and the text that
    free words are searched in are kept until the rows are replaced, and rows are sorted before they are filtered, so
    that a new filter need not sort again. `prepare` makes that text bit by bit; who filters earlier waits for it.
    """

    def __init__(self, columns: Sequence[Column[R]], key: Callable[[R], object]) -> None:
        self.columns = tuple(columns)
        self.key = key
        self.all: list[R] = []
        self.visible: list[R] = []
        self.sort_column: int | None = None
        self.descending = False
        self.filter_text = ""
        self._filter = Filter()
        self._order: list[int] | None = None
        """The numbers of all rows in the order of the sorted column; None: as they came."""
        self._haystack: list[str] = []
        """For the first rows: the text of all columns in small letters."""
        self._values: dict[int, list[Any]] = {}
        """The values of the columns that were sorted by."""
        self._passing: list[bool] | None = None
        """Which of all rows pass the filter; None: not known yet."""

    def replace(self, rows: Iterable[R]) -> None:
        """Replace all rows with these."""
        self.all = list(rows)
        self._haystack = []
        self._values = {}
        self._passing = None
        self._sort()
        self._select()

    def add(self, rows: Sequence[R]) -> None:
        """More rows, after all others. Takes as long as the new ones need, and not as long as all."""
        begin = len(self.all)
        self.all += rows
        for column, values in self._values.items():
            value_of = self.columns[column].value
            values += [value_of(row) for row in rows]
        if self._passing is not None:
            self._passing += self._pass(begin)
        if self._order is None:
            passing = self._passing
            self.visible += rows if passing is None else [r for n, r in enumerate(rows, begin) if passing[n]]
        else:
            self._sort([*self._order, *range(begin, len(self.all))])  # mostly in order: that is found out quickly
            self._select()

    def sort(self, column: int | None, *, descending: bool = False) -> None:
        """Sort by this column, or by the rows' own order (None)."""
        self.sort_column, self.descending = column, descending
        self._sort()
        self._select()

    def filter(self, text: str) -> None:
        """Show only matching rows. For an invalid text, raises FilterError and keeps the old filter."""
        self._filter = parse_filter(text, self.columns) if text.strip() else Filter()
        self.filter_text = text
        self._passing = None
        self._select()

    def waits_for_text(self, text: str) -> bool:
        """Whether this filter searches in text that `prepare` has not made yet. Raises FilterError."""
        return len(self._haystack) < len(self.all) and bool(parse_filter(text, self.columns).words)

    def prepare(self, rows: int) -> bool:
        """Make the text of this many further rows that free words are searched in; whether that of all is made."""
        shows = [column.shows for column in self.columns]
        begin = len(self._haystack)
        self._haystack += ["\n".join([show(row) for show in shows]).lower() for row in self.all[begin : begin + rows]]
        return len(self._haystack) >= len(self.all)

    def _sort(self, before: Sequence[int] | None = None) -> None:
        """`before`: an order that is almost right already."""
        if self.sort_column is None:
            self._order = None
            return
        value_of = self.columns[self.sort_column].value
        values = self._values.get(self.sort_column)
        if values is None:
            values = self._values[self.sort_column] = [value_of(row) for row in self.all]
        numbers = range(len(values)) if before is None else before
        unknown = [number for number in numbers if values[number] is None]
        known = [number for number in numbers if values[number] is not None] if unknown else numbers
        kinds = set(map(type, values)) - {type(None)}
        if kinds <= {int, float, bool}:
            keys: list[Any] = values
        elif kinds == {str}:
            keys = [value.lower() if value is not None else "" for value in values]
        else:
            keys = [_sort_key(value) for value in values]
        order = sorted(known, key=keys.__getitem__, reverse=self.descending)
        self._order = order + unknown  # unknown values are at the end in both directions

    def _select(self) -> None:
        rows, order = self.all, self._order
        if not self._filter.tests and not self._filter.words:
            self.visible = list(rows) if order is None else [rows[number] for number in order]
            return
        passing = self._passing
        if passing is None:
            passing = self._passing = self._pass()
        numbers = order if order is not None else range(len(rows))
        self.visible = [rows[number] for number in numbers if passing[number]]

    def _pass(self, begin: int = 0) -> list[bool]:
        """Which rows from this number on pass the filter."""
        rows, chosen = self.all, list(range(begin, len(self.all)))
        if self._filter.words:
            self.prepare(len(rows))
            texts = self._haystack
            for wanted, word in self._filter.words:
                chosen = [number for number in chosen if (word in texts[number]) is wanted]
        for test in self._filter.tests:
            chosen = [number for number in chosen if test(rows[number])]
        passing = [False] * (len(rows) - begin)
        for number in chosen:
            passing[number - begin] = True
        return passing

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
