# SPDX-License-Identifier: Apache-2.0
"""How a limit is measured and recorded, the same for guests and containers."""

from __future__ import annotations

from collections.abc import Callable

import kernel
from table import TOLERANCE, Cell

MEASURE_S = 5
#: How long CPUs are watched, and what a task does without a limit.
LOOK_S = 2
_LEAST_BPS = 50_000
_TRIALS = 3


def settled_rate(counter: Callable[[], float], duration_s: float = MEASURE_S) -> float:
    """Measure after what was under way before the limit has passed."""
    kernel.rate(counter, 1)
    return kernel.rate(counter, duration_s)


def limited_rate(
    counter: Callable[[], float], declared: float, duration_s: float = MEASURE_S
) -> float:
    """Measure with a limit.

    Less than was declared is measured again, since the machine may have been busy with something else; more is not.
    """
    for _ in range(_TRIALS):
        measured = settled_rate(counter, duration_s)
        if measured > declared * (1 - TOLERANCE):
            break
    return measured


def free_rate(counter: Callable[[], float]) -> float:
    """Measure without a limit: the most of some looks, since the machine may be busy with something else."""
    return max(settled_rate(counter, LOOK_S) for _ in range(_TRIALS))


def disk_limit(without_bps: float, most_bps: int) -> int:
    """Choose what to declare of a disk: a third at most of what is reached without a limit, in full 10 kB/s."""
    return _part(without_bps, 3, most_bps)


def nic_limit(without_bps: float, most_bps: int) -> int:
    """Choose what to declare of an interface: a fourth at most, since with less to spare the machine is what holds it."""
    return _part(without_bps, 4, most_bps)


def _part(without_bps: float, divisor: int, most_bps: int) -> int:
    chosen = min(most_bps, int(without_bps / divisor) // 10_000 * 10_000)
    assert chosen >= _LEAST_BPS, f"{without_bps:.0f} bytes/s without a limit are too few to measure"
    return chosen


def check(cell: Cell) -> Cell:
    """See that a measurement is as declared, and that the limit was the reason."""
    assert cell.holds, f"{cell.row}: declared {cell.declared}, measured {cell.measured}"
    if cell.without is not None:
        shown = f"{cell.row}: {cell.without} without a limit shows nothing"
        assert cell.without > cell.declared * 1.5, shown
    return cell
