"""Notes: kept as they were written, by whom; what is no note is a sentence."""

from __future__ import annotations

import pytest

from gui.hub.account import account
from gui.runner.notes import LONGEST, NoteError, change_note, delete_note, restore_note, write_note
from gui.store import NoSuchRowError, NoteRow
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


def test_a_note_is_changed_deleted_and_brought_back_as_it_was(world) -> None:  # noqa: F811
    run, store = world.begin(), world.store  # noqa: F811
    first, second = (write_note(store, run, text, 5.0, author="ada") for text in ("one", "two"))
    before = change_note(store, run, first, " better ", author="bob")
    assert (before.text, before.author) == ("one", "ada")
    change_note(store, run, first, "better still", author="carla")
    changed = store.notes(run)[0]
    assert changed == NoteRow(5.0, "ada, changed by carla", "better still", first)
    change_note(store, run, first, "mine again", author="ada")
    assert store.notes(run)[0].author == "ada"
    restore_note(store, run, before)
    assert store.notes(run)[0] == before
    gone = delete_note(store, run, first)
    assert [note.id for note in store.notes(run)] == [second]
    restore_note(store, run, gone)
    assert [note.id for note in store.notes(run)] == [first, second]
    assert write_note(store, run, "three", 6.0) > second, "no number is used twice"


def test_a_remark_of_tally_and_a_note_that_is_not_there_stay_out_of_reach(world) -> None:  # noqa: F811
    run, store = world.begin(), world.store  # noqa: F811
    remark = store.add_note(run, "tally", "late records changed matched from 3 to 4", 5.0)
    for attempt in (
        lambda number: change_note(store, run, number, "nothing happened"),
        lambda number: delete_note(store, run, number),
    ):
        with pytest.raises(NoteError, match="Tally's own remark"):
            attempt(remark)
        with pytest.raises(NoteError, match=f"Run 1 has no note 99; it has {remark}"):
            attempt(99)
    assert len(store.notes(run)) == 1
