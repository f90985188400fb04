# SPDX-License-Identifier: Apache-2.0
"""Small clusters that the watchdog looks at: hosts of 10 cores and 1000 MiB, tasks by what they use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from clusters import snapshot

from hybrid_sched.core.cluster import HYPERVISOR, Host, Snapshot, Task
from hybrid_sched.core.rebalancing.history import History
from hybrid_sched.core.rebalancing.parameters import Parameters
from hybrid_sched.core.rebalancing.readings import NO_USE, HostReading, TaskReading
from hybrid_sched.core.rebalancing.situation import Situation
from hybrid_sched.core.resources import Resources, add, scale

PERIOD_S = 300.0


@dataclass(frozen=True)
class Guest:
    """A task on a host, with the cores that it uses."""

    uuid: str
    cores: float
    memory_mb: int = 10
    vcpu: int = 4
    movable: bool = True
    framework: str = HYPERVISOR
    measured: bool = True

    @property
    def task(self) -> Task:
        return Task(
            self.uuid,
            self.framework,
            Resources(self.vcpu, self.memory_mb),
            movable=self.movable,
        )

    @property
    def reading(self) -> TaskReading:
        use = (self.cores, float(self.memory_mb), *NO_USE[2:])
        return TaskReading(self.task, use if self.measured else None)


def watch(
    hosts: Mapping[str, Iterable[Guest]],
    *,
    periods: int = 3,
    stale: Iterable[str] = (),
    cores: Mapping[str, int] | None = None,
    stalls: Mapping[str, float] | None = None,
    parameters: Parameters | None = None,
    **fields: object,
) -> Situation:
    """Give a cluster that has been as it is for some periods; stale hosts were last reported long ago."""
    parameters = parameters or Parameters()
    history, readings = History(), {}
    now_s = 1e9
    for period in range(periods):
        now_s += PERIOD_S
        for name, guests in hosts.items():
            if name not in stale or period == 0:
                has = float((cores or {}).get(name, 10))
                reading = reading_of(name, guests, now_s, has)
                stall = (stalls or {}).get(name, 0.0)
                readings[name] = replace(reading, stalls=(stall, *NO_USE[1:]))
        history = history.observe(readings.values(), parameters, now_s)
    placed = cluster(hosts, {name: int(readings[name].capacity[0]) for name in hosts})
    if stale:
        now_s += parameters.stale_after_s
        fresh = {
            name: replace(each, at_s=now_s) for name, each in readings.items() if name not in stale
        }
        readings |= fresh
        history = history.observe(fresh.values(), parameters, now_s)
    return Situation(placed, readings, history, now_s, parameters, **fields)  # type: ignore[arg-type]


def reading_of(name: str, guests: Iterable[Guest], at_s: float, cores: float = 10.0) -> HostReading:
    guests = list(guests)
    use = (
        sum(each.cores for each in guests),
        float(sum(each.memory_mb for each in guests)),
        *NO_USE[2:],
    )
    capacity = (cores, 1000.0, *NO_USE[2:])
    return HostReading(name, at_s, capacity, use, tasks=tuple(each.reading for each in guests))


def cluster(hosts: Mapping[str, Iterable[Guest]], cores: Mapping[str, int]) -> Snapshot:
    made = []
    for name, guests in hosts.items():
        used: dict[str, Resources] = {}
        count = 0
        for guest in guests:
            count += 1
            held = used.get(guest.framework, Resources())
            used[guest.framework] = Resources(*add(held, guest.task.demand))
        capacity = Resources(*scale(4, Resources(cores[name], 250)))
        made.append(Host(name, capacity, used=used, task_count=count))
    return snapshot(made)
