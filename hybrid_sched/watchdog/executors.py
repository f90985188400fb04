# SPDX-License-Identifier: Apache-2.0
"""The executors of moves by name, made when they are first needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from oslo_config import cfg
from oslo_log import log

from hybrid_sched import loading
from hybrid_sched.conf import watchdog
from hybrid_sched.conf.quota import BadOption
from hybrid_sched.interfaces.executor import MigrationExecutor, MoveUnavailable

LOG = log.getLogger(__name__)

NAMESPACE = "hybrid_sched.migration.executor"
DRY_RUN = "dry_run"

_Told = TypeVar("_Told")

Make = Callable[[str, cfg.ConfigOpts], MigrationExecutor]


def load_executor(name: str, conf: cfg.ConfigOpts) -> MigrationExecutor:
    """Make an executor.

    :raises PluginNotFound: when there is none of that name.
    """
    [(_, made)] = loading.load(NAMESPACE, [name], conf)
    executor: MigrationExecutor = made
    return executor


class Executors:
    """The executors of one term.

    :param conf: options of the group ``[watchdog]``, and those of the executors.
    :param make: makes one by its name.
    """

    def __init__(self, conf: cfg.ConfigOpts, make: Make = load_executor) -> None:
        self._conf = conf
        self._make = make
        self._made: dict[str, MigrationExecutor] = {}
        self._apart: dict[str, Sequence[frozenset[str]]] = {}
        self._closed: dict[str, Mapping[str, str]] = {}
        self._said: dict[str, str] = {}

    def get(self, name: str) -> MigrationExecutor | None:
        """Give an executor; None when there is none of that name, which is said once."""
        if name not in self._made:
            try:
                self._made[name] = self._make(name, self._conf)
            except (loading.PluginNotFound, ValueError) as fault:
                self._say(name, f"[watchdog] executors: {name} cannot be used: {fault}.")
                return None
        return self._made[name]

    def by_framework(self) -> dict[str, str]:
        """Give the name of the executor that moves the tasks of each framework now; frameworks without one are left out."""
        try:
            named = watchdog.executors(self._conf)
        except BadOption as fault:
            self._say("", f"Nothing is moved: {fault}.")
            return {}
        if self._conf.watchdog.mode == DRY_RUN:
            named = dict.fromkeys(named, DRY_RUN)
        usable = {}
        for framework, name in named.items():
            executor = self.get(name)
            if executor is None:
                continue
            if framework in executor.frameworks:
                usable[framework] = name
            else:
                moved = ", ".join(sorted(executor.frameworks))
                self._say(
                    framework,
                    f"[watchdog] executors: {name} does not move tasks of {framework}, it moves {moved}.",
                )
        return usable

    def apart(self) -> tuple[frozenset[str], ...]:
        """Give the groups of tasks of which no two may share a host, as the executors that move tasks now tell them.

        A service that does not answer is taken to say what it said last.
        """
        what = "Groups of tasks that have to be apart"
        return tuple(
            group
            for name in sorted(set(self.by_framework().values()))
            for group in self._newest(name, what, self._apart, self._made[name].apart) or ()
        )

    def closed(self) -> dict[tuple[str, str], str]:
        """Give the hosts that take no more tasks, by framework and host, each with why as a phrase.

        A service that does not answer is taken to say what it said last.
        """
        what = "Hosts that take no more tasks"
        return {
            (framework, host): why
            for framework, name in self.by_framework().items()
            for host, why in (
                self._newest(name, what, self._closed, self._made[name].closed) or {}
            ).items()
        }

    def _newest(
        self, name: str, what: str, told: dict[str, _Told], ask: Callable[[], _Told]
    ) -> _Told | None:
        """Give what an executor tells, or told last; None when it has told nothing yet."""
        try:
            told[name] = ask()
            self._said.pop(f"{name}: {what}", None)
        except MoveUnavailable as fault:
            self._say(f"{name}: {what}", f"{what}: {fault}")
        return told.get(name)

    def _say(self, about: str, text: str) -> None:
        # Said once for each reason, not each period.
        if self._said.get(about) != text:
            self._said[about] = text
            LOG.error("%s", text)
