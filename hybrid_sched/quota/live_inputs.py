# SPDX-License-Identifier: Apache-2.0
"""A cycle's inputs from the database, Placement, Nova and Zun."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from itertools import chain
from typing import TypeVar

from oslo_config import cfg
from oslo_log import log

from hybrid_sched.clients.batch import Batch
from hybrid_sched.clients.nova import NovaClient, nova_client
from hybrid_sched.clients.placement import placement_client
from hybrid_sched.clients.session import ServiceFault
from hybrid_sched.clients.zun import zun_client
from hybrid_sched.core.cluster import CONTAINER, Arrival
from hybrid_sched.core.pools import Aggregate, PoolsFrom, pools_of
from hybrid_sched.core.rebalancing.record import MoveRecord
from hybrid_sched.core.share_gate import Request
from hybrid_sched.db import Database, DatabaseError
from hybrid_sched.db.moves import MoveStore
from hybrid_sched.db.scores import ScoreStore
from hybrid_sched.db.watchdog import WatchdogStore
from hybrid_sched.db.weights import WeightStore
from hybrid_sched.quota.claims import Claims, ClaimsUnavailable
from hybrid_sched.quota.engine import Engine
from hybrid_sched.quota.inputs import CycleInputs

LOG = log.getLogger(__name__)
T = TypeVar("T")
ReadRefused = Callable[[float], tuple[Request, ...]]

#: Between two readings of the requests that found no host.
REFUSED_PERIOD_S = 5.0
# The shares do not wait long for what somebody wants more.
_REFUSED_LIMIT_S = 3.0
_AGGREGATES_PERIOD_S = 60.0
_NO_HOSTS: frozenset[str] = frozenset()


class LiveInputs:
    """Read what a cycle needs; what cannot be read stays as it was and is said once in the log.

    :param conf: options of the groups ``[quota]``, ``[placement]``, ``[nova]`` and ``[zun]``.
    :param database: of the weights and the scores.
    :param engine: knows whose a guest or container is, and of which claims there is doubt.
    :param now_s: the monotonic clock.
    :param clock_s: Unix time.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        database: Database,
        engine: Engine,
        now_s: Callable[[], float] = time.monotonic,
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        self._options = conf.quota
        self._now_s = now_s
        self._clock_s = clock_s
        self._weights = WeightStore(database)
        self._scores = ScoreStore(database)
        self._settings = WatchdogStore(database)
        self._moves = MoveStore(database)
        self._relocations: list[MoveRecord] = []
        self._engine = engine
        placement = placement_client(conf)
        self._nova = nova_client(conf)
        self._claims = (
            None
            if placement is None
            else Claims(
                placement,
                self._nova,
                engine.framework_of,
                self._copies,
                threads=conf.quota.placement_threads,
                reread_s=conf.quota.placement_reread_s,
            )
        )
        self._read_refused: dict[str, ReadRefused] = {}
        if self._nova is not None:
            self._read_refused["refused guests"] = self._nova.refused_guests
        if (zun := zun_client(conf)) is not None:
            self._read_refused["refused containers"] = zun.refused_containers
        self._refused: dict[str, tuple[Request, ...]] = {}
        self._refused_due_s = 0.0
        # None until they were read once: without them every host would be in the default pool.
        self._aggregates: tuple[Aggregate, ...] | None = None
        self._aggregates_due_s = 0.0
        self._conflicts: tuple[str, ...] = ()
        self._failing: dict[str, str] = {}
        self._last = CycleInputs()

    def read(self) -> CycleInputs:
        """Read them now."""
        self._relocations = self._tried("moves", self._containers_on_their_way, self._relocations)
        changed = self._tried("Placement", self._changed_claims, _NO_HOSTS)
        claims = self._claims
        known_hosts = claims.known_hosts() if claims is not None else None
        self._last = CycleInputs(
            weights=self._tried("weights", self._weights.all, self._last.weights),
            score_rows=self._tried("scores", self._scores.all, self._last.score_rows),
            pool_of=self._pool_of(known_hosts),
            claims_of=claims.of if claims is not None and known_hosts is not None else None,
            claims_changed=changed,
            known_hosts=known_hosts,
            refused=self._refused_requests(),
            arrivals={
                move.uuid: Arrival(move.decision.target, move.decision.demand)
                for move in self._relocations
            },
            drained=self._tried("drained hosts", self._settings.drained, self._last.drained),
        )
        return self._last

    @property
    def nova(self) -> NovaClient | None:
        """Give the client of Nova; None where it is not configured."""
        return self._nova

    def _containers_on_their_way(self) -> list[MoveRecord]:
        return [move for move in self._moves.in_flight() if move.decision.framework == CONTAINER]

    def _copies(self) -> Mapping[str, str]:
        return {move.copy: move.decision.task for move in self._relocations if move.copy}

    def _changed_claims(self) -> frozenset[str]:
        if self._claims is None:
            return frozenset()
        return frozenset(self._claims.refresh(self._engine.doubted_hosts()))

    def _pool_of(self, known_hosts: frozenset[str] | None) -> Mapping[str, str]:
        source = PoolsFrom(self._options.pools_from)
        if source is PoolsFrom.NONE or self._nova is None:
            return {}
        now_s = self._now_s()
        if self._aggregates is None or now_s >= self._aggregates_due_s:
            self._aggregates_due_s = now_s + _AGGREGATES_PERIOD_S
            self._aggregates = self._tried(
                "host aggregates", self._nova.aggregates, self._aggregates
            )
        aggregates = self._aggregates or ()
        hosts = known_hosts or {host for each in aggregates for host in each.hosts}
        pools = pools_of(hosts, aggregates, source)
        for conflict in sorted(set(pools.conflicts) - set(self._conflicts)):
            LOG.warning("%s.", conflict[:1].upper() + conflict[1:])
        self._conflicts = pools.conflicts
        return pools.of

    def _refused_requests(self) -> tuple[Request, ...]:
        ttl_s = self._options.pending_ttl_s
        if not ttl_s:
            return ()
        now_s = self._now_s()
        if now_s >= self._refused_due_s:
            self._refused_due_s = now_s + REFUSED_PERIOD_S
            for what, read in self._read_refused.items():
                ask = partial(_in_time, partial(read, self._clock_s() - ttl_s))
                self._refused[what] = self._tried(what, ask, self._refused.get(what, ()))
        return tuple(chain.from_iterable(self._refused.values()))

    def _tried(self, what: str, read: Callable[[], T], otherwise: T) -> T:
        reason = None
        try:
            result = read()
        except (DatabaseError, ServiceFault, ClaimsUnavailable) as fault:
            reason, result = str(fault), otherwise
        if reason is not None and self._failing.get(what) != reason:
            # Said once for each reason, and outside of the handler, where the whole exception would be added to it.
            LOG.warning("%s: what was known before is used: %s", what.capitalize(), reason)
        elif reason is None and what in self._failing:
            LOG.info("%s can be read again.", what.capitalize())
        if reason is None:
            self._failing.pop(what, None)
        else:
            self._failing[what] = reason
        return result


def _in_time(ask: Callable[[], T]) -> T:
    with Batch(1, _REFUSED_LIMIT_S) as batch:
        try:
            return batch.call(ask)
        except TimeoutError:
            raise ServiceFault(f"no answer within {_REFUSED_LIMIT_S:g} s") from None
