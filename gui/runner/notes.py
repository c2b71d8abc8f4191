"""Notes on runs, as people write them: in the window, or with ``tally runs note``."""

from __future__ import annotations

from gui.hub.account import account
from gui.store import Store

LONGEST = 20_000
"""Characters of a note, the same as in a bundle."""
LONGEST_AUTHOR = 256


class NoteError(Exception):
    """A note that cannot be kept; the text says why."""


def write_note(store: Store, run: int, text: str, now: float, *, author: str = "") -> None:
    """Add a note to a run; its author is this account if none is given. Raises NoteError, StoreError."""
    text = text.strip()
    if not text or len(text) > LONGEST:
        raise NoteError(f"A note must have 1 to {LONGEST:,} characters.")
    author = (author or account()).strip()
    if not author.isprintable() or not author or len(author) > LONGEST_AUTHOR or author == "tally":
        raise NoteError(f"The author of a note is a name in one line, not {author!r} (`tally` is reserved).")
    store.run(run)
    store.add_note(run, author, text, now)
