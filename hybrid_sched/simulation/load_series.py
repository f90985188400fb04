# SPDX-License-Identifier: Apache-2.0
"""Measured CPU use of guests over time: a folder with a file a guest, or one CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt


class LoadError(ValueError):
    """Series that cannot be read; the message names the file, the line and the remedy."""


@dataclass(frozen=True, slots=True)
class LoadSeries:
    """How much of its CPUs each guest uses, at equal times.

    :param names: of the guests.
    :param use: parts, 0 to 1, of shape (guests, periods).
    """

    names: tuple[str, ...]
    use: npt.NDArray[np.float64]


def read_load(path: str) -> LoadSeries:
    """Read series in percent.

    :param path: a folder with a file a guest and a number a line, as the PlanetLab traces have it (Park and Pai, "CoMon", 2006;
        Beloglazov and Buyya, 2012), or a CSV file with the name of a guest and its numbers on each line, and no header.
    :raises LoadError: when they cannot be read, a number is no percentage, or the series differ in length.
    """
    place = Path(path)
    try:
        if place.is_dir():
            files = sorted(each for each in place.iterdir() if each.is_file())
            rows = [(each.name, str(each), each.read_text("utf-8").split()) for each in files]
        else:
            rows = _csv_rows(path, place.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise LoadError(
            f"cannot read {path}: {error.strerror}; name a folder of series, or a CSV file"
        ) from None
    except UnicodeDecodeError:
        raise LoadError(f"{path} has no text in UTF-8; give series as numbers in text") from None
    return _series(path, rows)


def _csv_rows(path: str, text: str) -> list[tuple[str, str, list[str]]]:
    lines = csv.reader(io.StringIO(text), strict=True)
    try:
        return [
            (fields[0].strip(), f"{path}, line {lines.line_num}", fields[1:])
            for fields in lines
            if fields
        ]
    except csv.Error as error:
        raise LoadError(f"{path} is not CSV ({error}); separate values by commas") from None


def _series(path: str, rows: Iterable[tuple[str, str, list[str]]]) -> LoadSeries:
    series: dict[str, list[float]] = {}
    length = 0
    for name, where, fields in rows:
        if not name or name in series:
            raise LoadError(
                f"{where}: the name {name!r} is empty or there twice; give each its own"
            )
        series[name] = [_percentage(where, place, text) for place, text in enumerate(fields, 1)]
        length = length or len(fields)
        if len(fields) != length or not length:
            raise LoadError(
                f"{where}: it has {len(fields)} numbers and the first series {length}; give all the same number"
            )
    if not series:
        raise LoadError(f"{path} has no series; give one file a guest, or one line of CSV")
    return LoadSeries(tuple(series), np.array(list(series.values())) / 100)


def _percentage(where: str, place: int, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    # Written so that a value which is no number is refused too.
    if not 0 <= value <= 100:
        raise LoadError(f"{where}, number {place}: {text!r} is not a percentage from 0 to 100")
    return value
