# SPDX-License-Identifier: Apache-2.0
"""How a limit is measured and recorded, the same for guests and containers."""

from __future__ import annotations

from collections.abc import Callable

import kernel
from table import Cell

MEASURE_S = 5
#: Bytes/s that are declared of disks.
DISK_BPS = 4_000_000


def settled_rate(counter: Callable[[], float]) -> float:
    """Measure after what was under way before the limit has passed."""
    kernel.rate(counter, 1)
    return kernel.rate(counter, MEASURE_S)


def check(cell: Cell) -> Cell:
    """See that a measurement is as declared, and that the limit was the reason."""
    assert cell.holds, f"{cell.row}: declared {cell.declared}, measured {cell.measured}"
    if cell.without is not None:
        shown = f"{cell.row}: {cell.without} without a limit shows nothing"
        assert cell.without > cell.declared * 1.5, shown
    return cell
