# SPDX-License-Identifier: Apache-2.0
"""Why a request went where it went: the steps of each attempt to place it, put together and said in words.

Guests and containers are told of in the same words, as they are decided by the same rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from hybrid_sched.core.decision import Decision, Stage
from hybrid_sched.core.resources import Number

_NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to place a request: what the share gate said, the order, and where it was seen afterwards.

    :param gate: None where the share gate was not asked.
    :param order: None where the order was not asked.
    :param claimed: where the task was seen; None when it was not.
    """

    gate: Decision | None = None
    order: Decision | None = None
    claimed: Decision | None = None

    @property
    def first(self) -> Decision:
        """Give the step that tells of the request itself."""
        step = self.gate or self.order or self.claimed
        if step is None:
            raise ValueError("an attempt has at least one step")
        return step

    @property
    def candidates(self) -> int:
        """Count the hosts that the first step was asked about."""
        step = self.gate or self.order
        if step is None:
            return 0
        return len(step.hosts) + step.more_hosts + len(step.refused) + step.more_refused

    @property
    def refused(self) -> Mapping[str, str]:
        """Give why not each host that the share gate refused."""
        return self.gate.refused if self.gate is not None else _NOTHING

    @property
    def dropped(self) -> tuple[str, ...]:
        """Name the hosts that passed the share gate and did not reach the order: other filters refused them.

        Where the lists are cut nothing can be told.
        """
        if self.gate is None or self.order is None or self.gate.more_hosts or self.order.more_hosts:
            return ()
        reached = set(self.order.hosts)
        return tuple(host for host in self.gate.hosts if host not in reached)

    @property
    def share_text(self) -> str:
        """Say what the share gate said."""
        if self.gate is None:
            return "the share gate was not asked: see that HybridShareFilter is enabled"
        if self.gate.text:
            return self.gate.text
        if self.gate.refused_by_share:
            return "no host, for the share alone: see what was refused"
        return "no host passed: see what was refused" if not self.gate.hosts else "it let pass"

    @property
    def order_text(self) -> str:
        """Say by which rule the hosts were ordered."""
        if self.order is not None:
            return self.order.text
        if self.gate is not None and not self.gate.hosts:
            return "nothing was left to be ordered"
        if self._only_host:
            return f"host {self._only_host} alone passed the share gate, so that there was nothing to order"
        return "the order was not asked: other filters refused all hosts, or it is not enabled"

    @property
    def weights(self) -> tuple[tuple[str, Number], ...]:
        """Give the weight of each host, best first."""
        if self.order is None:
            return ()
        return tuple(zip(self.order.hosts, self.order.weights, strict=False))

    @property
    def chosen(self) -> str:
        """Name the host that came first in the order, or was the only one; empty without one."""
        if self.order is None:
            return self._only_host
        return self.order.hosts[0] if self.order.hosts else ""

    @property
    def _only_host(self) -> str:
        """Name the host that passed the share gate where no other one did: Nova orders nothing then."""
        is_one = self.gate is not None and len(self.gate.hosts) == 1 and not self.gate.more_hosts
        return self.gate.hosts[0] if self.gate is not None and is_one else ""

    @property
    def claimed_on(self) -> str:
        """Name the host on which the task was seen; empty when it was not."""
        return self.claimed.hosts[0] if self.claimed is not None and self.claimed.hosts else ""

    @property
    def outcome(self) -> str:
        """Say how it went."""
        chosen, claimed = self.chosen, self.claimed_on
        if claimed and claimed == chosen:
            return f"it was claimed on host {claimed}, the first of the order"
        if claimed and chosen:
            return (
                f"it was claimed on host {claimed}, although host {chosen} was the first of the order: "
                "that one could not be claimed any more, or a weigher or the user wanted another"
            )
        if claimed:
            return f"it was claimed on host {claimed}"
        if chosen:
            return (
                f"host {chosen} was the first of the order, and the task was not seen on a host yet"
            )
        if self.gate is not None and not self.gate.hosts:
            return "no host passed the share gate"
        return "hosts passed the share gate, and none was ordered"


def attempts(steps: Iterable[Decision]) -> list[Attempt]:
    """Put the steps of one request together.

    A scheduler asks the gate first and then the order; what is asked of the gate again is a new attempt, as after a claim that
    failed or when a task moves.

    :param steps: of one request, the oldest first.
    :returns: the oldest first; none without steps.
    """
    made: list[Attempt] = []
    for step in steps:
        last = made[-1] if made else None
        match step.stage:
            case Stage.SHARE_GATE:
                made.append(Attempt(gate=step))
            case Stage.ORDER:
                if last is None or last.order is not None or last.claimed is not None:
                    made.append(Attempt(order=step))
                else:
                    made[-1] = replace(last, order=step)
            case Stage.CLAIMED:
                if last is None:
                    made.append(Attempt(claimed=step))
                else:
                    # A task that is moved by hand is seen twice; the last time counts.
                    made[-1] = replace(last, claimed=step)
    return made
