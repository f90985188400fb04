# SPDX-License-Identifier: Apache-2.0
"""How many hosts overcommit saves, and at which risk: guests with measured series placed anew by policies that differ.

For the first periods each guest has what it declared, and what it uses is measured. Then all of them are placed anew, one
after the other, by best fit on hosts that are switched on as they are needed, and every policy is judged by the periods that
follow, with the watchdog as its net.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import cycle

import numpy as np

from hybrid_sched.core.overcommit import Foreseen, Lending, foresee, takes
from hybrid_sched.core.rebalancing.history import History
from hybrid_sched.core.rebalancing.parameters import Parameters
from hybrid_sched.core.rebalancing.relieve import Relieve
from hybrid_sched.core.resources import Number, Resources
from hybrid_sched.simulation.load_series import LoadSeries
from hybrid_sched.simulation.rebalance import Mover, Watchdog
from hybrid_sched.simulation.rebalance_world import (
    Floats,
    ScenarioError,
    Shapes,
    World,
    guests_of,
)

_CPU = Resources._fields.index("vcpu")
#: Part of the periods in which hindsight may overload a host.
HINDSIGHT_OVERLOAD = 0.01


@dataclass(frozen=True, slots=True)
class Day:
    """What all policies have in common.

    :param series: CPU use of the guests.
    :param shapes: of hosts and guests; hosts are switched on in turns.
    :param learned: periods in which guests have what they declared.
    :param seed: of the order in which guests are placed.
    """

    series: LoadSeries
    shapes: Shapes
    learned: int
    seed: int = 1

    def __post_init__(self) -> None:
        """See that something is left to judge.

        :raises ScenarioError: when not.
        """
        periods = self.series.use.shape[1]
        if not 0 < self.learned < periods:
            raise ScenarioError(
                f"{self.learned} periods to learn from are none, or leave none of {periods} to judge; give 1 to {periods - 1}"
            )

    @property
    def judged(self) -> int:
        """Count the periods that are judged."""
        return int(self.series.use.shape[1]) - self.learned

    @property
    def order(self) -> list[int]:
        """Give the guests in the order in which they are placed."""
        order = list(range(len(self.series.names)))
        random.Random(f"overcommit, seed {self.seed}").shuffle(order)  # noqa: S311
        return order


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one policy.

    :param policy: its name.
    :param net: strategy of the watchdog, or ``none``.
    :param hosts_first: hosts used when all guests are placed.
    :param hosts_mean: hosts used, mean over time.
    :param hosts_peak: most used at one time.
    :param hosts_saved: part of the mean that is saved against no overcommit; None where that was not simulated.
    :param overload_host_minutes: in which a host was asked for more CPU than it has.
    :param overload_part: of all minutes of used hosts.
    :param missed_part: of the CPU time that was asked for, what guests did not get.
    :param moves: of guests, in all.
    :param cpu_util: part of the used hosts' CPU that guests used.
    :param memory_declared: largest part of a host's memory that was declared.
    """

    policy: str
    net: str
    hosts_first: int | None
    hosts_mean: float
    hosts_peak: int
    hosts_saved: float | None
    overload_host_minutes: float
    overload_part: float
    missed_part: float
    moves: int | None
    cpu_util: float
    memory_declared: float | None


