# SPDX-License-Identifier: Apache-2.0
"""The JSON of requests and answers, as JSON Schema 2020-12."""

from __future__ import annotations

from hybrid_sched.api.schemas import (
    common,
    decisions,
    frameworks,
    hosts,
    rebalancing,
    receipts,
    scores,
    tasks,
    versions,
)
from hybrid_sched.api.schemas.common import Schema

#: Every named schema; others refer to it by :func:`hybrid_sched.api.schemas.common.ref`.
COMPONENTS: dict[str, Schema] = {
    **common.COMPONENTS,
    **versions.COMPONENTS,
    **frameworks.COMPONENTS,
    **hosts.COMPONENTS,
    **tasks.COMPONENTS,
    **decisions.COMPONENTS,
    **rebalancing.COMPONENTS,
    **scores.COMPONENTS,
    **receipts.COMPONENTS,
}
