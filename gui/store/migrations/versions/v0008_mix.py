"""Several workloads in a test, and how long the parts of a request took."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

PHASES = ("took_name", "took_connect", "took_tls", "took_open", "took_first")


def upgrade() -> None:
    op.add_column("test", sa.Column("mix", sa.Text, nullable=False, server_default="[]"))
    op.add_column("request", sa.Column("share", sa.SmallInteger, nullable=False, server_default="0"))
    for name in PHASES:
        op.add_column("request", sa.Column(name, sa.Double))
