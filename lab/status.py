# SPDX-License-Identifier: Apache-2.0
"""What runs in the lab."""

from __future__ import annotations

import io
import json
import time
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from lab import hosts
from lab.layout import Lab
from lab.processes import Process, ProcessTable

Row = dict[str, Any]


def rows(lab: Lab) -> list[Row]:
    """Give a row for each service of the control plane and of each host."""
    names = {host.name for host in lab.hosts}
    table = [
        _row(process.name, "control", process.pid, _tree(process), healthy=process.alive)
        for process in ProcessTable(lab).all()
        if process.name not in names
    ]
    for host in lab.hosts:
        process = ProcessTable(lab).get(host.name)
        tree = _tree(process) if process else []
        inside = hosts.services(lab, host)
        for name, pid in inside.items():
            own = [each for each in tree if _inner_pid(each) == pid]
            below = [child for each in own for child in each.children(recursive=True)]
            table.append(
                _row(name, host.name, own[0].pid if own else None, own + below, healthy=bool(own))
            )
        guests = [each for each in tree if each.name().startswith("qemu-system")]
        table.append(_row("(guests)", host.name, None, guests, healthy=process is not None))
    return table


def render(table: list[Row], form: str) -> str:
    """Write the rows for a person or a program."""
    total = round(sum(row["memory_mib"] for row in table))
    if form == "json":
        return json.dumps({"services": table, "memory_mib": total}, indent=2)
    shown = Table(box=None)
    for column in ("service", "where", "pid", "health", "memory MiB", "up s"):
        shown.add_column(column)
    for row in table:
        health = "up" if row["healthy"] else "[red]down[/red]"
        shown.add_row(
            row["service"],
            row["where"],
            str(row["pid"] or ""),
            health,
            f"{row['memory_mib']:.0f}",
            "" if row["up_s"] is None else f"{row['up_s']:.0f}",
        )
    text = io.StringIO()
    Console(file=text, width=100, force_terminal=False).print(shown)
    return f"{text.getvalue()}Memory in all: {total} MiB."


def _row(
    name: str, where: str, pid: int | None, tree: list[psutil.Process], *, healthy: bool
) -> Row:
    return {
        "service": name,
        "where": where,
        "pid": pid,
        "healthy": healthy,
        "memory_mib": round(sum(map(_memory_bytes, tree)) / 2**20, 1),
        "up_s": round(time.time() - tree[0].create_time(), 1) if tree else None,
    }


def _tree(process: Process) -> list[psutil.Process]:
    try:
        root = psutil.Process(process.pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _memory_bytes(process: psutil.Process) -> int:
    """Count memory once that several processes share."""
    try:
        return int(process.memory_full_info().pss)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0


def _inner_pid(process: psutil.Process) -> int | None:
    """Give a process's number inside its own process namespace."""
    try:
        with open(f"/proc/{process.pid}/status", encoding="utf-8") as lines:
            line = next(line for line in lines if line.startswith("NSpid:"))
        return int(line.split()[-1])
    except (OSError, StopIteration):
        return None
