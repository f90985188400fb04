# SPDX-License-Identifier: Apache-2.0
"""The tables as they are in this release; the migrations lead to them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

LONGEST_NAME = 255

METADATA = sa.MetaData()

_NAME = sa.String(LONGEST_NAME)


def _column(name: str, type_: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, type_, nullable=options.pop("nullable", False), **options)


#: One row: the newest term of office of a leader, which fences off the ones before.
TERMS = sa.Table(
    "terms",
    METADATA,
    _column("id", sa.Integer, primary_key=True, autoincrement=False),
    _column("term", sa.BigInteger),
    _column("holder", _NAME),
    _column("since", sa.Double),
)

#: Weights as exact numbers, an integer or ``a/b``; the pool '' is the default one.
FRAMEWORK_WEIGHTS = sa.Table(
    "framework_weights",
    METADATA,
    _column("pool", _NAME, primary_key=True),
    _column("framework", _NAME, primary_key=True),
    _column("weight", sa.String(255)),
)

#: Scores of hardware as exact numbers, by glob patterns.
HARDWARE_SCORES = sa.Table(
    "hardware_scores",
    METADATA,
    _column("id", sa.Integer, primary_key=True),
    _column("cpu_model", _NAME),
    _column("memory_kind", _NAME),
    _column("score", sa.String(64)),
    _column("note", _NAME),
    sa.UniqueConstraint("cpu_model", "memory_kind", name="uniq_hardware_scores_patterns"),
)

#: Demand (JSON, per task) that is promised and not on a host yet; times are Unix time.
RESERVATIONS = sa.Table(
    "reservations",
    METADATA,
    _column("request_uuid", _NAME, primary_key=True),
    _column("framework", _NAME),
    _column("pool", _NAME),
    _column("demand", sa.Text),
    _column("count", sa.Integer),
    _column("created_at", sa.Double),
    _column("expires_at", sa.Double),
    _column("term", sa.BigInteger),
)

# A specification may hold user data, for which the plain TEXT of MySQL is too short.
_LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")

#: Declared tasks: demand (exact numbers), spec and ``after`` (uuids) as JSON; times are Unix time, lengths seconds.
QUEUED_TASKS = sa.Table(
    "queued_tasks",
    METADATA,
    _column("uuid", sa.String(36), primary_key=True),
    _column("name", _NAME),
    _column("framework", _NAME),
    _column("demand", sa.Text),
    _column("spec", _LONG_TEXT),
    _column("kind", _NAME),
    _column("priority", sa.Integer),
    _column("position", sa.BigInteger),
    _column("submitted_at", sa.Double),
    _column("deadline", sa.Double, nullable=True),
    _column("after", _LONG_TEXT),
    _column("duration", sa.Double, nullable=True),
    _column("stop_after", sa.Double, nullable=True),
    _column("state", sa.String(32)),
    _column("attempts", sa.Integer),
    _column("not_before", sa.Double),
    _column("host", _NAME),
    _column("server", _NAME),
    _column("started_at", sa.Double),
    _column("ended_at", sa.Double),
    _column("cancelling", sa.Boolean),
    _column("text", sa.Text),
    _column("term", sa.BigInteger),
    # Of whoever declared it; empty where an operator did.
    _column("project_id", sa.String(64), server_default=""),
    _column("user_id", sa.String(64), server_default=""),
    _column("trust_id", sa.String(64), server_default=""),
    sa.UniqueConstraint("position", name="uniq_queued_tasks_position"),
    # Unique with the position; they are there as indexes.
    sa.UniqueConstraint("state", "position", name="uniq_queued_tasks_state"),
    sa.UniqueConstraint("name", "position", name="uniq_queued_tasks_name"),
    sa.Index("ix_queued_tasks_project", "project_id", "position"),
    sa.Index("ix_queued_tasks_server", "server"),
    sa.Index("ix_queued_tasks_trust", "trust_id"),
)

#: Steps of requests, each as JSON; ``decided_at`` is Unix time. The key makes a step that is told twice one row.
DECISIONS = sa.Table(
    "decisions",
    METADATA,
    _column("request_uuid", _NAME, primary_key=True),
    _column("decided_at", sa.Double, primary_key=True),
    _column("stage", sa.String(32), primary_key=True),
    _column("document", sa.Text),
    sa.Index("ix_decisions_decided_at", "decided_at"),
)

#: Moves of tasks: figures (exact and floats), details and what was measured as JSON, empty before; times are Unix time.
MOVES = sa.Table(
    "moves",
    METADATA,
    _column("uuid", sa.String(36), primary_key=True),
    _column("position", sa.BigInteger),
    _column("plan", sa.String(36)),
    _column("strategy", _NAME),
    _column("task", _NAME),
    _column("framework", _NAME),
    _column("source", _NAME),
    _column("target", _NAME),
    _column("reason", sa.Text),
    _column("figures", sa.Text),
    _column("executor", _NAME),
    _column("state", sa.String(32)),
    _column("step", sa.String(64)),
    _column("details", _LONG_TEXT),
    _column("cancelling", sa.Boolean),
    _column("text", sa.Text),
    _column("planned_at", sa.Double),
    _column("started_at", sa.Double),
    _column("ended_at", sa.Double),
    _column("measured", sa.Text),
    _column("term", sa.BigInteger),
    sa.UniqueConstraint("position", name="uniq_moves_position"),
    # Unique with the position; it is there as an index.
    sa.UniqueConstraint("state", "position", name="uniq_moves_state"),
)

#: Hosts that operators are emptying.
DRAINED_HOSTS = sa.Table(
    "drained_hosts",
    METADATA,
    _column("host", _NAME, primary_key=True),
    _column("since", sa.Double),
)

#: Strategies that were switched: one is off unless ``off_text`` is empty; its moves before ``since`` do not count against it.
STRATEGIES = sa.Table(
    "strategies",
    METADATA,
    _column("strategy", _NAME, primary_key=True),
    _column("off_text", sa.Text),
    _column("since", sa.Double),
)

#: Shares as they were, one row for a framework in a pool; its figures as JSON, ``taken_at`` is Unix time.
SHARE_HISTORY = sa.Table(
    "share_history",
    METADATA,
    _column("taken_at", sa.Double, primary_key=True),
    _column("framework", _NAME, primary_key=True),
    _column("pool", _NAME, primary_key=True),
    _column("figures", sa.Text),
)
