# SPDX-License-Identifier: Apache-2.0
"""``hybrid-sched-simulate overcommit``: how many hosts overcommit saves at which risk, on measured series."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from hybrid_sched import loading
from hybrid_sched.cmd.simulate_load import (
    add_load,
    add_parameters,
    add_shapes,
    parameters_of,
    shapes_of,
    stepper,
)
from hybrid_sched.cmd.simulate_output import Rows, add_format, rows_of, shown, write
from hybrid_sched.core.overcommit import Lending
from hybrid_sched.core.rebalancing.base import DEFAULT_STRATEGY
from hybrid_sched.core.rebalancing.history import History
from hybrid_sched.core.rebalancing.parameters import Parameters
from hybrid_sched.core.resources import Resources
from hybrid_sched.simulation import overcommit, overcommit_plot, plots
from hybrid_sched.simulation.load_series import read_load
from hybrid_sched.simulation.overcommit import Day, Outcome
from hybrid_sched.simulation.rebalance import Mover, Nothing, Watchdog
from hybrid_sched.simulation.rebalance_world import ScenarioError, Shapes

_STRATEGIES = "hybrid_sched.rebalancing"
_NO_NET = "none"
#: The net acts on hosts that may be asked for more than they have, not on those that are well used. What is measured of a host
#: is never more than it has, so that its limit is a little below.
_NET = Parameters(
    limits=(0.98, *Parameters().limits[1:]),
    targets=(0.95, *Parameters().targets[1:]),
    deviations=1.0,
)
_SHAPES = Shapes(
    hosts=(Resources(80, 1048576),),
    guests=(Resources(2, 2048), Resources(4, 4096), Resources(4, 8192), Resources(8, 8192)),
)
_POLICIES = (
    *("none", "static:1.25", "static:1.5", "static:2", "static:4", "static:6", "static:7"),
    *("usage:0.2", "usage:0.1", "usage:0.05", "usage:0", "hindsight", "bound"),
)


def add_to(commands: Any) -> None:
    """Add the sub-command to a parser's."""
    command = commands.add_parser(
        "overcommit",
        help="say how many hosts overcommit saves at which risk, on measured series of CPU use",
    )
    add_load(command)
    command.add_argument(
        "--policies",
        nargs="+",
        metavar="P",
        default=list(_POLICIES),
        help=f"none, static:RATIO, usage:MARGIN, hindsight, bound; {' '.join(_POLICIES)} if not given",
    )
    command.add_argument(
        "--net",
        nargs="+",
        metavar="S",
        default=[_NO_NET, DEFAULT_STRATEGY],
        help=f"strategies of the watchdog, each with every policy: plug-ins of {_STRATEGIES}, or {_NO_NET}; "
        f"{_NO_NET} {DEFAULT_STRATEGY} if not given",
    )
    command.add_argument(
        "--deviations",
        type=float,
        default=Lending().deviations,
        metavar="N",
        help=f"standard deviations of the peak by which usage:MARGIN lends; {Lending().deviations:g} if not given",
    )
    command.add_argument(
        "--learn",
        type=int,
        default=48,
        metavar="PERIODS",
        help="in which guests have what they declared and are measured; they are not judged; 48 if not given",
    )
    command.add_argument(
        "--seed",
        type=int,
        default=1,
        metavar="N",
        help="of the order in which guests are placed; 1 if not given",
    )
    add_shapes(command, _SHAPES)
    add_parameters(command)
    add_format(command)
    command.set_defaults(run=_overcommit)
    plot = commands.add_parser(
        "overcommit-plot", help="plot what overcommit wrote; needs matplotlib"
    )
    plot.add_argument(
        "--outcomes",
        nargs="+",
        required=True,
        metavar="LABEL=CSV",
        help="what overcommit -f csv wrote for some kind of hosts, and what these are called",
    )
    plot.add_argument(
        "--output", nargs="+", required=True, metavar="FILE", help="files that end in .png or .svg"
    )
    plot.set_defaults(run=_plot)


