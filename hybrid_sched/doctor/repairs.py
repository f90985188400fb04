# SPDX-License-Identifier: Apache-2.0
"""Repairs: each looks again right before it acts, and writes only if nothing has changed since."""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus

from hybrid_sched.clients.session import ServiceFault
from hybrid_sched.core.doctor.facts import Inventory, Known, KnownContainer
from hybrid_sched.core.doctor.findings import ReleaseClaim, RemoveContainer, Repair, SetInventory
from hybrid_sched.core.doctor.orphans import HOPELESS
from hybrid_sched.doctor.cloud import Clients
from hybrid_sched.doctor.hypervisor import NotAnswering, ZunDocker

# Zun can only be asked for all of its containers, so that the answer serves repairs that follow at once.
_ZUN_MAX_AGE_S = 2.0
_CHANGED = "the inventory has changed since: run the doctor again"


class NotRepaired(Exception):
    """A repair was given up; the text is a sentence without the full stop."""


class Repairer:
    """Carries out repairs.

    :param clients: of the services; those of the doctor's looks.
    :param docker: of this host.
    :param now_s: the monotonic clock.
    """

    def __init__(
        self, clients: Clients, docker: ZunDocker, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._clients = clients
        self._docker = docker
        self._now_s = now_s
        self._zun: tuple[float, Known] | None = None

    def carry_out(self, repair: Repair) -> None:
        """Do it.

        :raises NotRepaired: when it is not needed any more, something has changed, or a service does not answer.
        """
        try:
            match repair:
                case SetInventory():
                    self._set_inventory(repair)
                case ReleaseClaim():
                    self._release(repair)
                case RemoveContainer():
                    self._remove(repair)
        except ServiceFault as fault:
            if fault.status == HTTPStatus.CONFLICT:
                raise NotRepaired(
                    "somebody else wrote to it at the same moment: run the doctor again"
                ) from None
            raise NotRepaired(str(fault)) from None
        except NotAnswering as fault:
            raise NotRepaired(str(fault)) from None

    def _set_inventory(self, repair: SetInventory) -> None:
        placement = self._clients.placement
        if placement is None:
            raise NotRepaired("Placement must be configured")
        read = placement.inventories(repair.provider_uuid)
        if read is None:
            raise NotRepaired("the provider is gone")
        generation, inventories = read
        inventory = _corrected(repair, inventories.get(repair.resource_class))
        placement.set_inventory(repair.provider_uuid, repair.resource_class, inventory, generation)

    def _release(self, repair: ReleaseClaim) -> None:
        placement, nova = self._clients.placement, self._clients.nova
        if placement is None or nova is None:
            raise NotRepaired("Placement and Nova must both be configured")
        # Read before the services are asked: whatever is written for it from now on makes Placement refuse.
        consumer = placement.consumer(repair.consumer_uuid)
        if consumer is None:
            raise NotRepaired("it holds nothing any more")
        uuid = repair.consumer_uuid
        migrations = {each.uuid for each in nova.migrations_in_progress()}
        if uuid in migrations or nova.has_server(uuid):
            raise NotRepaired("Nova knows it by now")
        zun = self._known_to_zun()
        container: KnownContainer | None = zun.containers.get(uuid)
        if repair.unknown_to_zun:
            if zun.knows(uuid):
                raise NotRepaired("Zun knows it by now")
        elif container is not None and (container.host or container.status not in HOPELESS):
            raise NotRepaired("the container has come to something by now")
        placement.release(uuid, consumer)

    def _remove(self, repair: RemoveContainer) -> None:
        if self._known_to_zun().knows(repair.uuid):
            raise NotRepaired("Zun knows it by now")
        if self._docker.state(repair.container_id) is None:
            raise NotRepaired("it is gone by now")
        # Docker itself refuses to remove one that has been started again.
        self._docker.remove(repair.container_id)

    def _known_to_zun(self) -> Known:
        zun = self._clients.zun
        if zun is None:
            raise NotRepaired("Zun must be configured")
        if self._zun is None or self._now_s() - self._zun[0] > _ZUN_MAX_AGE_S:
            asked_at_s = self._now_s()
            capsules, members = zun.capsules()
            containers = {**zun.containers(), **capsules}
            self._zun = asked_at_s, Known(containers=containers, members=members)
        return self._zun[1]


def _corrected(repair: SetInventory, now: Inventory | None) -> Inventory:
    """Give the inventory that is to be written.

    What the repair does not write is as it is now: another repair of the same inventory may just have corrected it.

    :raises NotRepaired: when what it writes is not as it was seen any more.
    """
    seen = repair.found
    if now is None or seen is None:
        if now is not None or seen is not None:
            raise NotRepaired(_CHANGED)
        now = Inventory(0, 0, 1.0)
        seen = (now.total, now.reserved, now.ratio)
    wanted = (repair.total, repair.reserved, repair.ratio)
    current = (now.total, now.reserved, now.ratio)
    if any(
        new is not None and old != was for new, old, was in zip(wanted, current, seen, strict=True)
    ):
        raise NotRepaired(_CHANGED)
    return Inventory(
        total=now.total if repair.total is None else repair.total,
        reserved=now.reserved if repair.reserved is None else repair.reserved,
        ratio=now.ratio if repair.ratio is None else repair.ratio,
    )
