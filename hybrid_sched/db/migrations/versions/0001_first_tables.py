# SPDX-License-Identifier: Apache-2.0
"""Terms of the leader, weights, hardware scores and reservations."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None

# What is written here stays as it is: later releases come by later migrations.
# MySQL would compare names without regard to case and accents.
_NAME = sa.String(255).with_variant(
    mysql.VARCHAR(255, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)


def upgrade() -> None:
    """Make the tables; those that an interrupted run has made already stay (MySQL commits each by itself)."""
    op.create_table(
        "framework_weights",
        sa.Column("pool", _NAME, primary_key=True, nullable=False),
        sa.Column("framework", _NAME, primary_key=True, nullable=False),
        sa.Column("weight", sa.String(255), nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "hardware_scores",
        sa.Column("id", sa.Integer, primary_key=True, nullable=False),
        sa.Column("cpu_model", _NAME, nullable=False),
        sa.Column("memory_kind", _NAME, nullable=False),
        sa.Column("score", sa.String(64), nullable=False),
        sa.Column("note", _NAME, nullable=False),
        sa.UniqueConstraint("cpu_model", "memory_kind", name="uniq_hardware_scores_patterns"),
        if_not_exists=True,
    )
    op.create_table(
        "reservations",
        sa.Column("request_uuid", _NAME, primary_key=True, nullable=False),
        sa.Column("framework", _NAME, nullable=False),
        sa.Column("pool", _NAME, nullable=False),
        sa.Column("demand", sa.Text, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("term", sa.BigInteger, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "terms",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("term", sa.BigInteger, nullable=False),
        sa.Column("holder", _NAME, nullable=False),
        sa.Column("since", sa.Double, nullable=False),
        if_not_exists=True,
    )
    terms = sa.table("terms", *map(sa.column, ("id", "term", "holder", "since")))
    if op.get_bind().scalar(sa.select(sa.func.count()).select_from(terms)) == 0:
        op.bulk_insert(terms, [{"id": 1, "term": 0, "holder": "", "since": 0.0}])
