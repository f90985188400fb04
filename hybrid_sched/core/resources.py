# SPDX-License-Identifier: Apache-2.0
"""The resource vector, with exact arithmetic.

Shares, fits and ties are decided with integers and fractions: a float in a tie would give another answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import NamedTuple

Number = int | Fraction
Vector = tuple[Number, ...]


def exact(value: object) -> Number:
    """Turn a number from a file or a message into an exact one.

    :param value: an integer, a Fraction, a float (taken as its shortest decimal form), or a string such as ``"3/4"``,
        ``"0.25"`` or ``"7"``.
    :returns: an int where the value is integral, else a Fraction.
    :raises ValueError: when it is no finite number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str | Fraction):
        raise ValueError(f"{value!r} is not a number: write an integer or a string such as '3/4'")
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value!r} is not finite: write a number such as 4 or '1/2'")
        value = repr(value)
    try:
        fraction = Fraction(value)
    except (ValueError, ZeroDivisionError):
        raise ValueError(
            f"{value!r} is not a number: write an integer or a string such as '3/4'"
        ) from None
    return simplest(fraction)


def simplest(number: Number) -> Number:
    """Give an integral fraction as an int, so that it is written and compared as one."""
    return number.numerator if number.denominator == 1 else number


class Resources(NamedTuple):
    """What a host has or a task declares, in the fixed order of the vector.

    :param vcpu: cores; may be fractional.
    :param memory_mb: memory in MiB.
    :param disk_read_bps: bytes read from disk per second.
    :param disk_write_bps: bytes written to disk per second.
    :param net_in_bps: bytes received per second.
    :param net_out_bps: bytes sent per second.
    """

    vcpu: Number = 0
    memory_mb: Number = 0
    disk_read_bps: Number = 0
    disk_write_bps: Number = 0
    net_in_bps: Number = 0
    net_out_bps: Number = 0

    @classmethod
    def parse(cls, amounts: Mapping[str, object]) -> Resources:
        """Read resources by name.

        :param amounts: resource name to number; a resource that is missing is 0.
        :raises ValueError: for an unknown name, or an amount that is negative or no number; the name is in the message.
        """
        parsed: dict[str, Number] = {}
        for name, amount in amounts.items():
            if name not in cls._fields:
                raise ValueError(f"unknown resource {name!r}: use one of {', '.join(cls._fields)}")
            try:
                parsed[name] = exact(amount)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
            if parsed[name] < 0:
                raise ValueError(f"{name}: {amount!r} is negative: give 0 or more")
        return cls(**parsed)

    def declared(self) -> dict[str, Number]:
        """Give the non-zero amounts by resource name."""
        return {name: amount for name, amount in self._asdict().items() if amount}


NOTHING = Resources()


def add(left: Vector, right: Vector) -> Vector:
    """Add two vectors of one length."""
    return tuple([a + b for a, b in zip(left, right, strict=True)])


def subtract(left: Vector, right: Vector) -> Vector:
    """Take the second vector from the first, of the same length."""
    return tuple([a - b for a, b in zip(left, right, strict=True)])


def scale(factor: Number, vector: Vector) -> Vector:
    """Multiply each amount by a number."""
    return tuple(factor * amount for amount in vector)


def total(vectors: Iterable[Vector], length: int) -> Vector:
    """Add up vectors of one length; none add up to zeros."""
    sums: Vector = (0,) * length
    for vector in vectors:
        sums = add(sums, vector)
    return sums


def fits(demand: Vector, free: Vector) -> bool:
    """Say whether the demand fits on every resource."""
    return all(wanted <= room for wanted, room in zip(demand, free, strict=True))


def share_of(amount: Number, capacity: Number) -> Number:
    """Give the part of a resource that an amount is; a resource of which there is none is not counted."""
    return simplest(Fraction(amount) / capacity) if capacity > 0 else 0


def dominant_share(vector: Vector, pool: Vector) -> Number:
    """Give max over r of v_r / E_r (Ghodsi et al., NSDI 2011); 0 for an empty vector."""
    return max(
        (share_of(amount, capacity) for amount, capacity in zip(vector, pool, strict=True)),
        default=0,
    )


def dominant_resource(vector: Vector, pool: Vector) -> int:
    """Give the lowest index r at which v_r / E_r is largest; 0 for an empty vector."""
    shares = [share_of(amount, capacity) for amount, capacity in zip(vector, pool, strict=True)]
    return shares.index(max(shares)) if shares else 0
