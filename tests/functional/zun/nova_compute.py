# SPDX-License-Identifier: Apache-2.0
"""A writer of what nova-compute writes: Nova cannot be imported into a process with Zun."""

from __future__ import annotations

import random
from typing import Any

import os_resource_classes as orc
from keystoneauth1.adapter import Adapter
from oslo_utils import uuidutils

_TRAITS = ("COMPUTE_NODE", "COMPUTE_TRUSTED_CERTS", "HW_CPU_X86_AVX2", "HW_CPU_X86_VMX")


class NovaCompute:
    """Stands for nova-compute on one host, and for nova-api where that host is put into aggregates.

    :param placement: client of Placement.
    :param provider: of the host.
    """

    def __init__(self, placement: Adapter, provider: str) -> None:
        self._placement = placement
        self._path = f"/resource_providers/{provider}"
        self._aggregates: set[str] = set()
        self._traits = {"COMPUTE_NODE"}
        self._inventory = _inventory(cpus=16, pinned=4, reserved_mb=512, cpu_ratio=4.0)
        self.write()

    def change(self, chance: random.Random) -> None:
        """Do what follows a new configuration, a new capability or a new aggregate."""
        what = chance.choice(("inventory", "inventory", "traits", "aggregates"))
        if what == "inventory":
            self._inventory = _inventory(
                cpus=chance.choice((14, 16, 18)),
                pinned=chance.choice((2, 4, 6)),
                reserved_mb=chance.choice((256, 512, 1024)),
                cpu_ratio=chance.choice((2.0, 4.0, 8.0)),
            )
        elif what == "traits":
            self._traits ^= {chance.choice(_TRAITS[1:])}
        else:
            left = chance.sample(sorted(self._aggregates), k=len(self._aggregates) // 2)
            self._aggregates = {*left, uuidutils.generate_uuid()}
        self.write()

    def write(self) -> None:
        """Write what is not as it should be, as each period."""
        drifted = self.drift()
        if {"inventory", "PCPU"} & drifted:
            self._put("inventories", {"inventories": self._inventory})
        if "traits" in drifted:
            self._put("traits", {"traits": sorted(self._traits)})
        if "aggregates" in drifted:
            self._put("aggregates", {"aggregates": sorted(self._aggregates)})

    def drift(self) -> frozenset[str]:
        """Name what differs from what was written.

        :returns: ``inventory`` (of all but PCPU), ``reserve`` or ``ratio`` in it, ``PCPU``, ``traits``, ``aggregates``.
        """
        now = self._get("inventories")["inventories"]
        wanted = self._inventory
        others = (set(now) | set(wanted)) - {orc.PCPU}
        found = {
            "inventory": any(now.get(name) != wanted.get(name) for name in others),
            "PCPU": now.get(orc.PCPU) != wanted[orc.PCPU],
            "reserve": _field(now, "reserved") != _field(wanted, "reserved"),
            "ratio": _field(now, "allocation_ratio") != _field(wanted, "allocation_ratio"),
            "traits": set(self._get("traits")["traits"]) != self._traits,
            "aggregates": set(self._get("aggregates")["aggregates"]) != self._aggregates,
        }
        return frozenset(name for name, differs in found.items() if differs)

    def _get(self, what: str) -> dict[str, Any]:
        return dict(self._placement.get(f"{self._path}/{what}").json())

    def _put(self, what: str, body: dict[str, Any]) -> None:
        generation = self._placement.get(self._path).json()["generation"]
        body = {"resource_provider_generation": generation, **body}
        self._placement.put(f"{self._path}/{what}", json=body)


def _inventory(
    *, cpus: int, pinned: int, reserved_mb: int, cpu_ratio: float
) -> dict[str, dict[str, float]]:
    def record(total: int, reserved: int = 0, ratio: float = 1.0) -> dict[str, float]:
        return {
            **{"total": total, "reserved": reserved, "allocation_ratio": ratio},
            **{"min_unit": 1, "max_unit": total, "step_size": 1},
        }

    return {
        orc.VCPU: record(cpus, reserved=2, ratio=cpu_ratio),
        orc.PCPU: record(pinned),
        orc.MEMORY_MB: record(8192, reserved=reserved_mb),
        orc.DISK_GB: record(100, reserved=10),
    }


def _field(inventory: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
    return {each: record[name] for each, record in inventory.items() if each != orc.PCPU}
