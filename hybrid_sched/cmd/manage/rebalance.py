# SPDX-License-Identifier: Apache-2.0
"""``rebalance`` and ``drain``: plans of moves that are shown first and then applied, and the ledger of moves."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

from cliff.columns import FormattableColumn
from cliff.command import Command
from cliff.lister import Lister
from cliff.show import ShowOne

from hybrid_sched.cmd.manage.app import ManageError
from hybrid_sched.cmd.manage.columns import Names, OptionalMoment, Reasons

Table = tuple[tuple[str, ...], Iterator[tuple[Any, ...]]]
_STATES = ("planned", "running", "done", "failed", "cancelled")


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


class PlanMoves(Lister):
    """Show what the watchdog would move now, why, and what is predicted of it; nothing is moved."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--strategy",
            default="",
            metavar="NAME",
            help="strategy that decides (default: [watchdog] strategy)",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Table:
        """Ask the quota service."""
        return shown_plan(self, _asked(self, "plan_moves", strategy=parsed_args.strategy))


class ApplyPlan(Lister):
    """Carry out exactly the plan that was shown; it is refused, with the reason, when the cluster has changed since."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "plan", metavar="PLAN", help="id that `rebalance plan` or `drain` gave the plan"
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Table:
        """Tell the quota service."""
        return _listed(_asked(self, "apply_plan", plan=parsed_args.plan)["moves"])


class CancelMoves(Lister):
    """Cancel a move, or all moves of a plan: what is planned is not begun, what is running is undone."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument("wanted", metavar="UUID", help="of a move, or the id of a plan")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Table:
        """Tell the quota service."""
        return _listed(_asked(self, "cancel_moves", wanted=parsed_args.wanted)["moves"])


class ListMoves(Lister):
    """List the ledger of moves, the newest first: why each was made, how far it is, and what came of it."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--limit", type=int, default=100, metavar="N", help="moves at most, 1 to 1000"
        )
        parser.add_argument(
            "--state",
            action="append",
            choices=_STATES,
            help="only moves in this state; may be repeated",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Table:
        """Ask the quota service."""
        for text in self.app.ask("watchdog")["off"].values():
            self.app.LOG.warning("%s", text)
        answer = _asked(self, "moves", limit=parsed_args.limit, states=parsed_args.state)
        return _listed(answer["moves"])


class ShowWatchdog(ShowOne):
    """Show how the watchdog stands: its mode, strategies that are off, drained hosts, and hosts that it cannot help."""

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], tuple[Any, ...]]:
        """Ask the quota service."""
        status = self.app.ask("watchdog")
        return ("Mode", "Strategy", "Switched off", "Drained", "Left alone"), (
            status["mode"],
            status["strategy"],
            Reasons(status["off"]),
            Names(status["drained"]),
            Reasons({each["host"]: each["reason"] for each in status["left_alone"]}),
        )


class EnableStrategy(Command):
    """Switch a strategy on again that has switched itself off because its predictions were wrong."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument("strategy", metavar="NAME", help="name of the strategy")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Tell the quota service."""
        _asked(self, "enable_strategy", strategy=parsed_args.strategy)
        self.app.stdout.write(f"Strategy {parsed_args.strategy} decides again.\n")


class Drain(Lister):
    """Show how a host is emptied; the plan, once applied, keeps new tasks away and moves off what is movable."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument("host", metavar="HOST", help="name under which Nova and Zun know it")
        parser.add_argument(
            "--undo",
            action="store_true",
            help="let the host take tasks again at once, and cancel the moves that empty it",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Table:
        """Ask the quota service, or tell it."""
        if parsed_args.undo:
            moves = _asked(self, "undrain_host", host=parsed_args.host)["moves"]
            self.app.LOG.info("Host %s takes tasks again.", parsed_args.host)
            return _listed(moves)
        return shown_plan(self, _asked(self, "plan_moves", drains=parsed_args.host))


def shown_plan(command: Lister, answer: Mapping[str, Any]) -> Table:
    """Show a plan; what is no row of its table is told beside it."""
    say = command.app.LOG.info
    if answer["off"]:
        command.app.LOG.warning("%s", answer["off"])
    for each in answer["left_alone"]:
        say("Left alone: %s.", each["reason"])
    for executor, steps in answer["steps"].items():
        say("%s: %s.", executor, "; ".join(steps))
    if answer["moves"] or answer["drains"]:
        before, after = answer["score_before"], answer["score_after"]
        drained = (
            f" Host {answer['drains']} takes nothing from then on." if answer["drains"] else ""
        )
        say(
            "The imbalance score falls from %.3f to %.3f. Apply it with `hybrid-sched-manage rebalance apply %s`.%s",
            *(before, after, answer["plan"], drained),
        )
    else:
        say("Nothing is to be moved.")
    columns = ("Plan", "Task", "Framework", "From", "To", "Why", "Predicted", "Executor", "Gain")
    return (*columns, "Cost", "Copy MiB"), (
        (
            *(each["plan"], each["task"], each["framework"], each["source"], each["target"]),
            *(each["reason"], EffectColumn(each["predicted"]), each["executor"]),
            *(round(each["gain"], 4), round(each["cost"], 4), round(each["copy_mb"])),
        )
        for each in answer["moves"]
    )


def _listed(moves: list[dict[str, Any]]) -> Table:
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


def _asked(command: Command, method: str, **arguments: Any) -> Any:
    answer = command.app.ask(method, **arguments)
    if faults := answer.get("faults"):
        raise ManageError(f"The quota service refuses it: {'; '.join(faults)}.")
    return answer
