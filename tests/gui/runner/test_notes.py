"""Notes: kept as they were written, by whom; what is no note is a sentence."""

from __future__ import annotations

import pytest

from gui.hub.account import account
from gui.runner.notes import LONGEST, NoteError, write_note
from gui.store import NoSuchRowError
from tests.gui.workspaces import store, world  # noqa: F401 - fixtures


def test_a_note_is_kept_with_its_author(world) -> None:  # noqa: F811
    run = world.begin()
    write_note(world.store, run, "  the disk of s07 was full\nsee ticket 12 ", 5.0)
    write_note(world.store, run, "<b>mine</b>", 6.0, author="Ada")
    assert [(n.t, n.author, n.text) for n in world.store.notes(run)] == [
        (5.0, account(), "the disk of s07 was full\nsee ticket 12"), (6.0, "Ada", "<b>mine</b>")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "author", "said"),
    [
        (" \n", "", "1 to 20,000 characters"),
        ("x" * (LONGEST + 1), "", "1 to 20,000 characters"),
        ("fine", "two\nlines", "a name in one line"),
        ("fine", "tally", "`tally` is reserved"),
        ("fine", "a" * 257, "a name in one line"),
    ],
)
def test_what_is_no_note_is_a_sentence(world, text: str, author: str, said: str) -> None:  # noqa: F811
    run = world.begin()
    with pytest.raises(NoteError, match=said):
        write_note(world.store, run, text, 5.0, author=author)
    assert world.store.notes(run) == []


def test_a_note_on_a_run_that_is_not_there(world) -> None:  # noqa: F811
    with pytest.raises(NoSuchRowError):
        write_note(world.store, 99, "hello", 5.0)
