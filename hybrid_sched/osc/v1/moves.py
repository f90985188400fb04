# SPDX-License-Identifier: Apache-2.0
"""``openstack hybrid move``, ``rebalance``, ``drain`` and ``watchdog``: plans of moves, and the ledger of moves."""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from osc_lib.command import command

from hybrid_sched.cli.columns import Table
from hybrid_sched.cli.errors import UserError
from hybrid_sched.cli.moves import (
    add_list_arguments,
    moves_table,
    plan_sentences,
    plan_table,
    watchdog_fields,
)
from hybrid_sched.osc.commands import PROGRAM, Fields, api, one
from hybrid_sched.rpc.wire import is_uuid

_LARGEST_PLAN = 16 << 20


class ListMoves(command.Lister):
    """List the ledger of moves, the newest first: why each was made, how far it is, and what came of it."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        add_list_arguments(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Table:
        """Ask the API."""
        for text in api(self).get("watchdog")["watchdog"]["off"].values():
            self.log.warning("%s", text)
        found = api(self).rows("moves", limit=parsed_args.limit, state=parsed_args.state)
        return moves_table(itertools.islice(found, parsed_args.limit))


class CancelMoves(command.Lister):
    """Cancel moves, or all moves of plans: what is planned is not begun, what is running is undone."""

    _faults: tuple[str, ...] = ()

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "wanted", nargs="+", metavar="UUID", help="of a move, or the id of a plan"
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Table:
        """Tell the API."""
        uuids = list(dict.fromkeys(each.lower() for each in parsed_args.wanted))
        if wrong := [each for each in uuids if not is_uuid(each)]:
            raise UserError(f"{wrong[0]!r} is no UUID: give one of `{PROGRAM} move list`.")
        answer = api(self).post("moves", "cancel", body={"uuids": uuids})
        self._faults = tuple(answer["faults"])
        return moves_table(answer["moves"])

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Give 1 when one could not be cancelled."""
        code = int(super().run(parsed_args))
        for fault in self._faults:
            self.log.error("%s", fault)
        return code or int(bool(self._faults))


class PlanMoves(command.Lister):
    """Show what the watchdog would move now, why, and what is predicted of it; nothing is moved."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--strategy",
            metavar="NAME",
            help="strategy that decides (default: [watchdog] strategy)",
        )
        _add_output(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Table:
        """Ask the API."""
        strategy = parsed_args.strategy
        body = {} if strategy is None else {"strategy": strategy}
        return _planned(self, body, parsed_args.output)


class ApplyPlan(command.Lister):
    """Carry out exactly the plan that was shown; it is refused, with the reason, when the cluster has changed since."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "plan",
            metavar="PLAN",
            help="id that `rebalance plan` or `drain` gave the plan, or the file that its --output made",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Table:
        """Tell the API."""
        wanted = parsed_args.plan
        plan = wanted.lower() if is_uuid(wanted.lower()) else _read_plan(Path(wanted))
        return moves_table(api(self).post("plans", "apply", body={"plan": plan})["moves"])


class Drain(command.Lister):
    """Show how a host is emptied; the plan, once applied, keeps new tasks away and moves off what is movable."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument("host", metavar="HOST", help="name under which Nova and Zun know it")
        how = parser.add_mutually_exclusive_group()
        how.add_argument(
            "--now", action="store_true", help="apply the plan at once, and show its moves"
        )
        how.add_argument(
            "--undo",
            action="store_true",
            help="let the host take tasks again at once, and cancel the moves that empty it",
        )
        _add_output(how)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Table:
        """Ask the API, or tell it."""
        path = ("hosts", parsed_args.host, "drain")
        if parsed_args.undo:
            moves = api(self).delete(*path)["moves"]
            self.log.info("Host %s takes tasks again.", parsed_args.host)
            return moves_table(moves)
        if parsed_args.now:
            return moves_table(api(self).put(*path)["moves"])
        return _planned(self, {"drain": parsed_args.host}, parsed_args.output)


class ShowWatchdog(command.ShowOne):
    """Show how the watchdog stands: its mode, strategies that are off, drained hosts, and hosts that it cannot help."""

    def take_action(self, parsed_args: argparse.Namespace) -> Fields:
        """Ask the API."""
        return one(watchdog_fields(api(self).get("watchdog")["watchdog"]))


class EnableStrategy(command.Command):
    """Switch a strategy on again that has switched itself off because its predictions were wrong."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument("strategy", metavar="NAME", help="name of the strategy")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Tell the API."""
        api(self).post("strategies", parsed_args.strategy, "enable", body={})
        self.app.stdout.write(f"Strategy {parsed_args.strategy} decides again.\n")


def _add_output(parser: Any) -> None:
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="keep the plan, as JSON, for `rebalance apply`",
    )


def _planned(asking: command.Command, body: Mapping[str, str], output: Path | None) -> Table:
    """Make a plan and show it; what is no row of its table is told beside it."""
    plan = api(asking).post("plans", body=body)["plan"]
    if output is not None:
        try:
            output.write_text(json.dumps(plan, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise UserError(
                f"{output} cannot be written ({error.strerror}): name another file with --output."
            ) from None
    if plan["off"]:
        asking.log.warning("%s", plan["off"])
    for sentence in plan_sentences(plan, f"{PROGRAM} rebalance apply {output or plan['plan']}"):
        # Where the table or JSON goes, no sentence may.
        asking.app.stderr.write(f"{sentence}\n")
    return plan_table(plan)


def _read_plan(path: Path) -> dict[str, Any]:
    """Read the file of a plan.

    :raises UserError: when it is none.
    """
    remedy = f"give the id of a plan, or a file of `{PROGRAM} rebalance plan --output`."
    try:
        with path.open("rb") as file:
            plan = json.loads(file.read(_LARGEST_PLAN))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): {remedy}") from None
    except ValueError:
        raise UserError(f"{path} is no JSON: {remedy}") from None
    if not isinstance(plan, dict) or not is_uuid(str(plan.get("plan"))):
        raise UserError(f"{path} has no plan: {remedy}")
    return plan
