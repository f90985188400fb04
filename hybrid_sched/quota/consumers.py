# SPDX-License-Identifier: Apache-2.0
"""Who the consumers of Placement's claims are: guests, containers, or migrations of guests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field

from oslo_log import log

from hybrid_sched.clients.batch import Batch
from hybrid_sched.clients.nova import NovaClient
from hybrid_sched.clients.placement import PlacementClient
from hybrid_sched.clients.session import ServiceFault
from hybrid_sched.core.claims import ClaimKind, Consumer
from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR

LOG = log.getLogger(__name__)

CopiesOf = Callable[[], Mapping[str, str]]

#: Consumer types that tell whose a claim is, by the names that Placement's documents give to Nova's.
_TYPES = {
    "INSTANCE": Consumer(HYPERVISOR),
    "MIGRATION": Consumer(HYPERVISOR, ClaimKind.MIGRATION),
}
#: Types asked for in one refresh: after a start many consumers are new, and each costs a call.
MOST_TYPES = 50
#: Moves are no reason to wait long for Nova: Placement's claims are worth more.
_NOVA_LIMIT_S = 15.0


@dataclass(frozen=True, slots=True)
class Consumers:
    """What is known of consumers.

    :param known: those of which something is known.
    :param ask_nova: those that may be migrations and of which Nova could not be asked.
    :param ask_type: those whose type is still to be asked for.
    """

    known: Mapping[str, Consumer] = field(default_factory=dict)
    ask_nova: frozenset[str] = frozenset()
    ask_type: frozenset[str] = frozenset()


class Identifier:
    """Finds out who consumers are: by what we know ourselves, by Nova's migrations, then by the type in Placement.

    :param placement: asked for types.
    :param nova: asked for migrations, or None.
    :param framework_of: framework of a consumer, or None when it is unknown.
    :param copies: gives the containers that are being made again on another host, by their uuid there.
    """

    def __init__(
        self,
        placement: PlacementClient,
        nova: NovaClient | None,
        framework_of: Callable[[str], str | None],
        copies: CopiesOf = dict,
    ) -> None:
        self._placement = placement
        self._nova = nova
        self._framework_of = framework_of
        self._copies = copies
        self._nova_fails = False

    def identify(
        self, batch: Batch, before: Consumers, holding: Set[str], listed: Set[str]
    ) -> Consumers:
        """Find out more. Whom nobody knows is asked about again when it is listed again.

        :param batch: asks Nova and Placement.
        :param before: what is known; what is known once stays for as long as the consumer holds something.
        :param holding: all consumers that hold something.
        :param listed: those on the providers that were read just now.
        :raises ServiceFault: when Placement does not answer as it should.
        :raises TimeoutError: when the batch's deadline is over.
        """
        known = {uuid: each for uuid, each in before.known.items() if uuid in holding}
        self._tell_copies(known, holding)
        for uuid in holding - known.keys():
            if framework := self._framework_of(uuid):
                known[uuid] = Consumer(framework)
        ask_nova = self._find_migrations(batch, known, (before.ask_nova | listed) & holding)
        ask_type = ((before.ask_type | listed) & holding) - known.keys()
        asked = sorted(ask_type)[:MOST_TYPES]
        for uuid, name in zip(asked, batch.map(self._placement.consumer_type, asked), strict=True):
            if name in _TYPES:
                known[uuid] = _TYPES[name]
        return Consumers(known, ask_nova, frozenset(ask_type).difference(asked))

    def _tell_copies(self, known: dict[str, Consumer], holding: Set[str]) -> None:
        """Mark containers that are there twice; once their move is over they are as any other."""
        copies = self._copies()
        for uuid, each in known.items():
            if each.framework == CONTAINER and each.moves is not None and uuid not in copies:
                known[uuid] = Consumer(CONTAINER)
        for uuid in copies.keys() & holding:
            known[uuid] = Consumer(CONTAINER, ClaimKind.MIGRATION, copies[uuid])

    def _find_migrations(
        self, batch: Batch, known: dict[str, Consumer], listed: Set[str]
    ) -> frozenset[str]:
        """Add migrations, and the guests that they move, to what is known; gives those to ask about again."""
        unlinked = {
            uuid
            for uuid, each in known.items()
            if each.kind is ClaimKind.MIGRATION and each.moves is None
        }
        ask = (listed - known.keys()) | unlinked
        if self._nova is None or not ask:
            return frozenset()
        guests = self._guests_that_move(batch, self._nova)
        if guests is None:
            return frozenset(ask)
        for uuid in ask & guests.keys():
            known[uuid] = Consumer(HYPERVISOR, ClaimKind.MIGRATION, guests[uuid])
        for uuid in ask.intersection(guests.values()):
            known[uuid] = Consumer(HYPERVISOR)
        return frozenset()

    def _guests_that_move(self, batch: Batch, nova: NovaClient) -> dict[str, str] | None:
        """Ask Nova which guest each migration moves; None when it cannot be asked."""
        try:
            migrations = batch.call(nova.migrations_in_progress, _NOVA_LIMIT_S)
        except (ServiceFault, TimeoutError) as fault:
            if not self._nova_fails:
                reason = str(fault) or f"no answer within {_NOVA_LIMIT_S:g} s"
                LOG.warning("Guests on their way may be missing from the share: %s.", reason)
            self._nova_fails = True
            return None
        if self._nova_fails:
            LOG.info("Nova tells again which guests are on their way.")
        self._nova_fails = False
        return {each.uuid: each.instance_uuid for each in migrations}
