# SPDX-License-Identifier: Apache-2.0
"""Every check, in the order in which findings are told: each is a function from facts to findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hybrid_sched.core.doctor import clocks, inventory, kernel, orphans, settings, unseen, versions
from hybrid_sched.core.doctor.facts import Facts
from hybrid_sched.core.doctor.findings import Finding

Check = Callable[[Facts], Iterable[Finding]]

CHECKS: tuple[Check, ...] = (
    inventory.provider_missing,
    inventory.provider_twice,
    inventory.pcpu_gone,
    inventory.reserved_changed,
    inventory.ratio_changed,
    inventory.zun_ratio_differs,
    inventory.total_differs,
    inventory.agent_differs,
    inventory.two_writers,
    orphans.orphan_allocations,
    orphans.containers_without_host,
    orphans.left_in_docker,
    settings.zun_drivers,
    settings.nova_scheduling,
    settings.zun_scheduling,
    clocks.report_clocks,
    clocks.kernel_clock,
    kernel.cgroups,
    kernel.kernel_parts,
    versions.supported,
    versions.releases,
    versions.our_own,
    versions.hypervisors,
    unseen.unseen,
)


def examine(facts: Facts) -> list[Finding]:
    """Run every check.

    :returns: the findings, the gravest first; equal ones in the order of the checks. A consumer that holds several hosts
        is one finding a host.
    """
    found = [finding for check in CHECKS for finding in check(facts)]
    return sorted(found, key=lambda finding: -finding.severity)
