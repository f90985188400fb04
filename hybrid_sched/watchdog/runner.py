# SPDX-License-Identifier: Apache-2.0
"""The runner of the watchdog: it decides each period, and carries moves out step by step."""

from __future__ import annotations

import json
import threading
import uuid
from collections import Counter
from concurrent.futures import Executor, Future
from dataclasses import replace

from oslo_log import log

from hybrid_sched.core.rebalancing.moves import IN_FLIGHT, LeftAlone, MoveState
from hybrid_sched.core.rebalancing.record import MoveRecord
from hybrid_sched.db.watchdog import StrategySwitch
from hybrid_sched.interfaces.executor import MigrationExecutor, MoveUnavailable, Step
from hybrid_sched.loading import PluginNotFound
from hybrid_sched.watchdog.effects import Effects
from hybrid_sched.watchdog.policy import DRAIN
from hybrid_sched.watchdog.watch import Watch

LOG = log.getLogger(__name__)

_FORGET_PERIOD_S = 600.0
_LONGEST_STEP_NAME = 64


class WatchdogRunner:
    """Work as the leader of one term.

    What is done is written first, with compare-and-set and the term: a move is running in the ledger before its executor is
    asked, and the details of each step are in it before the next one is begun.

    :param watch: what it works on.
    :param pool: runs the steps, as many at once as it likes.
    """

    def __init__(self, watch: Watch, pool: Executor) -> None:
        self._watch = watch
        self._options = watch.conf.watchdog
        self._pool = pool
        self._effects = Effects(watch)
        self._steps: dict[str, tuple[MoveRecord, Future[Step]]] = {}
        # Kept in memory alone: after a restart each move is looked at once it has settled.
        self._not_before_s: dict[str, float] = {}
        self._settled_s = watch.clock_s() + self._options.settle_s
        self._mine: set[str] = set()
        self._said: dict[str, str] = {}
        self._period_due_s = self._forget_due_s = 0.0
        #: Hosts for which more was wanted in the last period.
        self.left_alone: tuple[LeftAlone, ...] = ()
        #: Imbalance score at the last decision; None before.
        self.score: float | None = None
        #: Moves by state, and those that ended in this term by strategy, framework and state.
        self.in_flight: Counter[MoveState] = Counter()
        self.ended: Counter[tuple[str, str, MoveState]] = Counter()
        #: Held while something is decided: the policy is for one thread at a time.
        self.deciding = threading.Lock()

    def run_round(self) -> None:
        """Take up what steps came to, decide when a period is over, and begin the next steps.

        :raises Deposed: when another engine leads.
        :raises DatabaseError: when the database cannot be used; the next round goes on from what is in it.
        """
        self.take_up()
        now_s = self._watch.clock_s()
        if now_s >= self._period_due_s:
            self._period_due_s = now_s + self._options.period_s
            with self.deciding:
                self._run_period(now_s)
        going = self._watch.moves.in_flight()
        self.in_flight = Counter(move.state for move in going)
        for move in going:
            if len(self._steps) >= self._options.threads:
                break
            self._go_on(move, now_s)

    def take_up(self) -> None:
        """Write what the steps that have ended came to."""
        for move_uuid, (move, future) in list(self._steps.items()):
            if future.done():
                # What cannot be written now is asked for again: a step may be.
                del self._steps[move_uuid]
                self._take_up_one(move, future)

    def _run_period(self, now_s: float) -> None:
        self._watch.policy.observe()
        self._effects.measure(now_s)
        switches = self._watch.settings.switches()
        left_alone: list[LeftAlone] = []
        for strategy in self._strategies():
            if switches.get(strategy, StrategySwitch()).off_text:
                continue
            try:
                plan = self._watch.policy.decide(strategy)
            except PluginNotFound as fault:
                self._say("strategy", f"[watchdog] strategy: {fault}.")
                continue
            left_alone += plan.left_alone
            self.score = plan.score_before
            for each in plan.left_alone:
                self._say(each.host, f"{each.reason}.")
            self._plan(
                strategy, self._watch.policy.new_moves(plan.decisions, str(uuid.uuid4()), strategy)
            )
        self.left_alone = tuple(left_alone)
        if now_s >= self._forget_due_s:
            self._forget_due_s = now_s + _FORGET_PERIOD_S
            options = self._options
            kept_s = max(options.forget_after_s, options.task_cooldown_s, options.host_cooldown_s)
            self._watch.moves.forget(now_s - kept_s, self._watch.term)

    def _strategies(self) -> list[str]:
        """Name those that decide now: what an operator drains goes first, and on in each mode."""
        named = [DRAIN] if self._watch.settings.drained() else []
        if self._options.mode != "off" and self._options.strategy not in named:
            named.append(self._options.strategy)
        return named

    def _plan(self, strategy: str, moves: list[MoveRecord]) -> None:
        if moves and self._watch.moves.add(moves, self._watch.term):
            for move in moves:
                made = move.decision
                LOG.info(
                    "Move %s planned (%s): task %s from %s to %s. %s.",
                    *(move.uuid, strategy, made.task, made.source, made.target, made.reason),
                )

    def _go_on(self, move: MoveRecord, now_s: float) -> None:
        """Begin the next step of a move when it is due."""
        if move.uuid in self._steps or now_s < self._not_before_s.get(move.uuid, 0.0):
            return
        if (
            move.state is MoveState.RUNNING
            and move.uuid not in self._mine
            and now_s < self._settled_s
        ):
            # The engine that led before may be within a step of it.
            return
        executor = self._watch.executors.get(move.executor)
        if executor is None:
            return
        next_of = self._begin if move.state is MoveState.PLANNED else self._in_time
        begun = next_of(move, now_s)
        if begun is None:
            return
        self._mine.add(begun.uuid)
        # No step is begun by a leader whose term is over.
        self._watch.moves.confirm(self._watch.term)
        self._steps[begun.uuid] = begun, self._pool.submit(_step, executor, begun)

    def _begin(self, move: MoveRecord, now_s: float) -> MoveRecord | None:
        """Check a move once more and note that it is begun; None when it is not."""
        with self.deciding:
            reasons = self._watch.policy.why_not([move.decision])
        if reasons:
            text = f"It was not begun, since the cluster has changed: {reasons[0]}."
            ended = replace(move, state=MoveState.CANCELLED, ended_at_s=now_s, text=text)
            self._write(move, ended)
            return None
        running = replace(
            move, state=MoveState.RUNNING, started_at_s=now_s, text="It has been begun."
        )
        return running if self._write(move, running) else None

    def _in_time(self, move: MoveRecord, now_s: float) -> MoveRecord | None:
        """Have a move undone that takes too long."""
        limit_s = self._options.move_timeout_s
        if move.cancelling or now_s - move.started_at_s <= limit_s:
            return move
        why = f"It has not ended within {limit_s:g} s and is being undone."
        LOG.warning("Move %s of task %s: %s", move.uuid, move.decision.task, why)
        return self._watch.moves.cancel(move.uuid, self._watch.term, now_s, why)

    def _take_up_one(self, move: MoveRecord, future: Future[Step]) -> None:
        now_s = self._watch.clock_s()
        self._not_before_s[move.uuid] = now_s + self._options.retry_pause_s
        try:
            step = future.result()
        except MoveUnavailable as fault:
            self._say(move.uuid, f"Move {move.uuid} waits: {fault}")
            return
        except Exception:
            LOG.exception("A step of move %s failed; it is asked for again.", move.uuid)
            return
        self._not_before_s[move.uuid] = now_s + step.again_s
        self._write(
            move,
            replace(
                move,
                state=step.state,
                step=step.name,
                details=step.details,
                text=step.text,
                ended_at_s=0.0 if step.state in IN_FLIGHT else now_s,
            ),
        )

    def _write(self, before: MoveRecord, after: MoveRecord) -> bool:
        """Write a move; says whether its state was still the one that was read."""
        if not self._watch.moves.update(after, before.state, self._watch.term):
            return False
        if after.state is not before.state or after.step != before.step:
            LOG.info("Move %s: %s %s. %s", after.uuid, after.state, after.step, after.text)
        if after.state not in IN_FLIGHT:
            self.ended[after.strategy, after.decision.framework, after.state] += 1
            self._not_before_s.pop(after.uuid, None)
            self._said.pop(after.uuid, None)
            self._mine.discard(after.uuid)
        return True

    def _say(self, about: str, text: str) -> None:
        # Said once for each reason, not each period.
        if self._said.get(about) != text:
            self._said[about] = text
            LOG.warning("%s", text)


def _step(executor: MigrationExecutor, move: MoveRecord) -> Step:
    step = executor.cancel(move) if move.cancelling else executor.advance(move)
    if step.state is MoveState.PLANNED or len(step.name) > _LONGEST_STEP_NAME:
        raise ValueError(f"executor {move.executor} gave a step that is none: {step}")
    json.dumps(dict(step.details))
    return step
