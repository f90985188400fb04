# SPDX-License-Identifier: Apache-2.0
"""The runner of the queue: it launches what the planner starts, watches what runs, and ends what is to end."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Protocol

from oslo_config import cfg
from oslo_log import log

from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from hybrid_sched.core.queued import QueuedTask, QueuePlan, Start, TaskState
from hybrid_sched.interfaces.launcher import (
    CloudUnavailable,
    Launched,
    Launcher,
    LaunchFault,
    Phase,
)
from hybrid_sched.queue.accounts import Account, Accounts, MakeTrusted, account_of, no_trusted
from hybrid_sched.queue.supervision import Rules, launch_refused, not_launched, supervise

LOG = log.getLogger(__name__)

_SUPERVISED = frozenset({TaskState.LAUNCHING, TaskState.RUNNING, TaskState.ENDING})
_FORGET_PERIOD_S = 600.0


#: Group of the options with which each framework is launched.
_GROUPS = {HYPERVISOR: "nova", CONTAINER: "zun"}


def no_credentials(framework: str) -> str:
    """Say why nothing of a framework can be launched."""
    return (
        f"The engine has no credentials to launch tasks of framework {framework}: an operator must set "
        f"[{_GROUPS.get(framework, framework)}] auth_type and what goes with it, and [trustee] for tasks of projects."
    )


class Tasks(Protocol):
    """The part of :class:`hybrid_sched.db.tasks.TaskStore` that the runner uses."""

    def get(self, uuid: str) -> QueuedTask | None:
        """Give one task."""

    def unfinished(self) -> list[QueuedTask]:
        """Give all tasks that are in no final state."""

    def update(self, task: QueuedTask, expected: TaskState, term: int) -> bool:
        """Write a task if its state is still the expected one."""

    def forget(self, before_s: float, term: int) -> int:
        """Remove tasks that ended before a time."""

    def trusted_accounts(self) -> Sequence[tuple[str, str]]:
        """Give each framework and trust of tasks whose trust is not over."""

    def spent_trusts(self, before_s: float) -> Sequence[str]:
        """Give the trusts whose tasks have all ended before a time."""

    def forget_trust(self, trust_id: str, term: int) -> None:
        """Note that a trust is over."""


@dataclass(frozen=True, slots=True)
class Round:
    """What the planner says of one round.

    :param plan: what starts, for whom room is held, and why the others wait.
    :param hopeless: a sentence for each waiting task that can start no more.
    """

    plan: QueuePlan = field(default_factory=QueuePlan)
    hopeless: Mapping[str, str] = field(default_factory=dict)


class Planner(Protocol):
    """Says what starts now."""

    def plan(self, tasks: Sequence[QueuedTask], blocked: Mapping[str, str], now_s: float) -> Round:
        """Plan a round.

        :param tasks: all that are in no final state.
        :param blocked: a sentence for each waiting task that cannot be launched now, whatever room there is.
        :param now_s: Unix time.
        :raises DatabaseError: when the database cannot be used.
        """


@dataclass(frozen=True, slots=True)
class _Answer:
    """How a launch went: one of these is set, or nothing when nobody knows."""

    server: str = ""
    refusal: LaunchFault | None = None
    unsent: str = ""


class QueueRunner:
    """Work on the queue as the leader of one term.

    Whatever is done is written first, with compare-and-set and the term: a task is LAUNCHING in the database before its
    service is asked, so that an engine which takes over looks for what its predecessor may have asked for. What carries the
    key of a task and is not the task's own server or container is deleted, so that none runs twice.

    :param conf: options of the group ``[queue]``; they are read each round.
    :param tasks: the store.
    :param launchers: by framework; a framework that is missing has no credentials.
    :param planner: says what starts.
    :param term: fencing token of the leader.
    :param clock_s: Unix time.
    :param make_trusted: makes launchers that act by a trust.
    :param end_trust: takes a trust back that no task needs any more; says whether it is over.
    """

    def __init__(  # noqa: PLR0917 - what it works on
        self,
        conf: cfg.ConfigOpts,
        tasks: Tasks,
        launchers: Mapping[str, Launcher],
        planner: Planner,
        term: int,
        clock_s: Callable[[], float] = time.time,
        make_trusted: MakeTrusted = no_trusted,
        end_trust: Callable[[str], bool] = lambda _trust_id: True,
    ) -> None:
        self._options = conf.queue
        self._tasks = tasks
        self._accounts = Accounts(launchers, make_trusted)
        self._end_trust = end_trust
        self._planner = planner
        self._term = term
        self._clock_s = clock_s
        # Kept in memory alone: after a restart pauses begin small again, and deletes are asked for once more.
        self._failures: defaultdict[str, int] = defaultdict(int)
        self._asked_to_delete: dict[tuple[Account, str], float] = {}
        self._rightful: set[tuple[Account, str]] = set()
        self._down: dict[Account, str] = {}
        self._said: dict[object, str] = {}
        # An earlier engine may have left something behind although no task is under way any more.
        self._watch_until_s = clock_s() + 2 * self._options.settle_s
        self._forget_due_s = 0.0
        self._trusts_due_s = 0.0
        self.newest_plan = QueuePlan()

    def run_round(self) -> None:
        """Watch, end, plan and launch once.

        :raises Deposed: when another engine leads.
        :raises DatabaseError: when the database cannot be used; the next round goes on from what is in it.
        """
        now_s = self._clock_s()
        tasks = {task.uuid: task for task in self._tasks.unfinished()}
        if any(task.state in _SUPERVISED for task in tasks.values()):
            self._watch_until_s = now_s + 2 * self._options.settle_s
        self._down = {}
        remains: set[str] = set()
        accounts = self._watched()
        if tasks or now_s < self._watch_until_s or any(each.trust_id for each in accounts):
            remains = self._supervise(tasks, accounts, now_s)
        self._plan_and_launch(tasks, remains, now_s)
        for account in [each for each in self._said if isinstance(each, Account)]:
            if account not in self._down:
                del self._said[account]
                LOG.info("The service of framework %s answers again.", account)
        self._end_trusts(now_s)
        self._forget(now_s)

    def _supervise(
        self, tasks: dict[str, QueuedTask], accounts: Iterable[Account], now_s: float
    ) -> set[str]:
        """Look at what there is; gives the keys of tasks of which something is left that must go first."""
        remains: set[str] = set()
        for account in accounts:
            mine = [task for task in tasks.values() if account_of(task) == account]
            watched = [task for task in mine if task.state in _SUPERVISED]
            try:
                servers = {task.server for task in watched if task.server}
                seen = self._accounts[account].look(servers)
            except CloudUnavailable as fault:
                self._is_down(account, str(fault))
                continue
            self._drop_what_is_gone(account, seen)
            by_key: defaultdict[str, list[Launched]] = defaultdict(list)
            for each in seen.values():
                if each.key:
                    by_key[each.key].append(each)
            for task in watched:
                self._judge(tasks, task, by_key, seen, now_s)
            remains |= self._delete_strays(tasks, account, by_key)
        return remains

    def _watched(self) -> list[Account]:
        """List the accounts that are looked at: those of the operator, and of trusts that are not over."""
        trusted = [Account(*each) for each in self._tasks.trusted_accounts()]
        return [*self._accounts.of_operator(), *filter(self._accounts.get, trusted)]

    def _judge(
        self,
        tasks: dict[str, QueuedTask],
        task: QueuedTask,
        by_key: Mapping[str, list[Launched]],
        seen: Mapping[str, Launched],
        now_s: float,
    ) -> None:
        found = list(by_key.get(task.uuid, ()))
        if task.server and all(each.uuid != task.server for each in found):
            # It is gone, or somebody took its key off.
            found.append(seen[task.server])
        if not task.server and not found and now_s >= task.not_before_s:
            # Before it is taken as lost it is looked for by itself: a listing of many pages may have a gap.
            try:
                found = self._accounts[account_of(task)].find(task.uuid)
            except CloudUnavailable as fault:
                self._is_down(account_of(task), str(fault))
                return
        verdict = supervise(task, found, now_s, self._rules(), self._failures[task.uuid])
        if verdict.failed:
            self._failures[task.uuid] += 1
        elif verdict.task.state is not TaskState.LAUNCHING:
            self._failures.pop(task.uuid, None)
        if verdict.task == task or self._write(tasks, task, verdict.task):
            for uuid in verdict.delete:
                self._delete(account_of(task), uuid)

    def _delete_strays(
        self,
        tasks: Mapping[str, QueuedTask],
        account: Account,
        by_key: Mapping[str, Sequence[Launched]],
    ) -> set[str]:
        """Delete what carries the key of a task and is not its own, for example of an engine that was cut off."""
        remains = set()
        for key, found in by_key.items():
            task = tasks.get(key)
            if task is not None and account_of(task) != account:
                # Whoever owns a server may write any key on it; it is no task's of another owner.
                continue
            for each in found:
                if (account, each.uuid) in self._rightful:
                    continue
                if task is not None and task.state in _SUPERVISED and each.uuid == task.server:
                    continue
                if task is None and not self._is_left_over(account, key, each):
                    self._rightful.add((account, each.uuid))
                    continue
                remains.add(key)
                self._delete(account, each.uuid)
        return remains

    def _is_left_over(self, account: Account, key: str, launched: Launched) -> bool:
        """Say of what carries the key of no unfinished task whether it should have been deleted."""
        task = self._tasks.get(key)
        if task is None or account_of(task) != account:
            return False
        return not (task.spec.get("keep") and task.server == launched.uuid)

    def _plan_and_launch(
        self, tasks: dict[str, QueuedTask], remains: Collection[str], now_s: float
    ) -> None:
        blocked = {
            uuid: text
            for uuid, task in tasks.items()
            if task.state is TaskState.WAITING and (text := self._blocks(task, remains))
        }
        planned = self._planner.plan(list(tasks.values()), blocked, now_s)
        self.newest_plan = planned.plan
        for uuid, text in planned.hopeless.items():
            failed = replace(tasks[uuid], state=TaskState.FAILED, ended_at_s=now_s, text=text)
            self._write(tasks, tasks[uuid], failed)
        begun = []
        for start in planned.plan.starts:
            task = tasks.get(start.task)
            if task is not None and task.state is TaskState.WAITING and task.uuid not in blocked:
                begun += self._begin(tasks, task, start, now_s)
        if begun:
            self._launch(tasks, begun, now_s)

    def _blocks(self, task: QueuedTask, remains: Collection[str]) -> str:
        """Say what keeps a waiting task from being launched, whatever room there is; empty when nothing does."""
        account = account_of(task)
        if self._accounts.get(account) is None:
            return no_credentials(task.framework)
        if account in self._down:
            return f"It waits for its service: {self._down[account]}"
        if task.uuid in remains:
            return "What is left of its last launch is being deleted."
        return ""

    def _begin(
        self, tasks: dict[str, QueuedTask], task: QueuedTask, start: Start, now_s: float
    ) -> list[QueuedTask]:
        launching = replace(
            task,
            state=TaskState.LAUNCHING,
            attempts=task.attempts + 1,
            host=start.host,
            server="",
            not_before_s=now_s + self._options.settle_s,
            text=start.text,
        )
        return [launching] if self._write(tasks, task, launching) else []

    def _launch(
        self, tasks: dict[str, QueuedTask], begun: Iterable[QueuedTask], now_s: float
    ) -> None:
        rules = self._rules()
        pool = ThreadPoolExecutor(self._options.launch_threads, thread_name_prefix="launch")
        try:
            answers = [(task, pool.submit(self._ask, task, now_s)) for task in begun]
            for task, future in answers:
                answer = future.result()
                if answer.server:
                    self._write(tasks, task, replace(task, server=answer.server))
                elif answer.refusal is not None:
                    back = launch_refused(
                        task, answer.refusal, self._clock_s(), rules, self._failures[task.uuid]
                    )
                    self._failures[task.uuid] += 1
                    self._write(tasks, task, back)
                elif answer.unsent:
                    self._write(tasks, task, not_launched(task, answer.unsent))
        finally:
            # Whoever is deposed in between sends no more.
            pool.shutdown(wait=True, cancel_futures=True)

    def _ask(self, task: QueuedTask, began_s: float) -> _Answer:
        """Ask for one task, unless its service is down, or so late that its successor may take it as lost."""
        account = account_of(task)
        if account in self._down:
            return _Answer(unsent="Its service does not answer; it waits for its turn again.")
        if self._clock_s() - began_s > self._options.settle_s / 2:
            return _Answer(unsent="The launches before it took too long; it waits for its turn.")
        try:
            return _Answer(server=self._accounts[account].launch(task, task.host))
        except LaunchFault as fault:
            return _Answer(refusal=fault)
        except CloudUnavailable as fault:
            self._is_down(account, str(fault))
            return _Answer()

    def _delete(self, account: Account, uuid: str) -> None:
        now_s = self._clock_s()
        asked_s = self._asked_to_delete.get((account, uuid))
        if account in self._down or (
            asked_s is not None and now_s - asked_s < self._options.settle_s
        ):
            return
        try:
            self._accounts[account].delete(uuid)
            self._asked_to_delete[account, uuid] = now_s
        except LaunchFault as fault:
            self._say(uuid, f"{uuid} of {account} cannot be deleted now: {fault}")
        except CloudUnavailable as fault:
            self._is_down(account, str(fault))

    def _write(self, tasks: dict[str, QueuedTask], before: QueuedTask, after: QueuedTask) -> bool:
        """Write a task and note it for the rest of the round; says whether its state was still the one that was read."""
        if not self._tasks.update(after, before.state, self._term):
            tasks.pop(before.uuid, None)
            return False
        if after.state is not before.state:
            LOG.info("Task %s (%s): %s. %s", after.uuid, after.name, after.state, after.text)
        if after.state.is_final:
            tasks.pop(after.uuid, None)
            self._failures.pop(after.uuid, None)
        else:
            tasks[after.uuid] = after
        return True

    def _forget(self, now_s: float) -> None:
        if now_s >= self._forget_due_s:
            self._forget_due_s = now_s + _FORGET_PERIOD_S
            self._tasks.forget(now_s - self._options.forget_after_s, self._term)

    def _end_trusts(self, now_s: float) -> None:
        """Take the trusts back whose tasks have all ended, when nothing more can turn up of them."""
        if now_s < self._trusts_due_s:
            return
        self._trusts_due_s = now_s + self._options.settle_s
        for trust_id in self._tasks.spent_trusts(now_s - 2 * self._options.settle_s):
            if self._end_trust(trust_id):
                self._tasks.forget_trust(trust_id, self._term)
                self._accounts.forget(trust_id)

    def _drop_what_is_gone(self, account: Account, seen: Mapping[str, Launched]) -> None:
        """Keep nothing in memory about what exists no more."""

        def is_there(about: tuple[Account, str]) -> bool:
            of, uuid = about
            return of != account or (uuid in seen and seen[uuid].phase is not Phase.GONE)

        self._asked_to_delete = {
            about: at_s for about, at_s in self._asked_to_delete.items() if is_there(about)
        }
        self._rightful = set(filter(is_there, self._rightful))

    def _rules(self) -> Rules:
        options = self._options
        return Rules(
            max_attempts=options.max_attempts,
            retry_pause_s=options.retry_pause_s,
            retry_pause_max_s=options.retry_pause_max_s,
            settle_s=options.settle_s,
            launch_timeout_s=options.launch_timeout_s,
        )

    def _is_down(self, account: Account, text: str) -> None:
        self._down[account] = text
        self._say(account, f"Tasks of {account} stay as they are: {text}")

    def _say(self, about: object, text: str) -> None:
        # Said once for each reason, not each round.
        if self._said.get(about) != text:
            self._said[about] = text
            LOG.warning("%s", text)
