# SPDX-License-Identifier: Apache-2.0
"""The six tests of the paper's evaluation (section 6, table 2), drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from fractions import Fraction

from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from hybrid_sched.core.resources import Number, Resources
from hybrid_sched.simulation.workload import SimulatedHost, SimulatedTask

#: Guests and containers of each test, by its number.
TESTS = {1: (10, 30), 2: (40, 120), 3: (70, 210), 4: (100, 300), 5: (130, 390), 6: (160, 380)}

_GB = 1024
HOSTS = tuple(
    SimulatedHost(f"host-{number}", Resources(vcpu=24, memory_mb=16 * _GB))
    for number in range(1, 10)
)

# Vcpus, gigabytes and minutes, each from the least to the most.
_GUEST = ((1, 4), (2, 4), (60, 80))
_CONTAINER = ((1, 2), (1, 2), (20, 25))


def draw(test: int, seed: int, *, continuous: bool = False) -> tuple[SimulatedTask, ...]:
    """Draw the tasks of one test, all of them there at time 0, in a random order.

    :param test: 1 to 6.
    :param seed: each gives another draw, the same one each time.
    :param continuous: sizes are any multiple of 1/100 vcpu and of 1 MiB, not integers of cores and gigabytes.
    """
    source = random.Random(f"table 2, test {test}, seed {seed}")  # noqa: S311
    guests, containers = TESTS[test]
    kinds = [HYPERVISOR] * guests + [CONTAINER] * containers
    source.shuffle(kinds)
    return tuple(_tasks(source, kinds, _hundredths if continuous else _whole))


def _tasks(
    source: random.Random,
    kinds: list[str],
    size: Callable[[random.Random, tuple[int, int], int], Number],
) -> Iterator[SimulatedTask]:
    for number, kind in enumerate(kinds, 1):
        cores, gigabytes, minutes = _GUEST if kind == HYPERVISOR else _CONTAINER
        yield SimulatedTask(
            name=f"task-{number}",
            framework=kind,
            demand=Resources(
                vcpu=size(source, cores, 100), memory_mb=size(source, gigabytes, _GB) * _GB
            ),
            arrival_s=0.0,
            duration_s=source.uniform(*minutes) * 60,
        )


def _whole(source: random.Random, limits: tuple[int, int], _: int) -> Number:
    return source.randint(*limits)


def _hundredths(source: random.Random, limits: tuple[int, int], parts: int) -> Number:
    least, most = limits
    return Fraction(source.randint(least * parts, most * parts), parts)
