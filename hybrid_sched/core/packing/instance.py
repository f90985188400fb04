# SPDX-License-Identifier: Apache-2.0
"""Tasks and hosts as integer arrays, so that numpy can work on them and nothing is rounded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from hybrid_sched.core.packing.base import Rows
from hybrid_sched.core.resources import Number, Vector, exact, simplest

# Of int64, or of Python integers (dtype object) where sums would not fit in 64 bits: the same code works on both.
Integers = npt.NDArray[Any]

# Sums of all rows, and a sum plus a room, stay below 2**63.
_LARGEST_SUM = 2**62


@dataclass(frozen=True, slots=True)
class Instance:
    """A packing problem in integers.

    :param tasks: of shape (tasks, resources).
    :param hosts: of shape (hosts, resources).
    :param scales: for each resource, the number of integer units in one of the caller's.
    """

    tasks: Integers
    hosts: Integers
    scales: tuple[int, ...]

    @classmethod
    def of(cls, tasks: Rows, hosts: Rows) -> Instance:
        """Turn a problem into integers: a resource with fractions is multiplied by their common denominator.

        :raises ValueError: when rows differ in length, or a demand is negative.
        """
        length = _length(tasks) or _length(hosts)
        demand, demand_scales = _integers(tasks, length)
        room, room_scales = _integers(hosts, length)
        scales = tuple(
            math.lcm(mine, theirs) for mine, theirs in zip(demand_scales, room_scales, strict=True)
        )
        demand = _scaled(demand, demand_scales, scales)
        room = _scaled(room, room_scales, scales)
        if demand.size and demand.min() < 0:
            raise ValueError("a demand is negative: give 0 or more of each resource")
        if not (_sums_fit(demand) and _sums_fit(room)):
            demand, room = demand.astype(object), room.astype(object)
        return cls(demand, room, scales)

    def reduced(self) -> Instance:
        """Give the same problem in the largest unit of each resource of which all demands are whole numbers."""
        units = np.gcd.reduce(self.tasks, axis=0)
        units = np.array(
            [unit or most or 1 for unit, most in zip(units, self._largest_rooms(), strict=True)]
        )
        tasks, hosts = self.tasks // units, self.hosts // units
        if tasks.dtype == object and _all_small(tasks) and _all_small(hosts):
            small_tasks, small_hosts = tasks.astype(np.int64), hosts.astype(np.int64)
            if _sums_fit(small_tasks) and _sums_fit(small_hosts):
                tasks, hosts = small_tasks, small_hosts
        return Instance(tasks, hosts, self.scales)

    def _largest_rooms(self) -> list[int]:
        return [max(0, int(column.max(initial=0))) for column in self.hosts.T]

    def pool(self) -> list[int]:
        """Give the sum of the hosts' rooms, a number a resource."""
        return column_sums(self.hosts)

    def demand(self) -> list[int]:
        """Give the sum of the tasks' demands, a number a resource."""
        return column_sums(self.tasks)

    def vectors(self, rooms: Integers) -> tuple[Vector, ...]:
        """Turn rows of integers back into the caller's units.

        :param rooms: of shape (rows, resources).
        """
        columns: list[list[Number]] = []
        for column, scale in zip(rooms.T, self.scales, strict=True):
            amounts: list[int] = column.tolist()
            columns.append(
                [*amounts] if scale == 1 else [simplest(Fraction(a, scale)) for a in amounts]
            )
        return tuple(zip(*columns, strict=True))


def _length(rows: Rows) -> int:
    if isinstance(rows, np.ndarray):
        return int(rows.shape[-1])
    return len(rows[0]) if len(rows) else 0


def column_sums(rows: Integers) -> list[int]:
    """Add up each column."""
    # Numpy is slow to add up short rows.
    return [int(column.sum()) for column in rows.T]


def _integers(rows: Rows, length: int) -> tuple[Integers, tuple[int, ...]]:
    """Give the rows as integers, and how many of them make one unit of each resource."""
    if isinstance(rows, np.ndarray):
        if rows.ndim != 2 or rows.shape[1] != length:
            raise ValueError(
                f"an array of shape {rows.shape} has no {length} columns, one a resource"
            )
        if np.issubdtype(rows.dtype, np.signedinteger):
            return rows.astype(np.int64, copy=False), (1,) * length
        rows = [tuple(row) for row in rows.tolist()]
    if not set(map(len, rows)) <= {length}:
        raise ValueError(f"each task and host needs {length} numbers, one a resource")
    if not set(map(type, chain.from_iterable(rows))) <= {int}:
        return _from_fractions(rows, length)
    return _array(chain.from_iterable(rows), len(rows), length), (1,) * length


def _from_fractions(rows: Sequence[Vector], length: int) -> tuple[Integers, tuple[int, ...]]:
    numbers = [[exact(number) for number in row] for row in rows]
    scales = tuple(
        math.lcm(*(Fraction(number).denominator for number in column))
        for column in zip(*numbers, strict=True)
    )
    whole = (
        int(number * scale) for row in numbers for number, scale in zip(row, scales, strict=True)
    )
    return _array(whole, len(rows), length), scales


def _array(numbers: Any, rows: int, length: int) -> Integers:
    values = list(numbers)
    try:
        array: Integers = np.array(values, dtype=np.int64)
    except OverflowError:
        array = np.array(values, dtype=object)
    return array.reshape(rows, length)


def _scaled(rows: Integers, have: tuple[int, ...], want: tuple[int, ...]) -> Integers:
    if have == want:
        return rows
    factors = [theirs // mine for mine, theirs in zip(have, want, strict=True)]
    scaled: Integers = rows.astype(object) * np.array(factors, dtype=object)
    if _all_small(scaled):
        scaled = scaled.astype(np.int64)
    return scaled


def _all_small(rows: Integers) -> bool:
    return all(abs(amount) < 2**63 for amount in rows.flat)


def _sums_fit(rows: Integers) -> bool:
    if not rows.size:
        return True
    largest = max(int(rows.max()), -int(rows.min()))
    return rows.dtype != object and largest * (len(rows) + 1) < _LARGEST_SUM
