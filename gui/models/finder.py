"""Finding by a few letters: how well words fit a text. No toolkit.

Each word of a query must be found in the text: as it stands, best at the beginning of a word, or as letters in order
(``gr`` finds *Go to Runs*, ``s7`` finds *server s07*). `rank` puts what fits best first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Found:
    """Something that the command palette offers: a page, an action, a run, a server, a plan, a request."""

    title: str
    detail: str
    symbol: str
    call: Callable[[], object]
    key: str = ""


_BEGIN = re.compile(r"(?<![^\W_])\w")
LONGEST = 200
"""Letters of a text that are looked at: names from servers can be of any length."""


def fit(query: str, text: str) -> float | None:
    """How well `text` fits the query: 0 is best; None when a word of the query is not in it."""
    text = text[:LONGEST].lower()
    total = 0.0
    for word in query.lower().split():
        found = _fit_word(word, text)
        if found is None:
            return None
        total += found
    return total + len(text) / 1000  # of two that fit alike, the shorter one was meant


def rank(query: str, items: Iterable[R], text: Callable[[R], str], most: int = 50) -> list[R]:
    """The items that fit, the best first; equally good ones keep their order. An empty query fits all."""
    if not query.strip():
        return [item for _, item in zip(range(most), items, strict=False)]
    scored = [(found, item) for item in items if (found := fit(query, text(item))) is not None]
    scored.sort(key=lambda pair: pair[0])
    return [item for _, item in scored[:most]]


def _fit_word(word: str, text: str) -> float | None:
    place = text.find(word)
    if place == 0:
        return 0.0 if text == word else 0.5
    if place > 0:
        begins = any(match.start() == place for match in _BEGIN.finditer(text))
        if not begins:  # perhaps it also stands at the beginning of a later word
            begins = re.search(rf"(?<![^\W_]){re.escape(word)}", text) is not None
        return 1.0 if begins else 2.0
    return _letters(word, text)


def _letters(word: str, text: str) -> float | None:
    """The letters of the word in order: first letters of words count most, gaps cost."""
    if len(word) < 2:
        return None
    beginnings = [match.start() for match in _BEGIN.finditer(text)]
    initials = "".join(text[place] for place in beginnings)
    if word in initials:
        return 3.0
    at, gaps = -1, 0
    for letter in word:
        place = text.find(letter, at + 1)
        if place < 0:
            return None
        if at >= 0 and place != at + 1 and place not in beginnings:
            gaps += 1
        at = place
    return None if gaps > len(word) // 2 else 4.0 + gaps
