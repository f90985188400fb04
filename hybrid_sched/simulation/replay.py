# SPDX-License-Identifier: Apache-2.0
"""What would have been different under another policy: the tasks of a trace let come again, and the same figures of both."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hybrid_sched.core.cluster import FRAMEWORKS
from hybrid_sched.core.resources import Number
from hybrid_sched.simulation.engine import simulate
from hybrid_sched.simulation.policies import Policy
from hybrid_sched.simulation.trace import Trace, trace_of
from hybrid_sched.simulation.workload import lower_bound_s, rationed_resources

#: What really happened, as a policy's name.
RECORDED = "recorded"
_WAITS, _RUNS = 0, 1


@dataclass(frozen=True, slots=True)
class Comparison:
    """Figures of what happened, or would have.

    :param policy: its name, or ``recorded``.
    :param weights: phi of guests and containers that shares are judged by.
    :param tasks: in the trace.
    :param refused: that did not start when they came: later than ``patience_s``, or never, or after a scheduler refused them.
    :param never_started: that did not start at all.
    :param moves: of tasks between hosts.
    :param share_error_mean: difference between the dominant shares over weights, over the time in which tasks of both wait.
    :param share_error_max: the largest one in that time.
    :param wait_mean_s: from arrival to start, mean of those that started.
    :param wait_p95_s: 95 of 100 waited no longer.
    :param wait_max_s: the longest one.
    :param makespan_min: minutes from the first arrival to the last end.
    :param lower_bound_min: no policy can have a smaller one.
    :param over_bound: makespan over lower bound: an upper limit of the distance from the optimum.
    :param over_optimum: makespan over the best possible one; None where that was not looked for or not found.
    """

    policy: str
    weights: str
    tasks: int
    refused: int
    never_started: int
    moves: int
    share_error_mean: float
    share_error_max: float
    wait_mean_s: float
    wait_p95_s: float
    wait_max_s: float
    makespan_min: float
    lower_bound_min: float
    over_bound: float
    over_optimum: float | None = None


def replay(trace: Trace, policy: Policy, weights: Sequence[Number]) -> Trace:
    """Let the tasks of a trace come again and start by a policy.

    They run as long as they did. The hosts are all empty at first and there all the time, and no policy moves tasks.

    :param weights: phi of ``hypervisor`` and ``container``.
    :raises Stalled: when the policy lets a task wait for ever.
    """
    tasks, hosts = trace.workload, trace.hosts
    _, runs = simulate(
        tasks, hosts, policy.rule(tasks, hosts, weights), weights=weights, only=policy.only
    )
    return trace_of(hosts, weights, runs, tasks)


def compare(
    name: str,
    trace: Trace,
    weights: Sequence[Number],
    *,
    patience_s: float = 0.0,
    optimum_s: float | None = None,
) -> Comparison:
    """Give the figures of a trace.

    :param weights: by which shares are judged, whatever they were.
    :param patience_s: a task that starts so soon counts as not refused, as launching takes time.
    :param optimum_s: smallest possible makespan; None where it is not known.
    """
    waits = sorted(
        each.started_s - each.task.arrival_s for each in trace.tasks if each.started_s is not None
    )
    begin_s = min(each.task.arrival_s for each in trace.tasks)
    end_s = max(
        (
            each.started_s + each.task.duration_s
            for each in trace.tasks
            if each.started_s is not None
        ),
        default=begin_s,
    )
    error_mean, error_max = _share_error(trace, weights)
    bound_s = lower_bound_s(trace.workload, trace.hosts)
    return Comparison(
        policy=name,
        weights=":".join(map(str, weights)),
        tasks=len(trace.tasks),
        refused=sum(
            each.refusals > 0
            or each.started_s is None
            or each.started_s - each.task.arrival_s > patience_s
            for each in trace.tasks
        ),
        never_started=len(trace.tasks) - len(waits),
        moves=sum(len(each.moves) for each in trace.tasks),
        share_error_mean=error_mean,
        share_error_max=error_max,
        wait_mean_s=math.fsum(waits) / len(waits) if waits else 0.0,
        wait_p95_s=waits[math.ceil(0.95 * len(waits)) - 1] if waits else 0.0,
        wait_max_s=waits[-1] if waits else 0.0,
        makespan_min=(end_s - begin_s) / 60,
        lower_bound_min=bound_s / 60,
        over_bound=(end_s - begin_s) / bound_s,
        over_optimum=(end_s - begin_s) / optimum_s if optimum_s else None,
    )


def _share_error(trace: Trace, weights: Sequence[Number]) -> tuple[float, float]:
    """Give the mean and the largest difference between the keys while tasks of both frameworks wait."""
    resources = rationed_resources(trace.hosts)
    pool = [sum(float(h.score * h.capacity[r]) for h in trace.hosts) for r in resources]
    used = [[0.0] * len(resources) for _ in FRAMEWORKS]
    waiting: Counter[int] = Counter()
    area = both_s = most = since_s = 0.0
    for at_s, framework, what, change in sorted(_events(trace, resources)):
        lasted_s = at_s - since_s
        if lasted_s > 0 and all(waiting[f] for f in range(len(FRAMEWORKS))):
            keys = [
                max(amount / has for amount, has in zip(charge, pool, strict=True)) / float(phi)
                for charge, phi in zip(used, weights, strict=True)
            ]
            gap = max(keys) - min(keys)
            area, both_s, most = area + gap * lasted_s, both_s + lasted_s, max(most, gap)
        since_s = at_s
        if what == _WAITS:
            waiting[framework] += int(change[0])
        else:
            used[framework] = [a + b for a, b in zip(used[framework], change, strict=True)]
    return (min(area / both_s, most) if both_s else 0.0), most


def _events(
    trace: Trace, resources: Sequence[int]
) -> Iterator[tuple[float, int, int, tuple[float, ...]]]:
    """Give when a task begins and ends to wait, and when its framework is charged for it and no longer."""
    hosts = {host.name: host for host in trace.hosts}
    last_s = max(
        [each.task.arrival_s for each in trace.tasks]
        + [
            each.started_s + each.task.duration_s
            for each in trace.tasks
            if each.started_s is not None
        ]
    )
    for each in trace.tasks:
        task = each.task
        framework = FRAMEWORKS.index(task.framework)
        until_s = last_s if each.started_s is None else each.started_s
        yield task.arrival_s, framework, _WAITS, (1.0,)
        yield until_s, framework, _WAITS, (-1.0,)
        if each.started_s is None:
            continue
        end_s = each.started_s + task.duration_s
        places = [(each.started_s, each.host), *((move.at_s, move.host) for move in each.moves)]
        ends = [*(at_s for at_s, _ in places[1:]), end_s]
        for (from_s, name), to_s in zip(places, ends, strict=True):
            host = hosts[name]
            charge = tuple(float(host.score * task.demand[r]) for r in resources)
            yield from_s, framework, _RUNS, charge
            yield to_s, framework, _RUNS, tuple(-amount for amount in charge)
