"""A run that is being imported or deleted is hidden; rows that refer to a request are indexed by it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("run", sa.Column("hidden", sa.Text(), nullable=True))
    op.create_index(op.f("ix_verdict_request_id"), "verdict", ["request_id"])
    op.create_index(op.f("ix_tag_agent_id"), "tag", ["agent_id"])
    op.create_index(op.f("ix_tag_server_id"), "tag", ["server_id"])
