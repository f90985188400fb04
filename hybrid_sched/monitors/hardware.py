# SPDX-License-Identifier: Apache-2.0
"""What the host is made of, from ``/proc/cpuinfo`` and the firmware's SMBIOS tables."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from hybrid_sched.core.hardware import Hardware

_CPUINFO = Path("/proc/cpuinfo")
_SMBIOS = Path("/sys/firmware/dmi/tables/DMI")

# DMTF DSP0134 (SMBIOS), 7.18 "Memory Device (Type 17)" and 7.45 "End-of-Table (Type 127)".
_MEMORY_DEVICE = 17
_END_OF_TABLE = 127
_HEADER_LENGTH = 4
_SIZE = slice(0x0C, 0x0E)
_MEMORY_TYPE = 0x12
_MEMORY_KINDS = {
    0x12: "DDR",
    0x13: "DDR2",
    0x14: "DDR2 FB-DIMM",
    0x18: "DDR3",
    0x1A: "DDR4",
    0x1B: "LPDDR",
    0x1C: "LPDDR2",
    0x1D: "LPDDR3",
    0x1E: "LPDDR4",
    0x20: "HBM",
    0x21: "HBM2",
    0x22: "DDR5",
    0x23: "LPDDR5",
    0x24: "HBM3",
}


def read_hardware() -> Hardware:
    """Look at this host; what cannot be read is left empty."""
    try:
        cpu = cpu_model(_CPUINFO.read_text(errors="replace"))
    except OSError:
        cpu = ""
    try:
        memory = memory_kind(_SMBIOS.read_bytes())
    except OSError:
        # Only root may read it, and many virtual machines have none.
        memory = ""
    return Hardware(cpu_model=cpu, memory_kind=memory)


def cpu_model(cpuinfo: str) -> str:
    """Find the processor's name; empty when there is none.

    x86 and others have a name. aarch64 has numbers, given as ``implementer 0x41 part 0xd0c``; POWER calls it ``cpu``.

    :param cpuinfo: text of ``/proc/cpuinfo``.
    """
    fields: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    if fields.get("model name"):
        return fields["model name"]
    if "CPU implementer" in fields and "CPU part" in fields:
        return f"implementer {fields['CPU implementer']} part {fields['CPU part']}"
    return fields.get("cpu", "")


def memory_kind(tables: bytes) -> str:
    """Find the kind of most of the memory modules, for example ``DDR4``; empty when no module tells one.

    :param tables: the SMBIOS structures one after the other. Each has a header (type, length, handle), the rest of its
        length, and strings that end with two zero bytes.
    """
    kinds: Counter[str] = Counter()
    at = 0
    while at + _HEADER_LENGTH <= len(tables):
        kind, length = tables[at], tables[at + 1]
        structure = tables[at : at + length]
        # A slot without a module has the size 0.
        if kind == _MEMORY_DEVICE and len(structure) > _MEMORY_TYPE and any(structure[_SIZE]):
            kinds[_MEMORY_KINDS.get(structure[_MEMORY_TYPE], "")] += 1
        end = tables.find(b"\0\0", at + length)
        if kind == _END_OF_TABLE or end < 0:
            break
        at = end + 2
    del kinds[""]
    return kinds.most_common(1)[0][0] if kinds else ""
