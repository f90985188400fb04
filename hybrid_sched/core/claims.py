# SPDX-License-Identifier: Apache-2.0
"""Claims: what Placement holds of each host for whom, and what of it a framework's share is charged with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from hybrid_sched.core.resources import Resources


class ClaimKind(StrEnum):
    """What holds a claim."""

    TASK = "task"
    #: A move: of a guest it holds the host that the guest leaves, of a container the host that it goes to.
    MIGRATION = "migration"


@dataclass(frozen=True, slots=True)
class Claim:
    """What one consumer holds of one host. Every claim takes room on its host.

    :param consumer_uuid: of the guest, the container or the migration.
    :param framework: that holds it, or None when nobody knows the consumer.
    :param demand: vCPUs and memory.
    :param kind: task or migration.
    :param counts_for_share: whether the framework's share is charged with it: with one claim of each guest or container.
    :param moves: of a migration, the guest that it moves, or None while that is unknown.
    """

    consumer_uuid: str
    framework: str | None
    demand: Resources
    kind: ClaimKind
    counts_for_share: bool
    moves: str | None = None


@dataclass(frozen=True, slots=True)
class Consumer:
    """Who a consumer is.

    :param framework: that it belongs to, or None when nobody knows.
    :param kind: task or migration.
    :param moves: of a migration, the guest or container that it moves, or None while that is unknown.
    """

    framework: str | None = None
    kind: ClaimKind = ClaimKind.TASK
    moves: str | None = None


def demand_of(amounts: Mapping[str, int]) -> Resources:
    """Turn amounts by Placement's resource class into a demand; a pinned CPU is a vCPU, other classes are not shared."""
    return Resources(
        vcpu=amounts.get("VCPU", 0) + amounts.get("PCPU", 0),
        memory_mb=amounts.get("MEMORY_MB", 0),
    )


def attribute(
    held: Mapping[str, Mapping[str, Resources]], consumers: Mapping[str, Consumer]
) -> dict[str, dict[str, Claim]]:
    """Say who holds what, so that each guest counts exactly once for the share, wherever it is on its way.

    While a guest moves, Nova lets the migration hold the source: first alone, then beside the guest's claim of the
    target. An evacuated guest holds both hosts itself until the dead one is back. So the guest's own claim counts, on its
    first host by name; without one, that of its migration; a migration of an unknown guest never does.

    :param held: demand by host, then by consumer.
    :param consumers: who each consumer is.
    :returns: claims by host, then by consumer.
    """
    of_guest: dict[str, list[tuple[bool, str, str]]] = defaultdict(list)
    for host, demands in held.items():
        for uuid in demands:
            consumer = consumers[uuid]
            is_migration = consumer.kind is ClaimKind.MIGRATION
            guest = consumer.moves if is_migration else uuid
            if guest is not None and consumer.framework is not None:
                of_guest[guest].append((is_migration, uuid, host))
    counted = {min(claims)[1:] for claims in of_guest.values()}
    return {
        host: {
            uuid: Claim(
                consumer_uuid=uuid,
                framework=consumers[uuid].framework,
                demand=demand,
                kind=consumers[uuid].kind,
                counts_for_share=(uuid, host) in counted,
                moves=consumers[uuid].moves,
            )
            for uuid, demand in demands.items()
        }
        for host, demands in held.items()
    }
