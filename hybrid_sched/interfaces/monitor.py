# SPDX-License-Identifier: Apache-2.0
"""The contract of a monitor source: entry points of ``hybrid_sched.monitor.source``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from oslo_config import cfg

from hybrid_sched.core.cluster import Task
from hybrid_sched.core.declaration import Declaration
from hybrid_sched.core.hardware import Hardware


class SourceError(Exception):
    """A source cannot answer now; the message is a sentence with the remedy."""


@dataclass(frozen=True, slots=True)
class SeenTask:
    """One guest or container as a source sees it now.

    :param task: what it is and what of it a host's capacity is taken by.
    :param gauges: figures that hold now, by the names of :mod:`hybrid_sched.core.measures`.
    :param counters: figures that only grow while it lives, by the names of ``RATE_OF_COUNTER``, and ``OOM_KILLS``.
    :param life: of the counters. A task that was restarted has another one, and its counters begin anew.
    :param declaration: all that it declared; None from a source that does not know.
    :param backend_id: under which its back end made it, where the declaration is read from what an isolator may alter, so that
        only the first reading counts. One that is made anew under its uuid has another; a restart leaves it as it is.
    """

    task: Task
    gauges: Mapping[str, float] = field(default_factory=dict)
    counters: Mapping[str, float] = field(default_factory=dict)
    life: str = ""
    declaration: Declaration | None = None
    backend_id: str = ""


@dataclass(frozen=True, slots=True)
class Observation:
    """What a source saw.

    :param tasks: guests or containers that hold resources.
    :param cpus: CPUs of the host; None from a source that does not know.
    :param memory_mb: memory of the host; None from a source that does not know.
    :param hardware: what the host is made of; None from a source that does not know.
    :param gauges: figures of the host that hold now, by the names of :mod:`hybrid_sched.core.measures`.
    :param counters: figures of the host that only grow, by the names of ``RATE_OF_COUNTER``.
    """

    tasks: tuple[SeenTask, ...] = ()
    cpus: int | None = None
    memory_mb: int | None = None
    hardware: Hardware | None = None
    gauges: Mapping[str, float] = field(default_factory=dict)
    counters: Mapping[str, float] = field(default_factory=dict)


class MonitorSource(ABC):
    """One thing on a host that can be asked.

    A source is made once for each agent and asked each period. It may be slow, but must not hang for ever, and never gives
    old values as new ones: what it cannot tell now is a :class:`SourceError`. It gives counters as they are; the agent works
    out the rates, also over its own restart.

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
