# SPDX-License-Identifier: Apache-2.0
"""The newest decisions, by request."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Protocol

from hybrid_sched.core.decision import Decision, Stage, shortened
from hybrid_sched.db import DatabaseError
from hybrid_sched.quota.cluster_state import ClusterState
from hybrid_sched.quota.whereabouts import Whereabouts

#: Steps that a scheduler takes; what is seen afterwards is no decision.
DECIDED = (Stage.SHARE_GATE, Stage.ORDER)

_IN_ORDER = tuple(Stage)

#: Hosts kept of those that passed a step, the best first, and of those that did not.
MOST_HOSTS = 500


class DecisionBook:
    """Keep the decisions of the newest requests.

    :param kept: how many requests.
    """

    #: Steps kept of one request: a request that is tried again and again does not grow without bound.
    STEPS_KEPT = 10

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._by_request: OrderedDict[str, tuple[Decision, ...]] = OrderedDict()

    def add(self, decision: Decision) -> bool:
        """Add a step to its request, which becomes the newest.

        :returns: False when it was known: who had no answer tells it again.
        """
        before = self._by_request.pop(decision.request_uuid, ())
        is_new = all(each.key != decision.key for each in before)
        steps = (*before, decision) if is_new else before
        self._by_request[decision.request_uuid] = steps[-self.STEPS_KEPT :]
        while len(self._by_request) > self._kept:
            self._by_request.popitem(last=False)
        return is_new

    def of(self, request_uuid: str) -> tuple[Decision, ...]:
        """Give the steps of a request, oldest first; none for an unknown one."""
        return self._by_request.get(request_uuid, ())

    def newest(self, limit: int) -> list[Decision]:
        """Give the last decision on each of the newest requests, newest first."""
        last: list[Decision] = []
        for steps in reversed(self._by_request.values()):
            if len(last) >= limit:
                break
            last += [step for step in steps if step.stage in DECIDED][-1:]
        return last


class Archive(Protocol):
    """Where decisions outlive the engine."""

    def put(self, decision: Decision) -> None:
        """Keep a decision; returns at once."""

    def of(self, request_uuid: str) -> list[Decision]:
        """Give the steps of a request; raises DatabaseError."""

    def newest(self, limit: int) -> list[Decision]:
        """Give the last decision on each of the newest requests; raises DatabaseError."""


class DecisionRecords:
    """What is known of requests: the newest in memory, the others in the archive, and where they turned up.

    The methods that read the archive take a while; the others are quick, and for one thread at a time.

    :param kept: requests in memory.
    :param archive: None to keep no others.
    """

    def __init__(self, kept: int, archive: Archive | None) -> None:
        self._book = DecisionBook(kept)
        self._archive = archive
        self._whereabouts = Whereabouts(kept)

    def add(self, decision: Decision, now_s: float) -> None:
        """Keep a decision, and look out for its request where some host passed."""
        decision = shortened(decision, MOST_HOSTS)
        if decision.hosts:
            seen = [
                step.hosts[0]
                for step in self._book.of(decision.request_uuid)
                if step.stage is Stage.CLAIMED
            ]
            self._whereabouts.watch(decision.request_uuid, now_s, *seen[-1:])
        self._keep(decision)

    def look_for_claims(self, state: ClusterState, changed: Collection[str], now_s: float) -> None:
        """Take down on which hosts requests are that were decided lately.

        :param state: the cluster as it is now.
        :param changed: hosts whose claims changed since the last look.
        :param now_s: Unix time.
        """
        for uuid, host in self._whereabouts.look(state, changed, now_s):
            if steps := self._book.of(uuid):
                seen = replace(
                    steps[-1],
                    stage=Stage.CLAIMED,
                    decided_at_s=now_s,
                    snapshot_version=None,
                    snapshot_age_s=None,
                    hosts=(host,),
                    refused={},
                    refused_by_share=False,
                    text="",
                    weights=(),
                    more_hosts=0,
                    more_refused=0,
                )
                self._keep(seen)

    def known_of(self, request_uuid: str) -> tuple[Decision, ...]:
        """Give the steps of a request that are in memory, oldest first."""
        return self._book.of(request_uuid)

    def newest_known(self, limit: int) -> list[Decision]:
        """Give the last decision on each of the newest requests in memory, newest first."""
        return self._book.newest(limit)

    def completed(self, request_uuid: str, known: tuple[Decision, ...]) -> tuple[Decision, ...]:
        """Add what the archive has of a request; one that cannot be read takes nothing away.

        :raises DatabaseError: when nothing is known and the archive cannot be read.
        """
        if self._archive is None:
            return known
        try:
            return joined(self._archive.of(request_uuid), known)
        except DatabaseError:
            if not known:
                raise
            return known

    def filled_up(self, known: list[Decision], limit: int) -> list[Decision]:
        """Add requests of the archive where memory has fewer than are asked for.

        :raises DatabaseError: when nothing is known and the archive cannot be read.
        """
        if self._archive is None or len(known) >= limit:
            return known
        try:
            stored = self._archive.newest(limit)
        except DatabaseError:
            if not known:
                raise
            return known
        names = {step.request_uuid for step in known}
        return [*known, *(step for step in stored if step.request_uuid not in names)][:limit]

    def _keep(self, decision: Decision) -> None:
        if self._book.add(decision) and self._archive is not None:
            self._archive.put(decision)


def joined(*sources: Iterable[Decision]) -> tuple[Decision, ...]:
    """Put steps of one request from several sources together, each once, the oldest first, the newest ten."""
    steps = {step.key: step for source in sources for step in source}
    # Clocks may be too coarse to tell steps apart.
    in_order = sorted(
        steps.values(), key=lambda step: (step.decided_at_s, _IN_ORDER.index(step.stage))
    )
    return tuple(in_order[-DecisionBook.STEPS_KEPT :])
