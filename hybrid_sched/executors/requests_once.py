# SPDX-License-Identifier: Apache-2.0
"""What is asked of Zun for a move: each request once, since it is carried out some time after its answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http import HTTPStatus

from hybrid_sched.clients.zun_moves import ZunMoves
from hybrid_sched.core.rebalancing.record import TARGET_UUID, MoveRecord
from hybrid_sched.executors.stepping import Refused, asking

_OVER_ALREADY = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT})


class RequestsOnce:
    """Asks Zun, and not again at each look while a host has not begun yet.

    :param zun: how Zun is asked.
    :param clock: gives Unix time.
    :param settle_s: seconds after which a request is asked for again.
    """

    def __init__(self, zun: ZunMoves, clock: Callable[[], float], settle_s: float) -> None:
        self._zun = zun
        self._clock = clock
        self._settle_s = settle_s
        self._lock = threading.Lock()
        self._asked_s: dict[tuple[str, str], float] = {}

    def stop(self, move: MoveRecord, grace_s: int) -> None:
        """Have the container stopped on the source."""
        project, uuid = _source(move)
        self.ask(move, "stop", lambda: self._zun.stop(project, uuid, grace_s))

    def start(self, move: MoveRecord) -> None:
        """Have the container started on the source."""
        project, uuid = _source(move)
        self.ask(move, "start", lambda: self._zun.start(project, uuid))

    def start_there(self, move: MoveRecord) -> None:
        """Have the container started on the target."""
        project, uuid = str(move.details["project"]), str(move.details[TARGET_UUID])
        self.ask(move, "start there", lambda: self._zun.start(project, uuid))

    def detach(self, move: MoveRecord, network: str) -> None:
        """Have a network taken from the container on the source."""
        project, uuid = _source(move)
        self.ask(move, f"detach {network}", lambda: self._zun.detach(project, uuid, network))

    def delete(self, move: MoveRecord) -> None:
        """Have the container on the source deleted, which is stopped."""
        project, uuid = _source(move)
        self.ask(move, "delete", lambda: self._zun.delete(project, uuid))

    def delete_there(self, move: MoveRecord, uuid: str) -> None:
        """Have a container that the move made deleted, whatever it does."""
        project = str(move.details["project"])
        self.ask(move, f"delete {uuid}", lambda: self._zun.delete(project, uuid, even_running=True))

    def ask(self, move: MoveRecord, what: str, ask: Callable[[], None]) -> None:
        """Ask for what may be under way or over already: the next look at the container tells.

        :param what: of the move is asked for.
        :raises Refused: when Zun will not do it.
        :raises MoveUnavailable: when Zun does not answer.
        """
        now_s, key = self._clock(), (move.uuid, what)
        with self._lock:
            self._asked_s = {
                each: asked_s
                for each, asked_s in self._asked_s.items()
                if now_s - asked_s < self._settle_s
            }
            if key in self._asked_s:
                return
            self._asked_s[key] = now_s
        try:
            with asking():
                ask()
        except Refused as refused:
            if refused.status not in _OVER_ALREADY:
                raise


def _source(move: MoveRecord) -> tuple[str, str]:
    return str(move.details["project"]), move.decision.task
