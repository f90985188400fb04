# SPDX-License-Identifier: Apache-2.0
"""Declared tasks have owners."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0005"
down_revision = "0004"

_TABLE = "queued_tasks"
# MySQL would compare ids without regard to case.
_ID = sa.String(64).with_variant(
    mysql.VARCHAR(64, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)
# Engines of the release before, which still run while the schema is brought up, write rows without them: they are empty then.
_COLUMNS = ("project_id", "user_id", "trust_id")
_INDEXES = {
    "ix_queued_tasks_project": ["project_id", "position"],
    "ix_queued_tasks_server": ["server"],
    "ix_queued_tasks_trust": ["trust_id"],
}


def upgrade() -> None:
    """Add the columns and indexes that an interrupted run has not added already (MySQL commits each step by itself)."""
    there = sa.inspect(op.get_bind())
    columns = {each["name"] for each in there.get_columns(_TABLE)}
    for name in _COLUMNS:
        if name not in columns:
            op.add_column(_TABLE, sa.Column(name, _ID, nullable=False, server_default=""))
    indexes = {each["name"] for each in there.get_indexes(_TABLE)}
    for name, keys in _INDEXES.items():
        if name not in indexes:
            op.create_index(name, _TABLE, keys)
