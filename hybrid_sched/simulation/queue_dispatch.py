# SPDX-License-Identifier: Apache-2.0
"""The planner of the declared queue as a rule of the simulator: the code that the engine runs, on simulated hosts."""

from __future__ import annotations

from collections.abc import Sequence

from hybrid_sched.core.cluster import DEFAULT_POOL, FRAMEWORKS, Host, Pool, Snapshot
from hybrid_sched.core.dispatch.floor import Floor
from hybrid_sched.core.durations import NEWEST, Durations, ends_at_s
from hybrid_sched.core.packing.base import Packer
from hybrid_sched.core.queue_order import order_queue
from hybrid_sched.core.queue_plan import NamedPacker, plan_queue
from hybrid_sched.core.queue_room import Occupant
from hybrid_sched.core.queued import Hold, QueuedTask, TaskState
from hybrid_sched.core.resources import NOTHING, Number, Resources, Vector, add, total
from hybrid_sched.core.shares import SharePolicy, charge, effective_pool, frameworks_of
from hybrid_sched.simulation.workload import SimulatedHost, SimulatedTask

_LENGTH = len(Resources._fields)


class QueueDispatch:
    """Plan the queue at each event: weighted DRF, the packer, holds and back-filling, durations learned from what has ended.

    Unlike the other rules it is for one simulation alone, as holds and durations are kept from one plan to the next.

    :param tasks: of the simulation, in the order of their arrival.
    :param hosts: of the simulation.
    :param packer: of the pool.
    :param name: of the packer.
    :param weights: phi of ``hypervisor`` and ``container``.
    """

    def __init__(
        self,
        tasks: Sequence[SimulatedTask],
        hosts: Sequence[SimulatedHost],
        packer: Packer,
        name: str,
        weights: Sequence[Number] = (1, 1),
    ) -> None:
        self._hosts = hosts
        self._queued = [
            QueuedTask(str(index), task.name, task.framework, task.demand, position=index)
            for index, task in enumerate(tasks)
        ]
        self._packers = {DEFAULT_POOL: NamedPacker(name, packer)}
        self._capacity = effective_pool(
            Host(host.name, host.capacity, host.score) for host in hosts
        )
        self._places = {host.name: place for place, host in enumerate(hosts)}
        self._shares = [
            SharePolicy(framework, weight)
            for framework, weight in zip(FRAMEWORKS, weights, strict=True)
        ]
        self._holds: tuple[Hold, ...] = ()
        self._running: dict[int, float] = {}
        self._ran: dict[str, list[float]] = {name: [] for name in FRAMEWORKS}

    def __call__(self, floor: Floor) -> None:
        """Start tasks; see :class:`~hybrid_sched.core.dispatch.base.Dispatch`."""
        for task in [task for task in self._running if task not in floor.host_of]:
            ran = self._ran[self._queued[task].framework]
            ran.insert(0, floor.now_s - self._running.pop(task))
            del ran[NEWEST:]
        waiting = [self._queued[task] for task in floor.in_order()]
        if not waiting:
            return
        durations = Durations({(name, ""): ran for name, ran in self._ran.items()})
        order = order_queue(waiting, {}, floor.now_s)
        plan = plan_queue(
            self._snapshot(floor, waiting),
            order.ready,
            [
                Occupant(
                    self._queued[task].framework,
                    self._hosts[host].name,
                    self._queued[task].demand,
                    self._end_s(task, durations, floor.now_s),
                )
                for task, host in floor.host_of.items()
            ],
            self._packers,
            durations.of,
            floor.now_s,
            self._holds,
        )
        self._holds = plan.holds
        for start in plan.starts:
            floor.start(int(start.task), self._places[start.host])
            self._running[int(start.task)] = floor.now_s

    def _end_s(self, task: int, durations: Durations, now_s: float) -> float | None:
        # A task that started at time 0 would pass for one that has not started.
        known = self._queued[task]
        estimate = durations.of(known)
        shifted = 1 - self._running[task]
        running = QueuedTask(
            known.uuid,
            known.name,
            known.framework,
            known.demand,
            state=TaskState.RUNNING,
            started_at_s=1,
        )
        end_s = ends_at_s(running, estimate, now_s + shifted)
        return None if end_s is None else end_s - shifted

    def _snapshot(self, floor: Floor, waiting: Sequence[QueuedTask]) -> Snapshot:
        held: list[dict[str, Resources]] = [{} for _ in self._hosts]
        counts = [0] * len(self._hosts)
        for task, host in floor.host_of.items():
            known = self._queued[task]
            before = held[host].get(known.framework, NOTHING)
            held[host][known.framework] = Resources(*add(before, known.demand))
            counts[host] += 1
        hosts = {
            host.name: Host(host.name, host.capacity, host.score, held[place], counts[place])
            for place, host in enumerate(self._hosts)
        }
        pending: dict[str, Vector] = {
            name: total((task.demand for task in waiting if task.framework == name), _LENGTH)
            for name in FRAMEWORKS
        }
        used = {name: charge(hosts.values(), name) for name in FRAMEWORKS}
        frameworks = frameworks_of(self._capacity, self._shares, used, pending, {})
        pool = Pool(DEFAULT_POOL, self._capacity, frameworks)
        return Snapshot(1, 1, floor.now_s, {DEFAULT_POOL: pool}, hosts)
