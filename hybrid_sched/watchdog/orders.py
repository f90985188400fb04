# SPDX-License-Identifier: Apache-2.0
"""What operators order of the watchdog: plans that are shown first and then applied, cancelled moves, drained hosts."""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass

from oslo_log import log

from hybrid_sched.core.rebalancing.moves import LeftAlone, MoveState, Plan
from hybrid_sched.core.rebalancing.record import MoveRecord
from hybrid_sched.db.watchdog import StrategySwitch
from hybrid_sched.loading import PluginNotFound
from hybrid_sched.watchdog.policy import DRAIN
from hybrid_sched.watchdog.runner import WatchdogRunner
from hybrid_sched.watchdog.watch import Watch

LOG = log.getLogger(__name__)

_MOST_SHOWN = 32


class OrderRefused(ValueError):
    """An order that is not carried out; nothing has changed. The message is a sentence without the full stop."""


@dataclass(frozen=True, slots=True)
class ShownPlan:
    """A plan that somebody was shown.

    :param id: by which it is applied.
    :param strategy: that decided it.
    :param plan: what it decided.
    :param moves: of its decisions, as they will be in the ledger.
    :param drains: host that is drained when it is applied; empty for none.
    :param at_s: Unix time.
    """

    id: str
    strategy: str
    plan: Plan
    moves: tuple[MoveRecord, ...]
    drains: str
    at_s: float


@dataclass(frozen=True, slots=True)
class Status:
    """How the watchdog stands.

    :param mode: of ``[watchdog] mode``.
    :param strategy: that is configured.
    :param off: why strategies are off, by name.
    :param drained: hosts that are being emptied.
    :param left_alone: hosts for which more was wanted in the last period.
    """

    mode: str
    strategy: str
    off: dict[str, str]
    drained: tuple[str, ...]
    left_alone: tuple[LeftAlone, ...]


