# SPDX-License-Identifier: Apache-2.0
"""Exact sort keys of tasks and hosts, and a fast stable sort by them."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from hybrid_sched.core.packing.instance import Instance, Integers

Indices = npt.NDArray[np.int64]

_BITS = 63
_DIGIT_BITS = 16


def share_weights(pool: list[int]) -> list[int]:
    """Give integers w with v_r * w_r in the ratio of v_r / E_r; 0 for a resource of which there is none.

    :param pool: E, the amount of each resource.
    """
    common = math.lcm(*(amount for amount in pool if amount > 0))
    return [common // amount if amount > 0 else 0 for amount in pool]


def weighted(rows: Integers, weights: list[int]) -> list[Integers]:
    """Multiply each column by its weight, in Python integers where 64 bits do not hold the sum of a row.

    :returns: the columns.
    """
    if rows.dtype != object:
        largest = [int(np.abs(column).max(initial=0)) for column in rows.T]
        longest = sum(a * w for a, w in zip(largest, weights, strict=True))
        if max(longest, *weights) >= 2**_BITS:
            rows = rows.astype(object)
    return [column * weight for column, weight in zip(rows.T, weights, strict=True)]


def dominant_keys(instance: Instance) -> Integers:
    """Give for each task an integer in the ratio of its dominant share, max over r of d_r / E_r."""
    columns = weighted(instance.tasks, share_weights(instance.pool()))
    keys = columns[0]
    for column in columns[1:]:
        keys = np.maximum(keys, column)
    return keys


def descending(keys: Integers) -> Indices:
    """Sort stably, largest first.

    :param keys: one a row.
    :returns: the rows' indices in that order.
    """
    if keys.dtype == object:
        return np.array(sorted(range(len(keys)), key=lambda row: -keys[row]), dtype=np.int64)
    if not len(keys):
        return np.empty(0, dtype=np.int64)
    top = int(keys.max())
    span = top - int(keys.min())
    if span >= 2**_BITS:
        return descending(keys.astype(object))
    behind = top - keys
    dropped = max(0, span.bit_length() - 2 * _DIGIT_BITS)
    leading = behind >> dropped if dropped else behind
    order = _by_two_digits(leading, span >> dropped)
    if dropped:
        _settle_ties(order, leading.take(order), behind)
    return order


def _by_two_digits(keys: Integers, largest: int) -> Indices:
    """Sort stably, smallest first, by keys of at most two digits of 16 bits: numpy counts such digits, in linear time."""
    order = np.argsort(keys.astype(np.uint16), kind="stable")
    if largest >> _DIGIT_BITS:
        upper = (keys >> _DIGIT_BITS).astype(np.uint16)
        order = order.take(np.argsort(upper.take(order), kind="stable"))
    return order


def _settle_ties(order: Indices, leading: Integers, keys: Integers) -> None:
    """Sort, in place, those that have their leading digits in common by their whole keys; few have, or most are equal."""
    equal = leading[1:] == leading[:-1]
    tied = np.flatnonzero(np.append(equal, False) | np.append(False, equal))
    whole = keys.take(order.take(tied))
    if (whole[1:] < whole[:-1]).any():
        order[tied] = order.take(tied.take(np.argsort(whole, kind="stable")))
