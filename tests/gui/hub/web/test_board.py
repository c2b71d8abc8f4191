"""Fragments of the page."""

from __future__ import annotations

from gui.hub.web.board import Board
from gui.hub.web.markup import h


async def test_a_watcher_gets_what_differs() -> None:
    board = Board()
    event = board.watch()
    board.publish({"a": h("p", "1"), "b": h("p", "2")})
    assert event.is_set()
    told = board.since({}, "ab")
    assert set(told) == {"a", "b"}
    assert set(board.since({}, "a")) == {"a"}
    event.clear()
    board.publish({"a": h("p", "1")})
    assert not event.is_set()
    board.publish({"b": h("p", "3")})
    assert event.is_set()
    assert board.since(told, "ab") == {"b": "<p>3</p>"}
    assert board.watched
    board.unwatch(event)
    assert not board.watched


def test_what_was_never_published_is_empty() -> None:
    assert Board().part("run") == ""