class Orders:
    """Carry out orders during one term. Its methods may be called by several threads.

    They raise :class:`~hybrid_sched.db.errors.DatabaseError` when the database cannot be used, and those that write
    :class:`~hybrid_sched.db.terms.Deposed` when the term is over.

    :param watch: what they are about.
    :param runner: of the same term.
    """

    def __init__(self, watch: Watch, runner: WatchdogRunner) -> None:
        self._watch = watch
        self._options = watch.conf.watchdog
        self._runner = runner
        # In memory alone: a plan of another engine is refused, and made anew.
        self._shown: OrderedDict[str, ShownPlan] = OrderedDict()

    def plan(self, strategy: str = "", drains: str = "") -> ShownPlan:
        """Make a plan to be shown; nothing is done.

        :param strategy: its name; empty for the configured one.
        :param drains: host that is to be emptied, by the strategy for that; empty for none.
        :raises OrderRefused: when the strategy or the host is unknown.
        """
        strategy = DRAIN if drains else strategy or self._options.strategy
        with self._runner.deciding:
            if drains:
                self._require_host(drains)
            try:
                plan = self._watch.policy.decide(strategy, frozenset({drains} if drains else ()))
            except PluginNotFound as fault:
                raise OrderRefused(f"strategy: {fault}") from None
            plan_id = str(uuid.uuid4())
            moves = tuple(self._watch.policy.new_moves(plan.decisions, plan_id, strategy))
            shown = ShownPlan(plan_id, strategy, plan, moves, drains, self._watch.clock_s())
            self._shown[plan_id] = shown
            while len(self._shown) > _MOST_SHOWN:
                self._shown.popitem(last=False)
        return shown

    def apply(self, plan_id: str) -> tuple[MoveRecord, ...]:
        """Carry out exactly the plan that was shown.

        :returns: its moves, planned.
        :raises OrderRefused: when it is not known, too old, or does not hold any more; the reasons are named.
        """
        with self._runner.deciding:
            shown = self._shown.get(plan_id)
            limit_s = self._options.plan_valid_s
            if shown is None:
                raise OrderRefused(
                    f"there is no plan {plan_id} to apply: it was applied already, or another engine leads now; make a new one"
                )
            age_s = self._watch.clock_s() - shown.at_s
            if age_s > limit_s:
                raise OrderRefused(
                    f"plan {plan_id} is {age_s:.0f} s old, and plans are valid for {limit_s:g} s; make a new one"
                )
            if not self._watch.policy.is_current(shown.moves):
                raise OrderRefused(
                    f"[watchdog] mode or executors have changed since plan {plan_id} was made; make a new one"
                )
            drains = frozenset({shown.drains} if shown.drains else ())
            if reasons := self._watch.policy.why_not(
                [each.decision for each in shown.moves], drains
            ):
                raise OrderRefused(
                    f"the cluster has changed since plan {plan_id} was made: {'; '.join(reasons)}; make a new one"
                )
            if shown.moves and not self._watch.moves.add(shown.moves, self._watch.term):
                raise OrderRefused(
                    f"a task of plan {plan_id} is being moved already; make a new one"
                )
            if shown.drains:
                self._watch.settings.drain(shown.drains, self._watch.term, self._watch.clock_s())
            del self._shown[plan_id]
        LOG.info("Plan %s is applied: %d moves.", plan_id, len(shown.moves))
        return shown.moves

    def cancel(self, wanted: str) -> list[MoveRecord]:
        """Cancel a move, or all moves of a plan, that have not ended.

        :param wanted: UUID of the move or the plan.
        :returns: the moves as they are now.
        :raises OrderRefused: when there is nothing to cancel.
        """
        known = [each for each in self._watch.moves.in_flight() if wanted in {each.uuid, each.plan}]
        if not known:
            ended = self._watch.moves.get(wanted)
            if ended is not None:
                raise OrderRefused(f"move {wanted} has ended: it is {ended.state}")
            raise OrderRefused(f"there is no move or plan {wanted} that is planned or running")
        now_s = self._watch.clock_s()
        why = "An operator has cancelled it."
        noted = [
            self._watch.moves.cancel(each.uuid, self._watch.term, now_s, why) for each in known
        ]
        return [move for move in noted if move is not None]

    def moves(
        self, limit: int, before: int | None, states: Collection[MoveState] | None
    ) -> list[MoveRecord]:
        """Give moves of the ledger, the newest first; see :meth:`MoveStore.newest`."""
        return self._watch.moves.newest(limit, before, states)

    def undrain(self, host: str) -> list[MoveRecord]:
        """Have a host take tasks again, and cancel the moves that empty it.

        :returns: those moves.
        :raises OrderRefused: when it is not drained.
        """
        if not self._watch.settings.undrain(host, self._watch.term):
            raise OrderRefused(f"host {host} is not drained")
        now_s = self._watch.clock_s()
        why = f"Host {host} is drained no longer."
        noted = [
            self._watch.moves.cancel(each.uuid, self._watch.term, now_s, why)
            for each in self._watch.moves.in_flight()
            if each.strategy == DRAIN and each.decision.source == host
        ]
        return [move for move in noted if move is not None]

    def enable(self, strategy: str) -> None:
        """Switch a strategy on that has switched itself off.

        :raises OrderRefused: when it is not off.
        """
        if not self._watch.settings.switches().get(strategy, StrategySwitch()).off_text:
            raise OrderRefused(f"strategy {strategy} is not switched off")
        self._watch.settings.switch(strategy, "", self._watch.term, self._watch.clock_s())
        LOG.info("Strategy %s is switched on again.", strategy)

    def status(self) -> Status:
        """Say how the watchdog stands."""
        off = {
            name: switch.off_text
            for name, switch in self._watch.settings.switches().items()
            if switch.off_text
        }
        drained = tuple(sorted(self._watch.settings.drained()))
        options = self._options
        return Status(options.mode, options.strategy, off, drained, self._runner.left_alone)

    def steps_of(self, executor: str) -> list[str]:
        """Say what an executor does to a task, in order."""
        made = self._watch.executors.get(executor)
        return [] if made is None else list(made.steps)

    def _require_host(self, host: str) -> None:
        known = self._watch.policy.situation().snapshot.hosts
        if host not in known:
            names = ", ".join(sorted(known)[:10]) or "none yet"
            raise OrderRefused(f"host {host} is unknown; there are {names}")
