# SPDX-License-Identifier: Apache-2.0
"""``host``: what is known of each host."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from cliff.lister import Lister

from hybrid_sched.cmd.manage.columns import Amount, Names
from hybrid_sched.core.cluster import CONTAINER, FRAMEWORKS, HYPERVISOR


class ListHosts(Lister):
    """List the hosts: how fresh their reports are, what they have, and what guests and containers hold of it."""

    def take_action(
        self,
        parsed_args: argparse.Namespace,
    ) -> tuple[tuple[str, ...], Iterator[tuple[Any, ...]]]:
        """Ask the quota service."""
        rows = self.app.ask("hosts")
        return (
            (
                "Host",
                "Fresh",
                "Age s",
                "Score",
                "vCPU",
                "Guests vCPU",
                "Containers vCPU",
                "Memory MiB",
                "Guests MiB",
                "Containers MiB",
                "Guests",
                "Containers",
                "Faults",
            ),
            (_row(row) for row in rows),
        )


def _row(row: dict[str, Any]) -> tuple[Any, ...]:
    cells: list[Any] = [row["host"], row["fresh"], row["age_s"], Amount(row["score"])]
    for resource in ("vcpu", "memory_mb"):
        cells.append(Amount(row["capacity"].get(resource, 0)))
        cells += [Amount(row["used"].get(name, {}).get(resource, 0)) for name in FRAMEWORKS]
    for framework in (HYPERVISOR, CONTAINER):
        cells.append(sum(task["framework"] == framework for task in row["tasks"]))
    return (*cells, Names(row["faults"]))
