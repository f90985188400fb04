# SPDX-License-Identifier: Apache-2.0
"""Decisions of the schedulers."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"

# What is written here stays as it is: later releases come by later migrations.
_NAME = sa.String(255).with_variant(
    mysql.VARCHAR(255, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)
_INDEX = "ix_decisions_decided_at"


def upgrade() -> None:
    """Make the table; one that an interrupted run has made already stays (MySQL commits each step by itself)."""
    op.create_table(
        "decisions",
        sa.Column("request_uuid", _NAME, primary_key=True, nullable=False),
        sa.Column("decided_at", sa.Double, primary_key=True, nullable=False),
        sa.Column("stage", sa.String(32), primary_key=True, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        if_not_exists=True,
    )
    # MySQL knows no CREATE INDEX IF NOT EXISTS.
    if _INDEX not in {each["name"] for each in sa.inspect(op.get_bind()).get_indexes("decisions")}:
        op.create_index(_INDEX, "decisions", ["decided_at"])
