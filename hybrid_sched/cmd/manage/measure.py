# SPDX-License-Identifier: Apache-2.0
"""``scores measure``: a proposal for the host that it runs on."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from typing import Any

from cliff.show import ShowOne
from oslo_config import cfg
from rich.console import Console
from rich.progress import Progress

from hybrid_sched import loading
from hybrid_sched.cli.columns import Amount
from hybrid_sched.cmd.manage import benchmark
from hybrid_sched.cmd.manage.app import ManageError
from hybrid_sched.cmd.manage.db import ready_database
from hybrid_sched.conf import agent
from hybrid_sched.core.hardware import ANY, Hardware, ScoreRow
from hybrid_sched.core.resources import exact
from hybrid_sched.db.scores import ScoreStore
from hybrid_sched.interfaces.monitor import SourceError

_LONGEST_S = 600.0


class MeasureScore(ShowOne):
    """Measure one core of this host for a few seconds and propose a score; the host should be idle."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--seconds",
            type=_seconds,
            default=3.0,
            metavar="SECONDS",
            help="how long, in processor time; at least three rounds of 0.3 s are made (default: 3)",
        )
        parser.add_argument("--save", action="store_true", help="set the proposed score")
        parser.add_argument(
            "--cpu-model", metavar="PATTERN", help="of the row (default: this host's processor)"
        )
        parser.add_argument(
            "--memory-kind", metavar="PATTERN", help="of the row (default: this host's memory)"
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], tuple[Any, ...]]:
        """Measure, and write to the database if asked to."""
        row_of = _row_maker(parsed_args.cpu_model, parsed_args.memory_kind)
        # A database that is away is told before the measurement, not after it.
        store = ScoreStore(ready_database()) if parsed_args.save else None
        result = _measure(parsed_args.seconds)
        row = row_of(result)
        if store is not None:
            store.import_rows([row])
        rates = {
            part.name: f"{result.rates[part.name]:.2f} {part.unit}, reference {part.reference:g}"
            for part in benchmark.PARTS
        }
        return (
            ("CPU model", "Memory kind", "Score", "Spread of the rounds", *rates, "Saved"),
            (
                row.cpu_model,
                row.memory_kind,
                Amount(row.score if isinstance(row.score, int) else str(row.score)),
                f"{result.spread:.1%}",
                *rates.values(),
                parsed_args.save,
            ),
        )


def _measure(seconds: float) -> benchmark.Result:
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        count = benchmark.count_rounds(seconds)
        rounds = benchmark.run(count)
        return benchmark.Result.of(
            list(progress.track(rounds, total=count, description="Measuring"))
        )


def _row_maker(
    cpu_model: str | None, memory_kind: str | None
) -> Callable[[benchmark.Result], ScoreRow]:
    """Settle the patterns before anything is measured."""
    hardware = Hardware() if cpu_model and memory_kind else _this_host()
    cpu_model = cpu_model or _literal(hardware.cpu_model)
    memory_kind = memory_kind or _literal(hardware.memory_kind) or ANY
    if not cpu_model:
        raise ManageError("The name of this host's processor is unknown: give --cpu-model.")

    def row_of(result: benchmark.Result) -> ScoreRow:
        score = exact(round(result.score, 2))
        return ScoreRow(cpu_model, memory_kind, score, f"measured, {result.rounds} rounds")

    try:
        ScoreRow(cpu_model, memory_kind, 1)
    except ValueError as error:
        raise ManageError(f"The row cannot be set: {error}.") from None
    return row_of


def _this_host() -> Hardware:
    # The source of the agent, so that the row matches what the agent reports.
    agent.register(cfg.CONF)
    [(_, source)] = loading.load("hybrid_sched.monitor.source", ["host"], cfg.CONF)
    try:
        return source.collect().hardware or Hardware()
    except SourceError as error:
        raise ManageError(f"{error} Or give --cpu-model and --memory-kind.") from None


def _literal(text: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", text.strip())


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds <= _LONGEST_S:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of seconds above 0 and at most {_LONGEST_S:g}"
        )
    return seconds
