"""What was not measured in a second has no value: the figures of a sample may be missing, each by itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("sample") as sample:
        for name in ("requested", "read", "recorded", "failed", "bytes_read", "bytes_recorded"):
            sample.alter_column(name, existing_type=sa.BigInteger(), nullable=True)
