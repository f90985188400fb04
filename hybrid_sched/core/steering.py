# SPDX-License-Identifier: Apache-2.0
"""How a request says for which host it was planned: the queue writes it, the weigher and the order filter read it."""

from __future__ import annotations

#: Scheduler hint of Nova and of Zun with the name of the planned host. It is a wish among the hosts that every filter let
#: pass, and never a way past a filter.
PLANNED_HOST_HINT = "hybrid_host"

#: Key of the metadata of a server, and of the label of a container, with the uuid of its queued task (idempotency key).
TASK_KEY = "hybrid:task"
