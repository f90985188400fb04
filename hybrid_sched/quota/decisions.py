# SPDX-License-Identifier: Apache-2.0
"""The newest decisions, by request."""

from __future__ import annotations

from collections import OrderedDict

from hybrid_sched.core.decision import Decision


class DecisionBook:
    """Keep the decisions of the newest requests.

    :param kept: how many requests.
    """

    #: Steps kept of one request: a request that is tried again and again does not grow without bound.
    STEPS_KEPT = 10

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._by_request: OrderedDict[str, tuple[Decision, ...]] = OrderedDict()

    def add(self, decision: Decision) -> None:
        """Add a step to its request, which becomes the newest."""
        steps = (*self._by_request.pop(decision.request_uuid, ()), decision)
        self._by_request[decision.request_uuid] = steps[-self.STEPS_KEPT :]
        while len(self._by_request) > self._kept:
            self._by_request.popitem(last=False)

    def of(self, request_uuid: str) -> tuple[Decision, ...]:
        """Give the steps of a request, oldest first; none for an unknown one."""
        return self._by_request.get(request_uuid, ())

    def newest(self, limit: int) -> list[Decision]:
        """Give the last step of each of the newest requests, newest first."""
        requests = list(self._by_request.values())[::-1][:limit]
        return [steps[-1] for steps in requests]
