# SPDX-License-Identifier: Apache-2.0
"""Hold every task of the host to the limits that follow from its declaration, and see that they stay.

A pass works out the limits of all tasks, reads back what holds them, sets what differs and reads that back. What was there
before is on disk before it is changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from oslo_config import cfg
from oslo_log import log

from hybrid_sched.agent import host_shape
from hybrid_sched.agent.holding import Holder, Need
from hybrid_sched.agent.host_shape import Ground
from hybrid_sched.agent.ownership import Abilities, Named, Owners, Readings, read_all
from hybrid_sched.agent.records import shown
from hybrid_sched.agent.replica import Replica
from hybrid_sched.agent.state import State
from hybrid_sched.conf.agent import ENFORCE, OBSERVE, OFF
from hybrid_sched.core.lifecycle import State as Life
from hybrid_sched.core.limits import RATES, Aspect, Limits, Resident, plan
from hybrid_sched.interfaces.monitor import SeenTask

LOG = log.getLogger(__name__)

#: Nothing of it runs, so that nothing can be limited.
_AT_REST = {Life.CLOSED, Life.SUSPENDED}
_SHARED_OUT = frozenset({Aspect.CPUS, *RATES})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a pass found.

    :param faults: a sentence for each limit that does not hold, and each isolator that failed.
    :param missing: a sentence for each declared kind of limit that nothing here can hold.
    :param pending: limits that differ and were not set, by aspect.
    :param weights: the CPU weight that each task should have, None where it declares none; None as a whole where limits are not
        enforced.
    """

    faults: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    pending: Mapping[str, int] = field(default_factory=dict)
    weights: Mapping[str, int | None] | None = None


