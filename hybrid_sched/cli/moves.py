# SPDX-License-Identifier: Apache-2.0
"""How plans of moves, the ledger of moves and the watchdog are shown."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cliff.columns import FormattableColumn

from hybrid_sched.cli.columns import Names, OptionalMoment, Reasons, Table

#: In which a move may be.
STATES = ("planned", "running", "done", "failed", "cancelled")


class EffectColumn(FormattableColumn[Mapping[str, Any] | None]):
    """What a move does to one resource of its source and its target."""

    def human_readable(self) -> str:
        """Show the parts of both hosts before and after; nothing where it is not known."""
        if self._value is None:
            return ""
        value = self._value
        return (
            f"{value['resource']}: source {value['source_before']:.0%} -> {value['source_after']:.0%}, "
            f"target {value['target_before']:.0%} -> {value['target_after']:.0%}"
        )


def add_list_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the list of moves."""
    parser.add_argument(
        "--limit", type=int, default=100, metavar="N", help="moves at most, 1 to 1000"
    )
    parser.add_argument(
        "--state",
        action="append",
        choices=STATES,
        help="only moves in this state; may be repeated",
    )


def plan_table(answer: Mapping[str, Any]) -> Table:
    """Show the moves of a plan."""
    columns = ("Plan", "Task", "Framework", "From", "To", "Why", "Predicted", "Executor", "Gain")
    return (*columns, "Cost", "Copy MiB"), (
        (
            *(each["plan"], each["task"], each["framework"], each["source"], each["target"]),
            *(each["reason"], EffectColumn(each["predicted"]), each["executor"]),
            *(round(each["gain"], 4), round(each["cost"], 4), round(each["copy_mb"])),
        )
        for each in answer["moves"]
    )


def plan_sentences(answer: Mapping[str, Any], apply: str) -> Iterator[str]:
    """Say what of a plan is no row of its table.

    :param answer: the plan.
    :param apply: command that applies it.
    """
    for each in answer["left_alone"]:
        yield f"Left alone: {each['reason']}."
    for executor, steps in answer["steps"].items():
        yield f"{executor}: {'; '.join(steps)}."
    if answer["moves"] or answer["drains"]:
        drained = (
            f" Host {answer['drains']} takes nothing from then on." if answer["drains"] else ""
        )
        yield (
            f"The imbalance score falls from {answer['score_before']:.3f} to {answer['score_after']:.3f}. "
            f"Apply it with `{apply}`.{drained}"
        )
    else:
        yield "Nothing is to be moved."


def moves_table(moves: Iterable[Mapping[str, Any]]) -> Table:
    """Show moves of the ledger: why each was made, how far it is, and what came of it."""
    columns = ("UUID", "Plan", "Task", "From", "To", "State", "Step", "Text", "Why", "Predicted")
    return (*columns, "Measured", "Executor", "Planned", "Ended"), (
        (
            *(each["uuid"], each["plan"], each["task"], each["source"], each["target"]),
            "cancelling" if each["cancelling"] and each["state"] == "running" else each["state"],
            *(each["step"], each["text"], each["reason"], EffectColumn(each["predicted"])),
            EffectColumn(each["measured"]),
            each["executor"],
            OptionalMoment(each["planned_at_s"]),
            OptionalMoment(each["ended_at_s"]),
        )
        for each in moves
    )


def watchdog_fields(status: Mapping[str, Any]) -> dict[str, Any]:
    """Show how the watchdog stands."""
    return {
        "Mode": status["mode"],
        "Strategy": status["strategy"],
        "Switched off": Reasons(status["off"]),
        "Drained": Names(status["drained"]),
        "Left alone": Reasons({each["host"]: each["reason"] for each in status["left_alone"]}),
    }
