# SPDX-License-Identifier: Apache-2.0
"""Plots of the means of policies, as PNG or SVG. They need matplotlib, which is in the extra ``plots``.

The same means give the same bytes with the same matplotlib.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybrid_sched.simulation.comparison import MEAN_COLUMNS

#: Endings of the files that can be written.
SUFFIXES = (".png", ".svg")
#: Of points whose labels would lie on each other.
_NEAR = 0.005
_NUMBERS = ("makespan_min", "share_gap_mean", "lower_bound_min", "over_bound")


class PlotError(ValueError):
    """A plot that cannot be made; the message names the file, the line, the field and the remedy."""


@dataclass(frozen=True, slots=True)
class Mean:
    """What a plot shows of one policy in one test."""

    test: int
    policy: str
    makespan_min: float
    share_gap_mean: float
    lower_bound_min: float
    over_bound: float
    on_front: bool


def read_means(path: str) -> tuple[Mean, ...]:
    """Read what ``table2 --means -f csv`` wrote.

    :raises PlotError: when it cannot be read, or something in it is wrong.
    """
    remedy = "give what 'hybrid-sched-simulate table2 --means -f csv' writes"
    means = []
    for where, row in read_lines(path, MEAN_COLUMNS, remedy):
        if not row["test"].isdecimal():
            raise PlotError(f"{where}, field 'test': {row['test']!r} is no number; {remedy}")
        numbers = {name: number(where, name, row[name], remedy) for name in _NUMBERS}
        on_front = row["on_front"] == "True"
        means.append(Mean(int(row["test"]), row["policy"], **numbers, on_front=on_front))
    return tuple(means)


def read_lines(
    path: str, columns: Sequence[str], remedy: str
) -> Sequence[tuple[str, Mapping[str, str]]]:
    """Read a CSV file.

    :param columns: that its header has.
    :param remedy: what to do when it cannot be read, as the end of a sentence.
    :returns: its lines, one at least: where each is, to be told of, and its fields.
    :raises PlotError: when it cannot be read, or is no such file.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise PlotError(f"cannot read {path}: {error.strerror}; {remedy}") from None
    except UnicodeDecodeError:
        raise PlotError(f"{path} is not text in UTF-8; {remedy}") from None
    lines = csv.DictReader(io.StringIO(text))
    if tuple(lines.fieldnames or ()) != tuple(columns):
        raise PlotError(f"{path}, line 1: the header is not {','.join(columns)}; {remedy}")
    found = [
        (f"{path}, line {lines.line_num}", {name: row[name] or "" for name in columns})
        for row in lines
    ]
    if not found:
        raise PlotError(f"{path} has no line but the header; {remedy}")
    return found


