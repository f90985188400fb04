# SPDX-License-Identifier: Apache-2.0
"""Policies side by side: a row of figures for each policy and draw, and the means of many draws."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from hybrid_sched.core.cluster import FRAMEWORKS
from hybrid_sched.simulation import policies, table2
from hybrid_sched.simulation.engine import Figures, simulate
from hybrid_sched.simulation.policies import Policy
from hybrid_sched.simulation.workload import SimulatedHost, SimulatedTask, in_arrival_order

Row = dict[str, Any]

_FIGURES = tuple(field.name for field in fields(Figures))
#: Of a row, in this order.
COLUMNS = ("test", "policy", "seed", *_FIGURES)
_DIGITS = 6
_EVEN = (1,) * len(FRAMEWORKS)
#: Of the means of a policy, in this order.
MEAN_COLUMNS = ("test", "policy", *_FIGURES, "over_bound", "on_front")


def row(
    policy: Policy,
    tasks: Sequence[SimulatedTask],
    hosts: Sequence[SimulatedHost],
    test: int | None = None,
    seed: int | None = None,
) -> Row:
    """Simulate a policy and give its row.

    :param test: of table 2; None for other tasks.
    :param seed: of its draw; None for other tasks.
    :raises Stalled: when the policy lets a task wait for ever.
    """
    in_order = in_arrival_order(tasks)
    rule = policy.rule(in_order, hosts, _EVEN)
    figures, _ = simulate(in_order, hosts, rule, weights=_EVEN, only=policy.only)
    return {
        "test": test,
        "policy": policy.name,
        "seed": seed,
        **{name: round(value, _DIGITS) for name, value in asdict(figures).items()},
    }


def rows_of_draw(names: Sequence[str], test: int, seed: int, continuous: bool) -> list[Row]:
    """Simulate policies on one draw of one test of table 2.

    :param names: of the policies.
    :param continuous: as in :func:`hybrid_sched.simulation.table2.draw`.
    """
    tasks = table2.draw(test, seed, continuous=continuous)
    hosts = table2.HOSTS
    return [row(policies.policy(name, len(hosts)), tasks, hosts, test, seed) for name in names]


def means(rows: Sequence[Row]) -> list[Row]:
    """Give the mean of each figure over the seeds, by test and policy, in the order of the rows.

    ``over_bound`` is the mean of makespan over lower bound. ``on_front`` says whether no other policy of the test is at least
    as good in both ``over_bound`` and ``share_gap_mean``, and better in one (Pareto front).
    """
    groups: dict[tuple[int | None, str], list[Row]] = {}
    for each in rows:
        groups.setdefault((each["test"], each["policy"]), []).append(each)
    found = [
        {"test": test, "policy": policy, **_mean_figures(group)}
        for (test, policy), group in groups.items()
    ]
    for mean in found:
        mean["on_front"] = not any(
            _is_better(other, mean) for other in found if other["test"] == mean["test"]
        )
    return found


def _mean_figures(rows: Sequence[Row]) -> Row:
    over = [each["makespan_min"] / each["lower_bound_min"] for each in rows]
    figures = {name: [each[name] for each in rows] for name in _FIGURES} | {"over_bound": over}
    return {
        name: round(math.fsum(values) / len(values), _DIGITS) for name, values in figures.items()
    }


def _is_better(one: Row, other: Row) -> bool:
    left = one["over_bound"], one["share_gap_mean"]
    right = other["over_bound"], other["share_gap_mean"]
    return left != right and all(map(operator.le, left, right))


def best_splits(rows: Sequence[Row]) -> Mapping[int, str]:
    """Name for each test the split into separate clusters with the smallest mean makespan; ties go to the first."""
    best: dict[int, tuple[float, str]] = {}
    for mean in means(rows):
        if mean["policy"].startswith("separate-"):
            option = mean["makespan_min"], mean["policy"]
            if mean["test"] not in best or option[0] < best[mean["test"]][0]:
                best[mean["test"]] = option
    return {test: name for test, (_, name) in best.items()}
