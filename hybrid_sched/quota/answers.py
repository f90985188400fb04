# SPDX-License-Identifier: Apache-2.0
"""What the engine answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hybrid_sched.core.cluster import DEFAULT_POOL, Snapshot


class NotReady(Exception):
    """It is not known yet what hosts there are."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """The answer to a request for a reservation.

    :param granted: whether the framework may place it.
    :param text: why not.
    :param pool: in which it is granted.
    """

    granted: bool
    text: str = ""
    pool: str = DEFAULT_POOL


@dataclass(frozen=True, slots=True)
class SnapshotNews:
    """What somebody who holds an earlier snapshot has to learn.

    :param snapshot: the newest.
    :param since: the version that they hold, of the same term; None for one who needs the whole.
    :param changed: names of the hosts that changed since then.
    """

    snapshot: Snapshot
    since: int | None
    changed: Sequence[str]
