# SPDX-License-Identifier: Apache-2.0
"""What Placement's claims hold of each host, kept up to date by reading what has changed."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from oslo_log import log

from hybrid_sched.clients.batch import Batch
from hybrid_sched.clients.nova import NovaClient
from hybrid_sched.clients.placement import PlacementClient, Provider
from hybrid_sched.clients.session import ServiceFault
from hybrid_sched.core.claims import Claim, Consumer, attribute, demand_of
from hybrid_sched.core.resources import Resources, add
from hybrid_sched.quota.consumers import Consumers, CopiesOf, Identifier

LOG = log.getLogger(__name__)

_MOST_NAMED = 10
_NOTHING: Mapping[str, Claim] = MappingProxyType({})


class ClaimsUnavailable(Exception):
    """Placement could not be read; what was known before stays. The text is a sentence without the full stop."""


@dataclass(frozen=True, slots=True)
class _Holding:
    """What a provider is claimed by.

    :param generation: of the provider when it was listed, before it was read.
    :param read_at_s: when it was read.
    :param demands: by consumer; those of other resource classes alone are left out.
    """

    generation: int
    read_at_s: float
    demands: Mapping[str, Resources]


@dataclass(frozen=True, slots=True)
class _Known:
    """All that is known after one refresh; replaced as a whole, so that readers need no lock.

    :param at_s: when it was read.
    :param turns: part of a provider that is to be read in turn beyond those that were.
    :param hosts: name of the host that each provider is or is a part of.
    :param holdings: by provider.
    :param consumers: who holds them.
    :param claims: by host, then by consumer.
    """

    at_s: float
    turns: float = 0.0
    hosts: Mapping[str, str] = field(default_factory=dict)
    holdings: Mapping[str, _Holding] = field(default_factory=dict)
    consumers: Consumers = field(default_factory=Consumers)
    claims: Mapping[str, Mapping[str, Claim]] = field(default_factory=dict)


class Claims:
    """Placement's claims by host and framework.

    :meth:`refresh` is for one thread at a time; the rest may be called by any.

    :param placement: where claims are read.
    :param nova: asked which guest a migration moves; None leaves guests out of the share for the part of a move in which
        only the migration holds a claim.
    :param framework_of: framework of a consumer, or None when it is unknown; called often, so it must be quick.
    :param copies: gives the containers that are being made again on another host, by their uuid there; they count once.
    :param threads: calls of Placement at once.
    :param reread_s: seconds within which each provider is read even if it seems unchanged.
    :param deadline_s: seconds that one refresh may take.
    :param now_s: the monotonic clock.
    """

    def __init__(
        self,
        placement: PlacementClient,
        nova: NovaClient | None,
        framework_of: Callable[[str], str | None],
        copies: CopiesOf = dict,
        *,
        threads: int = 8,
        reread_s: float = 60.0,
        deadline_s: float = 60.0,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._placement = placement
        self._identifier = Identifier(placement, nova, framework_of, copies)
        self._threads = threads
        self._reread_s = reread_s
        self._deadline_s = deadline_s
        self._now_s = now_s
        self._known: _Known | None = None
        self._told: frozenset[str] = frozenset()

    def refresh(self, doubted: Collection[str] = ()) -> set[str]:
        """Read what has changed since the last time.

        A write of claims changes the generation of their provider, and then the provider is read. No generation changes
        when claims are deleted, or when a consumer's claims are replaced by claims elsewhere. So three more are read: the
        hosts in ``doubted``, providers on which a consumer was known that another provider lists now, and some in turn.

        :param doubted: hosts on which a consumer is known that their agents report no longer.
        :returns: names of the hosts whose claims differ from before, hosts that came or went included.
        :raises ClaimsUnavailable: when Placement cannot be read; nothing has changed then.
        """
        before = self._known or _Known(self._now_s())
        try:
            with Batch(self._threads, self._deadline_s) as batch:
                after = self._read(batch, before, doubted)
        except ServiceFault as fault:
            raise ClaimsUnavailable(f"claims stay as they were: {fault}") from None
        except TimeoutError:
            raise ClaimsUnavailable(
                f"claims stay as they were: Placement was not read within {self._deadline_s:g} s"
            ) from None
        self._known = after
        self._tell_unknown(after)
        if after.claims is before.claims:
            return set()
        return {
            host
            for host in before.claims.keys() | after.claims.keys()
            if before.claims.get(host) != after.claims.get(host)
        }

    def of(self, host: str) -> Mapping[str, Claim]:
        """Give the claims of a host by consumer; none for an unknown one."""
        return self._known.claims.get(host, _NOTHING) if self._known else _NOTHING

    def known_hosts(self) -> frozenset[str] | None:
        """Give the names of the hosts that Placement knows; None before the first reading."""
        return frozenset(self._known.claims) if self._known else None

    def age_s(self) -> float | None:
        """Tell how old the last reading is; None before the first one."""
        return self._now_s() - self._known.at_s if self._known else None

    def unknown_consumers(self) -> frozenset[str]:
        """Give the consumers of which nobody knows the framework: they take room, and count for no share."""
        return _unknown(self._known) if self._known else frozenset()

    def _read(self, batch: Batch, before: _Known, doubted: Collection[str]) -> _Known:
        at_s = self._now_s()
        providers = {each.uuid: each for each in batch.call(self._placement.providers)}
        hosts = {uuid: providers[each.root_uuid].name for uuid, each in providers.items()}
        turns = before.turns + len(providers) * (at_s - before.at_s) / self._reread_s
        wanted = _stale(before, providers) | _in_turn(before, int(turns))
        wanted |= {uuid for uuid, host in hosts.items() if host in doubted}
        holdings = {uuid: holding for uuid, holding in before.holdings.items() if uuid in providers}
        listed: set[str] = set()
        read: set[str] = set()
        while wanted := (wanted & providers.keys()) - read:
            for uuid, demands in zip(wanted, batch.map(self._demands, wanted), strict=True):
                listed |= demands.keys()
                holdings[uuid] = _Holding(providers[uuid].generation, at_s, demands)
            read |= wanted
            wanted = {
                uuid for uuid, each in holdings.items() if not listed.isdisjoint(each.demands)
            }
        holding = {uuid for each in holdings.values() for uuid in each.demands}
        consumers = self._identifier.identify(batch, before.consumers, holding, listed)
        unchanged = (hosts, consumers.known) == (before.hosts, before.consumers.known) and all(
            holdings[uuid].demands == before.holdings[uuid].demands for uuid in read
        )
        return _Known(
            at_s=at_s,
            turns=turns - int(turns),
            hosts=hosts,
            holdings=holdings,
            consumers=consumers,
            claims=before.claims
            if unchanged
            else attribute(
                _by_host(hosts, holdings), {**dict.fromkeys(holding, Consumer()), **consumers.known}
            ),
        )

    def _demands(self, provider: str) -> dict[str, Resources]:
        """Read a provider; one that has gone since it was listed is held by nobody.

        Who holds nothing else than other resources does not count as listed: a storage pool that all hosts share lists every
        guest, and would have all hosts read at each change.
        """
        held = self._placement.allocations(provider) or {}
        demands = {uuid: demand_of(amounts) for uuid, amounts in held.items()}
        return {uuid: demand for uuid, demand in demands.items() if any(demand)}

    def _tell_unknown(self, known: _Known) -> None:
        """Log the consumers that nobody knows, each once and not before all were asked."""
        waiting = known.consumers.ask_nova | known.consumers.ask_type
        unknown = _unknown(known) - waiting
        news = sorted(unknown - self._told)
        if news:
            LOG.warning(
                "Claims of consumers that no framework is known to hold take room and count for no share; new ones (%d): %s%s.",
                len(news),
                ", ".join(news[:_MOST_NAMED]),
                " and others" if len(news) > _MOST_NAMED else "",
            )
        self._told = _unknown(known) & (self._told | unknown)


def _stale(before: _Known, providers: Mapping[str, Provider]) -> set[str]:
    """Find the providers that are new or written to.

    A generation that is smaller belongs to a provider that was made anew.
    """
    return {
        uuid
        for uuid, provider in providers.items()
        if uuid not in before.holdings or before.holdings[uuid].generation != provider.generation
    }


def _in_turn(before: _Known, count: int) -> set[str]:
    """Choose the providers that were not read for longest."""
    ages = ((holding.read_at_s, uuid) for uuid, holding in before.holdings.items())
    return {uuid for _, uuid in heapq.nsmallest(count, ages)}


def _by_host(
    hosts: Mapping[str, str], holdings: Mapping[str, _Holding]
) -> dict[str, dict[str, Resources]]:
    """Add the parts of each host, such as NUMA nodes, to the host."""
    held: dict[str, dict[str, Resources]] = {name: {} for name in hosts.values()}
    for uuid, holding in holdings.items():
        demands = held[hosts[uuid]]
        for consumer, demand in holding.demands.items():
            other = demands.get(consumer)
            demands[consumer] = Resources(*add(other, demand)) if other else demand
    return held


def _unknown(known: _Known) -> frozenset[str]:
    return frozenset(
        uuid
        for claims in known.claims.values()
        for uuid, claim in claims.items()
        if claim.framework is None
    )
