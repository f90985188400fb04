# SPDX-License-Identifier: Apache-2.0
"""Programs that use a database beside the test: ``begin URL COUNT``, ``put URL TERM`` and ``lead BACKEND URL NAME``.

They print what is done.
"""

from __future__ import annotations

import sys
import threading

from oslo_config import cfg

from hybrid_sched.conf import coordination
from hybrid_sched.core.resources import Resources
from hybrid_sched.db import Database
from hybrid_sched.db.reservations import ReservationStore, StoredReservation
from hybrid_sched.db.terms import Terms
from hybrid_sched.quota.leadership import Leadership


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


def lead(backend: str, url: str, name: str) -> None:
    """Stand for election, print the term, and lead until killed."""
    conf = cfg.ConfigOpts()
    coordination.register(conf)
    conf([], default_config_files=[])
    for option, value in (
        ("backend_url", backend),
        ("member_id", name),
        ("election_period_s", 0.1),
    ):
        conf.set_override(option, value, group="coordination")
    leadership = Leadership(conf, Terms(Database(url)))
    term = leadership.campaign(threading.Event())
    assert term is not None
    _say(term, leadership.holds(term))
    sys.stdin.read()


def _say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    {"begin": begin, "put": put, "lead": lead}[sys.argv[1]](*sys.argv[2:])