def number(where: str, field: str, text: str, remedy: str) -> float:
    """Read a figure.

    :raises PlotError: when it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise PlotError(f"{where}, field {field!r}: {text!r} is no number; {remedy}")
    return value


def front(means: Sequence[Mean], axes: Any) -> None:
    """Show makespan over lower bound against the gap between the shares, for the last test that there is."""
    test = max(mean.test for mean in means)
    shown = [mean for mean in means if mean.test == test]
    best = min(mean.over_bound for mean in shown)
    # Clusters of a poor split would leave no room for the others.
    shown = [mean for mean in shown if mean.over_bound <= 1.35 * best]
    on_front = sorted((mean.share_gap_mean, mean.over_bound) for mean in shown if mean.on_front)
    axes.plot(*zip(*on_front, strict=True), color="tab:blue", linewidth=1, zorder=1)
    for mean in shown:
        color = "tab:blue" if mean.on_front else "tab:gray"
        axes.scatter(mean.share_gap_mean, mean.over_bound, color=color, s=16, zorder=2)
    for names, gap, over in _labels(shown):
        axes.annotate(names, (gap, over), xytext=(4, 4), textcoords="offset points", fontsize=6)
    axes.set_title(f"Test {test}: time to finish all against fairness")
    axes.set_xlabel("gap between dominant shares while both wait (mean)")
    axes.set_ylabel("makespan / lower bound (mean)")
    # Fair policies lie close together, and names need room at the right.
    axes.set_xscale("symlog", linthresh=0.05)
    axes.set_xlim(0, 2)


def _labels(means: Sequence[Mean]) -> list[tuple[str, float, float]]:
    """Give one label for policies that lie too close together for one each: names, a line each, and where."""
    groups: list[list[Mean]] = []
    for mean in sorted(means, key=lambda each: (each.share_gap_mean, each.over_bound, each.policy)):
        for group in groups:
            first = group[0]
            near = abs(mean.share_gap_mean - first.share_gap_mean) <= max(
                _NEAR, first.share_gap_mean / 20
            )
            if near and abs(mean.over_bound - first.over_bound) <= _NEAR:
                group.append(mean)
                break
        else:
            groups.append([mean])
    return [
        (
            "\n".join(mean.policy for mean in group),
            group[0].share_gap_mean,
            max(mean.over_bound for mean in group),
        )
        for group in groups
    ]


def makespan(means: Sequence[Mean], axes: Any) -> None:
    """Show the makespan of each policy by test (figure 7 of the paper), of separate clusters the best split of each test."""
    tests = sorted({mean.test for mean in means})
    lines: dict[str, dict[int, float]] = {}
    for mean in means:
        separate = mean.policy.startswith("separate-")
        line = lines.setdefault("separate (best split)" if separate else mean.policy, {})
        line[mean.test] = min(line.get(mean.test, math.inf), mean.makespan_min)
        lines.setdefault("lower bound", {})[mean.test] = mean.lower_bound_min
    width = 0.8 / len(lines)
    for place, (name, line) in enumerate(lines.items()):
        left = [test - 0.4 + width * place for test in tests]
        heights = [line.get(test, 0.0) for test in tests]
        axes.bar(left, heights, width, align="edge", label=name)
    axes.set_title("Time to finish all tasks")
    axes.set_xlabel("test")
    axes.set_ylabel("minutes")
    axes.set_xticks(tests)
    axes.legend(fontsize=6, ncol=2)


#: Plots by name.
PLOTS: Mapping[str, Callable[[Sequence[Mean], Any], None]] = {"front": front, "makespan": makespan}


def draw(name: str, means: Sequence[Mean], path: str) -> None:
    """Draw a plot into a file.

    :param name: one of :data:`PLOTS`.
    :param path: of the file, which ends in one of :data:`SUFFIXES`.
    :raises PlotError: when matplotlib is missing, or the file cannot be written.
    """
    write(lambda figure: PLOTS[name](means, figure.add_subplot()), path)


def write(show: Callable[[Any], None], path: str) -> None:
    """Write a figure into a file.

    :param show: draws on the figure, a ``matplotlib.figure.Figure``.
    :param path: of the file, which ends in one of :data:`SUFFIXES`.
    :raises PlotError: when matplotlib is missing, or the file cannot be written.
    """
    suffix = Path(path).suffix
    if suffix not in SUFFIXES:
        raise PlotError(f"{path}: it must end in {' or '.join(SUFFIXES)}")
    try:
        import matplotlib as mpl  # noqa: PLC0415
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError:
        raise PlotError(
            "matplotlib is not installed: install hybrid-sched[plots], or matplotlib itself"
        ) from None
    # Names of the parts of an SVG file are random, and the date and the version are in it, unless told otherwise.
    with mpl.rc_context({"svg.hashsalt": "hybrid-sched", "svg.fonttype": "none"}):
        figure = Figure(figsize=(8, 5), layout="constrained")
        show(figure)
        nothing = {"Software": None} if suffix == ".png" else {"Date": None, "Creator": None}
        try:
            figure.savefig(path, dpi=120, metadata=nothing)
        except OSError as error:
            raise PlotError(f"cannot write {path}: {error.strerror}; name another file") from None
