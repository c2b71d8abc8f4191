"""[Test] of a database before a workspace is opened in it. Blocking; nothing is created or changed."""

from __future__ import annotations

import os
from pathlib import Path

from gui.runner.checklist import Check
from gui.store import Store, StoreError, StoreNewerError, parse_database

TITLE = "Database"


def check_database(address: str) -> Check:
    """What is at this address (with its password, if it needs one)."""
    try:
        url = parse_database(address)
        if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
            return _new_file(Path(str(url.database)))
        with Store(address, read_only=True) as store:
            runs = len(store.runs())
            shown = store.database.shown
    except StoreNewerError as error:
        return Check("database", TITLE, "failed", str(error), "Use that version of Tally, or another database.")
    except StoreError as error:
        return Check("database", TITLE, "failed", str(error), "Check the address, the user and the password.")
    return Check("database", TITLE, "ok", f"{shown} is a workspace with {runs:,} run{'' if runs == 1 else 's'}.")


def _new_file(path: Path) -> Check:
    above = next(parent for parent in path.parents if parent.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        text = f"{path} is not there, and {above} cannot be written."
        return Check("database", TITLE, "failed", text, "Choose another folder.")
    return Check("database", TITLE, "ok", f"{path} is not there yet; it is made when it is opened.")
