# SPDX-License-Identifier: Apache-2.0
"""How hosts are shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from hybrid_sched.cli.columns import Amount, Events, Figures, Names, Table
from hybrid_sched.core.cluster import CONTAINER, FRAMEWORKS, HYPERVISOR


def hosts_table(rows: Iterable[Mapping[str, Any]]) -> Table:
    """Show how fresh the reports of hosts are, what the hosts have, and what guests and containers hold of it.

    :param rows: as the quota service gives them, or with numbers of tasks in place of the tasks.
    """
    return (
        (
            *("Host", "Pool", "Fresh", "Age s", "Score", "Score from"),
            *("vCPU", "Guests vCPU", "Containers vCPU"),
            *("Memory MiB", "Guests MiB", "Containers MiB"),
            *("Guests", "Containers", "Faults"),
        ),
        map(_cells, rows),
    )


def host_fields(row: Mapping[str, Any]) -> dict[str, Any]:
    """Show one host: hardware, score, declared and measured use, and its tasks with what they use."""
    # An engine of an earlier release does not tell.
    isolation = row.get("isolation", {})
    tasks = "\n".join(
        f"{task['uuid']} {task['framework']} {task.get('name', '')} {task.get('state', '')}: "
        f"{Figures(task['measured']).human_readable() or 'nothing measured'}"
        for task in row["tasks"]
    )
    return {
        "Host": row["host"],
        "Pool": row["pool"] or "default",
        "Fresh": row["fresh"],
        "Age s": row["age_s"],
        "CPU model": row["cpu_model"],
        "Memory kind": row["memory_kind"],
        "Score": Amount(row["score"]),
        "Score from": row["score_from"],
        "Capacity": Figures(row["capacity"]),
        **{f"Used by {name}": Figures(row["used"].get(name, {})) for name in FRAMEWORKS},
        "Used besides": Figures(row["other"]),
        "Measured": Figures(row["measured"]),
        "CPU weight factors": Figures(row["squeezed"]),
        "Isolation": isolation.get("mode") or "not told",
        "Limits applied": Figures(isolation.get("applied", {})),
        "Limits repaired": Figures(isolation.get("repaired", {})),
        "Limits pending": Figures(isolation.get("pending", {})),
        "Limits not held": Names(isolation.get("missing", [])),
        "Events": Events(isolation.get("events", [])),
        "Faults": Names(row["faults"]),
        "Tasks": tasks,
    }


def _cells(row: Mapping[str, Any]) -> tuple[Any, ...]:
    cells: list[Any] = [row["host"], row["pool"] or "default", row["fresh"], row["age_s"]]
    cells += [Amount(row["score"]), row["score_from"]]
    for resource in ("vcpu", "memory_mb"):
        cells.append(Amount(row["capacity"].get(resource, 0)))
        cells += [Amount(row["used"].get(name, {}).get(resource, 0)) for name in FRAMEWORKS]
    counts = row.get("task_counts")
    if counts is None:
        counts = Counter(task["framework"] for task in row["tasks"])
    return (
        *cells,
        *(counts.get(name, 0) for name in (HYPERVISOR, CONTAINER)),
        Names(row["faults"]),
    )
