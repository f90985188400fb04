# SPDX-License-Identifier: Apache-2.0
"""Family ``inventory``: the provider of a shared host is Nova's alone, and everybody works with what it says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hybrid_sched.core.doctor.facts import Facts, Inventory, ProviderLook
from hybrid_sched.core.doctor.findings import Finding, Kind, Safety, SetInventory, Severity
from hybrid_sched.core.doctor.hosts import (
    SharedHost,
    hosts_of,
    on_shared_hosts,
    provider_of,
    same_host,
)

PROVIDER_MISSING = Kind("inventory.provider_missing", Severity.ERROR)
PROVIDER_TWICE = Kind("inventory.provider_twice", Severity.ERROR)
PCPU_GONE = Kind("inventory.pcpu_gone", Severity.ERROR, Safety.ASK)
RESERVED_CHANGED = Kind("inventory.reserved_changed", Severity.ERROR, Safety.ASK)
RATIO_CHANGED = Kind("inventory.ratio_changed", Severity.WARNING, Safety.ASK)
ZUN_RATIO_DIFFERS = Kind("inventory.zun_ratio_differs", Severity.WARNING)
TOTAL_DIFFERS = Kind("inventory.total_differs", Severity.ERROR)
AGENT_DIFFERS = Kind("inventory.agent_differs", Severity.WARNING)
TWO_WRITERS = Kind("inventory.two_writers", Severity.ERROR)
WRITTEN_WITHOUT_CAUSE = Kind("inventory.written_without_cause", Severity.WARNING)

# libvirt counts the memory of NUMA nodes and the agent that of the kernel: a little of it is seen by only one of them.
_MEMORY_TOLERANCE = 0.03
_STOP_ZUN = (
    "Set [DEFAULT] container_driver = hybrid_docker in zun.conf of the host and restart zun-compute there, then nova-compute, "
    "which writes its inventory when it starts."
)


def provider_missing(facts: Facts) -> Iterator[Finding]:
    """Look for compute nodes of shared hosts without a provider."""
    if facts.looks is None:
        return
    for host in hosts_of(facts):
        if provider_of(host.node, facts.looks[1]) is None:
            yield PROVIDER_MISSING.found(
                host.name,
                f"Placement has no resource provider {host.node.name} ({host.node.uuid}), so neither guests nor containers "
                f"can be placed on host {host.name}.",
                "Restart nova-compute there: it makes its provider when it starts; if it refuses, its log says why.",
            )


def provider_twice(facts: Facts) -> Iterator[Finding]:
    """Look for a second root provider of one host, as comes of a short name here and a full one there."""
    if facts.looks is None:
        return
    _, look = facts.looks
    for host in hosts_of(facts):
        own = provider_of(host.node, look)
        if own is None:
            continue
        nodes = {node.uuid for node in facts.hypervisors or ()}
        for other in look.providers:
            if (
                other.uuid != own.uuid
                and other.uuid not in nodes
                and same_host(other.name, own.name)
            ):
                yield PROVIDER_TWICE.found(
                    host.name,
                    f"Host {host.name} has two resource providers, {own.name} ({own.uuid}) of Nova and {other.name} "
                    f"({other.uuid}), so its capacity is promised twice.",
                    f"Set [DEFAULT] host in zun.conf of the host to {own.name} and [compute] host_shared_with_nova = true, "
                    f"restart zun-compute, move what holds provider {other.uuid}, and delete that provider.",
                )


def pcpu_gone(facts: Facts) -> Iterator[Finding]:
    """Look for CPUs that Nova keeps for pinned guests and that the inventory has lost."""
    for host, _, provider in _of_nova_conf(facts):
        dedicated = facts.nova_conf.dedicated_cpus if facts.nova_conf else 0
        if dedicated and "PCPU" not in provider.inventories:
            yield PCPU_GONE.found(
                host.name,
                f"The inventory of {provider.name} has no PCPU, though [compute] cpu_dedicated_set of Nova names {dedicated} "
                "CPUs: pinned guests find no host, and Zun's stock driver has most likely replaced the inventory.",
                _STOP_ZUN,
                SetInventory(provider.uuid, "PCPU", None, total=dedicated, reserved=0, ratio=1.0),
            )


def reserved_changed(facts: Facts) -> Iterator[Finding]:
    """Look for reserves that are not those of Nova's configuration."""
    for host, _, provider in _of_nova_conf(facts):
        expected = facts.nova_conf.reserved if facts.nova_conf else {}
        for resource_class, reserved in expected.items():
            found = provider.inventories.get(resource_class)
            if found is not None and found.reserved != reserved:
                yield RESERVED_CHANGED.found(
                    host.name,
                    f"{resource_class} of {provider.name} has {found.reserved} reserved, but Nova's options "
                    f"reserved_host_* say {reserved}.",
                    f"{_STOP_ZUN} If Nova's options were changed on purpose, restart nova-compute alone.",
                    SetInventory(provider.uuid, resource_class, _seen(found), reserved=reserved),
                )


def ratio_changed(facts: Facts) -> Iterator[Finding]:
    """Look for allocation ratios that are not those that Nova's configuration forces."""
    for host, _, provider in _of_nova_conf(facts):
        expected = facts.nova_conf.ratios if facts.nova_conf else {}
        for resource_class, ratio in expected.items():
            found = provider.inventories.get(resource_class)
            if found is not None and not _equal(found.ratio, ratio):
                yield RATIO_CHANGED.found(
                    host.name,
                    f"The allocation ratio of {resource_class} of {provider.name} is {found.ratio:g}, but Nova's option "
                    f"{_option(resource_class)} says {ratio:g}.",
                    f"Restart nova-compute, and leave [compute] {_option(resource_class)} out of zun.conf.",
                    SetInventory(provider.uuid, resource_class, _seen(found), ratio=ratio),
                )


