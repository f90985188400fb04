# SPDX-License-Identifier: Apache-2.0
"""Questions about requests that nobody has made: would one fit, what stops it, and what would help."""

from __future__ import annotations

from typing import Any

from hybrid_sched.clients.batch import Batch
from hybrid_sched.clients.nova import NovaClient
from hybrid_sched.clients.session import ServiceFault
from hybrid_sched.core.changes import (
    Change,
    EndChange,
    FlavorChange,
    MoveChange,
    WeightChange,
    decimal,
)
from hybrid_sched.core.cluster import FRAMEWORKS, HYPERVISOR
from hybrid_sched.core.resources import Resources
from hybrid_sched.core.share_gate import Request
from hybrid_sched.core.why_not import Answer, why_not
from hybrid_sched.quota.answers import NotReady
from hybrid_sched.quota.engine import Engine
from hybrid_sched.rpc import wire
from hybrid_sched.rpc.messages import LONGEST_NAME, BadMessage, Wire, number_to_wire

#: Tasks of one question.
MOST_TASKS = 10_000
#: Hosts of one answer; the others are counted.
MOST_HOSTS = 1000
_FLAVOR_LIMIT_S = 3.0


class Hypotheses:
    """Answer them from the newest snapshot. They change nothing, and nobody waits for them but who asks.

    :param engine: the leader's.
    :param nova: asked for flavors; None where it is not configured.
    """

    def __init__(self, engine: Engine, nova: NovaClient | None) -> None:
        self._engine = engine
        self._nova = nova

    def answer(
        self, framework: object, demand: object, count: object, pool: object, flavor: object
    ) -> Wire:
        """Say what would become of a request.

        :param framework: who asks.
        :param demand: of each task, by resource; not with a flavor.
        :param count: of tasks.
        :param pool: the only one that it may go to; None for any.
        :param flavor: name of one of Nova's, in place of framework and demand; None for none.
        :raises BadMessage: when something cannot be used; the text names the field and the remedy.
        :raises NotReady: before the first cycle.
        """
        if not self._engine.has_run:
            raise NotReady("Shares are known after the first cycle: ask again then.")
        request = Request(
            uuid="",
            framework=HYPERVISOR if flavor is not None else _framework(framework),
            demand=self._demand(demand, flavor),
            count=wire.integer(count, "count", 1, MOST_TASKS),
        )
        snapshot, age_s = self._engine.snapshot()
        if pool is not None:
            pool = wire.text(pool, "pool", LONGEST_NAME, may_be_empty=True)
            if pool not in snapshot.pools:
                known = ", ".join(name or "default" for name in snapshot.pools)
                raise BadMessage(f"pool: {pool!r} is unknown: give one of {known}")
        policies_of = self._engine.rules().policies_of
        found = why_not(snapshot, request, policies_of, self._engine.tasks_on, pool)
        return {
            "framework": request.framework,
            "demand": wire.resources_to_wire(request.demand),
            "count": request.count,
            "snapshot_version": snapshot.version,
            "snapshot_age_s": round(age_s, 1),
            **answer_to_wire(found),
        }

    def _demand(self, demand: object, flavor: object) -> Resources:
        if flavor is not None:
            return self._flavor(wire.text(flavor, "flavor", LONGEST_NAME))
        amounts = wire.resources_from_wire(demand, "demand")
        if not any(amounts):
            raise BadMessage("demand: nothing is asked for: give vcpu or memory_mb above 0")
        return amounts

    def _flavor(self, name: str) -> Resources:
        if self._nova is None:
            raise BadMessage(
                "flavor: the quota service does not know Nova: set [nova] in its configuration, or give vcpu and memory_mb"
            )
        try:
            with Batch(1, _FLAVOR_LIMIT_S) as batch:
                flavors = batch.call(self._nova.flavors)
        except TimeoutError:
            raise BadMessage(f"flavor: Nova did not answer within {_FLAVOR_LIMIT_S:g} s") from None
        except ServiceFault as fault:
            raise BadMessage(f"flavor: {fault}") from None
        for flavor in flavors:
            if name in {flavor.name, flavor.uuid}:
                if flavor.reading.faults:
                    raise BadMessage(f"flavor: {name}: {flavor.reading.text}")
                return flavor.reading.declaration.resources
        raise BadMessage(f"flavor: {name!r} is unknown to Nova: see `openstack flavor list --all`")


def answer_to_wire(answer: Answer) -> Wire:
    """Write an answer."""
    return {
        "fits": answer.fits,
        "host": answer.host,
        "text": answer.text,
        "hosts": [
            {"host": each.host, "rule": each.rule and each.rule.value, "text": each.text}
            for each in answer.hosts[:MOST_HOSTS]
        ],
        "more_hosts": max(0, len(answer.hosts) - MOST_HOSTS),
        "changes": [
            {"kind": change.kind, "text": change.text, "host": change.host, **_fields(change)}
            for change in answer.changes
        ],
    }


def _fields(change: Change) -> dict[str, Any]:
    match change:
        case FlavorChange():
            return {
                "demand": wire.resources_to_wire(change.demand),
                "reduced": {name: number_to_wire(each) for name, each in change.reduced.items()},
            }
        case WeightChange():
            return {
                "pool": change.pool,
                "framework": change.framework,
                "weight": number_to_wire(change.weight),
                "decimal": decimal(change.weight),
                "before": number_to_wire(change.before),
            }
        case MoveChange() | EndChange():
            task = change.task
            fields = {
                "task": task.uuid,
                "name": task.name,
                "framework": task.framework,
                "demand": wire.resources_to_wire(task.demand),
                "source": change.source,
            }
            return {**fields, "target": change.target} if isinstance(change, MoveChange) else fields


def _framework(framework: object) -> str:
    name = wire.text(framework, "framework", LONGEST_NAME)
    if name not in FRAMEWORKS:
        raise BadMessage(f"framework: {name!r} is unknown: give {' or '.join(FRAMEWORKS)}")
    return name
