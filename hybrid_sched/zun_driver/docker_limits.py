# SPDX-License-Identifier: Apache-2.0
"""The limits of a container in the words of Docker's API."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from hybrid_sched.core import cpu_time, limits
from hybrid_sched.core.cluster import CONTAINER
from hybrid_sched.core.declaration import Declaration


@dataclass(frozen=True, slots=True)
class DockerLimits:
    """What one container may use.

    :param declared: by the container.
    :param sharers: number of containers that share the declared disk rates, 1 or more: those of a capsule, for the kernel knows
        no limit of several containers together. Each gets an equal part.
    """

    declared: Declaration
    sharers: int = 1

    @property
    def limits_rates(self) -> bool:
        """Say whether a disk has to be known."""
        demand = self.declared.resources
        return bool(demand.disk_read_bps or demand.disk_write_bps)

    @property
    def of_each(self) -> Declaration:
        """Give what each of the sharers declares by itself; the network that they share is nobody's alone."""
        if self.sharers == 1:
            return self.declared
        return replace(
            self.declared,
            disk_read_bps=self.declared.disk_read_bps // self.sharers,
            disk_write_bps=self.declared.disk_write_bps // self.sharers,
            net_in_bps=0,
            net_out_bps=0,
        )

    def of_update(self) -> dict[str, object]:
        """Give the arguments of docker-py's ``update_container``; what is not limited is left out.

        Docker takes the rates of disks when a container is made, and at no other time.
        """
        found = limits.of_declaration(CONTAINER, self.declared)
        arguments: dict[str, object] = {}
        if found.cpu_quota is not None:
            quota_us, period_us = cpu_time.bandwidth(found.cpu_quota)
            arguments |= {"cpu_period": period_us, "cpu_quota": quota_us}
        if found.cpu_weight is not None:
            arguments["cpu_shares"] = found.cpu_weight
        if found.memory_mb is not None:
            # The second counts memory and swap together: equal, they leave no swap.
            arguments["mem_limit"] = arguments["memswap_limit"] = f"{found.memory_mb}m"
        return arguments

    def of_create(self, disks: Collection[str]) -> dict[str, object]:
        """Give the arguments of docker-py's ``create_host_config``; what is not limited is left out.

        :param disks: device nodes of the disks that the container reads and writes. The rates hold for each of them.
        """
        demand = self.declared.resources
        arguments = self.of_update()
        for name, rate_bps in (
            ("device_read_bps", demand.disk_read_bps),
            ("device_write_bps", demand.disk_write_bps),
        ):
            if rate_bps and disks:
                part_bps = max(1, int(rate_bps) // self.sharers)
                arguments[name] = [{"Path": disk, "Rate": part_bps} for disk in sorted(disks)]
        return arguments
