# SPDX-License-Identifier: Apache-2.0
"""The ledger of moves, the hosts that are being emptied, and the strategies that are switched off."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0004"
down_revision = "0003"

# What is written here stays as it is: later releases come by later migrations.
# MySQL would compare names without regard to case and accents.
_NAME = sa.String(255).with_variant(
    mysql.VARCHAR(255, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)
# What services say is of any script, whatever the database's own character set is.
_TEXT = sa.Text().with_variant(
    mysql.TEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)
_LONG_TEXT = sa.Text().with_variant(
    mysql.MEDIUMTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)


def upgrade() -> None:
    """Make the tables, unless an interrupted run has made them already (MySQL commits each by itself)."""
    op.create_table(
        "moves",
        sa.Column("uuid", sa.String(36), primary_key=True, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("plan", sa.String(36), nullable=False),
        sa.Column("strategy", _NAME, nullable=False),
        sa.Column("task", _NAME, nullable=False),
        sa.Column("framework", _NAME, nullable=False),
        sa.Column("source", _NAME, nullable=False),
        sa.Column("target", _NAME, nullable=False),
        sa.Column("reason", _TEXT, nullable=False),
        sa.Column("figures", sa.Text, nullable=False),
        sa.Column("executor", _NAME, nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("step", sa.String(64), nullable=False),
        sa.Column("details", _LONG_TEXT, nullable=False),
        sa.Column("cancelling", sa.Boolean, nullable=False),
        sa.Column("text", _TEXT, nullable=False),
        sa.Column("planned_at", sa.Double, nullable=False),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("ended_at", sa.Double, nullable=False),
        sa.Column("measured", sa.Text, nullable=False),
        sa.Column("term", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("position", name="uniq_moves_position"),
        # An index; as a constraint it is made with the table, so that an interrupted run leaves all of it or nothing.
        sa.UniqueConstraint("state", "position", name="uniq_moves_state"),
        if_not_exists=True,
    )
    op.create_table(
        "drained_hosts",
        sa.Column("host", _NAME, primary_key=True, nullable=False),
        sa.Column("since", sa.Double, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "strategies",
        sa.Column("strategy", _NAME, primary_key=True, nullable=False),
        sa.Column("off_text", _TEXT, nullable=False),
        sa.Column("since", sa.Double, nullable=False),
        if_not_exists=True,
    )
