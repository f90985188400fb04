# SPDX-License-Identifier: Apache-2.0
"""Which isolator holds which limit of which tasks: the first in order that reaches them and can."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from hybrid_sched.agent.reporter import fault
from hybrid_sched.core.limits import Aspect, Limits
from hybrid_sched.interfaces.isolator import Ability, IsolationError, Isolator

Named = tuple[str, Isolator]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Owners:
    """Who holds what.

    :param names: of the isolator, by framework and aspect.
    :param missing: why nothing holds it, by framework and aspect, where an isolator says so.
    :param faults: a sentence for each isolator that could not be asked.
    """

    names: Mapping[tuple[str, Aspect], str]
    missing: Mapping[tuple[str, Aspect], str]
    faults: tuple[str, ...] = ()

    def aspects(self, name: str, framework: str) -> frozenset[Aspect]:
        """Give what an isolator holds of a framework's tasks."""
        return frozenset(
            aspect
            for (of_framework, aspect), owner in self.names.items()
            if owner == name and of_framework == framework
        )

    def why_missing(self, framework: str, aspect: Aspect) -> str | None:
        """Say why nothing holds a limit; None when something does."""
        if (framework, aspect) in self.names:
            return None
        said = self.missing.get((framework, aspect))
        return said or (
            f"{aspect} of {framework} tasks is held by none of [agent] isolators: add one that does."
        )


class Abilities:
    """What each isolator can do, as it said last: while its back end is away its limits are not another's."""

    def __init__(self) -> None:
        self._known: dict[str, Ability] = {}

    def ask(self, isolators: Sequence[Named]) -> Owners:
        """Ask all of them.

        :param isolators: name and isolator, in order.
        """
        names: dict[tuple[str, Aspect], str] = {}
        missing: dict[tuple[str, Aspect], str] = {}
        faults = []
        for name, isolator in isolators:
            try:
                self._known[name] = _again(isolator.ability)
            except IsolationError as error:
                faults.append(fault(name, error))
            ability = self._known.get(name)
            if ability is None:
                continue
            for framework in isolator.frameworks:
                for aspect in ability.aspects:
                    names.setdefault((framework, aspect), name)
                for aspect, sentence in ability.missing.items():
                    missing.setdefault((framework, aspect), fault(name, sentence))
        return Owners(names, missing, tuple(faults))


@dataclass(frozen=True, slots=True)
class Readings:
    """What holds the tasks now.

    :param limits: by isolator, then by uuid; of those that answered.
    :param faults: a sentence for each that did not.
    """

    limits: Mapping[str, Mapping[str, Limits]]
    faults: tuple[str, ...] = ()

    def of(self, name: str | None, uuid: str) -> Limits | None:
        """Give what an isolator read of a task; None when it did not."""
        return None if name is None else self.limits.get(name, {}).get(uuid)


def read_all(isolators: Sequence[Named], owners: Owners) -> Readings:
    """Read back from all isolators that hold something."""
    limits = {}
    faults = []
    holding = set(owners.names.values())
    for name, isolator in isolators:
        if name not in holding:
            continue
        try:
            limits[name] = _again(isolator.read)
        except IsolationError as error:
            faults.append(fault(name, error))
    return Readings(limits, tuple(faults))


def _again(ask: Callable[[], T]) -> T:
    """Ask once more: that a back end was restarted is noticed by the first question, and the next one finds it."""
    try:
        return ask()
    except IsolationError:
        return ask()
