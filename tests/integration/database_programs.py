# SPDX-License-Identifier: Apache-2.0
"""Programs that use a database beside the test: ``begin URL COUNT`` and ``put URL TERM``. They print what is done."""

from __future__ import annotations

import sys

from hybrid_sched.core.resources import Resources
from hybrid_sched.db import Database
from hybrid_sched.db.reservations import ReservationStore, StoredReservation
from hybrid_sched.db.terms import Terms


def begin(url: str, count: str) -> None:
    """Begin terms when told to on standard input, and print them."""
    terms = Terms(Database(url))
    _say(terms.newest())
    sys.stdin.readline()
    _say(*(terms.begin("test", 1.0) for _ in range(int(count))))


def put(url: str, term: str) -> None:
    """Put reservations without end, and print each once it is kept."""
    store = ReservationStore(Database(url))
    number = 0
    while True:
        number += 1
        uuid = f"{number:08}"
        demand = Resources(vcpu=number)
        store.put(StoredReservation(uuid, "container", "", demand, 1, 1.0, 2.0), int(term))
        _say(uuid)


def _say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    {"begin": begin, "put": put}[sys.argv[1]](*sys.argv[2:])