class _Packing:
    """Hosts that are switched on one after the other, each guest on the one that its policy leaves with least."""

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = cycle(shapes.hosts)
        self.capacities: list[Resources] = []
        self._memory_left: list[Number] = []

    def place(
        self,
        order: Iterable[int],
        demands: Sequence[Resources],
        left: Callable[[int, int, float], float | None],
        put: Callable[[int, int], None],
    ) -> list[int]:
        """Place guests.

        :param left: what guest, host and its cores give: room that would be left; None where it may not be put there.
        :param put: told of each guest and its host.
        :returns: the host of each guest.
        :raises ScenarioError: when one has no room on an empty host.
        """
        where = [-1] * len(demands)
        for guest in order:
            memory_mb = demands[guest].memory_mb
            rooms = [
                (room, host)
                for host, capacity in enumerate(self.capacities)
                if memory_mb <= self._memory_left[host]
                and (room := left(guest, host, float(capacity.vcpu))) is not None
            ]
            host = min(rooms)[1] if rooms else self._switch_on(guest, demands[guest], left)
            self._memory_left[host] -= memory_mb
            where[guest] = host
            put(guest, host)
        return where

    def _switch_on(
        self, guest: int, demand: Resources, left: Callable[[int, int, float], float | None]
    ) -> int:
        shape = next(self._shapes)
        host = len(self.capacities)
        if demand.memory_mb > shape.memory_mb or left(guest, host, float(shape.vcpu)) is None:
            raise ScenarioError(
                f"guest {guest + 1} of {float(demand.vcpu):g} CPUs and {float(demand.memory_mb):g} MiB has no room on an empty "
                f"host of {float(shape.vcpu):g} and {float(shape.memory_mb):g}; give larger hosts"
            )
        self.capacities.append(shape)
        self._memory_left.append(shape.memory_mb)
        return host


def place_by_ratio(day: Day, ratio: Number) -> list[int]:
    """Place guests while no host has more declared than a multiple of its CPUs; 1 is no overcommit."""
    demands = [task.demand for task in guests_of(day.series, day.shapes)]
    declared: list[Number] = []

    def left(guest: int, host: int, cores: float) -> float | None:
        there = declared[host] if host < len(declared) else 0
        room = ratio * Fraction(cores) - there - demands[guest].vcpu
        return float(room) if room >= 0 else None

    def put(guest: int, host: int) -> None:
        declared.extend([0] * (host + 1 - len(declared)))
        declared[host] += demands[guest].vcpu

    return _Packing(day.shapes).place(day.order, demands, left, put)


def place_by_use(day: Day, lending: Lending, history: History) -> list[int]:
    """Place guests while a host's predicted peak leaves the margin.

    :param history: of the guests.
    """
    tasks = guests_of(day.series, day.shapes)
    now_s = day.learned * day.shapes.period_s
    known = [foresee(each, history.tasks.get(each.uuid), _CPU, lending, now_s) for each in tasks]
    there: list[Foreseen] = []

    def left(guest: int, host: int, cores: float) -> float | None:
        before = there[host] if host < len(there) else Foreseen()
        if not takes(cores, before, known[guest], lending):
            return None
        return cores - (before + known[guest]).peak(lending.deviations)

    def put(guest: int, host: int) -> None:
        there.extend([Foreseen()] * (host + 1 - len(there)))
        there[host] += known[guest]

    return _Packing(day.shapes).place(day.order, [task.demand for task in tasks], left, put)


def place_by_hindsight(day: Day) -> list[int]:
    """Place guests with what they will use known, the largest first, so that hosts are seldom overloaded without any move.

    No policy can know that. It is a heuristic: fewer hosts may be possible.
    """
    tasks = guests_of(day.series, day.shapes)
    cpus: Floats = np.array([float(task.demand.vcpu) for task in tasks])
    wanted: Floats = (day.series.use * cpus[:, None])[:, day.learned :]
    most_over = int(HINDSIGHT_OVERLOAD * wanted.shape[1])
    loads: list[Floats] = []

    def left(guest: int, host: int, cores: float) -> float | None:
        load = wanted[guest] if host >= len(loads) else loads[host] + wanted[guest]
        if int((load > cores).sum()) > most_over:
            return None
        return float(cores - load.mean())

    def put(guest: int, host: int) -> None:
        if host == len(loads):
            loads.append(np.zeros(wanted.shape[1]))
        loads[host] += wanted[guest]

    order = np.argsort(-wanted.mean(axis=1), kind="stable").tolist()
    return _Packing(day.shapes).place(order, [task.demand for task in tasks], left, put)


