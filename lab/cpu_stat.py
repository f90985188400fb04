# SPDX-License-Identifier: Apache-2.0
"""A host's CPU time as its services see it.

All hosts of the lab run on one kernel, whose ``/proc/stat`` counts the work of all of them. Each gets one of its own in its
place: as many CPUs as the machine has, and the time that its own processes worked.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

from lab import cgroups
from lab.mounted_file import overwrite

_STAT = Path("/proc/stat")
_CPU_LINES = re.compile(r"^cpu\d* .*\n", re.MULTILINE)
_TICKS_A_S = os.sysconf("SC_CLK_TCK")


def render(text: str, used_s: float, passed_s: float) -> str:
    """Put the time that a host's processes worked into the kernel's text, in equal parts for each CPU.

    :param text: of /proc/stat.
    :param used_s: CPU seconds; told as time in user mode. What is left of all CPUs' time was idle.
    :param passed_s: seconds since the machine was started.
    :returns: a text of the same length for any time.
    """
    names = [line.split()[0] for line in _CPU_LINES.findall(text)]
    cpus = len(names) - 1

    def line(name: str, of: int) -> str:
        used = round(used_s * of / cpus * _TICKS_A_S)
        idle = max(0, round(passed_s * of * _TICKS_A_S) - used)
        return f"{name} {used:>20} 0 0 {idle:>20} 0 0 0 0 0 0\n"

    own = [line(name, cpus if name == "cpu" else 1) for name in names]
    return "".join(own) + _CPU_LINES.sub("", text)


def bind(folder: Path) -> None:
    """Put the host's own file over the kernel's, in this mount namespace."""
    own = folder / "stat"
    own.write_text(_STAT.read_text())
    own.write_text(_now(own))
    subprocess.run(["mount", "--bind", str(own), str(_STAT)], check=True)


def refresh(folder: Path) -> None:
    """Bring the file up to date."""
    own = folder / "stat"
    overwrite(own, _now(own))


def _now(own: Path) -> str:
    passed_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    return render(own.read_text(), cgroups.cpu_used_s(), passed_s)
