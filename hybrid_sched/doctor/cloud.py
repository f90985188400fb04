# SPDX-License-Identifier: Apache-2.0
"""What Placement, Nova and Zun tell: two looks, with a pause between, so that what is on its way is not taken for lost."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from hybrid_sched.clients.batch import Batch
from hybrid_sched.clients.nova import NovaClient
from hybrid_sched.clients.placement import PlacementClient, Provider
from hybrid_sched.clients.session import ServiceFault
from hybrid_sched.clients.zun import ZunClient
from hybrid_sched.core.doctor.facts import (
    Facts,
    Hypervisor,
    Known,
    Look,
    ProviderLook,
    Service,
    Unseen,
)
from hybrid_sched.core.doctor.hosts import provider_of, shared_hosts
from hybrid_sched.core.doctor.orphans import strangers

_THREADS = 8
_DEADLINE_S = 300.0
#: Types that Nova and Zun may write of theirs; claims without a type are theirs, too.
_OWN_TYPES = frozenset({"INSTANCE", "MIGRATION", "CONTAINER", "CAPSULE"})

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Clients:
    """Whom the doctor asks; None where authentication is not configured.

    :param placement: where inventories and claims are.
    :param nova: who knows servers.
    :param zun: who knows containers.
    """

    placement: PlacementClient | None
    nova: NovaClient | None
    zun: ZunClient | None


class CloudReader:
    """Gathers the cloud's facts.

    :param clients: whom to ask.
    :param settle_s: seconds between the two looks.
    :param pause: waits for some seconds.
    """

    def __init__(
        self, clients: Clients, settle_s: float, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._clients = clients
        self._settle_s = settle_s
        self._pause = pause
        self._unseen: dict[str, Unseen] = {}

    def gather(self) -> Facts:
        """Look twice. What a service does not answer is None, and told among what was not seen.

        :raises TimeoutError: when a look takes more than five minutes.
        """
        self._unseen = {}
        for name, client in (
            ("placement", self._clients.placement),
            ("nova", self._clients.nova),
            ("zun", self._clients.zun),
        ):
            if client is None:
                self._unseen[name] = Unseen(
                    f"The group [{name}] of the configuration names no account, so {name.title()} was not asked.",
                    "Give the doctor the configuration of the engine with --config-file, or fill the group in.",
                )
        nodes, services, zun_hosts = self._hypervisors(), self._services(), self._zun_hosts()
        facts = Facts(hypervisors=nodes, services=services, zun_hosts=zun_hosts)
        first = self._look(nodes, zun_hosts)
        if first is not None:
            self._pause(self._settle_s)
            second = self._look(nodes, zun_hosts)
            if second is not None:
                facts = self._identified(replace(facts, looks=(first, second)))
        return replace(facts, unseen=tuple(self._unseen.values()))

    def _hypervisors(self) -> Sequence[Hypervisor] | None:
        nova = self._clients.nova
        return None if nova is None else self._told("nova", nova.hypervisors)

    def _services(self) -> Sequence[Service] | None:
        nova = self._clients.nova
        return None if nova is None else self._told("nova", nova.services)

    def _zun_hosts(self) -> Sequence[str] | None:
        zun = self._clients.zun
        return None if zun is None else self._told("zun", zun.hosts)

    def _look(
        self, nodes: Sequence[Hypervisor] | None, zun_hosts: Sequence[str] | None
    ) -> Look | None:
        placement = self._clients.placement
        if placement is None:
            return None
        # Claims are read before those who might hold them: what is made meanwhile is known then, and not taken for lost.
        providers = self._told("placement", lambda: self._providers(placement, nodes, zun_hosts))
        return None if providers is None else Look(providers, self._known())

    def _providers(
        self,
        placement: PlacementClient,
        nodes: Sequence[Hypervisor] | None,
        zun_hosts: Sequence[str] | None,
    ) -> tuple[ProviderLook, ...]:
        """Read all root providers, and what those of shared hosts have and what is held of them."""
        listed = placement.providers()
        roots = [each for each in listed if each.root_uuid == each.uuid]
        names = Look(tuple(ProviderLook(each.uuid, each.name, each.generation) for each in roots))
        wanted = {
            provider.uuid
            for host in shared_hosts(nodes or (), zun_hosts or ())
            if (provider := provider_of(host.node, names)) is not None
        }
        parts = [each for each in listed if each.root_uuid in wanted]
        with Batch(_THREADS, _DEADLINE_S) as batch:
            inventories = batch.map(placement.inventories, sorted(wanted))
            held = batch.map(lambda part: placement.allocations(part.uuid), parts)
        told = dict(zip(sorted(wanted), inventories, strict=True))
        of_root = _by_root(parts, held)
        return tuple(
            replace(
                each,
                generation=each.generation if (read := told.get(each.uuid)) is None else read[0],
                inventories={} if read is None else read[1],
                held=of_root.get(each.uuid, {}),
            )
            for each in names.providers
        )

    def _known(self) -> Known | None:
        """Ask whom Nova and Zun know; None when one does not answer completely."""
        nova, zun = self._clients.nova, self._clients.zun
        if nova is None or zun is None:
            return None
        servers = self._told("nova", nova.server_uuids)
        # Asked for after the servers: what began to move meanwhile is known by its server.
        migrations = self._told("nova", nova.migrations_in_progress)
        containers = self._told("zun", zun.containers)
        capsules = self._told("zun", zun.capsules)
        if servers is None or migrations is None or containers is None or capsules is None:
            return None
        return Known(
            servers=servers,
            migrations=frozenset(each.uuid for each in migrations),
            containers={**containers, **capsules[0]},
            members=capsules[1],
        )

    def _identified(self, facts: Facts) -> Facts:
        """Find out who those are whom the listings do not name, and name them in the second look."""
        nova, placement = self._clients.nova, self._clients.placement
        unknown = strangers(facts)
        if not unknown or facts.looks is None or nova is None or placement is None:
            return facts
        first, second = facts.looks
        servers = self._told("nova", lambda: _those(nova.has_server, unknown))
        ended = self._told("nova", nova.ended_migrations)
        others = self._told(
            "placement", lambda: _those(lambda uuid: _is_foreign(placement, uuid), unknown)
        )
        if servers is None or ended is None or others is None or second.known is None:
            known = None
        else:
            known = replace(
                second.known,
                servers=second.known.servers | servers,
                ended_migrations=ended & unknown,
                others=others,
            )
        return replace(facts, looks=(first, replace(second, known=known)))

    def _told(self, name: str, ask: Callable[[], _Answer]) -> _Answer | None:
        """Ask a service; None, and a word about it, when it does not answer."""
        try:
            return ask()
        except ServiceFault as fault:
            self._unseen[name] = Unseen(
                f"{name.title()} was not looked at completely: {fault}.",
                f"See that it runs, and that the account of the group [{name}] may ask it.",
            )
            return None


def _by_root(
    parts: Sequence[Provider], held: Sequence[Mapping[str, Mapping[str, int]] | None]
) -> dict[str, dict[str, dict[str, int]]]:
    """Add up what is held of a host and its parts: by root, consumer and resource class."""
    sums: dict[str, dict[str, dict[str, int]]] = {}
    for part, claims in zip(parts, held, strict=True):
        of_root = sums.setdefault(part.root_uuid, {})
        for consumer, amounts in (claims or {}).items():
            of_consumer = of_root.setdefault(consumer, defaultdict(int))
            for name, amount in amounts.items():
                of_consumer[name] += amount
    return sums


def _those(holds: Callable[[str], bool], uuids: Collection[str]) -> frozenset[str]:
    asked = sorted(uuids)
    with Batch(_THREADS, _DEADLINE_S) as batch:
        return frozenset(
            uuid for uuid, yes in zip(asked, batch.map(holds, asked), strict=True) if yes
        )


def _is_foreign(placement: PlacementClient, uuid: str) -> bool:
    written = placement.consumer_type(uuid)
    return written is not None and written not in _OWN_TYPES
