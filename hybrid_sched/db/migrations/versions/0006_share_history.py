# SPDX-License-Identifier: Apache-2.0
"""The history of the frameworks' shares."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0006"
down_revision = "0005"

# MySQL would compare names without regard to case.
_NAME = sa.String(255).with_variant(
    mysql.VARCHAR(255, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)


def upgrade() -> None:
    """Make the table; one that an interrupted run has made already stays (MySQL commits each step by itself)."""
    op.create_table(
        "share_history",
        sa.Column("taken_at", sa.Double, primary_key=True, nullable=False),
        sa.Column("framework", _NAME, primary_key=True, nullable=False),
        sa.Column("pool", _NAME, primary_key=True, nullable=False),
        sa.Column("figures", sa.Text, nullable=False),
        if_not_exists=True,
    )
