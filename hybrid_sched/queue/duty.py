# SPDX-License-Identifier: Apache-2.0
"""The queue of declared tasks as the leading engine works on it: its runner in a thread, and what answers for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from oslo_config import cfg
from oslo_log import log
from prometheus_client.registry import Collector

from hybrid_sched.clients.nova import nova_client
from hybrid_sched.clients.session import ServiceFault
from hybrid_sched.clients.trusts import end_trust
from hybrid_sched.conf.clients import BadClientOption
from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from hybrid_sched.core.queued import QueuedTask
from hybrid_sched.db import Database
from hybrid_sched.db.tasks import TaskStore
from hybrid_sched.interfaces.launcher import CloudUnavailable, Launcher, LaunchFault
from hybrid_sched.queue.endpoint import QueueEndpoint
from hybrid_sched.queue.launchers.nova import nova_launcher
from hybrid_sched.queue.launchers.zun import zun_launcher
from hybrid_sched.queue.packers import PoolPackers
from hybrid_sched.queue.planning import Cluster, QueuePlanner
from hybrid_sched.queue.runner import QueueRunner, no_credentials
from hybrid_sched.queue.tasks import BadTask, TaskQueue
from hybrid_sched.quota.duty import TermThread

LOG = log.getLogger(__name__)


class QueueDuty:
    """Work on the queue during one term.

    :param conf: options of the groups ``[queue]``, ``[nova]`` and ``[zun]``.
    :param term: fencing token of the leader.
    :param database: of the tasks.
    :param cluster: the engine.
    :param over: called when the term turns out to be over.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        term: int,
        database: Database,
        cluster: Cluster,
        over: Callable[[], None],
    ) -> None:
        self._options = conf.queue
        self._thread = TermThread("queue", self._run_round, lambda: self._options.period_s, over)
        launchers = launchers_of(conf)
        store = TaskStore(database)
        nova = nova_client(conf)
        packers = PoolPackers(conf, None if nova is None else nova.aggregates)
        planner = QueuePlanner(cluster, store, packers)
        trusts = TrustedLaunchers(conf)
        self.runner = QueueRunner(
            *(conf, store, launchers, planner, term),
            make_trusted=trusts.make,
            end_trust=trusts.end,
        )
        queue = TaskQueue(store, term, resolver(launchers))
        self.endpoints = (QueueEndpoint(queue, PlannedOutlook(self.runner, planner)),)
        self.collectors: tuple[Collector, ...] = ()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; a round that is under way is finished."""
        self._thread.stop()

    def _run_round(self) -> None:
        if self._options.enabled:
            self.runner.run_round()


class PlannedOutlook:
    """What is expected of tasks, from the newest plan.

    :param runner: has the newest plan.
    :param planner: estimates durations.
    """

    def __init__(self, runner: QueueRunner, planner: QueuePlanner) -> None:
        self._runner = runner
        self._planner = planner

    def waits(self) -> Mapping[str, str]:
        """Give a sentence for each task that waits."""
        return self._runner.newest_plan.waits

    def estimate(self, task: QueuedTask) -> str:
        """Say how long a task is expected to run."""
        return self._planner.estimate(task, time.time()).text


class TrustedLaunchers:
    """Launchers that act by trusts, in the names of those who declared tasks.

    :param conf: options of the groups ``[nova]``, ``[zun]`` and ``[trustee]``.
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf

    def make(self, framework: str, trust_id: str) -> Launcher | None:
        """Make the launcher of a framework; None where there are no credentials."""
        make = {HYPERVISOR: nova_launcher, CONTAINER: zun_launcher}[framework]
        try:
            return make(self._conf, trust_id)
        except BadClientOption as error:
            LOG.error("Tasks of framework %s cannot be launched by trusts: %s.", framework, error)
            return None

    def end(self, trust_id: str) -> bool:
        """Take a trust back; says whether it is over."""
        try:
            end_trust(self._conf, trust_id)
        except ServiceFault as fault:
            LOG.warning("Trust %s cannot be taken back now: %s.", trust_id, fault)
            return False
        return True


def launchers_of(conf: cfg.ConfigOpts) -> dict[str, Launcher]:
    """Make the launcher of each framework for which there are credentials.

    :raises BadClientOption: when the options cannot be used.
    """
    made = {HYPERVISOR: nova_launcher(conf), CONTAINER: zun_launcher(conf)}
    return {framework: launcher for framework, launcher in made.items() if launcher is not None}


def resolver(launchers: Mapping[str, Launcher]) -> Callable[[QueuedTask], QueuedTask]:
    """Make what gives a task its demand.

    :param launchers: by framework.
    :returns: raises :class:`~hybrid_sched.queue.tasks.BadTask` for a task that cannot be launched.
    """

    def resolve(task: QueuedTask) -> QueuedTask:
        launcher = launchers.get(task.framework)
        if launcher is None:
            raise BadTask(no_credentials(task.framework))
        try:
            return replace(task, demand=launcher.resolve(task.spec))
        except LaunchFault as fault:
            raise BadTask(str(fault)) from None
        except CloudUnavailable as fault:
            raise BadTask(f"its demand cannot be told now, send it again later: {fault}") from None

    return resolve
