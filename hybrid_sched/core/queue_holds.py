# SPDX-License-Identifier: Apache-2.0
"""For which waiting tasks room is held, on which host, and since when that is a promise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hybrid_sched.core.queue_order import utc
from hybrid_sched.core.queue_room import Held, HostRoom, Opening, PoolRooms
from hybrid_sched.core.queued import Hold, QueuedTask
from hybrid_sched.core.resources import Vector

#: A hold moves to another host where the wait is shorter than this part of what is left of it.
CLEARLY_EARLIER = 0.75


class Holds:
    """The holds of one plan.

    :param rooms: hosts by pool.
    :param now_s: Unix time.
    """

    def __init__(self, rooms: Mapping[str, PoolRooms], now_s: float) -> None:
        self._rooms = rooms
        self._now_s = now_s
        self._where = {
            room.host.name: (pool, room) for pool, hosts in rooms.items() for room in hosts.hosts
        }
        self._held: dict[str, tuple[str, HostRoom, Held]] = {}

    def __contains__(self, task: str) -> bool:
        return task in self._held

    def room_of(self, task: str) -> HostRoom | None:
        """Give the host on which room is held for a task."""
        return self._held[task][1] if task in self._held else None

    def pool_of(self, host: str) -> str:
        """Give the pool of a host that has a fresh report."""
        return self._where[host][0]

    def take_over(
        self, task: QueuedTask, rank: int, lasts_s: float | None, host: str, pools: Iterable[str]
    ) -> None:
        """Go on with a hold of the plan before, unless the host is gone or too small by now.

        :param rank: the task's place in the order.
        :param lasts_s: how long it will run; None when unknown.
        :param host: on which room was held.
        :param pools: to which it may go.
        """
        pool, room = self._where.get(host, ("", None))
        if room is not None and pool in pools and room.could_ever_hold(task.demand):
            self.keep(task, rank, lasts_s, room)

    def keep(self, task: QueuedTask, rank: int, lasts_s: float | None, room: HostRoom) -> None:
        """Hold room on a host, beside what is held there already; parameters as of :meth:`take_over`."""
        pool, _ = self._where[room.host.name]
        opening = room.opening(task.demand, self._now_s)
        held = Held(
            task=task.uuid,
            framework=task.framework,
            rank=rank,
            demand=task.demand,
            lasts_s=lasts_s,
            score=room.host.score,
            opening=opening,
            gone=self._rooms[pool].gone_by(room, opening),
        )
        self._rooms[pool].hold(room, held)
        self._held[task.uuid] = (pool, room, held)

    def let_go(self, task: str) -> None:
        """Hold nothing for a task any longer, if there was something."""
        if task in self._held:
            pool, room, held = self._held.pop(task)
            self._rooms[pool].release(room, held)

    def first_of(self, framework: str, pool: str) -> Held | None:
        """Give the hold of a framework in a pool."""
        for where, _, held in self._held.values():
            if where == pool and held.framework == framework:
                return held
        return None

    def earliest(
        self, task: QueuedTask, pools: Iterable[str]
    ) -> tuple[HostRoom, Mapping[str, Vector]]:
        """Find where a task can start first; one host at least must be large enough.

        Room that is held for it stays where it is unless another host is clearly earlier, so that a hold does not flap.

        :returns: the host, and the scored charges by framework that will have ended by then.
        """
        promised = self._held.get(task.uuid)
        options = [
            (room.opening(task.demand, self._now_s), pool, room)
            for pool in pools
            for room in self._rooms[pool].hosts
            if room.could_ever_hold(task.demand) and (promised is None or room is not promised[1])
        ]
        best = min(options, key=lambda option: option[0].order, default=None)
        if promised is not None:
            pool, room, held = promised
            if best is None or not _is_clearly_better(best[0], held.opening, self._now_s):
                best = held.opening, pool, room
        if best is None:
            raise ValueError(
                f"task {task.name} is larger than every host: ask could_ever_hold first"
            )
        opening, pool, room = best
        return room, self._rooms[pool].gone_by(room, opening)

    def listed(self) -> tuple[Hold, ...]:
        """Give all holds in the order in which they were promised, so that the next plan takes them over in that order."""
        return tuple(
            Hold(
                task=task,
                host=room.host.name,
                from_s=held.opening.from_s or 0,
                text=self._text(room, held.opening),
            )
            for task, (_, room, held) in self._held.items()
        )

    def _text(self, room: HostRoom, opening: Opening) -> str:
        ends = f"{opening.ends} tasks have" if opening.ends > 1 else "a task has"
        if opening.from_s is None:
            when = f"until {ends} ended there, and nobody can tell when that is"
        elif opening.from_s <= self._now_s:
            when = "now"
        else:
            when = f"from {utc(opening.from_s)}, when {ends} ended there by the estimates"
        return f"No host has room for it now; room is held on {room.host.name} {when}."


def _is_clearly_better(other: Opening, promised: Opening, now_s: float) -> bool:
    if promised.from_s is not None:
        if other.from_s is None:
            return False
        return other.from_s - now_s < (promised.from_s - now_s) * CLEARLY_EARLIER
    if other.from_s is not None or promised.foreign > other.foreign:
        return True
    # A host on which nothing starts drains; to leave it for one with a few ends fewer would be to begin anew.
    return not other.foreign and 2 * other.ends < promised.ends
