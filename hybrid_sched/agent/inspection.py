# SPDX-License-Identifier: Apache-2.0
"""One round of the agent: look at everything, hold the limits, squeeze, and sum up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from oslo_config import cfg

from hybrid_sched.agent.declarations import Declarations
from hybrid_sched.agent.events import Events
from hybrid_sched.agent.ownership import Named
from hybrid_sched.agent.reconcile import Outcome, Reconciler
from hybrid_sched.agent.replica import Replica
from hybrid_sched.agent.reporter import Findings, Reporter, Sight, fault
from hybrid_sched.agent.rounds import Round
from hybrid_sched.agent.squeeze import Squeezed, Squeezer
from hybrid_sched.declared import DeclaredContainers
from hybrid_sched.interfaces.monitor import MonitorSource
from hybrid_sched.rpc.isolation import MOST_SENTENCES, IsolationReport


class Inspector:
    """All that the agent does to its host.

    :param conf: options of the group ``[agent]``.
    :param sources: name and source, in order.
    :param isolators: name and isolator, in order.
    :param replica: what outlasts a restart.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        sources: Sequence[tuple[str, MonitorSource]],
        isolators: Sequence[Named],
        replica: Replica,
    ) -> None:
        self._conf = conf
        self._replica = replica
        self._declarations = Declarations(
            replica, DeclaredContainers(Path(conf.agent.declared_path)).get
        )
        self._reporter = Reporter(conf, sources, settle=self._declarations.settle)
        self._reconciler = Reconciler(conf, isolators, replica)
        self.squeezer = Squeezer(conf, isolators, replica)
        self.events = Events(replica)

    def inspect(self, due: Round) -> Findings:
        """Make a round; whatever failed is in the report.

        :raises NoTotals: until the totals have been seen once.
        """
        sight = self._reporter.look(self._replica.state)
        tasks, is_complete = sight.tasks, not sight.unknown
        self.events.look(tasks, complete=is_complete)
        if is_complete:
            self._declarations.forget({each.task.uuid for each in tasks})
        if due.sweep or due.events or self._reconciler.is_due(tasks):
            self._reconciler.reconcile(tasks, sight.unknown, again=due.sweep)
        outcome = self._reconciler.outcome
        # After the limits: what is squeezed is the weight that a task should have.
        squeezed = self.squeezer.apply(outcome.weights)
        return self._sum_up(sight, outcome, squeezed)

    def _sum_up(self, sight: Sight, outcome: Outcome, squeezed: Squeezed) -> Findings:
        findings = self._reporter.sum_up(sight, self._replica.state)
        faults = [*findings.report.faults, *squeezed.faults, *outcome.faults]
        if self._replica.fault is not None:
            faults.append(fault("state", self._replica.fault))
        state = self._replica.state
        isolation = IsolationReport(
            mode=self._conf.agent.isolation,
            applied=state.applied,
            repaired=state.repaired,
            pending=outcome.pending,
            missing=_bounded(outcome.missing),
            events=state.events,
        )
        report = replace(
            findings.report,
            squeezed=squeezed.factors,
            faults=_bounded(list(dict.fromkeys(faults))),
            isolation=isolation,
        )
        return replace(findings, report=report)


def _bounded(sentences: Sequence[str]) -> tuple[str, ...]:
    """Give as many sentences as a report takes."""
    if len(sentences) <= MOST_SENTENCES:
        return tuple(sentences)
    shown = MOST_SENTENCES - 1
    return (*sentences[:shown], f"{len(sentences) - shown} more: see the log of the agent.")
