# SPDX-License-Identifier: Apache-2.0
"""``hybrid-sched-simulate run`` and ``table2``: policies compared on tasks that come, run and end."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from hybrid_sched.cmd.simulate_output import Rows, add_format, shown, write
from hybrid_sched.simulation import plots, policies, table2
from hybrid_sched.simulation.comparison import Row, best_splits, means, row, rows_of_draw
from hybrid_sched.simulation.public_trace import GUESTS, hosts_of_nodes, tasks_of_pods
from hybrid_sched.simulation.workload import WorkloadError, check_room, read_hosts, read_tasks

_MOST_SEEDS = 10_000
_MOST_PROCESSES = 256


def add_to(commands: Any) -> None:
    """Add the sub-commands to a parser's."""
    run = commands.add_parser("run", help="simulate one policy on hosts and tasks from files")
    run.add_argument(
        "--hosts",
        required=True,
        metavar="FILE",
        help="CSV with a header, or a JSON list (.json), with id, vcpu, memory_mb, and if wanted rates and score",
    )
    run.add_argument(
        "--tasks",
        required=True,
        metavar="CSV",
        help="header id,kind,vcpu,memory_mb,arrival_s,duration_s, and if wanted rates; kind is guest or container",
    )
    run.add_argument(
        "--policy",
        required=True,
        metavar="P",
        help=f"one of {', '.join([*policies.names(0), *policies.QUEUES])}, separate-N-M, fair-fill:A",
    )
    add_format(run)
    run.set_defaults(run=_run)
    table = commands.add_parser(
        "table2", help="simulate the six tests of the paper's evaluation with many policies"
    )
    table.add_argument(
        "--seeds",
        type=int,
        default=30,
        metavar="N",
        help="draws of each test, 1 to N; 30 if not given",
    )
    table.add_argument(
        "--tests",
        nargs="+",
        type=int,
        default=sorted(table2.TESTS),
        metavar="T",
        help="1 to 6; all if not given",
    )
    table.add_argument(
        "--policies",
        nargs="+",
        metavar="P",
        help="as for run; all if not given, every split among them",
    )
    table.add_argument(
        "--continuous",
        action="store_true",
        help="sizes between the paper's limits that are no whole cores and gigabytes",
    )
    table.add_argument(
        "--processes",
        type=int,
        default=min(os.cpu_count() or 1, _MOST_PROCESSES),
        metavar="N",
        help="that work at the same time; one for each CPU if not given",
    )
    table.add_argument(
        "--means",
        action="store_true",
        help="json and csv have the means over the seeds, not a row a seed; a table always has",
    )
    add_format(table)
    table.set_defaults(run=_table2)
    convert = commands.add_parser(
        "convert",
        help="write hosts and tasks for run from the CSV files of Alibaba's public cluster trace",
    )
    convert.add_argument(
        "--nodes", required=True, metavar="CSV", help="header sn,cpu_milli,memory_mib and others"
    )
    convert.add_argument(
        "--pods",
        required=True,
        metavar="CSV",
        help="header name,cpu_milli,memory_mib,qos,creation_time,deletion_time,scheduled_time and others; pods whose qos is "
        f"{' or '.join(sorted(GUESTS))} become guests, the others containers",
    )
    convert.add_argument("--hosts", required=True, metavar="FILE", help="to write hosts to")
    convert.add_argument("--tasks", required=True, metavar="FILE", help="to write tasks to")
    convert.set_defaults(run=_convert)
    plot = commands.add_parser("plot", help="plot the means that table2 wrote; needs matplotlib")
    plot.add_argument("plot", choices=sorted(plots.PLOTS), help="what to show")
    plot.add_argument(
        "--means", required=True, metavar="CSV", help="what table2 --means -f csv wrote"
    )
    plot.add_argument(
        "--output", nargs="+", required=True, metavar="FILE", help="files that end in .png or .svg"
    )
    plot.add_argument(
        "--policies", nargs="+", metavar="P", help="show these alone; all if not given"
    )
    plot.set_defaults(run=_plot)


def _run(options: argparse.Namespace) -> None:
    hosts = read_hosts(options.hosts)
    tasks = read_tasks(options.tasks)
    check_room(tasks, hosts, options.tasks)
    policy = policies.policy(options.policy, len(hosts))
    with Progress(console=Console(stderr=True), transient=True) as progress:
        progress.add_task(policy.name, total=None)
        rows = [row(policy, tasks, hosts)]
    write(rows, options.format, _show_row)


