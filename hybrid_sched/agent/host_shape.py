# SPDX-License-Identifier: Apache-2.0
"""What of the host there is to divide: its NUMA nodes from the kernel, its rated speeds from the options."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import psutil
from oslo_config import cfg

from hybrid_sched.core import cpu_list
from hybrid_sched.core.limits import RATES, HostShape

_SYS = Path("/sys/devices/system")


@dataclass(frozen=True, slots=True)
class Ground:
    """What there is to divide, and what there is.

    :param shape: without what is kept for the host itself.
    :param cpus: all CPUs that are online.
    :param faults: a sentence for each option that does not fit the host.
    """

    shape: HostShape
    cpus: frozenset[int]
    faults: tuple[str, ...] = ()


def look(conf: cfg.ConfigOpts, sys: Path = _SYS) -> Ground:
    """Look at the host.

    :param conf: options of the group ``[agent]``.
    :param sys: folder of the kernel with ``cpu`` and ``node``.
    """
    options = conf.agent
    nodes = _nodes(sys)
    cpus = frozenset().union(*nodes)
    faults = []
    reserved = frozenset(sorted(cpus)[: options.reserved_cpus])
    if reserved == cpus:
        faults.append(
            f"[agent] reserved_cpus is {options.reserved_cpus} and the host has {len(cpus)} CPUs: none is kept for the host, "
            "since tasks must run somewhere. Give fewer."
        )
        reserved = frozenset()
    rated = {rate: options[f"{rate.value.removesuffix('_bps')}_rated_bps"] for rate in RATES}
    shape = HostShape(
        nodes=tuple(left for node in nodes if (left := node - reserved)),
        rated={rate: speed for rate, speed in rated.items() if speed},
        reserve=Fraction(options.io_reserve_percent, 100),
    )
    return Ground(shape, cpus, tuple(faults))


def _nodes(sys: Path) -> list[frozenset[int]]:
    """Give the online CPUs of each NUMA node; all of them as one where the kernel tells of no nodes."""
    try:
        online = cpu_list.of_text((sys / "cpu" / "online").read_text())
    except (OSError, ValueError):
        online = frozenset(range(psutil.cpu_count() or 1))
    nodes = []
    for folder in sorted((sys / "node").glob("node[0-9]*"), key=lambda each: int(each.name[4:])):
        try:
            nodes.append(cpu_list.of_text((folder / "cpulist").read_text()) & online)
        except (OSError, ValueError):
            # What is known of a part of the nodes only would leave CPUs out.
            return [online]
    known = [node for node in nodes if node]
    return known if frozenset().union(*known) == online else [online]
