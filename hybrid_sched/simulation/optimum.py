# SPDX-License-Identifier: Apache-2.0
"""The smallest makespan that is possible, for few tasks. It needs OR-tools, which is in the extra ``optimum``.

It is found with all arrivals and durations known (CP-SAT: an optional interval of each task on each host, and for each host and
resource a cumulative constraint). No policy can know them, so that it is what hindsight would have done.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from hybrid_sched.simulation.workload import (
    SimulatedHost,
    SimulatedTask,
    WorkloadError,
    lower_bound_s,
    rationed_resources,
)

#: More tasks than these are not tried.
MOST_TASKS = 60


class NoSolver(ValueError):
    """OR-tools is missing; the message says what to install."""


def or_tools(module: str) -> Any:
    """Import a module of OR-tools.

    :raises NoSolver: when it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise NoSolver(
            "OR-tools is not installed: install hybrid-sched[optimum], or ortools itself"
        ) from None


def optimum_s(
    tasks: Sequence[SimulatedTask], hosts: Sequence[SimulatedHost], effort: float
) -> float | None:
    """Give the smallest possible makespan in seconds, from the first arrival to the last end.

    Arrivals and durations are rounded down to whole seconds, so that it may be too small by some seconds, and never too large.

    :param tasks: :data:`MOST_TASKS` at most.
    :param effort: after which it is given up, in the solver's own deterministic time, about seconds.
    :returns: it; None when it was not proved within the effort. Equal input gives equal output.
    :raises NoSolver: when OR-tools is not installed.
    :raises WorkloadError: when there are too many tasks.
    """
    if len(tasks) > MOST_TASKS:
        raise WorkloadError(
            f"the trace has {len(tasks)} tasks, and the optimum can be looked for with {MOST_TASKS} at most; "
            "leave out --exact, and go by over_bound"
        )
    cp_model = or_tools("ortools.sat.python.cp_model")
    model, makespan = _model(cp_model, tasks, hosts)
    solver = cp_model.CpSolver()
    # One worker, and no clock: two workers race for who is first.
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 1
    solver.parameters.max_deterministic_time = effort
    if solver.solve(model) != cp_model.OPTIMAL:
        return None
    # Whole seconds may have made it smaller than the bound, which holds.
    return max(float(solver.value(makespan)), lower_bound_s(tasks, hosts))


def _model(
    cp_model: Any, tasks: Sequence[SimulatedTask], hosts: Sequence[SimulatedHost]
) -> tuple[Any, Any]:
    model = cp_model.CpModel()
    begin_s = min(task.arrival_s for task in tasks)
    arrivals = [math.floor(task.arrival_s - begin_s) for task in tasks]
    lengths = [math.floor(task.duration_s) for task in tasks]
    # One after the other is always possible.
    horizon = max(arrivals) + sum(lengths)
    makespan = model.new_int_var(0, horizon, "makespan")
    resources = rationed_resources(hosts)
    unit = {
        r: math.lcm(*(Fraction(each[r]).denominator for each in _vectors(tasks, hosts)))
        for r in resources
    }
    on: dict[int, list[tuple[int, Any]]] = {host: [] for host in range(len(hosts))}
    for index, task in enumerate(tasks):
        start = model.new_int_var(arrivals[index], horizon, f"start {index}")
        chosen = []
        for host, each in enumerate(hosts):
            if any(task.demand[r] > each.capacity[r] for r in resources):
                continue
            there = model.new_bool_var(f"{index} on {host}")
            length = lengths[index]
            interval = model.new_optional_fixed_size_interval_var(
                start, length, there, f"{index} on {host}"
            )
            chosen.append(there)
            on[host].append((index, interval))
        model.add_exactly_one(chosen)
        model.add(makespan >= start + lengths[index])
    for host, there in on.items():
        for r in resources if there else ():
            demands = [int(tasks[index].demand[r] * unit[r]) for index, _ in there]
            capacity = int(hosts[host].capacity[r] * unit[r])
            model.add_cumulative([interval for _, interval in there], demands, capacity)
    model.minimize(makespan)
    return model, makespan


def _vectors(
    tasks: Sequence[SimulatedTask], hosts: Sequence[SimulatedHost]
) -> list[tuple[Any, ...]]:
    return [*(task.demand for task in tasks), *(host.capacity for host in hosts)]
