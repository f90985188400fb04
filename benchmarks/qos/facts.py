# SPDX-License-Identifier: Apache-2.0
"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from benchmarks.neighbourhood import run_on
from lab import cgroups
from lab.layout import CHECKOUT, Host

#: Kinds of libvirt's domains: what runs the guest's instructions.
_ACCELERATORS = {"qemu": "tcg (software emulation)", "kvm": "kvm"}


def machine() -> dict[str, Any]:
    """Describe the machine."""
    return {
        "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cpu_model": cpu_model(Path("/proc/cpuinfo").read_text()),
        "cpus": os.cpu_count(),
        "memory_mb": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20,
        "kernel": platform.release(),
        "cgroup_version": 2 if cgroups.is_v2() else 1,
        "system": platform.freedesktop_os_release()["PRETTY_NAME"],
        "python": platform.python_version(),
        "wrk": _first_line("wrk", "-v"),
        "qemu": _first_line("qemu-system-x86_64", "--version"),
        "docker": _first_line("dockerd", "--version"),
        "load_average_before": round(os.getloadavg()[0], 2),
    }


def cpu_model(cpuinfo: str) -> str:
    """Name the CPU.

    :param cpuinfo: text of /proc/cpuinfo.
    """
    found = re.search(r"^model name\s*: (.*)$", cpuinfo, re.MULTILINE)
    return found[1] if found else "unknown"


def accelerator(host: Host, uuid: str) -> str:
    """Say what runs the instructions of a guest.

    :param uuid: of the guest on the host.
    """
    command = run_on(host, "virsh", "--connect", "qemu:///system", "dumpxml", uuid)
    said = subprocess.run(command, check=True, capture_output=True, text=True, cwd=CHECKOUT).stdout
    kind = ElementTree.fromstring(said).get("type", "unknown")  # noqa: S314 - libvirt's own
    return _ACCELERATORS.get(kind, kind)


def _first_line(*command: str) -> str:
    # wrk tells its version with the code of a failure.
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.stdout.strip().partition("\n")[0]
