# SPDX-License-Identifier: Apache-2.0
"""Pods and nodes of a public trace of a production cluster as tasks and hosts of the simulator.

The columns are those of alibaba/clusterdata, cluster-trace-gpu-v2023. GPUs are left out.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from hybrid_sched.core.resources import Number, simplest
from hybrid_sched.simulation.workload import (
    HOST_COLUMNS,
    TASK_COLUMNS,
    Fields,
    WorkloadError,
    csv_rows,
)

_NODES = ("sn", "cpu_milli", "memory_mib")
_PODS = (
    *("name", "cpu_milli", "memory_mib", "qos"),
    *("creation_time", "deletion_time", "scheduled_time"),
)
#: Classes of service whose pods are taken for guests: they serve somebody and stay. The others are taken for containers.
GUESTS = frozenset({"LS", "Guaranteed"})
_SHORTEST_S = 1


def hosts_of_nodes(path: str) -> str:
    """Give the nodes of a file as hosts, in CSV.

    :raises WorkloadError: when they cannot be read.
    """
    rows = [
        (row.text("sn"), _cores(row), _whole(row, "memory_mib")) for row in csv_rows(path, _NODES)
    ]
    return _csv(HOST_COLUMNS, rows)


def tasks_of_pods(path: str) -> tuple[str, int]:
    """Give the pods of a file as tasks, in CSV, and how many were left out as they asked for nothing.

    A task comes when its pod was created. It lasts from when the pod was scheduled, or where it never was from when it was
    created, until it was deleted, and a second at least.

    :raises WorkloadError: when they cannot be read.
    """
    tasks, left_out = [], 0
    for row in csv_rows(path, _PODS):
        cores, memory_mb = _cores(row), _whole(row, "memory_mib")
        if not (_whole(row, "cpu_milli") or memory_mb):
            left_out += 1
            continue
        created_s = _whole(row, "creation_time")
        begun = _text(row.fields, "scheduled_time")
        began_s = _whole(row, "scheduled_time") if begun else created_s
        lasted_s = max(_SHORTEST_S, _whole(row, "deletion_time") - began_s)
        kind = "guest" if _text(row.fields, "qos") in GUESTS else "container"
        tasks.append((row.text("name"), kind, cores, memory_mb, created_s, lasted_s))
    if not tasks:
        raise WorkloadError(f"{path} has no pod that asks for something")
    return _csv(TASK_COLUMNS, tasks), left_out


def _text(fields: Mapping[str, object], name: str) -> str:
    return str(fields.get(name, "")).strip()


def _cores(row: Fields) -> str:
    cores: Number = simplest(Fraction(_whole(row, "cpu_milli"), 1000))
    return str(cores if isinstance(cores, int) else float(cores))


def _whole(row: Fields, name: str) -> int:
    number = row.number(name)
    if not isinstance(number, int) or number < 0:
        raise row.fault(name, f"{number} is no whole number of 0 or more")
    return number


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
