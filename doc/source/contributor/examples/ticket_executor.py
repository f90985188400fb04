# SPDX-License-Identifier: Apache-2.0
"""An executor: it has people move tasks, by tickets in a folder, and waits until they say that it is done."""

from __future__ import annotations

import json
from pathlib import Path

from hybrid_sched.core.cluster import HYPERVISOR
from hybrid_sched.core.rebalancing.moves import MoveState
from hybrid_sched.core.rebalancing.record import MoveRecord
from hybrid_sched.interfaces.executor import MigrationExecutor, MoveUnavailable, Step

_ANSWERS = {"done": MoveState.DONE, "refused": MoveState.FAILED}


class TicketExecutor(MigrationExecutor):
    """Writes ``UUID.json`` for each move, and reads ``UUID.answer``: ``done`` or ``refused``."""

    frameworks = frozenset({HYPERVISOR})
    steps = ("write a ticket", "wait for the answer to it")
    folder = Path("/var/lib/hybrid-sched/tickets")

    def advance(self, move: MoveRecord) -> Step:
        """Do the next step."""
        ticket = self.folder / f"{move.uuid}.json"
        try:
            # The uuid of the move is its name, so that the one of an earlier attempt at this step is found.
            if not ticket.exists():
                asked = {"guest": move.decision.task, "to": move.decision.target}
                ticket.write_text(json.dumps(asked))
                return Step(MoveState.RUNNING, "asked", text="A ticket is written.", again_s=60)
            answer = ticket.with_suffix(".answer")
            state = _ANSWERS.get(answer.read_text().strip()) if answer.exists() else None
        except OSError as error:
            raise MoveUnavailable(f"The folder of the tickets cannot be used: {error}.") from None
        if state is None:
            return Step(MoveState.RUNNING, "asked", text="Nobody has answered yet.", again_s=60)
        return Step(state, "answered", text=f"The answer to the ticket is {state.value}.")

    def cancel(self, move: MoveRecord) -> Step:
        """Take the ticket back, unless it was answered."""
        if (self.folder / f"{move.uuid}.answer").exists():
            return self.advance(move)
        (self.folder / f"{move.uuid}.json").unlink(missing_ok=True)
        return Step(MoveState.CANCELLED, "taken back", text="The ticket was taken back.")
