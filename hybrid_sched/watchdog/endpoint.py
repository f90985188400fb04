# SPDX-License-Identifier: Apache-2.0
"""What others may ask of the watchdog on the bus."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TypeVar

import oslo_messaging

from hybrid_sched.core.rebalancing.moves import MoveState
from hybrid_sched.db import DatabaseError
from hybrid_sched.db.terms import Deposed
from hybrid_sched.rpc import bus, wire
from hybrid_sched.rpc.moves import move_to_wire
from hybrid_sched.rpc.wire import BadMessage, Wire
from hybrid_sched.watchdog.orders import OrderRefused, Orders

#: Moves of one answer.
MOST_LISTED = 1000
_LONGEST_NAME = 255

_Call = TypeVar("_Call", bound=Callable[..., Any])
# What is told to the caller alone; anything else is logged with its traceback, too.
_told: Callable[[_Call], _Call] = oslo_messaging.expected_exceptions(Deposed, DatabaseError)


class WatchdogEndpoint:
    """The calls of the topic ``hybrid-sched-engine``, version 1.0, that are about moves.

    Each answers ``{"faults": [sentence, ...]}`` when it is refused, or something that it was given cannot be used.

    :param orders: the leader's.
    """

    target = oslo_messaging.Target(version=bus.VERSION)

    def __init__(self, orders: Orders) -> None:
        self._orders = orders

    @_told
    def plan_moves(self, _context: Wire, strategy: object = "", drains: object = "") -> Wire:
        """Make a plan to be shown; nothing is done.

        :param strategy: its name; empty for the configured one.
        :param drains: host that is to be emptied; empty for none.
        :returns: ``{"plan", "strategy", "drains", "moves", "steps", "left_alone", "score_before", "score_after", "off"}``.
        """

        def work() -> Wire:
            shown = self._orders.plan(_name(strategy, "strategy"), _name(drains, "drains"))
            plan = shown.plan
            return {
                "plan": shown.id,
                "strategy": shown.strategy,
                "drains": shown.drains,
                "moves": [move_to_wire(move) for move in shown.moves],
                "steps": {
                    name: self._orders.steps_of(name)
                    for name in sorted({move.executor for move in shown.moves})
                },
                "left_alone": [asdict(each) for each in plan.left_alone],
                "score_before": plan.score_before,
                "score_after": plan.score_after,
                "off": self._orders.status().off.get(shown.strategy, ""),
            }

        return _answered(work)

    @_told
    def apply_plan(self, _context: Wire, plan: object) -> Wire:
        """Carry out exactly the plan that was shown, or refuse.

        :returns: ``{"moves"}``.
        """
        return _answered(
            lambda: {"moves": list(map(move_to_wire, self._orders.apply(wire.uuid(plan, "plan"))))}
        )

    @_told
    def cancel_moves(self, _context: Wire, wanted: object) -> Wire:
        """Cancel a move, or all moves of a plan.

        :returns: ``{"moves"}`` as they are now.
        """
        return _answered(
            lambda: {
                "moves": list(map(move_to_wire, self._orders.cancel(wire.uuid(wanted, "wanted"))))
            }
        )

    @_told
    def moves(
        self,
        _context: Wire,
        limit: object = MOST_LISTED,
        before: object = None,
        states: object = None,
    ) -> Wire:
        """Give moves of the ledger, the newest first.

        :param limit: how many at most.
        :param before: position of the last one that the caller has seen; None to begin.
        :param states: of them; None for any.
        :returns: ``{"moves"}``.
        """

        def work() -> Wire:
            found = self._orders.moves(
                wire.integer(limit, "limit", 1, MOST_LISTED),
                None if before is None else wire.integer(before, "before", 0, wire.LARGEST - 1),
                None if states is None else _states(states),
            )
            return {"moves": list(map(move_to_wire, found))}

        return _answered(work)

    @_told
    def undrain_host(self, _context: Wire, host: object) -> Wire:
        """Have a host take tasks again.

        :returns: ``{"moves"}`` that were to empty it.
        """
        return _answered(
            lambda: {"moves": list(map(move_to_wire, self._orders.undrain(_name(host, "host"))))}
        )

    @_told
    def enable_strategy(self, _context: Wire, strategy: object) -> Wire:
        """Switch a strategy on that has switched itself off.

        :returns: ``{}``.
        """

        def work() -> Wire:
            self._orders.enable(_name(strategy, "strategy"))
            return {}

        return _answered(work)

    @_told
    def watchdog(self, _context: Wire) -> Wire:
        """Say how the watchdog stands.

        :returns: ``{"mode", "strategy", "off", "drained", "left_alone"}``.
        """
        return asdict(self._orders.status())


def _answered(work: Callable[[], Wire]) -> Wire:
    try:
        return work()
    except (BadMessage, OrderRefused) as fault:
        return {"faults": [str(fault)]}


def _name(value: object, field: str) -> str:
    return wire.text(value, field, _LONGEST_NAME, may_be_empty=True)


def _states(value: object) -> list[MoveState]:
    names = [
        wire.text(name, "states", 32) for name in wire.sequence(value, "states", len(MoveState))
    ]
    for name in names:
        if name not in list(MoveState):
            raise BadMessage(f"states: {name!r} is unknown: send some of {', '.join(MoveState)}")
    return [MoveState(name) for name in names]
