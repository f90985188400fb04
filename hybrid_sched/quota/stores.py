# SPDX-License-Identifier: Apache-2.0
"""The ledger's place in the database, for one term."""

from __future__ import annotations

from collections.abc import Callable, Collection

from hybrid_sched.db.reservations import ReservationStore, StoredReservation
from hybrid_sched.db.terms import Deposed


class FencedReservations:
    """Reservations that only the leader of a term writes.

    :param store: of the database.
    :param term: of the leader.
    :param deposed: called when the term turns out to be over.
    """

    def __init__(self, store: ReservationStore, term: int, deposed: Callable[[], None]) -> None:
        self._store = store
        self._term = term
        self._deposed = deposed

    def put(self, entry: StoredReservation) -> None:
        """Keep a reservation; it is on disk when this returns.

        :raises Deposed: when another engine leads.
        """
        self._fenced(lambda: self._store.put(entry, self._term))

    def remove(self, request_uuids: Collection[str]) -> None:
        """Forget reservations.

        :raises Deposed: when another engine leads.
        """
        self._fenced(lambda: self._store.remove(request_uuids, self._term))

    def all(self) -> tuple[StoredReservation, ...]:
        """Give all reservations."""
        return self._store.all()

    def _fenced(self, write: Callable[[], object]) -> None:
        try:
            write()
        except Deposed:
            self._deposed()
            raise
