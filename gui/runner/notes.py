"""Notes on runs, as people write, change and delete them: in the window, or with ``tally runs note``.

What Tally itself remarks on a run (that a later scoring changed it) stays as it is."""

from __future__ import annotations

from dataclasses import replace

from gui.hub.account import account
from gui.store import NoteRow, Store

LONGEST = 20_000
"""Characters of a note, the same as in a bundle."""
LONGEST_AUTHOR = 256
OWN = "tally"
"""The author of what Tally itself remarks."""


class NoteError(Exception):
    """A note that cannot be kept, changed or deleted; the text says why."""


def write_note(store: Store, run: int, text: str, now: float, *, author: str = "") -> int:
    """Add a note to a run; its author is this account if none is given. Returns its number. Raises NoteError,
    StoreError."""
    text, author = _text(text), _author(author)
    store.run(run)
    return store.add_note(run, author, text, now)


def change_note(store: Store, run: int, number: int, text: str, *, author: str = "") -> NoteRow:
    """Give a note of a run another text. It keeps its time and its author, and says who changed it if that is another
    one. Returns the note as it was. Raises NoteError, StoreError."""
    text, author = _text(text), _author(author)
    before = _persons_note(store, run, number)
    store.put_note(run, replace(before, text=text, author=_changed_by(before.author, author)))
    return before


def delete_note(store: Store, run: int, number: int) -> NoteRow:
    """Delete a note of a run. Returns it: `restore_note` brings it back. Raises NoteError, StoreError."""
    note = _persons_note(store, run, number)
    store.delete_note(note.id)
    return note


def restore_note(store: Store, run: int, note: NoteRow) -> None:
    """Have a note as it was before it was changed or deleted, under its number. Raises StoreError."""
    store.run(run)
    store.put_note(run, note)


def _persons_note(store: Store, run: int, number: int) -> NoteRow:
    store.run(run)
    notes = store.notes(run)
    found = next((note for note in notes if note.id == number), None)
    if found is None:
        known = ", ".join(str(note.id) for note in notes)
        has = f"it has {known}" if known else "it has none"
        raise NoteError(f"Run {run} has no note {number}; {has}.")
    if found.author == OWN:
        raise NoteError(f"Note {number} is Tally's own remark on a scoring: it stays as it is.")
    return found


def _changed_by(before: str, author: str) -> str:
    first = before.partition(", changed by ")[0]
    return first if author == first else f"{first[: LONGEST_AUTHOR - len(author) - 13]}, changed by {author}"


def _text(text: str) -> str:
    text = text.strip()
    if not text or len(text) > LONGEST:
        raise NoteError(f"A note must have 1 to {LONGEST:,} characters.")
    return text


def _author(author: str) -> str:
    author = (author or account()).strip()
    if not author.isprintable() or not author or len(author) > LONGEST_AUTHOR // 2 or author == OWN:
        raise NoteError(f"The author of a note is a name in one line, not {author!r} (`{OWN}` is reserved).")
    return author
