# SPDX-License-Identifier: Apache-2.0
"""Which packer places the tasks of each pool: an option, overridden by the metadata of host aggregates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from oslo_config import cfg
from oslo_log import log

from hybrid_sched import loading
from hybrid_sched.clients.session import ServiceFault
from hybrid_sched.core.cluster import DEFAULT_POOL, Snapshot
from hybrid_sched.core.pools import Aggregate
from hybrid_sched.core.queue_plan import NamedPacker

LOG = log.getLogger(__name__)

#: Entry points of the packers.
PACKERS = "hybrid_sched.packing"
#: Metadata of an aggregate with the name of the packer for the pools of its hosts.
PACKER_METADATA = "hybrid_packer"
_PERIOD_S = 60.0


class PoolPackers:
    """Give each pool its packer; what cannot be used is said once in the log.

    :param conf: options of the group ``[queue]``.
    :param aggregates: lists the host aggregates; None where Nova cannot be asked.
    """

    def __init__(
        self, conf: cfg.ConfigOpts, aggregates: Callable[[], tuple[Aggregate, ...]] | None
    ) -> None:
        self._options = conf.queue
        self._read = aggregates
        self._aggregates: tuple[Aggregate, ...] = ()
        self._due_s = 0.0
        self._loaded: dict[str, NamedPacker | None] = {}
        self._said: set[str] = set()

    def of(self, snapshot: Snapshot, now_s: float) -> Mapping[str, NamedPacker]:
        """Give the packer of each pool, the default pool among them.

        :raises PluginNotFound: when there is no packer of the name that the option has.
        """
        self._refresh(now_s)
        usual = self._usual()
        packers = dict.fromkeys([DEFAULT_POOL, *snapshot.pools], usual)
        for pool, names in named_packers(snapshot, self._aggregates).items():
            if len(set(names)) > 1:
                self._say(
                    f"Aggregates name several packers for pool {pool or 'default'!r} ({', '.join(names)}); {names[0]} is used: "
                    f"give all the same {PACKER_METADATA}."
                )
            packers[pool] = self._load(names[0]) or usual
        return packers

    def _usual(self) -> NamedPacker:
        name = self._options.packer
        packer = self._load(name)
        if packer is None:
            loading.require(PACKERS, [name])
            raise loading.PluginNotFound(f"the packer {name!r} cannot be loaded")
        return packer

    def _load(self, name: str) -> NamedPacker | None:
        if name not in self._loaded:
            try:
                [(_, packer)] = loading.load(PACKERS, [name])
                self._loaded[name] = NamedPacker(name, packer)
            except loading.PluginNotFound as fault:
                self._say(
                    f"A packer that [queue] packer or {PACKER_METADATA} names is not used: {fault}."
                )
                self._loaded[name] = None
        return self._loaded[name]

    def _refresh(self, now_s: float) -> None:
        if self._read is None or now_s < self._due_s:
            return
        self._due_s = now_s + _PERIOD_S
        try:
            self._aggregates = self._read()
        except ServiceFault as fault:
            self._say(
                f"Host aggregates cannot be read, their {PACKER_METADATA} stays as it was: {fault}."
            )

    def _say(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            LOG.warning("%s", text)


def named_packers(
    snapshot: Snapshot, aggregates: Iterable[Aggregate]
) -> dict[str, tuple[str, ...]]:
    """Give the packers that aggregates name for pools, in the order of the aggregates' names."""
    named: dict[str, list[str]] = {}
    for aggregate in sorted(aggregates, key=lambda each: each.name):
        if name := aggregate.metadata.get(PACKER_METADATA):
            hosts = (snapshot.hosts[host] for host in aggregate.hosts if host in snapshot.hosts)
            for pool in {host.pool for host in hosts}:
                named.setdefault(pool, []).append(name)
    return {pool: tuple(names) for pool, names in named.items()}
