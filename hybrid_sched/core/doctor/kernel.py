# SPDX-License-Identifier: Apache-2.0
"""Family ``kernel``: control groups and parts of the kernel without which something cannot be guaranteed."""

from __future__ import annotations

from collections.abc import Iterator

from hybrid_sched.core.doctor.facts import Facts
from hybrid_sched.core.doctor.findings import Finding, Kind, Severity

NO_CGROUPS = Kind("kernel.no_cgroups", Severity.ERROR)
CONTROLLER_MISSING = Kind("kernel.controller_missing", Severity.WARNING)
CGROUP_V1 = Kind("kernel.cgroup_v1", Severity.NOTE)
PART_MISSING = Kind("kernel.part_missing", Severity.WARNING)
PARTS_UNKNOWN = Kind("kernel.parts_unknown", Severity.NOTE)
NO_PRESSURE = Kind("kernel.no_pressure", Severity.WARNING)

#: Controllers that are wanted, under their names in version 2, and what cannot be guaranteed without each.
CONTROLLERS = {
    "cpu": "the CPU weights of guests and containers can be neither kept nor reduced",
    "cpuset": "pinned guests and containers cannot be kept on their CPUs",
    "memory": "containers can use more memory than they declare, and their use is not told",
    "io": "the disk rates of containers are neither limited nor told",
    "pids": "a container can take all processes of the host",
}
#: Parts of traffic control that are wanted, and what each is for. Of a tuple one is enough.
PARTS: dict[tuple[str, ...], str] = {
    ("sch_htb",): "what guests receive and containers send cannot be limited",
    ("ifb",): "what arrives at a task cannot be shaped, only dropped",
    ("act_mirred",): "what arrives at a task cannot be led to where it is shaped",
    ("cls_u32", "cls_flower"): "traffic cannot be told apart by task",
    ("act_police",): "what guests send cannot be limited by libvirt (virsh domiftune)",
}


def cgroups(facts: Facts) -> Iterator[Finding]:
    """Look at control groups."""
    local = facts.local
    if local is None:
        return
    if local.cgroup_mode == "none":
        yield NO_CGROUPS.found(
            local.host,
            f"No control groups are mounted on {local.host}: nothing that runs there can be limited.",
            "Mount them (systemd does), or give the doctor and the agent the host's /sys/fs/cgroup.",
        )
        return
    for name, lost in CONTROLLERS.items():
        if name not in local.controllers:
            yield CONTROLLER_MISSING.found(
                local.host,
                f"Controller {name} of control groups is missing on {local.host} ({local.cgroup_mode}): {lost}.",
                "Take cgroup_disable= off the kernel's command line; with version 2, add it to cgroup.subtree_control of the "
                "root, and with both versions mount it in one of them.",
            )
    if local.cgroup_mode != "v2":
        yield CGROUP_V1.found(
            local.host,
            f"{local.host} has control groups of version 1 ({local.cgroup_mode}): what the kernel writes to disk later is not "
            "counted for, nor limited to, the container that wrote it.",
            "Boot with systemd.unified_cgroup_hierarchy=1, which recent systemd and Docker expect.",
        )


def kernel_parts(facts: Facts) -> Iterator[Finding]:
    """Look at traffic control and pressure stall information."""
    local = facts.local
    if local is None:
        return
    unknown = [name for names in PARTS for name in names if name not in local.kernel_parts]
    if unknown:
        yield PARTS_UNKNOWN.found(
            local.host,
            f"Whether the kernel of {local.host} ({local.kernel}) has {', '.join(unknown)} cannot be told: there is no "
            "/proc/config.gz, no /boot/config and no list of modules of it.",
            "Look there yourself, or install the kernel's package.",
        )
    for names, lost in PARTS.items():
        if all(local.kernel_parts.get(name) is False for name in names):
            yield PART_MISSING.found(
                local.host,
                f"The kernel of {local.host} ({local.kernel}) has no {' or '.join(names)}: {lost}.",
                f"Take a kernel with {' or '.join(names)}, or its package of further modules (linux-modules-extra).",
            )
    if not local.has_pressure:
        yield NO_PRESSURE.found(
            local.host,
            f"Pressure stall information cannot be read on {local.host}: whether tasks wait for CPU, memory or disks is not "
            "reported.",
            "Boot with psi=1 on a kernel with CONFIG_PSI.",
        )
