# SPDX-License-Identifier: Apache-2.0
"""``hybrid-sched-simulate``: the algorithms without a cloud."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from hybrid_sched import loading
from hybrid_sched.cmd import (
    simulate_overcommit,
    simulate_policies,
    simulate_rebalance,
    simulate_trace,
)
from hybrid_sched.core.overcommit import BadLending
from hybrid_sched.core.packing.base import DEFAULT_PACKER, Packer
from hybrid_sched.core.rebalancing.parameters import BadParameter
from hybrid_sched.db.errors import DatabaseError
from hybrid_sched.simulation import instances
from hybrid_sched.simulation.cases import CaseError, solve_all
from hybrid_sched.simulation.engine import Stalled
from hybrid_sched.simulation.instances import InstanceError
from hybrid_sched.simulation.load_series import LoadError
from hybrid_sched.simulation.optimum import NoSolver
from hybrid_sched.simulation.plots import PlotError
from hybrid_sched.simulation.policies import UnknownPolicy
from hybrid_sched.simulation.rebalance_world import ScenarioError
from hybrid_sched.simulation.workload import WorkloadError

_BAD_INPUT = 2
_PACKERS = "hybrid_sched.packing"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one sub-command.

    :param arguments: of the command line; None for the process's own.
    :returns: the exit code, 2 for input that cannot be used.
    """
    options = parser().parse_args(arguments)
    try:
        options.run(options)
    except (
        BadLending,
        BadParameter,
        CaseError,
        DatabaseError,
        InstanceError,
        LoadError,
        NoSolver,
        PlotError,
        ScenarioError,
        Stalled,
        UnknownPolicy,
        WorkloadError,
        loading.PluginNotFound,
    ) as error:
        print(f"hybrid-sched-simulate: {error}", file=sys.stderr)
        return _BAD_INPUT
    return 0


def parser() -> argparse.ArgumentParser:
    """Make the parser of all sub-commands."""
    made = argparse.ArgumentParser(prog="hybrid-sched-simulate", description=__doc__)
    commands = made.add_subparsers(required=True, metavar="COMMAND")
    _add_solve(commands)
    _add_pack(commands)
    simulate_rebalance.add_to(commands)
    simulate_overcommit.add_to(commands)
    simulate_policies.add_to(commands)
    simulate_trace.add_to(commands)
    return made


def _add_solve(commands: Any) -> None:
    solve = commands.add_parser("solve", help="solve cases of the algorithms, given as JSON")
    solve.add_argument("file", metavar="FILE", help="a JSON list of cases; - is standard input")
    solve.set_defaults(run=_solve)


def _add_pack(commands: Any) -> None:
    pack = commands.add_parser("pack", help="pack tasks onto hosts, both given as CSV files")
    pack.add_argument(
        "--tasks",
        required=True,
        metavar="CSV",
        help="header id,<resource>,... and a line a task, in integers",
    )
    pack.add_argument(
        "--hosts",
        required=True,
        metavar="CSV|N*RESOURCE=AMOUNT,...",
        help="the same columns and a line a host, or N equal hosts, such as '20*vcpu=96000,memory_mib=393216'",
    )
    pack.add_argument(
        "--packer",
        default="default",
        metavar="NAME",
        help=f"plug-in of {_PACKERS}; 'default' is {DEFAULT_PACKER}",
    )
    pack.add_argument("--assignments", action="store_true", help="show the host of each task too")
    pack.add_argument(
        "-f", "--format", choices=("table", "json"), default="table", help="of the output"
    )
    pack.set_defaults(run=_pack)


def _solve(options: argparse.Namespace) -> None:
    results = solve_all(_read_json(options.file))
    json.dump(results, sys.stdout)
    sys.stdout.write("\n")


def _pack(options: argparse.Namespace) -> None:
    name = DEFAULT_PACKER if options.packer == "default" else options.packer
    loading.require(_PACKERS, [name])
    tasks = instances.read_tasks(options.tasks)
    hosts = instances.read_hosts(options.hosts, tasks.resources)
    packer: Packer = loading.load(_PACKERS, [name])[0][1]
    began_s = time.perf_counter()
    packing = packer.pack(tasks.rows, hosts.rows)
    seconds = time.perf_counter() - began_s
    figures = instances.report(tasks, hosts, packing, name, seconds)
    if options.assignments:
        figures["assignments"] = instances.assignments(tasks, hosts, packing)
    if options.format == "json":
        json.dump(figures, sys.stdout)
        sys.stdout.write("\n")
    else:
        _show(figures)


def _show(figures: Mapping[str, Any]) -> None:
    console = Console()
    table = Table("figure", "value")
    for name, value in figures.items():
        if name == "unplaced":
            table.add_row(name, f"{len(value)}: {', '.join(value)}" if value else "none")
        elif name != "assignments":
            table.add_row(name, str(value))
    console.print(table)
    if "assignments" in figures:
        placed = Table("task", "host")
        for task, host in figures["assignments"].items():
            placed.add_row(task, host)
        console.print(placed)


def _read_json(path: str) -> object:
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        return json.loads(text)
    except OSError as error:
        raise CaseError(
            f"cannot read {path}: {error.strerror}; name a file, or - for input"
        ) from None
    except (ValueError, RecursionError) as error:
        raise CaseError(f"{path} is not JSON ({error}); write a list of cases") from None


if __name__ == "__main__":
    sys.exit(main())
