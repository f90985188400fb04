# SPDX-License-Identifier: Apache-2.0
"""``rebalance`` and ``drain``: plans of moves that are shown first and then applied, and the ledger of moves."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from cliff.command import Command
from cliff.lister import Lister
from cliff.show import ShowOne

from hybrid_sched.cli.columns import Table
from hybrid_sched.cli.moves import (
    add_list_arguments,
    moves_table,
    plan_sentences,
    plan_table,
    watchdog_fields,
)
from hybrid_sched.cmd.manage.app import ManageError


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
        return _planned(self, _asked(self, "plan_moves", strategy=parsed_args.strategy))


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
        return moves_table(_asked(self, "apply_plan", plan=parsed_args.plan)["moves"])


class CancelMoves(Lister):
    """Cancel a move, or all moves of a plan: what is planned is not begun, what is running is undone."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument("wanted", metavar="UUID", help="of a move, or the id of a plan")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Table:
        """Tell the quota service."""
        return moves_table(_asked(self, "cancel_moves", wanted=parsed_args.wanted)["moves"])


class ListMoves(Lister):
    """List the ledger of moves, the newest first: why each was made, how far it is, and what came of it."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        add_list_arguments(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Table:
        """Ask the quota service."""
        for text in self.app.ask("watchdog")["off"].values():
            self.app.LOG.warning("%s", text)
        answer = _asked(self, "moves", limit=parsed_args.limit, states=parsed_args.state)
        return moves_table(answer["moves"])


class ShowWatchdog(ShowOne):
    """Show how the watchdog stands: its mode, strategies that are off, drained hosts, and hosts that it cannot help."""

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], tuple[Any, ...]]:
        """Ask the quota service."""
        fields = watchdog_fields(self.app.ask("watchdog"))
        return tuple(fields), tuple(fields.values())


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
            return moves_table(moves)
        return _planned(self, _asked(self, "plan_moves", drains=parsed_args.host))


def _planned(command: Lister, answer: Mapping[str, Any]) -> Table:
    """Show a plan; what is no row of its table is told beside it."""
    if answer["off"]:
        command.app.LOG.warning("%s", answer["off"])
    apply = f"hybrid-sched-manage rebalance apply {answer['plan']}"
    for sentence in plan_sentences(answer, apply):
        command.app.LOG.info("%s", sentence)
    return plan_table(answer)


def _asked(command: Command, method: str, **arguments: Any) -> Any:
    answer = command.app.ask(method, **arguments)
    if faults := answer.get("faults"):
        raise ManageError(f"The quota service refuses it: {'; '.join(faults)}.")
    return answer
