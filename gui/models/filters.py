"""The filter language of every table, and what completes it. No toolkit.

Words separated by blanks must all match. ``word`` is searched for in the text of every column; ``column:word`` in one;
``column:a,b`` in one for any of these; ``column:>5``, ``column:<=2.5`` compare numbers; ``column:=word`` wants exactly
that number or text (``column:=a,b`` one of these); ``-word`` and ``-column:word`` exclude; ``"two words"`` keeps
blanks.

A column is named as its header, in small or capital letters and with any signs or none for its blanks (``last_seen:``,
``lastseen:``, ``"Last seen":``), or by its short name (its `key`).
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from gui.models.rows import Column

R = TypeVar("R")

MOST_OFFERED = 40
"""Values of a column that are offered for completion."""
ROWS_READ = 2_000
"""Rows whose values are looked at for that: it happens at every key."""

_GROUPED = re.compile(r"[-−]?\d{1,3}(,\d{3})+(\.\d+)?")
"""A number as it is shown, ``1,048,576``: no list of three."""

_COMPARISONS: tuple[tuple[str, Callable[[Any, Any], bool]], ...] = (
    (">=", operator.ge),
    ("<=", operator.le),
    (">", operator.gt),
    ("<", operator.lt),
)


class FilterError(ValueError):
    """An invalid filter; the text says which part is wrong and what would be right."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter text, understood: tests of single columns, and words that are searched for in all of them."""

    tests: tuple[Callable[[Any], bool], ...] = ()
    words: tuple[tuple[bool, str], ...] = ()
    """(wanted or excluded, the word in small letters)."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What the word before the cursor can become: `start` is where it begins."""

    start: int
    choices: tuple[str, ...]


def filter_word(name: str, text: str, *, exact: bool = False) -> str:
    """The filter for rows whose column `name` has this text in it, or, if `exact`, is this text."""
    return f"{name}:{_quoted(f'={text}' if exact else text)}"


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


def parse_filter(text: str, columns: Sequence[Column[R]]) -> Filter:
    """What a filter text says. Raises FilterError when it names an unknown column or compares with no number."""
    named = _names(columns)
    tests: list[Callable[[R], bool]] = []
    anywhere: list[tuple[bool, str]] = []
    for word in split_words(text):
        negative = word.startswith("-") and len(word) > 1
        body = word[1:] if negative else word
        name, colon, wanted = body.partition(":")
        column = named.get(_plain(name)) if colon else None
        if column is not None:
            test = _column_test(column, wanted)
            tests.append(_not(test) if negative else test)
        elif colon and name.isidentifier() and "/" not in wanted:
            raise FilterError(_unknown(name, columns))
        else:
            anywhere.append((not negative, body.lower()))
    return Filter(tuple(tests), tuple(anywhere))


def complete(text: str, cursor: int, columns: Sequence[Column[R]], rows: Iterable[R]) -> Completion:
    """What can stand where the cursor is: names of columns, or after a colon the values of that column.

    `rows`: where values come from; the first of them are read."""
    start = _word_start(text, cursor)
    word = text[start:cursor]
    sign = "-" if word.startswith("-") else ""
    name, colon, partial = word[len(sign) :].partition(":")
    if not colon:
        wanted = _plain(name)
        first = [c for c in columns if _plain(c.name).startswith(wanted) or c.key.lower().startswith(wanted)]
        later = [c for c in columns if c not in first and wanted in _plain(c.title)]
        return Completion(start, tuple(f"{sign}{column.name}:" for column in (*first, *later)))
    column = _names(columns).get(_plain(name.strip('"')))
    if column is None or column.kind in ("spark", "interval"):
        return Completion(start, ())
    before = f"{sign}{name}:"
    if column.align == "right" or column.kind == "bar":
        signs = (">", "<", ">=", "<=", "=") if not partial else ()
        return Completion(start, tuple(f"{before}{each}" for each in signs))
    partial = partial.removeprefix('"')
    equal = "=" if partial.startswith("=") else ""
    listed, comma, last = partial.removeprefix("=").rpartition(",")
    if comma and '"' not in listed and not any(sign.isspace() for sign in listed):  # the next value of a list
        before, equal, partial = f"{before}{equal}{listed},", "", last
    taken = set(listed.lower().split(",")) if comma else set()
    wanted = partial.removeprefix("=").strip('"').lower()
    found: dict[str, None] = {}
    for number, row in enumerate(rows):
        if number >= ROWS_READ or len(found) >= MOST_OFFERED:
            break
        value = column.shows(row)
        fits = not comma or (value.lower() not in taken and "," not in value and " " not in value)
        if wanted in value.lower() and "\n" not in value and fits:
            found.setdefault(value)
    values = sorted(found, key=lambda value: (not value.lower().startswith(wanted), value.lower()))
    return Completion(start, tuple(f"{before}{_quoted(equal + value)}" for value in values))


