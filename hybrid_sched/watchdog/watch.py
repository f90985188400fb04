# SPDX-License-Identifier: Apache-2.0
"""What the watchdog's parts work on together during one term."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from oslo_config import cfg

from hybrid_sched.db.moves import MoveStore
from hybrid_sched.db.watchdog import WatchdogStore
from hybrid_sched.watchdog.executors import Executors
from hybrid_sched.watchdog.policy import LivePolicy


@dataclass(frozen=True, slots=True)
class Watch:
    """One term of the watchdog.

    :param conf: options of the group ``[watchdog]``; they are read each time.
    :param moves: the ledger.
    :param settings: drained hosts and strategies that are off.
    :param policy: decides.
    :param executors: carry out.
    :param term: fencing token of the leader.
    :param clock_s: Unix time.
    """

    conf: cfg.ConfigOpts
    moves: MoveStore
    settings: WatchdogStore
    policy: LivePolicy
    executors: Executors
    term: int
    clock_s: Callable[[], float] = time.time
