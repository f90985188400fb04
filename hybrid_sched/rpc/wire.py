# SPDX-License-Identifier: Apache-2.0
"""Reading and writing single values of messages; whatever does not fit is refused by the name of its field."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any
from uuid import UUID

from hybrid_sched.core.resources import Number, Resources, Vector, simplest

# No amount of anything that a host declares comes near it; it bounds the work that a message can cause.
LARGEST = 2**63
Wire = dict[str, Any]
_LONGEST_DATE = 40
_LENGTH_OF_UUID = 36
_FRACTION = re.compile(r"\d{1,20}/\d{1,20}")


class BadMessage(ValueError):
    """A message that does not have the agreed form; the text names the field."""


def number_to_wire(number: Number) -> int | str:
    """Write an exact number as an integer, or as ``"a/b"``."""
    number = simplest(number)
    return number if isinstance(number, int) else f"{number.numerator}/{number.denominator}"


def number_from_wire(value: object, field: str) -> Number:
    """Read an exact number, 0 or more.

    :param value: an integer or ``"a/b"``.
    :param field: its name, for the error.
    :raises BadMessage: for anything else, or a number of 2**63 or more.
    """
    number: Number
    if type(value) is int:
        number = value
    elif isinstance(value, str) and _FRACTION.fullmatch(value):
        numerator, _, denominator = value.partition("/")
        if int(denominator) == 0:
            raise BadMessage(f"{field}: {value!r} divides by zero")
        number = simplest(Fraction(int(numerator), int(denominator)))
    else:
        raise BadMessage(f"{field}: {_shown(value)} is no exact number: send an integer or 'a/b'")
    if not 0 <= number < LARGEST:
        raise BadMessage(f"{field}: {_shown(value)} is out of range: send 0 or more, below 2**63")
    return number


def resources_to_wire(vector: Vector) -> dict[str, int | str]:
    """Write the non-zero amounts of a vector by resource name."""
    return {
        name: number_to_wire(amount)
        for name, amount in zip(Resources._fields, vector, strict=True)
        if amount
    }


def resources_from_wire(value: object, field: str) -> Resources:
    """Read a vector; a resource that is not named is 0.

    :raises BadMessage: for an unknown resource or an amount that is not 0 or more.
    """
    amounts = mapping(value, field)
    if all(type(amount) is int or type(amount) is str for amount in amounts.values()):
        return _resources_of(field, tuple(amounts.items()))
    return _resources_of.__wrapped__(field, tuple(amounts.items()))


# Tasks are cut from few flavors, and a report of a busy host has hundreds of them.
@functools.lru_cache(maxsize=16_384)
def _resources_of(field: str, amounts: tuple[tuple[str, object], ...]) -> Resources:
    numbers: dict[str, Number] = {}
    for name, amount in amounts:
        if name not in Resources._fields:
            known = ", ".join(Resources._fields)
            raise BadMessage(f"{field}: unknown resource {_shown(name)}: send one of {known}")
        numbers[name] = number_from_wire(amount, f"{field}.{name}")
    return Resources(**numbers)


def mapping(value: object, field: str) -> Mapping[str, Any]:
    """Read an object of JSON.

    :raises BadMessage: when it is none, or a name in it is no string.
    """
    if type(value) is not dict or not all(type(name) is str for name in value):
        raise BadMessage(f"{field}: {_shown(value)} is not an object with names")
    return value


def sequence(value: object, field: str, most: int) -> list[Any]:
    """Read an array of JSON of bounded length.

    :raises BadMessage: when it is none or too long.
    """
    if not isinstance(value, list | tuple):
        raise BadMessage(f"{field}: {_shown(value)} is not an array")
    if len(value) > most:
        raise BadMessage(f"{field}: {len(value)} entries, at most {most} are taken")
    return list(value)


def text(value: object, field: str, longest: int, *, may_be_empty: bool = False) -> str:
    """Read a string of bounded length without control characters.

    :raises BadMessage: when it is none, empty or too long.
    """
    if type(value) is str and 0 < len(value) <= longest and value.isprintable():
        return value
    if not isinstance(value, str):
        raise BadMessage(f"{field}: {_shown(value)} is not a string")
    if not value and not may_be_empty:
        raise BadMessage(f"{field}: is empty")
    if len(value) > longest:
        raise BadMessage(f"{field}: {len(value)} characters, at most {longest} are taken")
    if not value.isprintable():
        raise BadMessage(f"{field}: {_shown(value)} has characters that cannot be printed")
    return value


def integer(value: object, field: str, least: int, most: int) -> int:
    """Read an integer within bounds.

    :raises BadMessage: when it is none or out of bounds.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadMessage(f"{field}: {_shown(value)} is not an integer")
    if not least <= value <= most:
        raise BadMessage(f"{field}: {_shown(value)} is not between {least} and {most}")
    return value


def measure(value: object, field: str) -> float:
    """Read a measured figure: finite, 0 or more.

    :raises BadMessage: when it is none.
    """
    if type(value) is float and 0 <= value < LARGEST:
        return value
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise BadMessage(f"{field}: {_shown(value)} is not a number")
    if not (math.isfinite(value) and 0 <= value < LARGEST):
        raise BadMessage(f"{field}: {_shown(value)} is not a finite number of 0 or more")
    return float(value)


def unix_time(value: object, field: str) -> float:
    """Read a date and time of ISO 8601, of UTC where it names no zone, as Unix time.

    :raises BadMessage: when it is none.
    """
    written = text(value, field, _LONGEST_DATE)
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        raise BadMessage(f"{field}: {_shown(value)} is no date and time of ISO 8601") from None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def is_uuid(value: str) -> bool:
    """Say whether a string is a UUID in its usual form, in small letters."""
    try:
        return str(UUID(value)) == value
    except ValueError:
        return False


def uuid(value: object, field: str) -> str:
    """Read a UUID in its usual form, in small letters.

    :raises BadMessage: when it is none.
    """
    written = text(value, field, _LENGTH_OF_UUID)
    if not is_uuid(written):
        raise BadMessage(f"{field}: {_shown(value)} is no UUID")
    return written


def flag(value: object, field: str) -> bool:
    """Read true or false.

    :raises BadMessage: when it is neither.
    """
    if not isinstance(value, bool):
        raise BadMessage(f"{field}: {_shown(value)} is neither true nor false")
    return value


def _shown(value: object) -> str:
    # Messages may be large and hostile: what is quoted in a log line is cut.
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= LARGEST:
        return "an integer of 2**63 or more"
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
