# SPDX-License-Identifier: Apache-2.0
"""What tasks declared, also of those whose declaration is read from what isolators alter.

Zun writes the cores of a container into its CPU shares, which the squeeze reduces. So what Zun's driver noted counts; where it
notes nothing, as with the stock driver, the first sight of a container does, and is kept over restarts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from fractions import Fraction

from hybrid_sched.agent.records import FirstSight
from hybrid_sched.agent.replica import Replica
from hybrid_sched.agent.state import State
from hybrid_sched.complaints import Complaints
from hybrid_sched.core.declaration import Declaration
from hybrid_sched.core.limits import SHARES_A_CORE
from hybrid_sched.core.resources import simplest
from hybrid_sched.interfaces.monitor import SeenTask


class Declarations:
    """Know what each task declared.

    :param replica: where first sights are kept.
    :param noted: gives what the driver that made a container noted of it, by uuid; None where it noted nothing, and a
        ``ValueError`` with a sentence where the note cannot be read.
    """

    def __init__(self, replica: Replica, noted: Callable[[str], Declaration | None]) -> None:
        self._replica = replica
        self._noted = noted
        self._damaged: set[str] = set()
        self._complaints = Complaints()

    def settle(self, seen: SeenTask) -> SeenTask:
        """Give a task with what it declared rather than what it was squeezed to."""
        if not seen.backend_id or seen.declaration is None:
            return seen
        declared = self._note_of(seen.task.uuid) or self._first(seen, seen.declaration)
        task = replace(seen.task, demand=declared.resources, promised=declared.promised)
        return replace(seen, declaration=declared, task=task)

    def forget(self, uuids: Collection[str]) -> None:
        """Forget all tasks but these, and tell of notes that cannot be read.

        :param uuids: of all tasks on the host.
        """
        self._complaints.tell(self._damaged)
        self._damaged = set()

        def change(state: State) -> State:
            if state.first_sights.keys() <= set(uuids):
                return state
            kept = {uuid: each for uuid, each in state.first_sights.items() if uuid in uuids}
            return replace(state, first_sights=kept)

        self._replica.update(change)

    def _note_of(self, uuid: str) -> Declaration | None:
        try:
            return self._noted(uuid)
        except ValueError as error:
            self._damaged.add(str(error))
            return None

    def _first(self, seen: SeenTask, declaration: Declaration) -> Declaration:
        uuid = seen.task.uuid
        known = self._replica.state.first_sights.get(uuid)
        if known is not None and known.backend_id == seen.backend_id:
            return known.declaration
        # An agent that kept no first sights may have squeezed it.
        for squeeze in self._replica.state.squeezes.values():
            if uuid in squeeze.originals:
                cpus = simplest(Fraction(squeeze.originals[uuid], SHARES_A_CORE))
                declaration = replace(declaration, cpus=cpus)
        sight = FirstSight(seen.backend_id, declaration)
        self._replica.update(
            lambda state: replace(state, first_sights={**state.first_sights, uuid: sight})
        )
        return declaration
