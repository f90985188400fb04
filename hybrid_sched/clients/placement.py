# SPDX-License-Identifier: Apache-2.0
"""What we read of Placement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keystoneauth1 import adapter
from oslo_config import cfg

from hybrid_sched.clients.session import ServiceFault, adapter_of, get, get_if_there, send
from hybrid_sched.core.doctor.facts import Inventory
from hybrid_sched.rpc import wire

#: Since Xena: 1.38 tells a consumer's type; roots of nested providers are told since 1.14.
MICROVERSION = "1.38"
#: With which claims are taken back: the last that wants no consumer type, which Nova and Zun do not write.
_RELEASE_MICROVERSION = "1.37"
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


@dataclass(frozen=True, slots=True)
class Consumer:
    """Who holds something.

    :param generation: of it; grows with what is written for it.
    :param project_id: whose it is.
    :param user_id: whose it is.
    """

    generation: int
    project_id: str
    user_id: str


class PlacementClient:
    """Reads Placement, and writes what the doctor repairs; may be used by several threads at once.

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
        answer = self._get_if_there(path)
        if answer is None:
            return None
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

    def inventories(self, provider_uuid: str) -> tuple[int, dict[str, Inventory]] | None:
        """Tell what a provider has.

        :returns: its generation, and its inventories by resource class; None when there is no such provider any more.
        :raises ServiceFault: when Placement does not answer as it should.
        """
        path = f"/resource_providers/{provider_uuid}/inventories"
        answer = self._get_if_there(path)
        if answer is None:
            return None
        try:
            generation = _generation(answer, "resource_provider_generation")
            entries = wire.mapping(answer.get("inventories"), "inventories")
            return generation, {
                name: _inventory(entry, f"inventories.{name[:64]}")
                for name, entry in entries.items()
            }
        except wire.BadMessage as fault:
            raise _bad_answer(f"GET {path}", fault) from None

    def set_inventory(
        self, provider_uuid: str, resource_class: str, inventory: Inventory, generation: int
    ) -> None:
        """Write one inventory, unless its provider has been written since.

        What is not in :class:`Inventory` stays as it is; in a new one, any amount up to the total may be claimed.

        :param generation: of the provider when it was read.
        :raises ServiceFault: when Placement does not answer as it should; with status 409 when it has been written.
        """
        base = f"/resource_providers/{provider_uuid}/inventories"
        answer = self._get(base)
        try:
            known = wire.mapping(answer.get("inventories"), "inventories").get(resource_class)
        except wire.BadMessage as fault:
            raise _bad_answer(f"GET {base}", fault) from None
        body = {
            **(known or {"min_unit": 1, "max_unit": inventory.total, "step_size": 1}),
            "total": inventory.total,
            "reserved": inventory.reserved,
            "allocation_ratio": inventory.ratio,
        }
        if known is None:
            body["resource_class"] = resource_class
        body["resource_provider_generation"] = generation
        method, path = ("POST", base) if known is None else ("PUT", f"{base}/{resource_class}")
        send(self._service, method, path, body=body, role=_ROLE)

    def consumer(self, consumer_uuid: str) -> Consumer | None:
        """Tell who holds something; None when nothing is held.

        :raises ServiceFault: when Placement does not answer as it should.
        """
        path = f"/allocations/{consumer_uuid}"
        answer = self._get(path)
        if not answer.get("allocations"):
            return None
        try:
            project_id, user_id = (
                wire.text(answer.get(key), key, _LONGEST_NAME) for key in ("project_id", "user_id")
            )
            return Consumer(_generation(answer, "consumer_generation"), project_id, user_id)
        except wire.BadMessage as fault:
            raise _bad_answer(f"GET {path}", fault) from None

    def release(self, consumer_uuid: str, consumer: Consumer) -> None:
        """Delete all that a consumer holds, unless something has been written for it since it was read.

        :raises ServiceFault: when Placement does not answer as it should; with status 409 when something has been written.
        """
        body = {
            "allocations": {},
            "project_id": consumer.project_id,
            "user_id": consumer.user_id,
            "consumer_generation": consumer.generation,
        }
        path = f"/allocations/{consumer_uuid}"
        send(
            self._service,
            "PUT",
            path,
            body=body,
            role=_ROLE,
            microversion=_RELEASE_MICROVERSION,
        )

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

    def _get_if_there(self, path: str) -> wire.Wire | None:
        """Ask for what is of a provider; None when there is no such provider any more."""
        return get_if_there(self._service, path, role=_ROLE)

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


def _generation(answer: wire.Wire, name: str) -> int:
    return wire.integer(answer.get(name), name, 0, wire.LARGEST)


def _inventory(entry: Any, where: str) -> Inventory:
    fields = wire.mapping(entry, where)
    total, reserved = (
        wire.integer(fields.get(name), f"{where}.{name}", 0, wire.LARGEST)
        for name in ("total", "reserved")
    )
    ratio = wire.measure(fields.get("allocation_ratio"), f"{where}.allocation_ratio")
    return Inventory(total, reserved, ratio)


def _amounts(entry: Any, where: str) -> dict[str, int]:
    resources = wire.mapping(wire.mapping(entry, where).get("resources"), f"{where}.resources")
    return {
        name: wire.integer(amount, f"{where}.resources.{name[:64]}", 0, wire.LARGEST)
        for name, amount in resources.items()
    }


def _bad_answer(asked: str, fault: wire.BadMessage) -> ServiceFault:
    return ServiceFault(f"{asked} of placement: the answer cannot be used: {fault}")
