# SPDX-License-Identifier: Apache-2.0
"""The planner of the queue of declared tasks: who starts now, where, for whom room is held, and why the others wait.

Weighted DRF decides whose turn it is (paper 4.2), the pool's packer decides where (paper 5.2), and EASY back-filling keeps
large tasks from starving. In short, in each pool:

1. The longest run of turns that the packer places completely, and that the share gate admits, starts.
2. For the task after it, which does not fit, room is held on the host where it can start earliest. The first such task of each
   framework gets a hold; without one a framework of large tasks would wait for ever behind one of small tasks.
3. Turns go on. What is placed on a host with a hold must fit beside the held room when that opens, or end before. What is
   placed after the packer's run goes to the fullest host that has room (best fit).

A framework that the share stops waits with all its later tasks, as those would take the share that the first one needs;
the other frameworks go on. A task that may go to several pools is tried in each, and gets its hold when the last one has no
room.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from hybrid_sched.core.cluster import DEFAULT_POOL, Snapshot
from hybrid_sched.core.durations import Estimate
from hybrid_sched.core.packing.base import Packer
from hybrid_sched.core.packing.prefix import longest_prefix
from hybrid_sched.core.queue_holds import Holds
from hybrid_sched.core.queue_room import Held, HostRoom, Occupant, PoolRooms
from hybrid_sched.core.queue_shares import Charges, Turns
from hybrid_sched.core.queued import Hold, QueuedTask, QueuePlan, Start
from hybrid_sched.core.resources import Number, Resources, Vector, subtract, total

#: Key of a task's spec with the availability zone, or the pool, that it asks for.
ZONE_KEY = "availability_zone"


@dataclass(frozen=True, slots=True)
class NamedPacker:
    """A packer and the name under which people know it."""

    name: str
    packer: Packer


def plan_queue(  # noqa: PLR0917
    snapshot: Snapshot,
    ready: Sequence[QueuedTask],
    occupants: Sequence[Occupant],
    packers: Mapping[str, NamedPacker],
    estimate: Callable[[QueuedTask], Estimate],
    now_s: float,
    holds: Sequence[Hold] = (),
    max_starts: int = 500,
) -> QueuePlan:
    """Plan the queue as it is now.

    What is started fits on its host by the snapshot with everything uncounted charged, is admitted by the share gate with what
    starts before it charged, and delays no task for which room is held, if the estimates are true. Equal input gives equal
    output.

    :param snapshot: the cluster.
    :param ready: tasks that may start, in the order of :func:`~hybrid_sched.core.queue_order.order_queue`.
    :param occupants: queued tasks that were launched and are not final.
    :param packers: by pool; a pool without one goes by the packer of the default pool, which must be there.
    :param estimate: of a task's duration.
    :param now_s: Unix time.
    :param holds: of the plan before, in its order; they keep their hosts unless another one is clearly earlier.
    :param max_starts: most tasks to start in one call. It bounds the time of a call on an empty cluster; the next call goes on.
    :returns: the plan; each ready task is either started or has a sentence in ``waits``.
    """
    return _Planner(snapshot, ready, occupants, packers, estimate, now_s, max_starts).plan(holds)


class _Planner:
    def __init__(  # noqa: PLR0917
        self,
        snapshot: Snapshot,
        ready: Sequence[QueuedTask],
        occupants: Sequence[Occupant],
        packers: Mapping[str, NamedPacker],
        estimate: Callable[[QueuedTask], Estimate],
        now_s: float,
        max_starts: int,
    ) -> None:
        self._ready = ready
        self._rank = {task.uuid: rank for rank, task in enumerate(ready)}
        self._names = {task.uuid: task.name for task in ready}
        self._packers = packers
        self._estimate = estimate
        self._now_s = now_s
        self._max_starts = max_starts
        self._pools = tuple(snapshot.pools)
        by_host: dict[str, list[Occupant]] = {}
        for occupant in occupants:
            by_host.setdefault(occupant.host, []).append(occupant)
        members: dict[str, list[str]] = {name: [] for name in self._pools}
        for name, host in snapshot.hosts.items():
            if host.takes_tasks:
                members[snapshot.pool_of(name).name].append(name)
        self._charges = {name: Charges(pool) for name, pool in snapshot.pools.items()}
        self._rooms = {
            name: PoolRooms(
                pool.capacity, [snapshot.hosts[each] for each in members[name]], by_host, now_s
            )
            for name, pool in snapshot.pools.items()
        }
        for occupant in occupants:
            if not occupant.counted:
                known = snapshot.hosts.get(occupant.host)
                self._charges[snapshot.pool_of(occupant.host).name].charge(
                    occupant.framework, occupant.demand, known.score if known else 1
                )
        self._holds = Holds(self._rooms, now_s)
        self._refusals: dict[tuple[object, ...], str] = {}
        self._starts: dict[str, Start] = {}
        self._waits: dict[str, str] = {}

    def plan(self, holds: Sequence[Hold]) -> QueuePlan:
        # What was promised is kept from the first turn on, so that nobody takes it before the task's own turn.
        tasks = {task.uuid: task for task in self._ready}
        for hold in holds:
            if hold.task in tasks and hold.task not in self._holds:
                task = tasks[hold.task]
                rank, lasts_s = self._rank[task.uuid], self._estimate(task).seconds
                self._holds.take_over(task, rank, lasts_s, hold.host, self._pools_of(task))
        possible = self._possible()
        for pool in self._pools:
            self._plan_pool(pool, possible)
        listed = self._holds.listed()
        waits = self._waits | {hold.task: hold.text for hold in listed}
        return QueuePlan(
            starts=tuple(self._starts.values()),
            holds=listed,
            waits={t.uuid: waits[t.uuid] for t in self._ready if t.uuid not in self._starts},
        )

    def _possible(self) -> list[QueuedTask]:
        """Leave out the tasks that no host or no share could ever hold: they must not keep others waiting."""
        answers: dict[tuple[str, Vector, tuple[str, ...]], str] = {}
        possible = []
        for task in self._ready:
            pools = self._pools_of(task)
            key = (task.framework, task.demand, pools)
            if key not in answers:
                answers[key] = self._why_never(task, pools)
            if answers[key]:
                self._waits[task.uuid] = answers[key]
                self._holds.let_go(task.uuid)
            else:
                possible.append(task)
        return possible

    def _why_never(self, task: QueuedTask, pools: Sequence[str]) -> str:
        if not any(self._rooms[pool].hosts for pool in pools):
            return "No host with a fresh report may take it: check hybrid-sched-agent on the hosts."
        large = {pool: self._rooms[pool].scores_that_could_hold(task.demand) for pool in pools}
        if not any(large.values()):
            asked = ", ".join(
                f"{float(amount):g} {name}" for name, amount in task.demand.declared().items()
            )
            return (
                f"It asks for {asked}, for which no host with a fresh report would have room even if it were empty: "
                "ask for less, or add a larger host."
            )
        if any(
            self._charges[pool].ever_granted(task.framework, task.demand, score)
            for pool, scores in large.items()
            for score in scores
        ):
            return ""
        return (
            f"It asks for more than framework {task.framework} could hold if nothing else ran: ask for less, or raise the "
            "weight of the framework or what others lend."
        )

    def _pools_of(self, task: QueuedTask) -> tuple[str, ...]:
        # A zone that is no pool is for Nova and Zun to mind: they take the planned host as a wish only.
        zone = task.spec.get(ZONE_KEY)
        return (zone,) if isinstance(zone, str) and zone in self._rooms else self._pools

    def _plan_pool(self, pool: str, possible: Sequence[QueuedTask]) -> None:
        mine = [
            task
            for task in possible
            if pool in self._pools_of(task) and task.uuid not in self._starts
        ]
        turns = Turns(self._charges[pool], mine)
        pack = True
        while (task := turns.first()) is not None:
            if len(self._starts) >= self._max_starts:
                for framework in dict.fromkeys(each.framework for each in mine):
                    for each in turns.stop(framework):
                        self._waits[each.uuid] = (
                            f"It waits for its turn: at most {self._max_starts} tasks start at a time."
                        )
                return
            if pack:
                pack = False
                if self._pack(pool, turns):
                    continue
            pack = self._one_by_one(pool, turns, task)

    # The packer's run.

    def _pack(self, pool: str, turns: Turns) -> bool:
        """Start the longest run of turns that the packer places completely; says whether any task started."""
        run = self._run(pool, turns)
        if not run:
            return False
        rooms, offers = self._rooms[pool].offers([task.demand for task in run])
        packer = self._packer(pool)
        count, packing = longest_prefix(packer.packer, [task.demand for task in run], offers)
        hosts = {task: rooms[bin_] for bin_, tasks in packing.bins.items() for task in tasks}
        stopped: set[str] = set()
        started: set[str] = set()
        for index, task in enumerate(run[:count]):
            room = hosts[index]
            # Hosts of other scores than was assumed when the run was made cost the share more or less.
            if task.framework in stopped or self._refused(pool, task, room):
                stopped.add(task.framework)
                continue
            self._start(pool, turns, task, room, f"packer {packer.name} put it there")
            started.add(task.uuid)
        turns.remove(started)
        return bool(started)

    def _run(self, pool: str, turns: Turns) -> list[QueuedTask]:
        """Give the next turns, up to the first one that must wait or that has its own place held."""
        rooms, trial = self._rooms[pool], turns.trial()
        scores = [room.host.score for room in rooms.hosts]
        score: Number = Fraction(sum(scores)) / len(scores)
        left = total((room.endless_room() for room in rooms.hosts), len(Resources._fields))
        capacity = self._charges[pool].pool.capacity
        fitting: dict[Vector, bool] = {}
        run: list[QueuedTask] = []
        while (task := trial.first()) is not None:
            if len(run) + len(self._starts) >= self._max_starts or task.uuid in self._holds:
                break
            if task.demand not in fitting:
                fitting[task.demand] = rooms.has_endless_room(task.demand)
            if not fitting[task.demand]:
                if self._holds.first_of(task.framework, pool) is None and self._is_last(pool, task):
                    break
                trial.skip(task)
                continue
            first = self._first_before(pool, task)
            if _share_refusal(trial.charges, task, score, first):
                if first is None:
                    break
                trial.skip(task)
                continue
            left = subtract(left, task.demand)
            if any(room < 0 and there for room, there in zip(left, capacity, strict=True)):
                break
            run.append(task)
            trial.skip(task)
            trial.grant(task, score)
        return run

    # Turns one at a time.

    def _one_by_one(self, pool: str, turns: Turns, task: QueuedTask) -> bool:
        """Start a task, hold room for it, or let it wait; says whether that gives the packer something new to do."""
        turns.skip(task)
        promised = self._holds.room_of(task.uuid)
        refusal = ""
        for room in self._places(pool, task, promised):
            refusal = self._refused(pool, task, room)
            if not refusal:
                place = self._place_text(room, promised)
                self._holds.let_go(task.uuid)
                self._start(pool, turns, task, room, place)
                return promised is not None
        if not self._is_last(pool, task):
            return False
        if not refusal:
            return self._hold_or_wait(pool, turns, task)
        first = self._holds.first_of(task.framework, pool)
        if first is None or first.rank > self._rank[task.uuid]:
            return self._stop(pool, turns, task, refusal)
        self._waits[task.uuid] = (
            f"With what is kept for task {self._names[first.task]}, for which room is held: {refusal}."
        )
        return False

    def _places(self, pool: str, task: QueuedTask, promised: HostRoom | None) -> Sequence[HostRoom]:
        """Give the hosts on which a task may start now, the best one first."""
        rooms = self._rooms[pool]
        places = [room for room in rooms.held if room is promised and self._harmless(task, room)]
        seen: set[Number] = set()
        for room in rooms.roomy(task.demand):
            # The share gate says the same of all hosts of one score.
            if room is not promised and room.host.score not in seen:
                seen.add(room.host.score)
                places.append(room)
        places.extend(
            room for room in rooms.held if room is not promised and self._harmless(task, room)
        )
        return places

    def _harmless(self, task: QueuedTask, room: HostRoom) -> bool:
        if not room.has_room(task.demand):
            return False
        return room.allows(task, self._rank[task.uuid], self._end_s(task))

    def _hold_or_wait(self, pool: str, turns: Turns, task: QueuedTask) -> bool:
        first = self._holds.first_of(task.framework, pool)
        if first is not None and first.rank < self._rank[task.uuid]:
            self._waits[task.uuid] = (
                f"No host has room for it beside what is held; task {self._names[first.task]} is the first of framework "
                f"{task.framework} to wait for room."
            )
            return False
        if first is not None and first.task != task.uuid:
            self._holds.let_go(first.task)
        room, gone = self._holds.earliest(task, self._pools_of(task))
        charges = self._charges[self._holds.pool_of(room.host.name)]
        # Room that no share will be there to use is held for nothing.
        refusal = charges.later(gone).refusal(task.framework, task.demand, room.host.score)
        if refusal:
            return self._stop(pool, turns, task, refusal.text)
        if room is not self._holds.room_of(task.uuid):
            self._holds.let_go(task.uuid)
            self._holds.keep(task, self._rank[task.uuid], self._estimate(task).seconds, room)
        return True

    def _stop(self, pool: str, turns: Turns, task: QueuedTask, refusal: str) -> bool:
        """Let a framework wait for its share."""
        self._holds.let_go(task.uuid)
        self._waits[task.uuid] = f"It waits for the share: {refusal}."
        for later in turns.stop(task.framework):
            if self._is_last(pool, later):
                self._holds.let_go(later.uuid)
                self._waits[later.uuid] = (
                    f"Task {task.name} of framework {task.framework} comes first and waits for the share."
                )
        return True

    # Shares.

    def _refused(self, pool: str, task: QueuedTask, room: HostRoom) -> str:
        first = self._first_before(pool, task)
        # Charges only grow while the plan is made: what was refused once is refused for good.
        key = (pool, task.framework, task.demand, room.host.score, first and first.task)
        if key not in self._refusals:
            refusal = _share_refusal(self._charges[pool], task, room.host.score, first)
            if not refusal:
                return ""
            self._refusals[key] = refusal
        return self._refusals[key]

    def _first_before(self, pool: str, task: QueuedTask) -> Held | None:
        """Give the earlier task of the framework for which room is held, and whose share this one may not touch."""
        first = self._holds.first_of(task.framework, pool)
        if first is None or self._rank[task.uuid] <= first.rank:
            return None
        return None if first.opening.is_after(self._end_s(task)) else first

    # The rest.

    def _start(self, pool: str, turns: Turns, task: QueuedTask, room: HostRoom, place: str) -> None:
        key = self._charges[pool].key(task.framework)
        turns.grant(task, room.host.score)
        occupant = Occupant(
            task.framework, room.host.name, task.demand, self._end_s(task), counted=False
        )
        self._rooms[pool].take(room, occupant)
        self._starts[task.uuid] = Start(
            task.uuid,
            room.host.name,
            f"It is the turn of framework {task.framework} (share over weight {float(key):.2%}); {place}; "
            f"its duration is {self._estimate(task).text}.",
        )

    def _place_text(self, room: HostRoom, promised: HostRoom | None) -> str:
        if room is promised:
            return f"the room held for it on {room.host.name} is free now"
        if room.holds:
            return f"it back-fills {room.host.name} without delaying a task for which room is held there"
        return f"{room.host.name} is the fullest host with room"

    def _end_s(self, task: QueuedTask) -> float | None:
        seconds = self._estimate(task).seconds
        return None if seconds is None else self._now_s + seconds

    def _is_last(self, pool: str, task: QueuedTask) -> bool:
        return self._pools_of(task)[-1] == pool

    def _packer(self, pool: str) -> NamedPacker:
        return self._packers.get(pool, self._packers[DEFAULT_POOL])


def _share_refusal(charges: Charges, task: QueuedTask, score: Number, first: Held | None) -> str:
    """Say why the share gate refuses a task now, or would refuse the first one when its time comes; empty if neither."""
    refusal = charges.refusal(task.framework, task.demand, score)
    if refusal is None and first is not None:
        later = charges.later(first.gone)
        later.charge(first.framework, first.demand, first.score)
        refusal = later.refusal(task.framework, task.demand, score)
    return refusal.text if refusal else ""
