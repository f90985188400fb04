# SPDX-License-Identifier: Apache-2.0
"""The tables as they are in this release; the migrations lead to them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

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
