# SPDX-License-Identifier: Apache-2.0
"""A plot of what overcommit gives: how far hosts are used, and how often they are asked for too much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from hybrid_sched.simulation.overcommit import Outcome
from hybrid_sched.simulation.plots import number, read_lines

COLUMNS = tuple(field.name for field in fields(Outcome))
#: What is aimed at: so much of the CPU used, overload in so much of the time at most.
_GOAL_UTIL, _GOAL_OVERLOAD = 0.8, 0.01
#: It cannot be had: guests would have to be cut at will.
_BOUND = "bound"
#: Color of each kind of hosts, and where names of its points are, in points, so that they do not lie on each other.
_LOOKS = (
    ("tab:blue", 5, -9, "left"),
    ("tab:orange", 5, 4, "left"),
    ("tab:green", -5, 5, "right"),
    ("tab:purple", -5, -9, "right"),
)


@dataclass(frozen=True, slots=True)
class Point:
    """What the plot shows of one policy with one net.

    :param name: of both.
    :param cpu_util: part of the used hosts' CPU that guests used.
    :param overload_part: part of their time in which they were asked for more.
    """

    name: str
    cpu_util: float
    overload_part: float


def read_points(path: str) -> tuple[Point, ...]:
    """Read what ``overcommit -f csv`` wrote, without the bound.

    :raises PlotError: when it cannot be read, or something in it is wrong.
    """
    remedy = "give what 'hybrid-sched-simulate overcommit -f csv' writes"
    points = []
    for where, row in read_lines(path, COLUMNS, remedy):
        if row["policy"] != _BOUND:
            name = row["policy"] + ("" if row["net"] == "none" else f" + {row['net']}")
            util, overload = (
                number(where, field, row[field], remedy) for field in ("cpu_util", "overload_part")
            )
            points.append(Point(name, util, overload))
    return tuple(points)


def front(points: Sequence[Point]) -> list[Point]:
    """Give those that no other one betters in both figures, the least used hosts first; of equals the first."""
    best: list[Point] = []
    for point in sorted(points, key=lambda each: (-each.cpu_util, each.overload_part)):
        if not best or point.overload_part < best[-1].overload_part:
            best.append(point)
    return best[::-1]


def show(outcomes: Mapping[str, Sequence[Point]], axes: Any) -> None:
    """Show overload against use, with the front of each kind of hosts.

    :param outcomes: by what the hosts are called.
    """
    for place, (label, points) in enumerate(outcomes.items()):
        (color, x, y, side), best = _LOOKS[place % len(_LOOKS)], front(points)
        spots = [(point.cpu_util, point.overload_part) for point in best]
        axes.plot(*zip(*spots, strict=True), color=color, marker="o", markersize=4, label=label)
        others = [point for point in points if point not in best]
        axes.scatter(
            [point.cpu_util for point in others],
            [point.overload_part for point in others],
            color=color,
            s=10,
            alpha=0.35,
        )
        for point in best:
            # Without overload all lie on one line, and the one that uses hosts best tells enough.
            if point.overload_part > 0 or point is best[0]:
                axes.annotate(
                    point.name,
                    (point.cpu_util, point.overload_part),
                    xytext=(x, y),
                    textcoords="offset points",
                    ha=side,
                    color=color,
                    fontsize=6,
                )
    axes.axvspan(_GOAL_UTIL, 1, 0, 1, color="tab:gray", alpha=0.08)
    axes.axhline(_GOAL_OVERLOAD, color="tab:gray", linewidth=1, linestyle="--")
    axes.set_title("Overload against use of the CPU")
    axes.set_xlabel("part of the used hosts' CPU that guests used")
    axes.set_ylabel("part of their time with more asked for than they have")
    axes.set_yscale("symlog", linthresh=0.01)
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.001, 1)
    axes.legend(fontsize=8, loc="upper left")
