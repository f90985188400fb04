# SPDX-License-Identifier: Apache-2.0
"""Squeeze: reduce the CPU weights of a framework's tasks while the engine says so, and give them back.

Weights matter only while CPUs are contended, so that nothing is lost where there is room. The squeeze is held true each period
rather than done once: new tasks are squeezed too, and a back end that was away is brought up to date when it answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from oslo_config import cfg
from oslo_log import log

from hybrid_sched.agent import clock
from hybrid_sched.agent.clock import Instant
from hybrid_sched.agent.replica import Replica
from hybrid_sched.agent.reporter import fault
from hybrid_sched.agent.state import Order, Squeeze, State
from hybrid_sched.core.limits import LEAST_SHARES, SHARES_A_CORE, Aspect, Limits
from hybrid_sched.core.resources import Number
from hybrid_sched.interfaces.isolator import IsolationError, Isolator
from hybrid_sched.rpc import wire
from hybrid_sched.rpc.wire import BadMessage, number_to_wire

LOG = log.getLogger(__name__)

_MOST_FACTORS = 64


@dataclass(frozen=True, slots=True)
class Squeezed:
    """What holds after a pass.

    :param factors: below 1, by framework; those that all reachable tasks were brought to.
    :param faults: a sentence for each isolator that failed.
    """

    factors: Mapping[str, Number]
    faults: tuple[str, ...]


def factors_from_wire(message: object) -> dict[str, Number]:
    """Read and check the factors of an order.

    :raises BadMessage: when a field is wrong; its name is in the text.
    """
    fields = wire.mapping(message, "factors")
    if len(fields) > _MOST_FACTORS:
        raise BadMessage(f"factors: {len(fields)} frameworks, at most {_MOST_FACTORS} are taken")
    factors = {}
    for name, value in fields.items():
        where = f"factors.{name[:64]}"
        factor = wire.number_from_wire(value, where)
        if not 0 < factor <= 1:
            raise BadMessage(f"{where}: {value!r} is not above 0 and at most 1")
        factors[wire.text(name, "factors", 255)] = factor
    return factors


def target(original: int, factor: Number) -> int:
    """Give the weight of a squeezed task; never more than it had."""
    return min(original, max(LEAST_SHARES, round(original * Fraction(factor))))


class Squeezer:
    """Hold the tasks to the engine's newest order.

    :param conf: options of the group ``[agent]``.
    :param isolators: name and isolator; those that cannot hold the CPU weights of a single framework are passed over.
    :param replica: where the order and the original weights are kept, before anything is done.
    :param now: tells the moment, for the age of an order.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        isolators: Sequence[tuple[str, Isolator]],
        replica: Replica,
        now: Callable[[], Instant] = clock.now,
    ) -> None:
        self._conf = conf
        # Name, isolator and its framework: an order is by framework.
        self._isolators = [
            (name, isolator, next(iter(isolator.frameworks)))
            for name, isolator in isolators
            if len(isolator.frameworks) == 1
        ]
        self._replica = replica
        self._now = now
        self._failing: set[str] = set()

    def take_order(self, term: object, factors: object) -> bool:
        """Note an order; the next pass follows it.

        :param term: of the engine that gives it; an order of an older term than the newest seen is refused (fencing).
        :param factors: by framework, ``"a/b"`` or an integer, above 0 and at most 1. One that is not named is not squeezed.
        :returns: whether it asks for something else than the order before.
        :raises BadMessage: when it is malformed.
        """
        order = Order(
            wire.integer(term, "term", 0, wire.LARGEST), factors_from_wire(factors), self._now()
        )
        before = Order()

        def note(state: State) -> State:
            nonlocal before
            before = state.order
            if order.term < before.term:
                return state
            # Where nothing is to be squeezed, its age does not matter and need not be written each time.
            nothing_new = not order.factors and replace(order, taken_at=before.taken_at) == before
            return state if nothing_new else replace(state, order=order)

        self._replica.update(note)
        if order.term < before.term:
            LOG.warning(
                "Squeeze order refused: it is of term %d, and term %d has been seen.",
                order.term,
                before.term,
            )
            return False
        if order.factors != before.factors:
            LOG.info("Squeeze order of term %d: %s.", order.term, _shown(order.factors))
        return order.factors != before.factors

    def apply(self, planned: Mapping[str, int | None] | None = None) -> Squeezed:
        """Bring every task to where the newest order wants it.

        :param planned: the CPU weight that each task should have without a squeeze, None where it declares none; a task that is
            not named waits until it is. None where nothing holds tasks to declared weights: then those that they have count.
        """
        factors = self._wanted()
        faults = []
        served: set[str] = set()
        for name, isolator, framework in self._isolators:
            # A second one that can hold the same weights would reduce them again.
            factor = 1 if framework in served else factors.get(framework, 1)
            try:
                if self._bring(name, isolator, framework, factor, planned):
                    served.add(framework)
                self._failing.discard(name)
            except IsolationError as error:
                served.add(framework)
                faults.append(fault(name, error))
                if name not in self._failing:
                    LOG.warning("Isolator %s failed and is tried again: %s", name, error)
                self._failing.add(name)
        squeezes = self._replica.state.squeezes
        return Squeezed(
            {
                framework: squeeze.factor
                for name, _, framework in self._isolators
                if (squeeze := squeezes.get(name)) and squeeze.factor < 1
            },
            tuple(faults),
        )

    def _wanted(self) -> Mapping[str, Number]:
        """Give the factors of the order; one that was not renewed in time is over, since its engine may be dead."""
        order = self._replica.state.order
        if order.taken_at is None or not order.factors:
            return {}
        age_s = self._now().seconds_since(order.taken_at)
        if age_s is not None and age_s <= self._conf.agent.squeeze_max_age_s:
            return order.factors
        LOG.warning("The squeeze is released: its order was not renewed in time.")
        self._replica.update(lambda state: replace(state, order=replace(state.order, factors={})))
        return {}

    def _bring(
        self,
        name: str,
        isolator: Isolator,
        framework: str,
        factor: Number,
        planned: Mapping[str, int | None] | None,
    ) -> bool:
        """Bring the tasks that one isolator reaches to a factor, and say whether it can."""
        held = self._replica.state.squeezes.get(name, Squeeze())
        if factor == 1 and held == Squeeze():
            return False
        ability = isolator.ability()
        if Aspect.CPU_WEIGHT not in ability.aspects:
            if Aspect.CPU_WEIGHT in ability.missing:
                raise IsolationError(ability.missing[Aspect.CPU_WEIGHT])
            return False
        # For which none was set, the kernel has its own.
        weights = {
            uuid: SHARES_A_CORE if limits.cpu_weight is None else limits.cpu_weight
            for uuid, limits in isolator.read().items()
        }
        # A task that is not there any more has nothing to get back. One that is new gives its weight now, and the note of it
        # is on disk before it is changed.
        originals = {
            uuid: held.originals.get(uuid, (planned or {}).get(uuid) or weight)
            for uuid, weight in weights.items()
            if uuid in held.originals or (factor < 1 and (planned is None or uuid in planned))
        }
        self._note(name, replace(held, originals=originals))
        failure: IsolationError | None = None
        for uuid, original in originals.items():
            wanted, weight = target(original, factor), weights[uuid]
            if weight == wanted:
                continue
            if weight not in {original, target(original, held.factor)}:
                LOG.warning(
                    "The CPU weight of %s %s was set to %d by somebody else while it was squeezed; it becomes %d.",
                    *(framework, uuid, weight, wanted),
                )
            try:
                isolator.hold(uuid, Limits(cpu_weight=wanted), {Aspect.CPU_WEIGHT})
            except IsolationError as error:
                # The others are not to wait for this one.
                failure = error
        if failure is not None:
            raise failure
        if factor < 1:
            self._note(name, Squeeze(factor, originals))
        else:
            LOG.info("The CPU weights of %d %s task(s) are restored.", len(originals), framework)
            self._note(name, Squeeze())
        return True

    def _note(self, name: str, squeeze: Squeeze) -> None:
        def note(state: State) -> State:
            if state.squeezes.get(name, Squeeze()) == squeeze:
                return state
            squeezes = {**state.squeezes, name: squeeze}
            if squeeze == Squeeze():
                del squeezes[name]
            return replace(state, squeezes=squeezes)

        self._replica.update(note)


def _shown(factors: Mapping[str, Number]) -> str:
    return (
        ", ".join(f"{name} {number_to_wire(factor)}" for name, factor in factors.items()) or "none"
    )
