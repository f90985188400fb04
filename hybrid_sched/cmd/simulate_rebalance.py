# SPDX-License-Identifier: Apache-2.0
"""``hybrid-sched-simulate rebalance``: ways to rebalance a cluster, compared on measured series."""

from __future__ import annotations

import argparse
import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.progress import Progress

from hybrid_sched import loading
from hybrid_sched.cmd.simulate_load import (
    add_load,
    add_parameters,
    add_shapes,
    parameters_of,
    shapes_of,
    stepper,
)
from hybrid_sched.cmd.simulate_output import add_format, rows_of, show_figures, write
from hybrid_sched.core.rebalancing.base import DEFAULT_STRATEGY
from hybrid_sched.core.rebalancing.parameters import Parameters
from hybrid_sched.simulation.load_series import read_load
from hybrid_sched.simulation.rebalance import (
    LITERATURE,
    Mover,
    Nothing,
    Outcome,
    Watchdog,
    run,
)
from hybrid_sched.simulation.rebalance_world import ScenarioError, Shapes, World

_STRATEGIES = "hybrid_sched.rebalancing"
_NOTHING = "none"
_MOST_HOSTS = 10_000


def add_to(commands: Any) -> None:
    """Add the sub-command to a parser's."""
    shapes = Shapes()
    command = commands.add_parser(
        "rebalance", help="compare ways to rebalance a cluster, on measured series of CPU use"
    )
    add_load(command)
    command.add_argument(
        "--hosts", type=int, default=200, metavar="N", help="number of hosts; 200 if not given"
    )
    command.add_argument(
        "--strategy",
        nargs="+",
        metavar="S",
        default=[DEFAULT_STRATEGY],
        help=f"plug-ins of {_STRATEGIES}, 'default' for {DEFAULT_STRATEGY}, and of the literature {', '.join(LITERATURE)}; "
        f"moving nothing is always compared with",
    )
    add_shapes(command, shapes)
    command.add_argument(
        "--overcommit",
        type=int,
        default=shapes.overcommit,
        metavar="N",
        help="CPUs that may be declared for each core; 4 if not given",
    )
    add_parameters(command)
    add_format(command)
    command.set_defaults(run=_rebalance)


def _rebalance(options: argparse.Namespace) -> None:
    parameters = parameters_of(options.set, Parameters())
    shapes = _shapes(options)
    if not 1 < options.hosts <= _MOST_HOSTS:
        raise ScenarioError(f"--hosts: {options.hosts} must be from 2 to {_MOST_HOSTS}")
    names = _names(options.strategy)
    movers = {name: _mover(name, parameters) for name in names}
    world = World(read_load(options.load), options.hosts, shapes)
    outcomes: list[Outcome] = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        for name, mover in movers.items():
            task = progress.add_task(name, total=world.periods)
            step = stepper(progress, task)
            outcomes.append(run(name, mover, copy.deepcopy(world), parameters, step))
    # There are more figures than ways.
    write(
        rows_of(_against_nothing(outcomes)),
        options.format,
        lambda rows: show_figures(rows, "strategy"),
    )


def _names(given: Sequence[str]) -> list[str]:
    """Give each name once, with moving nothing before all.

    :raises PluginNotFound: for a name that is unknown.
    """
    chosen = [DEFAULT_STRATEGY if name == "default" else name for name in given]
    names = list(dict.fromkeys([_NOTHING, *chosen]))
    loading.require(
        _STRATEGIES, [name for name in names if name != _NOTHING and name not in LITERATURE]
    )
    return names


def _mover(name: str, parameters: Parameters) -> Mover:
    if name == _NOTHING:
        return Nothing()
    if name in LITERATURE:
        return LITERATURE[name]()
    return Watchdog(loading.load(_STRATEGIES, [name])[0][1], parameters)


def _shapes(options: argparse.Namespace) -> Shapes:
    if not 1 <= options.overcommit <= 1000:
        raise ScenarioError(f"--overcommit: {options.overcommit} must be from 1 to 1000")
    return shapes_of(options, Shapes(overcommit=options.overcommit))


def _against_nothing(outcomes: Sequence[Outcome]) -> list[Outcome]:
    most = outcomes[0].overload_host_minutes
    return [
        replace(each, overload_reduced=1 - each.overload_host_minutes / most if most else None)
        for each in outcomes
    ]
