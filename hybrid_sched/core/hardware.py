# SPDX-License-Identifier: Apache-2.0
"""What a host is made of (paper 4.2)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hardware:
    """What decides a host's score.

    :param cpu_model: as the processor tells it; empty when unknown.
    :param memory_kind: for example ``DDR4``; empty when unknown.
    """

    cpu_model: str = ""
    memory_kind: str = ""
