# SPDX-License-Identifier: Apache-2.0
"""The cluster as it would be with one thing changed, and whether a request would be let in then.

Shares are worked out anew by the same function as in a cycle, so that what is found here is what the next cycle does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from hybrid_sched.core.cluster import Host, Pool, ReserveMode, Snapshot, Task
from hybrid_sched.core.online import rank
from hybrid_sched.core.resources import (
    Number,
    Resources,
    Vector,
    add,
    scale,
    subtract,
)
from hybrid_sched.core.share_gate import Refusal, Request, ShareGate, share_answer, share_refusal
from hybrid_sched.core.shares import SharePolicy, frameworks_of, rationed

#: Gives weight and lending of each framework in a pool.
PoliciesOf = Callable[[str], Sequence[SharePolicy]]

#: Tasks for which there is room where nothing that the host declares is asked.
_ANY_NUMBER = 2**31


@dataclass(frozen=True, slots=True)
class Trial:
    """What becomes of a request.

    :param admitted: hosts to which one of its tasks may go, best first.
    :param refused: why not the others.
    :param room: how many of its tasks the admitted hosts can hold together, at most the number asked for.
    :param weights: of the admitted hosts, one each.
    :param order: one sentence that says by which rule they are ordered.
    """

    request: Request
    admitted: tuple[str, ...]
    refused: Mapping[str, Refusal]
    room: int
    weights: tuple[Number, ...]
    order: str

    @property
    def fits(self) -> bool:
        """Say whether all of its tasks are let in."""
        return self.room >= self.request.count

    @property
    def host(self) -> str:
        """Name the host to which the order sends it, or its first task; empty when it does not fit."""
        return self.admitted[0] if self.fits else ""


def try_out(snapshot: Snapshot, request: Request, hosts: Collection[str]) -> Trial:
    """Ask the gate and the order, as a scheduler does. Hosts without a fresh report count for nothing.

    :param snapshot: the cluster as it is or would be.
    :param request: what is to be placed.
    :param hosts: candidates by name.
    """
    verdict = ShareGate(snapshot, allow_unreported=False).judge(request, hosts)
    refused = dict(verdict.refused)
    admitted = []
    for name in verdict.admitted:
        reserved = _reservation_refusal(snapshot, request, snapshot.pool_of(name))
        if reserved is None:
            admitted.append(name)
        else:
            refused[name] = reserved
    ranking = rank(snapshot, request.framework, request.demand, admitted)
    best_first, weights = ranking.best_first()
    room = 0
    for name in admitted:
        room += slots(snapshot.hosts[name], request.demand)
        if room >= request.count:
            break
    return Trial(request, best_first, refused, min(room, request.count), weights, ranking.text)


def is_allowed(snapshot: Snapshot, pool: Pool, request: Request, score: Number) -> bool:
    """Say whether its share lets a request go to hosts of one score in a pool, as the gate and a reservation see it.

    :param snapshot: says whether reservations are asked for.
    :param pool: as it is or would be.
    :param request: what is to be placed.
    :param score: of the hosts.
    """
    answer = share_answer(pool, request, score)
    if answer is not None and not answer.is_within:
        return False
    return _reservation_refusal(snapshot, request, pool) is None


def slots(host: Host, demand: Resources, free: Vector | None = None) -> int:
    """Count the tasks of one demand for which there is room on a host.

    :param host: whose declared resources are rationed; what it does not declare keeps nobody off.
    :param demand: of one task.
    :param free: room, in place of the host's own.
    """
    room = host.free if free is None else free
    least = _ANY_NUMBER
    for amount, left, there in zip(demand, room, host.capacity, strict=True):
        if amount and there:
            least = min(least, int(left // amount) if left > 0 else 0)
    return least


def with_weight(
    snapshot: Snapshot, policies_of: PoliciesOf, pool: str, framework: str, weight: Number
) -> Snapshot:
    """Give the cluster as it is in the cycle after a weight is set in a pool."""
    policies = [
        replace(policy, weight=weight) if policy.name == framework else policy
        for policy in policies_of(pool)
    ]
    return _with_pools(snapshot, _shared_anew(snapshot.pools[pool], policies))


def without_task(
    snapshot: Snapshot, policies_of: PoliciesOf, host: str, task: Task
) -> Snapshot | None:
    """Give the cluster as it is once a task has ended.

    :returns: None when the snapshot knows less of its framework on the host than the task holds.
    """
    home = snapshot.hosts[host]
    left = _taken(home, task)
    if left is None:
        return None
    pool = _charged(snapshot.pool_of(host), policies_of, task, -home.score)
    return _with_pools(_with_hosts(snapshot, left), pool)


def with_task_moved(
    snapshot: Snapshot, policies_of: PoliciesOf, source: str, target: str, task: Task
) -> Snapshot | None:
    """Give the cluster as it is once a task has gone to another host of its pool.

    :returns: None when the snapshot knows less of its framework on the source than the task holds.
    """
    home, goal = snapshot.hosts[source], snapshot.hosts[target]
    left = _taken(home, task)
    if left is None:
        return None
    held = goal.used.get(task.framework, Resources())
    come = replace(
        goal,
        used={**goal.used, task.framework: Resources(*add(held, task.demand))},
        task_count=goal.task_count + 1,
    )
    moved = _with_hosts(snapshot, left, come)
    if home.score == goal.score:
        return moved
    pool = _charged(snapshot.pool_of(source), policies_of, task, goal.score - home.score)
    return _with_pools(moved, pool)


def _reservation_refusal(snapshot: Snapshot, request: Request, pool: Pool) -> Refusal | None:
    """Refuse as the quota service does, which charges a reservation as on the best host."""
    if snapshot.reserve is ReserveMode.NONE or request.is_move:
        return None
    return share_refusal(pool, request, score=1)


def _taken(host: Host, task: Task) -> Host | None:
    held = subtract(host.used.get(task.framework, Resources()), task.demand)
    if any(amount < 0 for amount in held):
        return None
    used = {**host.used, task.framework: Resources(*held)}
    return replace(host, used=used, task_count=max(0, host.task_count - 1))


def _charged(pool: Pool, policies_of: PoliciesOf, task: Task, score: Number) -> Pool:
    """Charge a framework with a task, or take its charge off with a negative score."""
    framework = pool.frameworks.get(task.framework)
    if framework is None:
        return pool
    change = rationed(scale(score, task.demand), pool.capacity)
    changed = replace(
        framework,
        used=_not_negative(add(framework.used, change)),
        wanted=_not_negative(add(framework.wanted, change)),
    )
    frameworks = {**pool.frameworks, task.framework: changed}
    return _shared_anew(replace(pool, frameworks=frameworks), policies_of(pool.name))


def _shared_anew(pool: Pool, policies: Sequence[SharePolicy]) -> Pool:
    frameworks = pool.frameworks
    shares = frameworks_of(
        pool.capacity,
        policies,
        {name: each.used for name, each in frameworks.items()},
        {name: subtract(each.wanted, each.used) for name, each in frameworks.items()},
        {name: each.head_threshold for name, each in frameworks.items()},
    )
    return replace(pool, frameworks=shares)


def _not_negative(vector: Vector) -> Vector:
    return tuple(max(0, amount) for amount in vector)


def _with_pools(snapshot: Snapshot, *pools: Pool) -> Snapshot:
    return replace(snapshot, pools={**snapshot.pools, **{pool.name: pool for pool in pools}})


def _with_hosts(snapshot: Snapshot, *hosts: Host) -> Snapshot:
    return replace(snapshot, hosts={**snapshot.hosts, **{host.name: host for host in hosts}})
