# SPDX-License-Identifier: Apache-2.0
"""What keeps tasks and hosts from moves: cooldowns, caps, exclusions and groups that are kept apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from math import inf

from hybrid_sched.core.rebalancing.moves import MoveState
from hybrid_sched.core.rebalancing.situation import Situation


class Restraint:
    """The restraints at one time, with the moves that were decided since.

    A failed or cancelled move is forgotten: its task may be moved again at once (paper 5.3).
    """

    def __init__(self, situation: Situation) -> None:
        parameters = situation.parameters
        self._excluded = situation.excluded
        self._most_per_host = parameters.most_per_host
        self._most_in_cluster = parameters.most_in_cluster
        self._at_host: Counter[str] = Counter()
        self._in_cluster = 0
        self._moving: set[str] = set()
        self._resting: set[str] = set()
        self._gave: set[str] = set()
        self._took: set[str] = set()
        self._moved_at_s: dict[str, float] = {}
        self._apart: dict[str, set[str]] = {}
        for group in situation.apart:
            for uuid in group:
                self._apart.setdefault(uuid, set()).update(group - {uuid})
        for move in situation.moves:
            age_s = situation.now_s - move.at_s
            if move.in_flight or move.state is MoveState.DONE:
                for host in (move.source, move.target):
                    self._moved_at_s[host] = max(move.at_s, self._moved_at_s.get(host, -inf))
            if move.in_flight:
                self.count(move.task, move.source, move.target)
            elif move.state is MoveState.DONE:
                if age_s < parameters.task_cooldown_s:
                    self._resting.add(move.task)
                if age_s < parameters.host_cooldown_s:
                    self._gave.add(move.source)
                    self._took.add(move.target)

    def count(self, task: str, source: str, target: str) -> None:
        """Count a move in flight."""
        self._moving.add(task)
        self._gave.add(source)
        self._took.add(target)
        self._at_host.update((source, target))
        self._in_cluster += 1

    def moved_at_s(self, host: str) -> float:
        """Give the Unix time at which the last move from or to a host was begun or done."""
        return self._moved_at_s.get(host, -inf)

    def of_task(self, uuid: str) -> str | None:
        """Say why a task may not be moved now; None when it may."""
        if uuid in self._excluded:
            return "it is excluded from moves"
        if uuid in self._moving:
            return "it is being moved"
        if uuid in self._resting:
            return "it was moved within its cooldown"
        return None

    def of_source(self, host: str, *, emptied: bool) -> str | None:
        """Say why nothing may be moved from a host now; None when something may.

        :param emptied: whether it is to be emptied. It took tasks before that was known, which must not hold it up.
        """
        if host in self._took and not emptied:
            return "it took a task within its cooldown"
        return self._of_caps(host)

    def of_target(self, host: str) -> str | None:
        """Say why nothing may be moved to a host now; None when something may."""
        if host in self._gave:
            return "it gave a task within its cooldown"
        return self._of_caps(host)

    def keeps_apart(self, uuid: str, present: Collection[str]) -> bool:
        """Say whether a task shares no group with any of those on a host."""
        return self._apart.get(uuid, set()).isdisjoint(present)

    def _of_caps(self, host: str) -> str | None:
        if self._in_cluster >= self._most_in_cluster:
            return f"{self._in_cluster} moves are under way in the cluster, and no more are allowed at once"
        if self._at_host[host] >= self._most_per_host:
            return f"{self._at_host[host]} moves from or to it are under way, and no more are allowed at once"
        return None
