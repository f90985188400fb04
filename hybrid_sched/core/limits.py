# SPDX-License-Identifier: Apache-2.0
"""From what the tasks of a host declared to the limits that hold each of them (paper 4.3)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fractions import Fraction

from hybrid_sched.core.cluster import CONTAINER
from hybrid_sched.core.declaration import Declaration
from hybrid_sched.core.resources import Number, simplest

#: CPU weight of one core: the kernel's default of a control group of version 1, and Docker's and libvirt's.
SHARES_A_CORE = 1024
#: The kernel takes CPU shares from 2 to 262144.
LEAST_SHARES, MOST_SHARES = 2, 262_144


class Aspect(StrEnum):
    """What of a task can be limited; each is the name of a field of :class:`Limits`."""

    CPU_QUOTA = "cpu_quota"
    CPU_WEIGHT = "cpu_weight"
    CPUS = "cpus"
    MEMORY = "memory_mb"
    MEMORY_LOW = "memory_low_mb"
    DISK_READ = "disk_read_bps"
    DISK_WRITE = "disk_write_bps"
    NET_IN = "net_in_bps"
    NET_OUT = "net_out_bps"


#: The rates that have a rated speed of the host to be checked against.
RATES = (Aspect.DISK_READ, Aspect.DISK_WRITE, Aspect.NET_IN, Aspect.NET_OUT)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one task may use; None stands for no limit.

    :param cpu_quota: CPU time of all its CPUs together, in cores, above 0.
    :param cpu_weight: part of contended CPU time, 1024 a core.
    :param cpus: numbers of the CPUs of the host on which it may run.
    :param memory_mb: MiB above which it is refused memory. A guest has none: its memory is that of its machine, and the
        kernel would kill it for what its emulator needs besides.
    :param memory_low_mb: MiB that the kernel takes from it last.
    :param disk_read_bps: bytes/s from each physical disk.
    :param disk_write_bps: bytes/s to each physical disk.
    :param net_in_bps: bytes/s that it receives.
    :param net_out_bps: bytes/s that it sends.
    """

    cpu_quota: Number | None = None
    cpu_weight: int | None = None
    cpus: frozenset[int] | None = None
    memory_mb: int | None = None
    memory_low_mb: int | None = None
    disk_read_bps: int | None = None
    disk_write_bps: int | None = None
    net_in_bps: int | None = None
    net_out_bps: int | None = None

    def differing(self, other: Limits, aspects: Iterable[Aspect]) -> frozenset[Aspect]:
        """Give those of some aspects in which two limits differ."""
        return frozenset(each for each in aspects if getattr(self, each) != getattr(other, each))


@dataclass(frozen=True, slots=True)
class HostShape:
    """What a host has to divide.

    :param nodes: the CPUs of each NUMA node, without those that are kept for the host itself.
    :param rated: rated speed of its disk and NIC, bytes/s, by aspect; one that is not named is not known, and not checked.
    :param reserve: part of each rated speed that is kept for the host itself, in [0, 1).
    """

    nodes: tuple[frozenset[int], ...]
    rated: Mapping[Aspect, int] = field(default_factory=dict)
    reserve: Number = 0

    @property
    def cpus(self) -> frozenset[int]:
        """Give all CPUs that tasks may run on."""
        return frozenset().union(*self.nodes)

    def available(self, aspect: Aspect) -> int | None:
        """Give what of a rated speed tasks may have together, bytes/s; None when it is not known."""
        rated = self.rated.get(aspect)
        return None if rated is None else int(rated * (1 - Fraction(self.reserve)))


