# SPDX-License-Identifier: Apache-2.0
"""Changes of a request or of the cluster that would let the request in, and how they are said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hybrid_sched.core.cluster import DEFAULT_POOL, Task
from hybrid_sched.core.resources import Number, Resources


@dataclass(frozen=True, slots=True)
class FlavorChange:
    """Ask for less.

    :param demand: the largest one, not above what is asked, that is let in.
    :param reduced: what was asked of the resources that are reduced.
    :param host: to which it would go.
    """

    demand: Resources
    reduced: Mapping[str, Number]
    host: str
    kind: str = field(default="flavor", init=False)

    @property
    def text(self) -> str:
        """Say it in a sentence."""
        amounts = self.demand._asdict()
        less = " and ".join(
            f"{_shown(amounts[name])} instead of {_shown(asked)} {name}"
            for name, asked in self.reduced.items()
        )
        same = " and ".join(
            f"{_shown(amount)} {name}"
            for name, amount in self.demand.declared().items()
            if name not in self.reduced
        )
        kept = f", with {same} as asked" if same else ""
        return f"ask for {less}{kept}: it would go to host {self.host}"


@dataclass(frozen=True, slots=True)
class WeightChange:
    """Give the framework a larger weight in a pool.

    :param pool: where.
    :param framework: whose.
    :param weight: the smallest that lets it in.
    :param before: its weight now.
    :param host: to which it would go.
    """

    pool: str
    framework: str
    weight: Number
    before: Number
    host: str
    kind: str = field(default="weight", init=False)

    @property
    def text(self) -> str:
        """Say it in a sentence, with the command."""
        where = "" if self.pool == DEFAULT_POOL else f" --pool {self.pool}"
        return (
            f"raise the weight of {self.framework} from {_shown(self.before)} to {decimal(self.weight)} "
            f"(hybrid-sched-manage framework set-weight {self.framework} {decimal(self.weight)}{where}): "
            f"it would go to host {self.host}"
        )


@dataclass(frozen=True, slots=True)
class MoveChange:
    """Move one task to another host.

    :param task: which.
    :param source: host that it is on.
    :param target: host of the same pool that has room for it.
    :param host: to which the request would go.
    """

    task: Task
    source: str
    target: str
    host: str
    kind: str = field(default="move", init=False)

    @property
    def text(self) -> str:
        """Say it in a sentence."""
        return (
            f"move {_named(self.task)} from host {self.source} to host {self.target}: "
            f"it would go to host {self.host}"
        )


@dataclass(frozen=True, slots=True)
class EndChange:
    """Let one task end.

    :param task: which.
    :param source: host that it is on.
    :param host: to which the request would go.
    """

    task: Task
    source: str
    host: str
    kind: str = field(default="end", init=False)

    @property
    def text(self) -> str:
        """Say it in a sentence."""
        return (
            f"wait until {_named(self.task)} on host {self.source} ends: "
            f"it would go to host {self.host}"
        )


Change = FlavorChange | WeightChange | MoveChange | EndChange


def decimal(number: Number) -> str:
    """Write a weight that was found as a decimal, exactly: its step is a power of ten."""
    places = 0
    while (number * 10**places).denominator != 1:
        places += 1
    digits = str(int(number * 10**places)).rjust(places + 1, "0")
    return f"{digits[:-places]}.{digits[-places:]}" if places else digits


def _shown(number: Number) -> str:
    return str(number) if isinstance(number, int) else f"{float(number):g}"


def _named(task: Task) -> str:
    name = f" ({task.name})" if task.name else ""
    demand = ", ".join(
        f"{_shown(amount)} {what}" for what, amount in task.demand.declared().items()
    )
    return f"the task {task.uuid}{name} of framework {task.framework} with {demand}"
