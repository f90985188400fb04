# SPDX-License-Identifier: Apache-2.0
"""The contract of an isolator: entry points of ``hybrid_sched.isolator``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from oslo_config import cfg


class IsolationError(Exception):
    """A limit cannot be read or set now; the message is a sentence with the remedy."""


class Isolator(ABC):
    """What can hold the tasks of one framework on a host to their limits, live.

    An isolator is made once for each agent. It keeps nothing that a restart of the agent would lose.

    :param conf: options of the group ``[agent]``.
    """

    #: The framework whose tasks it reaches.
    framework: str

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf

    @abstractmethod
    def cpu_weights(self) -> Mapping[str, int]:
        """Read the CPU weight of each task that has one, by its uuid, in the back end's own unit (1024 a core by default).

        :raises IsolationError: when the back end cannot tell.
        """

    @abstractmethod
    def set_cpu_weight(self, uuid: str, weight: int) -> None:
        """Set the CPU weight of one task; one that is gone by now is no error.

        :param uuid: of the task.
        :param weight: 2 or more, in the unit of :meth:`cpu_weights`.
        :raises IsolationError: when the back end refuses.
        """