@dataclass(frozen=True, slots=True)
class Resident:
    """A task that is on the host.

    :param uuid: of the task.
    :param framework: that placed it.
    :param declaration: what it declared.
    :param cpus: on which it may run now; None when not known or not limited.
    """

    uuid: str
    framework: str
    declaration: Declaration
    cpus: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The limits of all tasks of a host.

    :param limits: by uuid.
    :param faults: a sentence for each promise that the host cannot keep, with what is done instead.
    """

    limits: Mapping[str, Limits]
    faults: tuple[str, ...] = ()


def plan(host: HostShape, residents: Sequence[Resident]) -> Plan:
    """Work out the limits of every task of a host, so that together they are within what it has.

    A task keeps the CPUs that it has where that is right, so that nothing moves without need.

    :param residents: all tasks on the host, the longest there first: of two that want the same, the first gets it.
    """
    faults: list[str] = []
    cpus = _cpus(host, residents, faults)
    rates = {aspect: _rates(host, residents, aspect, faults) for aspect in RATES}
    limits = {
        each.uuid: replace(
            of_declaration(each.framework, each.declaration),
            cpus=cpus[each.uuid],
            **{str(aspect): by_uuid[each.uuid] for aspect, by_uuid in rates.items()},
        )
        for each in residents
    }
    return Plan(limits, tuple(faults))


def of_declaration(framework: str, declared: Declaration) -> Limits:
    """Give what follows from a declaration alone, whatever else is on the host: CPU quota, CPU weight and memory.

    :param framework: that places the task.
    :param declared: what the task declared.
    """
    cores = simplest(Fraction(declared.cpus) * Fraction(declared.cpu_percent) / 100)
    weight = declared.cpu_shares or round(SHARES_A_CORE * Fraction(declared.cpus))
    memory_mb = declared.memory_mb or None
    return Limits(
        cpu_quota=cores or None,
        cpu_weight=min(MOST_SHARES, max(LEAST_SHARES, weight)) if weight else None,
        memory_mb=memory_mb if framework == CONTAINER else None,
        memory_low_mb=memory_mb,
    )


def _cpus(
    host: HostShape, residents: Sequence[Resident], faults: list[str]
) -> dict[str, frozenset[int]]:
    """Divide the CPUs: those with CPUs of their own first, the others on what is left."""
    own = _own_cpus(host, residents, faults)
    taken = frozenset().union(*own.values())
    left = [node - taken for node in host.nodes]
    pool = frozenset().union(*left)
    shared: dict[str, frozenset[int]] = {}
    load: dict[int, Fraction] = dict.fromkeys(range(len(left)), Fraction(0))
    for each in residents:
        if each.uuid in own:
            continue
        amount = Fraction(each.declaration.cpus)
        nodes = [index for index, node in enumerate(left) if node and amount <= len(node)]
        if not nodes:
            # Larger than a node, or nothing is left to choose from.
            shared[each.uuid] = pool or _beside_others(host.cpus, _count(each))
            continue
        stays = [index for index in nodes if left[index] == each.cpus]
        index = min(stays or nodes, key=lambda node: (load[node] / len(left[node]), node))
        load[index] += amount
        shared[each.uuid] = left[index]
    return {**shared, **own}


def _beside_others(cpus: frozenset[int], count: int) -> frozenset[int]:
    """Give CPUs to a dedicated task for which others with CPUs of their own leave none.

    They must not be as many as it declared: it would be taken for one that has CPUs of its own the next time.
    """
    return cpus if len(cpus) != count or count == 1 else cpus - {max(cpus)}


def _own_cpus(
    host: HostShape, residents: Sequence[Resident], faults: list[str]
) -> dict[str, frozenset[int]]:
    """Give each dedicated task CPUs that no other has, on one NUMA node if that is possible."""
    free = set(host.cpus)
    # One CPU is left at least for those that share.
    kept = any(each.declaration.cpu_policy != "dedicated" for each in residents)
    own: dict[str, frozenset[int]] = {}
    dedicated = [each for each in residents if each.declaration.cpu_policy == "dedicated"]
    # Whoever has as many as it declared keeps them, and only then are the others served. Those on whose CPUs nobody shares come
    # first: one for which none were left may share as many as it declared.
    shared = [each.cpus for each in residents if each.declaration.cpu_policy != "dedicated"]
    sharing = frozenset().union(*filter(None, shared))
    for each in sorted(dedicated, key=lambda one: bool(sharing.intersection(one.cpus or ()))):
        has = each.cpus or frozenset()
        if len(has) == _count(each) <= len(free) - kept and has <= free:
            own[each.uuid] = has
            free -= has
    waiting = [each for each in dedicated if each.uuid not in own]
    for each in waiting:
        if _count(each) > len(free) - kept:
            faults.append(
                f"{each.framework} task {each.uuid} declared {_count(each)} CPUs of its own and {len(free)} of the host are "
                "free: it shares CPUs with others until some are. Move it, or a task with CPUs of its own."
            )
            continue
        chosen = _choose(host.nodes, free, _count(each))
        own[each.uuid] = chosen
        free -= chosen
    return own


def _count(resident: Resident) -> int:
    return int(resident.declaration.resources.vcpu)


def _choose(nodes: Sequence[frozenset[int]], free: Collection[int], count: int) -> frozenset[int]:
    """Choose free CPUs: of the fullest node that has enough, else of as few nodes as possible."""
    left = [sorted(node.intersection(free)) for node in nodes]
    enough = [cpus for cpus in left if len(cpus) >= count]
    if enough:
        return frozenset(min(enough, key=len)[:count])
    ordered = [cpu for cpus in sorted(left, key=len, reverse=True) for cpu in cpus]
    return frozenset(ordered[:count])


def _rates(
    host: HostShape, residents: Sequence[Resident], aspect: Aspect, faults: list[str]
) -> dict[str, int | None]:
    """Give each task its declared rate, and those that declared none an equal part of what is left.

    What is left is divided only where somebody declared a rate: it is their promise that the others would break.
    """
    declared = {each.uuid: getattr(each.declaration, aspect) for each in residents}
    both = {each.uuid: _declared_both(each.declaration, aspect) for each in residents}
    available = host.available(aspect)
    promised = sum(declared.values()) + sum(both.values())
    if available is not None and promised > available:
        faults.append(
            f"{aspect}: {promised} bytes/s are declared on the host and {available} can be had: every task gets "
            f"{float(Fraction(available, promised)):.0%} of what it declared. Move a task, or correct the speed in [agent]."
        )
        declared = {
            uuid: rate and max(1, rate * available // promised) for uuid, rate in declared.items()
        }
        promised = available
    others = [uuid for uuid in declared if not declared[uuid] and not both[uuid]]
    rest = None
    if available is not None and promised and others:
        rest = max(1, (available - promised) // len(others))
    return {uuid: rate or (None if both[uuid] else rest) for uuid, rate in declared.items()}


def _declared_both(declaration: Declaration, aspect: Aspect) -> int:
    """Give what is declared of reading and writing together, bytes/s: Nova has libvirt hold that, and it counts for each."""
    return declaration.disk_total_bps if aspect in {Aspect.DISK_READ, Aspect.DISK_WRITE} else 0