def _overcommit(options: argparse.Namespace) -> None:
    lending = Lending(deviations=options.deviations)
    nets = list(dict.fromkeys(options.net))
    loading.require(_STRATEGIES, [net for net in nets if net != _NO_NET])
    chosen = [(name, *_parsed(name)) for name in dict.fromkeys(options.policies)]
    day = Day(read_load(options.load), shapes_of(options, _SHAPES), options.learn, options.seed)
    parameters = parameters_of(options.set, _NET)
    outcomes: list[Outcome] = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        history = overcommit.learn(day, parameters)
        for name, kind, value in chosen:
            if kind == "bound":
                outcomes.append(overcommit.bound(day))
                continue
            placed, ratio = _placed(day, kind, value, lending, history)
            for net in nets if kind != "hindsight" else [_NO_NET]:
                shown = progress.add_task(f"{name}, {net}", total=day.judged)
                outcomes.append(
                    overcommit.judge(
                        name,
                        net,
                        _mover(net, parameters, history),
                        overcommit.world_of(day, placed, ratio),
                        day.learned,
                        progress=stepper(progress, shown),
                    )
                )
    write(rows_of(_against_none(outcomes)), options.format, _show)


def _plot(options: argparse.Namespace) -> None:
    outcomes = {}
    for each in options.outcomes:
        label, _, path = each.partition("=")
        if not label or not path:
            raise plots.PlotError(
                f"--outcomes: {each!r} is no LABEL=CSV; give a name of the hosts before the file"
            )
        outcomes[label] = overcommit_plot.read_points(path)
    for path in options.output:
        plots.write(lambda figure: overcommit_plot.show(outcomes, figure.add_subplot()), path)


def _parsed(name: str) -> tuple[str, Fraction]:
    """Give the kind of a policy and its number.

    :raises ScenarioError: when there is no such policy.
    """
    if name in {"hindsight", "bound"}:
        return name, Fraction(0)
    if name == "none":
        return "static", Fraction(1)
    parts = re.fullmatch(r"(static|usage):([0-9]{1,3}(?:\.[0-9]{1,6})?)", name)
    if parts is None:
        raise ScenarioError(
            f"--policies: there is no policy {name!r}; there are none, static:RATIO, usage:MARGIN, hindsight and bound"
        )
    kind, number = parts[1], Fraction(parts[2])
    if kind == "static" and number < 1:
        raise ScenarioError(f"--policies: the ratio of {name!r} is below 1; give 1 or more")
    if kind == "usage" and number >= 1:
        raise ScenarioError(f"--policies: the margin of {name!r} is not below 1; give 0 to 0.99")
    return kind, number


def _placed(
    day: Day, kind: str, value: Fraction, lending: Lending, history: History
) -> tuple[list[int], Fraction]:
    """Give where the guests are put, and how much may be declared for each core."""
    if kind == "static":
        return overcommit.place_by_ratio(day, value), value
    most = Fraction(lending.largest_ratio)
    if kind == "usage":
        lending = replace(lending, margin=float(value))
        return overcommit.place_by_use(day, lending, history), most
    return overcommit.place_by_hindsight(day), most


def _mover(net: str, parameters: Parameters, history: History) -> Mover:
    if net == _NO_NET:
        return Nothing()
    return Watchdog(loading.load(_STRATEGIES, [net])[0][1], parameters, history)


def _against_none(outcomes: Sequence[Outcome]) -> list[Outcome]:
    most = next((each.hosts_mean for each in outcomes if each.policy == "none"), None)
    return [
        replace(each, hosts_saved=None if most is None else 1 - each.hosts_mean / most)
        for each in outcomes
    ]


def _show(rows: Rows) -> None:
    table = Table(*[name.replace("_", " ") for name in rows[0]])
    for row in rows:
        table.add_row(*map(shown, row.values()))
    Console(width=130).print(table)
