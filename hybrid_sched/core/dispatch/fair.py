# SPDX-License-Identifier: Apache-2.0
"""Weighted DRF over the tasks that wait (paper 4.2), with a packer, or with best fit and a gap that may be used.

All of them conserve work: while any task that waits fits on some host, some task starts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from hybrid_sched.core.dispatch.floor import Amounts, Floor
from hybrid_sched.core.packing.base import Packer

#: Lead of the framework whose tasks last longest, in dominant share over weight.
DEFAULT_AHEAD = Fraction(1, 40)


class FairPacking:
    """Let weighted DRF choose a run of tasks, and a packer place it; again, until nothing that waits fits anywhere.

    The run is the next turns by key, each framework in its order of arrival, without the kinds that fit on no host, up to the
    first that the room of all hosts together does not hold. What the packer does not place goes on waiting.

    :param packer: places a run.
    """

    def __init__(self, packer: Packer) -> None:
        self._packer = packer

    def __call__(self, floor: Floor) -> None:
        """Start tasks; see :class:`~hybrid_sched.core.dispatch.base.Dispatch`."""
        while run := _run(floor):
            tasks, hosts = run
            if len(tasks) == 1 and len(hosts) == 1:
                # Any packer places a task that fits on the only host.
                floor.start(tasks[0], hosts[0])
                continue
            packing = self._packer.pack(
                [floor.demands[task] for task in tasks], [floor.free[host] for host in hosts]
            )
            place = {task: hosts[host] for host, placed in packing.bins.items() for task in placed}
            # Within a kind tasks start in their order; a packer may have placed a later one alone.
            kinds: dict[tuple[int, Amounts], list[int]] = {}
            for index in sorted(place):
                task = tasks[index]
                kinds.setdefault((floor.frameworks[task], floor.demands[task]), []).append(
                    place[index]
                )
            if not kinds:
                return
            for (framework, demand), where in kinds.items():
                for host in where:
                    floor.start(floor.first(framework, demand), host)
        floor.settle()


def _run(floor: Floor) -> tuple[list[int], list[int]] | None:
    """Give the next turns and the hosts that have room for any of them."""
    roomy: set[int] = set()
    lines = []
    for framework, kinds in enumerate(floor.kinds):
        fitting = []
        for demand in kinds:
            hosts = floor.hosts_for(framework, demand)
            if hosts:
                fitting.append((framework, demand))
                roomy.update(hosts)
        lines.append(floor.in_order(fitting))
    hosts = sorted(roomy)
    left = [sum(amounts) for amounts in zip(*(floor.free[host] for host in hosts), strict=True)]
    used = [list(charge) for charge in floor.used]
    keys = list(floor.keys)
    granted = [0] * len(keys)
    heads = [next(line, None) for line in lines]
    run: list[int] = []
    while waiting := [f for f, head in enumerate(heads) if head is not None]:
        framework = min(waiting, key=lambda f: (keys[f], granted[f], f))
        task = heads[framework]
        if task is None:
            break
        demand = floor.demands[task]
        left = [room - amount for room, amount in zip(left, demand, strict=True)]
        if run and min(left) < 0:
            break
        run.append(task)
        used[framework] = [
            a + b for a, b in zip(used[framework], floor.charge(demand), strict=True)
        ]
        keys[framework] = floor.key_of(framework, used[framework])
        granted[framework] += 1
        heads[framework] = next(lines[framework], None)
    return (run, hosts) if run else None


class FairFill:
    """Let weighted DRF choose the framework, and best fit the task and the host; long tasks may be ahead by a little.

    The next turn is that of the framework with the smallest key, where the one whose tasks last longest is given ``ahead``. Of
    its tasks that fit somewhere the largest one starts (of the scarcest resource first), on the host that it leaves with
    least. A framework of which nothing fits anywhere lets the others go on.

    Tasks that last long are what is left over at the end, alone on hosts that nothing else is there to fill: the lead moves
    some of the short ones there. Shares are further apart only while those of too many still run, and where the others cannot
    use what is free.

    :param ahead: lead in dominant share over weight, 0 or more; None for fairness off, where the framework whose tasks last
        longest always goes first.
    """

    def __init__(self, ahead: Fraction | None = DEFAULT_AHEAD) -> None:
        if ahead is not None and ahead < 0:
            raise ValueError(f"ahead is {ahead}: give 0 or more, or None")
        self._ahead = ahead

    def __call__(self, floor: Floor) -> None:
        """Start tasks; see :class:`~hybrid_sched.core.dispatch.base.Dispatch`."""
        longest = floor.lasting()
        if self._ahead is None:
            order = sorted(range(len(floor.keys)), key=lambda f: (f != longest, f))
            fill(floor, order.index)
        else:
            lead = int(self._ahead * floor.unit)
            fill(floor, lambda f: floor.keys[f] - (lead if f == longest else 0))


class InOrder:
    """Let one framework start whatever fits before the next one may, each by best fit; nothing is shared.

    :param frameworks: in their order.
    """

    def __init__(self, frameworks: Sequence[int]) -> None:
        self._frameworks = list(frameworks)

    def __call__(self, floor: Floor) -> None:
        """Start tasks; see :class:`~hybrid_sched.core.dispatch.base.Dispatch`."""
        fill(floor, self._frameworks.index)


def fill(floor: Floor, rank: Callable[[int], int]) -> None:
    """Start tasks by best fit while any fits: the framework of the lowest rank first, ties by its place in the list."""
    going = [framework for framework, count in enumerate(floor.count) if count]
    # What fits nowhere now fits nowhere later: room only gets less while tasks start.
    hopeless: set[tuple[int, Amounts]] = set()
    while going:
        framework = min(going, key=lambda f: (rank(f), f))
        for demand in floor.kinds[framework]:
            if (framework, demand) in hopeless:
                continue
            hosts = floor.hosts_for(framework, demand)
            if hosts:
                fullest = min(hosts, key=lambda host: (floor.size(floor.free[host]), host))
                floor.start(floor.first(framework, demand), fullest)
                break
            hopeless.add((framework, demand))
        else:
            going.remove(framework)
            continue
        if not floor.count[framework]:
            going.remove(framework)
    floor.settle()
