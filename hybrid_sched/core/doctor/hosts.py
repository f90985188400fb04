# SPDX-License-Identifier: Apache-2.0
"""Which hosts Nova and Zun share, and which providers are theirs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hybrid_sched.core.doctor.facts import Facts, Hypervisor, Look, ProviderLook


@dataclass(frozen=True, slots=True)
class SharedHost:
    """A host that both services use.

    :param node: Nova's compute node.
    :param zun_name: name under which Zun knows it.
    """

    node: Hypervisor
    zun_name: str

    @property
    def name(self) -> str:
        """Give the name of Nova's service."""
        return self.node.host


def same_host(one: str, other: str) -> bool:
    """Say whether two names mean one host: equal, or one is the other without its domain."""
    one, other = one.lower(), other.lower()
    if one == other:
        return True
    short, long = sorted((one, other), key=len)
    return "." not in short and long.partition(".")[0] == short


def shared_hosts(nodes: Iterable[Hypervisor], zun_hosts: Sequence[str]) -> tuple[SharedHost, ...]:
    """Find the hosts that Nova and Zun both have a compute node of."""
    found = []
    for node in nodes:
        for name in zun_hosts:
            if same_host(name, node.host) or same_host(name, node.name):
                found.append(SharedHost(node, name))
                break
    return tuple(found)


def hosts_of(facts: Facts) -> tuple[SharedHost, ...]:
    """Find the shared hosts; none where a service did not answer."""
    if facts.hypervisors is None or facts.zun_hosts is None:
        return ()
    return shared_hosts(facts.hypervisors, facts.zun_hosts)


def provider_of(node: Hypervisor, look: Look) -> ProviderLook | None:
    """Find the provider of a compute node: the one with its UUID, or else with its name."""
    by_name = None
    for provider in look.providers:
        if provider.uuid == node.uuid:
            return provider
        if provider.name == node.name:
            by_name = provider
    return by_name


def on_shared_hosts(facts: Facts) -> list[tuple[SharedHost, ProviderLook, ProviderLook]]:
    """Pair each shared host with its provider at the first and the second look; hosts without one are left out."""
    if facts.looks is None:
        return []
    first, second = facts.looks
    found = []
    for host in hosts_of(facts):
        before, after = provider_of(host.node, first), provider_of(host.node, second)
        if before is not None and after is not None:
            found.append((host, before, after))
    return found
