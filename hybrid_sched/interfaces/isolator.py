# SPDX-License-Identifier: Apache-2.0
"""The contract of an isolator: entry points of ``hybrid_sched.isolator``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from oslo_config import cfg

from hybrid_sched.core.limits import Aspect, Limits


class IsolationError(Exception):
    """A limit cannot be read or set now; the message is a sentence with the remedy."""


@dataclass(frozen=True, slots=True)
class Ability:
    """What an isolator can hold on this host.

    :param aspects: those that it reads back and sets.
    :param missing: a sentence for each aspect that it would hold but this kernel or back end cannot, by aspect; one
        that is in both is held in part.
    """

    aspects: frozenset[Aspect]
    missing: Mapping[Aspect, str]


class Isolator(ABC):
    """What can hold the tasks of some frameworks on a host to their limits, live.

    An isolator is made once for each agent. It keeps nothing that a restart of the agent would lose. Its methods are called by
    one thread at a time, and may be slow but must not hang for ever.

    :param conf: options of the group ``[agent]``.
    """

    #: The frameworks whose tasks it reaches; a single one where it can hold CPU weights, which are squeezed by framework.
    frameworks: frozenset[str]

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf

    @abstractmethod
    def ability(self) -> Ability:
        """Say what it can hold here; what it cannot is said in a sentence, never left out.

        :raises IsolationError: when the back end cannot be asked.
        """

    @abstractmethod
    def read(self) -> Mapping[str, Limits]:
        """Read back what holds each task now, by uuid, from where it takes effect rather than from what was asked for.

        Of aspects that are not in :meth:`ability`, and where no limit is set, the field is None. Where the parts of a task,
        such as its disks, have limits of their own so that no one limit tells of all, it is 0, or an empty set of CPUs. A task
        that has nothing to be limited now, such as a guest that is shut off, is left out.

        :raises IsolationError: when the back end cannot tell.
        """

    @abstractmethod
    def hold(self, uuid: str, limits: Limits, aspects: Collection[Aspect]) -> None:
        """Set some limits of one task live; the others are left alone. A task that is gone by now is no error.

        :param uuid: of the task.
        :param limits: None in a field that is named removes that limit.
        :param aspects: of :meth:`ability`, what to set.
        :raises IsolationError: when the back end refuses; what could be set is set.
        """
