# SPDX-License-Identifier: Apache-2.0
"""Set the limits of tasks with one isolator, read them back, and keep what was there before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from oslo_log import log

from hybrid_sched.agent.differences import differing, everywhere, is_near, merged
from hybrid_sched.agent.records import Record, shown
from hybrid_sched.agent.replica import Replica
from hybrid_sched.agent.reporter import fault
from hybrid_sched.agent.state import State
from hybrid_sched.core.limits import Aspect, Limits
from hybrid_sched.interfaces.isolator import IsolationError, Isolator
from hybrid_sched.interfaces.monitor import SeenTask

LOG = log.getLogger(__name__)

Records = Mapping[str, Record]


@dataclass(frozen=True, slots=True)
class Need:
    """What one isolator is to hold of one task.

    :param task: the task.
    :param wanted: the limits that it should have.
    :param read: those that were read.
    :param aspects: those that the isolator is to hold.
    :param cpus: all CPUs of the host: no limit and all of them are the same.
    """

    task: SeenTask
    wanted: Limits
    read: Limits
    aspects: frozenset[Aspect]
    cpus: frozenset[int]

    @property
    def should(self) -> Limits:
        """Give the limits that it should have, CPUs in full."""
        return everywhere(self.wanted, self.cpus)

    @property
    def actual(self) -> Limits:
        """Give the limits that were read, CPUs in full."""
        return everywhere(self.read, self.cpus)

    @property
    def uuid(self) -> str:
        """Give the uuid of the task."""
        return self.task.task.uuid

    @property
    def in_parts(self) -> frozenset[Aspect]:
        """Give the aspects in which its parts have limits of their own, which no one limit could put back."""
        return frozenset(
            each for each in self.aspects if getattr(self.read, each) in (0, frozenset())
        )

    @property
    def made(self) -> str:
        """Identify the making of what is limited: where a back end keeps limits over restarts, these do not make it new."""
        return self.task.backend_id or self.task.life


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it.

    :param faults: a sentence for each limit that does not hold, and for what the isolator refused.
    :param applied: limits that were set because something was new, by aspect.
    :param repaired: limits that were set again because something else had changed them, by aspect.
    """

    faults: tuple[str, ...] = ()
    applied: Counter[str] = field(default_factory=Counter)
    repaired: Counter[str] = field(default_factory=Counter)


