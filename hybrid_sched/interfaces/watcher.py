# SPDX-License-Identifier: Apache-2.0
"""The contract of a watcher: entry points of ``hybrid_sched.watcher``."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from oslo_config import cfg


class WatchError(Exception):
    """What is watched does not tell, or not any more; the message is a sentence with the remedy."""


class Kind(StrEnum):
    """What happened."""

    #: The watcher listens from now on; what happened before is not known.
    LISTENING = "listening"
    #: A task started, ended, or got other devices or limits.
    CHANGED = "changed"
    #: The kernel ended a process of a task, because the task reached its memory limit.
    OOM_KILL = "oom_kill"


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that was told.

    :param kind: what happened.
    :param uuid: of the task; empty where it is of none.
    """

    kind: Kind
    uuid: str = ""


class Watcher(ABC):
    """One thing on a host that tells when something happens to tasks, rather than when it is asked.

    A watcher is made once for each agent.

    :param conf: options of the group ``[agent]``.
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf

    @abstractmethod
    def watch(self, tell: Callable[[Happening], None], stopping: threading.Event) -> None:
        """Listen, and tell; it is called in a thread of its own, and again a while after it failed.

        :param tell: takes what happens, the first being that it listens. It returns at once.
        :param stopping: once set, it returns within a few seconds; a thread that cannot ends with the process.
        :raises WatchError: when it cannot listen, or not any more.
        """
