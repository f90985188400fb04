# SPDX-License-Identifier: Apache-2.0
"""First come, first served: without shares, as separate clusters and Nova do it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush

from hybrid_sched.core.dispatch.floor import Floor

Choice = Callable[[Floor, Sequence[int]], int]


def first_fit(_: Floor, hosts: Sequence[int]) -> int:
    """Choose the first host."""
    return hosts[0]


def most_free(floor: Floor, hosts: Sequence[int]) -> int:
    """Choose the host with most left, as Nova's weighers do: by the sum of its shares of the pool, ties by index."""
    return max(hosts, key=lambda host: (floor.room(host), -host))


class FirstCome:
    """Start tasks in the order of arrival.

    :param choose: of the hosts on which a task fits.
    :param skip: go on past a task that fits nowhere; without, all that come after it wait. Hosts that are for one framework
        alone make lines of their own: a task that waits there keeps no other framework waiting.
    """

    def __init__(self, choose: Choice = first_fit, *, skip: bool = False) -> None:
        self._choose = choose
        self._skip = skip

    def __call__(self, floor: Floor) -> None:
        """Start tasks; see :class:`~hybrid_sched.core.dispatch.base.Dispatch`."""
        if self._skip:
            self._skipping(floor)
        else:
            self._in_order(floor)

    def _skipping(self, floor: Floor) -> None:
        going = [
            (floor.first(framework, demand), framework, demand)
            for framework, kinds in enumerate(floor.kinds)
            for demand in kinds
            if floor.hosts_for(framework, demand)
        ]
        heapify(going)
        while going:
            task, framework, demand = heappop(going)
            hosts = floor.hosts_for(framework, demand)
            if hosts:
                floor.start(task, self._choose(floor, hosts))
                if floor.waits(framework, demand):
                    heappush(going, (floor.first(framework, demand), framework, demand))
        floor.settle()

    def _in_order(self, floor: Floor) -> None:
        # Hosts that are for one framework alone make a line for each framework.
        apart = None not in floor.only
        lines = [[f] for f in range(len(floor.kinds))] if apart else [range(len(floor.kinds))]
        for line in lines:
            while waiting := [
                (floor.first(framework, demand), framework, demand)
                for framework in line
                for demand in floor.kinds[framework]
            ]:
                task, framework, demand = min(waiting)
                hosts = floor.hosts_for(framework, demand)
                if not hosts:
                    break
                floor.start(task, self._choose(floor, hosts))