def zun_ratio_differs(facts: Facts) -> Iterator[Finding]:
    """Look for ratios by which Zun works and which are not those of the inventory."""
    conf = facts.zun_conf
    if conf is None:
        return
    for host, _, provider in on_shared_hosts(facts):
        if not same_host(host.zun_name, conf.host):
            continue
        for resource_class, ratio in conf.ratios.items():
            found = provider.inventories.get(resource_class)
            if found is not None and not _equal(found.ratio, ratio):
                yield ZUN_RATIO_DIFFERS.found(
                    host.name,
                    f"[compute] {_option(resource_class)} of {conf.path} is {ratio:g}, but the inventory of {provider.name} "
                    f"says {found.ratio:g}: zun-compute judges containers by another capacity than Placement.",
                    f"Take [compute] {_option(resource_class)} out of zun.conf and restart zun-compute: it then goes by the "
                    "inventory.",
                )


def total_differs(facts: Facts) -> Iterator[Finding]:
    """Look for totals that are not those that nova-compute found on the host."""
    for host, _, provider in on_shared_hosts(facts):
        for resource_class, total in (
            ("VCPU", host.node.vcpus),
            ("MEMORY_MB", host.node.memory_mb),
        ):
            found = provider.inventories.get(resource_class)
            if found is not None and total and found.total != total:
                yield TOTAL_DIFFERS.found(
                    host.name,
                    f"{provider.name} has {found.total} {resource_class} in Placement, but nova-compute found {total} on the "
                    "host: somebody else has written the inventory.",
                    _STOP_ZUN,
                )


def agent_differs(facts: Facts) -> Iterator[Finding]:
    """Look for agents that tell another capacity than Placement lets be claimed."""
    reported = {host.host: host for host in facts.engine.hosts} if facts.engine else {}
    for host, _, provider in on_shared_hosts(facts):
        told = reported.get(host.name) or reported.get(host.zun_name)
        if told is None:
            continue
        vcpu = _capacity(provider, "VCPU", "PCPU")
        memory_mb = _capacity(provider, "MEMORY_MB")
        if vcpu and vcpu != told.vcpu:
            yield AGENT_DIFFERS.found(
                host.name,
                f"The agent of {host.name} tells {told.vcpu} vCPUs, but {vcpu} can be claimed in Placement: shares are worked "
                "out of another host than there is.",
                "Set [agent] cpu_allocation_ratio and reserved_cpus there to those of the inventory "
                f"(openstack resource provider inventory list {provider.uuid}).",
            )
        if memory_mb and abs(memory_mb - told.memory_mb) > _MEMORY_TOLERANCE * memory_mb:
            yield AGENT_DIFFERS.found(
                host.name,
                f"The agent of {host.name} tells {told.memory_mb} MiB of memory, but {memory_mb} MiB can be claimed in "
                "Placement: shares are worked out of another host than there is.",
                "Set [agent] ram_allocation_ratio and reserved_memory_mb there to those of the inventory "
                f"(openstack resource provider inventory list {provider.uuid}).",
            )


def two_writers(facts: Facts) -> Iterator[Finding]:
    """Look for inventories that change between two looks, or are written though nothing changes."""
    known = [look.known for look in facts.looks or ()]
    moving = any(each is not None and each.migrations for each in known)
    for host, before, after in on_shared_hosts(facts):
        changed = [
            f"{name} {_told(before.inventories.get(name))} then {_told(after.inventories.get(name))}"
            for name in sorted(before.inventories.keys() | after.inventories.keys())
            if before.inventories.get(name) != after.inventories.get(name)
        ]
        if changed:
            yield TWO_WRITERS.found(
                host.name,
                f"The inventory of {before.name} changed while the doctor looked: {'; '.join(changed)}. Nova and Zun "
                "overwrite each other.",
                _STOP_ZUN,
            )
        elif before.generation != after.generation and before.held == after.held and not moving:
            yield WRITTEN_WITHOUT_CAUSE.found(
                host.name,
                f"Provider {before.name} was written while the doctor looked (generation {before.generation} then "
                f"{after.generation}), though neither its inventory nor its claims changed: a second writer, or a guest or "
                "container that came and went.",
                "Run the doctor again with a longer --settle; if it stays, see that zun-compute there uses hybrid_docker.",
            )


def _of_nova_conf(facts: Facts) -> Iterable[tuple[SharedHost, ProviderLook, ProviderLook]]:
    """Give the host of which Nova's configuration on this machine speaks."""
    conf = facts.nova_conf
    if conf is None:
        return []
    return [each for each in on_shared_hosts(facts) if same_host(each[0].name, conf.host)]


def _seen(inventory: Inventory) -> tuple[int, int, float]:
    return inventory.total, inventory.reserved, inventory.ratio


def _capacity(provider: ProviderLook, *classes: str) -> int:
    found = (provider.inventories.get(name) for name in classes)
    return sum(inventory.capacity for inventory in found if inventory is not None)


def _equal(one: float, other: float) -> bool:
    # Placement keeps single precision.
    return abs(one - other) <= 1e-5 * max(abs(one), abs(other))


def _told(inventory: Inventory | None) -> str:
    if inventory is None:
        return "none"
    return f"{inventory.total} (reserved {inventory.reserved}, ratio {inventory.ratio:g})"


def _option(resource_class: str) -> str:
    names = {"VCPU": "cpu", "MEMORY_MB": "ram", "DISK_GB": "disk"}
    return f"{names[resource_class]}_allocation_ratio"
