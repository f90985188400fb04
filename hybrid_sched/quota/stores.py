# SPDX-License-Identifier: Apache-2.0
"""The ledger's place in the database, for one term."""

from __future__ import annotations

from collections.abc import Callable, Collection

from hybrid_sched.db.reservations import ReservationStore, StoredReservation
from hybrid_sched.db.terms import Deposed, Terms


class FencedReservations:
    """Reservations that only the leader of a term writes.

    :param store: of the database.
    :param terms: of the database.
    :param term: of the leader.
    :param deposed: called when the term turns out to be over.
    """

    def __init__(
        self, store: ReservationStore, terms: Terms, term: int, deposed: Callable[[], None]
    ) -> None:
        self._store = store
        self._terms = terms
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

    def confirm(self) -> None:
        """See that the term is not over.

        :raises Deposed: when another engine leads.
        """
        self._fenced(self._check)

    def _check(self) -> None:
        newest = self._terms.newest()
        if newest != self._term:
            raise Deposed(f"Term {self._term} is over: the newest is {newest}.")

    def _fenced(self, write: Callable[[], object]) -> None:
        try:
            write()
        except Deposed:
            self._deposed()
            raise
