# SPDX-License-Identifier: Apache-2.0
"""Why a hypothetical request cannot be placed, and the smallest change that would let it in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hybrid_sched.core.changes import Change
from hybrid_sched.core.cluster import Snapshot
from hybrid_sched.core.share_gate import Request, Rule
from hybrid_sched.core.smallest_change import Search, TasksOf
from hybrid_sched.core.what_if import PoliciesOf, Trial, slots, try_out


@dataclass(frozen=True, slots=True)
class HostAnswer:
    """What stops a request on one host.

    :param host: its name.
    :param rule: that stops it; None when it may go there.
    :param text: a sentence.
    """

    host: str
    rule: Rule | None
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What would become of a request.

    :param fits: whether all of its tasks would be let in now.
    :param host: to which the order would send it, or its first task; empty when it does not fit.
    :param text: a sentence on the whole.
    :param hosts: those that it may go to, best first, then the others by name.
    :param changes: each of which alone would let it in: a smaller demand, a larger weight, one move, or, where no move helps,
        the end of one task; the smaller first within a kind.
    """

    fits: bool
    host: str
    text: str
    hosts: tuple[HostAnswer, ...]
    changes: tuple[Change, ...] = ()


def why_not(
    snapshot: Snapshot,
    request: Request,
    policies_of: PoliciesOf,
    tasks_of: TasksOf,
    pool: str | None = None,
) -> Answer:
    """Say whether a request would be let in, what stops it, and what would help.

    A request for several tasks is let in when all of them are.

    :param snapshot: the cluster.
    :param request: guest or container; it need not exist.
    :param policies_of: weights and lending of the frameworks by pool, as of the snapshot.
    :param tasks_of: the tasks on a host.
    :param pool: the only one that it may go to; None for any.
    """
    # Equal hosts go by name.
    names = [name for name in sorted(snapshot.hosts) if pool in {None, snapshot.hosts[name].pool}]
    trial = try_out(snapshot, request, names)
    hosts = _hosts(snapshot, trial, names)
    if trial.fits:
        text = f"it fits and would go to host {trial.host}: {trial.order}"
        return Answer(True, trial.host, text, hosts)
    search = Search(snapshot, request, names, policies_of, tasks_of)
    changes: list[Change] = [*search.flavors(), *search.weights()]
    if (move := search.move()) is not None:
        changes.append(move)
    elif (end := search.end()) is not None:
        changes.append(end)
    return Answer(False, "", _text(trial, changes), hosts, tuple(changes))


def _hosts(snapshot: Snapshot, trial: Trial, names: Sequence[str]) -> tuple[HostAnswer, ...]:
    request = trial.request
    admitted = [
        HostAnswer(
            name,
            None,
            f"host {name} has room for {min(request.count, slots(snapshot.hosts[name], request.demand))} of {request.count} "
            f"(weight {float(weight):g})",
        )
        for name, weight in zip(trial.admitted, trial.weights, strict=True)
    ]
    refused = [
        HostAnswer(name, trial.refused[name].rule, trial.refused[name].text)
        for name in sorted(trial.refused)
    ]
    inside = set(names)
    outside = [
        HostAnswer(name, Rule.OTHER_POOL, f"host {name} is in pool {host.pool or 'default'}")
        for name, host in sorted(snapshot.hosts.items())
        if name not in inside
    ]
    return (*admitted, *refused, *outside)


def _text(trial: Trial, changes: Sequence[Change]) -> str:
    count = trial.request.count
    rules = list(dict.fromkeys(refusal.rule.value for refusal in trial.refused.values()))
    stopped = f"stopped by {' and '.join(rules)}" if rules else "there is no host"
    what = "it does not fit" if count == 1 else f"{trial.room} of {count} fit"
    none = "" if changes else "; no single change of those that are looked for would let it in"
    return f"{what}: {stopped}{none}"
