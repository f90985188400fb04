# SPDX-License-Identifier: Apache-2.0
"""Demand that is not on a host yet, each until it appears there, is dropped, or its time is over."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Protocol

from oslo_log import log

from hybrid_sched.core.resources import Resources, Vector, scale, total
from hybrid_sched.core.share_gate import Request
from hybrid_sched.db import DatabaseError
from hybrid_sched.db.reservations import StoredReservation

LOG = log.getLogger(__name__)


class Store(Protocol):
    """Where entries outlive the engine; each call is done when it returns."""

    def put(self, entry: StoredReservation) -> None:
        """Keep an entry, in the place of an older one of its request."""

    def remove(self, request_uuids: Collection[str]) -> None:
        """Forget entries."""

    def all(self) -> Iterable[StoredReservation]:
        """Give all entries."""

    def confirm(self) -> None:
        """See that nobody else keeps entries by now; raises when somebody does."""


class Ledger:
    """Demand by request; holding the same request again replaces it.

    It serves twice: for reservations, which outlive the engine, and for requests that were refused lately.

    :param clock_s: Unix time.
    :param store: where entries are kept; None to keep them in memory alone.
    """

    def __init__(self, clock_s: Callable[[], float], store: Store | None = None) -> None:
        self._clock_s = clock_s
        self._store = store
        entries = () if store is None else store.all()
        self._entries = {entry.request_uuid: entry for entry in entries}
        # What is over and may be in the store still.
        self._over: set[str] = set()
        self._store_fails = False

    def confirm(self) -> None:
        """See that what is held here is what is stored, before an answer for which nothing is written."""
        if self._store is not None:
            self._store.confirm()

    def get(self, request_uuid: str) -> StoredReservation | None:
        """Give a request's entry, if it is held and its time not over."""
        entry = self._entries.get(request_uuid)
        return entry if entry is not None and entry.expires_at_s > self._clock_s() else None

    def hold(self, request: Request, pool: str, ttl_s: float) -> StoredReservation:
        """Hold a request's whole demand for some seconds; it is stored when this returns."""
        now_s = self._clock_s()
        entry = StoredReservation(
            request_uuid=request.uuid,
            framework=request.framework,
            pool=pool,
            demand=request.demand,
            count=request.count,
            created_at_s=now_s,
            expires_at_s=now_s + ttl_s,
        )
        if self._store is not None:
            self._store.put(entry)
            self._over.discard(request.uuid)
        self._entries[request.uuid] = entry
        return entry

    def drop(self, request_uuid: str) -> bool:
        """End one request; says whether it was held."""
        if request_uuid not in self._entries:
            self.confirm()
            return False
        if self._store is not None:
            self._store.remove([request_uuid])
        del self._entries[request_uuid]
        return True

    def settle(self, is_placed: Callable[[str], bool]) -> None:
        """End the requests whose task is on a host, and those whose time is over.

        A store that is away keeps them until it is back, and holds up nobody.
        """
        now_s = self._clock_s()
        over = [
            uuid
            for uuid, entry in self._entries.items()
            if entry.expires_at_s <= now_s or is_placed(uuid)
        ]
        for uuid in over:
            del self._entries[uuid]
        if self._store is not None:
            self._over.update(over)
            self._clear_away(self._store)

    def demand_of(self, framework: str, pool: str) -> Vector:
        """Sum up what is held for a framework in a pool, unscored."""
        held = (
            scale(entry.count, entry.demand)
            for entry in self._entries.values()
            if entry.framework == framework and entry.pool == pool
        )
        return total(held, len(Resources._fields))

    def entries(self) -> tuple[StoredReservation, ...]:
        """Give all that is held."""
        return tuple(self._entries.values())

    def _clear_away(self, store: Store) -> None:
        if not self._over:
            return
        try:
            store.remove(self._over)
        except DatabaseError as fault:
            if not self._store_fails:
                LOG.warning("Reservations that are over stay in the database for now: %s", fault)
            self._store_fails = True
            return
        self._over.clear()
        self._store_fails = False
