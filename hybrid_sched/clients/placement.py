# SPDX-License-Identifier: Apache-2.0
"""What we read of Placement."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from keystoneauth1 import adapter
from oslo_config import cfg

from hybrid_sched.clients.session import ServiceFault, adapter_of, get
from hybrid_sched.rpc import wire

#: Since Xena: 1.38 tells a consumer's type; roots of nested providers are told since 1.14.
MICROVERSION = "1.38"
_ROLE = "the role service or admin"
_MOST_PROVIDERS = 1_000_000
_LONGEST_NAME = 255
_UNKNOWN_TYPE = "unknown"


@dataclass(frozen=True, slots=True)
class Provider:
    """A resource provider: a host, or a part of one such as a NUMA node.

    :param uuid: its own.
    :param name: of a host, the node name under which Nova knows it.
    :param generation: grows with what is written to it.
    :param root_uuid: of the host that it is a part of; its own where it is one.
    """

    uuid: str
    name: str
    generation: int
    root_uuid: str


class PlacementClient:
    """Reads Placement; may be used by several threads at once.

    :param service: adapter that asks with :data:`MICROVERSION`.
    """

    def __init__(self, service: adapter.Adapter) -> None:
        self._service = service

    def providers(self) -> tuple[Provider, ...]:
        """List all providers, with one call.

        :raises ServiceFault: when Placement does not answer as it should.
        """
        answer = self._get("/resource_providers")
        try:
            entries = wire.sequence(
                answer.get("resource_providers"), "resource_providers", _MOST_PROVIDERS
            )
            providers = {
                provider.uuid: provider
                for index, entry in enumerate(entries)
                for provider in [_provider(entry, f"resource_providers[{index}]")]
            }
            for provider in providers.values():
                root = providers.get(provider.root_uuid)
                if root is None or root.root_uuid != root.uuid:
                    raise wire.BadMessage(
                        f"resource_providers: the root of {provider.name} is none of the roots"
                    )
            return tuple(providers.values())
        except wire.BadMessage as fault:
            raise _bad_answer("GET /resource_providers", fault) from None

    def allocations(self, provider_uuid: str) -> dict[str, dict[str, int]] | None:
        """Tell what is held of a provider.

        :returns: amounts by consumer, then by resource class; None when there is no such provider any more.
        :raises ServiceFault: when Placement does not answer as it should.
        """
        path = f"/resource_providers/{provider_uuid}/allocations"
        try:
            answer = self._get(path)
        except ServiceFault as fault:
            if fault.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        try:
            held = wire.mapping(answer.get("allocations"), "allocations")
            return {
                wire.text(consumer, "allocations", _LONGEST_NAME): _amounts(
                    entry, f"allocations.{consumer[:64]}"
                )
                for consumer, entry in held.items()
            }
        except wire.BadMessage as fault:
            raise _bad_answer(f"GET {path}", fault) from None

    def consumer_type(self, consumer_uuid: str) -> str | None:
        """Tell the type that was written with a consumer's claim.

        Nova 34 and Zun 18 write none: both claim with microversions below 1.38.

        :returns: the type; None where none was written or nothing is held.
        :raises ServiceFault: when Placement does not answer as it should.
        """
        path = f"/allocations/{consumer_uuid}"
        written = self._get(path).get("consumer_type", _UNKNOWN_TYPE)
        try:
            name = wire.text(written, "consumer_type", _LONGEST_NAME)
        except wire.BadMessage as fault:
            raise _bad_answer(f"GET {path}", fault) from None
        return None if name == _UNKNOWN_TYPE else name

    def _get(self, path: str) -> wire.Wire:
        return get(self._service, path, role=_ROLE)


def placement_client(conf: cfg.ConfigOpts) -> PlacementClient | None:
    """Make the client from the group ``[placement]``; None when no authentication is configured there.

    :raises BadClientOption: when the options cannot be used.
    """
    service = adapter_of(conf, "placement", MICROVERSION)
    return None if service is None else PlacementClient(service)


def _provider(entry: object, where: str) -> Provider:
    fields = wire.mapping(entry, where)
    uuid, name, root_uuid = (
        wire.text(fields.get(key), f"{where}.{key}", _LONGEST_NAME)
        for key in ("uuid", "name", "root_provider_uuid")
    )
    generation = wire.integer(fields.get("generation"), f"{where}.generation", 0, wire.LARGEST)
    return Provider(uuid, name, generation, root_uuid)


def _amounts(entry: Any, where: str) -> dict[str, int]:
    resources = wire.mapping(wire.mapping(entry, where).get("resources"), f"{where}.resources")
    return {
        name: wire.integer(amount, f"{where}.resources.{name[:64]}", 0, wire.LARGEST)
        for name, amount in resources.items()
    }


def _bad_answer(asked: str, fault: wire.BadMessage) -> ServiceFault:
    return ServiceFault(f"{asked} of placement: the answer cannot be used: {fault}")
