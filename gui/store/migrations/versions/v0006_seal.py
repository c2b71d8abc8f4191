"""Who made the bundle that a run was imported from, and what was found wrong with it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("run", sa.Column("seal", sa.Text(), nullable=True))
