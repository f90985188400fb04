# SPDX-License-Identifier: Apache-2.0
"""A host's memory as its services see it.

All hosts of the lab run on one kernel, which tells each of them the memory of the whole machine. Each gets files of its own in
the place of the kernel's: a fixed total, and what its own processes leave free of it.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from lab import cgroups
from lab.mounted_file import overwrite

_MEMINFO = Path("/proc/meminfo")
_NODES = Path("/sys/devices/system/node")
_OWN = ("MemTotal", "MemFree", "MemAvailable", "MemUsed")


def render(text: str, total_kb: int, used_kb: int) -> str:
    """Put a total and a use into the kernel's text.

    :param text: of /proc/meminfo, or of a NUMA node's, whose lines have a prefix.
    :returns: the text with the totals changed; caches and swap are told as 0.
    """
    free_kb = max(0, total_kb - used_kb)
    amounts = {
        "MemTotal": total_kb,
        "MemFree": free_kb,
        "MemAvailable": free_kb,
        "MemUsed": total_kb - free_kb,
    }

    def line(match: re.Match[str]) -> str:
        amount = str(amounts.get(match["name"], 0))
        return f"{match['head']}{amount.rjust(len(match['amount']))}{match['tail']}"

    shape = r"^(?P<head>(?:Node \d+ )?(?P<name>\w+(?:\(\w+\))?): +)(?P<amount>\d+)(?P<tail> kB)$"
    return re.sub(shape, line, text, flags=re.MULTILINE)


def bind(folder: Path, memory_mb: int) -> None:
    """Put the host's own files over the kernel's, in this mount namespace."""
    sources = {folder / "meminfo": _MEMINFO}
    nodes = sorted(_NODES.glob("node[0-9]*/meminfo"))
    # All of the host's memory is on its first node.
    for number, path in enumerate(nodes):
        sources[folder / f"meminfo-node{number}"] = path
    for own, kernels in sources.items():
        template = kernels.read_text()
        own.with_suffix(".template").write_text(template)
        total_kb = (
            0 if own.name[-1:].isdigit() and not own.name.endswith("node0") else memory_mb * 1024
        )
        own.write_text(render(template, total_kb, 0))
        subprocess.run(["mount", "--bind", str(own), str(kernels)], check=True)


def refresh(folder: Path, memory_mb: int) -> None:
    """Bring the files up to date with what the host's processes use now."""
    used_kb = cgroups.memory_used_bytes() // 1024
    for own in (folder / "meminfo", folder / "meminfo-node0"):
        template = own.with_suffix(".template")
        if template.exists():
            overwrite(own, render(template.read_text(), memory_mb * 1024, used_kb))
