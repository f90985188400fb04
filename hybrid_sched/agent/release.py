# SPDX-License-Identifier: Apache-2.0
"""Put back what limited the tasks of a host before they were touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hybrid_sched.agent.differences import merged
from hybrid_sched.agent.ownership import Named
from hybrid_sched.agent.records import Record
from hybrid_sched.agent.replica import Replica
from hybrid_sched.agent.reporter import fault
from hybrid_sched.agent.state import Order, Squeeze, State
from hybrid_sched.core.limits import Aspect, Limits
from hybrid_sched.interfaces.isolator import IsolationError


@dataclass(frozen=True, slots=True)
class PutBack:
    """One limit that is put back.

    :param isolator: name of the one that does it.
    :param uuid: of the task.
    :param aspect: of its limits.
    :param now: what limits it now; None for no limit.
    :param before: what limited it before; None for no limit.
    """

    isolator: str
    uuid: str
    aspect: Aspect
    now: object
    before: object


def isolators_of(state: State) -> list[str]:
    """List the isolators whose limits are to be put back, by name."""
    return sorted({*state.records, *state.squeezes})


def release(
    isolators: Sequence[Named], replica: Replica, *, dry_run: bool
) -> tuple[list[PutBack], list[str]]:
    """Put back everything, the squeeze included, and forget it.

    :param isolators: those of :func:`isolators_of`.
    :param dry_run: only say what would be put back.
    :returns: what was put back, of tasks that can be limited now; and a sentence for each failure, of which all is kept for the
        next trial.
    """
    done: list[PutBack] = []
    faults: list[str] = []
    for name, isolator in isolators:
        state = replica.state
        due = _due(state.records.get(name, {}), state.squeezes.get(name, Squeeze()))
        try:
            reading = isolator.read()
        except IsolationError as error:
            faults.append(fault(name, error))
            continue
        failed = set()
        for uuid, (before, aspects) in due.items():
            now = reading.get(uuid)
            # What is not read may still be kept by its back end for the next start.
            differing = aspects if now is None else now.differing(before, aspects)
            try:
                if differing and not dry_run:
                    isolator.hold(uuid, before, differing)
            except IsolationError as error:
                failed.add(uuid)
                faults.append(fault(name, error))
                continue
            if now is not None:
                done += [
                    PutBack(name, uuid, each, getattr(now, each), getattr(before, each))
                    for each in sorted(differing)
                ]
        if not dry_run:
            _forget(replica, name, failed)
    return done, faults


def _due(
    records: Mapping[str, Record], squeeze: Squeeze
) -> dict[str, tuple[Limits, frozenset[Aspect]]]:
    """Give what to put back of each task; a weight that was set before it was squeezed counts more than the squeeze's."""
    due = {
        uuid: (Limits(cpu_weight=weight), frozenset({Aspect.CPU_WEIGHT}))
        for uuid, weight in squeeze.originals.items()
    }
    for uuid, record in records.items():
        squeezed, aspects = due.get(uuid, (Limits(), frozenset()))
        if record.touched or aspects:
            before = merged(squeezed, record.before, record.touched)
            due[uuid] = before, aspects | record.touched
    return due


def _forget(replica: Replica, name: str, failed: set[str]) -> None:
    """Forget what was put back. The order to squeeze goes too: an engine that still wants it gives it again."""

    def change(state: State) -> State:
        kept = {
            uuid: record
            for uuid, record in state.records.get(name, {}).items()
            if uuid in failed and record.touched
        }
        records = {key: value for key, value in state.records.items() if key != name}
        if kept:
            records[name] = kept
        squeezes = {key: value for key, value in state.squeezes.items() if key != name}
        squeeze = state.squeezes.get(name, Squeeze())
        originals = {uuid: each for uuid, each in squeeze.originals.items() if uuid in failed}
        if originals:
            squeezes[name] = Squeeze(squeeze.factor, originals)
        order = Order(state.order.term)
        return replace(state, records=records, squeezes=squeezes, order=order)

    replica.update(change)
