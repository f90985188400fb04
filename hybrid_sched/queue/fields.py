# SPDX-License-Identifier: Apache-2.0
"""Reading the fields of a file that people write: every fault is a sentence with the place and the remedy."""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

_DURATION = re.compile(r"(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?", re.ASCII)
_SECONDS = re.compile(r"\d{1,12}(\.\d{1,6})?", re.ASCII)
_UNITS_S = (86_400, 3_600, 60, 1)
_LONGEST_S = 3_650 * 86_400
_LONGEST_DATE = 40
_LARGEST = 2**63

Reader = Callable[[object, str], Any]


class BadField(ValueError):
    """A value that cannot be used; the text begins with the place of it."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field by its reader.

    :param read: given the value and its place; gives the value as it is used, or raises :class:`BadField`.
    :param required: refuse a mapping without it.
    """

    read: Reader
    required: bool = False


class _Shown(reprlib.Repr):
    """Quotes a value in little room, however large it is: aliases of YAML make large ones of a few lines."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother, self.maxlist, self.maxdict = 1, 60, 60, 3, 3

    def repr_int(self, x: int, level: int) -> str:
        return repr(x) if abs(x) < _LARGEST else "an integer of 2**63 or more"


shown = _Shown().repr


def read_fields(
    value: object, where: str, fields: Mapping[str, Field], faults: list[str]
) -> dict[str, Any]:
    """Read a mapping. A field without a value is as one that is not there.

    :param where: place of the mapping, before the names of its fields; empty for the whole file.
    :param fields: the known ones by name.
    :param faults: gets a sentence for each fault.
    :returns: what could be read, by name.
    """
    known = f"the fields are {', '.join(fields)}"
    if not isinstance(value, dict):
        said = "it is empty" if value is None else f"{shown(value)} is not a mapping"
        faults.append(f"{where or 'the file'}: {said}: {known}")
        return {}
    before = f"{where}." if where else ""
    faults += [
        f"{before}{name if isinstance(name, str) and name.isprintable() else shown(name)}: this field is unknown: {known}"[
            :1000
        ]
        for name in value
        if name not in fields
    ]
    read = {}
    for name, field in fields.items():
        if value.get(name) is None:
            if field.required:
                faults.append(f"{before}{name}: it is missing: add it")
            continue
        try:
            read[name] = field.read(value[name], f"{before}{name}")
        except BadField as fault:
            faults.append(str(fault))
    return read


def name_of(longest: int = 255, least: int = 1) -> Reader:
    """Make a reader of names: printable, without space at either end."""

    def read(value: object, where: str) -> str:
        text = _string(value, where)
        if not least <= len(text) <= longest:
            raise BadField(f"{where}: it has {len(text)} characters: give {least} to {longest}")
        if not text.isprintable() or text != text.strip():
            raise BadField(
                f"{where}: {shown(text)} has characters that cannot be printed, or space at an end: leave them out"
            )
        return text

    return read


def text_of(longest: int) -> Reader:
    """Make a reader of texts of any lines."""

    def read(value: object, where: str) -> str:
        text = _string(value, where)
        if len(text) > longest:
            raise BadField(f"{where}: it has {len(text)} characters: give {longest} at most")
        # Neither a program's arguments nor UTF-8 can hold them.
        if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
            raise BadField(f"{where}: it has a character that is none, such as NUL: leave it out")
        return text

    return read


def list_of(read_one: Reader, most: int) -> Reader:
    """Make a reader of lists."""

    def read(value: object, where: str) -> list[Any]:
        if not isinstance(value, list):
            raise BadField(
                f"{where}: {shown(value)} is not a list: write it in brackets, [one, two]"
            )
        if len(value) > most:
            raise BadField(f"{where}: it has {len(value)} entries: give {most} at most")
        return [read_one(entry, f"{where}[{index}]") for index, entry in enumerate(value)]

    return read


def map_of(read_key: Reader, read_one: Reader, most: int) -> Reader:
    """Make a reader of mappings of names of the user's own."""

    def read(value: object, where: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise BadField(f"{where}: {shown(value)} is not a mapping: write it as name: value")
        if len(value) > most:
            raise BadField(f"{where}: it has {len(value)} entries: give {most} at most")
        names = [read_key(name, f"{where} (a name)") for name in value]
        return {name: read_one(value[name], f"{where}.{name}") for name in names}

    return read


def one_of(*choices: str) -> Reader:
    """Make a reader of one of some words."""

    def read(value: object, where: str) -> str:
        if value not in choices or not isinstance(value, str):
            raise BadField(f"{where}: {shown(value)} is unknown: give {' or '.join(choices)}")
        return value

    return read


def integer_of(least: int, most: int) -> Reader:
    """Make a reader of whole numbers within bounds."""

    def read(value: object, where: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise BadField(
                f"{where}: {shown(value)} is not a whole number: write it without quotes and units"
            )
        if not least <= value <= most:
            raise BadField(f"{where}: {shown(value)} is out of range: give {least} to {most}")
        return value

    return read


def number_of(above: float, most: float) -> Reader:
    """Make a reader of numbers within bounds."""

    def read(value: object, where: str) -> int | float:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise BadField(
                f"{where}: {shown(value)} is not a number: write it without quotes and units"
            )
        if not above < value <= most:
            raise BadField(
                f"{where}: {shown(value)} is out of range: give more than {above:g}, at most {most:g}"
            )
        return value

    return read


def flag(value: object, where: str) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise BadField(f"{where}: {shown(value)} is neither true nor false: give one of them")
    return value


def duration(value: object, where: str) -> float:
    """Read a length of time: seconds as a number, or such as ``90s``, ``2m``, ``1h30m``, ``1d``.

    :returns: seconds.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds: float | None = float(value) if abs(value) < _LARGEST else math.inf
    else:
        seconds = seconds_of(value) if isinstance(value, str) else None
    if seconds is None:
        raise BadField(
            f"{where}: {shown(value)} is no length of time: write 90, 90s, 2m, 1h30m or 1d"
        )
    if not 0 < seconds <= _LONGEST_S:
        raise BadField(f"{where}: {shown(value)} is out of range: give more than 0, at most 3650d")
    return seconds


def seconds_of(text: str) -> float | None:
    """Read a length of time of the form ``1d2h3m4s`` or ``90``; None when it is none."""
    if _SECONDS.fullmatch(text):
        return float(text)
    found = _DURATION.fullmatch(text)
    if not text or found is None:
        return None
    return float(
        sum(int(part or 0) * unit for part, unit in zip(found.groups(), _UNITS_S, strict=True))
    )


def moment(value: object, where: str) -> float:
    """Read a date and time, of UTC where it names no zone.

    :returns: Unix time.
    """
    try:
        if isinstance(value, str) and len(value) <= _LONGEST_DATE:
            value = datetime.fromisoformat(value)
        if isinstance(value, datetime):
            aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
            return aware.timestamp()
    except (ValueError, OverflowError):
        pass
    if isinstance(value, date):
        value = value.isoformat()
    raise BadField(
        f"{where}: {shown(value)} is no date and time: write 2026-12-01T00:00:00Z, or a length of time such as 30m"
    )


def _string(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise BadField(f"{where}: {shown(value)} is not a string: write it in quotes")
    return value
