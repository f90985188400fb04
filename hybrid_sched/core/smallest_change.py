# SPDX-License-Identifier: Apache-2.0
"""The smallest change that lets in a request that is stopped, for each kind of change.

What *smallest* means:

- a demand: the fewest resources are reduced. One alone is reduced by as few whole units as possible; several to the same
  part of what is asked, in thousandths, and then each, in the order of the vector, raised again by as many whole units as are
  let in.
- a weight: in steps of a power of ten that is at most a thousandth of the weight as it is.
- a task that moves or ends: the one with the least dominant share of its pool, then the first by uuid and host.

Each change is made on a copy of the snapshot and the gate is asked again before it is named.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from itertools import combinations

from hybrid_sched.core.changes import EndChange, FlavorChange, MoveChange, WeightChange
from hybrid_sched.core.cluster import Host, Pool, Snapshot, Task
from hybrid_sched.core.resources import (
    Number,
    Resources,
    add,
    dominant_share,
    simplest,
    subtract,
)
from hybrid_sched.core.share_gate import Request
from hybrid_sched.core.what_if import (
    PoliciesOf,
    is_allowed,
    slots,
    try_out,
    with_task_moved,
    with_weight,
    without_task,
)

#: Gives the tasks that are on a host, each with the demand that the host is charged with.
TasksOf = Callable[[str], Sequence[Task]]

_PARTS = 1000
# A weight that is a million times as large gives the framework all but everything.
_MOST_DOUBLINGS = 20
# Tasks of which a move is tried out; those that come first make room by their size alone.
_MOST_MOVES_TRIED = 50

_Class = tuple[str, Number]


class Search:
    """Look for changes that let one stopped request in.

    :param snapshot: the cluster.
    :param request: that does not fit.
    :param hosts: candidates by name; others are no place for it.
    :param policies_of: weights and lending of the frameworks by pool.
    :param tasks_of: the tasks on a host.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        request: Request,
        hosts: Iterable[str],
        policies_of: PoliciesOf,
        tasks_of: TasksOf,
    ) -> None:
        self._snapshot = snapshot
        self._request = request
        self._names = tuple(hosts)
        self._policies_of = policies_of
        self._tasks_of = tasks_of
        # Hosts of one pool and score are one to the share.
        self._classes: dict[_Class, list[Host]] = {}
        for name in self._names:
            host = snapshot.hosts[name]
            if host.takes_tasks:
                key = snapshot.pool_of(name).name, host.score
                self._classes.setdefault(key, []).append(host)
        self._slots = {
            host.name: slots(host, request.demand)
            for hosts in self._classes.values()
            for host in hosts
        }
        self._room = {
            key: sum(self._slots[host.name] for host in hosts)
            for key, hosts in self._classes.items()
        }
        self._allowed = self._allowed_in(snapshot.pools)

    def flavors(self) -> list[FlavorChange]:
        """Give the largest demands below the one asked for, those that are reduced least first."""
        demand = self._request.demand
        asked = [index for index, amount in enumerate(demand) if amount]
        for size in range(1, len(asked) + 1):
            reduced = (self._reduced(which) for which in combinations(asked, size))
            found = [change for each in reduced if each and (change := self._as_flavor(each))]
            if found:
                return sorted(found, key=lambda change: _reduction(demand, change.demand))
        return []

    def weights(self) -> list[WeightChange]:
        """Give the smallest weight of the framework in each pool where that helps, the least raised first."""
        pools = dict.fromkeys(pool for pool, _ in self._classes)
        found = [change for pool in pools if (change := self._weight(pool)) is not None]
        return sorted(found, key=lambda change: Fraction(change.weight) / change.before)

    def move(self) -> MoveChange | None:
        """Give the smallest movable task that, on another host, leaves room; None when there is none."""
        missing = self._request.count - self._room_in(self._allowed)
        tried = 0
        for key, host, task in self._tasks:
            if not (task.movable and self._allowed[key]):
                continue
            gain = self._gain(host, task)
            if gain < missing:
                continue
            target = self._target(host, task, gain - missing)
            if target is not None:
                moved = with_task_moved(self._snapshot, self._policies_of, host.name, target, task)
                if moved is not None and (goes_to := self._host_in(moved)):
                    return MoveChange(task, host.name, target, goes_to)
            tried += 1
            if tried == _MOST_MOVES_TRIED:
                break
        return None

    def end(self) -> EndChange | None:
        """Give the smallest task whose end leaves room; None when there is none."""
        # To the share, the ends of tasks of one framework and demand on hosts of one score are one.
        after: dict[tuple[object, ...], Mapping[_Class, bool]] = {}
        for key, host, task in self._tasks:
            kind = (key, task.framework, task.demand)
            if kind not in after:
                ended = without_task(self._snapshot, self._policies_of, host.name, task)
                if ended is None:
                    continue
                after[kind] = self._allowed_in(ended.pools)
            allowed = after[kind]
            room = self._room_in(allowed) + (self._gain(host, task) if allowed[key] else 0)
            if room < self._request.count:
                continue
            ended = without_task(self._snapshot, self._policies_of, host.name, task)
            if ended is not None and (goes_to := self._host_in(ended)):
                return EndChange(task, host.name, goes_to)
        return None

    @cached_property
    def _tasks(self) -> list[tuple[_Class, Host, Task]]:
        """All tasks on the candidates, the smallest first."""
        found = [
            (key, host, task)
            for key, hosts in self._classes.items()
            for host in hosts
            for task in self._tasks_of(host.name)
        ]
        # Shares are compared once for each demand, not for each task.
        shares = {(pool, task.demand): Fraction(0) for (pool, _), _, task in found}
        for pool, demand in shares:
            capacity = self._snapshot.pools[pool].capacity
            shares[pool, demand] = Fraction(dominant_share(demand, capacity))
        place = {share: number for number, share in enumerate(sorted(set(shares.values())))}
        places = {kind: place[share] for kind, share in shares.items()}
        found.sort(
            key=lambda each: (places[each[0][0], each[2].demand], each[2].uuid, each[1].name)
        )
        return found

    def _reduced(self, which: Sequence[int]) -> Resources | None:
        """Reduce some resources as little as helps; None when that cannot help."""
        asked = self._request.demand
        if len(which) == 1:
            return self._raised(asked, which[0], at_least=1)

        def part(step: int) -> Resources:
            return asked._replace(**{Resources._fields[r]: _part(asked[r], step) for r in which})

        step = _last(1, _PARTS, lambda step: self._lets_in(part(step)))
        if step is None:
            return None
        demand = part(step)
        # What need not go to the same part as the others is given back.
        for resource in which:
            demand = self._raised(demand, resource, at_least=demand[resource]) or demand
        return demand

    def _raised(self, demand: Resources, resource: int, at_least: Number) -> Resources | None:
        """Ask for as many whole units of a resource as are let in, below what is asked; None where there are none."""

        def with_units(units: int) -> Resources:
            return demand._replace(**{Resources._fields[resource]: units})

        most = math.ceil(self._request.demand[resource])
        units = _last(math.ceil(at_least), most, lambda each: self._lets_in(with_units(each)))
        return None if units is None else with_units(units)

    def _as_flavor(self, demand: Resources) -> FlavorChange | None:
        host = try_out(self._snapshot, replace(self._request, demand=demand), self._names).host
        before = zip(Resources._fields, self._request.demand, demand, strict=True)
        reduced = {name: asked for name, asked, now in before if now != asked}
        return FlavorChange(demand, reduced, host) if host else None

    def _lets_in(self, demand: Resources) -> bool:
        request = replace(self._request, demand=demand)
        left = request.count
        for (pool, score), hosts in self._classes.items():
            if is_allowed(self._snapshot, self._snapshot.pools[pool], request, score):
                for host in hosts:
                    left -= slots(host, demand)
                    if left <= 0:
                        return True
        return False

    def _weight(self, pool: str) -> WeightChange | None:
        """Find the smallest weight that helps in a pool; None when none does."""
        name = self._request.framework
        policies = {policy.name: policy.weight for policy in self._policies_of(pool)}
        if name not in policies or all(
            self._allowed[key] or not self._room[key] for key in self._classes if key[0] == pool
        ):
            return None
        before = policies[name]
        step = _step_of(before)
        now = math.floor(before / step)

        def changed(number: int) -> Snapshot:
            weight = simplest(number * step)
            return with_weight(self._snapshot, self._policies_of, pool, name, weight)

        def helps(number: int) -> bool:
            allowed = self._allowed_in(changed(number).pools, only=pool)
            return self._room_in({**self._allowed, **allowed}) >= self._request.count

        tried = ((now + 1) << doubling for doubling in range(_MOST_DOUBLINGS + 1))
        enough = next((number for number in tried if helps(number)), None)
        if enough is None:
            return None
        number = 1 + (_last(now, enough, lambda each: each == now or not helps(each)) or now)
        host = self._host_in(changed(number))
        return WeightChange(pool, name, simplest(number * step), before, host) if host else None

    def _target(self, source: Host, task: Task, spare: int) -> str | None:
        """Choose the host to which a task is moved: where the order sends it, if that leaves enough room.

        :param spare: tasks of the request for which the target may have less room than before.
        """
        pool = self._snapshot.pool_of(source.name)
        names = [
            host.name
            for host in self._snapshot.hosts.values()
            if host.name != source.name
            and host.takes_tasks
            and host.pool == source.pool
            and slots(host, task.demand) > 0
            and self._loss(pool, host, task) <= spare
        ]
        moving = Request(task.uuid, task.framework, task.demand, is_move=True)
        return try_out(self._snapshot, moving, sorted(names)).host or None

    def _loss(self, pool: Pool, host: Host, task: Task) -> int:
        if not self._allowed.get((pool.name, host.score), False):
            return 0
        demand = self._request.demand
        return self._slots[host.name] - slots(host, demand, subtract(host.free, task.demand))

    def _gain(self, host: Host, task: Task) -> int:
        """Count for how many more tasks of the request there is room without a task."""
        room = slots(host, self._request.demand, add(host.free, task.demand))
        return room - self._slots[host.name]

    def _host_in(self, changed: Snapshot) -> str:
        return try_out(changed, self._request, self._names).host

    def _allowed_in(self, pools: Mapping[str, Pool], only: str | None = None) -> dict[_Class, bool]:
        return {
            (pool, score): is_allowed(self._snapshot, pools[pool], self._request, score)
            for pool, score in self._classes
            if only is None or pool == only
        }

    def _room_in(self, allowed: Mapping[_Class, bool]) -> int:
        return sum(room for key, room in self._room.items() if allowed[key])


def _last(least: int, most: int, holds: Callable[[int], bool]) -> int | None:
    """Find the largest number from ``least`` to below ``most`` for which something holds that holds up to there alone."""
    if least >= most or not holds(least):
        return None
    while most - least > 1:
        middle = (least + most) // 2
        if holds(middle):
            least = middle
        else:
            most = middle
    return least


def _part(amount: Number, step: int) -> Number:
    return min(amount, max(1, math.floor(Fraction(amount) * step / _PARTS)))


def _reduction(asked: Resources, given: Resources) -> Number:
    return sum(_parts_lost(asked, given), Fraction(0))


def _parts_lost(asked: Resources, given: Resources) -> Iterator[Fraction]:
    return (1 - Fraction(now) / before for before, now in zip(asked, given, strict=True) if before)


def _step_of(weight: Number) -> Fraction:
    """Give the power of ten, at most 1, that is at most a thousandth of a weight where that is below 1000."""
    step = Fraction(1)
    while step * 1000 > weight:
        step /= 10
    return step