def learn(day: Day, parameters: Parameters) -> History:
    """Measure the guests while each has what it declared.

    :param parameters: half-lives.
    """
    placed = place_by_ratio(day, 1)
    shapes = replace(day.shapes, overcommit=1)
    world = World(day.series, max(placed) + 1, shapes, placed)
    watchdog = Watchdog(Relieve(), parameters)
    for period in range(day.learned):
        watchdog.observe(world, period)
    return watchdog.history


def judge(
    name: str,
    net: str,
    mover: Mover,
    world: World,
    learned: int,
    *,
    progress: Callable[[], None] = lambda: None,
) -> Outcome:
    """Let the day go on after the guests were placed.

    :param net: name of the mover.
    :param world: with the guests as they were placed; it is changed.
    :param learned: first period that is judged.
    :param progress: called after each period.
    """
    used_hosts: list[int] = []
    over = moves = 0
    given = wanted = on = 0.0
    memory = 0.0
    for period in range(learned, world.periods):
        load = world.load_of_hosts(period)
        is_used = np.bincount(world.host_of, minlength=len(load)) > 0
        used_hosts.append(int(is_used.sum()))
        over += int((load > 1).sum())
        given += float(world.given(period).sum())
        wanted += float(world.wanted[:, period].sum())
        on += float(world.cores[is_used].sum())
        memory = max(memory, float((world.sums(world.task_memory_mb) / world.memory_mb).max()))
        decided = mover.moves(world, period) if period + 1 < world.periods else []
        for task, host in decided:
            world.move(task, host)
        moves += len(decided)
        progress()
    minutes = world.shapes.period_s / 60
    return Outcome(
        policy=name,
        net=net,
        hosts_first=used_hosts[0],
        hosts_mean=math.fsum(used_hosts) / len(used_hosts),
        hosts_peak=max(used_hosts),
        hosts_saved=None,
        overload_host_minutes=over * minutes,
        overload_part=over / sum(used_hosts),
        missed_part=1 - given / wanted if wanted else 0.0,
        moves=moves,
        cpu_util=given / on,
        memory_declared=memory,
    )


def world_of(day: Day, placed: Sequence[int], ratio: Number) -> World:
    """Give the hosts as guests were placed on them; none stands by.

    :param ratio: most CPUs that may be declared for each core, which holds for moves too.
    """
    return World(day.series, max(placed) + 1, replace(day.shapes, overcommit=ratio), placed)


def bound(day: Day) -> Outcome:
    """Give what nobody can better: in each period as few hosts as have the cores that are used, and the memory declared.

    Guests would have to be cut and moved at will, with what they will use known.
    """
    tasks = guests_of(day.series, day.shapes)
    cpus: Floats = np.array([float(task.demand.vcpu) for task in tasks])
    totals = (day.series.use * cpus[:, None])[:, day.learned :].sum(axis=0)
    memory_mb = sum(float(task.demand.memory_mb) for task in tasks)
    needed = [_fewest(day.shapes, float(total), memory_mb) for total in totals]
    return Outcome(
        policy="bound",
        net="-",
        hosts_first=None,
        hosts_mean=math.fsum(hosts for hosts, _ in needed) / len(needed),
        hosts_peak=max(hosts for hosts, _ in needed),
        hosts_saved=None,
        overload_host_minutes=0.0,
        overload_part=0.0,
        missed_part=0.0,
        moves=None,
        cpu_util=float(totals.sum()) / math.fsum(cores for _, cores in needed),
        memory_declared=None,
    )


def _fewest(shapes: Shapes, cores: float, memory_mb: float) -> tuple[int, float]:
    """Give how many hosts are needed at least, in the order in which they are switched on, and their cores."""
    shape_of = cycle(shapes.hosts)
    hosts, have, have_mb = 0, 0.0, 0.0
    while not hosts or have < cores or have_mb < memory_mb:
        shape = next(shape_of)
        hosts, have, have_mb = hosts + 1, have + float(shape.vcpu), have_mb + float(shape.memory_mb)
    return hosts, have
