# SPDX-License-Identifier: Apache-2.0
"""What the commands that simulate guests with measured series have in common."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from rich.progress import Progress

from hybrid_sched.core.rebalancing.parameters import BadParameter, Parameters
from hybrid_sched.core.resources import Resources
from hybrid_sched.simulation.rebalance_world import ScenarioError, Shapes


def add_load(command: Any) -> None:
    """Add the option that names the series."""
    command.add_argument(
        "--load",
        required=True,
        metavar="DIR|CSV",
        help="a folder with a file a guest and a percentage a line, or a CSV file with a line a guest: its name, percentages",
    )


def add_shapes(command: Any, shapes: Shapes) -> None:
    """Add the options that say what hosts and guests are like.

    :param shapes: where nothing else is given.
    """
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
        "--period",
        type=float,
        default=shapes.period_s,
        metavar="SECONDS",
        help=f"between two figures of a series; {shapes.period_s:g} if not given",
    )


def add_parameters(command: Any) -> None:
    """Add the option that sets parameters of the watchdog."""
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"a parameter of the watchdog, with a comma between parts of a vector: {', '.join(Parameters.names())}",
    )


def shapes_of(options: argparse.Namespace, shapes: Shapes) -> Shapes:
    """Give what hosts and guests are like, as the options say.

    :param shapes: where they say nothing.
    :raises ScenarioError: when a value cannot be used.
    """
    if not 0 < options.period <= 86400:
        raise ScenarioError(f"--period: {options.period} must be above 0 and at most 86400 seconds")
    shapes = replace(shapes, period_s=options.period)
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


def parameters_of(settings: Sequence[str], defaults: Parameters) -> Parameters:
    """Give parameters of the watchdog as they are set.

    :param settings: NAME=VALUE each.
    :param defaults: for those that are not set.
    :raises BadParameter: when one is unknown, or its value cannot be used.
    """
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


def stepper(progress: Progress, task: Any) -> Callable[[], None]:
    """Give what advances a task of a progress bar by one."""
    return lambda: progress.advance(task)