def _convert(options: argparse.Namespace) -> None:
    hosts = hosts_of_nodes(options.nodes)
    tasks, left_out = tasks_of_pods(options.pods)
    for path, text in ((options.hosts, hosts), (options.tasks, tasks)):
        try:
            Path(path).write_text(text, encoding="utf-8")
        except OSError as error:
            raise WorkloadError(
                f"cannot write {path}: {error.strerror}; name another file"
            ) from None
    if left_out:
        print(
            f"hybrid-sched-simulate: {left_out} pods that ask for nothing are left out",
            file=sys.stderr,
        )


def _table2(options: argparse.Namespace) -> None:
    hosts = len(table2.HOSTS)
    names = list(dict.fromkeys(options.policies or policies.names(hosts)))
    for name in names:
        policies.policy(name, hosts)
    for test in options.tests:
        if test not in table2.TESTS:
            raise WorkloadError(f"--tests: there is no test {test}; give numbers from 1 to 6")
    _in_range("--seeds", options.seeds, _MOST_SEEDS)
    _in_range("--processes", options.processes, _MOST_PROCESSES)
    draws = [
        (test, seed, options.continuous)
        for test in dict.fromkeys(options.tests)
        for seed in range(1, options.seeds + 1)
    ]
    rows: list[Row] = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        shown = progress.add_task(f"{len(names)} policies", total=len(draws))
        for of_draw in _in_processes(names, draws, options.processes):
            rows += of_draw
            progress.advance(shown)
    order = {name: place for place, name in enumerate(names)}
    rows.sort(key=lambda each: (each["test"], order[each["policy"]], each["seed"]))
    if options.format == "table":
        _show(means(rows), best_splits(rows))
    else:
        write(means(rows) if options.means else rows, options.format, _show_row)


def _plot(options: argparse.Namespace) -> None:
    means_read = plots.read_means(options.means)
    wanted = options.policies
    shown = [mean for mean in means_read if wanted is None or mean.policy in wanted]
    known = {mean.policy for mean in means_read}
    for name in wanted or ():
        if name not in known:
            raise plots.PlotError(
                f"--policies: {options.means} has no policy {name!r}; it has {', '.join(sorted(known))}"
            )
    for path in options.output:
        plots.draw(options.plot, shown, path)


def _in_range(option: str, value: int, most: int) -> None:
    if not 1 <= value <= most:
        raise WorkloadError(f"{option}: {value} must be from 1 to {most}")


def _in_processes(
    names: Sequence[str], draws: Sequence[tuple[int, int, bool]], processes: int
) -> Iterable[list[Row]]:
    if processes == 1:
        yield from (rows_of_draw(names, *draw) for draw in draws)
        return
    # Started anew rather than forked: a fork would share what imported libraries hold.
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        yield from pool.map(rows_of_draw, *zip(*((names, *draw) for draw in draws), strict=True))


def _show_row(rows: Rows) -> None:
    table = Table("figure", "value")
    for name, value in rows[0].items():
        table.add_row(name, shown(value))
    Console().print(table)


def _show(summary: Sequence[Mapping[str, Any]], splits: Mapping[int, str]) -> None:
    """Show the means; of the splits into separate clusters the best one of each test."""
    table = Table(
        "test",
        "policy",
        "makespan min",
        "over bound",
        "mean completion",
        "hosts",
        "cpu",
        "memory",
        "gap",
        "largest",
    )
    for mean in summary:
        name = mean["policy"]
        if name.startswith("separate-") and splits.get(mean["test"]) != name:
            continue
        table.add_row(
            str(mean["test"]),
            f"{name} (best split)" if name.startswith("separate-") else name,
            f"{mean['makespan_min']:.1f}",
            f"{mean['over_bound']:.3f}",
            f"{mean['mean_completion_min']:.1f}",
            f"{mean['hosts_peak']:.1f}",
            f"{mean['cpu_util']:.3f}",
            f"{mean['memory_util']:.3f}",
            f"{mean['share_gap_mean']:.4f}",
            f"{mean['share_gap_max']:.3f}",
        )
    Console(width=130).print(table)
