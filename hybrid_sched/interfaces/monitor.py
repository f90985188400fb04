# SPDX-License-Identifier: Apache-2.0
"""The contract of a monitor source: entry points of ``hybrid_sched.monitor.source``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from oslo_config import cfg

from hybrid_sched.core.cluster import Task


class SourceError(Exception):
    """A source cannot answer now; the message is a sentence with the remedy."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What a source saw.

    :param tasks: guests or containers that hold resources.
    :param cpus: CPUs of the host; None from a source that does not know.
    :param memory_mb: memory of the host; None from a source that does not know.
    :param measured: use by name, for example ``cpu_fraction`` or ``memory_used_mb``.
    """

    tasks: tuple[Task, ...] = ()
    cpus: int | None = None
    memory_mb: int | None = None
    measured: Mapping[str, float] = field(default_factory=dict)


class MonitorSource(ABC):
    """One thing on a host that can be asked.

    A source is made once for each agent and asked each period. It may be slow, but must not hang for ever, and never gives
    old values as new ones: what it cannot tell now is a :class:`SourceError`.

    :param conf: options of the group ``[agent]``.
    """

    #: The framework whose tasks it lists; None when it lists none.
    framework: str | None = None

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf

    @abstractmethod
    def collect(self) -> Observation:
        """Look now.

        :raises SourceError: when it cannot tell.
        """
