# SPDX-License-Identifier: Apache-2.0
"""Demand that is not on a host yet, each until it appears there, is dropped, or its time is over."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass

from hybrid_sched.core.resources import Resources, Vector, scale, total
from hybrid_sched.core.share_gate import Request


@dataclass(frozen=True, slots=True)
class _Entry:
    framework: str
    demand: Vector
    until_s: float


class Ledger:
    """Demand by request; holding the same request again replaces it.

    It serves twice: for reservations, and for requests that the share gate refused lately.

    :param now_s: the monotonic clock.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._entries: dict[str, _Entry] = {}

    def __contains__(self, request_uuid: str) -> bool:
        """Say whether a request is held and its time not over."""
        entry = self._entries.get(request_uuid)
        return entry is not None and entry.until_s > self._now_s()

    def hold(self, request: Request, ttl_s: float) -> None:
        """Hold a request's whole demand, unscored, for some seconds."""
        demand = scale(request.count, request.demand)
        self._entries[request.uuid] = _Entry(request.framework, demand, self._now_s() + ttl_s)

    def drop(self, request_uuid: str) -> bool:
        """End one request; says whether it was held."""
        return self._entries.pop(request_uuid, None) is not None

    def settle(self, placed: Container[str]) -> None:
        """End the requests whose task appeared on a host and those whose time is over."""
        now_s = self._now_s()
        self._entries = {
            uuid: entry
            for uuid, entry in self._entries.items()
            if uuid not in placed and entry.until_s > now_s
        }

    def demand_of(self, framework: str) -> Vector:
        """Sum up what is held for a framework."""
        held = (entry.demand for entry in self._entries.values() if entry.framework == framework)
        return total(held, len(Resources._fields))
