"""Run by Alembic: the migration steps go over the connection that `gui.store.migrations.upgrade` handed in."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
