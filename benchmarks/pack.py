# SPDX-License-Identifier: Apache-2.0
"""Packers: how many hosts each needs beside what is possible, and how long Cross-Fill takes beside a sort.

``python -m benchmarks.pack`` prints tables and writes ``.bench/pack.json``. The method is in
``doc/source/admin/performance.rst``.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from hybrid_sched.core.packing.base import DEFAULT_PACKER, Packer, Packing, Rows
from hybrid_sched.core.packing.bfd import BestFitDecreasing
from hybrid_sched.core.packing.bounds import lower_bound
from hybrid_sched.core.packing.cross_fill import CrossFill
from hybrid_sched.core.packing.dot_product import DotProduct
from hybrid_sched.core.packing.ffd import FirstFitDecreasing
from hybrid_sched.core.packing.repack import Repack
from hybrid_sched.core.packing.spread import Spread

_PATH = Path(".bench") / "pack.json"
_PACKERS: dict[str, Callable[[], Packer]] = {
    "spread": Spread,
    "cross_fill": CrossFill,
    "ffd": FirstFitDecreasing,
    "bfd": BestFitDecreasing,
    "dot_product": DotProduct,
    "repack": Repack,
}
_HOST = (96_000, 393_216)
_SPEED_TASKS = 1_000_000
_SPEED_RUNS = 9
_SEEDS = 5

Integers = npt.NDArray[np.int64]


def cross_fill_speed() -> dict[str, Any]:
    """Time Cross-Fill on a million tasks and numpy's argsort of their dominant shares, in turn.

    The demands are drawn evenly: 0.1 to 5 cores and 0.1 to 20 GiB, in millicores and MiB.
    """
    draw = np.random.default_rng(0)
    tasks = np.stack(
        [draw.integers(100, 5_000, _SPEED_TASKS), draw.integers(100, 20_480, _SPEED_TASKS)], axis=1
    )
    hosts = np.array([_HOST] * 40_000)
    keys = (tasks / hosts.sum(axis=0)).max(axis=1)
    sorts, packs = [], []
    used = 0
    for _ in range(_SPEED_RUNS):
        sorts.append(_ms(lambda: np.argsort(keys)))
        began_s = time.perf_counter()
        used = CrossFill().pack(tasks, hosts).used
        packs.append((time.perf_counter() - began_s) * 1e3)
    return {
        "tasks": _SPEED_TASKS,
        "hosts_used": used,
        "tasks_a_host": _SPEED_TASKS / used,
        "argsort_ms": min(sorts),
        "pack_ms": min(packs),
        "ratio_min": min(packs) / min(sorts),
    }


def pods_and_nodes(pods: Path | None, nodes: Path | None) -> tuple[Integers, Integers, str]:
    """Read pods and nodes, or draw such of a few kinds.

    :returns: demands, rooms, and where they are from.
    """
    if pods is not None and nodes is not None:
        return _read(pods), _read(nodes), f"{pods.name} and {nodes.name}"
    draw = np.random.default_rng(1)
    kinds = np.stack(
        [
            draw.integers(1, 33, 100) * 500 - draw.integers(0, 2, 100) * 92,
            draw.integers(1, 65, 100) * 1_000,
        ],
        axis=1,
    )
    of_kind = draw.choice(100, size=8_000, p=draw.dirichlet(np.full(100, 0.3)))
    shapes = np.array([_HOST, (104_000, 524_288), (32_000, 262_144), (128_000, 786_432)])
    return kinds[of_kind], shapes[draw.choice(4, size=1_500, p=[0.5, 0.3, 0.15, 0.05])], "drawn"


def known_optima() -> dict[str, list[tuple[list[int], int, int]]]:
    """Make one-dimensional problems whose optimum is known, several of each kind: sizes, capacity, fewest hosts.

    Triplets (Falkenauer, 1996) and cuts are hosts cut into pieces, so that nothing is wasted; of evenly drawn sizes those count
    whose lower bound some packing here reaches.
    """
    problems: dict[str, list[tuple[list[int], int, int]]] = {}
    for count in (20, 40, 83, 167):
        problems[f"triplets {3 * count}"] = [
            (_triplets(random.Random(seed), count), 1000, count) for seed in range(_SEEDS)
        ]
    for low, high, capacity in ((1, 500, 1_000), (80, 450, 1_000), (800, 4_500, 10_000)):
        problems[f"cuts {low}-{high} of {capacity}"] = [
            (_cuts(random.Random(seed), 100, capacity, low, high), capacity, 100)
            for seed in range(_SEEDS)
        ]
    for count in (120, 250, 500, 1000):
        problems[f"even {count}"] = _even(count)
    return problems


def _triplets(draw: random.Random, count: int) -> list[int]:
    """Cut hosts of 1000 into three: one from 380 to 490, one from 250 to half of the rest, what is left."""
    sizes = []
    for _ in range(count):
        first = draw.randint(380, 490)
        second = draw.randint(250, (1000 - first) // 2)
        sizes += [first, second, 1000 - first - second]
    draw.shuffle(sizes)
    return sizes


def _cuts(draw: random.Random, hosts: int, capacity: int, low: int, high: int) -> list[int]:
    sizes = []
    for _ in range(hosts):
        left = capacity
        while left > high:
            piece = min(draw.randint(low, high), left - low)
            sizes.append(piece)
            left -= piece
        sizes.append(left)
    draw.shuffle(sizes)
    return sizes


def _even(count: int) -> list[tuple[list[int], int, int]]:
    problems = []
    for seed in range(_SEEDS):
        draw = random.Random(seed)
        sizes = [draw.randint(20, 100) for _ in range(count)]
        bound = lower_bound([(size,) for size in sizes], [(150,)] * count)
        packings = [
            make().pack(_column(sizes), _column([150] * count)) for make in _PACKERS.values()
        ]
        if min(packing.used for packing in packings) == bound:
            problems.append((sizes, 150, bound))
    return problems


def _column(numbers: list[int]) -> Integers:
    return np.array(numbers, dtype=np.int64).reshape(-1, 1)


def _read(path: Path) -> Integers:
    with path.open(encoding="utf-8", newline="") as lines:
        rows = [(int(row["cpu_milli"]), int(row["memory_mib"])) for row in csv.DictReader(lines)]
    return np.array(rows, dtype=np.int64)


def _ms(work: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    work()
    return (time.perf_counter() - began_s) * 1e3


def _pack(make: Callable[[], Packer], tasks: Rows, hosts: Rows) -> tuple[Packing, float]:
    began_s = time.perf_counter()
    packing = make().pack(tasks, hosts)
    return packing, time.perf_counter() - began_s


def on_cluster(tasks: Integers, hosts: Integers) -> dict[str, Any]:
    """Pack tasks with each packer."""
    bound = lower_bound(tasks, hosts)
    figures: dict[str, Any] = {
        "tasks": len(tasks),
        "hosts": len(hosts),
        "lower_bound": bound,
        "packers": {},
    }
    for name, make in _PACKERS.items():
        packing, seconds = _pack(make, tasks, hosts)
        figures["packers"][name] = {
            "hosts_used": packing.used,
            "unplaced": len(packing.unplaced),
            "ratio": packing.used / bound,
            "seconds": seconds,
        }
    return figures


def on_known_optima() -> dict[str, Any]:
    """Pack the one-dimensional problems with each packer but ``spread``, which saves no hosts."""
    problems = known_optima()
    figures: dict[str, Any] = {}
    for name, make in _PACKERS.items():
        if name == "spread":
            continue
        ratios, longest_s = {}, 0.0
        every = []
        for kind, of_kind in problems.items():
            mine = []
            for sizes, capacity, fewest in of_kind:
                packing, seconds = _pack(make, _column(sizes), _column([capacity] * len(sizes)))
                mine.append(packing.used / fewest)
                longest_s = max(longest_s, seconds)
            ratios[kind] = statistics.mean(mine) if mine else None
            every += mine
        figures[name] = {
            "mean_ratio": statistics.mean(every),
            "ratios": ratios,
            "longest_s": longest_s,
        }
    return figures


def _show(console: Console, figures: dict[str, Any]) -> None:
    speed = figures["cross_fill_speed"]
    console.print(
        f"cross_fill, {speed['tasks']} tasks, {speed['tasks_a_host']:.0f} a host: {speed['pack_ms']:.0f} ms, "
        f"argsort {speed['argsort_ms']:.0f} ms, ratio of minima {speed['ratio_min']:.2f}"
    )
    for title in ("equal_hosts", "nodes"):
        of_cluster = figures[title]
        table = Table("packer", "hosts used", "unplaced", "over the bound", "seconds")
        table.title = f"{of_cluster['tasks']} tasks, {title}: at least {of_cluster['lower_bound']}"
        for name, row in of_cluster["packers"].items():
            table.add_row(
                name,
                str(row["hosts_used"]),
                str(row["unplaced"]),
                f"{row['ratio']:.4f}",
                f"{row['seconds']:.2f}",
            )
        console.print(table)
    kinds = list(next(iter(figures["one_dimension"].values()))["ratios"])
    table = Table("one dimension", *figures["one_dimension"])
    for kind in kinds:
        values = [row["ratios"][kind] for row in figures["one_dimension"].values()]
        table.add_row(kind, *("none" if value is None else f"{value:.4f}" for value in values))
    table.add_row(
        "mean", *(f"{row['mean_ratio']:.4f}" for row in figures["one_dimension"].values())
    )
    table.add_row(
        "longest, s", *(f"{row['longest_s']:.2f}" for row in figures["one_dimension"].values())
    )
    console.print(table)


def main() -> int:
    """Measure, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pods", type=Path, help="CSV with the columns cpu_milli and memory_mib")
    parser.add_argument("--nodes", type=Path, help="CSV with the columns cpu_milli and memory_mib")
    options = parser.parse_args()
    if (options.pods is None) != (options.nodes is None):
        parser.error("give both --pods and --nodes, or neither")
    console = Console()
    with console.status("Measuring"):
        figures: dict[str, Any] = {
            "default": DEFAULT_PACKER,
            "cross_fill_speed": cross_fill_speed(),
        }
        pods, nodes, figures["pods"] = pods_and_nodes(options.pods, options.nodes)
        figures["equal_hosts"] = on_cluster(pods, np.array([_HOST] * len(nodes)))
        figures["nodes"] = on_cluster(pods, nodes)
        figures["one_dimension"] = on_known_optima()
    _show(console, figures)
    _PATH.parent.mkdir(exist_ok=True)
    _PATH.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