class Holder:
    """One isolator with what is kept of its tasks.

    :param name: of the isolator.
    :param isolator: what sets and reads.
    :param replica: where records are kept.
    """

    def __init__(self, name: str, isolator: Isolator, replica: Replica) -> None:
        self.name = name
        self._isolator = isolator
        self._replica = replica
        #: What did not hold although it was set, with what it should be and the sentence.
        self._stubborn: dict[tuple[str, Aspect], tuple[object, str]] = {}

    def differences(self, needs: Sequence[Need]) -> dict[str, frozenset[Aspect]]:
        """Give what of each task is not held as it should be, by uuid."""
        found = {}
        for need in needs:
            aspects = differing(need.should, need.actual, need.aspects, self._record(need))
            if aspects := aspects - self._left_alone(need):
                found[need.uuid] = aspects
        return found

    def left_alone(self, needs: Sequence[Need]) -> list[str]:
        """Give a sentence for each limit that is not touched, since it could not be put back."""
        return [
            f"{aspect} of {_title(need.task)} is left alone: its parts have limits of their own, as Nova sets them for each "
            "disk and each virtual CPU."
            for need in needs
            for aspect in sorted(self._left_alone(need))
        ]

    def hold(self, needs: Sequence[Need], *, again: bool) -> Result:
        """Set what differs and read it back.

        :param again: whether what did not hold the last time is tried again.
        """
        found = self.differences(needs)
        self._confirm(
            [
                (need, need.aspects - found.get(need.uuid, frozenset()) - self._left_alone(need))
                for need in needs
            ]
        )
        self._forget_stubborn(needs, found)
        if not again:
            found = {uuid: self._fresh(uuid, aspects) for uuid, aspects in found.items()}
        due = [(need, aspects) for need in needs if (aspects := found.get(need.uuid))]
        if not due:
            return Result(self._sentences())
        self._note_before(due)
        refused = {}
        for need, aspects in due:
            try:
                self._isolator.hold(need.uuid, need.should, aspects)
            except IsolationError as error:
                # The others are not to wait for this one.
                refused[need.uuid] = fault(self.name, error)
        try:
            after = self._isolator.read()
        except IsolationError as error:
            return Result((*self._sentences(), fault(self.name, error)))
        return self._judge(due, after, refused)

    def _judge(
        self,
        due: Sequence[tuple[Need, frozenset[Aspect]]],
        after: Mapping[str, Limits],
        refused: Mapping[str, str],
    ) -> Result:
        """See what holds now."""
        applied: Counter[str] = Counter()
        repaired: Counter[str] = Counter()
        settled = []
        for need, aspects in due:
            if need.uuid not in after:
                # Gone by now.
                continue
            held = replace(need, read=after[need.uuid])
            good = frozenset(
                each
                for each in aspects
                if is_near(getattr(held.should, each), getattr(held.actual, each), each)
            )
            drifted = self._drifted(need, good)
            for aspect in sorted(good):
                (repaired if aspect in drifted else applied)[aspect.value] += 1
                self._stubborn.pop((need.uuid, aspect), None)
                _tell(need, held, aspect, drifted=aspect in drifted)
            for aspect in sorted(aspects - good):
                self._despair(held, aspect, refused.get(need.uuid))
            settled.append((held, good))
        self._confirm(settled)
        return Result(self._sentences(), applied, repaired)

    def _drifted(self, need: Need, aspects: frozenset[Aspect]) -> frozenset[Aspect]:
        """Give those that held already in this life of the task, with the same limit: something else changed them."""
        record = self._record(need)
        if record is None:
            return frozenset()
        # What an earlier life confirmed was dropped when this one was first seen.
        known = aspects & record.confirmed
        return known - record.held.differing(need.should, known)

    def _despair(self, need: Need, aspect: Aspect, refused: str | None) -> None:
        should, is_now = getattr(need.should, aspect), getattr(need.actual, aspect)
        sentence = refused or fault(
            self.name,
            f"{aspect} of {_title(need.task)} was set to {shown(should)} and is {shown(is_now)}. See what else sets it, and "
            "that the host can hold it.",
        )
        before = self._stubborn.get((need.uuid, aspect))
        if before is None or before[1] != sentence:
            LOG.warning("%s", sentence)
        self._stubborn[need.uuid, aspect] = should, sentence

    def _fresh(self, uuid: str, aspects: frozenset[Aspect]) -> frozenset[Aspect]:
        return frozenset(each for each in aspects if (uuid, each) not in self._stubborn)

    def _forget_stubborn(
        self, needs: Sequence[Need], found: Mapping[str, frozenset[Aspect]]
    ) -> None:
        """Keep those of which nothing has changed."""
        wanted = {need.uuid: need.should for need in needs}
        self._stubborn = {
            (uuid, aspect): known
            for (uuid, aspect), known in self._stubborn.items()
            if aspect in found.get(uuid, ()) and getattr(wanted[uuid], aspect) == known[0]
        }

    def _sentences(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(sentence for _, sentence in self._stubborn.values()))

    def _left_alone(self, need: Need) -> frozenset[Aspect]:
        """Give what its parts had each for itself before it was held here; later that is somebody else's change."""
        record = self._record(need)
        if record is None:
            return need.in_parts
        known = record.confirmed if record.life == need.task.life else frozenset()
        return need.in_parts - record.touched - known

    def _record(self, need: Need) -> Record | None:
        record = self._replica.state.records.get(self.name, {}).get(need.uuid)
        return record if record is not None and record.made == need.made else None

    def _note_before(self, due: Sequence[tuple[Need, frozenset[Aspect]]]) -> None:
        """Write down what is about to be changed for the first time."""
        changed = {}
        for need, aspects in due:
            record = self._record(need) or Record(need.made)
            if new := aspects - record.touched:
                before = record.before
                for aspect in new:
                    before = merged(before, self._untouched(need, aspect) or need.read, [aspect])
                changed[need.uuid] = replace(record, before=before, touched=record.touched | new)
        self._write(changed)

    def _untouched(self, need: Need, aspect: Aspect) -> Limits | None:
        """Give what was there before another isolator set it, as when their order in the options was changed."""
        for name, records in self._replica.state.records.items():
            record = records.get(need.uuid)
            if name == self.name or record is None or record.made != need.made:
                continue
            if aspect in record.touched:
                return record.before
        return None

    def _confirm(self, right: Sequence[tuple[Need, frozenset[Aspect]]]) -> None:
        """Write down what is held as it should be."""
        changed = {}
        for need, aspects in right:
            known = self._record(need)
            record = known or Record(need.made)
            if record.life != need.task.life:
                record = replace(record, life=need.task.life, confirmed=frozenset())
            record = replace(
                record,
                confirmed=record.confirmed | aspects,
                held=merged(record.held, need.should, aspects),
                settled=merged(record.settled, need.actual, aspects),
            )
            if record != known:
                changed[need.uuid] = record
        self._write(changed)

    def _write(self, changed: Records) -> None:
        def change(state: State) -> State:
            records = {**state.records.get(self.name, {}), **changed}
            return replace(state, records={**state.records, self.name: records})

        if changed:
            self._replica.update(change)


def _tell(need: Need, held: Need, aspect: Aspect, *, drifted: bool) -> None:
    before, now = shown(getattr(need.read, aspect)), shown(getattr(held.read, aspect))
    if drifted:
        LOG.warning(
            "%s of %s was %s, which something else had set; it is %s again.",
            *(aspect, _title(need.task), before, now),
        )
    else:
        LOG.info("%s of %s was %s and is %s now.", aspect, _title(need.task), before, now)


def _title(seen: SeenTask) -> str:
    return f"{seen.task.framework} task {seen.task.uuid}"
