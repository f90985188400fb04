# SPDX-License-Identifier: Apache-2.0
"""The queue of declared tasks."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"

# What is written here stays as it is: later releases come by later migrations.
# MySQL would compare names without regard to case and accents.
_NAME = sa.String(255).with_variant(
    mysql.VARCHAR(255, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)
# The texts of people are of any script, whatever the database's own character set is.
_TEXT = sa.Text().with_variant(
    mysql.TEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)
_LONG_TEXT = sa.Text().with_variant(
    mysql.MEDIUMTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)


def upgrade() -> None:
    """Make the table, unless an interrupted run has made it already (MySQL commits each by itself)."""
    op.create_table(
        "queued_tasks",
        sa.Column("uuid", sa.String(36), primary_key=True, nullable=False),
        sa.Column("name", _NAME, nullable=False),
        sa.Column("framework", _NAME, nullable=False),
        sa.Column("demand", sa.Text, nullable=False),
        sa.Column("spec", _LONG_TEXT, nullable=False),
        sa.Column("kind", _NAME, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("submitted_at", sa.Double, nullable=False),
        sa.Column("deadline", sa.Double, nullable=True),
        sa.Column("after", _LONG_TEXT, nullable=False),
        sa.Column("duration", sa.Double, nullable=True),
        sa.Column("stop_after", sa.Double, nullable=True),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("not_before", sa.Double, nullable=False),
        sa.Column("host", _NAME, nullable=False),
        sa.Column("server", _NAME, nullable=False),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("ended_at", sa.Double, nullable=False),
        sa.Column("cancelling", sa.Boolean, nullable=False),
        sa.Column("text", _TEXT, nullable=False),
        sa.Column("term", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("position", name="uniq_queued_tasks_position"),
        # Indexes; as constraints they are made with the table, so that an interrupted run leaves all of it or nothing.
        sa.UniqueConstraint("state", "position", name="uniq_queued_tasks_state"),
        sa.UniqueConstraint("name", "position", name="uniq_queued_tasks_name"),
        if_not_exists=True,
    )
