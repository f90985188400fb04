# SPDX-License-Identifier: Apache-2.0
"""``receipt``: what was promised to each task, and what it got."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from cliff.columns import FormattableColumn
from cliff.lister import Lister
from cliff.show import ShowOne

from hybrid_sched.cmd.manage.app import ManageError
from hybrid_sched.cmd.manage.columns import Duration, Moment
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


class ShowReceipt(ShowOne):
    """Show what was promised to a guest or container, what it got in the last hour, and whether that was kept.

    Of each resource it shows the mean and the largest mean of a period, what was promised, and a verdict.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument("uuid", metavar="UUID", help="of the server or container")
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], tuple[Any, ...]]:
        """Ask the quota service."""
        answer = _ask(self.app, "receipt", uuid=parsed_args.uuid.lower())
        receipt = answer["receipt"]
        if receipt is None:
            raise ManageError(
                f"There is no receipt of {parsed_args.uuid}: give the UUID of a server or container that an agent reports. "
                "See `hybrid-sched-manage receipt list`."
            )
        fields = {
            **dict(zip(_IDENTITY, _identity(receipt), strict=True)),
            "From": Moment(receipt["begun_s"]),
            "Until": Moment(receipt["ended_s"]),
            "Measured s": round(receipt["covered_s"], 1),
            "Measured": Part(receipt["covered"]),
            "Samples": receipt["samples"],
            **{_HEADINGS[line["resource"]][0]: Line(line) for line in receipt["lines"]},
            "Window": Duration(answer["window_s"]),
            "Counted since": Moment(answer["since_s"]),
            "Verdict": receipt["text"],
        }
        return tuple(fields), tuple(fields.values())


class ListReceipts(Lister):
    """List what was promised to each guest and container against what it got in the last hour."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our options."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--host", metavar="HOST", help="only of tasks that were seen there last"
        )
        parser.add_argument(
            "--framework", choices=FRAMEWORKS, help="only of guests (hypervisor) or of containers"
        )
        parser.add_argument(
            "--broken", action="store_true", help="only those with a promise that was not kept"
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], Iterator[tuple[Any, ...]]]:
        """Ask the quota service."""
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
                for receipt in _pages(
                    self.app,
                    host=parsed_args.host,
                    framework=parsed_args.framework,
                    broken=parsed_args.broken,
                )
            ),
        )


_IDENTITY = ("UUID", "Name", "Framework", "Host", "Present", "Broken")


def _identity(receipt: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(receipt[heading.lower()] for heading in _IDENTITY)


def _pages(app: Any, **arguments: Any) -> Iterator[dict[str, Any]]:
    marker = ""
    while page := _ask(app, "receipts", marker=marker, **arguments)["receipts"]:
        yield from page
        marker = page[-1]["uuid"]


def _ask(app: Any, method: str, **arguments: Any) -> dict[str, Any]:
    """Ask for receipts.

    :raises ManageError: when there is no answer, or it is that there are none.
    """
    answer: dict[str, Any] = app.ask(method, **arguments)
    if fault := answer.get("fault"):
        raise ManageError(f"The quota service refuses it: {fault}.")
    if not answer["window_s"]:
        raise ManageError(
            "The quota service keeps no receipts: set [quota] receipt_window_s above 0 and restart it."
        )
    return answer


def _shown(amount: float) -> str:
    return f"{amount:.2f}".rstrip("0").rstrip(".")
