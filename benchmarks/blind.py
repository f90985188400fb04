# SPDX-License-Identifier: Apache-2.0
"""What the paper's test 6 allows without known durations: ``python -m benchmarks.blind``, a minute or two."""

from __future__ import annotations

from hybrid_sched.simulation.blind import Kind, earliest_end_min

_GUESTS, _CONTAINERS = Kind(160, 3, 60, 80), Kind(380, 1.5, 20, 25)
_MEMORY = 9.0 * 16
_BOTH_WAIT_MIN = (155, 160, 165, 170, 175, 180, 185, 190)


def main() -> None:
    """Print the earliest median end for several gaps."""
    kinds = (_GUESTS, _CONTAINERS)
    work = sum(k.count * k.size * (k.least_min + k.most_min) / 2 for k in kinds) / _MEMORY
    print(f"work over memory: {work:.1f} minutes")
    for gap in (0, 0.01, 0.034, 0.05, 0.1, None):
        end = earliest_end_min(kinds, _MEMORY, gap, _BOTH_WAIT_MIN)
        print(
            f"gap {'any' if gap is None else gap}: {end:.1f} minutes, {end / work:.3f}", flush=True
        )


if __name__ == "__main__":
    main()
