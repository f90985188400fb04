# SPDX-License-Identifier: Apache-2.0
"""A cloud of one framework in memory: hosts with room, answers that take rounds, and programs that die at any point."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from hybrid_sched.core.queued import QueuedTask
from hybrid_sched.core.resources import Resources
from hybrid_sched.interfaces.launcher import (
    CloudUnavailable,
    Launched,
    Launcher,
    LaunchFault,
    Phase,
)


class Killed(BaseException):
    """The program was killed at this point."""


@dataclass
class Server:
    """What the cloud has made."""

    launched: Launched
    age: int = 0
    deleting: bool = False


class FakeCloud(Launcher):
    """Servers that are built in one round and run for some.

    :param clock_s: Unix time.
    :param room: servers that have room at once; more fail for want of it.
    :param lasts: rounds for which one runs.
    """

    def __init__(self, clock_s: Callable[[], float], room: int = 1000, lasts: int = 2) -> None:
        self._clock_s = clock_s
        self.room = room
        self.lasts = lasts
        self.servers: dict[str, Server] = {}
        self.down = False
        self.asked: list[tuple[str, str]] = []
        #: Set to be called with the name of each point: ``launch before``, ``launch after``, ``delete before`` ...
        self.at: Callable[[str], None] = lambda _point: None
        #: By name of the task: what its launches come to, one after another.
        self.faults: dict[str, list[LaunchFault | Launched]] = {}
        #: Requests that an engine has sent and that have not arrived.
        self.late: list[QueuedTask] = []
        self.ran: list[str] = []
        self.most_alive = 0
        self._made = 0

    def tick(self) -> None:
        """Let a round pass in the cloud."""
        for uuid, server in list(self.servers.items()):
            if server.deleting:
                del self.servers[uuid]
                continue
            server.age += 1
            launched = server.launched
            if launched.phase is Phase.BUILDING:
                server.launched = replace(launched, phase=Phase.RUNNING)
                self.ran.append(launched.key)
            elif launched.phase is Phase.RUNNING and server.age > self.lasts:
                server.launched = replace(launched, phase=Phase.ENDED)

    def set(self, key: str, **changes: object) -> None:
        """Change the server of a task from outside."""
        [server] = self.alive(key)
        server.launched = replace(server.launched, **changes)

    def alive(self, key: str) -> list[Server]:
        """Give the servers of a task that are building or running."""
        live = {Phase.BUILDING, Phase.RUNNING}
        return [
            each
            for each in self.servers.values()
            if each.launched.key == key and each.launched.phase in live and not each.deleting
        ]

    def arrive(self) -> None:
        """Let the late requests arrive."""
        for task in self.late:
            self._make(task, "late")
        self.late = []

    def resolve(self, spec: Mapping[str, object]) -> Resources:
        return Resources(vcpu=1)

    def find(self, task_uuid: str) -> list[Launched]:
        return [each for each in self.look(()).values() if each.key == task_uuid]

    def launch(self, task: QueuedTask, host: str) -> str:
        self._answer()
        self.at("launch before")
        self.asked.append((task.name, host))
        if faults := self.faults.get(task.name):
            fault = faults.pop(0)
            if isinstance(fault, LaunchFault):
                raise fault
            uuid = self._make(task, host, fault)
        else:
            uuid = self._make(task, host)
        self.at("launch after")
        return uuid

    def look(self, uuids: Collection[str]) -> Mapping[str, Launched]:
        self._answer()
        self.at("look before")
        gone = {uuid: Launched(uuid, Phase.GONE) for uuid in uuids}
        return gone | {uuid: server.launched for uuid, server in self.servers.items()}

    def delete(self, uuid: str) -> None:
        self._answer()
        self.at("delete before")
        if uuid in self.servers:
            self.servers[uuid].deleting = True
        self.at("delete after")

    def _answer(self) -> None:
        if self.down:
            raise CloudUnavailable("The cloud is down.")

    def _make(self, task: QueuedTask, host: str, outcome: Launched | None = None) -> str:
        self._made += 1
        uuid = f"server-{self._made}"
        launched = outcome or Launched(uuid, Phase.BUILDING)
        if outcome is None and len(self.servers) >= self.room:
            launched = replace(
                launched, phase=Phase.FAILED, no_room=True, text="No valid host was found."
            )
        self.servers[uuid] = Server(
            replace(launched, uuid=uuid, key=task.uuid, host=host, created_at_s=self._clock_s())
        )
        self.most_alive = max(self.most_alive, len(self.alive(task.uuid)))
        return uuid
