# SPDX-License-Identifier: Apache-2.0
"""``hosts``: what is known of each host."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from cliff.lister import Lister
from cliff.show import ShowOne

from hybrid_sched.cmd.manage.app import ManageError
from hybrid_sched.cmd.manage.columns import Amount, Events, Figures, Names
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
                *("Host", "Pool", "Fresh", "Age s", "Score", "Score from"),
                *("vCPU", "Guests vCPU", "Containers vCPU"),
                *("Memory MiB", "Guests MiB", "Containers MiB"),
                *("Guests", "Containers", "Faults"),
            ),
            (_row(row) for row in rows),
        )


class ShowHost(ShowOne):
    """Show one host: hardware, score, declared and measured use, and its tasks with what they use."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument("host", metavar="HOST", help="as Nova and Zun know it")
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], tuple[Any, ...]]:
        """Ask the quota service."""
        rows = self.app.ask("hosts", names=[parsed_args.host])
        if not rows:
            raise ManageError(
                f"No report of host {parsed_args.host!r} is known: check hybrid-sched-agent there, and its [agent] host."
            )
        row = rows[0]
        # An engine of an earlier release does not tell.
        isolation = row.get("isolation", {})
        tasks = "\n".join(
            f"{task['uuid']} {task['framework']} {task.get('name', '')} {task.get('state', '')}: "
            f"{Figures(task['measured']).human_readable() or 'nothing measured'}"
            for task in row["tasks"]
        )
        fields = {
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
        return tuple(fields), tuple(fields.values())


def _row(row: dict[str, Any]) -> tuple[Any, ...]:
    cells: list[Any] = [row["host"], row["pool"] or "default", row["fresh"], row["age_s"]]
    cells += [Amount(row["score"]), row["score_from"]]
    for resource in ("vcpu", "memory_mb"):
        cells.append(Amount(row["capacity"].get(resource, 0)))
        cells += [Amount(row["used"].get(name, {}).get(resource, 0)) for name in FRAMEWORKS]
    for framework in (HYPERVISOR, CONTAINER):
        cells.append(sum(task["framework"] == framework for task in row["tasks"]))
    return (*cells, Names(row["faults"]))
