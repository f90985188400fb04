# SPDX-License-Identifier: Apache-2.0
"""Family ``versions``: releases that are unlike, or that nobody has tried together."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hybrid_sched.core.doctor.facts import Facts
from hybrid_sched.core.doctor.findings import Finding, Kind, Severity
from hybrid_sched.core.doctor.hosts import hosts_of

UNSUPPORTED = Kind("versions.unsupported", Severity.WARNING)
RELEASES_DIFFER = Kind("versions.releases_differ", Severity.WARNING)
AGENT_DIFFERS = Kind("versions.agent_differs", Severity.WARNING)
DOCTOR_DIFFERS = Kind("versions.doctor_differs", Severity.NOTE)
HYPERVISORS_DIFFER = Kind("versions.hypervisors_differ", Severity.NOTE)
NOT_TOLD = Kind("versions.not_told", Severity.NOTE)

#: Major versions of Nova and Zun that belong to one release of OpenStack, the supported ones.
RELEASES = {"2026.1": (33, 17), "2026.2": (34, 18)}
#: Oldest versions, by program, and why.
OLDEST: dict[str, tuple[tuple[int, ...], str]] = {
    "libvirt": ((8, 0), "the oldest with which Nova 34 runs"),
    "docker": ((20, 10), "the first that knows control groups of version 2"),
    "kernel": (
        (5, 10),
        "the oldest on which pressure stall information and control groups of version 2 were tried",
    ),
}


def supported(facts: Facts) -> Iterator[Finding]:
    """Look for programs of this host outside what is supported."""
    local = facts.local
    if local is None:
        return
    versions = {**local.versions, "kernel": local.kernel}
    for index, name in enumerate(("nova", "zun")):
        majors = sorted(pair[index] for pair in RELEASES.values())
        version = versions.get(name)
        if version and _numbers(version)[:1] not in [(major,) for major in majors]:
            yield UNSUPPORTED.found(
                local.host,
                f"{name} {version} on {local.host} is not supported: {' or '.join(map(str, majors))} is.",
                f"Install OpenStack {' or '.join(RELEASES)}.",
            )
    for name, (oldest, reason) in OLDEST.items():
        version = versions.get(name)
        if version and _numbers(version) < oldest:
            yield UNSUPPORTED.found(
                local.host,
                f"{name} {version} on {local.host} is older than {'.'.join(map(str, oldest))}, {reason}.",
                f"Upgrade {name}.",
            )
    missing = [
        name for name in ("nova", "zun", "libvirt", "docker", "kernel") if not versions.get(name)
    ]
    if missing:
        yield NOT_TOLD.found(
            local.host,
            f"The versions of {', '.join(missing)} on {local.host} could not be found out.",
            "See that nova-compute, zun-compute, libvirt and Docker run there, and run the doctor as root.",
        )


def releases(facts: Facts) -> Iterator[Finding]:
    """Look whether Nova and Zun of this host are of one release."""
    local = facts.local
    if local is None or not (local.versions.get("nova") and local.versions.get("zun")):
        return
    nova, zun = (_numbers(local.versions[name])[:1] for name in ("nova", "zun"))
    of_nova = [name for name, pair in RELEASES.items() if (pair[0],) == nova]
    of_zun = [name for name, pair in RELEASES.items() if (pair[1],) == zun]
    if of_nova and of_zun and of_nova != of_zun:
        yield RELEASES_DIFFER.found(
            local.host,
            f"Nova on {local.host} is of OpenStack {of_nova[0]} and Zun of {of_zun[0]}.",
            "Upgrade the older one; in the midst of an upgrade this will pass.",
        )


def our_own(facts: Facts) -> Iterator[Finding]:
    """Look whether agents, the engine and this program are of one version."""
    engine = facts.engine
    if engine is None or not engine.version:
        return
    for reported in engine.hosts:
        if reported.version != engine.version:
            shown = reported.version or "a version that does not tell itself"
            yield AGENT_DIFFERS.found(
                reported.host,
                f"The agent of {reported.host} is {shown}, and the engine {engine.version}.",
                "Install one version on all machines and restart what is older; in the midst of an upgrade this will pass.",
            )
    if facts.own_version and facts.own_version != engine.version:
        yield DOCTOR_DIFFERS.found(
            "",
            f"This program is {facts.own_version}, and the engine {engine.version}.",
            "Run the doctor of the engine's version.",
        )


def hypervisors(facts: Facts) -> Iterator[Finding]:
    """Look whether all shared hosts have one hypervisor: guests migrate to newer ones only."""
    versions: dict[int, list[str]] = {}
    for host in hosts_of(facts):
        if host.node.version:
            versions.setdefault(host.node.version, []).append(host.name)
    if len(versions) > 1:
        shown = "; ".join(
            f"{_hypervisor(version)} on {', '.join(sorted(names))}"
            for version, names in sorted(versions.items())
        )
        yield HYPERVISORS_DIFFER.found(
            "",
            f"The shared hosts have different hypervisors: {shown}. Guests may be unable to move to older ones.",
            "Upgrade the older ones when it suits.",
        )


def _numbers(version: str) -> tuple[int, ...]:
    """Give the leading numbers of a version: 6, 1, 0 of ``6.1.0-18-amd64``."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(number) for number in found[0].split(".")) if found else ()


def _hypervisor(version: int) -> str:
    return f"{version // 1_000_000}.{version // 1_000 % 1_000}.{version % 1_000}"
