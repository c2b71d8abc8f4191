"""Reading an XRootD configuration file, as far as monitoring is concerned: directives with their lines.

Arithmetic on text: comments, continued lines, ``set`` variables and ``if … fi`` are understood as XRootD does; which
branch of an ``if`` a host takes is not decided here, so that directives inside one are marked `conditional`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple


class Directive(NamedTuple):
    """One directive: its words, the first of which is its name, and the number of the line where it begins."""

    line: int
    words: list[str]
    conditional: bool = False

    @property
    def name(self) -> str:
        return self.words[0]

    @property
    def text(self) -> str:
        return " ".join(self.words)


_VARIABLE = re.compile(r"\$(?:\((\w+)\)|\{(\w+)\}|\[(\w+)\]|(\w+))")


def directives(text: str) -> Iterator[Directive]:
    """The directives of a configuration, variables replaced where they were set before."""
    variables: dict[str, str] = {}
    depth = 0
    for number, line in _logical_lines(text):
        words = _words(line)
        if not words:
            continue
        if words[0] == "set":
            _assign(variables, words[1:])
        elif words[0] == "if":
            depth += 1
        elif words[0] == "fi":
            depth = max(0, depth - 1)
        elif words[0] != "else":
            yield Directive(number, [_replaced(word, variables) for word in words], conditional=depth > 0)


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with those joined that end in a backslash, under the number of the first."""
    held, began = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        began = began or number
        if line.rstrip().endswith("\\"):
            held += line.rstrip()[:-1] + " "
            continue
        yield began, held + line
        held, began = "", 0
    if held:
        yield began, held


def _words(line: str) -> list[str]:
    words = []
    for word in line.split():
        if word.startswith("#"):
            break
        words.append(word)
    return words


def _assign(variables: dict[str, str], words: list[str]) -> None:
    """``set NAME = VALUE``, with or without blanks around the sign."""
    name, equals, value = " ".join(words).partition("=")
    if equals and name.strip():
        variables[name.strip()] = _replaced(value.strip(), variables)


def _replaced(word: str, variables: dict[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        name = next(group for group in match.groups() if group)
        return variables.get(name, match[0])

    return _VARIABLE.sub(value, word) if "$" in word else word


def whole(word: str) -> int | None:
    """A whole number in ASCII digits, None when the word is none."""
    return int(word) if word.isascii() and word.isdigit() and len(word) < 20 else None


def seconds(word: str) -> int | None:
    """XRootD's way to write a time: a whole number, with s, m, h or d. None when it is none."""
    match = re.fullmatch(r"([0-9]{1,18})([smhdSMHD]?)", word)
    return int(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2].lower()] if match else None


def size(word: str) -> int | None:
    """XRootD's way to write a size: a whole number, with k, m, g or t (powers of 1024). None when it is none."""
    match = re.fullmatch(r"([0-9]{1,18})([kmgtKMGT]?)", word)
    return int(match[1]) * 1024 ** " kmgt".index(match[2].lower() or " ") if match else None


def plain_seconds(value: int) -> str:
    """The opposite of `seconds`, as a person would write it."""
    for letter, unit in (("h", 3600), ("m", 60)):
        if value and value % unit == 0:
            return f"{value // unit}{letter}"
    return f"{value}s"
