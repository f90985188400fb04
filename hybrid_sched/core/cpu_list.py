# SPDX-License-Identifier: Apache-2.0
"""Sets of CPUs in the kernel's list format (cpuset(7)): ``0-3,7``."""

from __future__ import annotations

from collections.abc import Iterable


def of_text(text: str) -> frozenset[int]:
    """Read a list.

    :raises ValueError: when it is none.
    """
    cpus: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        first, dash, last = part.partition("-")
        cpus.update(range(int(first), int(last if dash else first) + 1))
    return frozenset(cpus)


def to_text(cpus: Iterable[int]) -> str:
    """Write a list, each CPU by itself."""
    return ",".join(str(cpu) for cpu in sorted(cpus))
