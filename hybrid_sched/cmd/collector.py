# SPDX-License-Identifier: Apache-2.0
"""Python's garbage collector, for a process that holds a whole cluster."""

import gc


def collect_seldom() -> None:
    """Look for cycles of garbage seldom.

    Hundreds of thousands of tasks live for as long as they run, and reports come without end. With Python's own thresholds,
    looking through all of them again and again took a sixth of the time of taking reports in, in pauses of half a second.
    """
    gc.set_threshold(200_000, 20, 100)
