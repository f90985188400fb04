# SPDX-License-Identifier: Apache-2.0
"""How it is shown what was promised to tasks, and what they got."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from cliff.columns import FormattableColumn

from hybrid_sched.cli.columns import Duration, Moment, Table
from hybrid_sched.core.cluster import FRAMEWORKS

#: Heading of each resource, and by what its amount is divided to be in the unit of the heading.
_HEADINGS = {
    "vcpu": ("CPU cores", 1),
    "memory_mb": ("Memory MiB", 1),
    "disk_read_bps": ("Disk read MB/s", 10**6),
    "disk_write_bps": ("Disk write MB/s", 10**6),
    "net_in_bps": ("Net in MB/s", 10**6),
    "net_out_bps": ("Net out MB/s", 10**6),
}


class Line(FormattableColumn[Mapping[str, Any]]):
    """One resource of a receipt, as the quota service gives it; shown in the unit of its heading."""

    def human_readable(self) -> str:
        """Show it as mean and maximum, promise and verdict."""
        line = self._value
        scale = _HEADINGS[line["resource"]][1]
        mean, most = (
            None if line[name] is None else line[name] / scale for name in ("mean", "most")
        )
        promised = float(Fraction(line["promised"]) / scale)
        used = "-" if mean is None or most is None else f"{_shown(mean)} (max {_shown(most)})"
        return f"{used}{f' of {_shown(promised)}' if promised else ''}, {line['verdict']}"

    def machine_readable(self) -> dict[str, Any]:
        """Give all of it, in the units of the quota service."""
        return dict(self._value)


class Part(FormattableColumn[float]):
    """A part of the whole, 0 to 1."""

    def human_readable(self) -> str:
        """Show it as a percentage."""
        return f"{self._value * 100:.0f} %"


def add_list_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``receipt list``."""
    parser.add_argument("--host", metavar="HOST", help="only of tasks that were seen there last")
    parser.add_argument(
        "--framework", choices=FRAMEWORKS, help="only of guests (hypervisor) or of containers"
    )
    parser.add_argument(
        "--broken", action="store_true", help="only those with a promise that was not kept"
    )


def receipt_fields(receipt: Mapping[str, Any], window_s: float, since_s: float) -> dict[str, Any]:
    """Show one receipt.

    :param receipt: as the quota service gives it.
    :param window_s: seconds that it reaches back.
    :param since_s: Unix time since which receipts are counted.
    """
    return {
        **dict(zip(_IDENTITY, _identity(receipt), strict=True)),
        "From": Moment(receipt["begun_s"]),
        "Until": Moment(receipt["ended_s"]),
        "Measured s": round(receipt["covered_s"], 1),
        "Measured": Part(receipt["covered"]),
        "Samples": receipt["samples"],
        **{_HEADINGS[line["resource"]][0]: Line(line) for line in receipt["lines"]},
        "Window": Duration(window_s),
        "Counted since": Moment(since_s),
        "Verdict": receipt["text"],
    }


def receipts_table(receipts: Iterable[Mapping[str, Any]]) -> Table:
    """Show what was promised to guests and containers against what they got."""
    headings = (heading for heading, _ in _HEADINGS.values())
    return (
        (*_IDENTITY, "Measured", *headings, "Verdict"),
        (
            (
                *_identity(receipt),
                Part(receipt["covered"]),
                *(Line(line) for line in receipt["lines"]),
                receipt["text"],
            )
            for receipt in receipts
        ),
    )


_IDENTITY = ("UUID", "Name", "Framework", "Host", "Present", "Broken")


def _identity(receipt: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(receipt[heading.lower()] for heading in _IDENTITY)


def _shown(amount: float) -> str:
    return f"{amount:.2f}".rstrip("0").rstrip(".")
