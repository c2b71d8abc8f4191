"""Every proven fault of the peers that could be ours has a test that names it.

The rows are those of docs/peers.md: G the OSG Go shoveler and collector, P the Python collector, A the web prototype,
V the validation scripts, O others. A test names a row in its name, in its
docstring, or beside the parameter that shows it. Rows that cannot be ours, and why, are in `CANNOT_APPLY`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent

ROWS = {"G": 30, "P": 19, "A": 12, "V": 8, "O": 7}

CANNOT_APPLY = {
    "A10": "a message of a web page about who is signed in: there is no page, and a refusal is the answer itself",
    "O2": "datagrams are parsed before they are forwarded: the shoveler parses nothing",
    "O4": "a generator that drops when its queue is full: there is none outside the tests, where sending blocks",
    "O5": "a link that stops a test: the hub serves no pages, all other paths are a 404",
    "O6": "no authentication between the parts: there is one way in, and A1 to A7 are about it",
    "O7": "undo that is off because it is broken: a plan is text, and the editor's own undo is Qt's",
}

NAMED = re.compile(r"(?:\b|_)([gpavoGPAVO])(\d{1,2})(?=\b|_)")


def named(path: Path) -> Iterator[str]:
    """The rows that the tests of a file name."""
    text = path.read_text()
    if not re.search(r"\b[GPAVO]\d|_[gpavo]\d", text):
        return
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            begin = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            for letter, number in NAMED.findall(node.name):
                yield f"{letter.upper()}{number}"
            for line in lines[begin - 1 : node.end_lineno]:
                for letter, number in NAMED.findall(line):
                    if letter.isupper():
                        yield f"{letter}{number}"


def test_every_row_has_a_test_or_a_reason() -> None:
    found = {row for path in HERE.rglob("test_*.py") if path != Path(__file__) for row in named(path)}
    rows = {f"{letter}{number}" for letter, count in ROWS.items() for number in range(1, count + 1)}
    assert rows - found - CANNOT_APPLY.keys() == set()
    assert rows >= CANNOT_APPLY.keys()