class Reconciler:
    """Bring the limits of all tasks to where they should be.

    :param conf: options of the group ``[agent]``.
    :param isolators: name and isolator; of those that can hold the same, the first one does.
    :param replica: where it keeps what was before, and what is held.
    :param look: tells what the host has to divide.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        isolators: Sequence[Named],
        replica: Replica,
        look: Callable[[cfg.ConfigOpts], Ground] = host_shape.look,
    ) -> None:
        self._conf = conf
        self._isolators = isolators
        self._replica = replica
        self._look = look
        self._abilities = Abilities()
        self._holders = [Holder(name, isolator, replica) for name, isolator in isolators]
        #: Tasks of each framework as they were seen last.
        self._known: dict[str, tuple[SeenTask, ...]] = {}
        self._said: frozenset[str] = frozenset()
        #: Whether a back end did not answer in the last pass.
        self._incomplete = False
        #: Of the last pass.
        self.outcome = Outcome()

    def is_due(self, seen: Sequence[SeenTask]) -> bool:
        """Say whether there is a task, or a new life of one, that no pass has seen, or the last pass could not see all."""
        if self._incomplete:
            return True
        known = {(each.task.uuid, each.life) for tasks in self._known.values() for each in tasks}
        return any((each.task.uuid, each.life) not in known for each in seen)

    def reconcile(
        self, seen: Sequence[SeenTask], unknown: Collection[str] = (), *, again: bool = True
    ) -> Outcome:
        """Make one pass.

        :param seen: the tasks that are seen now.
        :param unknown: frameworks whose tasks could not be seen.
        :param again: whether what did not hold the last time is tried again. A back end tells of each trial, which must not be
            the reason for the next.
        """
        tasks, unsure = self._tasks(seen, unknown)
        if not unknown:
            self._forget({each.task.uuid for each in seen})
        mode = self._conf.agent.isolation
        if mode == OFF:
            self._incomplete = False
            self.outcome = Outcome()
            return self.outcome
        ground = self._look(self._conf)
        owners = self._abilities.ask(self._isolators)
        readings = read_all(self._isolators, owners)
        self._incomplete = bool(owners.faults or readings.faults)
        residents = _residents(tasks, owners, readings)
        if any(
            owners.names.get((each.framework, Aspect.CPUS), "") not in {"", *readings.limits}
            for each in residents
        ):
            # Whoever's CPUs are not known may be given those of another.
            unsure |= {Aspect.CPUS}
        planned = plan(ground.shape, residents)
        faults = [*ground.faults, *owners.faults, *readings.faults, *planned.faults]
        pending: Counter[str] = Counter()
        sentences: list[str] = []
        left_alone: list[str] = []
        for holder in self._holders:
            needs = [
                Need(
                    each,
                    planned.limits[each.task.uuid],
                    read,
                    self._aspects(holder.name, each, planned.limits, owners) - unsure,
                    ground.cpus,
                )
                for each in tasks
                if each.task.uuid in planned.limits
                and (read := readings.of(holder.name, each.task.uuid)) is not None
            ]
            left_alone += holder.left_alone(needs)
            if mode == OBSERVE:
                for uuid, aspects in holder.differences(needs).items():
                    pending.update(aspect.value for aspect in aspects)
                    need = next(each for each in needs if each.uuid == uuid)
                    sentences += [_would(need, aspect) for aspect in sorted(aspects)]
            else:
                result = holder.hold(needs, again=again)
                faults += result.faults
                self._count(result.applied, result.repaired)
        self._say(sentences)
        self.outcome = Outcome(
            tuple(dict.fromkeys(faults)),
            (*_missing(residents, planned.limits, owners), *left_alone),
            dict(pending),
            {uuid: limits.cpu_weight for uuid, limits in planned.limits.items()}
            if mode == ENFORCE
            else None,
        )
        return self.outcome

    def _tasks(
        self, seen: Sequence[SeenTask], unknown: Collection[str]
    ) -> tuple[list[SeenTask], frozenset[Aspect]]:
        """Give the tasks of the host, and what cannot be divided since not all are known."""
        known: dict[str, list[SeenTask]] = {}
        for each in seen:
            known.setdefault(each.task.framework, []).append(each)
        never_seen = [name for name in unknown if name not in self._known]
        for framework in unknown:
            # They run on while their back end is away, and keep what they have.
            known[framework] = list(self._known.get(framework, ()))
        self._known = {
            name: tuple(tasks) for name, tasks in known.items() if name not in never_seen
        }
        tasks = [each for group in known.values() for each in group]
        return tasks, _SHARED_OUT if never_seen else frozenset()

    def _aspects(
        self, name: str, seen: SeenTask, planned: Mapping[str, Limits], owners: Owners
    ) -> frozenset[Aspect]:
        """Give what an isolator is to hold of a task."""
        aspects = owners.aspects(name, seen.task.framework)
        uuid = seen.task.uuid
        squeeze = self._replica.state.squeezes.get(name)
        if planned[uuid].cpu_weight is None or (squeeze is not None and uuid in squeeze.originals):
            # A weight is never without a value, and the squeeze holds those that it has reduced.
            aspects -= {Aspect.CPU_WEIGHT}
        if seen.declaration is not None and seen.declaration.cpu_policy == "mixed":
            # Nova pins some of its CPUs, and only Nova knows which.
            aspects -= {Aspect.CPUS}
        return aspects

    def _count(self, applied: Mapping[str, int], repaired: Mapping[str, int]) -> None:
        if applied or repaired:
            self._replica.update(
                lambda state: replace(
                    state,
                    applied=dict(Counter(state.applied) + Counter(applied)),
                    repaired=dict(Counter(state.repaired) + Counter(repaired)),
                )
            )

    def _say(self, sentences: Sequence[str]) -> None:
        """Log what did not hold at the last pass already only once."""
        for sentence in sentences:
            if sentence not in self._said:
                LOG.info("%s", sentence)
        self._said = frozenset(sentences)

    def _forget(self, uuids: Collection[str]) -> None:
        """Forget the records of all tasks but these."""

        def change(state: State) -> State:
            records = {
                name: kept
                for name, of_tasks in state.records.items()
                if (kept := {uuid: each for uuid, each in of_tasks.items() if uuid in uuids})
            }
            return state if records == state.records else replace(state, records=records)

        self._replica.update(change)


def _residents(tasks: Sequence[SeenTask], owners: Owners, readings: Readings) -> list[Resident]:
    """Give the tasks that run and whose declaration is known, the longest there first."""
    residents = []
    for each in sorted(tasks, key=lambda seen: (seen.task.created_at_s, seen.task.uuid)):
        if each.declaration is None or each.task.state in _AT_REST:
            continue
        task = each.task
        read = readings.of(owners.names.get((task.framework, Aspect.CPUS)), task.uuid)
        residents.append(
            Resident(task.uuid, task.framework, each.declaration, read.cpus if read else None)
        )
    return residents


def _missing(
    residents: Sequence[Resident], planned: Mapping[str, Limits], owners: Owners
) -> tuple[str, ...]:
    """Say which limits that tasks have nothing can hold."""
    sentences = {
        owners.why_missing(each.framework, aspect): None
        for each in residents
        for aspect in Aspect
        if getattr(planned[each.uuid], aspect) is not None
    }
    return tuple(sentence for sentence in sentences if sentence is not None)


def _would(need: Need, aspect: Aspect) -> str:
    return (
        f"{aspect} of {need.task.task.framework} task {need.uuid} is {shown(getattr(need.read, aspect))} and would be set to "
        f"{shown(getattr(need.wanted, aspect))} ([agent] isolation is {OBSERVE})."
    )
