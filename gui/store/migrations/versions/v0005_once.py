"""Every record counts once, however late it comes again; an access that was given up and closes later is closed.

Records are remembered by their own time, so that those that come together are stored together. The ids remembered so
far have no such time: they stay where they are for as long as before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "seen",
        sa.Column("moment", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("record_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("moment", "record_key", name=op.f("pk_seen")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "seen_day",
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("ids", sa.BigInteger(), nullable=False),
        sa.Column("touched", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_seen_day")),
    )
    op.create_table(
        "never_closed",
        sa.Column("access_key", _BIG, autoincrement=False, nullable=False),
        sa.Column("daily_id", _BIG, nullable=False),
        sa.Column("since", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("access_key", name=op.f("pk_never_closed")),
    )
