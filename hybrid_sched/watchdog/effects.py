# SPDX-License-Identifier: Apache-2.0
"""Predicted against measured: the effect of each move, and strategies whose predictions are off."""

from __future__ import annotations

from oslo_log import log

from hybrid_sched.core.rebalancing.moves import MoveState
from hybrid_sched.core.rebalancing.outcome import measured_effect, shortfall
from hybrid_sched.core.rebalancing.record import MoveRecord
from hybrid_sched.db.watchdog import StrategySwitch
from hybrid_sched.watchdog.watch import Watch

LOG = log.getLogger(__name__)

#: So many moves in a row of which the prediction was off switch their strategy off.
IN_A_ROW = 3


class Effects:
    """Measure the moves of the ledger during one term. For one thread at a time."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._options = watch.conf.watchdog

    def measure(self, now_s: float) -> None:
        """Measure the moves that are due; what cannot be told for as long again stays unmeasured.

        :raises Deposed: when another engine leads.
        :raises DatabaseError: when the database cannot be used.
        """
        after_s = self._options.measure_after_s
        due = [
            move
            for move in self._watch.moves.since(now_s - 2 * after_s)
            if move.state is MoveState.DONE
            and move.measured is None
            and move.ended_at_s <= now_s - after_s
            and self._is_real(move)
        ]
        if not due:
            return
        situation = self._watch.policy.situation()
        for move in due:
            effect = measured_effect(move, situation)
            if effect is None:
                continue
            self._watch.moves.note_measured(move.uuid, effect, self._watch.term)
            LOG.info(
                "Move %s was predicted to leave %s at %.0f %% of %s and %s at %.0f %%; they are at %.0f %% and %.0f %%.",
                move.uuid,
                move.decision.source,
                move.decision.effect.source_after * 100,
                effect.resource,
                move.decision.target,
                move.decision.effect.target_after * 100,
                effect.source_after * 100,
                effect.target_after * 100,
            )
        for strategy in sorted({move.strategy for move in due}):
            self._judge(strategy)

    def _judge(self, strategy: str) -> None:
        known = self._watch.settings.switches().get(strategy, StrategySwitch())
        limit = self._options.shortfall_limit
        newest = self._watch.moves.newest_measured(strategy, known.since_s, IN_A_ROW)
        if known.off_text or len(newest) < IN_A_ROW or not all(_is_off(m, limit) for m in newest):
            return
        text = (
            f"Strategy {strategy} has switched itself off: after each of its last {IN_A_ROW} moves a host was fuller than "
            f"predicted by more than {limit:.0%} of its capacity. See `hybrid-sched-manage rebalance list`, and switch it "
            f"on again with `hybrid-sched-manage rebalance enable {strategy}`."
        )
        self._watch.settings.switch(strategy, text, self._watch.term, self._watch.clock_s())
        LOG.error("%s", text)

    def _is_real(self, move: MoveRecord) -> bool:
        executor = self._watch.executors.get(move.executor)
        return executor is not None and executor.is_real


def _is_off(move: MoveRecord, limit: float) -> bool:
    return move.measured is not None and shortfall(move.decision.effect, move.measured) > limit
