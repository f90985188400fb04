# SPDX-License-Identifier: Apache-2.0
"""The contract of a launcher: it makes, finds, watches and deletes the server or container of a queued task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from hybrid_sched.core.queued import QueuedTask
from hybrid_sched.core.resources import Resources


class Phase(StrEnum):
    """How far a server or container is."""

    BUILDING = "building"
    RUNNING = "running"
    #: It has stopped by itself.
    ENDED = "ended"
    #: It was not made, or has broken.
    FAILED = "failed"
    #: There is no such server or container any more.
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Launched:
    """A server or container as its service tells of it now.

    :param uuid: that the service gave it.
    :param phase: how far it is.
    :param key: uuid of its queued task, which it carries; empty where it carries none.
    :param host: on which it is; empty when it has none yet, or the service does not tell.
    :param created_at_s: Unix time at which it was asked for; 0 when unknown.
    :param exit_code: with which it ended, where that is known.
    :param text: what is wrong with it, as a sentence.
    :param no_room: whether it failed because no host had room for it.
    """

    uuid: str
    phase: Phase
    key: str = ""
    host: str = ""
    created_at_s: float = 0
    exit_code: int | None = None
    text: str = ""
    no_room: bool = False


class LaunchFault(Exception):
    """The service refused a request; nothing was made or deleted. The message is a sentence for the task's owner.

    :param again: whether the same request may succeed later.
    :param no_room: whether it was refused for want of room, for example of quota, which is no fault of the task.
    """

    def __init__(self, text: str, *, again: bool, no_room: bool = False) -> None:
        super().__init__(text)
        self.again = again
        self.no_room = no_room


class CloudUnavailable(Exception):
    """The service cannot be asked now; whether a request was carried out is unknown. The message is a sentence."""


class Launcher(ABC):
    """What the queue asks of the service of one framework.

    Its methods may be called by several threads at once. All act in the project of the configured credentials and raise
    :class:`CloudUnavailable` when the service does not answer as it should.
    """

    @abstractmethod
    def resolve(self, spec: Mapping[str, object]) -> Resources:
        """Say what a task will hold, as the service will claim it in Placement.

        :param spec: of the task.
        :raises LaunchFault: when the specification cannot be used; the field is named.
        """

    @abstractmethod
    def find(self, task_uuid: str) -> list[Launched]:
        """Find everything that carries the key of a task, the oldest first."""

    @abstractmethod
    def launch(self, task: QueuedTask, host: str) -> str:
        """Ask for the server or container of a task.

        :param task: whose uuid it is to carry as its key.
        :param host: for which it is planned; every filter of the scheduler still applies.
        :returns: its uuid.
        :raises LaunchFault: when the request is refused.
        """

    @abstractmethod
    def look(self, uuids: Collection[str]) -> Mapping[str, Launched]:
        """Look at servers or containers.

        :param uuids: of those that must be in the answer.
        :returns: all of these, and whatever else carries a key.
        """

    @abstractmethod
    def delete(self, uuid: str) -> None:
        """Ask for a server or container to be deleted, running or not; one that is gone already is no fault.

        :raises LaunchFault: when the request is refused.
        """
