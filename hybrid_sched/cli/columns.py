# SPDX-License-Identifier: Apache-2.0
"""How values look: rounded for people, exact for programs."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from cliff.columns import FormattableColumn

#: Headings, and the rows below them, as cliff takes a table.
Table = tuple[tuple[str, ...], Iterator[tuple[Any, ...]]]


class Share(FormattableColumn[int | str]):
    """A part of the whole, from the quota service as an integer or ``"a/b"``."""

    def human_readable(self) -> str:
        """Show it as a percentage."""
        return f"{float(Fraction(self._value)) * 100:.1f} %"

    def machine_readable(self) -> Any:
        """Give the exact number and its nearest float."""
        return {"exact": self._value, "value": float(Fraction(self._value))}


class Amount(FormattableColumn[int | str]):
    """An amount, from the quota service as an integer or ``"a/b"``."""

    def human_readable(self) -> str:
        """Show at most two decimals."""
        return f"{float(Fraction(self._value)):.2f}".rstrip("0").rstrip(".")

    def machine_readable(self) -> int | str:
        """Give the exact number."""
        return self._value


class Moment(FormattableColumn[float]):
    """A time, in seconds of Unix time."""

    def human_readable(self) -> str:
        """Show it in UTC."""
        moment = datetime.datetime.fromtimestamp(self._value, tz=datetime.UTC)
        return moment.strftime("%Y-%m-%d %H:%M:%S")


class OptionalMoment(FormattableColumn[float | None]):
    """A time, in seconds of Unix time, or none."""

    def human_readable(self) -> str:
        """Show it in UTC."""
        return Moment(self._value).human_readable() if self._value else ""


class Duration(FormattableColumn[float | None]):
    """A length of time in seconds, or none."""

    def human_readable(self) -> str:
        """Show it as ``1d2h3m4s``, without what is zero."""
        if self._value is None:
            return ""
        left, shown = round(self._value), ""
        for unit, seconds in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
            number, left = divmod(left, seconds)
            shown += f"{number}{unit}" if number else ""
        return shown or "0s"


class Names(FormattableColumn[Sequence[str]]):
    """A list of names."""

    def human_readable(self) -> str:
        """Show them with commas between."""
        return ", ".join(self._value)


class Limit(FormattableColumn[Any]):
    """The value of a limit: a number, exact, a list of CPUs, or none."""

    def human_readable(self) -> str:
        """Show CPUs with commas between, and no limit in a word."""
        if self._value is None:
            return "none"
        return (
            ",".join(map(str, self._value)) if isinstance(self._value, list) else str(self._value)
        )

    def machine_readable(self) -> Any:
        """Give it as it is; None for no limit."""
        return self._value


class Events(FormattableColumn[Sequence[Mapping[str, Any]]]):
    """What happened to tasks."""

    def human_readable(self) -> str:
        """Show each in a line, with its time in UTC."""
        return "\n".join(
            f"{Moment(each['at_s']).human_readable()} {each['kind']} {each['uuid']}"
            for each in self._value
        )


class Reasons(FormattableColumn[Mapping[str, str]]):
    """A reason for each host."""

    def human_readable(self) -> str:
        """Show the hosts that share a reason in one line."""
        hosts_by_reason: dict[str, list[str]] = {}
        for host, reason in self._value.items():
            hosts_by_reason.setdefault(reason, []).append(host)
        return "\n".join(
            f"{', '.join(hosts)}: {reason}" for reason, hosts in hosts_by_reason.items()
        )


class Figures(FormattableColumn[Mapping[str, int | float | str]]):
    """Figures by name, exact ones as integers or ``"a/b"``."""

    def human_readable(self) -> str:
        """Show them with at most two decimals."""
        return ", ".join(
            f"{name} {float(Fraction(figure)):.2f}".rstrip("0").rstrip(".")
            for name, figure in self._value.items()
        )
