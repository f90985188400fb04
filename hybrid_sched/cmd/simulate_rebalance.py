# SPDX-License-Identifier: Apache-2.0
"""``hybrid-sched-simulate rebalance``: ways to rebalance a cluster, compared on measured series."""

from __future__ import annotations

import argparse
import copy
import csv
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from hybrid_sched import loading
from hybrid_sched.core.rebalancing.base import DEFAULT_STRATEGY
from hybrid_sched.core.rebalancing.parameters import BadParameter, Parameters
from hybrid_sched.core.resources import Resources
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
    command.add_argument(
        "--load",
        required=True,
        metavar="DIR|CSV",
        help="a folder with a file a guest and a percentage a line, or a CSV file with a line a guest: its name, percentages",
    )
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
    command.add_argument(
        "--host",
        action="append",
        metavar="SHAPE",
        help=f"what a host has; several are gone through in turns; {_text(shapes.hosts)} if none is given",
    )
    command.add_argument(
        "--guest",
        action="append",
        metavar="SHAPE",
        help=f"the same of what a guest declares; {_text(shapes.guests)} if none is given",
    )
    command.add_argument(
        "--overcommit",
        type=int,
        default=shapes.overcommit,
        metavar="N",
        help="CPUs that may be declared for each core; 4 if not given",
    )
    command.add_argument(
        "--period",
        type=float,
        default=shapes.period_s,
        metavar="SECONDS",
        help="between two figures of a series; 300 if not given",
    )
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"a parameter of the watchdog, with a comma between parts of a vector: {', '.join(Parameters.names())}",
    )
    command.add_argument(
        "-f", "--format", choices=("table", "json", "csv"), default="table", help="of the output"
    )
    command.set_defaults(run=_rebalance)


def _rebalance(options: argparse.Namespace) -> None:
    parameters = _parameters(options.set)
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
            step = _stepper(progress, task)
            outcomes.append(run(name, mover, copy.deepcopy(world), parameters, step))
    _write(_against_nothing(outcomes), options.format)


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


def _stepper(progress: Progress, task: Any) -> Callable[[], None]:
    return lambda: progress.advance(task)


def _parameters(settings: Sequence[str]) -> Parameters:
    defaults = Parameters()
    values: dict[str, Any] = {}
    for setting in settings:
        name, sign, text = (piece.strip() for piece in setting.partition("="))
        if not sign or name not in Parameters.names():
            raise BadParameter(
                f"--set {setting!r}: write NAME=VALUE with one of {', '.join(Parameters.names())}"
            )
        default = getattr(defaults, name)
        try:
            if isinstance(default, tuple):
                values[name] = tuple(float(part) for part in text.split(","))
            else:
                values[name] = type(default)(text)
        except ValueError:
            raise BadParameter(f"--set {setting!r}: {text!r} is no number; give one") from None
    return replace(defaults, **values)


def _shapes(options: argparse.Namespace) -> Shapes:
    if not 1 <= options.overcommit <= 1000:
        raise ScenarioError(f"--overcommit: {options.overcommit} must be from 1 to 1000")
    if not 0 < options.period <= 86400:
        raise ScenarioError(f"--period: {options.period} must be above 0 and at most 86400 seconds")
    shapes = Shapes(overcommit=options.overcommit, period_s=options.period)
    if options.host:
        shapes = replace(shapes, hosts=tuple(_shape("--host", text) for text in options.host))
    if options.guest:
        shapes = replace(shapes, guests=tuple(_shape("--guest", text) for text in options.guest))
    return shapes


def _shape(option: str, text: str) -> Resources:
    remedy = "write vcpu=8,memory_mb=65536, both above 0"
    amounts: dict[str, object] = {}
    for part in text.split(","):
        name, _, amount = (piece.strip() for piece in part.partition("="))
        if name not in {"vcpu", "memory_mb"} or name in amounts:
            raise ScenarioError(f"{option} {text!r}: {part!r} is unknown or there twice; {remedy}")
        amounts[name] = amount
    try:
        shape = Resources.parse(amounts)
    except ValueError as error:
        raise ScenarioError(f"{option} {text!r}: {error}; {remedy}") from None
    if not (shape.vcpu and shape.memory_mb):
        raise ScenarioError(f"{option} {text!r}: a resource is missing or 0; {remedy}")
    return shape


def _text(shapes: Sequence[Resources]) -> str:
    return " ".join(f"vcpu={each.vcpu},memory_mb={each.memory_mb}" for each in shapes)


def _against_nothing(outcomes: Sequence[Outcome]) -> list[Outcome]:
    most = outcomes[0].overload_host_minutes
    return [
        replace(each, overload_reduced=1 - each.overload_host_minutes / most if most else None)
        for each in outcomes
    ]


def _write(outcomes: Sequence[Outcome], form: str) -> None:
    rows = [{name: _rounded(value) for name, value in asdict(each).items()} for each in outcomes]
    if form == "json":
        json.dump(rows, sys.stdout)
        sys.stdout.write("\n")
    elif form == "csv":
        writer = csv.DictWriter(sys.stdout, [each.name for each in fields(Outcome)])
        writer.writeheader()
        writer.writerows(rows)
    else:
        # A row a figure: there are more figures than ways.
        table = Table("figure", *[each.strategy for each in outcomes])
        for name in rows[0]:
            if name != "strategy":
                table.add_row(name, *["-" if row[name] is None else str(row[name]) for row in rows])
        Console(width=max(80, 30 + 16 * len(rows))).print(table)


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value
