# SPDX-License-Identifier: Apache-2.0
"""What the executors that move guests through Nova share."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus

from oslo_config import cfg

from hybrid_sched.clients.nova_moves import NovaMoves, nova_moves
from hybrid_sched.conf import migration as options
from hybrid_sched.core.cluster import HYPERVISOR
from hybrid_sched.core.rebalancing.moves import MoveState
from hybrid_sched.core.rebalancing.record import MoveRecord
from hybrid_sched.executors.stepping import Refused, asking, going_on, over
from hybrid_sched.interfaces.executor import MigrationExecutor, MoveUnavailable, Step

MIGRATING = "migrating"
#: What Nova says to a request for what is under way or over.
_OVER_ALREADY = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT})


class NovaExecutor(MigrationExecutor):
    """Moves guests through Nova.

    A request that was lost is sent again, which does no harm: Nova refuses a second one while the first is under way.

    :param conf: options; the group ``[migration]`` is registered here, ``[nova]`` must be.
    :param nova: how Nova is asked; None to make it from the options.
    :param clock: gives Unix time.
    """

    frameworks = frozenset({HYPERVISOR})

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        nova: NovaMoves | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(conf)
        options.register(conf)
        self._nova = nova_moves(conf) if nova is None else nova
        self._clock = clock

    def apart(self) -> Sequence[frozenset[str]]:
        """Give the server groups of Nova with the policy ``anti-affinity``."""
        try:
            with asking():
                return self._nova.apart()
        except Refused as refused:
            raise MoveUnavailable(str(refused)) from None

    def closed(self) -> Mapping[str, str]:
        """Give the hosts whose nova-compute is disabled or down: Nova's scheduler lets no guest go there."""
        try:
            with asking():
                return self._nova.closed()
        except Refused as refused:
            raise MoveUnavailable(str(refused)) from None

    def _ask_gently(self, ask: Callable[[], None]) -> None:
        """Ask for what may be under way or over already: the next look at the guest tells."""
        try:
            with asking():
                ask()
        except Refused as refused:
            if refused.status not in _OVER_ALREADY:
                raise

    def _wait(self, move: MoveRecord, text: str) -> Step:
        return going_on(MIGRATING, move.details, text, self._poll_s)

    @property
    def _poll_s(self) -> float:
        return float(self._conf.migration.poll_s)


def deleted(move: MoveRecord) -> Step:
    """End a move whose guest is gone."""
    text = f"Guest {move.decision.task} was deleted by its owner."
    return over(MoveState.CANCELLED, move.details, text)
