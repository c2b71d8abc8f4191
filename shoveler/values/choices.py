"""Choices: checked in the same way for settings, options and plans, with the nearest valid word as a hint."""

from __future__ import annotations

import difflib
from collections.abc import Sequence


def one_of(value: object, words: Sequence[str]) -> str:
    """The value, which is one of the words. ValueError says what was expected."""
    if not isinstance(value, str) or value not in words:
        raise ValueError(f"expected one of {', '.join(words)}, got {value!r}{nearest(str(value), words)}")
    return value


def nearest(word: str, known: Sequence[str]) -> str:
    """``; did you mean 'x'?`` or nothing."""
    found = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean {found[0]!r}?" if found else ""
