# SPDX-License-Identifier: Apache-2.0
"""Figures 8, 9 and 10 of the paper, from the document of a run. They need matplotlib, which is in the extra ``plots``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.qos.results import ARRANGEMENTS
from hybrid_sched.simulation import plots

_MOST_PERCENT = 100
_COLORS = {"node1": "tab:blue", "node2": "tab:orange"}


def response(document: Mapping[str, Any], figure: Any) -> None:
    """Show response times (figure 8): mean and 99th percentile; a bar is the mean of the repetitions, which are dots."""
    axes = figure.add_subplot()
    _bars(axes, document, {"response_mean_ms": "mean", "response_p99_ms": "99th percentile"})
    axes.set_title("Response time of the website")
    axes.set_ylabel("milliseconds")
    axes.legend()


def analysis(document: Mapping[str, Any], figure: Any) -> None:
    """Show what the analysis took (figure 9)."""
    axes = figure.add_subplot()
    _bars(axes, document, {"analysis_s": "time"})
    axes.set_title("Time of the data analysis")
    axes.set_ylabel("seconds")


def _bars(axes: Any, document: Mapping[str, Any], names: Mapping[str, str]) -> None:
    """Show figures of each arrangement side by side."""
    width = 0.8 / len(names)
    for place, (name, label) in enumerate(names.items()):
        middles = [at - 0.4 + width * (place + 0.5) for at in range(len(ARRANGEMENTS))]
        heights = [document["summary"][each][name]["mean"] for each in ARRANGEMENTS]
        bars = axes.bar(middles, heights, width * 0.9, label=label)
        # In the bars, as the dots are around their tops.
        labels = [f"{height:.3g}" for height in heights]
        axes.bar_label(bars, labels, label_type="center", color="white")
        for middle, arrangement in zip(middles, ARRANGEMENTS, strict=True):
            values = [row[name] for row in _repetitions(document, arrangement)]
            axes.scatter([middle] * len(values), values, color="black", s=10, zorder=2)
    axes.set_xticks(range(len(ARRANGEMENTS)), list(ARRANGEMENTS.values()))
    axes.margins(y=0.12)


def cpu(document: Mapping[str, Any], figure: Any) -> None:
    """Show the CPU use of the hosts over time (figure 10), a line for each repetition."""
    panels = figure.subplots(2, 2, sharex=True, sharey=True)
    hosts = document["settings"]["hosts"]
    for axes, (arrangement, title) in zip(panels.flat, ARRANGEMENTS.items(), strict=True):
        for number, row in enumerate(_repetitions(document, arrangement)):
            for host, use in zip(hosts, (row["website_use"], row["analysis_use"]), strict=True):
                label = host if number == 0 else None
                color = _COLORS.get(host)
                axes.plot(use["seconds"], use["percent"][host], color=color, lw=1, label=label)
        axes.set_title(title.replace("\n", " "), fontsize=9)
        axes.set_ylim(0, _MOST_PERCENT)
        axes.grid(visible=True, axis="y", alpha=0.3)
    panels[0][0].legend(fontsize=8)
    figure.suptitle("CPU use of the hosts")
    figure.supxlabel("seconds")
    figure.supylabel("percent of all CPUs")


def _repetitions(document: Mapping[str, Any], arrangement: str) -> Sequence[Mapping[str, Any]]:
    return [row for row in document["repetitions"] if row["arrangement"] == arrangement]


#: Plots by the end of their files' names.
PLOTS: Mapping[str, Callable[[Mapping[str, Any], Any], None]] = {
    "response": response,
    "analysis": analysis,
    "cpu": cpu,
}


def draw_all(document: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw all of them as PNG and SVG.

    :returns: the files.
    :raises hybrid_sched.simulation.plots.PlotError: when matplotlib is missing, or a file cannot be written.
    """
    paths = []
    for name, show in PLOTS.items():
        for suffix in plots.SUFFIXES:
            path = folder / f"qos-{name}{suffix}"
            plots.write(partial(show, document), str(path))
            paths.append(path)
    return paths
