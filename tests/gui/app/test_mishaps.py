"""Uncaught errors in what Qt calls become problems."""

from __future__ import annotations

import sys

import pytest

from gui.app.mishaps import MOST, reported


def raise_at(place: int) -> None:
    code = compile("\n" * place + "{}['x']", f"/somewhere/file{place}.py", "exec")
    try:
        exec(code)
    except KeyError as error:
        sys.excepthook(type(error), error, error.__traceback__)


def test_each_place_is_told_once_and_the_terminal_has_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    printed: list[BaseException] = []
    monkeypatch.setattr(sys, "excepthook", lambda _kind, error, _trace: printed.append(error))
    before, problems = sys.excepthook, []
    with reported(lambda *problem: problems.append(problem)):
        for place in (1, 1, 2):
            raise_at(place)
        assert [text for _, _, text, _ in problems] == [
            "Internal error: KeyError: 'x' (file1.py:2). The window goes on.",
            "Internal error: KeyError: 'x' (file2.py:3). The window goes on.",
        ]
        for place in range(100):
            raise_at(place)
        assert len(problems) == MOST
    assert len(printed) == 103
    assert sys.excepthook is before
