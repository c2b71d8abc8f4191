"""The history of the schema: one file per step in ``versions``, run by Alembic when a workspace is opened.

Revisions are numbered 0001, 0002, …; `HEAD` is the newest that this Tally knows. A released step is never changed.
"""

from __future__ import annotations

import threading
from pathlib import Path

from sqlalchemy import Connection

HEAD = "0008"
_alone = threading.Lock()
"""Alembic's `op` and `context` are global to the process: two upgrades at once would write into each other's
database."""


def upgrade(connection: Connection) -> None:
    """Bring the database to `HEAD` inside the transaction of `connection`."""
    # Alembic is slow to import, and an up-to-date database never needs it.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    with _alone:
        command.upgrade(config, HEAD)