def _quoted(value: str) -> str:
    if value and not any(sign.isspace() or sign in '"\\' for sign in value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _word_start(text: str, cursor: int) -> int:
    """Where the word before the cursor begins; blanks inside quotes are part of it."""
    start, quoted = 0, False
    for place, sign in enumerate(text[:cursor]):
        if sign == '"':
            quoted = not quoted
        elif sign.isspace() and not quoted:
            start = place + 1
    return start


def _plain(name: str) -> str:
    """A name as it is compared: small letters and digits only; one of signs alone (``#``) stays as it is."""
    return re.sub(r"[\W_]+", "", name.lower()) or name.strip().lower()


def _names(columns: Sequence[Column[R]]) -> dict[str, Column[R]]:
    """Columns by their plain names; a header goes before the short name of another column."""
    named: dict[str, Column[R]] = {}
    for column in columns:
        if column.title:
            named.setdefault(_plain(column.title), column)
    for column in columns:
        named.setdefault(_plain(column.key), column)
    return named


def _unknown(name: str, columns: Sequence[Column[Any]]) -> str:
    by_name = {_plain(column.name): column.name for column in columns}
    by_name |= {_plain(column.key): column.key for column in columns if _plain(column.key) not in by_name}
    near = difflib.get_close_matches(_plain(name), by_name, n=1)
    meant = f"did you mean {by_name[near[0]]!r}? C" if near else "c"
    return f"there is no column {name!r}; {meant}olumns are: {', '.join(sorted(column.name for column in columns))}"


def _not(test: Callable[[R], bool]) -> Callable[[R], bool]:
    return lambda row: not test(row)


def _column_test(column: Column[R], wanted: str) -> Callable[[R], bool]:
    value_of = column.value
    for sign, compare in _COMPARISONS:
        if not wanted.startswith(sign):
            continue
        number = _number(wanted[len(sign) :])
        if number is None:
            name, rest = column.name, wanted[len(sign) :]
            what = f"{rest!r} is no number" if rest else f"a number is missing after {sign}"
            raise FilterError(f"{name}:{wanted}: {what}, as in {name}:{sign}5")

        def compares(row: R, compare: Callable[[Any, Any], bool] = compare, number: float = number) -> bool:
            value = value_of(row)
            return isinstance(value, int | float) and bool(compare(value, number))

        return compares
    shows = column.shows
    if wanted.startswith("="):
        exact = frozenset(_choices(wanted[1:]))
        numbers = frozenset(number for choice in exact if (number := _number(choice)) is not None)

        def equals(row: R) -> bool:
            value = value_of(row)
            if numbers and isinstance(value, int | float) and value in numbers:
                return True
            return shows(row).lower() in exact

        return equals
    choices = _choices(wanted)
    seen: dict[str, bool] = {}

    def contains(row: R) -> bool:
        # Most columns have few different texts; a table of them is faster than to look into each again.
        text = shows(row)
        found = seen.get(text)
        if found is None:
            lowered = text.lower()
            found = any(choice in lowered for choice in choices)
            if len(seen) < ROWS_READ:
                seen[text] = found
        return found

    return contains


def _choices(wanted: str) -> tuple[str, ...]:
    """What may stand in a column, in small letters: each of a list, and the text as it stands. A number with commas,
    and a text with blanks, is no list."""
    whole = wanted.lower()
    parts = whole.split(",")
    several = len(parts) > 1 and all(parts) and not any(sign.isspace() for sign in whole)
    return (*parts, whole) if several and not _GROUPED.fullmatch(whole) else (whole,)


def _number(text: str) -> float | None:
    try:
        return float(text.replace(",", "").replace("−", "-"))
    except ValueError:
        return None
