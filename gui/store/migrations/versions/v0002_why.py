"""Why a record is missing: what was not waited for, the datagram that was lost, what the daemons said between."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("scoring", sa.Column("not_waited", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("verdict", sa.Column("datagram", sa.Text(), nullable=True))
    op.add_column("verdict", sa.Column("lost_with", sa.String(length=256), nullable=True))
    op.create_table(
        "status_step",
        sa.Column("id", _BIG, autoincrement=True, nullable=False),
        sa.Column("run_id", _BIG, nullable=False),
        sa.Column("program", sa.String(length=16), nullable=False),
        sa.Column("member", sa.String(length=256), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_status_step_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_status_step")),
    )
    op.create_index(op.f("ix_status_step_run_id"), "status_step", ["run_id"])
